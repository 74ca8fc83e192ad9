"""Make the table from a csv or Parquet file with one row per cell; a small TOML mapping names its columns."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nasbench_eval.cell import N_CELLS, Cell, index_of_arch
from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.table.file_kind import Kind, kind_of, wrong_kind
from nasbench_eval.table.schema import Key
from nasbench_eval.table.table import Table
from nasbench_eval.table.units import wrong_units
from nasbench_eval.table.verify import check_ranges
from nasbench_eval.utils import parquet
from nasbench_eval.utils.files import sha256_of

if TYPE_CHECKING:
    import pyarrow as pa


class Column(NamedTuple):
    """The column of a file that a column of the table is made from.

    Attributes:
        name: The name of the column.
        times: A factor for its values.
        one_minus: Whether it holds error rates: what is missing to 100 percent, after the factor.
    """

    name: str
    times: float = 1.0
    one_minus: bool = False

    def __str__(self) -> str:
        changes = [f"times = {self.times:g}"] * (self.times != 1) + ["one_minus = true"] * self.one_minus
        return f"{{ {', '.join([f'from = {json.dumps(self.name)}', *changes])} }}"

    def in_table(self, values: np.ndarray) -> np.ndarray:
        """Convert the values of the file."""
        # Scaling in float64 rounds once, not twice. What is too large for float32 becomes infinite: out of every range.
        with np.errstate(over="ignore"):
            scaled = values * self.times
            return np.asarray(100 - scaled if self.one_minus else scaled, dtype=np.float32)


@dataclass(frozen=True)
class Mapping:
    """Maps the columns of a flat file to the columns of the table.

    Attributes:
        label: The name of the mapping, for messages and provenance.
        name: The name of the benchmark, for the metadata.
        release: The release of the benchmark that the numbers are from, "" if not given.
        arch: The column of the file with the architecture strings.
        columns: For each column of the table, the column of the file.
    """

    label: str
    name: str
    release: str
    arch: str
    columns: dict[Key, Column]

    @staticmethod
    def parse(text: str, label: str) -> Mapping:
        """Read a mapping from TOML.

        Raises:
            UsageError: If it is not TOML, lacks ``arch`` or ``[columns]``, or a value is neither the name of a column
                nor ``{ from = "...", times = NUMBER, one_minus = true }``.
        """
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"mapping {label}: {error}") from None
        extra = set(values) - {"name", "release", "arch", "columns"}
        if extra or not isinstance(values.get("arch"), str) or not isinstance(values.get("columns"), dict):
            raise UsageError(
                f"mapping {label}: expected arch = COLUMN, [columns] and optionally name, release; "
                f"got {', '.join(values) or 'nothing'}"
            )
        if not values["columns"]:
            raise UsageError(f"mapping {label}: [columns] names no column")
        columns: dict[Key, Column] = {}
        for name, source in values["columns"].items():
            try:
                key = Key.parse(name)
            except NbevalError as error:
                raise UsageError(f"mapping {label}: {error}") from None
            match source:
                case str():
                    columns[key] = Column(source)
                case {"from": str(column), **rest} if not set(rest) - {"times", "one_minus"}:
                    times, one_minus = rest.get("times", 1.0), rest.get("one_minus", False)
                    if isinstance(times, bool) or not isinstance(times, int | float) or not math.isfinite(times):
                        raise UsageError(f"mapping {label}: times of {name!r} is {times!r}, expected a number")
                    if not isinstance(one_minus, bool) or (one_minus and key.metric != "accuracy"):
                        raise UsageError(f"mapping {label}: one_minus of {name!r} is for accuracies, true or false")
                    columns[key] = Column(column, float(times), one_minus)
                case _:
                    raise UsageError(
                        f'mapping {label}: {name!r} is {source!r}, expected "COLUMN" or '
                        '{ from = "COLUMN", times = NUMBER, one_minus = true }'
                    )
        name, release = str(values.get("name", Path(label).stem)), str(values.get("release", ""))
        return Mapping(label, name, release, values["arch"], columns)

    def missing(self, names: list[str]) -> list[str]:
        """Return the columns that the mapping needs and a file lacks, in the order of the mapping."""
        needed = dict.fromkeys([self.arch, *(column.name for column in self.columns.values())])
        return [column for column in needed if column not in names]


def shipped_mappings() -> list[Mapping]:
    """Return the mappings in the package."""
    folder = resources.files("nasbench_eval.table.sources") / "mappings"
    return [
        Mapping.parse(file.read_text(encoding="utf-8"), file.name)
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".toml")
    ]


def import_flat(path: str | Path, mapping: str | Path | None = None) -> Table:
    """Make a table from a csv or Parquet file with one row per cell, in any order.

    Args:
        path: The file.
        mapping: A TOML file; None chooses the mapping in the package that fits the columns of the file.

    Returns:
        The table in memory; its metadata name the file, its SHA-256 and the mapping.

    Raises:
        NbevalError: If the file cannot be read, a column is missing or not numeric, a row is not a cell, a cell is
            missing or duplicated, a mean is missing, or a value is out of range or in another unit; the message
            names the cell, or the line of a mapping that converts the unit.
        UsageError: If the mapping is wrong.
    """
    path = Path(path)
    data = _read(path, mapped=mapping is not None)
    names = list(data.column_names)
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise NbevalError(f"{path.name} has several columns named {twice[0]}: rename them")
    chosen = _shipped(path, names) if mapping is None else _given(Path(mapping), names)
    order = _rows_in_official_order(data.column(chosen.arch).to_pylist(), chosen.arch)
    columns: dict[Key, np.ndarray] = {}
    for key, column in chosen.columns.items():
        columns[key] = column.in_table(_numbers(data, column.name, path)[order])
    source = {"importer": f"flat ({chosen.label})", "file": path.name, "sha256": sha256_of(path)}
    if chosen.release:
        source["release"] = chosen.release
    table = Table.build(columns, name=chosen.name, source=source)
    _check_units(table, chosen, path)
    check_ranges(table)
    return table


def _check_units(table: Table, mapping: Mapping, path: Path) -> None:
    """Raise an error with the line of a mapping that converts the first column in another unit."""
    for wrong in wrong_units(table):
        if (column := mapping.columns.get(wrong.key)) is not None:
            right = Column(column.name, column.times * wrong.times, column.one_minus != wrong.one_minus)
            raise NbevalError(
                f"{path}: {wrong.key} {wrong.found}; write this line in a mapping, and give it with --mapping "
                f'(docs/table.md): "{wrong.key}" = {right}'
            )


def _read(path: Path, *, mapped: bool) -> pa.Table:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    kind = kind_of(path)
    if kind not in (Kind.TEXT, Kind.PARQUET) and not (kind is Kind.TABLE and mapped):
        raise wrong_kind(path, kind, "a csv or Parquet file with one row per cell")
    try:
        return pyarrow.csv.read_csv(parquet.source(path)) if kind is Kind.TEXT else pq.read_table(parquet.source(path))
    except (pa.ArrowException, OSError) as error:
        raise NbevalError(f"cannot read {path}: {str(error).splitlines()[0]}") from None


def _given(path: Path, names: list[str]) -> Mapping:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the mapping {path}: {error}") from None
    mapping = Mapping.parse(text, path.name)
    if missing := mapping.missing(names):
        raise UsageError(
            f"mapping {path.name} names columns that the file lacks: {', '.join(missing)}; it has {', '.join(names)}"
        )
    return mapping


def _shipped(path: Path, names: list[str]) -> Mapping:
    mappings = shipped_mappings()
    for mapping in mappings:
        if not mapping.missing(names):
            return mapping
    nearest = min(mappings, key=lambda mapping: len(mapping.missing(names)))
    missing = nearest.missing(names)
    raise UsageError(
        f"no mapping in the package fits the columns of {path.name}, which lacks {', '.join(missing[:3])}"
        f"{f' and {len(missing) - 3} more' if len(missing) > 3 else ''} of {nearest.label}: write a TOML file that "
        "names its columns and give it with --mapping (docs/table.md shows one)"
    )


def _rows_in_official_order(archs: list[Any], column: str) -> np.ndarray:
    """Return, for each official index, the row of that cell."""
    order = np.full(N_CELLS, -1)
    known = index_of_arch()
    for row, text in enumerate(archs):
        index = known.get(text) if isinstance(text, str) else None
        if index is None:  # spaces around it, or no cell
            try:
                index = Cell.parse(str(text)).index
            except UsageError as error:
                raise NbevalError(f"row {row + 1}, column {column}: {error}") from None
        if order[index] >= 0:
            raise NbevalError(
                f"cell {index} ({text}) appears twice, in rows {order[index] + 1} and {row + 1}: remove one"
            )
        order[index] = row
    missing = np.flatnonzero(order < 0)
    if len(missing):
        raise NbevalError(
            f"{len(missing)} of the {N_CELLS} cells are missing, the first is cell {missing[0]} "
            f"({Cell.from_index(int(missing[0]))})"
        )
    return order


def _numbers(data: pa.Table, column: str, path: Path) -> np.ndarray:
    import pyarrow as pa

    values = data.column(column)
    if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
        raise NbevalError(f"column {column} of {path.name} holds {values.type}, expected numbers")
    # Not exact for integers above 2**53, which no column of the table can hold anyway.
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
