"""The table against the published API (``nas_201_api``), on the same generated file of the official layout.

    python benchmarks/table.py [--cells 500] [--repeats 5]

Every measurement is a process of its own, and medians are compared. Memory is the peak: of unpickling, the API and
the open table what it adds to a process that has everything imported; of a build everything, over all of its
processes (PSS: shared pages once). The file has ``--cells`` of the 15,625 cells, two or three trials each as in the
official ones, random numbers, and goes to a temporary folder that is removed; in brackets is what all cells would
take, in proportion; a build's memory does not grow with them. The table that is opened and queried has all cells.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_eval.cell import N_CELLS, Cell
from nasbench_eval.table import Key, Table
from nasbench_eval.utils.checks import parse_whole_number

CALLS = 300


def peak_mb() -> float:
    """Highest resident memory so far. ``ru_maxrss`` would be the parent's for a freshly forked process."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def microseconds(call: Callable[[int], object], cells: int) -> float:
    """Median over rounds of the time of one call, over many cells."""
    rounds = []
    for _ in range(5):
        start = time.perf_counter()
        for i in range(CALLS):
            call(i * 7 % cells)
        rounds.append((time.perf_counter() - start) / CALLS * 1e6)
    return statistics.median(rounds)


def measure_unpickle(path: str, _cells: int) -> dict[str, float]:
    """What the file needs at the least: its pickle, read as a stream by Python's own unpickler."""
    import pickle
    import zipfile

    import nas_201_api  # noqa: F401 - so that the process starts as large as the others

    base, start = peak_mb(), time.perf_counter()
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        with archive.open(name) as file:
            content = pickle.load(file)
    seconds = time.perf_counter() - start
    assert content["arch2infos"]
    return {"seconds": seconds, "memory": peak_mb() - base}


def measure_api(path: str, cells: int) -> dict[str, float]:
    """The published API. Its constructor fails under torch 2.6 and later: here it may load what it likes."""
    import functools

    import nas_201_api
    import torch

    torch.load = functools.partial(torch.load, weights_only=False)
    base, start = peak_mb(), time.perf_counter()
    api = nas_201_api.NASBench201API(path, verbose=False)
    found = {"seconds": time.perf_counter() - start, "memory": peak_mb() - base}
    records = api.arch2infos_dict

    def info(index: int, trial: int | bool) -> object:
        return api.get_more_info(index, "cifar10", hp="200", is_random=trial)["test-accuracy"]

    def metrics(index: int, trial: int | bool) -> object:
        return records[index]["200"].get_metrics("cifar10", "ori-test", is_random=trial)["accuracy"]

    return found | {
        "mean (get_more_info)": microseconds(lambda i: info(i, False), cells),
        "trial (get_more_info)": microseconds(lambda i: info(i, 777), cells),
        "mean (get_metrics)": microseconds(lambda i: metrics(i, False), cells),
        "trial (get_metrics)": microseconds(lambda i: metrics(i, 777), cells),
    }


def measure_open(path: str, _cells: int) -> dict[str, float]:
    """The table: opened in a new process, and queried by cell (the index is looked up in every call)."""
    import pyarrow.parquet  # noqa: F401 - imports are counted on neither side

    base, start = peak_mb(), time.perf_counter()
    table = Table.open(path)
    found = {"seconds": time.perf_counter() - start}
    chosen = [Cell.from_index(i) for i in range(N_CELLS)]
    mean = microseconds(lambda i: table.accuracy(chosen[i], "cifar10", "test", epochs=200), N_CELLS)
    trial = microseconds(lambda i: table.accuracy(chosen[i], "cifar10", "test", epochs=200, trial=777), N_CELLS)
    return found | {"mean": mean, "trial": trial, "memory": peak_mb() - base}


def measure_build(source: str, _cells: int, *, curves: bool, workers: int) -> dict[str, float]:
    """``nbeval table build``: all of its processes together, what they share counted once, imports and all."""
    build = importlib.import_module("nasbench_eval.table.sources.build").build_table
    peak, done = 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, tree_mb(os.getpid()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        build(source, Path(folder) / "table.parquet", partial=True, curves=curves, workers=workers)
        seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    return {"seconds": seconds, "memory": peak}


def tree_mb(root: int) -> float:
    """Memory of a process and all its descendants; pages that several share count in parts (PSS)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if (process := parse_whole_number(entry.name)) is not None:
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(process)
    total, todo = 0.0, [root]
    while todo:
        pid = todo.pop()
        todo += children.get(pid, [])
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return total


def building(curves: bool, workers: int) -> Callable[[str, int], dict[str, float]]:
    """The measurement of one way to build."""
    return lambda source, cells: measure_build(source, cells, curves=curves, workers=workers)


MEASURES: dict[str, Callable[[str, int], dict[str, float]]] = {
    "unpickle": measure_unpickle,
    "api": measure_api,
    "open": measure_open,
    ".pth": building(curves=False, workers=1),
    ".pth, curves": building(curves=True, workers=1),
    ".pth, 2 workers": building(curves=True, workers=2),
    "folder": building(curves=False, workers=1),
    "folder, curves": building(curves=True, workers=1),
    "folder, 2 workers": building(curves=True, workers=2),
    "folder, 4 workers": building(curves=True, workers=4),
}


def run(name: str, path: Path, cells: int, repeats: int) -> dict[str, float]:
    """Measure in new processes, and return the medians."""
    command = [sys.executable, __file__, "--measure", name, "--path", str(path), "--cells", str(cells)]
    results = []
    for _ in range(repeats):
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        results.append(json.loads(output.splitlines()[-1]))
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


def generate(folder: Path, cells: int) -> tuple[Path, Path, Path]:
    """Write the file, the folder, and a table of all cells with the columns that the file gives."""
    import torch

    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))  # The tests' generator of official files.
    layout: Any = importlib.import_module("official_layout")
    pth, nats, full = folder / "NAS-Bench-201-v1_1-000000.pth", folder / "nats", folder / "full.parquet"
    layout.write_nats(nats, [])
    content = layout.content([])
    for index in range(cells):
        record = layout.record(index, seeds=(777, 888, 999)[: 2 + index % 2])
        content["arch2infos"][index] = record
        layout.write_small(nats / f"{index:06d}.pickle.pbz2", {"12": record["less"], "200": record["full"]})
    content["evaluated_indexes"] = set(range(cells))
    torch.save(content, pth)
    del content
    build = importlib.import_module("nasbench_eval.table.sources.build").build_table
    some = build(nats, folder / "some.parquet", partial=True, workers=1)
    rng = np.random.default_rng(0)
    columns: dict[Key, np.ndarray] = {key: rng.uniform(0, 100, N_CELLS) for key in some.keys}
    Table.build(columns, name="random", source={}).save(full)
    return pth, nats, full


def report(cells: int, repeats: int) -> None:
    """Measure everything and print it."""
    with tempfile.TemporaryDirectory() as name:
        pth, nats, full = generate(Path(name), cells)
        size = pth.stat().st_size / 2**20
        print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        print(f"{cells} cells, {size:.0f} MB; medians over {repeats} processes; in brackets: all 15,625 cells\n")
        scale = N_CELLS / cells
        found: dict[str, dict[str, float]] = {}
        for what in MEASURES:
            path = nats if what.startswith("folder") else full if what == "open" else pth
            found[what] = result = run(what, path, cells, repeats)
            grows = what in ("unpickle", "api")
            seconds, memory = result["seconds"], result["memory"]
            whole = f"({seconds * (1 if what == 'open' else scale):7.1f} s)"
            print(f"{what:18} {seconds:9.4f} s {whole}  {memory:6.0f} MB", end="")
            print(f" ({memory * scale / 1024:5.1f} GB)" if grows else "", flush=True)
    api, table = found["api"], found["open"]
    print()
    for kind in ("mean", "trial"):
        for call in ("get_more_info", "get_metrics"):
            theirs, ours = api[f"{kind} ({call})"], table[kind]
            times = f"{theirs / ours:.0f} times faster"
            print(f"{kind:5} query: {call:13} {theirs:6.1f} us, table {ours:5.2f} us: {times}")
    print(
        f"open: {api['seconds'] / table['seconds']:,.0f} times faster than the API loads these {cells} cells,", end=" "
    )
    print(f"{api['seconds'] * scale / table['seconds']:,.0f} times in proportion for all")
    for what in (".pth", ".pth, curves", ".pth, 2 workers"):
        memory = found[what]["memory"]
        print(f"peak memory of build, {what}: {memory / found['unpickle']['memory']:.2f} times", end=" ")
        print(f"what unpickling the file needs, {memory / api['memory']:.2f} times the API's")


def main() -> None:
    """Parse the arguments; a child process measures one thing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--measure", choices=MEASURES, help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(MEASURES[arguments.measure](arguments.path, arguments.cells)))
    else:
        report(arguments.cells, arguments.repeats)


if __name__ == "__main__":
    main()
