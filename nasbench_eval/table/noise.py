"""The noise of a table: how much the accuracies of one cell differ between its trainings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasbench_eval.table.table import Table


def trial_noise(table: Table, dataset: str) -> tuple[float, str]:
    """Return the standard deviation between trials after the longest schedule, and the split that it is from.

    The split is test where the table has its trials, otherwise the nearest one that has; NaN and "" if none has.
    """
    for split in ("test", "valid+test", "valid"):
        noise = table.noise(dataset, split, epochs=table.longest(dataset))
        if not math.isnan(noise):
            return noise, split
    return math.nan, ""
