"""A run's checkpoint: written after every epoch, whole or not at all; read without running anything it brings."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from nasbench_eval.errors import NbevalError
from nasbench_eval.files import atomic_write


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write the state (tensors and plain values) of a run."""
    import torch

    with atomic_write(path) as temporary:
        torch.save(state, temporary)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Return the state, on the CPU, or None where there is no checkpoint.

    Raises:
        NbevalError: If the file cannot be read.
    """
    import torch

    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError) as error:
        raise NbevalError(
            f"cannot read the checkpoint {path} ({str(error).splitlines()[0]}): delete it to start that run again"
        ) from None
    if not isinstance(state, dict):
        raise NbevalError(f"{path} is no checkpoint of a run: delete it to start that run again")
    return state
