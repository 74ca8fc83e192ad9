"""The specification of a run: preset, data set, seed, scale and changed settings. Its hash is the run's identity."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from nasbench_eval.errors import UsageError
from nasbench_eval.methods import METHODS, SearchMethod, load_method
from nasbench_eval.methods.plugins import source_hash
from nasbench_eval.settings import build_settings, has_effect, identity, nothing_afterwards
from nasbench_eval.utils.checks import parse_whole_number, whole_number
from runners.locks import Lock
from runners.presets import Preset, load_preset, scaled

SPEC_VERSION = 1
"""Raised when the same settings start to mean a different search, so that old results do not pass for new ones."""


MOST_SEEDS = 1_000_000


@dataclass(frozen=True)
class RunSpec:
    """One search, fully specified.

    Attributes:
        method: A preset's name, ``optuna:Sampler``, or ``module:Class`` of a custom method.
        search_dataset: The data set that the search trains on or queries.
        seed: The seed of all its random numbers.
        scale: ``full``, or a named reduction.
        overrides: Settings the user changed.
        split_hash: SHA-256 of the split file in use; empty for the seeded split. A tabular search uses no images.
    """

    method: str
    search_dataset: str
    seed: int
    scale: str = "full"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    split_hash: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", whole_number(self.seed, "a seed"))

    def with_seeds(self, seeds: Iterable[int]) -> Iterator[RunSpec]:
        """Return this search with each of some seeds; what they have in common is worked out once.

        Raises:
            UsageError: If an override is unknown or does not fit.
        """
        common = {"variant_id": self.variant_id, **vars(self)}  # among it what cached properties keep
        for own in ("seed", "run_id"):
            common.pop(own, None)
        for seed in seeds:
            spec = dataclasses.replace(self, seed=seed)
            vars(spec).update(common)
            yield spec

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
        section = self.preset.implementation if self.preset.implementation in METHODS else self._nearest
        return scaled(dataclasses.asdict(self._published), self.scale, section)

    @cached_property
    def _published(self) -> Any:
        return self._built(self.preset.settings_on(self.search_dataset))

    def _built(self, values: Mapping[str, Any]) -> Any:
        return build_settings(self.implementation.Settings, values, owner=self.method)

    @cached_property
    def values(self) -> dict[str, Any]:
        """Every setting and its value."""
        return dataclasses.asdict(self.settings)

    @cached_property
    def changed(self) -> dict[str, Any]:
        """The settings that the user changed; what the scale changed is not among them."""
        return {key: self.values[key] for key in self.overrides if self.values[key] != self._scaled[key]}

    @property
    def is_scaled(self) -> bool:
        """Whether the scale changes a setting; a custom method need not have those that scales change."""
        return bool(self._scaled != dataclasses.asdict(self._published))

    @property
    def without_effect(self) -> list[str]:
        """The settings that the user changed although they have no effect, as others have the values they have."""
        return [each.name for each in self._declarations() if each.name in self.changed and not self._acts(each)]

    def _acts(self, setting: dataclasses.Field[Any]) -> bool:
        return has_effect(setting, self.values)

    @property
    def beginning(self) -> RunSpec | None:
        """The search whose steps this one begins with, as something follows them here; None if nothing does."""
        ends = nothing_afterwards(self.implementation.Settings)
        other = dataclasses.replace(self, overrides={**self.overrides, **ends})
        return None if other.run_id == self.run_id else other

    @property
    def is_tabular(self) -> bool:
        """Whether the search queries the benchmark table; otherwise it trains on images."""
        return self.implementation.needs == "table"

    @property
    def steps(self) -> int | None:
        """How many steps the search takes: epochs, with what follows them, or candidate cells.

        None for a search in the table, whose budget is in seconds, and where they are not known.
        """
        if self.is_tabular:
            return None
        found: int | None = getattr(self.settings, "steps", self.values.get("epochs", self.values.get("candidates")))
        return found

    @property
    def words(self) -> str:
        """Which run it is, for messages."""
        return f"{self.method} {self.search_dataset} seed {self.seed}"

    @property
    def lock_name(self) -> str:
        """What the run shares a lock with: nothing, or for a tabular search all runs of its variant."""
        return self.variant_id if self.is_tabular else self.run_id

    def lock(self, results_dir: Path) -> Lock:
        """Return the lock that a process must have to run this."""
        what = f"{self.method} {self.search_dataset}" if self.is_tabular else self.words
        return Lock(results_dir, self.lock_name, what)

    def reductions(self, available: Mapping[str, int]) -> tuple[str, ...]:
        """Return, in words, every size that is smaller than the preset's.

        Args:
            available: For settings that limit images, how many there are: a limit above that limits nothing.
        """
        published, words = dataclasses.asdict(self._published), []
        for declared in self._declarations():
            name = declared.name
            if not (declared.metadata.get("reduces") and self._acts(declared)):
                continue
            value, full = self.values[name], published[name] or available.get(name)
            if value is not None and full is not None and value < full:
                words.append(f"{name} {full} -> {value}")
        return tuple(words)

    def _declarations(self) -> list[dataclasses.Field[Any]]:
        """Return the declaration of each setting; a custom method's setting means what ours of that name means."""
        declared = dataclasses.fields(self.implementation.Settings)
        if self.preset.implementation in METHODS:
            return list(declared)
        ours = {each.name: each for each in dataclasses.fields(load_method(self._nearest).Settings)}
        return [each if each.metadata.get("reduces") else ours.get(each.name, each) for each in declared]

    @property
    def _nearest(self) -> str:
        """Our implementation whose settings and scales also apply to a custom method, by name."""
        return "random_search" if self.is_tabular else "weight_sharing"

    @cached_property
    def source(self) -> str:
        """Hash of a custom method's source files; empty for built-in methods, which ``SPEC_VERSION`` covers."""
        return "" if self.preset.implementation in METHODS else source_hash(self.implementation)

    @cached_property
    def variant_id(self) -> str:
        """Hash of everything except the seed."""
        settings = identity(self.settings)
        what: list[Any] = [SPEC_VERSION, self.method, self.preset.implementation, self.search_dataset, settings]
        if self.split_hash and not self.is_tabular:
            what.append(self.split_hash)
        if self.source:
            what.append({"source": self.source})
        return hash_of(what)

    @cached_property
    def run_id(self) -> str:
        """Hash of everything including the seed; two specs with the same resolved settings are the same run."""
        return hash_of([self.variant_id, self.seed])


def hash_of(value: Any) -> str:
    """Return the hash of plain values that identifies a run or a variant."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def by_variant(specs: Iterable[RunSpec]) -> dict[str, list[RunSpec]]:
    """Group specs by ``variant_id``, which specs that differ only in the seed have in common; in the order given."""
    groups: dict[str, list[RunSpec]] = {}
    for spec in specs:
        groups.setdefault(spec.variant_id, []).append(spec)
    return groups


def parse_overrides(texts: Iterable[str], option: str = "--set") -> dict[str, Any]:
    """Parse ``key=value`` texts; a value is parsed as TOML, and taken as a word where it is not TOML.

    Args:
        texts: The texts.
        option: Where they come from, for messages.

    Raises:
        UsageError: If a text has no ``=``.
    """
    values: dict[str, Any] = {}
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not (key and equals and value):
            raise UsageError(f"{option} takes key=value; got {text!r}")
        try:
            values[key] = tomllib.loads(f"v = {value}")["v"]
        except tomllib.TOMLDecodeError:
            values[key] = value
    return values


def require_distinct(seeds: Iterable[int], what: str = "") -> None:
    """Check that no seed is given twice.

    Args:
        seeds: The seeds.
        what: Where they come from, for messages.

    Raises:
        UsageError: If one is.
    """
    if twice := [seed for seed, count in Counter(seeds).items() if count > 1]:
        raise UsageError(f"{what}seed {twice[0]} is given twice: the two runs would be the same")


def parse_seeds(text: str) -> list[int]:
    """Parse ``4`` as seeds 0 to 3, ``0,3,7`` as these three, and ``5,`` as the single seed 5.

    Raises:
        UsageError: If the text is neither, or names a seed twice.
    """
    parts = text.split(",")
    numbers = [number for part in parts if part.strip() and (number := parse_whole_number(part)) is not None]
    if not numbers or len(numbers) < sum(bool(part.strip()) for part in parts):
        raise UsageError(f"--seeds takes a number of seeds (4) or a list of them (0,3,7); got {text!r}")
    if len(parts) == 1:
        if numbers[0] > MOST_SEEDS:
            raise UsageError(f"--seeds: at most {MOST_SEEDS:,} seeds; got {text[:40]!r}")
        if numbers[0] == 0:
            raise UsageError("--seeds 0 asks for no run: give at least 1, or a list such as 0,3,7")
        return list(range(numbers[0]))
    require_distinct(numbers, "--seeds: ")
    return numbers
