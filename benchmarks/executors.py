"""Seconds of a study on each executor, and whether all of them find the same, in one run.

    python benchmarks/executors.py                           # digits, as it is: three times some ten minutes
    python benchmarks/executors.py --seeds 3 --epochs 5      # digits with short searches

The reference is ``local``, or the first of ``--executors``. Slurm is submitit's executor for one machine, with all
searches in one job; Ray is a cluster that the command starts on this machine. Each executor runs ``--workers`` searches
at once, with one thread each, into a results folder of its own; options that are not listed go to ``nbeval run``.
"Other s" is all that is not a search: the start, tabular searches, the scores of cells, the verdicts.

Equal are run files if everything but the times is, to the last bit, and other files (shared weights, scores of cells)
if their bytes are. If anything differs, the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HELPERS = Path(__file__).parents[1] / "tests" / "helpers"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default="digits")
    parser.add_argument("--executors", default="local,slurm,ray")
    parser.add_argument("--workers", type=int, default=1, help="searches at once")
    parser.add_argument("--results", type=Path, help="keep the results folders in this one")
    options, others = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="nbeval-executors-") as temporary:
        home = options.results or Path(temporary)
        sys.exit(compare(home, options.study, options.executors.split(","), options.workers, others))


def compare(home: Path, study: str, executors: list[str], workers: int, others: list[str]) -> bool:
    """Print one line for each executor, and return whether anything differs."""
    for name in executors:
        if (home / name).exists():
            sys.exit(f"{home / name} is there already: name another folder with --results")
    print(f"{' '.join([study, *others])}, {workers} at once, {os.cpu_count()} cores; load before and after")
    print(f"{'executor':<10}{'runs':>6}{'trained':>9}{'all s':>8}{'searches s':>12}{'other s':>9}{'load':>12}   equal")
    differs = False
    for name in executors:
        load, began = os.getloadavg()[0], time.perf_counter()
        command = [sys.executable, "-m", "nbeval", "run", study, *others, *where(name, workers)]
        # By default Ray has its processes give way to all others: on a busy machine the others would be measured.
        subprocess.run(
            [*command, "--results", str(home / name)],
            env=os.environ | {"RAY_worker_niceness": "0"}, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        everything = time.perf_counter() - began
        runs, costs = measured(home / name)
        searching = sum(costs) / workers
        found = difference(home / executors[0], home / name)
        differs |= bool(found)
        times = f"{everything:>8.0f}{searching:>12.0f}{everything - searching:>9.0f}"
        loads = f"{load:.1f}, {os.getloadavg()[0]:.1f}"
        print(f"{name:<10}{runs:>6}{len(costs):>9}{times}{loads:>12}   {found or 'yes'}", flush=True)
    return differs


def where(executor: str, workers: int) -> list[str]:
    """Return the options that run some searches at once on this machine."""
    from nasbench_eval.utils.processes import usable_cores

    options = {
        "slurm": ["cluster=local", "searches=100000"],
        "ray": [f"cpus={usable_cores() / workers:g}"],
    }.get(executor, [])
    chosen = [part for option in options for part in ("--executor-option", option)]
    return ["--executor", executor, *chosen, "--workers", str(workers), "--threads", "1", "--progress", "none"]


def measured(results: Path) -> tuple[int, list[float]]:
    """Return the number of runs, and the seconds of each search that trains."""
    from nasbench_eval.runs.store import load_runs

    runs = load_runs([results / "runs"])
    costs = [run.steps["total_seconds"].iloc[-1] for run in runs if run.record.cost_kind == "measured"]
    return len(runs), costs


def difference(one: Path, two: Path) -> str:
    """Return in what two results folders differ besides times; empty if in nothing."""
    sys.path.insert(0, str(HELPERS))
    from command import assert_same_runs  # type: ignore[import-not-found]

    first, second = other_files(one), other_files(two)
    if first != second:
        differing = [name for name in sorted({*first, *second}) if first.get(name) != second.get(name)]
        return f"no: {', '.join(differing)}"
    try:
        assert_same_runs(one, two)
    except AssertionError as error:
        return f"no: {' '.join(str(error).split())}"
    return ""


def other_files(results: Path) -> dict[str, bytes]:
    """Return the content of what is not a run file, by its path in a results folder."""
    paths = [path for path in results.rglob("*") if path.is_file() and path.parent.name != "runs"]
    return {str(path.relative_to(results)): path.read_bytes() for path in paths}


if __name__ == "__main__":
    main()
