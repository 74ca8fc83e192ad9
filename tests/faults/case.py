"""A case of the fault campaign: a method, a results folder, and commands in processes of their own.

Commands are forked from this process, which has imported everything: a case takes a second.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch._dynamo  # noqa: F401 - so that commands need not import it
from command import TINY, call

import nasbench_eval.analysis.comparison_notes  # noqa: F401
from runners import tabular

TRAINED = ("darts", "gaea_gdas", "gaea_pc_darts", "drnas", "rs_ws")
"""Between them, these have the fused cell, sampled operations, partial channels, and cells that are scored."""
METHODS = (*TRAINED, "rea")
EPOCHS, SEEDS, TOGETHER = 3, 12, 2
"""Epochs of a search, seeds of a tabular one, and searches of several commands on one folder."""
EXECUTORS: dict[str, list[str]] = {
    "this process": [],
    "two processes": ["--workers", "2"],
    "Ray": ["--executor", "ray"],
    "Slurm": ["--executor", "slurm", "--executor-option", "cluster=local", "--executor-option", "searches=2"],
}
"""Options that say where a command runs its searches."""
PATIENCE = 600.0
"""Seconds after which a command counts as hanging."""


@dataclass
class Command:
    """A running command.

    Attributes:
        pid: Its process.
        output: Where what it says can be read.
        began: When it was started, by the monotonic clock.
    """

    pid: int
    output: int
    began: float = field(default_factory=time.monotonic)

    def is_running(self) -> bool:
        """Return whether it has not ended."""
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return False
        if time.monotonic() - self.began > PATIENCE:
            os.kill(self.pid, signal.SIGKILL)
            raise AssertionError("the command hangs")
        return True

    def wait(self) -> tuple[int, str]:
        """Return its exit code, or minus the signal that killed it, and what it said."""
        while self.is_running():
            time.sleep(0.002)
        _, status = os.waitpid(self.pid, 0)
        said = b""
        while part := os.read(self.output, 1 << 16):
            said += part
        os.close(self.output)
        return os.waitstatus_to_exitcode(status), said.decode(errors="replace")


@dataclass
class Case:
    """One case.

    Attributes:
        fault: The name of the fault.
        method: What is run.
        rng: Decides what happens when.
        folder: The results folder.
        seconds: How long the undisturbed command took.
        executor: Where its searches run, one of ``EXECUTORS``.
        seeds: How many searches it has; None: one that trains, or ``SEEDS`` tabular ones.
        facts: What is counted: whether the fault struck, whether a file was named.
    """

    fault: str
    method: str
    rng: np.random.Generator
    folder: Path
    seconds: float
    executor: str = "this process"
    seeds: int | None = None
    facts: set[str] = field(default_factory=set)

    def start(self, *options: str, before: Callable[[], object] = lambda: None) -> Command:
        """Start the command; ``before`` changes its process."""
        return start([*command(self.method, self.folder, self.seeds), *EXECUTORS[self.executor], *options], before)

    def run(self, *options: str, before: Callable[[], object] = lambda: None) -> tuple[int, str]:
        """Run the command to its end."""
        return self.start(*options, before=before).wait()

    def sleep(self) -> None:
        """Let a random part of the time pass that the command needs."""
        time.sleep(float(self.rng.uniform(0, self.seconds)))

    def pick(self, values: Any) -> Any:
        """Return one of some values."""
        return values[int(self.rng.integers(len(values)))]


def command(method: str, folder: Path, seeds: int | None = None) -> list[str]:
    """Return the command that runs a method."""
    size, number = ["--set", "budget_seconds=3000"], seeds or SEEDS
    if method in TRAINED:
        size, number = ["--epochs", str(EPOCHS), "--device", "cpu", *TINY, "--set", "channels=4"], seeds or 1
    return ["run", "--method", method, "--dataset", "digits", *size, "--seeds", str(number), "--results", str(folder)]


def start(arguments: list[str], before: Callable[[], object] = lambda: None) -> Command:
    """Start ``nbeval`` in a process of its own."""
    output, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        return Command(pid, output)
    code = 1
    try:
        for stream in (1, 2):
            os.dup2(write, stream)
        tabular.WRITE_EVERY = 0.0  # otherwise all tabular runs would be written at once
        before()
        code = call(*arguments)
    except BaseException:  # noqa: BLE001 - the process must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)
