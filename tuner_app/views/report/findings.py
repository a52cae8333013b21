"""Everything that a report says about a search, computed once.

Owns which question is put to `analysis` and what of the folder belongs to this search. Words and drawing are for the
other modules.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

from tuner_app.analysis.advice import Standing, speaks_options
from tuner_app.analysis.comparison import Significance, significance_of
from tuner_app.analysis.confusion import ConfusedPicture
from tuner_app.analysis.costs import TimeSpent, time_spent
from tuner_app.analysis.edges import EdgeWarning, edge_warnings
from tuner_app.analysis.ranking import RankedCandidate, Ranking, ranking_of
from tuner_app.errors import ProjectError, SearchError
from tuner_app.prediction.mistakes import kept_pictures
from tuner_app.records import tables
from tuner_app.records.text import last_line, one_line, shortened
from tuner_app.storage.files import read_json
from tuner_app.storage.journal import SearchRecord
from tuner_app.views.report.wording import MISSING, number_of_a_metric


@dataclasses.dataclass(frozen=True)
class Findings:
    """What is known about a search.

    Attributes:
        record: The search on disk.
        ranking: Its finished candidates, best first.
        best: The first of them.
        significance: Whether its lead is real.
        edges: Where the grid ends too early.
        time: What each candidate cost.
        manifest: That of the refit model; empty where there is none of this search.
        manifest_problem: Why the manifest is left out; None where nothing is wrong.
        pictures: Test pictures that the refit model got wrong.
        standing: How far the search has come.
        options: Whether its user types options of `tune` rather than Python.
    """

    record: SearchRecord
    ranking: Ranking
    best: RankedCandidate
    significance: Significance
    edges: tuple[EdgeWarning, ...]
    time: TimeSpent
    manifest: dict[str, Any]
    manifest_problem: str | None
    pictures: tuple[ConfusedPicture, ...]
    standing: Standing
    options: bool

    # Cached on a frozen class: `cached_property` writes into `__dict__`, past what freezing guards.
    @functools.cached_property
    def decimals(self) -> int:
        """As many decimals as the scores' spread makes worth reading."""
        spreads = sorted(row.std for row in self.ranking.scored if row.std > 0)
        usual = 4 if abs(self.best.mean) < 10 else 2 if abs(self.best.mean) < 1000 else 0
        fine = math.ceil(-math.log10(spreads[len(spreads) // 2])) if spreads else 0
        return min(8, max(usual, fine))

    def number(self, value: float) -> str:
        """A score, or a difference of scores, as text."""
        return f"{value:.{self.decimals}f}" if math.isfinite(value) else number_of_a_metric(value)

    def with_std(self, mean: float, std: float) -> str:
        """A mean with its standard deviation, such as `0.9420 ±0.0008`."""
        return MISSING if math.isnan(mean) else f"{self.number(mean)} ±{self.number(std)}"

    @functools.cached_property
    def close_trials(self) -> frozenset[str]:
        """The trials that the folds do not tell from the best, the best included."""
        contenders = (contender.candidate.trial_id for contender in self.significance.contenders)
        return frozenset([self.best.trial_id, *contenders])

    @property
    def classes(self) -> list[Any] | None:
        """The classes in the order of the model's outputs; None where nobody wrote them down."""
        for content in (self.manifest, self.record.description):
            if isinstance(content.get("classes"), list):
                return list(content["classes"])
        return None

    @property
    def n_fits(self) -> int:
        """The fits on disk, those of unfinished candidates too."""
        return sum(len(candidate.folds) for candidate in self.record.candidates)


def gather(record: SearchRecord, pictures: Sequence[ConfusedPicture] | None) -> Findings:
    """What is known about a search.

    Args:
        record: The search.
        pictures: Pictures that the refit model got wrong; None takes those that are kept in the folder.

    Raises:
        ProjectError: No candidate is finished.
        SearchError: None has a score.
    """
    if not record.finished:
        raise ProjectError(f"{record.project.path} has no finished candidate yet. Call search() again to continue.")
    ranking = ranking_of(record)
    significance = significance_of(ranking)
    if ranking.best is None or significance is None:
        raise SearchError(_all_failed(record))
    manifest, problem = _read_manifest(record)
    if pictures is None:
        # Pictures belong to the model: without its manifest nobody can say which model got them wrong.
        pictures = kept_pictures(record.project) if manifest else ()
    return Findings(
        record=record,
        ranking=ranking,
        best=ranking.best,
        significance=significance,
        edges=edge_warnings(ranking),
        time=time_spent(record, ranking),
        manifest=manifest,
        manifest_problem=problem,
        pictures=tuple(pictures),
        standing=Standing.of(record),
        options=speaks_options(record),
    )


def error_line(error: str) -> str:
    """What a traceback says in the end, on one line of at most 160 characters."""
    return shortened(one_line(last_line(error)), 160) or "an error without a message"


def _all_failed(record: SearchRecord) -> str:
    common = tables.most_common_error(record.candidates)
    reason = f" Most fits failed with: {error_line(common[0])}." if common else ""
    return f"No candidate of {record.project.path} has a score, so there is nothing to report.{reason}"


def _read_manifest(record: SearchRecord) -> tuple[dict[str, Any], str | None]:
    """The refit model's manifest, and what is wrong with it; empty where there is none that fits this search."""
    if not record.project.manifest_file.exists():
        return {}, None
    # Read as it is, not as `prediction` checks it: a report about a damaged model is better than none.
    try:
        manifest = read_json(record.project.manifest_file)
    except ProjectError as error:
        return {}, str(error)
    # Models saved by older versions name no search; they are taken for this one's.
    if manifest.get("search_id", record.description["search_id"]) != record.description["search_id"]:
        return {}, "The saved model was made by another search."
    return manifest, None
