"""CPU threads of tensor computations: how many, and how they wait for each other.

**How many** belongs to a search as its seed does: a sum of floating-point numbers depends on how threads divide it, and
so does the trajectory. The number therefore follows from what was asked for and from the cores that this process may
use (its affinity and its container's quota), never from how busy they are at the moment; it is in the record of a run
and in its checkpoints, and a resumed search goes on with the threads it began with.

**How they wait** changes no number. By default the threads of OpenMP spin while they wait. If other processes need the
cores, each spins away the time in which the other thread could have finished: on two cores shared with much other work,
an epoch with two threads took 50 times as long as with one. Threads that sleep while they wait took 2.5 times as long
and found the same losses (``python benchmarks/threads.py``). So they sleep here, unless ``OMP_WAIT_POLICY`` is set.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from nasbench_eval.utils.processes import usable_cores

logger = logging.getLogger("nbeval")

_WAIT = "OMP_WAIT_POLICY"

MOST = 1024
"""The largest number of threads of a search that can be asked for; no system starts any number of them."""


def sleep_while_waiting() -> None:
    """Have the threads of this process and its children sleep while they wait; call it before torch is loaded."""
    if "torch" not in sys.modules:
        os.environ.setdefault(_WAIT, "passive")


def threads() -> int:
    """Return the number of CPU threads that tensors are computed with (1 where no torch is loaded)."""
    torch = sys.modules.get("torch")
    return int(torch.get_num_threads()) if torch is not None else 1


@contextmanager
def computing_with(number: int) -> Iterator[None]:
    """Compute tensors with this many threads in a context, whatever is set in it; afterwards with as many as before."""
    before = threads()
    _set(number)
    try:
        yield
    finally:
        _set(before)


def resume_with(number: int, what: str) -> None:
    """Go on with the threads that a search began with, and say so if they are others than it would have now.

    Args:
        number: The number in its checkpoint.
        what: Which search, for the message.
    """
    if number != threads():
        logger.warning(
            "%s goes on with the %d threads that it began with, not with %d: its numbers depend on them",
            what,
            number,
            threads(),
        )
        _set(number)


def _set(number: int) -> None:
    import torch

    if torch.get_num_threads() != number:
        torch.set_num_threads(number)


def share(workers: int, asked: int | None = None, *, cores: int | None = None) -> int:
    """Return how many threads each of some searches in parallel gets.

    Args:
        workers: How many searches run in parallel.
        asked: What the user asked for; None: torch's own number (``OMP_NUM_THREADS``, or one per core), divided.
        cores: The cores that this process may use; None: :func:`usable_cores`.
    """
    import torch

    if asked is not None:
        return asked
    return max(_allowed(torch.get_num_threads(), usable_cores() if cores is None else cores) // workers, 1)


@cache  # so that it is said once
def _allowed(everything: int, cores: int) -> int:
    if everything > cores:
        logger.warning("%d threads instead of torch's %d: this process may use %d cores", cores, everything, cores)
    return min(everything, cores)


def warn_if_busy(each: int, searches: int) -> None:
    """Log a warning if several threads of a search are about to compute together on cores that are not all free.

    Args:
        each: The threads of each search.
        searches: How many run in parallel.
    """
    cores = usable_cores()
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if each > 1 and busy + each * searches > cores + 0.5:
        logger.warning(
            "other work keeps %.1f of %d cores busy, and the threads of a search wait for each other: --threads 1 "
            "(with --workers N) waits least; another number of threads is another trajectory",
            min(busy, cores),
            cores,
        )
