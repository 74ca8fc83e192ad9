"""RobustDARTS (Zela et al., ICLR 2020): watch the curvature of the valid loss, and stop before it grows.

The largest eigenvalue of the Hessian of the valid loss in the architecture parameters tells how much the loss will
suffer from discretisation (section 4). :func:`largest_eigenvalue` measures it after an epoch; setting ``hessian``.

DARTS-ES (also there) measures it after every second epoch, stops the search when the moving average grows by more than
``stop_factor`` within a few measurements, and returns the cell of the epoch before: :func:`stop_epoch`. The sizes are
those of the released code, ``EVLocalAvg`` in ``src/utils.py`` with the defaults of ``src/search/args.py`` and
``--report_freq_hessian 2`` of its scripts: of 50 epochs, the first after which the search can stop is epoch 22.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nasbench_eval.methods.weight_sharing.darts import central_difference

EVERY = 2
"""Epochs from one measurement to the next."""

WINDOW = 5
"""Measurements of the moving average, which stands for the one in the middle."""

DELTA = 4
"""Measurements between the two averages that are compared."""

WIDTH = 1e-5
"""Half width of the difference by which a row of the Hessian is found, for double precision."""


def largest_eigenvalue(gradient: Callable[[], Sequence[Tensor]], parameters: Sequence[Tensor]) -> float:
    """Return the largest eigenvalue of a Hessian, row by row from central differences of the gradient.

    Args:
        gradient: Computes the gradient at the current parameters, which must be the same whenever it is called.
        parameters: The parameters, a few dozen numbers in all, of double precision; restored at the end.
    """
    rows = []
    for number, parameter in enumerate(parameters):
        for entry in range(parameter.numel()):
            direction: list[Tensor | None] = [None] * len(parameters)
            unit = torch.zeros_like(parameter)
            unit.view(-1)[entry] = 1.0
            direction[number] = unit
            row = central_difference(gradient, parameters, direction, WIDTH)
            rows.append(torch.cat([part.flatten() for part in row]))
    hessian = torch.stack(rows).cpu()
    return float(torch.linalg.eigvalsh((hessian + hessian.mT) / 2)[-1])


def measured_after(epoch: int) -> bool:
    """Return whether DARTS-ES measures the eigenvalue after an epoch."""
    return epoch % EVERY == 0


def stop_epoch(eigenvalues: Sequence[float], factor: float, first: int) -> int | None:
    """Return the epoch whose cell an early stop keeps if the search ends now; None if it goes on.

    Args:
        eigenvalues: The largest eigenvalue after every epoch so far; only those of every second epoch are read.
        factor: The growth of the average within ``DELTA`` measurements that ends the search.
        first: The first epoch that can be kept.
    """
    if not measured_after(len(eigenvalues) - 1):
        return None
    eigenvalues = eigenvalues[::EVERY]
    now = len(eigenvalues) - 1
    kept = now - WINDOW // 2 - DELTA
    if EVERY * kept < max(first, 0):
        return None
    before = statistics.fmean(eigenvalues[max(now - DELTA - WINDOW + 1, 0) : now - DELTA + 1])
    return EVERY * kept if statistics.fmean(eigenvalues[now - WINDOW + 1 :]) > factor * before > 0 else None
