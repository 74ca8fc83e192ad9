"""The table and its learning curves, made of the records that ``nbeval table train`` writes. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_eval.cell import AVG_POOL_3X3, N_CELLS, NOR_CONV_1X1, NOR_CONV_3X3, Cell, all_cells
from nasbench_eval.equivalence import normal_form, representatives
from nasbench_eval.table.curves import HASH_KEY, ROWS, curves_path
from nasbench_eval.table.schema import Key
from nasbench_eval.table.table import Table
from nasbench_eval.utils.files import atomic_write

IMPORTER = "nbeval table train"
"""What a trained table says of its origin; its seconds of training include the validation passes."""

SPLITS = ("train", "valid", "test")
_TIMED = (NOR_CONV_3X3, NOR_CONV_1X1, AVG_POOL_3X3)

Lines = Mapping[tuple[int, int], Mapping[str, Any]]


def trained_table(head: Mapping[str, Any], lines: Lines) -> Table:
    """Make the table of what was trained; every cell has the numbers of the one that computes its function.

    Args:
        head: On what and how, as ``runners.train_table`` writes it.
        lines: The records by official index and trial.
    """
    dataset, epochs = str(head["dataset"]), int(head["schedule"]["epochs"])
    known = np.array(representatives())
    columns: dict[Key, np.ndarray] = {}
    for trial in sorted({trial for _, trial in lines}):
        for split in SPLITS:
            for at, metric in enumerate(("accuracy", "loss")):
                values = np.full(N_CELLS, np.nan, dtype=np.float32)
                for (index, of), line in lines.items():
                    if of == trial:
                        values[index] = (line["valid"][-1] if split == "valid" else line[split])[at]
                columns[Key(dataset, epochs, split, metric, str(trial))] = values[known]
    seconds, told = _seconds(lines)
    columns[Key(dataset, epochs, "train", "train_seconds")] = seconds[known]
    params, flops = zip(*(size_of(cell, head) for cell in all_cells()), strict=True)
    columns[Key(dataset, None, "-", "params_mb")] = np.array(params) / 1e6
    columns[Key(dataset, None, "-", "flops_m")] = np.array(flops) / 1e6
    wanted = len(set(representatives()))
    done = {str(t): sum(of == t for _, of in lines) for t in sorted({trial for _, trial in lines})}
    source: dict[str, Any] = {
        "importer": IMPORTER,
        **{key: head[key] for key in ("split", "sha256", "reduction", "schedule")},
        "trained": f"{wanted:,} cells of different function; of them in trial {done}",
        "seconds": told,
        "versions": sorted({f"nbeval {line['nbeval']}, torch {line['torch']}" for line in lines.values()}),
    }
    covered = {index for index, _ in lines}
    cells = int(np.isin(known, list(covered)).sum())
    if cells < N_CELLS:
        source["cells"] = cells
    train, valid, test = (f"{n:,}" for n in head["images"])
    words = {
        "train": (f"train ({train})", f"train ({train}), while it was trained on, in the last epoch"),
        "valid": (f"train ({train})", f"valid ({valid})"),
        "test": (f"train ({train})", f"test ({test})"),
    }
    return Table.build(columns, name=f"nbeval {dataset}", source=source, splits={dataset: words})


def _seconds(lines: Lines) -> tuple[np.ndarray, str]:
    """Share the processor seconds of groups out to cells, by what their operations cost on average."""
    groups = {(trial, tuple(line["group"])): line["group_seconds"] for (_, trial), line in lines.items()}
    per_cell = np.array([_work(cell) for cell in all_cells()])
    work = np.array([per_cell[list(group)].sum(0) for _, group in groups]).reshape(-1, per_cell.shape[1])
    from scipy.optimize import nnls

    cost, _ = nnls(work, np.array(list(groups.values())))
    told = (
        f"processor seconds of a training with its validation passes, fitted to {len(groups):,} groups trained side "
        f"by side, {sum(groups.values()) / 3600:.2f} hours in all: {cost[0]:.3f} a cell"
        + "".join(f" + {c:.3f} a {name}" for c, name in zip(cost[1:], ("3x3", "1x1", "pooled node"), strict=True))
    )
    return (per_cell @ cost).astype(np.float32), told


def _work(cell: Cell) -> tuple[int, ...]:
    live = normal_form(cell)
    return (1, *(live.ops.count(op) for op in _TIMED))


def size_of(cell: Cell, head: Mapping[str, Any]) -> tuple[int, int]:
    """Return parameters and multiply-adds of one image, of the network as ``StandaloneNet`` builds it."""
    width, repeats = int(head["schedule"]["channels"]), int(head["schedule"]["cells"])
    side, classes = int(head["side"]), int(head["classes"])
    params, flops = 27 * width + 2 * width, 27 * width * side**2
    for stage in range(3):
        for op, area in ((NOR_CONV_1X1, 1), (NOR_CONV_3X3, 9)):
            count = repeats * cell.ops.count(op)
            params += count * (area * width**2 + 2 * width)
            flops += count * area * width**2 * side**2
        if stage < 2:
            side //= 2
            weights = width * 2 * width
            if head["reduction"] == "residual":
                weights += 9 * width * 2 * width + 9 * (2 * width) ** 2
                params += 8 * width
            params += weights
            flops += weights * side**2
            width *= 2
    return params + 2 * width + (width + 1) * classes, flops + width * classes


def write_curves(head: Mapping[str, Any], lines: Lines, table: Table) -> None:
    """Write validation accuracy and loss after each epoch beside a saved table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    assert table.path is not None
    dataset, epochs = str(head["dataset"]), int(head["schedule"]["epochs"])
    known = representatives()
    kind = pa.list_(pa.float32())
    columns = {
        str(Key(dataset, epochs, "valid", metric, str(trial))): pa.array(
            [
                None if (line := lines.get((index, trial))) is None else [epoch[at] for epoch in line["valid"]]
                for index in known
            ],
            type=kind,
        )
        for trial in sorted({trial for _, trial in lines})
        for at, metric in enumerate(("accuracy", "loss"))
    }
    schema = pa.schema([(name, kind) for name in columns])
    schema = schema.with_metadata({HASH_KEY: table.metadata.content_hash.encode()})
    with atomic_write(curves_path(Path(table.path))) as temporary:
        whole = pa.table(list(columns.values()), schema=schema)
        pq.write_table(whole, temporary, row_group_size=ROWS, compression="zstd", use_dictionary=False)
