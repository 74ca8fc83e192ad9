"""Presets (``presets/*.toml``): a method, every hyperparameter and its source; scales (``scales/*.toml``)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from nasbench_eval.errors import unknown

PRESETS_FOLDER = Path(__file__).parent / "presets"
SCALES_FOLDER = Path(__file__).parent / "scales"


@dataclass(frozen=True)
class Preset:
    """One way to run a method, as ``--method`` names it.

    Attributes:
        name: The file's name without ending.
        title: What tables and figures print.
        implementation: A key of ``nasbench_eval.methods.METHODS``.
        block: ``weight sharing`` or ``standard HPO``.
        summary: One line.
        paper: Where the method comes from.
        settings: The values it sets; an implementation's defaults fill the rest.
        sources: For each of them, the paper's section or the code's file.
        on: For a setting whose published value depends on the data set, the values by data set.
    """

    name: str
    title: str
    implementation: str
    block: str
    summary: str
    paper: str
    settings: Mapping[str, Any]
    sources: Mapping[str, str]
    on: Mapping[str, Mapping[str, Any]]

    def settings_on(self, dataset: str) -> dict[str, Any]:
        """Return the values for a search on a data set."""
        return {key: self.on.get(key, {}).get(dataset, value) for key, value in self.settings.items()}


def preset_names() -> list[str]:
    """Return all presets' names, sorted."""
    return sorted(path.stem for path in PRESETS_FOLDER.glob("*.toml"))


@cache
def load_preset(name: str) -> Preset:
    """Read a preset; ``extends`` takes over all that the named preset says and the file itself does not.

    Raises:
        UsageError: If there is none of that name.
    """
    if name not in preset_names():
        raise unknown("method", name, preset_names())
    values = tomllib.loads((PRESETS_FOLDER / f"{name}.toml").read_text())
    own = values.pop("settings", {})
    settings = {key: entry["value"] for key, entry in own.items()}
    sources = {key: entry["source"] for key, entry in own.items()}
    on = {key: entry.get("on", {}) for key, entry in own.items()}
    if "extends" in values:
        base = load_preset(values.pop("extends"))
        settings = {**base.settings, **settings}
        sources = {**base.sources, **sources}
        on = {**base.on, **on}
        values = {"implementation": base.implementation, "block": base.block, **values}
    return Preset(name=name, settings=settings, sources=sources, on=on, **values)


def scale_names() -> list[str]:
    """Return the names of the scales, ``full`` first."""
    return ["full", *sorted(path.stem for path in SCALES_FOLDER.glob("*.toml"))]


@cache
def load_scale(name: str) -> Mapping[str, Mapping[str, Any]]:
    """Read a scale: per implementation, and for ``truth``, the settings it replaces and, under ``divide``, divides.

    Raises:
        UsageError: If there is none of that name.
    """
    if name not in scale_names():
        raise unknown("scale", name, scale_names())
    return {} if name == "full" else tomllib.loads((SCALES_FOLDER / f"{name}.toml").read_text())


def scaled(settings: Mapping[str, Any], scale: str, section: str) -> dict[str, Any]:
    """Return settings with a scale's section applied; it only ever makes a number smaller."""
    rules = dict(load_scale(scale).get(section, {}))
    out = dict(settings)
    for key, divisor in rules.pop("divide", {}).items():
        if out.get(key) is not None:
            out[key] = max(1, -(-out[key] // divisor))
    for key, value in rules.items():
        out[key] = value if out.get(key) is None else min(value, out[key])
    return out
