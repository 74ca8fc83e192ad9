"""What figures are asked to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasbench_eval.errors import NbevalError, UsageError

if TYPE_CHECKING:
    from nasbench_eval.table import Table


class NothingToDraw(NbevalError):
    """The runs do not have what the figure shows."""


class NeedsOption(NothingToDraw, UsageError):
    """The call does not say what the figure is to show."""


@dataclass(frozen=True)
class View:
    """What to show of some runs. A figure uses what concerns it.

    Attributes:
        datasets: Evaluated data sets (search data sets, for what the search itself observed); empty for all.
        methods: Methods whose published values are shown; empty for all.
        notes: Sentences to add to the caption.
        bars: Whether ``figure5`` has bars from zero, as in the post.
        against: The method, label or variant that ``against`` compares with; empty for none.
        table: The benchmark table that ``distribution`` shows; None for none.
    """

    datasets: Sequence[str] = ()
    methods: Sequence[str] = ()
    notes: Sequence[str] = ()
    bars: bool = False
    against: str = ""
    table: Table | None = None


EVERYTHING = View()
"""All data sets and methods."""
