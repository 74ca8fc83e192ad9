"""A search in another process, interrupted in the middle."""

from __future__ import annotations

import os
import time
from pathlib import Path

from runners import locks


def signal_in_the_second_epoch(results: Path, number: int) -> None:
    """Send a signal to the process that trains, once it has written a checkpoint."""
    while not (found := [path.stem for path in results.glob("checkpoints/*.pt")]):
        time.sleep(0.02)
    [lock] = (results / "locks").glob(f"{found[0]}.*.lock")
    owner = locks._read(lock)
    assert owner is not None
    os.kill(owner[0].pid, number)
