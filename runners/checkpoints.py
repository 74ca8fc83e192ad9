"""A run's checkpoint and what is kept of it: written whole or not at all; read without running anything they bring."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from nasbench_eval.errors import NbevalError
from nasbench_eval.utils.files import atomic_write


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write the state (tensors and plain values) of a run."""
    import torch

    with atomic_write(path) as temporary:
        torch.save(state, temporary)


def load_checkpoint(
    path: Path, what: str = "checkpoint", advice: str = "delete it to start that run again"
) -> dict[str, Any] | None:
    """Return the state, on the CPU, or None where there is no such file.

    Args:
        path: The file.
        what: What it is, for messages.
        advice: What to do where it cannot be read.

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
        raise NbevalError(f"{path} is no {what} of a run: {advice}")
    return state
