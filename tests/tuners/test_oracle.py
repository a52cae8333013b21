"""The grid as the oracle hands it out, next to Keras Tuner's own."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras_tuner.engine.trial import Trial, TrialStatus

from tuner_app.tuners.grid import grid
from tuner_app.tuners.oracle import GridOracle
from tuner_app.tuners.ranges import grid_size, space_values

Declare = Callable[[keras_tuner.HyperParameters], None]


def plain(hp: keras_tuner.HyperParameters) -> None:
    hp.Choice("a", [1, 2, 3], default=2)
    hp.Choice("b", ["x", "y"])


def conditional(hp: keras_tuner.HyperParameters) -> None:
    kind = hp.Choice("kind", ["dense", "deep", "none"])
    hp.Int("nodes", 1, 3)
    with hp.conditional_scope("kind", ["deep"]):
        hp.Int("layers", 2, 4)
        with hp.conditional_scope("layers", [3, 4]):
            hp.Boolean("skip")
    with hp.conditional_scope("kind", ["dense", "deep"]):
        hp.Choice("activation", ["relu", "tanh"], default="tanh")
    assert kind


def every_kind(hp: keras_tuner.HyperParameters) -> None:
    hp.Fixed("fixed", 7)
    hp.Boolean("flag", default=True)
    hp.Int("steps", 0, 10, step=4)
    hp.Int("powers", 1, 8, step=2, sampling="log")
    hp.Float("rate", 0.1, 0.3, step=0.1, default=0.2)
    hp.Choice("word", ["p", "q"])


def nothing(hp: keras_tuner.HyperParameters) -> None:
    assert hp


SPACES = (plain, conditional, every_kind, nothing)


def space_of(declare: Declare) -> keras_tuner.HyperParameters:
    """The space as a tuner finds it: scopes under conditions are declared although they are not active."""
    hp = keras_tuner.HyperParameters()
    declare(hp)
    return hp


@pytest.fixture(name="make")
def make_fixture(tmp_path: Path) -> Callable[..., GridOracle]:
    def make(declare: Declare = plain, cls: Any = GridOracle, folder: str = "p", **options: Any) -> Any:
        oracle = cls(
            **{
                "objective": keras_tuner.Objective("score", "max"),
                "hyperparameters": space_of(declare),
                "max_consecutive_failed_trials": 1_000_000,
                **options,
            }
        )
        oracle.verbose = 0
        oracle._set_project_dir(str(tmp_path), folder)
        return oracle

    return make


def end(oracle: GridOracle, trial: Trial, score: float | None = 0.5, status: str | None = None) -> None:
    if score is not None:
        oracle.update_trial(trial.trial_id, {"score": score})
    trial.status = status or (TrialStatus.COMPLETED if score is not None else TrialStatus.INVALID)
    oracle.end_trial(trial)


def run_out(oracle: GridOracle, limit: int = 10_000) -> list[dict[str, Any]]:
    """Ask and end, one after the other, until there is no more."""
    values = []
    for _ in range(limit):
        trial = oracle.create_trial("one")
        if trial.status == TrialStatus.STOPPED:
            return values
        values.append(dict(trial.hyperparameters.values))
        end(oracle, trial)
    raise AssertionError("the oracle never stops")


class TestGrid:
    @pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning", "ignore:getName:DeprecationWarning")
    @pytest.mark.parametrize("declare", SPACES)
    def test_the_order_is_keras_tuners(self, make: Callable[..., Any], declare: Declare) -> None:
        theirs = make(declare, cls=keras_tuner.oracles.GridSearchOracle, folder="theirs", max_trials=1000)
        ours = make(declare, folder="ours")
        expected = run_out(theirs)
        assert run_out(ours) == expected
        assert list(grid(space_of(declare).space)) == expected

    def test_defaults_come_first_and_the_last_varies_fastest(self) -> None:
        found = [(v["a"], v["b"]) for v in grid(space_of(plain).space)]
        assert found == [(2, "x"), (2, "y"), (1, "x"), (1, "y"), (3, "x"), (3, "y")]

    @pytest.mark.parametrize("declare", SPACES)
    def test_the_size_is_the_number_of_candidates(self, declare: Declare) -> None:
        space = space_of(declare).space
        candidates = list(grid(space))
        assert grid_size(space) == len(candidates)
        assert len({repr(values) for values in candidates}) == len(candidates)

    def test_the_size_of_a_huge_grid_is_known_without_walking_it(self) -> None:
        hp = keras_tuner.HyperParameters()
        for number in range(40):
            hp.Int(f"n{number}", 0, 9)
        assert grid_size(hp.space) == 10**40
        assert next(grid(hp.space))["n39"] == 0

    def test_conditions_decide_which_values_a_candidate_has(self) -> None:
        candidates = list(grid(space_of(conditional).space))
        assert all(("layers" in v) == (v["kind"] == "deep") for v in candidates)
        assert all(("skip" in v) == (v.get("layers") in (3, 4)) for v in candidates)
        assert len(candidates) == 3 * (2 + (1 + 2 + 2) * 2 + 1)

    def test_space_values_merge_what_is_declared_under_several_conditions(self) -> None:
        hp = keras_tuner.HyperParameters()
        hp.Choice("kind", ["p", "q"])
        with hp.conditional_scope("kind", ["p"]):
            hp.Choice("n", [1, 2])
        with hp.conditional_scope("kind", ["q"]):
            hp.Choice("n", [2, 3])
        assert space_values(hp.space) == {"kind": ["p", "q"], "n": [1, 2, 3]}
        assert [v["n"] for v in grid(hp.space)] == [1, 2, 2, 3]

    @given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True), max_size=4))
    def test_every_combination_comes_exactly_once(self, choices: list[list[int]]) -> None:
        hp = keras_tuner.HyperParameters()
        for number, values in enumerate(choices):
            hp.Choice(str(number), values)
        candidates = [tuple(values.values()) for values in grid(hp.space)]
        assert len(set(candidates)) == len(candidates) == math.prod(map(len, choices))


class TestHandingOut:
    def test_every_candidate_is_handed_out_before_any_has_ended(self, make: Callable[..., GridOracle]) -> None:
        oracle = make()
        trials = [oracle.create_trial(f"worker {n}") for n in range(6)]
        assert [t.status for t in trials] == [TrialStatus.RUNNING] * 6
        assert [dict(t.hyperparameters.values) for t in trials] == list(grid(space_of(plain).space))
        assert oracle.create_trial("late").status == TrialStatus.IDLE
        for trial in trials:
            end(oracle, trial)
        assert oracle.create_trial("late").status == TrialStatus.STOPPED
        assert [t.trial_id for t in trials] == sorted({t.trial_id for t in trials})

    def test_an_asker_that_has_a_trial_gets_it_again(self, make: Callable[..., GridOracle]) -> None:
        oracle = make()
        assert oracle.create_trial("one") is oracle.create_trial("one")

    def test_at_most_max_trials_are_handed_out(self, make: Callable[..., GridOracle]) -> None:
        assert len(run_out(make(max_trials=4))) == 4

    @pytest.mark.parametrize("seed", [0, 1, 12345])
    def test_a_seed_is_a_seed(self, make: Callable[..., GridOracle], seed: int) -> None:
        assert make(seed=seed).seed == seed

    def test_without_a_seed_one_is_drawn(self, make: Callable[..., GridOracle]) -> None:
        assert isinstance(make(seed=None).seed, int)

    def test_the_last_candidate_of_a_long_search_costs_what_the_first_does(
        self, make: Callable[..., GridOracle]
    ) -> None:
        def declare(hp: keras_tuner.HyperParameters) -> None:
            hp.Int("n", 0, 999)

        oracle, calls = make(declare), 0
        costs = []

        def count(frame: Any, event: str, argument: Any) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        for number in range(1000):
            calls = 0
            sys.setprofile(count)
            try:
                trial = oracle.create_trial("one")
                end(oracle, trial, score=float(number))
            finally:
                sys.setprofile(None)
            costs.append(calls)
        assert len(oracle.trials) == 1000
        assert sum(costs[-100:]) <= 1.1 * sum(costs[100:200])


class TestEnding:
    @pytest.mark.parametrize(("retries", "runs"), [(0, 1), (2, 3)])
    def test_an_invalid_trial_is_tried_again(self, make: Callable[..., GridOracle], retries: int, runs: int) -> None:
        oracle = make(nothing, max_retries_per_trial=retries)
        ids = []
        while (trial := oracle.create_trial("one")).status == TrialStatus.RUNNING:
            ids.append(trial.trial_id)
            end(oracle, trial, score=None)
        assert ids == ["0000"] * runs
        assert oracle.trials["0000"].status == TrialStatus.FAILED
        assert oracle.end_order == ["0000"]

    def test_a_retry_that_works_is_completed(self, make: Callable[..., GridOracle]) -> None:
        oracle = make(nothing, max_retries_per_trial=1)
        end(oracle, oracle.create_trial("one"), score=None)
        end(oracle, oracle.create_trial("one"), score=0.25)
        assert oracle.trials["0000"].status == TrialStatus.COMPLETED
        assert oracle.get_best_trials()[0].score == 0.25

    def test_a_score_that_is_nan_is_a_failure(self, make: Callable[..., GridOracle]) -> None:
        oracle = make(nothing)
        trial = oracle.create_trial("one")
        trial.metrics.register("score", "max")
        trial.metrics.metrics["score"].set_history([])
        oracle.score_trial = lambda trial: setattr(trial, "score", math.nan)  # type: ignore[method-assign]
        trial.status = TrialStatus.COMPLETED
        oracle.end_trial(trial)
        assert oracle.trials["0000"].status == TrialStatus.FAILED

    def test_too_many_failures_in_a_row_end_the_search(self, make: Callable[..., GridOracle]) -> None:
        oracle = make(max_consecutive_failed_trials=2)
        for score in (None, 0.5, None):
            end(oracle, oracle.create_trial("one"), score=score)
        trial = oracle.create_trial("one")
        trial.message = "Boom"
        with pytest.raises(RuntimeError, match=r"consecutive failures exceeded the limit of 2\.\nBoom"):
            end(oracle, trial, score=None)
        assert oracle.trials[trial.trial_id].status == TrialStatus.FAILED

    def test_the_objective_must_be_among_the_metrics(self, make: Callable[..., GridOracle]) -> None:
        oracle = make()
        trial = oracle.create_trial("one")
        with pytest.raises(ValueError, match="Objective value missing"):
            oracle.update_trial(trial.trial_id, {"other": 1.0})

    def test_ties_are_in_the_order_of_the_grid_whichever_ended_first(self, make: Callable[..., GridOracle]) -> None:
        oracle = make()
        trials = [oracle.create_trial(str(n)) for n in range(6)]
        for trial, score in reversed(list(zip(trials, [0.1, 0.9, 0.9, 0.5, 0.9, None], strict=True))):
            end(oracle, trial, score=score)
        assert [t.trial_id for t in oracle.get_best_trials(3)] == ["0001", "0002", "0004"]
        assert [t.trial_id for t in oracle.get_best_trials(9)] == ["0001", "0002", "0004", "0003", "0000", "0005"]

    def test_the_lowest_is_best_where_the_objective_is_to_be_minimised(self, make: Callable[..., GridOracle]) -> None:
        oracle = make(objective=keras_tuner.Objective("score", "min"))
        for score in (0.3, 0.1, 0.2):
            end(oracle, oracle.create_trial("one"), score=score)
        assert [t.score for t in oracle.get_best_trials(3)] == [0.1, 0.2, 0.3]

    def test_the_directions_of_several_objectives_are_kept(self, make: Callable[..., GridOracle]) -> None:
        oracle = make(objective=[keras_tuner.Objective("good", "max"), keras_tuner.Objective("bad", "min")])
        trial = oracle.create_trial("one")
        oracle.update_trial(trial.trial_id, {"good": 0.5, "bad": 0.25, "multi_objective": -0.25})
        assert [trial.metrics.get_direction(name) for name in ("good", "bad", "multi_objective")] == [
            "max",
            "min",
            "min",
        ]


class TestDiscovery:
    def test_a_hyperparameter_that_shows_up_later_is_searched(self, make: Callable[..., GridOracle]) -> None:
        """Every fit declares `late`; four askers have candidates before the first one ends."""

        def declare(hp: keras_tuner.HyperParameters) -> None:
            hp.Choice("a", [1, 2, 3])

        oracle, seen = make(declare), []
        waiting: dict[str, Trial] = {}
        while True:
            for worker in "1234":
                if worker not in waiting:
                    trial = oracle.create_trial(worker)
                    if trial.status == TrialStatus.RUNNING:
                        waiting[worker] = trial
            if not waiting:
                break
            worker, trial = next(iter(waiting.items()))
            del waiting[worker]
            trial.hyperparameters.Choice("late", [10, 20])
            end(oracle, trial)
            seen.append(tuple(sorted(trial.hyperparameters.values.items())))
        expected = [(("a", a), ("late", late)) for a in (1, 2, 3) for late in (10, 20)]
        assert sorted(seen) == expected

    def test_a_new_entry_is_refused_where_none_is_allowed(self, make: Callable[..., GridOracle]) -> None:
        oracle = make(allow_new_entries=False)
        trial = oracle.create_trial("one")
        trial.hyperparameters = trial.hyperparameters.copy()
        trial.hyperparameters.Choice("late", [10, 20])
        with pytest.raises(RuntimeError, match="`allow_new_entries` is `False`"):
            end(oracle, trial)

    def test_a_new_entry_keeps_its_default_where_none_is_tuned(self, make: Callable[..., GridOracle]) -> None:
        oracle = make(tune_new_entries=False)
        trial = oracle.create_trial("one")
        trial.hyperparameters.Choice("late", [10, 20])
        end(oracle, trial)
        assert [hp.name for hp in oracle.hyperparameters.space] == ["a", "b"]
        assert len(run_out(oracle)) == 5


class TestResuming:
    def begin(self, make: Callable[..., GridOracle]) -> None:
        """Two ended, one failed, one still running, two never handed out."""
        oracle = make()
        trials = [oracle.create_trial(str(n)) for n in range(4)]
        end(oracle, trials[0], 0.1)
        end(oracle, trials[1], 0.3)
        end(oracle, trials[2], None)
        oracle.save()

    def test_what_ended_is_kept_and_the_rest_is_handed_out_under_the_same_numbers(
        self, make: Callable[..., GridOracle]
    ) -> None:
        self.begin(make)
        oracle = make()
        oracle.reload()
        assert oracle.end_order == ["0000", "0001", "0002"]
        assert [t.score for t in oracle.get_best_trials(2)] == [0.3, 0.1]
        found = {}
        while (trial := oracle.create_trial("one")).status == TrialStatus.RUNNING:
            found[trial.trial_id] = dict(trial.hyperparameters.values)
            end(oracle, trial)
        whole = list(grid(space_of(plain).space))
        assert found == {"0003": whole[3], "0004": whole[4], "0005": whole[5]}

    @pytest.mark.parametrize(
        "content", ["", "{", "[]", "null", "{}", '{"trial_id": "0001"}', "\x00"], ids=lambda text: repr(text)
    )
    def test_a_damaged_trial_is_set_aside_and_done_again(self, make: Callable[..., GridOracle], content: str) -> None:
        self.begin(make)
        oracle = make()
        path = Path(oracle._project_dir) / "trial_0001" / "trial.json"
        path.write_text(content)
        oracle.reload()
        assert "0001" not in oracle.trials
        assert path.with_name("trial.json.damaged").read_text() == content
        values = run_out(oracle)
        assert list(grid(space_of(plain).space))[1] in values
        assert sorted(oracle.trials) == [f"{n:04d}" for n in range(6)]

    def test_a_trial_in_the_folder_of_another_is_set_aside(self, make: Callable[..., GridOracle]) -> None:
        self.begin(make)
        oracle = make()
        folder = Path(oracle._project_dir)
        (folder / "trial_0001" / "trial.json").write_text((folder / "trial_0000" / "trial.json").read_text())
        oracle.reload()
        assert sorted(oracle.trials) == ["0000", "0002"]

    def test_a_candidate_that_an_earlier_run_has_begun_keeps_its_number(self, make: Callable[..., GridOracle]) -> None:
        oracle = make()
        oracle.recall({"0000": {"a": 2, "b": "y"}}, [])
        found = [oracle.create_trial(str(n)) for n in range(6)]
        assert [t.trial_id for t in found] == ["0001", "0000", "0002", "0003", "0004", "0005"]
        assert [dict(t.hyperparameters.values) for t in found] == list(grid(space_of(plain).space))

    def test_the_files_are_keras_tuners(self, make: Callable[..., GridOracle]) -> None:
        self.begin(make)
        folder = Path(make()._project_dir)
        trial = Trial.load(str(folder / "trial_0001" / "trial.json"))
        assert (trial.trial_id, trial.score, trial.status) == ("0001", 0.3, "COMPLETED")
        assert json.loads((folder / "oracle.json").read_text())["end_order"] == ["0000", "0001", "0002"]

    def test_a_trials_file_holds_its_whole_state_also_where_the_space_grew(
        self, make: Callable[..., GridOracle]
    ) -> None:
        oracle = make()
        for number in range(3):
            trial = oracle.create_trial("one")
            if number == 1:
                trial.hyperparameters.Choice("new", [1, 2])
            end(oracle, trial)
            path = Path(oracle._project_dir) / f"trial_{trial.trial_id}" / "trial.json"
            assert json.loads(path.read_text()) == json.loads(json.dumps(trial.get_state()))

    def test_a_conditional_space_is_resumed(self, make: Callable[..., GridOracle]) -> None:
        oracle = make(conditional)
        for _ in range(20):
            end(oracle, oracle.create_trial("one"))
        oracle = make(conditional)
        oracle.reload()
        assert run_out(oracle) == list(grid(space_of(conditional).space))[20:]
