"""Checkpoints of unfinished runs and artifacts of finished ones: written atomically, loaded without running code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from nasbench_eval.errors import NbevalError
from nasbench_eval.utils.files import atomic_write


def checkpoint_file(results_dir: Path, run_id: str) -> Path:
    """Return the path of a run's checkpoint, which exists while the run is unfinished."""
    return results_dir / "checkpoints" / f"{run_id}.pt"


def artifact_file(results_dir: Path, run_id: str) -> Path:
    """Return the path of what a finished run keeps (``SearchMethod.artifact``), such as its supernet."""
    return results_dir / "supernets" / f"{run_id}.pt"


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a state of tensors and plain values."""
    import torch

    with atomic_write(path) as temporary:
        torch.save(state, temporary)


def load_checkpoint(
    path: Path, what: str = "checkpoint", advice: str = "delete it to start that run again"
) -> dict[str, Any] | None:
    """Return the state on the CPU, or None if there is no such file.

    Args:
        path: The file.
        what: What to call it in messages.
        advice: What the user should do if it cannot be read.

    Raises:
        NbevalError: If the file cannot be read.
    """
    import torch

    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError) as error:
        why = next(iter(str(error).splitlines()), "it ends early")
        raise NbevalError(f"cannot read the {what} {path} ({why}): {advice}") from None
    if not isinstance(state, dict):
        raise NbevalError(f"{path} is not a {what} of a run: {advice}")
    return state
