"""What a run is: preset, data set, seed, scale, and what the user changed; its identity is a hash of all that."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nasbench_eval.errors import UsageError
from nasbench_eval.methods import METHODS, SearchMethod, load_method
from nasbench_eval.methods.plugins import source_hash
from nasbench_eval.settings import build_settings, identity
from runners.presets import Preset, load_preset, scaled

SPEC_VERSION = 1
"""Raised whenever the same settings come to mean another search, so that old results are not taken for new ones."""

SIZES = (
    "channels",
    "cells",
    "epochs",
    "arch_warmup_epochs",
    "train_images",
    "valid_images",
    "select_cells",
    "controller_steps",
    "budget_seconds",
)
"""Settings whose smaller value makes a run a reduced one."""

_ONLY_WITH = {"select_cells": ("uniform", "setn", "controller"), "controller_steps": ("controller",)}
"""Sizes that mean something to some parametrisations only."""


@dataclass(frozen=True)
class RunSpec:
    """One search, fully said.

    Attributes:
        method: A preset's name, or ``module:Class`` of a user's method.
        search_dataset: What the search trains on or queries.
        seed: The seed of all its random numbers.
        scale: ``full``, or a named reduction.
        overrides: Settings the user changed.
        split_hash: SHA-256 of the official split file in use; empty for the seeded split.
    """

    method: str
    search_dataset: str
    seed: int
    scale: str = "full"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    split_hash: str = ""

    @cached_property
    def preset(self) -> Preset:
        """The preset."""
        return load_preset(self.method)

    @cached_property
    def implementation(self) -> type[SearchMethod]:
        """The class that runs it."""
        return load_method(self.preset.implementation)

    @cached_property
    def settings(self) -> Any:
        """The settings object: preset, then scale, then overrides.

        Raises:
            UsageError: If an override is unknown or does not fit.
        """
        return self._built({**self._scaled, **self.overrides})

    @property
    def _scaled(self) -> dict[str, Any]:
        # Defaults count too: a scale may cut a setting that the preset leaves at its default.
        section = self.preset.implementation
        if section not in METHODS and self.implementation.needs == "images":
            section = "weight_sharing"  # a user's method is cut by those settings that it calls the same
        return scaled(dataclasses.asdict(self._published), self.scale, section)

    @cached_property
    def _published(self) -> Any:
        return self._built(self.preset.settings_on(self.search_dataset))

    def _built(self, values: Mapping[str, Any]) -> Any:
        return build_settings(self.implementation.Settings, values, owner=self.method)

    @cached_property
    def values(self) -> dict[str, Any]:
        """Every setting with its value."""
        return dataclasses.asdict(self.settings)

    @cached_property
    def changed(self) -> dict[str, Any]:
        """The settings that differ from the preset by the user's word, not by the scale."""
        return {key: self.values[key] for key in self.overrides if self.values[key] != self._scaled[key]}

    def reductions(self, available: Mapping[str, int]) -> tuple[str, ...]:
        """Return, in words, every size that is smaller than the preset's.

        Args:
            available: For settings that limit images, how many there are: a limit above that limits nothing.
        """
        published, words = dataclasses.asdict(self._published), []
        for key in SIZES:
            if key in _ONLY_WITH and self.values.get("parametrisation", _ONLY_WITH[key][0]) not in _ONLY_WITH[key]:
                continue  # the setting means nothing to this search
            value, full = self.values.get(key), published.get(key) or available.get(key)
            if value is not None and full is not None and value < full:
                words.append(f"{key} {full} -> {value}")
        return tuple(words)

    @cached_property
    def source(self) -> str:
        """Hash of a user's source files; empty for our own methods, whose meaning ``SPEC_VERSION`` tells."""
        return "" if self.preset.implementation in METHODS else source_hash(self.implementation)

    @cached_property
    def variant_id(self) -> str:
        """Hash of all but the seed."""
        settings = identity(self.settings)
        what: list[Any] = [SPEC_VERSION, self.method, self.preset.implementation, self.search_dataset, settings]
        if self.split_hash:
            what.append(self.split_hash)
        if self.source:
            what.append({"source": self.source})
        return _hash(what)

    @cached_property
    def run_id(self) -> str:
        """Hash of everything, the seed included; two specs with the same resolved settings are the same run."""
        return _hash([self.variant_id, self.seed])


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def parse_overrides(texts: Iterable[str]) -> dict[str, Any]:
    """Read ``key=value`` texts; a value is read as TOML, and as a word where it is not TOML.

    Raises:
        UsageError: If a text has no ``=``.
    """
    values: dict[str, Any] = {}
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not (key and equals and value):
            raise UsageError(f"--set takes key=value; got {text!r}")
        try:
            values[key] = tomllib.loads(f"v = {value}")["v"]
        except tomllib.TOMLDecodeError:
            values[key] = value
    return values


def parse_seeds(text: str) -> list[int]:
    """Read ``4`` as seeds 0 to 3, and ``0,3,7`` as these three; ``5,`` is the one seed 5.

    Raises:
        UsageError: If the text is neither.
    """
    parts = [part.strip() for part in text.split(",")]
    numbers = [part for part in parts if part]
    if not numbers or not all(part.isascii() and part.isdigit() for part in numbers):
        raise UsageError(f"--seeds takes a number of seeds (4) or a list of them (0,3,7); got {text!r}")
    if len(parts) == 1:
        if int(numbers[0]) == 0:
            raise UsageError("--seeds 0 asks for no run: give at least 1, or a list such as 0,3,7")
        return list(range(int(numbers[0])))
    return list(dict.fromkeys(int(part) for part in numbers))
