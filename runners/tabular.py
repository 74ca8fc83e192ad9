"""Searches in the table: hundreds of runs a second in one process, written as one bundle; nothing here loads torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasbench_eval.cell import OPS, Cell, all_archs, all_cells
from nasbench_eval.errors import UsageError
from nasbench_eval.methods import SearchContext, SearchMethod
from nasbench_eval.methods.tabular.objective import TableObjective
from nasbench_eval.runs.store import TEST_ACC, Run, in_file_names, read_runs, write_bundle, write_run
from nasbench_eval.utils.rng import Streams
from runners import device as device_info
from runners.lookup import TableTruth
from runners.record import make_record
from runners.spec import RunSpec

if TYPE_CHECKING:
    from runners.context import Environment

WRITE_EVERY = 20.0
"""Seconds after which finished runs are written although others of their variant are still to come."""


def run_variant(
    specs: Sequence[RunSpec], env: Environment, on_run: Callable[[Run, bool], None] = lambda run, new: None
) -> list[Run]:
    """Return the runs of one variant; those that are not stored yet are run and written.

    Args:
        specs: Specs that differ in the seed only.
        env: Where, and the table.
        on_run: Called with every run, and whether it is new.

    Raises:
        UsageError: If there is no table, or the budget is too small for one query.
    """
    found = _files(specs, env)
    done = _current(found, specs, env)
    for _, run in done.values():
        on_run(run, False)
    fresh: list[Run] = []
    written = time.monotonic()
    try:
        for run in _simulate([spec for spec in specs if spec.run_id not in done], env):
            fresh.append(run)
            on_run(run, True)
            if time.monotonic() - written > WRITE_EVERY:
                done |= _write(env.runs_folder, fresh)
                fresh, written = [], time.monotonic()
    finally:
        # Also what an interrupted command had finished.
        done |= _write(env.runs_folder, fresh)
    for path, inside in found.items():
        if all(run.record.run_id in done and done[run.record.run_id][0] != path for run in inside):
            path.unlink()  # every run in it was run again
    return [done[spec.run_id][1] for spec in specs]


def check(spec: RunSpec, env: Environment) -> None:
    """Raise whatever keeps a spec from running: no table, a column that it lacks, settings that contradict it."""
    new_method(spec, _objective(spec, env))


def stored(specs: Sequence[RunSpec], env: Environment) -> dict[str, Run]:
    """Return those runs of one variant that are complete, by their ``run_id``."""
    return {key: run for key, (_, run) in _current(_files(specs, env), specs, env).items()}


def new_method(spec: RunSpec, objective: TableObjective) -> SearchMethod:
    """Return a spec's method at its start."""
    context = SearchContext(spec.search_dataset, Streams(spec.seed), objective=objective)
    return spec.implementation(spec.settings, context)  # type: ignore[call-arg]


def trajectory(method: SearchMethod) -> tuple[list[Cell], list[float], list[Mapping[str, float]]]:
    """Step a method until its budget is spent; the step that overruns it is dropped.

    Returns:
        The incumbent after each step, the step's seconds, its metrics.

    Raises:
        UsageError: If the budget is too small for one step.
    """
    cells: list[Cell] = []
    seconds: list[float] = []
    metrics: list[Mapping[str, float]] = []
    total = 0.0
    steps, most = method.budget.steps, method.budget.seconds
    while steps is None or len(cells) < steps:
        info = method.step()
        total += info.seconds
        if most is not None and total > most:
            break
        cells.append(method.incumbent())
        seconds.append(info.seconds)
        metrics.append(info.metrics)
    if not cells:
        raise UsageError(f"one query costs {total:,.0f} simulated seconds: budget_seconds={most:g} pays for none")
    return cells, seconds, metrics


def _simulate(specs: Sequence[RunSpec], env: Environment) -> Iterator[Run]:
    if not specs:
        return
    truth, objective = _truth(specs[0], env), _objective(specs[0], env)
    frames, shared = _frames(truth), None
    for spec in specs:
        started = device_info.now()
        method = new_method(spec, objective)
        steps = frames.of(*trajectory(method))
        if shared is None:
            shared = make_record(spec, env, method, None, truth_note=truth.note, started=started, finished="")
        own = {"run_id": spec.run_id, "seed": spec.seed, "started": started, "finished": device_info.now()}
        yield Run(replace(shared, **own), steps)  # type: ignore[arg-type]


class _Frames:
    """Makes the frames of run files, looking whole columns up in the table."""

    def __init__(self, truth: TableTruth) -> None:
        self._archs = np.array(all_archs(), dtype=object)
        ops = np.array([cell.ops for cell in all_cells()])
        self._of_cell = {f"n_{name}": (ops == op).sum(axis=1) for op, name in enumerate(OPS)}
        for name in truth.datasets:
            # As `TableTruth.look_up`, for all cells at once.
            self._of_cell[f"{TEST_ACC}{name}"] = truth.column(name)

    def of(self, cells: list[Cell], seconds: list[float], metrics: list[Mapping[str, float]]) -> pd.DataFrame:
        index = np.array([cell.index for cell in cells])
        columns: dict[str, Any] = {
            "step": np.arange(len(cells)),
            "cell": self._archs[index],
            "seconds": seconds,
            "total_seconds": np.cumsum(seconds),
        }
        names = dict.fromkeys(name for row in metrics for name in row)  # a method may observe more later on
        columns |= {name: [row.get(name, np.nan) for row in metrics] for name in names}
        columns |= {name: values[index] for name, values in self._of_cell.items()}
        return pd.DataFrame(columns)


_frames = cache(_Frames)


def _truth(spec: RunSpec, env: Environment) -> TableTruth:
    if env.table is None:
        raise UsageError(f"{spec.method} searches in the benchmark table: --truth {env.truth} is not for it")
    return env.table


def _objective(spec: RunSpec, env: Environment) -> TableObjective:
    # A user's settings need not have it: if_known is what ours leave it at.
    charge = spec.values.get("validation_pass", "if_known")
    return TableObjective(_truth(spec, env).table, spec.search_dataset, charge)


def _files(specs: Sequence[RunSpec], env: Environment) -> dict[Path, list[Run]]:
    """Read every file that may hold a run of these specs, which differ in the seed only."""
    first = specs[0]
    pattern = f"{in_file_names(first.method)}-{first.search_dataset}-{first.variant_id}-*.parquet"
    paths = sorted(env.runs_folder.glob(pattern)) + [p for spec in specs if (p := env.run_file(spec)).is_file()]
    return {path: read_runs(path) for path in paths}


def _current(
    files: Mapping[Path, list[Run]], specs: Sequence[RunSpec], env: Environment
) -> dict[str, tuple[Path, Run]]:
    """Return the complete runs of these specs. One made with another table had another objective: it is none."""
    content = _truth(specs[0], env).facts().content_hash
    asked = {spec.run_id for spec in specs}
    return {
        run.record.run_id: (path, run)
        for path, inside in files.items()
        for run in inside
        if run.record.run_id in asked and run.record.table is not None and run.record.table.content_hash == content
    }


def _write(folder: Path, runs: list[Run]) -> dict[str, tuple[Path, Run]]:
    if not runs:
        return {}
    path = write_run(folder, runs[0]) if len(runs) == 1 else write_bundle(folder, runs)
    return {run.record.run_id: (path, run) for run in runs}
