"""What every strategy must do: the promises of `search.strategy.Strategy`, for all of them at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
import pytest
from support.fakes import record

from tuner_app.records.results import Candidate
from tuner_app.records.score import Objective, ScoreRule
from tuner_app.records.tasks import FoldTask
from tuner_app.search.strategy import Proposal, Strategy, Turn
from tuner_app.storage.project import Project
from tuner_app.tuners.oracle import GridOracle
from tuner_app.tuners.strategy import OracleStrategy, TrialHooks

ROWS = np.arange(2)
RULE = ScoreRule((Objective("val_accuracy", "max"),))


def flat(hp: keras_tuner.HyperParameters) -> None:
    hp.Choice("a", [1, 2, 3])
    hp.Choice("b", ["x", "y"])


def conditional(hp: keras_tuner.HyperParameters) -> None:
    hp.Choice("kind", ["dense", "deep"])
    with hp.conditional_scope("kind", ["deep"]):
        hp.Int("layers", 1, 3)
    hp.Float("rate", 0.1, 0.3, step=0.1)


def nothing(hp: keras_tuner.HyperParameters) -> None:
    """One candidate without values."""


def grid(folder: Path, declare: Callable[[Any], None]) -> Strategy:
    space = keras_tuner.HyperParameters()
    declare(space)
    objective = keras_tuner.Objective("val_accuracy", "max")
    oracle = GridOracle(objective=objective, hyperparameters=space, seed=0, max_consecutive_failed_trials=99)
    oracle.verbose = 0
    oracle._set_project_dir(str(folder), "project")
    return OracleStrategy(
        oracle,
        rule=RULE,
        project=Project(folder, "project"),
        hooks=TrialHooks(begin=lambda trial: None, end=oracle.end_trial),
        recorded=[],
        finished=[],
        build_lock=threading.RLock(),
        builds_disturb=False,
    )


STRATEGIES = {"grid": grid}
"""What the class below is run for: a line for each strategy. Each is called with a folder and a space's declaration."""

Make = Callable[..., Strategy]


@pytest.fixture(name="make", params=STRATEGIES.values(), ids=STRATEGIES.keys())
def make_fixture(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes a strategy in a folder of its own each time."""

    def make(declare: Callable[[Any], None] = flat) -> Strategy:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        made: Strategy = request.param(folder, declare)
        return made

    return make


def ended(proposal: Proposal, *, error: str | None = None) -> Candidate:
    """A candidate whose folds are all done, or have all failed."""
    folds = []
    for fold in range(2):
        task = FoldTask(
            trial_id=proposal.trial_id,
            fold=fold,
            execution=0,
            values=proposal.values,
            seed=1,
            train_rows=ROWS,
            validation_rows=ROWS,
        )
        fields = {"error": error} if error else {"scores": {"val_accuracy": len(proposal.values) + fold / 10}}
        folds.append(record(task, **fields))
    return Candidate.of(proposal.trial_id, proposal.values, folds, RULE, n_fits=2)


def play(strategy: Strategy, *, most_open: int | None = None, fails: Callable[[int], bool] = lambda n: False) -> Any:
    """Ask and tell to the end, as a search does: in the order of asking, with so many candidates open at most.

    Returns:
        The proposals, and the candidates that the strategy was told of.
    """
    lookahead = strategy.lookahead if strategy.is_adaptive or most_open is None else most_open
    proposals: list[Proposal] = []
    candidates: list[Candidate] = []
    while True:
        answer: Proposal | Turn = Turn.WAIT
        while len(proposals) - len(candidates) < lookahead:
            answer = strategy.ask(beside_fits=len(proposals) > len(candidates), may_be_busy=False)
            if isinstance(answer, Turn):
                break
            proposals.append(answer)
        if len(candidates) == len(proposals):
            assert answer is Turn.DONE, "it must not wait when it was told of all"
            return proposals, candidates
        number = len(candidates)
        candidates.append(ended(proposals[number], error="Traceback\n" if fails(number) else None))
        strategy.tell(candidates[-1])


def asked(proposals: list[Proposal]) -> list[Any]:
    """All of the proposals that a resume must find again."""
    return [(p.trial_id, dict(p.values), dict(p.seed_values), p.budget) for p in proposals]


@pytest.mark.parametrize("declare", [flat, conditional, nothing])
class TestStrategy:
    def test_each_candidate_is_proposed_once_under_a_name_of_its_own(
        self, make: Make, declare: Callable[[Any], None]
    ) -> None:
        proposals, _ = play(make(declare))
        assert proposals
        assert len({p.trial_id for p in proposals}) == len(proposals)
        assert len({repr(sorted(p.values.items())) for p in proposals}) == len(proposals)

    def test_asked_anew_it_proposes_the_same(self, make: Make, declare: Callable[[Any], None]) -> None:
        """A resume is nothing else."""
        assert asked(play(make(declare))[0]) == asked(play(make(declare))[0])

    @pytest.mark.parametrize("most_open", [1, 2])
    def test_how_many_are_open_changes_nothing(
        self, make: Make, declare: Callable[[Any], None], most_open: int
    ) -> None:
        assert asked(play(make(declare), most_open=most_open)[0]) == asked(play(make(declare))[0])

    def test_after_the_end_there_is_nothing_more(self, make: Make, declare: Callable[[Any], None]) -> None:
        strategy = make(declare)
        play(strategy)
        for _ in range(2):
            assert strategy.ask(beside_fits=False, may_be_busy=True) is Turn.DONE

    def test_a_failed_candidate_is_told_of_like_any_other(self, make: Make, declare: Callable[[Any], None]) -> None:
        proposals, candidates = play(make(declare), fails=lambda number: number % 2 == 0)
        assert [one.trial_id for one in candidates] == [one.trial_id for one in proposals]

    def test_what_was_proposed_stays_as_it_was(self, make: Make, declare: Callable[[Any], None]) -> None:
        strategy = make(declare)
        first = strategy.ask(beside_fits=False, may_be_busy=False)
        assert isinstance(first, Proposal)
        before = asked([first])
        strategy.tell(ended(first))
        play(strategy)
        assert asked([first]) == before

    def test_seeds_are_made_of_the_candidates_own_values(self, make: Make, declare: Callable[[Any], None]) -> None:
        for proposal in play(make(declare))[0]:
            assert proposal.seed_values.items() <= proposal.values.items()

    def test_the_table_has_every_candidate_once_with_its_values(
        self, make: Make, declare: Callable[[Any], None]
    ) -> None:
        strategy = make(declare)
        _, candidates = play(strategy)
        arranged = strategy.arranged(candidates)
        assert sorted(one.trial_id for one in arranged) == sorted(one.trial_id for one in candidates)
        assert strategy.arranged(list(reversed(candidates))) == arranged
        for one in candidates:
            assert strategy.ordered(one.values) == dict(one.values)
