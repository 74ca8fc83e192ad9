"""Runs per second of tabular random search and regularised evolution, against a loop over ``nas_201_api``.

    python benchmarks/tabular.py [--cells 300] [--runs 500] [--api-runs 10] [--repeats 5]

Both search the same landscape: a file of the official layout with ``--cells`` made-up records, as ``nas_201_api`` reads
it, and the table built from it; cell i of the 15,625 stands for record i mod ``--cells`` on both sides. The loop is
that of the released scripts (architecture string, ``query_index_by_arch``, ``get_more_info`` at 12 epochs, mean over
trials) without their logging. Ours is ``nbeval run``'s own path and includes looking up the truth and writing the run
files, which the loop does not do. One process, one thread, the two in turn; processor time, medians over the repeats.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import os
import platform
import random  # noqa: TID251 - the loop draws as the released scripts do
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_eval.cell import EDGES, N_CELLS, N_EDGES, OPS
from nasbench_eval.table import Table
from runners.context import Inputs
from runners.inputs import prepare
from runners.spec import RunSpec
from runners.tabular import run_variant

BUDGET = 12_000.0
Ops = list[str]
Query = Callable[[Ops], tuple[float, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=300)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--api-runs", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        query, table = landscapes(Path(folder), options.cells)
        for method, loop in (("rs", loop_random_search), ("rea", loop_evolution)):
            ours, theirs, queries = [], [], []
            for repeat in range(options.repeats):
                start = time.process_time()
                lengths = [loop(query, random.Random(f"{repeat} {run}")) for run in range(options.api_runs)]
                theirs.append(options.api_runs / (time.process_time() - start))
                specs = [RunSpec(method, "cifar10", seed) for seed in range(options.runs)]
                context = prepare(specs, Inputs(Path(folder) / f"{method}{repeat}", table=table))
                start = time.process_time()
                runs = run_variant(specs, context).runs
                ours.append(options.runs / (time.process_time() - start))
                queries.append((statistics.mean(len(run.steps) for run in runs), statistics.mean(lengths)))
            mine, reference = statistics.median(ours), statistics.median(theirs)
            a, b = (statistics.mean(side) for side in zip(*queries, strict=True))
            print(
                f"{method:4} {mine:7.1f} runs/s ({a:.1f} queries a run, 500 runs in {500 / mine:.1f} s)   "
                f"nas_201_api {reference:6.2f} runs/s ({b:.1f} queries a run)   ratio {mine / reference:.0f}"
            )


def landscapes(folder: Path, cells: int) -> tuple[Query, Table]:
    """Make the official file, and return what the API and what the table know of it."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
    importlib.import_module("official_layout").write_pth(folder / "official.pth", range(cells))
    import nas_201_api
    import torch

    torch.load = functools.partial(torch.load, weights_only=False)
    api = nas_201_api.NASBench201API(str(folder / "official.pth"), verbose=False)

    def query(ops: Ops) -> tuple[float, float]:
        nodes = ["|".join(f"{ops[e]}~{s}" for e, (t, s) in enumerate(EDGES) if t == node) for node in (1, 2, 3)]
        index = api.query_index_by_arch("+".join(f"|{node}|" for node in nodes))
        info = api.get_more_info(index % cells, "cifar10-valid", iepoch=None, hp="12", is_random=False)
        return info["valid-accuracy"], info["train-all-time"] + info["valid-per-time"]

    build: Any = importlib.import_module("nasbench_eval.table.sources.build").build_table
    build(folder / "official.pth", folder / "part.parquet", partial=True)
    part = Table.open(folder / "part.parquet")
    repeated = {key: part.values(key)[np.arange(N_CELLS) % cells] for key in part.keys}
    return query, Table.build(repeated, name="made up", source={}).save(folder / "table.parquet")


def loop_random_search(query: Query, rng: random.Random) -> int:
    """Random search as the released ``RANDOM.py``; return the number of queries counted."""
    total, history = 0.0, list[tuple[float, Ops]]()
    while True:
        ops = [rng.choice(OPS) for _ in range(N_EDGES)]
        accuracy, seconds = query(ops)
        total += seconds
        if total > BUDGET:
            return len(history)
        history.append((accuracy, ops))


def loop_evolution(query: Query, rng: random.Random) -> int:
    """Regularised evolution as the released ``R_EA.py``, every edge as likely to mutate."""
    total, history, population = 0.0, 0, deque[tuple[float, Ops]](maxlen=10)
    while True:
        if len(population) < 10:
            ops = [rng.choice(OPS) for _ in range(N_EDGES)]
        else:
            ops = list(max((rng.choice(population) for _ in range(3)), key=lambda member: member[0])[1])
            edge = rng.randrange(N_EDGES)
            ops[edge] = rng.choice([op for op in OPS if op != ops[edge]])
        accuracy, seconds = query(ops)
        total += seconds
        if total > BUDGET:
            return history
        history += 1
        population.append((accuracy, ops))


if __name__ == "__main__":
    main()
