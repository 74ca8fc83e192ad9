"""The fault campaign: whatever happens to a command, the same command later gives the result of an undisturbed one.

    python tests/faults/campaign.py --cases 120 --seed 0

Each case has a results folder with a complete run of another method. A command meets a fault there at a random point,
then the same command is given again until it ends well. Nothing complete may be lost or recorded twice, every result
must equal that of a command that nothing happened to (except for times), damaged files must be named, and nothing may
be left behind. Commands are forked from this process, which has imported everything: a case takes a second.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import numpy as np
import pandas as pd
import torch._dynamo
from command import TINY, call, untimed
from fuzzing import OTHER_KINDS, flipped, truncated
from tabulate import tabulate
from tqdm import tqdm

import nasbench_eval.analysis.comparison_notes
import nasbench_eval.methods.weight_sharing
from nasbench_eval.methods.tabular.base import TabularMethod
from nasbench_eval.runs.store import Run, load_runs
from runners import locks, search, tabular

TRAINED = ("darts", "gaea_gdas", "gaea_pc_darts", "drnas", "rs_ws")
"""Between them, these have the fused cell, sampled operations, partial channels, and cells that are scored."""
METHODS = (*TRAINED, "rea")
EPOCHS, SEEDS, TOGETHER = 3, 12, 2
"""Epochs of a search, seeds of a tabular one, and searches of several commands on one folder."""
EXECUTORS: dict[str, list[str]] = {"one process": [], "two processes": ["--workers", "2"]}
"""Options by which a command runs its searches elsewhere."""
PATIENCE = 120.0
"""Seconds after which a command counts as hanging."""


@dataclass
class Command:
    """A running command.

    Attributes:
        pid: Its process.
        output: Where what it says can be read.
    """

    pid: int
    output: int

    def is_running(self) -> bool:
        """Return whether it has not ended."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def wait(self) -> tuple[int, str]:
        """Return its exit code, or minus the signal that killed it, and what it said."""
        deadline = time.monotonic() + PATIENCE
        while (ended := os.waitpid(self.pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError("the command hangs")
            time.sleep(0.002)
        said = b""
        while part := os.read(self.output, 1 << 16):
            said += part
        os.close(self.output)
        return os.waitstatus_to_exitcode(ended[1]), said.decode(errors="replace")


@dataclass
class Case:
    """One case.

    Attributes:
        fault: The name of the fault.
        method: What is run.
        rng: Decides what happens when.
        folder: The results folder.
        seconds: How long the undisturbed command took.
        facts: What is counted: whether the fault struck, whether a file was named.
    """

    fault: str
    method: str
    rng: np.random.Generator
    folder: Path
    seconds: float
    executor: str = "one process"
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


# Faults: each disturbs a command, and checks what the command makes of it.


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


def damaged_checkpoint(case: Case) -> None:
    process = case.start()
    while not list(case.folder.glob("checkpoints/*.pt")) and process.is_running():
        time.sleep(0.001)
    time.sleep(float(case.rng.uniform(0, 0.1)))
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


def worker_killed(case: Case) -> None:
    case.executor, case.seeds = "two processes", 2
    process = case.start()
    deadline = time.monotonic() + PATIENCE
    while not list(case.folder.glob("checkpoints/*.pt")) and time.monotonic() < deadline:
        time.sleep(0.01)
    owners = [owner for owner, _ in locks.owners(case.folder).values()]
    for owner in owners[:1]:
        os.kill(owner.pid, signal.SIGKILL)
    code, said = process.wait()
    assert code in (0, 1), said
    if code:
        assert "a worker process was killed" in said, said
    note(case, code == 1)


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
NEED_CHECKPOINTS = ("damaged checkpoint", "killed worker process")
"""Faults of searches that train."""
SLOW = {"killed worker process": worker_killed}
"""Faults that need new processes, which import torch: half as often as the others."""


def note(case: Case, struck: bool, *, named: bool = False) -> None:
    case.facts |= {"struck"} if struck else set()
    case.facts |= {"named"} if named else set()


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


def results(folder: Path) -> dict[str, Run]:
    """Return the runs in a folder; none may be there twice."""
    runs = load_runs([folder / "runs"])
    found = {f"{run.record.method} {run.record.seed}": run for run in runs}
    assert len(found) == len(runs), "a run is recorded twice"
    return found


def finish(case: Case, whole: dict[str, Run], bystander: Path, content: bytes) -> None:
    """Give the command until it ends well, and check what there is then."""
    code, said = start(command(case.method, case.folder, case.seeds)).wait()
    assert code == 0, said
    assert bystander.read_bytes() == content, "a complete run was changed"
    found = results(case.folder)
    assert {key for key in found if key.startswith(f"{case.method} ")}, "nothing was recorded"
    for key, run in found.items():
        pd.testing.assert_frame_equal(untimed(run.steps), untimed(whole[key].steps), obj=key)
    for path in case.folder.glob("*/.*.tmp"):
        os.utime(path, (0, 0))  # `clean` would leave it for a minute to whoever may be writing it
    code, said = start(["clean", "--yes", str(case.folder)]).wait()
    assert code == 0, said
    left = [path for name in ("locks", "checkpoints", "failed") for path in case.folder.glob(f"{name}/*")]
    assert not left + list(case.folder.glob("*/.*.tmp")), left


def main() -> None:
    """Run the cases, and print how many of each fault there were."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=[*FAULTS, *SLOW], help="only this fault")
    parser.add_argument("--methods", default=",".join(METHODS), help="at least two that train")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="nbeval-faults-") as place:
        os.chdir(place)
        campaign(options.cases, options.seed, options.only, options.methods.split(","))


def campaign(cases: int, seed: int, only: str | None, methods: list[str]) -> None:
    """Run the cases, and print how many of each fault there were."""
    began = time.monotonic()
    seconds: dict[str, float] = {}
    for method in methods:
        started = time.monotonic()
        code, said = start(command(method, Path("whole"), TOGETHER if method in TRAINED else SEEDS)).wait()
        assert code == 0, said
        seconds[method] = (time.monotonic() - started) / (TOGETHER if method in TRAINED else 1)
    whole = results(Path("whole"))
    counts: dict[str, Counter[str]] = {}
    trained = [method for method in methods if method in TRAINED]
    order = [*FAULTS, *FAULTS, *SLOW]
    for number in tqdm(range(cases), unit="case", disable=None):
        fault = only or order[number % len(order)]
        rng = np.random.default_rng([seed, number])
        choice = trained if fault in NEED_CHECKPOINTS else methods
        method = choice[int(rng.integers(len(choice)))]
        case = Case(fault, method, rng, Path(f"case-{number}"), seconds[method])
        bystander = copy_run(whole, case, [other for other in trained if other != method])
        content = bystander.read_bytes()
        try:
            (FAULTS | SLOW)[fault](case)
            finish(case, whole, bystander, content)
        except BaseException:
            print(f"case {number} of --seed {seed} failed: {fault}, {case.method}", file=sys.stderr)
            raise
        counts.setdefault(fault, Counter()).update(["cases", *case.facts])
        shutil.rmtree(case.folder)
    rows = [[fault, *(count[key] for key in ("cases", "struck", "named"))] for fault, count in counts.items()]
    rows.append(["all", *(sum(count[key] for count in counts.values()) for key in ("cases", "struck", "named"))])
    print(tabulate(rows, ["fault", "cases", "struck", "file named"]))
    print(
        f"\n{cases} cases in {time.monotonic() - began:.0f} s: no complete run was lost or changed, none recorded "
        "twice, and every result is equal to that of a command that nothing happened to"
    )


def copy_run(whole: dict[str, Run], case: Case, methods: list[str]) -> Path:
    """Copy a complete run of one of some other methods into a case's folder."""
    record = whole[f"{case.pick(methods)} 0"].record
    target = case.folder / "runs" / record.file_name
    target.parent.mkdir(parents=True)
    return Path(shutil.copy(Path("whole/runs") / record.file_name, target))


if __name__ == "__main__":
    main()
