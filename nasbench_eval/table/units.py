"""Notice numbers in another unit than the table's: fractions, error rates, counts instead of millions.

Needs no knowledge of the benchmark: a cell through which nothing flows guesses, on any data set.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nasbench_eval.cell import EDGES, INCOMING, N_CELLS, NODES, NONE, all_ops
from nasbench_eval.table.schema import Key

if TYPE_CHECKING:
    from nasbench_eval.table.table import Table

_FEWEST = 100
"""A column with fewer values is not judged."""


class WrongUnit(NamedTuple):
    """A column in another unit.

    Attributes:
        key: The column.
        found: What is odd about its values.
        times: The factor that makes them right.
        one_minus: Whether they are error rates.
    """

    key: Key
    found: str
    times: float = 1.0
    one_minus: bool = False


@cache
def dead_cells() -> np.ndarray:
    """Return which cells have no path from input to output: their networks see no image; bool (15625,)."""
    flows = all_ops() != NONE
    reached = [np.ones(N_CELLS, dtype=bool)]
    for node in range(1, NODES):
        reached.append(np.logical_or.reduce([flows[:, edge] & reached[EDGES[edge][1]] for edge in INCOMING[node]]))
    dead: np.ndarray = ~reached[-1]
    return dead


def wrong_units(table: Table) -> Iterator[WrongUnit]:
    """Yield the columns of a table that are in another unit."""
    for key in table.keys:
        values = table.values(key)
        values = values[np.isfinite(values)]
        if len(values) < _FEWEST:
            continue
        low, high = float(values.min()), float(values.max())
        if key.metric == "accuracy":
            turned = low >= 99 and high <= 100  # one minus a fraction, taken for percent
            fractions = turned or (low >= 0 and high <= 1)
            errors = _is_error_rate(table.values(key) - (99 if turned else 0))
            if fractions or errors:
                unit = " and ".join(["fractions"] * fractions + ["error rates"] * errors)
                found = f"is {low:.4g} to {high:.4g}" + (", highest where nothing flows through the cell" * errors)
                yield WrongUnit(key, f"{found}: {unit}, not accuracies in percent", 100.0 if fractions else 1.0, errors)
        elif key.metric in ("params_mb", "flops_m") and low >= 1000:
            yield WrongUnit(key, f"is {low:.4g} to {high:.4g}: counts, not millions", 1e-6)


def _is_error_rate(values: np.ndarray) -> bool:
    """Return whether the cells without a path, which guess, are among the best by far."""
    dead = values[dead_cells() & ~np.isnan(values)]
    if not len(dead):
        return False
    middle, high = np.nanquantile(values, [0.5, 0.9])
    # Both: accuracies of random labels have no order, but they hardly differ.
    return bool(dead.mean() > high and dead.mean() > 1.2 * middle)
