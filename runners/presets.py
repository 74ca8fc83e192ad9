"""Presets (``presets/*.toml``): a method, its hyperparameters and their sources; scales (``scales/*.toml``).

A custom method has no such file: its preset is made from its class, from :func:`register`, and from the preset that it
extends.
"""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from nasbench_eval.errors import UsageError, unknown
from nasbench_eval.methods import OPTUNA, SearchMethod, load_method
from nasbench_eval.methods.plugins import path_of, remember
from nasbench_eval.runs import BLOCKS, IMPORTED_NAME
from nasbench_eval.settings import build_settings, without_value
from nasbench_eval.utils.checks import mapping, shown

ENTRY_POINTS = "nbeval.methods"
"""The entry-point group through which a package offers methods: ``name = "module:Class"``."""

FAMILIES = ("differentiable", "controller", "one-shot", "training-free", "tabular", "your own")
"""The order in which ``nbeval methods`` lists the families of methods."""

PRESETS_FOLDER = Path(__file__).parent / "presets"
SCALES_FOLDER = Path(__file__).parent / "scales"


@dataclass(frozen=True)
class Preset:
    """One way to run a method, as ``--method`` names it.

    Attributes:
        name: The file's name without suffix; ``optuna:Sampler``, or ``module:Class`` for a custom method.
        title: What tables and figures print.
        implementation: What ``nasbench_eval.methods.load_method`` takes.
        block: One of ``BLOCKS``.
        summary: One line.
        paper: The paper of the method.
        family: One of ``FAMILIES``.
        settings: The settings it gives a value; the implementation's defaults fill the rest.
        sources: For each of them, the section of the paper or the file of the code.
        on: For settings whose value depends on the data set, the values by data set.
    """

    name: str
    title: str
    implementation: str
    block: str
    summary: str
    paper: str
    family: str
    settings: Mapping[str, Any]
    sources: Mapping[str, str]
    on: Mapping[str, Mapping[str, Any]]

    def settings_on(self, dataset: str) -> dict[str, Any]:
        """Return the settings for a search on a data set."""
        return {key: self.on.get(key, {}).get(dataset, value) for key, value in self.settings.items()}


_registered: dict[str, tuple[type[SearchMethod], Preset]] = {}  # by module:Class
_names: dict[str, str] = {}  # from the names given to register to module:Class


def register(
    cls: type[SearchMethod],
    name: str | None = None,
    *,
    title: str | None = None,
    extends: str | None = None,
    settings: Mapping[str, Any] | None = None,
    paper: str = "",
    block: str | None = None,
) -> Preset:
    """Give a custom method what a preset gives a built-in one; registering it again replaces this.

    Args:
        cls: The class of the method.
        name: A short name for ``--method``, besides ``module:Class``, in this process.
        title: What tables and figures print, no title of an included method; by default the name of the class, or
            ``module:Class`` if that is one.
        extends: A method whose settings it starts from.
        settings: Settings that it changes; the defaults of its ``Settings`` fill the rest.
        paper: The paper of the method.
        block: One of ``BLOCKS``; by default that of ``extends``, or the one that fits what the method needs.

    Raises:
        UsageError: If the class is not a complete method, the name or title is taken or invalid, or a setting does not
            fit.
    """
    if not isinstance(cls, type):
        raise UsageError(f"register takes the class of a method; got {shown(cls)}")
    path = remember(cls)
    if name is not None:
        if not isinstance(name, str) or not re.fullmatch(r"\w+", name) or name == "all":
            raise UsageError(f"a method's name consists of letters, digits and _; got {name!r}")
        if name in preset_names() or _names.get(name, path) != path:
            raise UsageError(f"there is already a method {name!r}: register {path} under another name")
    included = _titles()
    require_free_title(title, path)
    base = None if extends is None else load_preset(extends)
    if block is None:
        block = base.block if base is not None else BLOCKS[1] if cls.needs == "images" else BLOCKS[0]
    if block not in BLOCKS:
        raise UsageError(f"the block of a method is one of {', '.join(BLOCKS)}; got {block!r}")
    changed = mapping(settings, "settings")
    kept = {} if base is None else {key: value for key, value in base.settings.items() if key not in changed}
    preset = Preset(
        name=path,
        title=title or (path if cls.__name__ in included else cls.__name__),
        implementation=path,
        block=block,
        # As in a preset's file: what shows it adds the full stop.
        summary=(cls.__doc__ or "").strip().partition("\n")[0].rstrip(".") or f"{cls.__name__} of {cls.__module__}",
        paper=paper,
        family="your own",
        settings={**kept, **changed},
        sources={**({} if base is None else {key: base.sources[key] for key in kept}), **dict.fromkeys(changed, path)},
        on={} if base is None else {key: base.on[key] for key in kept if key in base.on},
    )
    if base is None and (missing := without_value(cls.Settings, preset.settings)):
        raise UsageError(f"{path} needs a value for {', '.join(missing)}: {_how_to_register(cls, missing)}")
    build_settings(cls.Settings, preset.settings, owner=path)
    _registered[path] = (cls, preset)
    if name is not None:
        _names[name] = path
    return preset


def require_free_title(title: str | None, what: str) -> None:
    """Check that a title is that of no included method, with which tables and figures would name two alike.

    Raises:
        UsageError: If it is; the message says that ``what`` needs another one.
    """
    if title is not None and (owner := _titles().get(title)) is not None:
        raise UsageError(f"{owner} has the title {title!r}: give {what} another one")


def _how_to_register(cls: type[SearchMethod], missing: list[str]) -> str:
    """Say what to write in the file of a method so that its settings have values."""
    base = "darts" if cls.needs == "images" else "rs"
    if set(missing) <= load_preset(base).settings.keys():
        return f'end its file with register({cls.__name__}, extends="{base}"), the method whose settings it starts from'
    return f"give a default in {cls.Settings.__name__}, or settings={{...}} in register({cls.__name__}, ...)"


def adopt(preset: Preset) -> None:
    """Make a custom method known as another process registered it; nothing changes for a method of a preset file."""
    if ":" in preset.name:
        _registered[preset.name] = (load_method(preset.implementation), preset)


def name_of(method: str | type[SearchMethod]) -> str:
    """Return the name under which a method's runs are recorded, after registering a class that is not yet registered.

    Raises:
        UsageError: If there is no such method, or the class is not a complete one.
    """
    if isinstance(method, str):
        return load_preset(method).name
    if not isinstance(method, type):
        raise UsageError(f"a method is a name, module:Class or a class; got {shown(method)}")
    registered, preset = _registered.get(path_of(method), (None, None))
    return preset.name if preset is not None and registered is method else register(method).name


def preset_names() -> list[str]:
    """Return the names of all presets, sorted."""
    return list(_files())


@cache
def _files() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in PRESETS_FOLDER.glob("*.toml")))


@cache
def _titles() -> Mapping[str, str]:
    """Return the included methods by their titles."""
    return {_read(name).title: name for name in preset_names()}


def method_names() -> list[str]:
    """Return all names that ``--method`` accepts: presets, then methods of installed packages, then registered ones."""
    presets, others = preset_names(), {**_entry_points(), **_names}
    return [*presets, *(name for name in others if name not in presets)]


def load_preset(name: str) -> Preset:
    """Return the preset of a method by any name that ``--method`` accepts; the preset's own name is what runs record.

    Raises:
        UsageError: If there is no method of that name, or it is a custom one that cannot be loaded.
    """
    if not isinstance(name, str):
        raise UsageError(f"the name of a method is a text; got {shown(name)}")
    if name in _files():
        return _read(name)
    if name.startswith(IMPORTED_NAME):
        raise UsageError(
            f"{name} is no method to run: other code found its cells (`nbeval compare` and `plot` show them)"
        )
    path = _names.get(name) or _entry_points().get(name) or name
    if ":" not in path:
        error = unknown("method", name, method_names())
        raise UsageError(f"{error}; a class of your own is named MODULE:CLASS, such as my_method:MyMethod")
    cls = load_method(path)
    registered, preset = _registered.get(path, (None, None))
    if preset is not None and registered is cls:
        return preset
    if path.startswith(OPTUNA):
        return register(cls, title=f"{cls.__name__} (Optuna)", extends="rs", paper="Akiba et al., KDD 2019")
    return register(cls)


@cache
def _entry_points() -> Mapping[str, str]:
    return {point.name: point.value for point in importlib.metadata.entry_points(group=ENTRY_POINTS)}


_IN_A_FILE = {"title", "implementation", "block", "family", "summary", "paper"}
"""What a preset has besides its settings, of its own or from the one that it extends."""


@cache
def _read(name: str) -> Preset:
    """Read the file of a preset; it inherits what it does not set from the preset named by ``extends``."""
    path = PRESETS_FOLDER / f"{name}.toml"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}") from None
    own = values.pop("settings", {})
    for key, entry in own.items():
        if not (isinstance(entry, dict) and {"value", "source"} <= entry.keys()):
            raise UsageError(f'{path}: write {key} = {{ value = ..., source = "where the value is from" }}')
    settings = {key: entry["value"] for key, entry in own.items()}
    sources = {key: entry["source"] for key, entry in own.items()}
    on = {key: entry.get("on", {}) for key, entry in own.items()}
    if "extends" in values:
        base = load_preset(values.pop("extends"))
        settings = {**base.settings, **settings}
        sources = {**base.sources, **sources}
        on = {**base.on, **on}
        values = {"implementation": base.implementation, "block": base.block, "family": base.family, **values}
    if lacking := _IN_A_FILE - values.keys():
        raise UsageError(f"{path} lacks {', '.join(sorted(lacking))}")
    if extra := values.keys() - _IN_A_FILE:
        raise UsageError(f"{path}: there is no place for {', '.join(sorted(extra))} (settings are under [settings])")
    return Preset(name=name, settings=settings, sources=sources, on=on, **values)


def scale_names() -> list[str]:
    """Return the names of the scales, ``full`` first."""
    return ["full", *sorted(path.stem for path in SCALES_FOLDER.glob("*.toml"))]


def load_scale(name: str) -> Mapping[str, Mapping[str, Any]]:
    """Read a scale: for each implementation, and for ``truth``, the settings that it caps and, in ``divide``, divides.

    Raises:
        UsageError: If there is none of that name.
    """
    if name not in scale_names():
        raise unknown("scale", name, scale_names())
    return {} if name == "full" else _read_scale(name)


@cache
def _read_scale(name: str) -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads((SCALES_FOLDER / f"{name}.toml").read_text())


def scaled(settings: Mapping[str, Any], scale: str, section: str) -> dict[str, Any]:
    """Return settings with a section of a scale applied; a scale never enlarges a number and never adds a setting."""
    rules = dict(load_scale(scale).get(section, {}))
    out = dict(settings)
    for key, divisor in rules.pop("divide", {}).items():
        if out.get(key):  # None and 0 stay
            out[key] = max(1, -(-out[key] // divisor))
    for key, value in rules.items():
        if key in out:
            out[key] = value if out[key] is None else min(value, out[key])
    return out
