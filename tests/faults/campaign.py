"""The fault campaign: whatever happens to a command, the same command later gives the result of an undisturbed one.

    python tests/faults/campaign.py --cases 120 --seed 0

Each case has a results folder with a complete run of another method. A command meets a fault there at a random point,
then the same command is given again until it ends well. Nothing complete may be lost or recorded twice, every result
must equal that of a command that nothing happened to (except for times), damaged files must be named, and nothing may
be left behind.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import numpy as np
import torch
from case import METHODS, SEEDS, TOGETHER, TRAINED, Case, command, start
from command import assert_same_run
from kinds import FAULTS, NEED_CHECKPOINTS, PACKAGES, SLOW
from tabulate import tabulate
from tqdm import tqdm

from nasbench_eval.runs.store import Run, load_runs


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
        assert_same_run(run, whole[key], name=key)
    for path in case.folder.glob("*/.*.tmp"):
        os.utime(path, (0, 0))  # `clean` would leave it for a minute to whoever may be writing it
    code, said = start(["clean", "--yes", str(case.folder)]).wait()
    assert code == 0, said
    left = [path for name in ("locks", "checkpoints", "failed", "jobs") for path in case.folder.glob(f"{name}/*")]
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
    missing = [fault for fault, package in PACKAGES.items() if find_spec(package) is None]
    order = [*FAULTS, *FAULTS, *(fault for fault in SLOW if fault not in missing)]
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
    report(counts)
    for fault in missing:
        print(f"{fault}: left out, as {PACKAGES[fault]} is not installed")
    print(
        f"\n{cases} cases in {time.monotonic() - began:.0f} s: no complete run was lost or changed, none recorded "
        "twice, and every result is equal to that of a command that nothing happened to"
    )


def report(counts: dict[str, Counter[str]]) -> None:
    """Print how many cases of each fault there were, in how many it struck, and in how many a file was named."""
    rows = [[fault, *(count[key] for key in ("cases", "struck", "named"))] for fault, count in counts.items()]
    rows.append(["all", *(sum(count[key] for count in counts.values()) for key in ("cases", "struck", "named"))])
    print(tabulate(rows, ["fault", "cases", "struck", "file named"]))


def copy_run(whole: dict[str, Run], case: Case, methods: list[str]) -> Path:
    """Copy a complete run of one of some other methods into a case's folder."""
    record = whole[f"{case.pick(methods)} 0"].record
    target = case.folder / "runs" / record.file_name
    target.parent.mkdir(parents=True)
    return Path(shutil.copy(Path("whole/runs") / record.file_name, target))


if __name__ == "__main__":
    main()
