"""Schedules of learning rates."""

from __future__ import annotations

import math


def cosine(first: float, last: float, epoch: int, epochs: int, start: int = 0) -> float:
    """Return the learning rate of an epoch, which falls from ``first`` along a half cosine.

    Args:
        first: The rate of the epoch ``start``.
        last: The rate at which the cosine ends.
        epoch: The epoch.
        epochs: The epoch at which it ends; after it the rate rises again.
        start: The epoch at which the rate is the first one.
    """
    now, begun = (1 + math.cos(math.pi * at / epochs) for at in (epoch, start))
    return last + (first - last) * (now / begun)
