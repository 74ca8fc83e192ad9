"""Reading pickles that others wrote: only the few types a data set's batch needs are ever called."""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_eval.errors import NbevalError


def _encode(text: str, encoding: str) -> bytes:
    """Stand in for ``_codecs.encode``, which old protocols call to rebuild bytes, and always with latin1."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the codec {encoding!r}")
    return text.encode("latin1")


# An empty array tells which functions rebuild arrays: `_reconstruct`, and `_frombuffer` from protocol 5 on.
_RECONSTRUCT, _FROMBUFFER = (np.empty(0).__reduce_ex__(protocol)[0] for protocol in (2, 5))

# numpy 1 wrote `numpy.core`, numpy 2 writes `numpy._core`.
ALLOWED: Mapping[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy.core.numeric", "_frombuffer"): _FROMBUFFER,
    ("numpy._core.numeric", "_frombuffer"): _FROMBUFFER,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encode,
}

# What pickle raises on bytes that are no pickle, or only part of one.
_BROKEN = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    MemoryError,
    struct.error,
)


class _Refused(Exception):
    """The pickle names something that is not allowed."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise _Refused(f"{module}.{name}") from None


def load_batch(content: bytes, path: Path) -> dict[str, Any]:
    """Read one batch: a pickled dictionary of arrays, lists, numbers and text.

    Args:
        content: The file's bytes.
        path: How errors name the file.

    Returns:
        The dictionary; keys written by Python 2 (bytes) and by Python 3 (text) come out alike.

    Raises:
        NbevalError: If it is truncated, no pickle, no dictionary, or asks for any other type (which is not run).
    """
    try:
        # "bytes" leaves what Python 2 wrote as it is: decoding its pixels to text and back only costs time.
        batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except _Refused as error:
        raise NbevalError(
            f"refused to read {path}: it asks for {error}, which no image batch needs"
        ) from None
    except _BROKEN as error:
        raise NbevalError(
            f"cannot read {path}: truncated or not a pickled batch ({error}); get the file again"
        ) from None
    if not isinstance(batch, dict):
        raise NbevalError(
            f"cannot read {path}: it holds a {type(batch).__name__}, not a dictionary of images and labels"
        )
    return {
        key.decode("latin1") if isinstance(key, bytes) else str(key): value for key, value in batch.items()
    }
