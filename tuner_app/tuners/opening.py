"""A project opened for a search: whether it is this search's, and what of it is done.

Owns the order of the checks, and what earlier versions did otherwise. Only for who holds the project's lock.
"""

from __future__ import annotations

import dataclasses
import logging
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.model_selection import KFold

from tuner_app.compiled.context import ENGINE_RULE
from tuner_app.data import prepare, targets
from tuner_app.errors import ProjectError, Remedy
from tuner_app.folds.splits import make_splits
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.seeds import fit_seed
from tuner_app.records.tasks import Index
from tuner_app.storage import description, fold_extras, journal, kept_folds
from tuner_app.storage.files import read_json, sealed, set_aside, write_json
from tuner_app.storage.project import Project
from tuner_app.training import fingerprint
from tuner_app.tuners import asked, trials
from tuner_app.tuners.settings import Settings

logger = logging.getLogger(__name__)

Splits = Sequence[tuple[Index, Index]]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class OpenProject:
    """A project that is this search's.

    Attributes:
        journal: The journal, open for this search.
        splits: The folds: those of the search's first run.
        seed: The seed of the search.
        search_id: What ties the journal's records to it.
        engine_rule: The rule by which the engine of a fit is chosen: that of the search's first run.
        recorded: The candidates that the journal knows.
    """

    journal: journal.Journal
    splits: Splits
    seed: int
    search_id: str
    engine_rule: int
    recorded: Sequence[trials.Recorded]

    @property
    def candidates(self) -> list[Candidate]:
        """The candidates with what is done of each."""
        return [one.candidate for one in self.recorded]

    @property
    def records(self) -> list[FoldResult]:
        """The finished fits."""
        return [record for candidate in self.candidates for record in candidate.folds]


def open_project(
    settings: Settings,
    data: prepare.SearchData,
    fit_options: Mapping[str, Any],
    model: Mapping[str, Any] | None,
) -> OpenProject:
    """Check that a project is this search's, read what is done of it, and write what is asked.

    Args:
        settings: What the tuner was told.
        data: The checked data.
        fit_options: What `HyperModel.fit` gets beyond the data.
        model: What a model of the default hyperparameters is; None where there is none to look at.

    Raises:
        InputError: `cv` cannot split these rows.
        ProjectError: It belongs to another search, or lacks what this one needs.
    """
    opening = _Opening(settings, data, fit_options, model)
    return opening.open()


class _Opening:
    """The steps, each of which may replace the folds or the seed by those of the search's first run."""

    def __init__(
        self,
        settings: Settings,
        data: prepare.SearchData,
        fit_options: Mapping[str, Any],
        model: Mapping[str, Any] | None,
    ) -> None:
        self.data, self.fit_options, self.model = data, fit_options, model
        self.project = settings.project
        self.classes = targets.stratification(data.target, data.y)
        self.splits: Splits = make_splits(settings.cv, data.x, data.y, data.groups, classes=self.classes)
        # Somebody else's folder, with files but no search: nothing is read or written there.
        if not self.project.exists() and self.project.path.exists():
            self.project.check_may_overwrite()
        self.earlier = description.read_description(self.project)
        self.settings = self._with_seed(settings)
        self.threads = settings.devices["intra_op_threads"]
        if self.earlier is not None:
            self.threads = self.earlier["asked"]["intra_op_threads"]
        self.engine_rule = ENGINE_RULE if self.earlier is None else self.earlier["asked"].get("engine_rule", 1)

    def open(self) -> OpenProject:
        settings, project, earlier = self.settings, self.project, self.earlier
        self._take_folds_of_earlier_versions()
        self._take_threads_of_earlier_versions()
        self._take_engine_of_earlier_versions()
        drawn_anew = kept_folds.draws_anew(settings.cv)
        if drawn_anew:
            self._take_kept_folds()
        identity = self._identity()
        if earlier is not None:
            identity = asked.with_comparable_build(identity, earlier["asked"])
            description.check_same_search(project, earlier, identity)
            self._warn_of_other_code(earlier)
        self._warn_of_other_threads()
        # The records of the journal say whose they are, so a lost `search.json` loses no fold.
        search_id = description.search_id(earlier, identity, lambda: journal.owners(project))
        book = journal.Journal(project, search_id)
        project.remove_leftovers()  # Of a process that was killed; who holds the lock is alone here.
        recorded, extras = self._recorded(book)
        if drawn_anew:
            kept_folds.keep_folds(project, identity, list(self.splits))
        content = asked.description(
            *(settings, self.data, self.splits),
            asked=identity,
            search_id=search_id,
            extras=extras,
            created=(earlier or {}).get("created"),
        )
        # Last: until here nothing says that the project is this search's.
        write_json(project.search_file, sealed(content))
        return OpenProject(
            journal=book,
            splits=self.splits,
            seed=settings.seed,
            search_id=search_id,
            engine_rule=self.engine_rule,
            recorded=recorded,
        )

    def _identity(self) -> dict[str, Any]:
        return asked.identity(
            *(self.settings, self.data, self.splits, self.fit_options, self.model),
            engine_rule=self.engine_rule,
            intra_op_threads=self.threads,
        )

    def _with_seed(self, settings: Settings) -> Settings:
        """A seed that was drawn is that of the first run."""
        if settings.is_seed_given:
            return settings
        seed = _drawn_seed(self.project) if self.earlier is None else self.earlier["asked"]["seed"]
        return settings if seed is None else dataclasses.replace(settings, seed=seed)

    def _take_folds_of_earlier_versions(self) -> None:
        """The first version never stratified a number of folds: a search that it began goes on with its folds."""
        if self.classes is None or not isinstance(self.settings.cv, numbers.Integral):
            return
        stratified = self.splits
        self.splits = make_splits(KFold(int(self.settings.cv)), self.data.x, self.data.y)
        identity = self._identity()
        if self.earlier is not None:
            is_theirs = self.earlier["asked"]["folds"] == identity["folds"]
        else:
            ids = {*_ids_by_any_rule(identity), *_ids_by_any_rule(identity, threads=1)}
            is_theirs = not journal.owners(self.project).isdisjoint(ids)
        if not is_theirs:
            self.splits = stratified

    def _take_threads_of_earlier_versions(self) -> None:
        """Where `search.json` is lost, the records tell whether they were made when there was one thread for all."""
        if self.earlier is None:
            owners, identity = journal.owners(self.project), self._identity()
            theirs = _ids_by_any_rule(identity, threads=1)
            if owners.isdisjoint(_ids_by_any_rule(identity)) and not owners.isdisjoint(theirs):
                self.threads = 1

    def _take_engine_of_earlier_versions(self) -> None:
        """Where `search.json` is lost, the records tell by which rule they were made."""
        if self.earlier is not None:
            return
        owners, identity = journal.owners(self.project), self._identity()
        current = set(description.search_ids(identity))
        for rule in range(ENGINE_RULE - 1, 0, -1):
            ids = set(description.search_ids({**identity, "engine_rule": rule}))
            # Some ids leave the rule out: those of the versions that had only the first.
            if not owners.isdisjoint(ids if rule == 1 else ids - current) and owners.isdisjoint(current - ids):
                self.engine_rule = rule
                return

    def _take_kept_folds(self) -> None:
        """Take the folds of the first run in place of those that the splitter has drawn now."""
        self.splits = kept_folds.kept_folds(self.project, self._identity()) or self.splits
        if self.earlier is not None:
            kept_folds.check_folds(self.project, self.earlier, self._identity())

    def _warn_of_other_code(self, earlier: Mapping[str, Any]) -> None:
        then, now = earlier.get("code"), fingerprint.source_digest(self.settings.hypermodel)
        if then is not None and now is not None and then != now:
            logger.warning(
                "The hypermodel's code has changed since %s was last searched, though it builds the same model from "
                "the default hyperparameters. What is finished is kept; start over with %s if it would "
                "come out otherwise now.",
                self.project.path,
                Remedy.OVERWRITE,
            )

    def _warn_of_other_threads(self) -> None:
        here = self.settings.devices["intra_op_threads"]
        if here != self.threads:
            logger.warning(
                "The search in %s was begun with %s for an operation, and TensorFlow has been started with %s in this "
                "process: what is fitted now may differ in its last digits. Search in a new process to avoid it.",
                *(self.project.path, _threads(self.threads), here or "one for each core"),
            )

    def _recorded(self, book: journal.Journal) -> tuple[list[trials.Recorded], dict[str, bool]]:
        """The journal's candidates, and what each of their folds keeps beyond its score."""
        settings, project = self.settings, self.project
        whole = len(self.splits), settings.executions
        records = [r for r in self._usable(book.read()) if r.fold < whole[0] and r.execution < whole[1]]
        wanted = {
            "return_train_score": settings.return_train_score,
            "keep_fold_models": settings.keep_fold_models and not settings.has_own_fitter,
        }
        extras = fold_extras.check_extras(project, self.earlier, records, wanted)
        recorded = trials.recorded(journal.group(records), settings.space, project)
        # Keras Tuner's readers would take such a file for a candidate of this search.
        for path in sorted(project.path.glob("trial_*/trial.json")):
            if not any(path.parent.glob("fold_*.json")):
                set_aside(path, "there is no fold of this trial in the journal")
        return recorded, extras

    def _usable(self, records: Sequence[FoldResult]) -> list[FoldResult]:
        """The records; failed fits are tried again where nothing else came of the search."""
        if self.settings.stops_at_a_failure or all(record.error is not None for record in records):
            return [record for record in records if record.error is None]
        return list(records)


def _ids_by_any_rule(identity: Mapping[str, Any], *, threads: int | None = None) -> set[str]:
    """The ids that a search may have, by whichever rule its engine is chosen; `threads` in place of the identity's."""
    threads = identity["intra_op_threads"] if threads is None else threads
    rules = range(1, ENGINE_RULE + 1)
    asked_by_rule = ({**identity, "intra_op_threads": threads, "engine_rule": rule} for rule in rules)
    return {one for asked_then in asked_by_rule for one in description.search_ids(asked_then)}


def _threads(number: int) -> str:
    return "a thread for each core" if number == 0 else f"{number} thread{'s' if number > 1 else ''}"


def _drawn_seed(project: Project) -> int | None:
    """The seed that a search drew, where its `search.json` is lost: that of `oracle.json`, if a fit was made with it.

    None where there is no such fit: then no seed is proven, and another is drawn.
    """
    try:
        seed = read_json(project.oracle_file)["seed"]
    except (ProjectError, KeyError):
        return None
    made = (
        record.seed == fit_seed(seed, record.values, record.fold, record.execution)
        for _, record in journal.whole_records(project)
    )
    return int(seed) if isinstance(seed, int) and any(made) else None
