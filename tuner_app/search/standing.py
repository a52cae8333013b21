"""Who leads a search by the folds that are done, whole or not.

Owns a guess that only the order of the fits is made from. Who has won is decided by whole candidates, in the table.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from tuner_app.records import tables
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.score import ScoreRule
from tuner_app.search.policy import FoldKey

_Scores = dict[FoldKey, float]


class Standing:
    """Compares candidates fold by fold.

    Args:
        rule: How histories become scores.
    """

    def __init__(self, rule: ScoreRule) -> None:
        self._rule = rule
        self._scores: dict[str, _Scores] = {}

    def rival(self, best: Candidate | None, begun: Mapping[str, Sequence[FoldResult]]) -> str | None:
        """The trial that leads by the folds that it has; None where that is the best candidate itself.

        Args:
            best: The best of those that have all their folds; None for none.
            begun: The fits of those that have some, by trial.
        """
        leader = None if best is None else (best.trial_id, self._scores_of(best.trial_id, best.folds))
        for trial_id, records in begun.items():
            one = trial_id, self._scores_of(trial_id, records)
            if not any(map(math.isnan, one[1].values())) and (leader is None or _is_ahead(one, leader)):
                leader = one
        return None if leader is None or (best is not None and leader[0] == best.trial_id) else leader[0]

    def _scores_of(self, trial_id: str, records: Sequence[FoldResult]) -> _Scores:
        """By fold; made once for each number of fits, since hundreds of candidates may be open."""
        scores = self._scores.get(trial_id, {})
        if len(scores) != len(records):
            numbers = self._rule(records)
            scores = {(one.fold, one.execution): score for one, score in zip(records, numbers, strict=True)}
            self._scores[trial_id] = scores
        return scores


def _is_ahead(one: tuple[str, _Scores], other: tuple[str, _Scores]) -> bool:
    """Whether one trial beats the other on the folds that both have, since one fold may be easier than another."""
    (trial_id, scores), (other_id, others) = one, other
    both = scores.keys() & others.keys()
    difference = _mean(scores, both or scores) - _mean(others, both or others)
    # Of equals the first one asked for is the best in the end, too.
    return difference > 0 or (difference == 0 and tables.trial_order(trial_id) < tables.trial_order(other_id))


def _mean(scores: _Scores, keys: Iterable[FoldKey]) -> float:
    return statistics.fmean(scores[key] for key in sorted(keys))
