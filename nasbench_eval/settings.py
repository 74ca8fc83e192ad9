"""Settings: frozen dataclasses whose fields document themselves, built from plain values and checked."""

from __future__ import annotations

import dataclasses
import numbers
import operator
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from nasbench_eval.errors import UsageError, unknown
from nasbench_eval.utils.checks import type_hints

T = TypeVar("T")


def setting(
    help: str,
    *,
    default: Any = dataclasses.MISSING,
    choices: tuple[str, ...] = (),
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    reduces: bool = False,
    only_with: Mapping[str, tuple[Any, ...]] | None = None,
    before: Any = dataclasses.MISSING,
    afterwards: bool = False,
) -> Any:
    """Declare a field of a settings class; this is the only place that describes a setting.

    Args:
        help: What the setting means, in one sentence, with its unit.
        default: The value if a preset sets none; without a default every preset must set one.
        choices: The allowed strings.
        at_least: The smallest allowed number. Every number must be finite, with or without bounds.
        above: A number below all allowed ones.
        at_most: The largest allowed number.
        below: A number above all allowed ones.
        reduces: Whether a value below the preset's makes the run a reduced one.
        only_with: Other settings, each with the values under which this setting has an effect.
        before: For a setting that was added when results already existed: the value that describes them. At this
            value, or without effect, it leaves the identity of a run unchanged.
        afterwards: Whether it says what follows the steps of a search, so that a search with it begins as the one with
            ``before`` in its place.
    """
    metadata = {
        "help": help,
        "choices": choices,
        "bounds": {"at least": at_least, "above": above, "at most": at_most, "below": below},
        "reduces": reduces,
        "only_with": only_with or {},
        "before": before,
        "afterwards": afterwards,
    }
    return dataclasses.field(default=default, metadata=metadata)


def has_effect(field: dataclasses.Field[Any], values: Mapping[str, Any]) -> bool:
    """Return whether a setting has an effect, given the values of the others."""
    needed: Mapping[str, tuple[Any, ...]] = field.metadata.get("only_with", {})
    return all(name not in values or values[name] in allowed for name, allowed in needed.items())


def identity(settings: Any) -> dict[str, Any]:
    """Return the values that identify a search: all but later settings that change nothing."""
    values = dataclasses.asdict(settings)
    return {
        field.name: values[field.name]
        for field in dataclasses.fields(settings)
        if not _was_added(field) or (values[field.name] != field.metadata["before"] and has_effect(field, values))
    }


def nothing_afterwards(cls: type[Any]) -> dict[str, Any]:
    """Return the values of the settings ``afterwards`` with which nothing follows the steps of a search."""
    return {f.name: f.metadata["before"] for f in dataclasses.fields(cls) if f.metadata.get("afterwards")}


def complete(cls: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an old run, with those that were added since at the value that describes it."""
    added = {field.name: field.metadata["before"] for field in dataclasses.fields(cls) if _was_added(field)}
    return {**added, **values}


def _was_added(field: dataclasses.Field[Any]) -> bool:
    return field.metadata.get("before", dataclasses.MISSING) is not dataclasses.MISSING


def without_value(cls: type[Any], values: Mapping[str, Any]) -> list[str]:
    """Return the settings that have neither a value nor a default."""
    return [f.name for f in dataclasses.fields(cls) if f.name not in values and f.default is dataclasses.MISSING]


def build_settings(cls: type[T], values: Mapping[str, Any], *, owner: str) -> T:
    """Build a settings object from plain values.

    Args:
        cls: The dataclass.
        values: Values by field name, as read from TOML.
        owner: The method or command that the settings belong to, for messages.

    Raises:
        UsageError: If a key is unknown (the message suggests the closest known one), a field without a default is
            missing, or a value has the wrong type or is out of range.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = type_hints(cls)
    checked: dict[str, Any] = {}
    for key, value in values.items():
        if key not in fields:
            raise unknown(f"setting of {owner}", key, sorted(fields))
        checked[key] = _checked(key, value, hints[key], fields[key].metadata, owner)
    if missing := without_value(cls, checked):
        raise UsageError(f"{owner} needs a value for {', '.join(missing)}")
    return cls(**checked)


def _checked(key: str, value: Any, hint: Any, metadata: Mapping[str, Any], owner: str) -> Any:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value in (None, "none") and types.NoneType in options:
        return None
    kind = next(option for option in options if option is not types.NoneType)
    # NumPy's numbers have other types, but mean the same.
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        value = int(value)
    elif isinstance(value, numbers.Real) and not isinstance(value, bool):
        value = float(value)
    if type(value) is int and abs(value) >= LARGEST:
        raise UsageError(f"{owner}: {key} is too large: it must be below {LARGEST}")
    if kind is float and type(value) is int:
        value = float(value)
    if kind is str and type(value) is int:
        value = str(value)  # a string that looks like a number, such as the fidelity 200
    if type(value) is not kind:
        # TOML and the command line know no types but those in KINDS.
        raise UsageError(f"{owner}: {key} must be {KINDS[kind]}; got {value!r}")
    if metadata["choices"] and value not in metadata["choices"]:
        raise UsageError(f"{owner}: {key} must be one of {', '.join(metadata['choices'])}; got {value!r}")
    if kind in (int, float):
        _check_number(key, value, metadata["bounds"], owner)
    return value


def _check_number(key: str, value: float, bounds: Mapping[str, float | None], owner: str) -> None:
    if isinstance(value, float) and not abs(value) <= LARGEST_FLOAT:  # also refuses nan
        raise UsageError(f"{owner}: {key} must be a finite number, at most {LARGEST_FLOAT:g}; got {value!r}")
    for words, bound in bounds.items():
        if bound is not None and not _COMPARE[words](value, bound):
            raise UsageError(f"{owner}: {key} must be {words} {bound:g}; got {value!r}")


LARGEST = 2**63
"""Integers beyond it fit neither torch nor a run file."""

LARGEST_FLOAT = 1e30
"""Networks calculate in float32, whose largest number is 3.4e38."""

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "at least": operator.ge,
    "above": operator.gt,
    "at most": operator.le,
    "below": operator.lt,
}

KINDS = {int: "an integer", float: "a number", bool: "true or false", str: "a string"}
"""The types that a setting can have, as messages name them."""
