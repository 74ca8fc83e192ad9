"""Checkpoints of unfinished runs and artifacts of finished ones: written atomically, loaded without running code."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import pickle
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.runs.store import COSTS
from nasbench_eval.utils.checks import from_plain, shown
from nasbench_eval.utils.files import atomic_write, in_one_line, reading

ADVICE = "delete it to start that run again"
"""What to do with a checkpoint that cannot be used."""


def checkpoint_file(results_dir: Path, run_id: str) -> Path:
    """Return the path of a run's checkpoint, which exists while the run is unfinished."""
    return results_dir / "checkpoints" / f"{run_id}.pt"


@dataclass(frozen=True)
class Unfinished:
    """A checkpoint: a search after its last finished step. Older ones lack the fields that have a default.

    Attributes:
        method: The method's state.
        rows: What was recorded of each finished step.
        started: When the search began; ISO 8601, UTC.
        run_id: The run's id; empty if it does not say.
        threads: CPU threads; None if it does not say.
        continues: The id of the finished run whose steps the search took over; empty if none.
        code: The versions of the code that ran it.
        devices: The devices that ran it.
        images: The digest of the images; empty if it does not say.
    """

    method: dict[str, Any]
    rows: list[dict[str, Any]]
    started: str
    run_id: str = ""
    threads: int | None = None
    continues: str = ""
    code: list[str] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)
    images: str = ""


@dataclass(frozen=True)
class Position:
    """How far an unfinished run is; beside its checkpoint, so that nobody has to read that to know it.

    Attributes:
        run_id: The run's id.
        method: The preset's name.
        search_dataset: What it trains on.
        seed: The seed.
        scale: ``full``, or a named reduction.
        step: How many steps are finished.
        steps: How many it takes; None if its budget is in seconds.
        seconds: What the finished steps cost.
        cell: The architecture string of the cell after the last of them.
        changed: The settings that the user changed, in brackets.
    """

    run_id: str
    method: str
    search_dataset: str
    seed: int
    scale: str
    step: int
    steps: int | None
    seconds: float
    cell: str
    changed: str = ""


def position_file(results_dir: Path, run_id: str) -> Path:
    """Return the path of what tells how far a run is."""
    return checkpoint_file(results_dir, run_id).with_suffix(".json")


def write_position(results_dir: Path, position: Position) -> None:
    """Write how far a run is."""
    with atomic_write(position_file(results_dir, position.run_id)) as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(position)), encoding="utf-8")


@contextmanager
def announced(results_dir: Path, position: Position) -> Iterator[None]:
    """Write how far a run is before its checkpoint is written in the body; nothing stays of it without a checkpoint.

    So whoever finds a checkpoint also finds what it is of.
    """
    write_position(results_dir, position)
    try:
        yield
    finally:
        if not checkpoint_file(results_dir, position.run_id).exists():
            position_file(results_dir, position.run_id).unlink(missing_ok=True)


def read_position(path: Path) -> Position | None:
    """Read how far a run is; None if the run has been finished meanwhile.

    Raises:
        NbevalError: If the file cannot be read, or is not that of the run that it is named after.
    """
    with reading(path, "file of a run's progress", "delete it"):
        try:
            position = from_plain(Position, json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        if position.run_id != path.stem:
            raise ValueError("it is of another run")
        if position.step < 1 or position.seconds < 0:
            raise ValueError("it has no finished step")
        _require_cell(position.cell)
        return position


def training_file(results_dir: Path, run_id: str) -> Path:
    """Return the path of the checkpoint of a final cell that is trained from scratch (``truth="train"``)."""
    return results_dir / "trainings" / f"{run_id}.pt"


def remove_checkpoint(results_dir: Path, run_id: str) -> None:
    """Remove the checkpoints of a run that has ended."""
    training_file(results_dir, run_id).unlink(missing_ok=True)
    position_file(results_dir, run_id).unlink(missing_ok=True)
    checkpoint_file(results_dir, run_id).unlink(missing_ok=True)


def artifact_file(results_dir: Path, run_id: str) -> Path:
    """Return the path of what a finished run keeps (``SearchMethod.artifact``), such as its supernet."""
    return results_dir / "supernets" / f"{run_id}.pt"


def read_unfinished(results_dir: Path, run_id: str) -> Unfinished | None:
    """Read the checkpoint of a run; None if there is none.

    Raises:
        NbevalError: If it cannot be read, or is not that of a search of this run.
    """
    path = checkpoint_file(results_dir, run_id)
    if (state := load_checkpoint(path)) is None:
        return None
    with using(path):
        found = from_plain(Unfinished, state)
        if found.run_id not in ("", run_id):
            raise ValueError("it is of another run")
        if not found.rows:
            raise ValueError("it has no finished step")
        for number, row in enumerate(found.rows):
            _require_row(number, row)
        if not all(isinstance(each, str) for each in (*found.code, *found.devices)):
            raise ValueError("it does not say what made it")
    return found


def _require_row(number: int, row: object) -> None:
    """Raise ValueError if something is not the row of a step."""
    if not isinstance(row, dict) or row.get("step") != number:
        raise ValueError(f"row {number} is not that of step {number}")
    numbers = {"total_seconds": None, **row}
    _require_cell(numbers.pop("cell", None))
    for name, value in numbers.items():
        known = isinstance(value, int | float) and not isinstance(value, bool)
        if not known or (name in COSTS and not 0 <= value < math.inf):
            raise ValueError(f"the {name} of step {number} is {shown(value)}")


def _require_cell(text: object) -> None:
    try:
        Cell.parse(text)  # type: ignore[arg-type]  # says so if it is no text
    except UsageError as error:
        raise ValueError(str(error)) from None


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a state of tensors and plain values."""
    import torch

    # torch.save reports a full disk as a RuntimeError; writing bytes raises the OSError that atomic_write explains.
    content = io.BytesIO()
    torch.save(state, content)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def load_checkpoint(path: Path, what: str = "checkpoint", advice: str = ADVICE) -> dict[str, Any] | None:
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
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch itself does not look at the checksums, and would take other weights
        if damaged is not None:
            raise ValueError(f"{damaged} in it is damaged")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (*_NOT_A_STATE, *_NOT_A_FILE) as error:
        raise NbevalError(f"cannot read the {what} {path} ({in_one_line(error)}): {advice}") from None
    if not isinstance(state, dict):
        raise NbevalError(f"{path} is not a {what} of a run: {advice}")
    return state


@contextmanager
def using(path: Path, what: str = "checkpoint", advice: str = ADVICE) -> Iterator[None]:
    """Blame the file if what was read from it does not fit the search that uses it.

    Args:
        path: The file.
        what: What to call it in messages.
        advice: What the user should do if it does not fit.

    Raises:
        NbevalError: If the content has the wrong structure, or belongs to another method or other settings.
    """
    try:
        yield
    except _NOT_A_STATE as error:
        raise NbevalError(f"the {what} {path} does not fit this search ({in_one_line(error)}): {advice}") from None


# What torch and a method's load_state_dict raise for content of the wrong structure.
_NOT_A_STATE = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError, OverflowError)

# What reading a damaged file raises besides.
_NOT_A_FILE = (
    OSError, EOFError, MemoryError, pickle.UnpicklingError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
