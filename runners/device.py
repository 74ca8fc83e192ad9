"""Where a run happens, in words for its record: device, threads, versions."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from nasbench_eval import __version__
from nasbench_eval.errors import UsageError
from nasbench_eval.utils.checks import parse_whole_number


def resolve_device(name: str, *, elsewhere: bool = False) -> str:
    """Return the torch device for ``auto``, ``cpu``, ``cuda`` or ``cuda:n``.

    Args:
        name: One of these.
        elsewhere: Whether searches run on other machines, which have the GPU: if there is none here, the CPU does what
            is left to do here.

    Raises:
        UsageError: If the name is none of these, or there is no such GPU.
    """
    import torch

    if not isinstance(name, str):
        raise UsageError(f"a device is auto, cpu, cuda or cuda:n; got {name!r}")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if name != "cpu" and not (kind == "cuda" and (parse_whole_number(number) is not None or name == "cuda")):
        raise UsageError(f"--device is auto, cpu, cuda or cuda:n; got {name!r}")
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(number or 0) >= count and elsewhere:
            return "cpu"
        if int(number or 0) >= count:
            raise UsageError(f"--device {name}: torch sees {count} GPUs here; use --device cpu, or auto")
    return name


def make_deterministic(device: str) -> None:
    """Have cuDNN choose algorithms that give the same result every time; CPU kernels do anyhow."""
    if device.startswith("cuda"):
        import torch

        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False


def now() -> str:
    """Return the time, ISO 8601, UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def describe(device: str) -> str:
    """Name a device: the processor, or the GPU."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    model = ""
    if cpuinfo.exists():
        lines = cpuinfo.read_text(errors="replace").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"CPU {model or platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def free_memory() -> dict[int, float]:
    """Return the free memory of each GPU that torch sees, in GB, by number."""
    import torch

    return {gpu: torch.cuda.mem_get_info(gpu)[0] / 1e9 for gpu in range(torch.cuda.device_count())}


@cache
def code_version() -> str:
    """Return nbeval's version and, in a git checkout, its commit: ``0.1.0+g47e067c``.

    Where the code was edited since, ``.changed`` follows.

    Two runs of one specification give the same numbers only with the same code. The value is that of the first call in
    the process, so that an edit during a search does not count.
    """
    home = Path(__file__).parents[1]
    if not (home / ".git").exists():
        return __version__
    try:
        commit = _git(home, "rev-parse", "--short=7", "HEAD").stdout.strip()
        changed = _git(home, "diff", "--quiet", "HEAD", "--", "nasbench_eval", "runners").returncode
    except (OSError, subprocess.SubprocessError):  # no git, or it takes too long
        return __version__
    return f"{__version__}+g{commit}{'.changed' * (changed == 1)}" if commit else __version__


def _git(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(home), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False, stdin=subprocess.DEVNULL)


def versions(code: Sequence[str] = ()) -> dict[str, str]:
    """Return the versions that a result can depend on.

    Args:
        code: The versions of nbeval, if not only this one.
    """
    packages = ("numpy", "torch") if "torch" in sys.modules else ("numpy",)
    return {
        "nbeval": ", ".join(code) or code_version(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
    }
