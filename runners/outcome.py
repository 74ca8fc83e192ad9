"""What becomes of the runs that a command asks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nasbench_eval.errors import RunError
    from nasbench_eval.runs.failures import Failure
    from nasbench_eval.runs.store import Run
    from runners.locks import Owner


@dataclass(frozen=True)
class InUse:
    """A run that this command left alone, because another one is at work on it.

    Attributes:
        run_id: The run's id.
        what: Which run, or for a tabular search which variant, in words.
        owner: Who has its lock.
    """

    run_id: str
    what: str
    owner: Owner


class Outcome(NamedTuple):
    """What became of some specs.

    Attributes:
        runs: The runs that are complete.
        failures: Those that diverged.
        in_use: Those that others are at work on.
        submitted: The ids of those that a cluster has, and that this command did not wait for.
        broken: The errors that ended single runs, or the runs of one variant.
    """

    runs: list[Run]
    failures: list[Failure]
    in_use: list[InUse]
    submitted: Sequence[str] = ()
    broken: Sequence[RunError] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many runs became what."""
        return {
            "complete": len(self.runs),
            "diverged": len(self.failures),
            "in_use": len(self.in_use),
            "submitted": len(self.submitted),
        }


def in_use_words(in_use: Iterable[InUse]) -> str:
    """Say who is at work on which runs: each owner with the first of its runs, and how many more."""
    by_owner: dict[str, dict[str, None]] = {}
    for each in in_use:
        by_owner.setdefault(each.owner.words, {})[each.what] = None
    return "; ".join(
        f"{who} is at work on {next(iter(runs))}" + (f" and {len(runs) - 1} more" if len(runs) > 1 else "")
        for who, runs in by_owner.items()
    )
