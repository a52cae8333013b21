"""What a search asks for candidates: the interface between the loop and grids, samplers, oracles.

Owns the order of asking and telling. How candidates are chosen is the business of who implements it.
"""

from __future__ import annotations

import abc
import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any

from tuner_app.records.results import Candidate
from tuner_app.records.tasks import WHOLE, Budget


class Turn(enum.Enum):
    """An answer without a candidate."""

    WAIT = "there is none until an open candidate has ended"
    BUSY = "to make one, something is needed that a running fit holds: ask again soon"
    DONE = "there will be none"


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Proposal:
    """A candidate to try.

    Attributes:
        trial_id: Its name, on disk and for the user.
        values: The hyperparameters' values.
        seed_values: The values that the seeds of its fits are made of.
        space: The hyperparameters that its model knows, as Keras Tuner's objects.
        budget: Which epochs of its training to run.
    """

    trial_id: str
    values: Mapping[str, Any]
    seed_values: Mapping[str, Any]
    space: Sequence[Any] = ()
    budget: Budget = WHOLE


class Strategy(abc.ABC):
    """Proposes candidates, and hears what came of them.

    It is asked and told by one thread. Candidates are told in the order in which they were asked for, whichever ended
    first; an adaptive strategy is always asked up to its `lookahead` before it is told the next one. So what it
    proposes depends on no clock and on no number of jobs, and a search is resumed by asking anew: what the journal
    holds of a proposal is not fitted again.

    Attributes:
        lookahead: How many candidates may be open at once.
        is_adaptive: Whether what it is told changes what it proposes. If not, open are the candidates whose fits are
            not done; if it is, those that it was not told of: then `lookahead` is a part of the recipe.
    """

    lookahead: int = 256
    is_adaptive: bool = True

    @abc.abstractmethod
    def ask(self, *, beside_fits: bool, may_be_busy: bool) -> Proposal | Turn:
        """The next candidate, or why there is none.

        Args:
            beside_fits: Whether fits run now.
            may_be_busy: Whether `Turn.BUSY` is an answer; else it waits for what it needs, unless `beside_fits` makes
                that impossible.
        """

    @abc.abstractmethod
    def tell(self, candidate: Candidate) -> None:
        """A candidate has ended; told in the order of asking."""

    def watch(self, candidate: Candidate, *, is_new: bool) -> None:  # noqa: B027  (most strategies end no search)
        """A candidate has ended; told at once, in whatever order, and so nothing that is proposed may depend on it.

        Args:
            candidate: The candidate.
            is_new: Whether this run has fitted any of it.

        Raises:
            SearchError: The search is to end because of it, such as after too many failures in a row.
        """

    def ordered(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A candidate's values in the order of the space, those included that its fits have asked for."""
        return dict(values)

    def arranged(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Candidates in the order of the table: by default the order of asking."""
        return list(candidates)
