"""Which runs count: conditions such as ``arch_lr=4``, and the values of a setting that rows are grouped by."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nasbench_eval.analysis.labels import assignment, setting_text
from nasbench_eval.errors import NbevalError, UsageError, nearest
from nasbench_eval.runs.failures import Failure
from nasbench_eval.runs.store import Run, RunRecord

FACTS = tuple(
    field.name
    for field in dataclasses.fields(RunRecord)
    if field.name not in {"settings", "overrides", "reductions", "table", "versions", "started", "finished"}
)
"""What conditions can ask beside settings: the facts that every run's record has."""

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": lambda value, wanted: value <= wanted,
    ">=": lambda value, wanted: value >= wanted,
    "<": lambda value, wanted: value < wanted,
    ">": lambda value, wanted: value > wanted,
}

_MISSING = object()


@dataclass(frozen=True)
class Condition:
    """A condition on runs, as ``--where`` takes it.

    Attributes:
        key: A setting, or one of ``FACTS``.
        operator: ``=``, ``!=``, ``<``, ``>``, ``<=`` or ``>=``.
        wanted: What the value is compared with, as the user wrote it; for ``=`` and ``!=`` also several values,
            separated by commas.
    """

    key: str
    operator: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.key}{self.operator}{self.wanted}"

    def holds(self, record: RunRecord | Failure) -> bool:
        """Return whether it holds for a run. One without the setting has no value, so that only ``!=`` holds.

        Raises:
            UsageError: If the value has another type than what it is compared with.
        """
        value = value_of(record, self.key)
        if self.operator in _OPERATORS:
            if value is _MISSING or value is None:
                return False
            return _OPERATORS[self.operator](self._number(value, value), self._number(value, self.wanted))
        equal = value is not _MISSING and self._equal(value)
        return equal == (self.operator == "=")

    def _equal(self, value: Any) -> bool:
        parts = [part.strip() for part in self.wanted.split(",")]
        if isinstance(value, str):
            return value in (self.wanted, *parts)
        if value is None or isinstance(value, bool):
            return str(value).lower() in [part.lower() for part in parts]
        if not isinstance(value, int | float):
            return str(value) == self.wanted
        return value in [self._number(value, part) for part in parts if part != "none"]

    def _number(self, value: Any, text: Any) -> float:
        """Return a text, or the value itself, as a number that can be compared with a run's value."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f"--where {str(self)!r}: {self.key} is no number: compare it with = or !=")
        try:
            return float(text)
        except ValueError:
            raise UsageError(f"--where {str(self)!r}: {self.key} is a number; got {text!r}") from None


def parse_condition(text: str) -> Condition:
    """Parse a condition such as ``arch_lr=4`` or ``method!=darts,gdas``.

    Raises:
        UsageError: If it has no key, operator or value.
    """
    found = re.fullmatch(r"\s*([\w-]+)\s*(!=|<=|>=|=|<|>)\s*(\S.*?)\s*", text)
    if found is None:
        raise UsageError(f"--where {text!r}: a condition is KEY=VALUE, or has !=, <, >, <= or >= in between")
    return Condition(*found.groups())


def select(
    runs: Sequence[Run], failures: Sequence[Failure], conditions: Sequence[Condition]
) -> tuple[list[Run], list[Failure]]:
    """Return the runs and failures for which all conditions hold.

    Raises:
        UsageError: If a key is neither a fact nor a setting of any run (the message names the nearest), or no run has
            the value.
        NbevalError: If there are no runs.
    """
    if conditions and not runs:
        raise NbevalError("there are no runs for --where to choose from")
    complete = {(run.record.variant_id, run.record.seed) for run in runs}
    kept, failed = list(runs), [each for each in failures if (each.variant_id, each.seed) not in complete]
    for condition in conditions:
        check_key(condition.key, runs, "--where")
        matching = [run for run in kept if condition.holds(run.record)]
        if not matching:
            there = value_order((run.record for run in kept), condition.key)
            raise UsageError(f"no run with {str(condition)!r}: these have {', '.join(there)}")
        kept = matching
        # A failure knows fewer facts of its run, but all its settings; where it does not know, it stays.
        is_fact = condition.key in FACTS
        failed = [each for each in failed if (is_fact and not knows(each, condition.key)) or condition.holds(each)]
    return kept, failed


def check_key(key: str, runs: Sequence[Run], option: str) -> None:
    """Check that runs have a setting or fact.

    Raises:
        UsageError: If none has it; the message names the nearest one.
    """
    settings = sorted({name for run in runs for name in run.record.settings})
    if key not in FACTS and key not in settings:
        raise UsageError(
            f"{option}: unknown key {key!r}: {nearest(key, [*settings, *FACTS])}"
            f"known are {', '.join(FACTS)}, and every setting of these runs (`nbeval methods METHOD` lists them)"
        )


def knows(record: RunRecord | Failure, key: str) -> bool:
    """Return whether a run has a value for a key."""
    return value_of(record, key) is not _MISSING


def value_of(record: RunRecord | Failure, key: str) -> Any:
    """Return the value of a fact or setting of a run."""
    if key in FACTS:
        return getattr(record, key, _MISSING)
    return record.settings.get(key, _MISSING)


def value_text(record: RunRecord, key: str) -> str:
    """Return the value of a fact or setting in words, such as ``arch_lr=0.1``; ``no arch_lr`` if the run has none."""
    return assignment(key, getattr(record, key)) if key in FACTS else setting_text(record.settings, key)


def value_order(records: Iterable[RunRecord], key: str) -> dict[str, int]:
    """Return the position of each value in words: numbers by size, then other values by name, last no value."""

    def rank(record: RunRecord) -> tuple[int, float, str]:
        value = value_of(record, key)
        if value is _MISSING:
            return 2, 0.0, ""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return (0, value, "") if number else (1, 0.0, str(value))

    texts = [value_text(record, key) for record in sorted(records, key=rank)]
    return {text: number for number, text in enumerate(dict.fromkeys(texts))}
