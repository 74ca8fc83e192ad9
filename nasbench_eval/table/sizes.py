"""The size of a cell's network, computed from the cell."""

from __future__ import annotations

from functools import cache

import numpy as np

from nasbench_eval.cell import N_EDGES, NOR_CONV_1X1, NOR_CONV_3X3, Cell, all_ops


def network_size(
    cell: Cell, *, channels: int, cells: int, side: int, classes: int, reduction: str = "residual"
) -> tuple[int, int]:
    """Return the parameters of a cell's ``StandaloneNet``, and its multiply-adds for one image.

    Args:
        cell: The cell.
        channels: Channels of the first stage (C), 16 in the benchmark.
        cells: Cells per stage (N), 5 in the benchmark.
        side: Height and width of an image.
        classes: Number of classes.
        reduction: How the network halves its feature maps: ``residual`` or ``pooling``.
    """
    return _size(cell.ops.count(NOR_CONV_1X1), cell.ops.count(NOR_CONV_3X3), channels, cells, side, classes, reduction)


def all_sizes(*, channels: int, cells: int, side: int, classes: int, reduction: str = "residual") -> np.ndarray:
    """Return ``network_size`` of every cell in official order, int (15625, 2)."""
    ones, threes = _convolutions()
    counts = range(N_EDGES + 1)
    sizes = np.array([[_size(o, t, channels, cells, side, classes, reduction) for t in counts] for o in counts])
    of_cells: np.ndarray = sizes[ones, threes]
    return of_cells


@cache
def _convolutions() -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of 1x1 and of 3x3 convolutions of every cell in official order, both (15625,)."""
    return (all_ops() == NOR_CONV_1X1).sum(1), (all_ops() == NOR_CONV_3X3).sum(1)


@cache
def _size(ones: int, threes: int, width: int, repeats: int, side: int, classes: int, reduction: str) -> tuple[int, int]:
    """Only the number of each convolution matters."""
    params, flops = 27 * width + 2 * width, 27 * width * side**2
    for stage in range(3):
        for count, area in ((repeats * ones, 1), (repeats * threes, 9)):
            params += count * (area * width**2 + 2 * width)
            flops += count * area * width**2 * side**2
        if stage < 2:
            side //= 2
            weights = width * 2 * width
            if reduction == "residual":
                weights += 9 * width * 2 * width + 9 * (2 * width) ** 2
                params += 8 * width
            params += weights
            flops += weights * side**2
            width *= 2
    return params + 2 * width + (width + 1) * classes, flops + width * classes
