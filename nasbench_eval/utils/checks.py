"""Checks of values that a user writes on the command line or passes to the Python interface."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_origin, get_type_hints

from nasbench_eval.errors import UsageError

T = TypeVar("T")

type_hints: Callable[[Any], dict[str, Any]] = cache(get_type_hints)
"""Returns the evaluated annotations of a class; evaluating them anew for each of many runs takes long."""

_LONGEST = 18
"""Digits of the longest number that is read: every such number fits into 64 bits."""


def parse_whole_number(text: str) -> int | None:
    """Return the number that a text of the digits 0 to 9 writes, or None for any other text.

    ``str.isdigit`` is no such test: it also accepts ``²``, which ``int`` refuses, and numbers of any length, of which
    ``int`` refuses those with more than 4,300 digits. Space around the number is ignored.
    """
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST else None


def whole_number(value: object, what: str, *, at_least: int = 0, at_most: int | None = None) -> int:
    """Return a whole number as an ``int``; NumPy's integers are whole numbers, True and 1.0 are not.

    Args:
        value: What the user passed.
        what: Its name in the message, such as ``"a seed"``.
        at_least: The smallest allowed number.
        at_most: The largest one; None: there is none.

    Raises:
        UsageError: If it is not a whole number, too small, or too large.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    # NumPy's True is not an index, but Python's is.
    if number is None or isinstance(value, bool) or number < at_least or (at_most is not None and number > at_most):
        bounds = f"from {at_least}" if at_most is None else f"from {at_least} to {at_most}"
        raise UsageError(f"{what} is a whole number {bounds}; got {shown(value)}")
    return number


def optional_path(value: object, what: str) -> Path | None:
    """Return a path, or None for None.

    Raises:
        UsageError: If it is neither a string nor a path.
    """
    if value is None or isinstance(value, Path):
        return value
    if isinstance(value, str) and value:
        return Path(value)
    raise UsageError(f"{what} is a path; got {shown(value)}")


def mapping(value: object, what: str) -> dict[str, Any]:
    """Return a mapping from names as a dictionary; None is an empty one.

    Raises:
        UsageError: If it is no mapping from names.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise UsageError(f"{what} is a mapping from names to values, such as {{'epochs': 3}}; got {shown(value)}")
    return dict(value)


def from_plain(kind: type[T], values: object) -> T:
    """Return a dataclass made of values that were read from JSON.

    Raises:
        TypeError: If they are no mapping, a field is missing or unknown, or a value is not what its field holds.
    """
    if not isinstance(values, dict):
        raise TypeError("it holds no names and values")
    known = {each.name: each for each in dataclasses.fields(kind)}  # type: ignore[arg-type]  # it is a dataclass
    for name, each in known.items():
        if name not in values and each.default is each.default_factory is dataclasses.MISSING:
            raise TypeError(f"it has no {name}")
    if unknown := [name for name in values if name not in known]:
        raise TypeError(f"it has {shown(unknown[0])}, which is unknown")
    made = kind(**values)
    for name, hint in type_hints(kind).items():
        if not _fits(value := getattr(made, name), hint):
            raise TypeError(f"its {name} is {shown(value)}")
    return made


def _fits(value: object, hint: Any) -> bool:
    if isinstance(hint, UnionType):
        return any(_fits(value, each) for each in hint.__args__)
    if hint in (int, float):
        return isinstance(value, int | hint) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, get_origin(hint) or hint)


def shown(value: object) -> str:
    """Return a value as a message shows it: on one line, cut if it is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 100 else f"{text[:97]}..."
