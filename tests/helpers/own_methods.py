"""Methods of a user's own, as a process sees them that has seen none yet."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from nasbench_eval.methods import plugins
from runners import presets


def forget(folder: Path) -> None:
    """Unload the modules of a folder, as if the next call came from a new process."""
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
    presets._registered.clear()
    plugins._registered.clear()
    importlib.invalidate_caches()
