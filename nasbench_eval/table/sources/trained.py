"""Make a table and its learning curves from the records of ``nbeval table train``. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from nasbench_eval.cell import AVG_POOL_3X3, N_CELLS, NOR_CONV_1X1, NOR_CONV_3X3, all_cells
from nasbench_eval.equivalence import normal_form, representatives
from nasbench_eval.errors import NbevalError
from nasbench_eval.table.curves import ROWS, curves_path
from nasbench_eval.table.file_kind import CURVES_KEY
from nasbench_eval.table.schema import TRAINED_HERE, Key
from nasbench_eval.table.sizes import all_sizes
from nasbench_eval.table.table import Table
from nasbench_eval.training.records import Records
from nasbench_eval.utils import parquet
from nasbench_eval.utils.files import atomic_write

_PARTS = ("train", "valid", "test")
_TIMED = (NOR_CONV_3X3, NOR_CONV_1X1, AVG_POOL_3X3)


def trained_table(records: Records) -> Table:
    """Make the table of the cells trained so far; cells that compute the same function share their values.

    A training that diverged leaves its values missing; the metadata count and name such trainings.

    Raises:
        NbevalError: If every training diverged.
    """
    if records.lines and not records.finished:
        raise NbevalError(f"all {len(records.lines):,} trainings diverged, so there is no table: {_first(records)}")
    head, lines = records.head, records.finished
    dataset, epochs = str(head["dataset"]), int(head["schedule"]["epochs"])
    representative = np.array(representatives())
    trials = sorted({trial for _, trial in lines})
    columns: dict[Key, np.ndarray] = {}
    for trial in trials:
        for part in _PARTS:
            for at, metric in enumerate(("accuracy", "loss")):
                values = np.full(N_CELLS, np.nan, dtype=np.float32)
                for (index, of), line in lines.items():
                    if of == trial:
                        values[index] = (line["valid"][-1] if part == "valid" else line[part])[at]
                columns[Key(dataset, epochs, part, metric, str(trial))] = values[representative]
    seconds, description = _seconds(records)
    columns[Key(dataset, epochs, "train", "train_seconds")] = seconds[representative]
    columns[Key(dataset, None, "-", "params_mb")], columns[Key(dataset, None, "-", "flops_m")] = _sizes(head)
    distinct = len(set(representatives()))
    done = {str(trial): sum(of == trial for _, of in lines) for trial in trials}
    source: dict[str, Any] = {
        "importer": TRAINED_HERE,
        **{key: head[key] for key in ("split", "sha256", "reduction", "schedule")},
        "trained": f"{distinct:,} distinct cells; trained per trial: "
        + ", ".join(f"{count:,} (trial {trial})" for trial, count in done.items()),
        "seconds": description,
        "versions": sorted({f"nbeval {line['nbeval']}, torch {line['torch']}" for line in lines.values()}),
    }
    if diverged := records.diverged:
        source["diverged"] = f"{len(diverged):,} of {len(records.lines):,} trainings: " + ", ".join(
            f"cell {index} (trial {trial})" for index, trial in sorted(diverged)
        )
    covered = {index for index, _ in lines}
    cells = int(np.isin(representative, list(covered)).sum())
    if cells < N_CELLS:
        source["cells"] = cells
    train, valid, test = (f"{n:,}" for n in head["images"])
    splits = {
        "train": (f"train ({train})", f"train ({train}), during the last epoch of training"),
        "valid": (f"train ({train})", f"valid ({valid})"),
        "test": (f"train ({train})", f"test ({test})"),
    }
    return Table.build(columns, name=f"nbeval {dataset}", source=source, splits={dataset: splits})


def require_none_diverged(records: Records) -> None:
    """Raise an error if a training diverged.

    Raises:
        NbevalError: With their number and the first cause.
    """
    if records.diverged:
        raise NbevalError(
            f"{len(records.diverged):,} of {len(records.lines):,} trainings diverged and are missing from the table: "
            f"{_first(records)}"
        )


def _first(records: Records) -> str:
    (index, trial), cause = min(records.diverged.items())
    return f"the first is cell {index}, trial {trial}: {cause}. With a lower rate (--set lr=...), choose a new --out"


def _seconds(records: Records) -> tuple[np.ndarray, str]:
    """Return each cell's share of the processor seconds of its group, and a description of the fit.

    The seconds of a group are fitted by the operations of its cells: least squares with non-negative costs.
    """
    groups = {(trial, tuple(line["group"])): line["group_seconds"] for (_, trial), line in records.lines.items()}
    per_cell = _work()
    work = np.array([per_cell[list(group)].sum(0) for _, group in groups]).reshape(-1, per_cell.shape[1])
    from scipy.optimize import nnls

    cost, _ = nnls(work, np.array(list(groups.values())))
    description = (
        f"processor seconds of training including its validation passes, fitted to {len(groups):,} groups of cells "
        f"trained side by side, {sum(groups.values()) / 3600:.2f} hours in total: {cost[0]:.3f} per cell"
        + "".join(f" + {c:.3f} per {name}" for c, name in zip(cost[1:], ("3x3", "1x1", "pooling"), strict=True))
    )
    return (per_cell @ cost).astype(np.float32), description


def _sizes(head: Mapping[str, Any]) -> np.ndarray:
    """Return parameters and multiply-adds of all cells in millions, (2, 15625)."""
    sizes = all_sizes(
        channels=int(head["schedule"]["channels"]),
        cells=int(head["schedule"]["cells"]),
        side=int(head["side"]),
        classes=int(head["classes"]),
        reduction=str(head["reduction"]),
    )
    return sizes.T / 1e6


@cache
def _work() -> np.ndarray:
    """Return a 1 and the numbers of live ``_TIMED`` operations of every cell in official order, int (15625, 4)."""
    live = [normal_form(cell).ops for cell in all_cells()]
    return np.array([(1, *(ops.count(op) for op in _TIMED)) for ops in live])


def write_curves(records: Records, table: Table) -> None:
    """Write validation accuracy and loss after each epoch to the file of learning curves beside a saved table."""
    import pyarrow as pa

    assert table.path is not None
    head, lines = records.head, records.finished
    dataset, epochs = str(head["dataset"]), int(head["schedule"]["epochs"])
    kind = pa.list_(pa.float32())
    columns = {
        str(Key(dataset, epochs, "valid", metric, str(trial))): pa.array(
            [
                None if (line := lines.get((index, trial))) is None else [epoch[at] for epoch in line["valid"]]
                for index in representatives()
            ],
            type=kind,
        )
        for trial in sorted({trial for _, trial in lines})
        for at, metric in enumerate(("accuracy", "loss"))
    }
    schema = pa.schema([(name, kind) for name in columns])
    schema = schema.with_metadata({CURVES_KEY: table.metadata.content_hash.encode()})
    with atomic_write(curves_path(table.path)) as temporary:
        whole = pa.table(list(columns.values()), schema=schema)
        parquet.write(whole, temporary, row_group_size=ROWS, compression="zstd", use_dictionary=False)
