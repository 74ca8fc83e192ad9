"""The records of trained cells: what ``nbeval table train`` writes and trained tables are made from. Needs no torch.

The file has one line of JSON for each cell and trial, after a first line, the head, that describes the images and the
schedule. Lines are appended as cells are trained, so that a kill loses only the cells that were in training. The files
of several machines are merged by joining their lines.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasbench_eval.cell import N_CELLS
from nasbench_eval.errors import NbevalError
from nasbench_eval.utils.files import append_text, atomic_write, require_file_name
from nasbench_eval.utils.paths import unreadable

if TYPE_CHECKING:
    from nasbench_eval.images import ImageData
    from nasbench_eval.training.recipes import Schedule

FORMAT = "nbeval trained cells 1"

_HEAD = {"dataset", "classes", "images", "side", "split", "sha256", "reduction", "schedule"}
_SCHEDULE = {"epochs", "channels", "cells"}
_LINE = {"cell", "trial", "group", "group_seconds", "nbeval", "torch"}
# What tables are made from; a bit flipped in one of these names must be found here, where the file is known.

CellTrial = tuple[int, int]
"""Official index of a cell, and trial."""


@dataclass
class Records:
    """The cells trained so far.

    Attributes:
        head: The first line: the images and the schedule.
        lines: One line for each cell and trial.

    The line of a training that diverged has ``diverged``, the cause, instead of accuracies and losses.
    """

    head: dict[str, Any]
    lines: dict[CellTrial, dict[str, Any]] = field(default_factory=dict)

    @staticmethod
    def read(path: Path) -> Records:
        """Read a file of records; a last line that a kill left unfinished is ignored.

        Raises:
            NbevalError: If the file is missing, damaged, or not a file of records.
        """
        try:
            text = path.read_text()
        except FileNotFoundError:
            raise NbevalError(f"no records of trained cells at {path}") from None
        except OSError as error:
            raise unreadable(path, error) from None
        except UnicodeDecodeError:
            text = ""  # no text at all
        try:
            first, *rest = text.split("\n")
            records = Records(json.loads(first))
            if records.head.get("format") != FORMAT or _HEAD - records.head.keys():
                raise ValueError
            if _SCHEDULE - records.head["schedule"].keys():
                raise ValueError
        except (ValueError, AttributeError):
            raise NbevalError(
                f"{path} does not hold records of trained cells: its first line is not the head of such a file"
            ) from None
        # The text after the last line break is empty, or an unfinished line.
        for number, text in enumerate(rest[:-1], start=2):
            try:
                line = without_divergence(json.loads(text))
                if _LINE - line.keys() or not _is_sound(line, records.head["schedule"]["epochs"]):
                    raise ValueError
                records.lines[line["cell"], line["trial"]] = line
            except (ValueError, KeyError, TypeError):
                raise NbevalError(
                    f"{path}, line {number} is damaged: delete that line, and its cell is trained again"
                ) from None
        return records

    def write(self, path: Path) -> None:
        """Write the whole file atomically."""
        with atomic_write(path) as temporary:
            temporary.write_text("".join(f"{_text(line)}\n" for line in [self.head, *self._sorted()]))

    @property
    def finished(self) -> dict[CellTrial, dict[str, Any]]:
        """The lines with accuracies: those of trainings that did not diverge."""
        return {key: line for key, line in self.lines.items() if "diverged" not in line}

    @property
    def diverged(self) -> dict[CellTrial, str]:
        """The causes of the trainings that diverged."""
        return {key: line["diverged"] for key, line in self.lines.items() if "diverged" in line}

    def _sorted(self) -> list[dict[str, Any]]:
        return [self.lines[key] for key in sorted(self.lines, key=lambda key: (key[1], key[0]))]

    def append(self, path: Path, lines: Iterable[dict[str, Any]]) -> None:
        """Add lines here and to the file; they are flushed to disk when this returns.

        Raises:
            NbevalError: If the disk is full, or the file is not writable; it is then as before.
        """
        lines = list(lines)
        append_text(path, "".join(f"{_text(line)}\n" for line in lines))
        self.lines.update({(line["cell"], line["trial"]): line for line in lines})


def _is_sound(line: dict[str, Any], epochs: int) -> bool:
    """Return whether the cells, the trial and the number of epochs of a line can be true."""
    cells = [line["cell"], *line["group"]]
    whole = all(isinstance(number, int) and not isinstance(number, bool) for number in (*cells, line["trial"]))
    return (
        whole
        and all(0 <= cell < N_CELLS for cell in cells)
        and line["trial"] >= 0
        and ("diverged" in line or len(line["valid"]) == epochs)
    )


def without_divergence(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line as it is if its losses are finite; otherwise with the cause instead of accuracies and losses.

    A network whose weights are not finite predicts the first class, so that its accuracy would look like a result.
    """
    if "diverged" in line:
        return line
    measured = [(f"validation loss after epoch {n}", loss) for n, (_, loss) in enumerate(line["valid"], start=1)]
    measured += [("training loss of the last epoch", line["train"][1]), ("test loss", line["test"][1])]
    for name, loss in measured:
        if not math.isfinite(loss):
            kept = {key: value for key, value in line.items() if key not in ("train", "valid", "test")}
            return {**kept, "diverged": f"{name} is {loss}"}
    return line


def _text(line: dict[str, Any]) -> str:
    return json.dumps(line, separators=(",", ":"))


def records_path(table: Path) -> Path:
    """Return the path of the records of a table file: beside it."""
    return require_file_name(table).with_suffix(".records.jsonl")


def head_of(data: ImageData, schedule: Schedule) -> dict[str, Any]:
    """Return the head of records: everything that must agree before files are merged or a run continues one."""
    return {
        "format": FORMAT,
        "dataset": data.name,
        "classes": data.classes,
        "images": [len(data.train), len(data.valid), len(data.test)],
        "side": data.train.pixels.shape[2],
        "split": data.split,
        "sha256": data.digest,
        "reduction": data.reduction,
        "schedule": dataclasses.asdict(schedule),
    }


def require_same_head(found: dict[str, Any], expected: dict[str, Any], path: Path) -> None:
    """Check that the records in a file belong to the same images and schedule.

    Raises:
        NbevalError: If they do not; the message names what differs.
    """
    differing = [key for key in expected if found.get(key) != expected[key]]
    if differing:
        raise NbevalError(
            f"the cells in {path} were trained differently, {', '.join(differing)} differs: choose another --out, or "
            "delete that file"
        )


def merge_records(paths: Sequence[Path]) -> Records:
    """Merge the records of several machines; of a cell trained twice, the first file's line is kept.

    Raises:
        NbevalError: If the files differ in images or schedule.
    """
    first, *others = (Records.read(path) for path in paths)
    for path, other in zip(paths[1:], others, strict=True):
        require_same_head(other.head, first.head, path)
        first.lines = other.lines | first.lines
    return first
