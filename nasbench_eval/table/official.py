"""The official files: NAS-Bench-201's one ``.pth``, and NATS-Bench's folder of a file a cell. Needs no torch."""

from __future__ import annotations

import abc
import bz2
import contextlib
import gc
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, final

from tqdm import tqdm

from nasbench_eval.cell import N_CELLS, all_archs
from nasbench_eval.errors import NbevalError
from nasbench_eval.unpickle import NUMPY_SCALARS, restricted_load

ALLOWED = NUMPY_SCALARS | {("collections", "OrderedDict")}
"""All that the official files hold besides plain values."""

Record = dict[str, Any]

_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_CELL_FILE = re.compile(r"(\d{6})\.pickle\.pbz2")
_META_FILE = "meta.pickle.pbz2"
_DIGITS = re.compile(r"-([0-9a-f]{5,6})(?:-simple|-full)?(?:\.pth|\.pickle\.pbz2)?$")


class Source(abc.ABC):
    """Where cells' official records come from."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    @abc.abstractmethod
    def kind(self) -> str:
        """What the source is, for the table's provenance."""

    @property
    @abc.abstractmethod
    def parallel(self) -> bool:
        """Whether several processes can read it at once."""

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Return a text that changes when the files do, without reading them."""

    @abc.abstractmethod
    def open(self) -> list[int]:
        """Prepare to read, and return the cells that are there, ascending.

        Raises:
            NbevalError: If this is not an official file, or is not of this cell space in the official order.
        """

    @abc.abstractmethod
    def take(self, index: int) -> tuple[Record, str]:
        """Return a cell's record, once, and its file's SHA-256 ("" where one file holds all)."""

    @abc.abstractmethod
    def provenance(self, digests: dict[int, str]) -> dict[str, str]:
        """Return what the table's metadata say of the source, given the cells' SHA-256."""


def find_source(path: str | Path) -> Source:
    """Return the reader for a path: a folder is NATS-Bench's, a file is NAS-Bench-201's or NATS-Bench's one.

    Raises:
        NbevalError: If nothing is there.
    """
    path = Path(path)
    if path.is_dir():
        return NatsFolder(path)
    if not path.is_file():
        raise NbevalError(f"no file or folder at {path} (docs/data.md says where to get the official files)")
    return OneFile(path)


@final
class OneFile(Source):
    """One pickle of everything: ``NAS-Bench-201-v1_1-096897.pth``, or NATS-Bench's ``.pickle.pbz2``.

    Unpickled whole, which is the most memory the build ever needs; a cell's record is freed once it is taken.
    """

    kind = "official file"
    parallel = False

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._records: dict[int, Record] = {}

    def fingerprint(self) -> str:  # noqa: D102 - as in Source
        status = self.path.stat()
        return f"{self.path.name} {status.st_size} {status.st_mtime_ns}"

    def open(self) -> list[int]:  # noqa: D102 - as in Source
        with _reading(self.path):
            content = _load_whole(self.path)
        archs, records = _content(content, self.path)
        _check_order(archs, self.path)
        evaluated = set(content["evaluated_indexes"])
        if evaluated != set(records):
            odd = min(evaluated ^ set(records))
            raise NbevalError(
                f"{self.path}: cell {odd} is in only one of evaluated_indexes and arch2infos: the file is damaged"
            )
        self._records = records
        return sorted(records)

    def take(self, index: int) -> tuple[Record, str]:  # noqa: D102 - as in Source
        return self._records.pop(index), ""

    def provenance(self, digests: dict[int, str]) -> dict[str, str]:  # noqa: D102 - as in Source
        sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        with self.path.open("rb") as file:
            while block := file.read(1 << 20):
                sha256.update(block)
                md5.update(block)
        found = {
            "file": self.path.name,
            "sha256": sha256.hexdigest(),
            "md5": md5.hexdigest(),
            **_release(self.path),
        }
        digits = _DIGITS.search(self.path.name)
        if digits and digits[1] not in (found["md5"][: len(digits[1])], found["md5"][-len(digits[1]) :]):
            found["warning"] = f"the name ends in {digits[1]}, the md5 does not: not the file as published"
        return found


@final
class NatsFolder(Source):
    """NATS-Bench's topology space as a folder: ``meta.pickle.pbz2`` and ``000000.pickle.pbz2`` to ``015624...``."""

    kind = "NATS-Bench folder"
    parallel = True

    def _files(self) -> dict[int, Path]:
        with _reading(self.path):
            names = [(_CELL_FILE.fullmatch(file.name), file) for file in self.path.iterdir()]
        return {int(match[1]): file for match, file in names if match}

    def fingerprint(self) -> str:  # noqa: D102 - as in Source
        digest = hashlib.sha256()
        with _reading(self.path):
            for index, file in sorted(self._files().items()):
                status = file.stat()
                digest.update(f"{index} {status.st_size} {status.st_mtime_ns}\n".encode())
        return f"{self.path.name} {digest.hexdigest()}"

    def open(self) -> list[int]:  # noqa: D102 - as in Source
        files = self._files()
        if not (self.path / _META_FILE).is_file():
            raise NbevalError(
                f"{self.path} is not NATS-Bench's folder: it has no {_META_FILE}; give the unpacked "
                "NATS-tss-v1_0-3ffb9-simple (or NAS-Bench-201-v1_1-096897.pth)"
            )
        meta, _ = _load_small(self.path / _META_FILE)
        archs = meta.get("meta_archs") if isinstance(meta, dict) else None
        _check_order(archs, self.path)
        if beyond := [index for index in files if index >= N_CELLS]:
            raise NbevalError(f"{files[min(beyond)]} is beyond the {N_CELLS} cells: not the topology search space")
        return sorted(files)

    def take(self, index: int) -> tuple[Record, str]:  # noqa: D102 - as in Source
        file = self.path / f"{index:06d}.pickle.pbz2"
        record, sha256 = _load_small(file)
        if not isinstance(record, dict):
            raise NbevalError(f"{file} holds {type(record).__name__}, expected a cell's record")
        return record, sha256

    def provenance(self, digests: dict[int, str]) -> dict[str, str]:  # noqa: D102 - as in Source
        lines = "".join(f"{digests[index]}  {index:06d}.pickle.pbz2\n" for index in sorted(digests))
        sha256 = hashlib.sha256(lines.encode()).hexdigest()
        return {"file": self.path.name, "sha256": sha256, **_release(self.path)}


def _release(path: Path) -> dict[str, str]:
    match = re.match(r"NAS-Bench-201-v\d_\d|NATS-tss-v\d_\d", path.name)
    return {"release": match[0]} if match else {}


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NbevalError(f"cannot read {path}: {error.strerror or error}") from error


def _load_small(path: Path) -> tuple[Any, str]:
    with _reading(path):
        data = path.read_bytes()
    try:
        content = bz2.decompress(data)
    except (OSError, ValueError) as error:
        raise NbevalError(f"{path} is truncated or not bzip2 ({error}): get the file again") from error
    return restricted_load(io.BytesIO(content), ALLOWED, name=str(path)), hashlib.sha256(data).hexdigest()


def _load_whole(path: Path) -> Any:
    """Unpickle the file: torch's zip or older layout, or a pickle compressed with bzip2."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_no_garbage_collection())
        if zipfile.is_zipfile(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
            members = [member for member in archive.infolist() if member.filename.endswith("/data.pkl")]
            if len(members) != 1:
                raise NbevalError(f"{path} is a zip archive, but not one that torch.save wrote")
            # Read as a stream: torch.load would first copy all its gigabytes into memory.
            file, size = stack.enter_context(archive.open(members[0])), members[0].file_size
        else:
            file, size = stack.enter_context(path.open("rb")), path.stat().st_size
        bar = stack.enter_context(tqdm(total=size, unit="B", unit_scale=True, desc="unpickling", disable=None))
        stream: IO[bytes] = io.BufferedReader(_Counted(file, bar), 1 << 20)
        if path.suffix == ".pbz2":
            stream = bz2.BZ2File(stream)
        try:
            content = restricted_load(stream, ALLOWED, name=str(path))
            if content == _TORCH_MAGIC:
                # The older layout: the magic number, the protocol's version, the machine, then the object.
                restricted_load(stream, (), name=str(path))
                restricted_load(stream, (), name=str(path))
                content = restricted_load(stream, ALLOWED, name=str(path))
        except zipfile.BadZipFile as error:
            raise NbevalError(f"{path} is damaged ({error}): get the file again") from error
        return content


def _content(content: Any, path: Path) -> tuple[Any, dict[int, Record]]:
    keys = ("meta_archs", "arch2infos", "evaluated_indexes")
    if not isinstance(content, dict) or not all(key in content for key in keys):
        raise NbevalError(f"{path} is not NAS-Bench-201's file: expected a dict of {', '.join(keys)}")
    records = content["arch2infos"]
    if not isinstance(records, dict) or not all(isinstance(record, dict) for record in records.values()):
        raise NbevalError(f"{path} is not NAS-Bench-201's file: arch2infos does not hold records")
    if not all(type(index) is int and 0 <= index < N_CELLS for index in records):
        raise NbevalError(f"{path} has records of cells that are not in 0..{N_CELLS - 1}")
    return content["meta_archs"], records


def _check_order(archs: Sequence[str] | None, path: Path) -> None:
    """The file lists its cells' architecture strings; an index means nothing unless they are in our order."""
    if not isinstance(archs, list):
        raise NbevalError(f"{path} does not list its cells (meta_archs): not an official file")
    for index, (arch, expected) in enumerate(zip(archs, all_archs(), strict=False)):
        if arch != expected:
            twice = f", which is cell {archs.index(arch)} too" if arch in archs[:index] else ""
            raise NbevalError(f"{path} lists {arch!r} as cell {index}{twice}; expected {expected}")
    if len(archs) != N_CELLS:
        raise NbevalError(f"{path} lists {len(archs)} cells, expected {N_CELLS}")


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Unpickling makes only new objects: looking through them for cycles over and over takes half the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Counted(io.RawIOBase):
    """A file that tells a progress bar how far it has been read."""

    def __init__(self, file: IO[bytes], bar: Any) -> None:
        self._file = file
        self._bar = bar

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._bar.update(len(data))
        return len(data)
