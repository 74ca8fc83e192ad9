"""Write the steps of a search to TensorBoard while it runs: one folder per run under ``results/logs``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError, unknown

if TYPE_CHECKING:
    from runners.context import RunContext
    from runners.spec import RunSpec

    Row = Mapping[str, Any]

LOGS = ("tensorboard",)
"""What ``--log`` takes."""

UNSEEN = "not_seen_by_the_search"
"""The group of the true test accuracies, which the runner looks up after each step."""


def check_log(log: str | None) -> None:
    """Check that a kind of log is known and its package installed.

    Raises:
        UsageError: If it is unknown.
        NbevalError: If its package is not installed.
    """
    if log is not None and log not in LOGS:
        raise unknown("log", log, LOGS)
    if log is not None and find_spec("tensorboard") is None:
        raise NbevalError("--log tensorboard needs TensorBoard: pip install 'nbeval[tensorboard]'")


def scalars(row: Row) -> dict[str, float]:
    """Return the finite numbers in a row of a run file by name; the part before the slash groups them in TensorBoard.

    ``cell/index`` and ``cell/OPERATION`` (number of edges) describe the current cell, ``cost/...`` is in seconds,
    ``not_seen_by_the_search/test_acc.DATASET`` is its true accuracy, and ``search/...`` what the method observed.
    """
    from nasbench_eval.runs.store import TEST_ACC  # with pandas, which the command line does without

    values: dict[str, float] = {"cell/index": Cell.parse(row["cell"]).index}
    for name, value in row.items():
        if name in ("step", "cell") or not math.isfinite(value):
            continue
        if name.startswith(TEST_ACC):
            values[f"{UNSEEN}/{name}"] = value
        elif name.startswith("n_"):
            values[f"cell/{name.removeprefix('n_')}"] = value
        else:
            values[f"{'cost' if name.endswith('seconds') else 'search'}/{name}"] = value
    return values


def log_folder(spec: RunSpec, context: RunContext) -> Path:
    """Return the folder of a run's log, named as its run file."""
    return context.results_dir / "logs" / context.run_file(spec).stem


@contextmanager
def step_log(spec: RunSpec, context: RunContext, rows: Iterable[Row]) -> Iterator[Callable[[Row], None]]:
    """Return a context whose value writes a row to the run's log; it does nothing without ``context.log``.

    The log is begun anew with the rows of the checkpoint, so that after a resume it has every step once.

    Args:
        spec: The run.
        context: Says whether to log, and where.
        rows: The rows of the steps that are done.
    """
    if context.log is None:
        yield lambda row: None
        return
    from torch.utils.tensorboard import SummaryWriter

    folder = log_folder(spec, context)
    for old in folder.glob("events.out.tfevents.*"):
        old.unlink()
    with SummaryWriter(str(folder)) as writer:

        def write(row: Row) -> None:
            for name, value in scalars(row).items():
                writer.add_scalar(name, value, row["step"] + 1)
            writer.flush()

        for row in rows:
            write(row)
        yield write
