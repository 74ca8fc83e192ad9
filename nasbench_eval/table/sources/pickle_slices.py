"""Read the records of one huge pickle, one at a time.

Unpickled as a whole, the 4.7 GB of NAS-Bench-201's file become about 23 GB of objects. But its pickle is a sequence of
operations that can be cut where a record begins and ends, without building anything. The part in between is itself a
pickle, except for objects that were built earlier and that it refers to by number. ``split`` finds the cuts and those
numbers in one pass over the bytes; ``Slices.load`` builds one record.

Only the operations that ``pickle`` writes for plain values (protocol 2, which torch uses) are supported, in the layout
of the official file. Everything else raises ``NotSplittable``; the caller then unpickles the file as a whole.
"""

from __future__ import annotations

import bisect
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from nasbench_eval.errors import NbevalError
from nasbench_eval.utils.safe_pickle import restricted_load

_BLOCK = 1 << 23
_LONGEST = 1 << 12
"""Upper bound on the length of one operation; a file with a longer one is not split."""

_SHORT = 1 << 8
"""An unsupported operation this close to the end of the file is taken for a truncated one."""

# The length of a text precedes it; a regular expression needs one alternative per length.
_TEXT = rb"X(?:" + b"|".join(re.escape(bytes([n])) + rb"\x00{3}.{%d}" % n for n in range(128)) + rb")"
_VALUE = rb"[N\x88\x89}\])sa\x85\x86\x87Rb]|G.{8}|J.{4}|K.|M..|c[^\n]*\n[^\n]*\n|" + _TEXT
_PUT = rb"q.|r.{4}"

# Possessive: without backtracking, a run of any length needs no memory.
_PLAIN_RUN = re.compile(rb"(?:%b|%b)*+" % (_VALUE, _PUT), re.DOTALL)
_PLAIN_ONE = re.compile(rb"%b|%b" % (_VALUE, _PUT), re.DOTALL)
_NUMBERED_RUN = re.compile(rb"((?:%b|[(tue.])*+)([qh].|[rj].{4}|)" % _VALUE, re.DOTALL)
_ITEM_RUN = re.compile(rb"(?:%b|%b|h.|j.{4})*+" % (_VALUE, _PUT), re.DOTALL)
# The empty alternative makes it match at every start, so that findall moves from operation to operation.
_NEXT_GET = re.compile(rb"(?:%b|%b)*+(?:h(.)|j(.{4})|)" % (_VALUE, _PUT), re.DOTALL)
_NEXT_PUT = re.compile(rb"(?:%b|[(tue]|h.|j.{4})*+(?:q(.)|r(.{4}))" % _VALUE, re.DOTALL)

_TO_MARK, _INTEGERS = b"tue", {ord("K"): 2, ord("M"): 3, ord("J"): 5}
_GET_SIZE = {ord("h"): 2, ord("j"): 5}
_GETS = (b"h", b"j")
_STOP = b"."
_START = b"\x80\x02"


class NotSplittable(Exception):
    """The pickle does not have the layout of the official file, or uses an unsupported operation."""


@dataclass
class Slices:
    """The items of one value of a pickled dict, each read on its own.

    Attributes:
        path: The file.
        ranges: For each item's key, where the pickled item begins and ends in the file.
        shared: The objects that items refer to but do not build, by number.
    """

    path: Path
    ranges: dict[int, tuple[int, int]]
    shared: dict[int, Any]

    def load(self, key: int, allowed: frozenset[tuple[str, str]]) -> Any:
        """Build one item; raises as ``restricted_load``."""
        with self.path.open("rb") as file:
            return _load_range(file, self.ranges[key], self.shared, allowed)[0]


def split(
    path: Path,
    start: int,
    cut: str,
    allowed: frozenset[tuple[str, str]],
    progress: Callable[[int], object] = lambda _: None,
) -> tuple[Any, Slices]:
    """Cut one value of a pickled dict into its items.

    Args:
        path: The file.
        start: Where the pickle begins in the file.
        cut: The key of the value to cut: a dict with integers as keys and dicts as values.
        allowed: The types that may be built; see ``restricted_load``.
        progress: Called with the number of bytes read since the last call.

    Returns:
        The dict with the cut value left empty, and the items.

    Raises:
        NotSplittable: If the pickle has another layout.
        NbevalError: If the file is truncated, or needs a type that is not allowed.
    """
    with path.open("rb") as file:
        file.seek(start)
        scan = _Scan(file, start, cut, progress)
        scan.run()
        if not scan.items:
            raise NotSplittable("there are no items")
        rest, memo = _load_bytes(b"".join(scan.rest), {}, allowed, str(path), scan.outside)
        shared = dict(memo)
        # All other shared objects are built by items, which precede the items that refer to them.
        first = [number for number, _, _ in scan.items.values()]
        if sorted(first) != first:
            raise NotSplittable("the items' objects are not numbered in order")
        ranges = {key: (begin, end) for key, (_, begin, end) in scan.items.items()}
        keys = list(ranges)
        owners: dict[int, set[int]] = {}
        for number in scan.outside - memo.keys():
            owners.setdefault(keys[bisect.bisect_right(first, number) - 1], set()).add(number)
        for key in keys:
            if key in owners:
                _, memo = _load_range(file, ranges[key], shared, allowed, owners[key])
                if owners[key] - memo.keys():
                    raise NotSplittable("an item refers to an object that nothing builds")
                shared |= memo
    return rest, Slices(path, ranges, shared)


class _Scan:
    """One pass over the operations.

    Attributes:
        items: For each key, the number of the first object that the item numbers, and where it begins and ends.
        outside: The numbers of the objects that some item refers to but does not build.
        rest: The bytes of everything except the items.
    """

    def __init__(self, file: IO[bytes], start: int, cut: str, progress: Callable[[int], object]) -> None:
        self._file, self._progress = file, progress
        self._key = b"X" + len(cut).to_bytes(4, "little") + cut.encode()
        self._block, self._at, self._offset, self._ended = b"", 0, start, False
        self.items: dict[int, tuple[int, int, int]] = {}
        self.outside: set[int] = set()
        self.rest: list[bytes] = []

    def run(self) -> None:
        """Scan to the end of the pickle."""
        self._fill()
        if self._block[:2] != _START:
            raise NotSplittable("another protocol")
        self._at += len(_START)
        level, inside = 0, False
        while True:
            self._fill()
            if level >= 2 and not inside:
                self._keep(_length(_PLAIN_RUN, self._block, self._at))
                self._fill()
            block, at = self._block, self._at
            operation = block[at : at + 1]
            if operation == _STOP:
                self._keep(1)
                return
            if level == 1 and block.startswith(self._key, at):
                inside = True
                self._keep(len(self._key))
            elif level == 1 and inside and operation and operation in b"XKMJ":
                # The next key of the outer dict: the value to cut has ended.
                inside = False
                self._keep(self._one())
            elif level == 2 and inside and operation and block[at] in _INTEGERS:
                self._item()
            elif operation == b"(":
                level += 1
                self._keep(1)
            elif operation and operation in _TO_MARK:
                level -= 1
                self._keep(1)
            else:
                self._keep(_GET_SIZE[block[at]] if operation and operation in b"hj" else self._one())

    def _item(self) -> None:
        """Scan one key and its value."""
        size = _INTEGERS[self._block[self._at]]
        key = int.from_bytes(self._block[self._at + 1 : self._at + size], "little", signed=size == 5)
        self._at += size
        self._fill()
        begin, level, numbers = self._offset + self._at, 0, set[tuple[bytes, bytes]]()
        built = _NEXT_PUT.match(self._block, self._at)
        if key in self.items:
            raise NbevalError(f"{self._file.name} is damaged: item {key} appears twice")
        if built is None or self._block[self._at : self._at + 1] not in (b"}", b"c", b"h", b"j"):
            raise NotSplittable(f"item {key} is not a dict")
        first = int.from_bytes(built[1] or built[2], "little")
        while True:
            self._fill()
            if level:
                end = self._at + _length(_ITEM_RUN, self._block, self._at)
                numbers.update(_NEXT_GET.findall(self._block, self._at, end))
                self._at = end
                self._fill()
            operation = self._block[self._at : self._at + 1]
            if operation == b"(":
                level += 1
                self._at += 1
            elif level == 0 and operation and operation in b"KMJu":
                break
            elif operation and operation in _TO_MARK:
                level -= 1
                self._at += 1
            elif operation and operation in b"hj":
                end = self._at + _GET_SIZE[operation[0]]
                numbers.update(_NEXT_GET.findall(self._block, self._at, end))
                self._at = end
            else:
                self._at += self._one()
        referred = (int.from_bytes(short or long, "little") for short, long in numbers if short or long)
        self.outside.update(number for number in referred if number < first)
        self.items[key] = (first, begin, self._offset + self._at)

    def _one(self) -> int:
        length = _length(_PLAIN_ONE, self._block, self._at)
        if not length and self._ended and len(self._block) - self._at < _SHORT:
            raise NbevalError(f"{self._file.name} is truncated or not a pickle: get the file again")
        if not length:
            raise NotSplittable(f"operation {self._block[self._at : self._at + 1]!r}")
        return length

    def _keep(self, length: int) -> None:
        self.rest.append(self._block[self._at : self._at + length])
        self._at += length

    def _fill(self) -> None:
        """Make sure that the block holds the whole next operation."""
        if not self._ended and len(self._block) - self._at < _LONGEST:
            more = self._file.read(_BLOCK)
            self._ended = not more
            self._progress(len(more))
            self._offset += self._at
            self._block, self._at = self._block[self._at :] + more, 0


def _length(pattern: re.Pattern[bytes], block: bytes, at: int) -> int:
    match = pattern.match(block, at)
    return match.end() - at if match else 0


def _load_range(
    file: IO[bytes],
    where: tuple[int, int],
    shared: dict[int, Any],
    allowed: frozenset[tuple[str, str]],
    keep: set[int] | None = None,
) -> tuple[Any, dict[int, Any]]:
    file.seek(where[0])
    return _load_bytes(file.read(where[1] - where[0]) + _STOP, shared, allowed, file.name, keep or set())


def _load_bytes(
    data: bytes, shared: dict[int, Any], allowed: frozenset[tuple[str, str]], name: str, keep: set[int]
) -> tuple[Any, dict[int, Any]]:
    """Unpickle, and return the object and the objects to keep that it numbered.

    First the objects are renumbered from zero, without those that nothing refers to: the unpickler keeps its objects in
    an array as long as the highest number, which would take gigabytes. A reference to an outside object becomes a
    persistent identifier, which the unpickler looks up.
    """
    tokens = _NUMBERED_RUN.findall(data)
    if sum(len(run) + len(operation) for run, operation in tokens) != len(data):
        raise NbevalError(f"{name} is truncated or not a pickle: get the file again")
    operations = {operation for _, operation in tokens}
    asked = {_number(operation): operation for operation in operations if operation[:1] in _GETS}
    small = {number: new for new, number in enumerate(asked.keys() | keep) if _put(number) in operations}
    if asked.keys() - small.keys() - shared.keys():
        raise NotSplittable("an object is referred to before it is built")
    replaced = {_put(number): b"r" + new.to_bytes(4, "little") for number, new in small.items()}
    for number, operation in asked.items():
        new = small.get(number)
        outside = b"J" + number.to_bytes(4, "little") + b"Q"
        replaced[operation] = outside if new is None else b"j" + new.to_bytes(4, "little")
    pieces = [_START]
    for run, operation in tokens:
        pieces.append(run)
        if operation in replaced:
            pieces.append(replaced[operation])
    memo: dict[int, Any] = {}
    stream = io.BytesIO(b"".join(pieces))
    loaded = restricted_load(stream, allowed, name=name, outside=shared, memo=memo)
    return loaded, {number: memo[new] for number, new in small.items() if number in keep}


def _number(operation: bytes) -> int:
    return int.from_bytes(operation[1:], "little")


def _put(number: int) -> bytes:
    """Return the operation that gives an object this number, as ``pickle`` writes it."""
    return b"q" + bytes([number]) if number < 256 else b"r" + number.to_bytes(4, "little")
