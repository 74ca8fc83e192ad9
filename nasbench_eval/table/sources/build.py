"""Convert the official files to the table in parts: memory stays bounded and an interruption loses little.

A part holds 125 cells and is written atomically, by a worker process where the source allows it; the next call
makes only the missing parts. The parts are then joined, the curves one part at a time.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from nasbench_eval import __version__
from nasbench_eval.cell import N_CELLS, Cell
from nasbench_eval.errors import NbevalError
from nasbench_eval.table.arrow import as_numpy
from nasbench_eval.table.curves import ROWS, curves_path
from nasbench_eval.table.file_kind import CURVES_KEY
from nasbench_eval.table.replace import require_no_loss
from nasbench_eval.table.schema import NAS_BENCH_201, Key, trials_by_mean
from nasbench_eval.table.sources.official import Source, find_source
from nasbench_eval.table.table import Table
from nasbench_eval.table.verify import check_ranges, describe
from nasbench_eval.utils import parquet
from nasbench_eval.utils.files import atomic_write, require_file_name
from nasbench_eval.utils.processes import mp_context, run_jobs, usable_cores

if TYPE_CHECKING:
    import pyarrow as pa

MAX_WORKERS = 4
"""A worker takes about 100 MB; four keep a build under 1 GB."""

_CURVE = "curve:"
_STATE = b"nbeval.part"


def build_table(
    source: str | Path,
    out: str | Path,
    *,
    curves: bool = False,
    workers: int | None = None,
    partial: bool = False,
    force: bool = False,
) -> Table:
    """Make the table from NAS-Bench-201's ``.pth``, or NATS-Bench's tar archive or folder.

    Args:
        source: The file, archive or folder.
        out: The table file to write; the learning curves go beside it, and so do the parts during the build.
        curves: Write the learning curves too.
        workers: Processes that read and convert; None is one per core, at most ``MAX_WORKERS``.
        partial: Allow cells to be missing from the source; their values are missing from the table.
        force: Replace a fuller table at ``out``.

    Returns:
        The table as opened from ``out``.

    Raises:
        NbevalError: If the source cannot be read or is not an official one, if cells are missing and ``partial``
            is not set, or if a worker was killed. The finished parts are kept, and the same call continues from
            them.
    """
    out = require_file_name(Path(out))
    reader = find_source(source)
    parts = _Parts(out.with_name(f".{out.name}.parts"), _state(reader, curves))
    there = reader.open()
    missing = sorted(set(range(N_CELLS)) - set(there))
    if missing and not partial:
        raise NbevalError(
            f"{len(missing):,} of the {N_CELLS:,} cells are missing in {reader.path}, the first is cell {missing[0]} "
            f"({Cell.from_index(missing[0])}); --partial makes a table of the other cells"
        )
    if not force:
        require_no_loss(out, cells=len(there))
    todo = parts.missing(there)
    with tqdm(total=len(there), initial=len(there) - sum(map(len, todo.values())), unit="cell", disable=None) as bar:
        for number in _convert(reader, todo, parts, curves, workers):
            bar.update(len(todo[number]))
    numbers = sorted({index // ROWS for index in there})
    columns, digests = _collect(parts, numbers)
    provenance: dict[str, Any] = {"importer": reader.kind, **reader.provenance(digests)}
    if missing:
        provenance["cells"] = len(there)
    table = Table.build(columns, name=NAS_BENCH_201, source=provenance)
    check_ranges(table, partial=partial)
    if not force:  # before the curves, which take long
        require_no_loss(out, cells=len(there), new={key: table.values(key) for key in table.keys})
    with _new_curves(parts, numbers, curves_path(out), table.metadata.content_hash) if curves else nullcontext():
        saved = table.save(out, force=force)
    parts.remove()
    return saved


def _state(reader: Source, curves: bool) -> str:
    """Return what identifies the input of a part; a part is reused only if it has the same."""
    return json.dumps([__version__, reader.fingerprint(), curves])


class _Parts:
    """The folder of parts; a part is a Parquet file of ``ROWS`` rows, null for the cells that are missing."""

    def __init__(self, folder: Path, state: str) -> None:
        self.folder = folder
        self.state = state

    def path(self, number: int) -> Path:
        return self.folder / f"{number:03d}.parquet"

    def source(self, number: int) -> Any:
        return parquet.source(self.path(number))

    def missing(self, there: Sequence[int]) -> dict[int, list[int]]:
        """Group the cells into parts, and return the parts that do not exist yet."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        groups: dict[int, list[int]] = {}
        for index in there:
            groups.setdefault(index // ROWS, []).append(index)
        for number in list(groups):
            try:
                metadata = pq.read_schema(self.source(number)).metadata
            except (FileNotFoundError, pa.ArrowException):
                continue
            if metadata.get(_STATE) == self.state.encode():
                del groups[number]
        return groups

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _convert(
    reader: Source, todo: dict[int, list[int]], parts: _Parts, curves: bool, workers: int | None
) -> Iterator[int]:
    """Make the parts in any order, and yield the number of each when it is written."""
    count = min(workers or min(usable_cores(), MAX_WORKERS), len(todo))
    if count <= 1 or not reader.parallel:
        for number, cells in todo.items():
            yield _make_part(reader, number, cells, parts, curves)
        return
    yield from run_jobs(
        _make_part,
        [(reader, number, cells, parts, curves) for number, cells in todo.items()],
        workers=count,
        # The fork server imports the record classes, and torch with them, once; the workers share that memory.
        context=mp_context(["nasbench_eval.table.sources.official_record"]),
        if_killed="run the same command again to continue from the finished parts; --workers 1 needs the least memory",
    )


def _make_part(reader: Source, number: int, cells: list[int], parts: _Parts, curves: bool) -> int:
    import pyarrow as pa

    from nasbench_eval.table.sources.official_record import read_record

    scalars: dict[Key, np.ndarray] = {}
    lines: dict[Key, list[np.ndarray | None]] = {}
    digests: list[str | None] = [None] * ROWS
    for index in cells:
        record, digests[index % ROWS] = reader.take(index)
        try:
            with np.errstate(over="raise"):
                values, found = read_record(index, record, curves=curves)
                for key, value in values.items():
                    if key not in scalars:
                        scalars[key] = np.full(ROWS, np.nan, dtype=np.float32)
                    scalars[key][index % ROWS] = value
        except FloatingPointError:
            raise NbevalError(f"the record of {describe(index)} has a number too large: get the file again") from None
        del record
        for key, line in found.items():
            lines.setdefault(key, [None] * ROWS)[index % ROWS] = line
    columns: dict[str, Any] = {"sha256": pa.array(digests, type=pa.string())}
    columns |= {str(key): pa.array(values) for key, values in scalars.items()}
    columns |= {_CURVE + str(key): pa.array(group, type=_curve_type()) for key, group in lines.items()}
    table = pa.table(columns).replace_schema_metadata({_STATE: parts.state.encode()})
    with atomic_write(parts.path(number)) as temporary:
        parquet.write(table, temporary, compression="zstd")
    return number


def _curve_type() -> pa.DataType:
    import pyarrow as pa

    return pa.list_(pa.float32())


def _collect(parts: _Parts, numbers: Sequence[int]) -> tuple[dict[Key, np.ndarray], dict[int, str]]:
    """Join the parts: full columns, and the SHA-256 of each cell's file."""
    import pyarrow.parquet as pq

    columns: dict[Key, np.ndarray] = {}
    digests: dict[int, str] = {}
    for number in numbers:
        names = [name for name in pq.read_schema(parts.source(number)).names if not name.startswith(_CURVE)]
        part = pq.read_table(parts.source(number), columns=names)
        rows = slice(number * ROWS, (number + 1) * ROWS)
        for name in names:
            if name == "sha256":
                found = enumerate(part.column(name).to_pylist())
                digests |= {number * ROWS + row: digest for row, digest in found if digest}
            else:
                column = columns.setdefault(Key.parse(name), np.full(N_CELLS, np.nan, dtype=np.float32))
                column[rows] = as_numpy(part.column(name))
    return _without_equal_times(columns), digests


def _without_equal_times(columns: dict[Key, np.ndarray]) -> dict[Key, np.ndarray]:
    """Drop the seconds of single trials where they equal the mean for every cell, as the benchmark publishes them."""
    kept = dict(columns)
    for mean, trials in trials_by_mean(columns).items():
        if mean.metric.endswith("_seconds") and all(
            np.all(np.isnan(columns[key]) | np.isclose(columns[key], columns[mean], rtol=1e-6)) for key in trials
        ):
            for key in trials:
                del kept[key]
    return kept


@contextmanager
def _new_curves(parts: _Parts, numbers: Sequence[int], path: Path, content_hash: str) -> Iterator[None]:
    """Write the curves one part at a time; every part becomes a row group, a missing one a group of nulls.

    They replace the file at ``path`` when the context ends without an error: the old ones belong to the table that is
    there until the new one is saved.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = sorted(
        {name for number in numbers for name in pq.read_schema(parts.source(number)).names if name.startswith(_CURVE)}
    )
    schema = pa.schema(
        [(name.removeprefix(_CURVE), _curve_type()) for name in names], metadata={CURVES_KEY: content_hash.encode()}
    )
    nothing = pa.nulls(ROWS, _curve_type())
    with atomic_write(path) as temporary:
        options: dict[str, Any] = {"compression": "zstd", "use_dictionary": False, "write_page_checksum": True}
        with temporary.open("wb") as file, pq.ParquetWriter(file, schema, **options) as writer:
            for number in tqdm(range(N_CELLS // ROWS), desc="curves", unit="part", disable=None):
                columns = dict.fromkeys(names, nothing)
                if number in numbers:
                    part = pq.read_table(parts.source(number))
                    columns |= {name: part.column(name) for name in part.column_names if name in columns}
                writer.write_table(pa.table(list(columns.values()), schema=schema))
        yield
