"""Read the official files: NAS-Bench-201's single ``.pth``, or NATS-Bench's with one file per cell.

Needs no torch.
"""

from __future__ import annotations

import abc
import bz2
import contextlib
import gc
import hashlib
import io
import pickle
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, final

from tqdm import tqdm

from nasbench_eval.cell import N_CELLS, all_archs
from nasbench_eval.errors import NbevalError
from nasbench_eval.table.file_kind import Kind, kind_of, wrong_kind
from nasbench_eval.table.sources.file_sets import Folder, Tar
from nasbench_eval.table.sources.pickle_slices import NotSplittable, Slices, split
from nasbench_eval.utils.paths import named
from nasbench_eval.utils.safe_pickle import NUMPY_SCALARS, restricted_load

ALLOWED = NUMPY_SCALARS | {("collections", "OrderedDict")}
"""The types in the official files other than plain values."""

Record = dict[str, Any]

_TORCH_MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
_CELL_FILE = re.compile(r"(\d{6})\.pickle\.pbz2")
_META_FILE = "meta.pickle.pbz2"
_DIGITS = re.compile(r"-([0-9a-f]{5,6})(?:-simple|-full)?(?:\.pth|\.pickle\.pbz2)?$")


class Source(abc.ABC):
    """A source of the official records of cells."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = named(path).name

    @property
    @abc.abstractmethod
    def kind(self) -> str:
        """Name of this kind of source, for the provenance of the table."""

    @property
    @abc.abstractmethod
    def parallel(self) -> bool:
        """Whether several processes can read the source at once."""

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Return a text that changes when the files change, without reading them."""

    @abc.abstractmethod
    def open(self) -> list[int]:
        """Prepare for reading, and return the indices of the cells in the source, ascending.

        Raises:
            NbevalError: If the source is not official, or not of this cell space in the official order.
        """

    @abc.abstractmethod
    def take(self, index: int) -> tuple[Record, str]:
        """Return the record of a cell and the SHA-256 of its file ("" for a single file); once per cell."""

    @abc.abstractmethod
    def provenance(self, digests: dict[int, str]) -> dict[str, str]:
        """Return the metadata of the source, given the SHA-256 of each cell's file."""


def find_source(path: str | Path) -> Source:
    """Return the reader for a path: a folder or a tar archive is NATS-Bench's, a pickle is NAS-Bench-201's.

    Raises:
        NbevalError: If the path does not exist, or is anything else; the message says what it is.
    """
    path = Path(path)
    match kind := kind_of(path):
        case Kind.FOLDER:
            return NatsFolder(path, Folder(path))
        case Kind.TAR:
            return NatsFolder(path, Tar(path))
        case Kind.TORCH | Kind.PICKLE:
            return OneFile(path)
    raise wrong_kind(path, kind, "an official file of the benchmark")


@final
class OneFile(Source):
    """One pickle of everything: ``NAS-Bench-201-v1_1-096897.pth``.

    If it has the official layout, it is read one record at a time, and is never in memory as a whole. Otherwise it is
    unpickled as a whole, and each record is freed once it was taken.
    """

    kind = "official file"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._slices: Slices | None = None
        self._records: dict[int, Record] = {}

    @property
    def parallel(self) -> bool:  # noqa: D102 - as in Source
        return self._slices is not None

    def fingerprint(self) -> str:  # noqa: D102 - as in Source
        status = self.path.stat()
        return f"{self.name} {status.st_size} {status.st_mtime_ns}"

    def open(self) -> list[int]:  # noqa: D102 - as in Source
        with _reading(self.path):
            start = _pickle_start(self.path)
            try:
                content, self._slices = _split(self.path, start)
                cells = set(self._slices.ranges)
            except NotSplittable:
                content = _load_whole(self.path, start)
                self._records = _records(content, self.path)
                cells = set(self._records)
        _check_content(content, cells, self.path)
        return sorted(cells)

    def take(self, index: int) -> tuple[Record, str]:  # noqa: D102 - as in Source
        if self._slices is None:
            return self._records.pop(index), ""
        try:
            with _reading(self.path):
                return self._slices.load(index, ALLOWED), ""
        except NotSplittable as error:
            raise NbevalError(f"{self.path}: the record of cell {index} is damaged ({error}): get it again") from None

    def provenance(self, digests: dict[int, str]) -> dict[str, str]:  # noqa: D102 - as in Source
        sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        with self.path.open("rb") as file:
            while block := file.read(1 << 20):
                sha256.update(block)
                md5.update(block)
        found = {
            "file": self.name,
            "sha256": sha256.hexdigest(),
            "md5": md5.hexdigest(),
            **_release(self.name),
        }
        digits = _DIGITS.search(self.name)
        if digits and digits[1] not in (found["md5"][: len(digits[1])], found["md5"][-len(digits[1]) :]):
            found["warning"] = f"the name ends in {digits[1]}, but the md5 does not: not the published file"
        return found


@final
class NatsFolder(Source):
    """NATS-Bench's topology space: ``meta.pickle.pbz2`` and ``000000.pickle.pbz2`` to ``015624...``.

    The files are in a folder, or still in the ``.tar`` that NATS-Bench is published as.
    """

    parallel = True

    def __init__(self, path: Path, files: Folder | Tar) -> None:
        super().__init__(path)
        self._files = files

    @property
    def kind(self) -> str:  # noqa: D102 - as in Source
        return f"NATS-Bench {self._files.word}"

    def _cells(self) -> dict[int, str]:
        with _reading(self.path):
            names = [(_CELL_FILE.fullmatch(name), name) for name in self._files.names()]
        return {int(match[1]): name for match, name in names if match}

    def fingerprint(self) -> str:  # noqa: D102 - as in Source
        with _reading(self.path):
            state = self._files.state([name for _, name in sorted(self._cells().items())])
        return f"{self.name} {state}"

    def open(self) -> list[int]:  # noqa: D102 - as in Source
        cells = self._cells()
        with _reading(self.path):
            there = _META_FILE in self._files.names()
        if not there:
            near = self._files.nearby()
            raise NbevalError(
                f"{self.path} is not NATS-Bench's {self._files.word}: it has no {_META_FILE}; "
                + (f"give {near}" if near else "give NATS-tss-v1_0-3ffb9-simple (or NAS-Bench-201-v1_1-096897.pth)")
            )
        meta, _ = self._load(_META_FILE)
        archs = meta.get("meta_archs") if isinstance(meta, dict) else None
        _check_order(archs, self.path)
        if beyond := [index for index in cells if index >= N_CELLS]:
            raise NbevalError(
                f"{self.path / cells[min(beyond)]} is beyond the {N_CELLS} cells: this is not the topology search space"
            )
        return sorted(cells)

    def take(self, index: int) -> tuple[Record, str]:  # noqa: D102 - as in Source
        name = f"{index:06d}.pickle.pbz2"
        record, sha256 = self._load(name)
        if not isinstance(record, dict):
            raise NbevalError(f"{self.path / name} holds {type(record).__name__}, expected the record of a cell")
        return record, sha256

    def _load(self, name: str) -> tuple[Any, str]:
        path = self.path / name
        with _reading(path):
            data = self._files.read(name)
        try:
            content = bz2.decompress(data)
        except (OSError, ValueError) as error:
            raise NbevalError(f"{path} is truncated or not bzip2 ({error}): get the file again") from error
        return restricted_load(io.BytesIO(content), ALLOWED, name=str(path)), hashlib.sha256(data).hexdigest()

    def provenance(self, digests: dict[int, str]) -> dict[str, str]:  # noqa: D102 - as in Source
        lines = "".join(f"{digests[index]}  {index:06d}.pickle.pbz2\n" for index in sorted(digests))
        sha256 = hashlib.sha256(lines.encode()).hexdigest()
        return {"file": self.name, "sha256": sha256, **_release(self.name)}


def _release(name: str) -> dict[str, str]:
    match = re.match(r"NAS-Bench-201-v\d_\d|NATS-tss-v\d_\d", name)
    return {"release": match[0]} if match else {}


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NbevalError(f"cannot read {path}: {error.strerror or error}") from error


def _pickle_start(path: Path) -> int:
    """Return where the pickle begins: in torch's zip archive, or after the headers of torch's older layout.

    Raises:
        NbevalError: If it is another zip archive, or not a pickle.
    """
    with path.open("rb") as file:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                members = [member for member in archive.infolist() if member.filename.endswith("/data.pkl")]
            if len(members) != 1 or members[0].compress_type != zipfile.ZIP_STORED:
                raise NbevalError(f"{path} is a zip archive, but not one written by torch.save")
            # A member begins after its header, which ends with the lengths of its name and its extra field.
            file.seek(members[0].header_offset + 26)
            name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
            return members[0].header_offset + 30 + name + extra
        file.seek(0)
        if file.read(1) != b"\x80":
            raise NbevalError(f"{path} is truncated or not a pickle: get the file again")
        file.seek(0)
        if not file.read(64).startswith(_TORCH_MAGIC):
            return 0
        file.seek(0)
        # Skip the magic number, the protocol version and the machine; the object follows.
        for _ in range(3):
            restricted_load(file, (), name=str(path))
        return file.tell()


def _split(path: Path, start: int) -> tuple[Any, Slices]:
    with tqdm(total=path.stat().st_size, unit="B", unit_scale=True, desc="reading", disable=None) as bar:
        return split(path, start, "arch2infos", ALLOWED, bar.update)


def _load_whole(path: Path, start: int) -> Any:
    with _no_garbage_collection(), path.open("rb") as file:
        file.seek(start)
        return restricted_load(file, ALLOWED, name=str(path))


def _records(content: Any, path: Path) -> dict[int, Record]:
    if isinstance(content, dict) and "arch2infos" not in content and (found := _naslib(content)):
        raise NbevalError(
            f"{path} is NASLib's extract of NAS-Bench-201 ({found}), not an official file: it has neither trials nor "
            "the split of its accuracies. Make the table from the official files (docs/data.md), or write the numbers "
            "you want as csv with one row per cell, and use `nbeval table import` with a --mapping"
        )
    records = content.get("arch2infos") if isinstance(content, dict) else None
    if not isinstance(records, dict) or not all(isinstance(record, dict) for record in records.values()):
        raise NbevalError(f"{path} is not NAS-Bench-201's file: it has no arch2infos with records")
    return records


def _naslib(content: dict[Any, Any]) -> str:
    """Describe NASLib's ``nb201_*.pickle``, or return "": results by architecture (a string or six operations)."""
    for key, value in content.items():
        names = [str(name) for name in value] if isinstance(value, dict) else []
        if (isinstance(key, tuple) or str(key).startswith("|")) and any(
            name.lower().startswith(("cifar10", "imagenet16")) for name in names
        ):
            return f"{len(content):,} cells, {', '.join(names)}"
        break
    return ""


def _check_content(content: Any, cells: set[int], path: Path) -> None:
    if not isinstance(content, dict) or not all(key in content for key in ("meta_archs", "evaluated_indexes")):
        raise NbevalError(f"{path} is not NAS-Bench-201's file: it lacks meta_archs or evaluated_indexes")
    if not all(type(index) is int and 0 <= index < N_CELLS for index in cells):
        raise NbevalError(f"{path} has records of cells that are not in 0..{N_CELLS - 1}")
    _check_order(content["meta_archs"], path)
    if odd := set(content["evaluated_indexes"]) ^ cells:
        raise NbevalError(
            f"{path}: cell {min(odd)} is in only one of evaluated_indexes and arch2infos: the file is damaged"
        )


def _check_order(archs: Sequence[str] | None, path: Path) -> None:
    """Check that the file lists its cells in the official order, without which an index means nothing."""
    if not isinstance(archs, list):
        raise NbevalError(f"{path} does not list its cells (meta_archs): it is not an official file")
    for index, (arch, expected) in enumerate(zip(archs, all_archs(), strict=False)):
        if arch != expected:
            twice = f", which is also cell {archs.index(arch)}" if arch in archs[:index] else ""
            raise NbevalError(f"{path} lists {arch!r} as cell {index}{twice}; expected {expected}")
    if len(archs) != N_CELLS:
        raise NbevalError(f"{path} lists {len(archs)} cells, expected {N_CELLS}")


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Unpickling only creates objects: searching them for cycles again and again takes half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
