"""Reading TOML tables that users write: every key is known, every value of the right kind, or one line says where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nasbench_eval.errors import UsageError, unknown
from nasbench_eval.utils.checks import shown, whole_number


class TomlTable:
    """One table of a TOML file, read key by key.

    Args:
        values: The table.
        known: The keys that it may have.
        where: What messages call it, such as ``study.toml, claim 2``.

    Raises:
        UsageError: If it is no table, or a key is unknown; the message names the nearest known one.
    """

    def __init__(self, values: object, known: Sequence[str], where: str) -> None:
        if not isinstance(values, Mapping):
            raise UsageError(f"{where} is a table of keys and values; got {shown(values)}")
        for key in values:
            if key not in known:
                raise UsageError(f"{where}: {unknown('key', key, list(known))}")
        self._values, self.where = dict(values), where

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text; without a default the key is needed."""
        value = self._get(key, default)
        if not isinstance(value, str):
            raise self._wrong(key, "a text", value)
        return value.strip()

    def names(self, key: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """Return the names of a text or a list of texts: at least one, unless the default is empty."""
        value = self._get(key, default)
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, Sequence) or not all(isinstance(name, str) and name for name in names):
            raise self._wrong(key, "a name or a list of names", value)
        if not names and default != ():  # an empty default allows an empty list
            raise self._wrong(key, "at least one name", value)
        return tuple(dict.fromkeys(names))

    def number(self, key: str) -> float | None:
        """Return a finite number, or None where there is none."""
        value = self._values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
            raise self._wrong(key, "a finite number", value)
        return float(value)

    def whole(self, key: str, *, at_least: int, at_most: int) -> int | None:
        """Return a whole number, or None where there is none."""
        if key not in self._values:
            return None
        number = whole_number(self._values[key], f"{self.where}: {key}", at_least=at_least)
        if number > at_most:
            raise self._wrong(key, f"at most {at_most:,}", number)
        return number

    def tables(self, key: str) -> list[Any]:
        """Return the array of tables ``[[key]]``; empty where there is none."""
        value = self._values.get(key, [])
        if not isinstance(value, list):
            raise UsageError(f"{self.where}: write {key} as [[{key}]], with two brackets")
        return value

    def raw(self, key: str, default: object = None) -> Any:
        """Return a value as it is."""
        return self._values.get(key, default)

    def _get(self, key: str, default: object) -> Any:
        if key not in self._values and default is None:
            raise UsageError(f"{self.where} needs a value for {key}")
        return self._values.get(key, default)

    def _wrong(self, key: str, what: str, value: object) -> UsageError:
        return UsageError(f"{self.where}: {key} is {what}; got {shown(value)}")
