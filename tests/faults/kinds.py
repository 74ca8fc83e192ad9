"""The kinds of fault: each disturbs a command, and checks what the command makes of it."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from case import EPOCHS, SEEDS, TOGETHER, TRAINED, Case, Command, start
from fuzzing import OTHER_KINDS, flipped, truncated

import nasbench_eval.methods.weight_sharing
from nasbench_eval.methods.tabular.base import TabularMethod
from runners import locks, search, tabular


def note(case: Case, struck: bool, *, named: bool = False) -> None:
    case.facts |= {"struck"} if struck else set()
    case.facts |= {"named"} if named else set()


def killed(case: Case) -> None:
    process = case.start()
    case.sleep()
    os.kill(process.pid, signal.SIGKILL)
    code, _ = process.wait()
    note(case, code == -signal.SIGKILL)


def terminated(case: Case) -> None:
    process = case.start()
    case.sleep()
    os.kill(process.pid, signal.SIGTERM)
    code, said = process.wait()
    assert code in (0, 128 + signal.SIGTERM, -signal.SIGTERM), said
    assert not (case.folder / "locks").exists(), said
    if code > 0:
        assert "nbeval: stopped; the same command goes on from the last finished step" in said, said
    note(case, code != 0)


def in_step(case: Case, change: Callable[[Any], Any]) -> Callable[[], None]:
    """Return what changes the result of a random step of a command's process."""
    steps = EPOCHS if case.method in TRAINED else SEEDS * 5
    at = int(case.rng.integers(steps))

    def before() -> None:
        base: Any = nasbench_eval.methods.weight_sharing.WeightSharing if case.method in TRAINED else TabularMethod
        step, count = base.step, itertools.count()
        base.step = lambda self: change(step(self)) if next(count) == at else step(self)

    return before


def exception_in_a_step(case: Case) -> None:
    error = case.pick([RuntimeError("a bug in the method"), MemoryError(), OSError(5, "Input/output error")])

    def broken(info: Any) -> Any:
        raise error

    code, said = case.run(before=in_step(case, broken))
    assert code == 1, said
    assert ("Traceback" in said) == isinstance(error, RuntimeError), said
    assert not (case.folder / "locks").exists()
    note(case, True)


def nan(case: Case) -> None:
    def broken(info: Any) -> Any:
        return dataclasses.replace(info, metrics={**info.metrics, "valid_acc": float("nan")})

    code, said = case.run(before=in_step(case, broken))
    assert code == 1, said
    assert "diverged in step" in said, said
    assert "valid_acc is nan" in said, said
    [failed] = (case.folder / "failed").iterdir()
    assert not (case.folder / "runs" / failed.with_suffix(".parquet").name).exists()
    if case.method in TRAINED:
        code, said = case.run()
        assert code == 1, said
        assert "diverged before" in said, said
    code, said = start(["clean", "--failed", "--yes", str(case.folder)]).wait()
    assert str(failed) in said, said
    note(case, True, named=True)


def disk_full(case: Case) -> None:
    room = int(case.rng.integers(60_000))

    limit = resource.RLIMIT_FSIZE
    code, said = case.run(before=lambda: resource.setrlimit(limit, (room, resource.RLIM_INFINITY)))
    assert code in (0, 1), said
    if code:
        assert said.strip().splitlines()[-1].startswith(f"nbeval: cannot write {case.folder}"), said
        assert "Traceback" not in said, said
    assert not list(case.folder.glob("*/.*.tmp")), said
    note(case, code == 1, named=code == 1)


def damage(case: Case, path: Path) -> None:
    content = path.read_bytes()
    kinds = [lambda at: flipped(content, at), lambda at: truncated(content, at), lambda at: case.pick(OTHER_KINDS)]
    path.write_bytes(case.pick(kinds)(float(case.rng.random())))


def named(case: Case, path: Path) -> None:
    """Check that a command names a damaged file, and remove it as its message says; harmless damage is no error."""
    code, said = case.run()
    assert code in (0, 1), said
    if code:
        last = said.strip().splitlines()[-1]
        assert str(path) in last, said
        assert "delete" in last or "move it" in last, said
        assert "Traceback" not in said, said
        path.unlink()
    note(case, True, named=code == 1)


def after_a_checkpoint(case: Case, process: Command) -> None:
    """Wait for the first checkpoint, and a random time."""
    while not list(case.folder.glob("checkpoints/*.pt")) and process.is_running():
        time.sleep(0.001)
    time.sleep(float(case.rng.uniform(0, 0.1)))


def damaged_checkpoint(case: Case) -> None:
    process = case.start()
    after_a_checkpoint(case, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for path in case.folder.glob("checkpoints/*.pt"):
        damage(case, path)
        named(case, path)


def damaged_results(case: Case) -> None:
    code, said = case.run()
    assert code == 0, said
    path = case.pick(sorted((case.folder / "runs").glob(f"{case.method}-*")))
    damage(case, path)
    named(case, path)


def elsewhere() -> None:
    """Pretend to be on another host, where process numbers mean nothing; with less time to wait."""
    locks._machine = lambda: "another host"
    locks.STALE, locks.POLL = 2.0, 0.02


def clock_jumps(case: Case) -> None:
    """The clocks of the owner and of the file server jump; a command on another host waits and takes nothing over."""
    trace = case.folder.parent / f"{case.folder.name}.trace"
    jumps = np.random.default_rng(int(case.rng.integers(1 << 30)))

    def jump() -> None:
        utime = os.utime
        locks.HEARTBEAT = 0.02
        locks.os.utime = lambda path: utime(path, (int(jumps.integers(1 << 32)), int(jumps.integers(1 << 32))))
        search.now = lambda: f"{int(jumps.integers(1970, 2100))}-01-01T00:00:00+00:00"
        time.time = lambda: float(jumps.integers(1 << 32))
        traced(trace)

    def other() -> None:
        elsewhere()
        locks.STALE = 20.0
        traced(trace)

    first = case.start(before=jump)
    case.sleep()
    second = case.start("--wait", before=other)
    for process in (first, second):
        code, said = process.wait()
        assert code == 0, said
    once(trace)
    note(case, True)


def owner_dies_on_another_host(case: Case) -> None:
    process = case.start()
    case.sleep()
    os.kill(process.pid, signal.SIGKILL)
    ended, _ = process.wait()
    code, said = case.run(before=elsewhere)
    assert code == 0, said
    note(case, ended == -signal.SIGKILL)


def commands(case: Case, number: int) -> None:
    """Several commands at once, some of which are killed."""
    trace = case.folder.parent / f"{case.folder.name}.trace"
    wait = bool(case.rng.integers(2))
    case.seeds = TOGETHER if case.method in TRAINED else SEEDS
    running = [case.start(*(["--wait"] * wait), before=lambda: traced(trace)) for _ in range(number)]
    victims = running[: int(case.rng.integers(2))]
    for victim in victims:
        case.sleep()
        os.kill(victim.pid, signal.SIGKILL)
    codes = []
    for process in running:
        code, said = process.wait()
        codes.append(code)
        assert code in (0, 75) or (process in victims and code == -signal.SIGKILL), said
        assert (code == 75) == ("runs are left out" in said), said
        assert not (wait and code == 75), said
    once(trace, again=len(victims))
    note(case, True)


def signal_worker(case: Case, executor: str, number: int) -> tuple[int, str]:
    """Run two searches in other processes; send a signal to one that has a checkpoint; return how the command ends."""
    case.executor, case.seeds = executor, 2
    process = case.start("-v")
    after_a_checkpoint(case, process)
    owners = locks.owners(case.folder)
    at_work = [owners[path.stem][0] for path in case.folder.glob("checkpoints/*.pt") if path.stem in owners]
    for owner in at_work[:1]:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(owner.pid, number)
    return process.wait()


def worker_killed(case: Case) -> None:
    code, said = signal_worker(case, "two processes", signal.SIGKILL)
    assert code in (0, 1), said
    if code:
        assert "a worker process was killed" in said, said
    note(case, code == 1)


def worker_replaced(case: Case, executor: str, number: int) -> None:
    """A search whose process is killed or told to stop goes on in another process, and the command with it."""
    code, said = signal_worker(case, executor, number)
    assert code == 0, said
    note(case, " resumes after epoch " in said)


def traced(path: Path) -> None:
    """Have a command note every step that it trains, and every tabular run, in a file that it shares with others."""
    save, simulate = search.save_checkpoint, tabular._simulate

    def write(text: str) -> None:
        with path.open("a") as file:
            file.write(f"{text}\n")

    def saved(file: Path, state: dict[str, Any]) -> None:
        if "rows" in state:
            write(f"{file.stem} {len(state['rows'])}")
        save(file, state)

    def simulated(*arguments: Any) -> Iterator[Any]:
        for result in simulate(*arguments):
            write(result.record.run_id)
            yield result

    search.save_checkpoint, tabular._simulate = saved, simulated


def once(trace: Path, again: int = 0) -> None:
    """Check that nothing was trained more often than once, and once more for each process that was killed."""
    count = Counter(trace.read_text().splitlines() if trace.exists() else ())
    assert max(count.values(), default=0) <= 1 + again, count.most_common(3)


FAULTS: dict[str, Callable[[Case], None]] = {
    "SIGKILL": killed,
    "two commands": functools.partial(commands, number=2),
    "damaged checkpoint": damaged_checkpoint,
    "full disk": disk_full,
    "SIGTERM": terminated,
    "exception in a step": exception_in_a_step,
    "NaN": nan,
    "damaged results file": damaged_results,
    "clock jumps": clock_jumps,
    "owner dies on another host": owner_dies_on_another_host,
    "ten commands": functools.partial(commands, number=10),
}
SLOW: dict[str, Callable[[Case], None]] = {
    "killed worker process": worker_killed,
    "killed Ray worker": functools.partial(worker_replaced, executor="Ray", number=signal.SIGKILL),
    "preempted Slurm job": functools.partial(worker_replaced, executor="Slurm", number=signal.SIGUSR2),
}
"""Faults that need new processes, which import torch: half as often as the others."""
PACKAGES = {"killed Ray worker": "ray", "preempted Slurm job": "submitit"}
"""What faults need that may not be installed."""
NEED_CHECKPOINTS = ("damaged checkpoint", *SLOW)
"""Faults of searches that train."""
