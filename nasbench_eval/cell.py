"""The NAS-Bench-201 cell space: cells, architecture strings, the official order, neighbours, canonical forms.

Source: Dong & Yang, "NAS-Bench-201", ICLR 2020, section 2.1, and its released code (``CellStructure``).
Needs no torch.
"""

from __future__ import annotations

import random  # noqa: TID251 - the official order is one fixed shuffle of Python's generator, see _official_codes
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from numbers import Integral
from typing import TYPE_CHECKING, Any

from nasbench_eval.errors import UsageError
from nasbench_eval.official_names import NASLIB_EDGES, NASLIB_OPS, OP_NAMES, name_hint
from nasbench_eval.utils.checks import parse_whole_number, shown, whole_number

if TYPE_CHECKING:
    import numpy as np

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The candidate operations in the official order."""

EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
"""The edges as (target node, source node) in the official order."""

NODES = 4
N_OPS = len(OPS)
N_EDGES = len(EDGES)
N_CELLS = N_OPS**N_EDGES

NONE, SKIP_CONNECT, NOR_CONV_1X1, NOR_CONV_3X3, AVG_POOL_3X3 = range(N_OPS)

INCOMING = tuple(tuple(e for e, (target, _) in enumerate(EDGES) if target == node) for node in range(NODES))
"""For each node, the indices of the edges that enter it."""
OUTGOING = tuple(tuple(e for e, (_, source) in enumerate(EDGES) if source == node) for node in range(NODES))
"""For each node, the indices of the edges that leave it."""

Ops = tuple[int, int, int, int, int, int]


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One cell: the index into ``OPS`` of the operation on each of the six ``EDGES``.

    Any sequence of whole numbers will do, such as a list or a NumPy array; ``ops`` is a tuple of ``int``.

    Raises:
        UsageError: If there are not six operations, or one is not an index into ``OPS``.
    """

    ops: Ops

    def __post_init__(self) -> None:
        ops = self.ops
        # Most cells are made from tuples of int: the check that normalises takes several times as long.
        if type(ops) is not tuple or not all(type(op) is int and 0 <= op < N_OPS for op in ops) or len(ops) != N_EDGES:
            object.__setattr__(self, "ops", _whole(ops))

    @staticmethod
    def parse(text: str) -> Cell:
        """Read an architecture string such as ``|avg_pool_3x3~0|+|none~0|skip_connect~1|+|...|``.

        Raises:
            UsageError: If the text is not a cell; the message names the first wrong character and what was expected.
        """
        text = text.strip()
        ops: list[int] = []
        at = 0

        def expect(token: str) -> None:
            nonlocal at
            if not text.startswith(token, at):
                # Name the first character that differs, not the start of the token.
                same = next((i for i, c in enumerate(token) if text[at + i : at + i + 1] != c), len(token))
                found = repr(text[at + same]) if at + same < len(text) else "the end"
                raise UsageError(
                    f"not an architecture string: character {at + same + 1} is {found}, expected "
                    f"{token[same:]!r} (in {text!r})"
                )
            at += len(token)

        for node in range(1, NODES):
            expect("|" if node == 1 else "+|")
            for edge in INCOMING[node]:
                end = text.find("~", at)
                name = text[at : end if end >= 0 else len(text)]
                if name not in OPS:
                    raise UsageError(
                        f"not an architecture string: character {at + 1} begins {name[:20]!r}, "
                        f"{name_hint(name, OPS)}expected one of {', '.join(OPS)} (in {text!r})"
                    )
                ops.append(OPS.index(name))
                at += len(name)
                expect(f"~{EDGES[edge][1]}|")
        if at != len(text):
            raise UsageError(
                f"not an architecture string: character {at + 1} is {text[at]!r}, expected the end (in {text!r})"
            )
        return Cell(tuple(ops))  # type: ignore[arg-type]

    @staticmethod
    def from_index(index: int) -> Cell:
        """Return the cell at an official index.

        Raises:
            UsageError: If the index is not in 0..15624.
        """
        if isinstance(index, bool) or not isinstance(index, Integral) or not 0 <= index < N_CELLS:
            raise UsageError(f"a cell index lies in 0..{N_CELLS - 1}; got {shown(index)}")
        code, ops = _official_codes()[index], []
        for _ in range(N_EDGES):
            code, op = divmod(code, N_OPS)
            ops.append(op)
        return Cell(tuple(reversed(ops)))

    @staticmethod
    def from_naslib(ops: Sequence[int] | Sequence[str]) -> Cell:
        """Return the cell of six operations as NASLib writes them (``op_indices``): its edge order, its numbers.

        Args:
            ops: Six numbers in NASLib's order of operations, or six of its or our names (``ReLUConvBN3x3``).

        Raises:
            UsageError: If it is not six operations.
        """
        number = {name: NASLIB_OPS.index(OP_NAMES.get(name, name)) for name in (*NASLIB_OPS, *OP_NAMES)}
        given = [number.get(op, -1) if isinstance(op, str) else op for op in (ops if isinstance(ops, Iterable) else ())]
        theirs = dict(zip(NASLIB_EDGES, (OPS.index(NASLIB_OPS[op]) for op in _whole(given, ops)), strict=True))
        return Cell(tuple(theirs[edge] for edge in EDGES))  # type: ignore[arg-type]

    @staticmethod
    def from_matrix(matrix: Any) -> Cell:
        """Return the cell of a matrix as ``str2matrix`` of NAS-Bench-201 makes it.

        Args:
            matrix: (4, 4), nested lists or an array; the entry [target, source] is the operation, in the order of
                ``OPS``, and everything else is 0. Whole numbers may be floats, as the official function returns them.

        Raises:
            UsageError: If it is not such a matrix.
        """
        import numpy as np

        try:
            found = np.asarray(matrix)
        except ValueError:  # rows of different lengths
            found = np.empty(0)
        numbers = found.shape == (NODES, NODES) and found.dtype.kind in "iuf" and np.isfinite(found).all()
        if not (numbers and np.array_equal(found, found // 1)):
            raise UsageError(f"the matrix of a cell is {NODES}x{NODES} whole numbers; got {shown(matrix)}")
        if np.triu(found).any():
            raise UsageError("the matrix of a cell has its operations below the diagonal, at [target, source]")
        return Cell(tuple(int(found[edge]) for edge in EDGES))  # type: ignore[arg-type]

    @staticmethod
    def random(rng: np.random.Generator, ops: tuple[int, ...] = tuple(range(N_OPS))) -> Cell:
        """Draw a cell uniformly: on each edge, independently, one of the allowed operations."""
        return Cell(tuple(ops[i] for i in rng.integers(len(ops), size=N_EDGES)))

    def __str__(self) -> str:
        return "+".join(
            "|" + "".join(f"{OPS[self.ops[e]]}~{EDGES[e][1]}|" for e in INCOMING[node]) for node in range(1, NODES)
        )

    @property
    def code(self) -> int:
        """The operations read as a number in base five, first edge first: the rank in ``itertools.product``."""
        code = 0
        for op in self.ops:
            code = code * N_OPS + op
        return code

    @property
    def index(self) -> int:
        """The official index, 0..15624."""
        return _index_of_code()[self.code]

    def with_ops(self, ops: Mapping[int, int]) -> Cell:
        """Return the cell with other operations on some edges, given by edge."""
        return Cell(tuple(ops.get(edge, op) for edge, op in enumerate(self.ops)))  # type: ignore[arg-type]

    def neighbours(self, ops: tuple[int, ...] = tuple(range(N_OPS))) -> list[Cell]:
        """Return the cells that differ from this one on exactly one edge, edge by edge (24 with all operations)."""
        return [
            Cell((*self.ops[:edge], op, *self.ops[edge + 1 :]))  # type: ignore[arg-type]
            for edge in range(N_EDGES)
            for op in ops
            if op != self.ops[edge]
        ]

    def canonical(self) -> str:
        """Return a string that is equal for cells that are isomorphic by the benchmark's own convention.

        ``none``, and every operation on a node whose only input is ``none``, is zero; ``skip_connect`` is the
        identity; summands are sorted. The 15,625 cells fall into 6,466 classes (``to_unique_str(consider_zero=True)``
        in the released code; section 2.1 of the paper has the same number).
        """
        nodes = ["0"]
        for node in range(1, NODES):
            terms = []
            for edge in INCOMING[node]:
                source, op = nodes[EDGES[edge][1]], self.ops[edge]
                if op == NONE or source == "#":
                    terms.append("#")
                elif op == SKIP_CONNECT:
                    terms.append(source)
                else:
                    terms.append(f"({source})@{OPS[op]}")
            nodes.append("+".join(sorted(terms)))
        return nodes[-1]

    def counts(self) -> dict[str, int]:
        """Return the number of edges with each operation, in the order of ``OPS``."""
        return {name: self.ops.count(op) for op, name in enumerate(OPS)}


@cache
def all_cells() -> tuple[Cell, ...]:
    """Return all 15,625 cells in the official order."""
    return tuple(Cell.from_index(index) for index in range(N_CELLS))


@cache
def all_ops() -> np.ndarray:
    """Return the operations of all cells in the official order, int (15625, 6), read-only."""
    import numpy as np

    ops = np.array([cell.ops for cell in all_cells()])
    ops.setflags(write=False)
    return ops


@cache
def all_archs() -> tuple[str, ...]:
    """Return the architecture strings of all 15,625 cells in the official order."""
    return tuple(str(cell) for cell in all_cells())


@cache
def index_of_arch() -> Mapping[str, int]:
    """Return the official index of every architecture string as ``str(cell)`` writes it."""
    return {arch: index for index, arch in enumerate(all_archs())}


def _whole(ops: Any, given: Any = None) -> Ops:
    """Return six operations as a tuple of ``int``."""
    wrong = UsageError(
        f"a cell has {N_EDGES} operations, each 0 to {N_OPS - 1}; got {shown(ops if given is None else given)}"
    )
    try:
        found = tuple(whole_number(op, "an operation") for op in ops)
    except (TypeError, UsageError):
        raise wrong from None
    if len(found) != N_EDGES or max(found) >= N_OPS:
        raise wrong
    return found  # type: ignore[return-value]


def parse_cell(text: str) -> Cell:
    """Read a cell from an architecture string or an official index.

    Raises:
        UsageError: If the text is neither.
    """
    text = text.strip()
    if (index := parse_whole_number(text)) is not None:
        return Cell.from_index(index)
    if "|" not in text:
        raise UsageError(
            f"{text!r} is neither an index (0..{N_CELLS - 1}) nor an architecture string (|op~0|+|op~0|op~1|+...)"
        )
    return Cell.parse(text)


def as_cell(value: Any) -> Cell:
    """Return a cell given in any form that the official benchmarks use.

    Args:
        value: A cell, its architecture string, its official index (a whole number or its digits), NAS-Bench-201's
            matrix (see ``Cell.from_matrix``), or its nested tuples ``((("nor_conv_3x3", 0),), ...)``, one per node.

    Raises:
        UsageError: If it is none of these. Six operations are refused too, because NAS-Bench-201 and NASLib order
            them differently; the message names the functions that take them.
    """
    if isinstance(value, Cell):
        return value
    if isinstance(value, str):
        return parse_cell(value)
    if isinstance(value, Integral):
        return Cell.from_index(value)  # type: ignore[arg-type]
    try:
        size = len(value)
    except TypeError:
        size = 0
    if size == NODES:
        return Cell.from_matrix(value)
    if size == N_EDGES:
        raise UsageError(
            "six operations are in NAS-Bench-201's order of edges or in NASLib's: say which, with "
            f"Cell({shown(value)}) or Cell.from_naslib({shown(value)})"
        )
    if size == NODES - 1:
        try:
            nodes = ("|" + "".join(f"{op}~{source}|" for op, source in node) for node in value)
            return Cell.parse("+".join(nodes))
        except (TypeError, ValueError):
            pass  # not pairs: the message below says what would be
    raise UsageError(
        f"a cell is given as a Cell, an architecture string, an index (0..{N_CELLS - 1}), a {NODES}x{NODES} matrix or "
        f"nested tuples; got {shown(value)}"
    )


@cache
def _official_codes() -> tuple[int, ...]:
    """Return the codes in official order: the benchmark shuffled them with Python's generator, seeded with 88."""
    codes = list(range(N_CELLS))
    random.Random(88).shuffle(codes)
    return tuple(codes)


@cache
def _index_of_code() -> tuple[int, ...]:
    index = [0] * N_CELLS
    for i, code in enumerate(_official_codes()):
        index[code] = i
    return tuple(index)
