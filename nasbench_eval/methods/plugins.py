"""Custom methods: loaded as ``module:Class``, checked for completeness, and identified by a hash of their source."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import sys
import types
import typing
from functools import cache
from pathlib import Path
from typing import Any

from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.methods.base import SearchMethod
from nasbench_eval.settings import KINDS
from nasbench_eval.utils.checks import type_hints
from nasbench_eval.utils.files import in_one_line

NBEVAL_PACKAGES = ("nasbench_eval", "runners", "nbeval")
"""The packages of nbeval itself, whose version identifies their source."""

_registered: dict[str, type[SearchMethod]] = {}


def path_of(cls: type) -> str:
    """Return the path ``module:Class`` of a class; for a running script, as if the script had been imported."""
    module = cls.__module__
    file = getattr(sys.modules.get(module), "__file__", None)
    if module == "__main__" and file is not None:
        module = Path(file).stem
    return f"{module}:{cls.__qualname__}"


def remember(cls: type[SearchMethod]) -> str:
    """Check a class, let :func:`load_class` find it without an import, and return its path.

    Raises:
        UsageError: If the class is not a complete method.
    """
    path = path_of(cls)
    _check(cls, path)
    source_hash(cls)  # cached now: the source may be edited after the import
    _registered[path] = cls
    return path


def load_class(path: str) -> type[SearchMethod]:
    """Return the class that ``module:Class`` names; the current folder is searched first, as ``python -m`` does.

    Raises:
        UsageError: If the module or class does not exist, cannot be imported, or is not a complete method.
    """
    if path in _registered:
        return _registered[path]
    name, _, attribute = path.partition(":")
    if not all(part.isidentifier() for part in (*name.split("."), attribute)):
        raise UsageError(f"a custom method is named module:Class, such as my_method:MyMethod; got {path!r}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            bare = f": write {name.removesuffix('.py')}:{attribute}" if name.endswith(".py") else ""
            raise UsageError(
                f"{path}: there is no module {error.name} in {here}, and none is installed{bare}"
            ) from None
        raise UsageError(f"{path}: {name} cannot be imported: {error}") from None
    except NbevalError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the module of a user or of another package raises
        raise UsageError(f"{path}: {name} cannot be imported: {type(error).__name__}: {error}") from None
    if path in _registered:
        return _registered[path]  # importing the module registered the class
    found = getattr(module, attribute, None)
    if found is None:
        there = [key for key, value in vars(module).items() if _is_method(value) and value.__module__ == name]
        raise UsageError(f"{path}: {name} has no {attribute}; its methods: {', '.join(there) or 'none'}")
    _check(found, path)
    source_hash(found)
    return typing.cast("type[SearchMethod]", found)


def _is_method(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, SearchMethod)


def _check(cls: Any, path: str) -> None:
    if not _is_method(cls):
        raise UsageError(f"{path} is not a SearchMethod: derive it from nbeval.SearchMethod")
    if inspect.isabstract(cls):
        raise UsageError(f"{path} is incomplete: it lacks {', '.join(sorted(cls.__abstractmethods__))}")
    for name, allowed in (("needs", ("images", "table")), ("cost_kind", ("measured", "simulated"))):
        if getattr(cls, name, None) not in allowed:
            raise UsageError(f"{path} must set its class attribute `{name}` to one of {', '.join(allowed)}")
    settings = getattr(cls, "Settings", None)
    frozen = dataclasses.is_dataclass(settings) and getattr(settings, "__dataclass_params__").frozen  # noqa: B009
    if not (isinstance(settings, type) and frozen):
        raise UsageError(f"{path} must set its class attribute `Settings` to a frozen dataclass; it may be empty")
    try:
        hints = type_hints(settings)
    except Exception as error:  # noqa: BLE001 - whatever evaluating the text of an annotation raises
        raise UsageError(f"{path}: the type of a setting cannot be read: {in_one_line(error)}") from None
    known = {field.name for field in dataclasses.fields(settings)}
    for base in settings.__mro__:
        if lost := _not_settings(base, hints, known):
            raise UsageError(
                f"{path} must set its class attribute `Settings` to a frozen dataclass: {base.__name__} declares "
                f"{', '.join(lost)} without @dataclass(frozen=True, kw_only=True) above it"
            )
    for field in dataclasses.fields(settings):
        hint = hints[field.name]
        options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        if [option for option in options if option is not types.NoneType and option not in KINDS]:
            raise UsageError(
                f"{path}: the setting {field.name} must be an int, float, bool or str, or one of them | None"
            )
        if "help" not in field.metadata:
            kind = hint.__name__ if isinstance(hint, type) else str(hint)
            default = "" if field.default is dataclasses.MISSING else f", default={field.default!r}"
            raise UsageError(
                f"{path}: declare the setting {field.name} as `{field.name}: {kind} = setting('what it is'{default})`"
            )


def _not_settings(cls: type, hints: dict[str, Any], known: set[str]) -> list[str]:
    """Return what a class declares like a setting although ``dataclass`` has not made it one: it is never set."""
    own = vars(cls)
    if "__dataclass_fields__" in own:  # not that of a base
        return []
    declared = [name for name in inspect.get_annotations(cls) if _is_of_instances(hints[name])]
    lost = [name for name in declared if name in own or name not in known]
    return list(dict.fromkeys([*lost, *(name for name, value in own.items() if isinstance(value, dataclasses.Field))]))


def _is_of_instances(hint: Any) -> bool:
    return hint is not typing.ClassVar and typing.get_origin(hint) is not typing.ClassVar


@cache
def source_hash(cls: type[SearchMethod]) -> str:
    """Hash the source files of a class, so that runs of an edited method count as different runs.

    These are the files of the class and its bases and everything they import, except installed code: the standard
    library, other packages, and nbeval itself. For a class without a file (in a notebook) it is the class's own text.
    If another library does the search, its name and version are returned instead.

    Raises:
        UsageError: If the source cannot be read.
    """
    if cls.library:
        return cls.library
    files: dict[str, Path] = {}
    for base in cls.__mro__:
        _collect(base.__module__, cls.__module__.partition(".")[0], files)
    if files:
        parts = sorted((path.name, path.read_bytes()) for path in files.values())
    else:
        try:
            parts = [("", inspect.getsource(cls).encode())]
        except (OSError, TypeError):
            raise UsageError(f"the source of {path_of(cls)} cannot be read: put the class in a file") from None
    digest = hashlib.sha256()
    for name, content in parts:
        digest.update(f"{name} {len(content)} ".encode() + content)
    return digest.hexdigest()[:12]


def _collect(module: str, home: str, files: dict[str, Path]) -> None:
    """Add the files of a module and its imports; the top-level package ``home`` counts even if it is installed."""
    top = module.partition(".")[0]
    if module in files or top in NBEVAL_PACKAGES or top in sys.stdlib_module_names:
        return
    path = _file_of(module)
    if path is None or (top != home and {"site-packages", "dist-packages"} & set(path.parts)):
        return
    files[module] = path
    if path.suffix != ".py":
        return
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            source = importlib.util.resolve_name(origin, package) if node.level else origin
            names = [source, *(f"{source}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            _collect(name, home, files)


def _file_of(module: str) -> Path | None:
    """Return the source file of a module; None if the module does not exist or has no file."""
    loaded = sys.modules.get(module)
    if loaded is not None:
        file = getattr(loaded, "__file__", None)
    else:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError):
            return None
        file = spec.origin if spec is not None and spec.has_location else None
    return Path(file) if file is not None and Path(file).is_file() else None
