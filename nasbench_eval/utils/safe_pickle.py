"""Read untrusted pickles: only allowed types are built, anything else is refused before it runs."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable, Collection, Mapping
from typing import IO, Any

from nasbench_eval.errors import NbevalError

NUMPY_SCALARS = frozenset(
    {
        ("numpy", "dtype"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy._core.multiarray", "scalar"),
        ("_codecs", "encode"),
    }
)
"""The types in pickles of numpy numbers, as written by numpy 1 and numpy 2."""

NUMPY_ARRAYS = NUMPY_SCALARS | {
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    # Only in protocol 5.
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
}
"""The types in pickles of numpy arrays."""


def restricted_load(
    file: IO[bytes],
    allowed: Collection[tuple[str, str]],
    *,
    name: str = "the pickle",
    encoding: str = "ASCII",
    outside: Mapping[int, Any] | None = None,
    memo: dict[int, Any] | None = None,
    stand_ins: Mapping[tuple[str, str], Any] | None = None,
) -> Any:
    """Read one pickle from a file, building only allowed types.

    Plain values (numbers, text, bytes, lists, tuples, dicts, sets) are always allowed.

    Args:
        file: The open file, positioned at the first byte of the pickle; afterwards at the byte after its last.
        allowed: Pairs of module and name, such as ``("collections", "OrderedDict")``.
        name: The file's name in messages.
        encoding: How to decode the ``str`` of Python 2, as in ``pickle.load``.
        outside: Objects that the pickle may refer to, by persistent identifier; None allows no such references.
        memo: If given, filled with the objects that the pickle numbers, by number.
        stand_ins: For pairs of module and name, what is built instead; the real one is not even imported.

    Raises:
        NbevalError: If the pickle needs any other type, is truncated, or is not a pickle.
    """
    try:
        unpickler = _Restricted(file, frozenset(allowed), name, encoding, outside or {}, stand_ins or {})
        loaded = unpickler.load()
        if memo is not None:
            memo.update(unpickler.memo.copy())
        return loaded
    except NbevalError:
        raise
    except (
        # Raised for bytes that are not a complete pickle; OSError and MemoryError have other causes.
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        TypeError,
        AttributeError,
        LookupError,
        ImportError,
        OverflowError,
    ) as error:
        raise NbevalError(f"{name} is truncated or not a pickle ({error}): get the file again") from error


class _Restricted(pickle.Unpickler):
    memo: Any

    def __init__(
        self,
        file: IO[bytes],
        allowed: frozenset[tuple[str, str]],
        name: str,
        encoding: str,
        outside: Mapping[int, Any],
        stand_ins: Mapping[tuple[str, str], Any],
    ) -> None:
        super().__init__(file, encoding=encoding)
        self._allowed = allowed
        self._name = name
        self._outside = outside
        self._stand_ins = stand_ins

    def find_class(self, module: str, name: str) -> Any:
        # Python 2 and pickle protocols below 3 call the builtins so.
        pair = ("builtins" if module == "__builtin__" else module, name)
        if pair == ("builtins", "set"):
            return set
        if pair in self._stand_ins:
            return self._stand_ins[pair]
        if pair not in self._allowed:
            raise NbevalError(
                f"{self._name} asks for {module}.{name}, which such a file does not need: refused, nothing was run"
            )
        if pair == ("_codecs", "encode"):
            # Protocol 2 writes bytes as text to encode. str.encode allows only text encodings, no decompression.
            return str.encode
        if module.startswith(("numpy.core.", "numpy._core.")):
            return _numpy_core(module.rpartition(".")[2], name)
        return super().find_class(module, name)

    def persistent_load(self, pid: object) -> Any:
        if isinstance(pid, int) and pid in self._outside:
            return self._outside[pid]
        raise NbevalError(f"{self._name} refers to data outside itself, which such files do not need")


def _numpy_core(module: str, name: str) -> Callable[..., Any]:
    """Return a function of numpy's core: numpy 1 has only ``numpy.core``, numpy 2 warns about that name."""
    try:
        found = importlib.import_module(f"numpy._core.{module}")
    except ImportError:
        found = importlib.import_module(f"numpy.core.{module}")
    function: Callable[..., Any] = getattr(found, name)
    return function
