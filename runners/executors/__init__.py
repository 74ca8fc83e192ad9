"""Where searches run: on this machine, on a Slurm cluster, or on a Ray cluster."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from nasbench_eval.errors import unknown
from nasbench_eval.settings import build_settings
from runners.executors.base import Done, Executor, Job

__all__ = ["EXECUTORS", "Done", "Executor", "Job", "make_executor"]

EXECUTORS: Mapping[str, str] = {
    "local": "runners.executors.local:Local",
    "slurm": "runners.executors.slurm:Slurm",
    "ray": "runners.executors.ray:OnRay",
}
"""What ``--executor`` takes, and the class; each is imported only when it is asked for."""


def make_executor(name: str = "local", options: Mapping[str, Any] | None = None) -> Executor:
    """Return an executor.

    Args:
        name: One of ``EXECUTORS``.
        options: Options by name; the executor's class documents them.

    Raises:
        UsageError: If the executor or an option is unknown, or a value does not fit.
        NbevalError: If the package that it needs is not installed.
    """
    if name not in EXECUTORS:
        raise unknown("executor", name, list(EXECUTORS))
    module, _, attribute = EXECUTORS[name].partition(":")
    cls: type[Executor] = getattr(importlib.import_module(module), attribute)
    return cls(build_settings(cls.Options, options or {}, owner=f"--executor {name}"))
