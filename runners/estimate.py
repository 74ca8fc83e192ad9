"""How long the missing runs of some specs will take, extrapolated from parts of an epoch that are really run."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nasbench_eval.cell import Cell
from nasbench_eval.errors import Diverged
from nasbench_eval.runs.rank_scores import rank_file, read_scores, sample
from runners import tabular
from runners.checkpoints import checkpoint_file, position_file, read_position, read_unfinished
from runners.context import RunContext
from runners.spec import RunSpec, by_variant
from runners.steps import take_steps
from runners.threads import computing_with

if TYPE_CHECKING:
    from nasbench_eval.methods import SearchMethod
    from nasbench_eval.runs.store import Run

LONG_ENOUGH = 1.0
"""A measured part of an epoch is enlarged until it takes so many seconds, or is the whole epoch."""

TOO_LONG = 10.0
"""One that takes longer is not measured a second time."""

GROWTH = 4
"""By which factor it is enlarged."""


@dataclass(frozen=True)
class Work:
    """What is missing of one variant, and how long it will take.

    Attributes:
        spec: One of its missing runs.
        runs: How many runs are missing.
        epochs: How many epochs they are missing together; 0 for tabular searches.
        trainings: How many final cells are still to be trained from scratch; their time is not in ``seconds``.
        cells: How many cells are still to be scored with shared weights, in all runs.
        seconds: How long all this will take in one process; NaN if it cannot be measured.
        longest: How long the longest run of them will take.
    """

    spec: RunSpec
    runs: int
    epochs: int
    cells: int
    seconds: float
    longest: float
    trainings: int = 0


@dataclass(frozen=True)
class EpochTime:
    """Measured seconds of one search.

    Attributes:
        epoch: Seconds of an epoch, with everything that is recorded after it.
        cell: Seconds to score one cell with the shared weights.
    """

    epoch: float
    cell: float


def total_seconds(work: Sequence[Work], workers: int = 1) -> float:
    """Return how long all work takes with so many searches side by side, if these do not slow each other down.

    Work whose time is unknown does not count.
    """
    work = [each for each in work if not math.isnan(each.seconds)]
    searches = [each for each in work if not each.spec.is_tabular]
    one_by_one = sum(each.seconds for each in work if each.spec.is_tabular)
    longest = max((each.longest for each in searches), default=0.0)
    return one_by_one + max(longest, sum(each.seconds for each in searches) / workers)


def estimate(
    specs: Sequence[RunSpec],
    context: RunContext,
    *,
    rank_cells: Mapping[str, int] | None = None,
    on_variant: Callable[[str], None] = lambda title: None,
    measured: bool = True,
) -> list[Work]:
    """Return what is missing of some specs and how long it will take; complete runs take no time.

    Each variant with missing runs is measured: a tabular search by one whole run, a weight-sharing search by a part of
    an epoch. Nothing of that is kept.

    Args:
        specs: The specs.
        context: The results folder, images and tables.
        rank_cells: How many cells the shared weights of a run are to score, by the run's id.
        on_variant: Called with a title before each measurement.
        measured: Whether to measure at all; otherwise no time is known (NaN).
    """
    found = []
    for group in by_variant(specs).values():
        first = group[0]
        title = f"{first.method} on {first.search_dataset}"
        if first.is_tabular:
            missing = tabular.missing(group, context)
            if missing:
                seconds = math.nan
                if measured:
                    on_variant(title)
                    seconds = _tabular_seconds(missing[0], context)
                found.append(Work(missing[0], len(missing), 0, 0, len(missing) * seconds, seconds))
            continue
        work = _search_work(group, context, rank_cells or {}, partial(on_variant, title), measured)
        found += [work] if work is not None else []
    return found


def _tabular_seconds(spec: RunSpec, context: RunContext) -> float:
    """Return how long a run takes; NaN if it diverges."""
    method = tabular.new_method(spec, tabular.objective(spec, context))
    start = time.perf_counter()
    try:
        for _ in take_steps(method):
            method.incumbent()
    except Diverged:
        return math.nan
    return time.perf_counter() - start


def _search_work(
    specs: Sequence[RunSpec],
    context: RunContext,
    rank_cells: Mapping[str, int],
    on_measure: Callable[[], None],
    measured: bool,
) -> Work | None:
    from nasbench_eval.runs.failures import Failure
    from runners import search  # imports torch

    epochs: list[int] = []  # missing, of each run that is not complete
    cells = runs = 0
    for spec in specs:
        known = search.known(spec, context)
        if isinstance(known, Failure):
            continue
        cells += _cells_left(spec, known, context, rank_cells.get(spec.run_id, 0))
        runs += known is None
        if known is None and not context.run_file(spec).is_file():  # otherwise only its final cell is to be trained
            epochs.append((spec.steps or 1) - _steps_done(context.results_dir, spec.run_id))
    if not runs and not cells:
        return None
    took = EpochTime(0.0, 0.0)  # where only final cells are to be trained
    if (epochs or cells) and not measured:
        took = EpochTime(math.nan, math.nan)
    elif epochs or cells:
        on_measure()
        took = measure(specs[0], context)
    evolution = _evolved_cells(specs[0]) * took.cell
    seconds = sum(epochs) * took.epoch + len(epochs) * evolution + cells * took.cell
    longest = max(epochs) * took.epoch + evolution if epochs else 0.0
    trainings = runs if context.training is not None else 0
    return Work(specs[0], runs, sum(epochs), cells, seconds, longest, trainings)


def _steps_done(results_dir: Path, run_id: str) -> int:
    """Return how many steps an interrupted search has taken; 0 without a checkpoint."""
    if not checkpoint_file(results_dir, run_id).is_file():
        return 0
    # The small file beside the checkpoint; older versions of nbeval left none.
    if (position := read_position(position_file(results_dir, run_id))) is not None:
        return position.step
    unfinished = read_unfinished(results_dir, run_id)
    return 0 if unfinished is None else len(unfinished.rows)


def _evolved_cells(spec: RunSpec) -> int:
    """Return how many cells a search scores on the whole valid part when they evolve (SPOS), after its last epoch."""
    values = spec.values
    if values.get("select_by") != "evolution" or values["select_on"] != "whole":
        return 0
    times = 1 if values["split_edge"] is None else 2  # few-shot NAS: also before the supernet is split
    return times * int(values["evolution_population"] * values["evolution_generations"])


def _cells_left(spec: RunSpec, run: Run | None, context: RunContext, wanted: int) -> int:
    """Return how many cells are still to be scored: none if the run is complete and kept no shared weights."""
    from runners.rank_correlation import can_score  # imports torch

    known = read_scores(rank_file(context.results_dir, spec.run_id)) if wanted else None
    left = max(wanted - (0 if known is None else len(known.cells)), 0)
    if left and run is not None and not can_score(replace(run, home=context.results_dir), wanted):
        return 0
    return left


def measure(spec: RunSpec, context: RunContext) -> EpochTime:
    """Return how long an epoch of a search takes, extrapolated from a part of one; NaN if it diverges there.

    The part has a share of the images and candidates of the epoch, and is enlarged until it takes ``LONG_ENOUGH``.
    """
    from runners.device import make_deterministic

    make_deterministic(context.device)
    images = context.images(spec.search_dataset)
    there = {"train_images": len(images.train), "valid_images": len(images.valid)}
    if not there.keys() <= spec.values.keys():  # a custom method without these settings: no part of an epoch
        return _measured(spec, spec, 1.0, context)
    whole = replace(
        spec, overrides={**spec.overrides, **{key: min(spec.values[key] or n, n) for key, n in there.items()}}
    )
    share = min(1.0, spec.values.get("batch_size", 64) / whole.values["train_images"])
    with computing_with(context.threads):
        for attempt in itertools.count():
            start = time.perf_counter()
            found = _measured(whole, _part(whole, share), share, context)
            took = time.perf_counter() - start
            if took > TOO_LONG or (attempt and (took > LONG_ENOUGH or share == 1.0)):
                break
            if attempt:  # the first is slower than it should be: libraries are loaded, memory is allocated
                share = min(1.0, GROWTH * share)
    return found


def _part(whole: RunSpec, share: float) -> RunSpec:
    """Return a spec whose epoch has a share of the images and candidates."""
    values = {key: max(2, round(share * whole.values[key])) for key in ("train_images", "valid_images")}
    if "select_cells" in whole.values:
        values["select_cells"] = max(1, round(share * whole.values["select_cells"]))
    if "controller_steps" in whole.values:
        values["controller_steps"] = 1
    if "arch_warmup_epochs" in whole.values:
        values["arch_warmup_epochs"] = 0  # an epoch in which the architecture learns
    return replace(whole, overrides={**whole.overrides, **values})


def _measured(whole: RunSpec, part: RunSpec, share: float, context: RunContext) -> EpochTime:
    """Step a part of an epoch and extrapolate it.

    Training and recorded evaluation take time in proportion to the images, the choice of a cell in proportion to the
    candidates and the images that each is scored on, the controller of ENAS in proportion to its steps.
    """
    from runners.search import new_method  # imports torch

    try:
        method, (training, selection, recorded) = _step(new_method(part, context, context.device))
        controller = 0.0
        if whole.values.get("parametrisation") == "controller" and whole is not part:
            more = replace(part, overrides={**part.overrides, "controller_steps": 2})
            controller = max(_step(new_method(more, context, context.device))[1][0] - training, 0.0)
    except Diverged:
        return EpochTime(math.nan, math.nan)
    epoch = (max(training - controller, 0.0) + recorded) / share
    epoch += controller * whole.values.get("controller_steps", 0)
    if selection:
        epoch += selection * _scored_images(whole) / _scored_images(part)
    return EpochTime(epoch, _score_seconds(method) / share)


def _step(method: SearchMethod) -> tuple[SearchMethod, tuple[float, float, float]]:
    """Take a step, and return the seconds of training, of choosing a cell, and of recorded evaluation."""
    start = time.perf_counter()
    info = method.step()
    wall = time.perf_counter() - start
    return method, (info.seconds, info.selection_seconds, max(wall - info.seconds - info.selection_seconds, 0.0))


def _scored_images(spec: RunSpec) -> int:
    """Return how many images the choice of a cell scores: all its candidates, each on a batch or the whole part."""
    values = spec.values
    valid = values.get("valid_images") or 1
    whole = values.get("select_on") == "whole" and values["select_by"] != "evolution"
    batch = valid if whole else min(values.get("valid_batch_size", valid), valid)
    return int(values.get("select_cells", 1) * batch)


def _score_seconds(method: SearchMethod) -> float:
    """Return the seconds that scoring a cell with shared weights takes; 0 for a method that keeps none."""
    artifact = method.artifact()
    if artifact is None:
        return 0.0
    cells = [Cell.from_index(index) for index in sample(32)]
    start = time.perf_counter()
    for _ in method.score_cells(artifact, cells):
        pass
    return (time.perf_counter() - start) / len(cells)
