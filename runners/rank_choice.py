"""Runs whose search scores cells: which of them ``nbeval rank`` scores cells with, and what they kept for that."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from nasbench_eval.analysis.labels import distinct_runs
from nasbench_eval.errors import NbevalError, UsageError, unknown
from nasbench_eval.images.catalogue import DATASETS
from nasbench_eval.methods import SearchMethod
from nasbench_eval.runs.rank_scores import rank_file
from nasbench_eval.runs.store import Run, load_runs
from runners.checkpoints import artifact_file
from runners.spec import RunSpec

logger = logging.getLogger("nbeval")


def choose(
    results_dir: Path, ids: Sequence[str], methods: Sequence[str], datasets: Sequence[str]
) -> tuple[list[Run], list[Run]]:
    """Return the runs in a results folder that can be ranked, and those left out because they kept no shared weights.

    Args:
        results_dir: The results folder.
        ids: Beginnings of run ids; empty if ``methods`` chooses.
        methods: Names of methods, or ``all``; empty if ``ids`` chooses.
        datasets: Search data sets of the methods' runs; empty for all.

    Raises:
        UsageError: If the choice is contradictory or names something unknown.
        NbevalError: If no run is left.
    """
    if bool(ids) == bool(methods):
        raise UsageError("choose runs either by --run ID, or by --method NAME (or all), with or without --dataset")
    if ids and datasets:
        raise UsageError("--dataset filters the runs of --method; --run names its runs")
    folder = results_dir / "runs"
    runs, _ = distinct_runs(load_runs([folder]))
    if not runs:
        raise NbevalError(f"no complete run under {folder}: make some with `nbeval run`")
    if ids:
        return by_id(runs, ids), []
    kept, bare = by_method(runs, methods, datasets)
    if not kept and not bare:
        raise NbevalError(
            f"no run under {folder} is a search with shared weights or untrained scores, which is what `nbeval rank` "
            "measures (tabular searches have neither): run one first, such as `nbeval run --method rs_ws --dataset "
            "digits --scale small`"
        )
    if not kept:
        raise NbevalError(
            f"none of these {len(bare)} runs kept its shared weights in {results_dir / 'supernets'}: "
            f"delete their files in {folder} and repeat their `nbeval run`"
        )
    return kept, bare


def by_id(runs: Sequence[Run], prefixes: Sequence[str]) -> list[Run]:
    """Return the runs whose ids begin with one of the prefixes, each once.

    Raises:
        UsageError: If a prefix matches no run, or several.
    """
    found: dict[str, Run] = {}
    for prefix in prefixes:
        same = [run for run in runs if run.record.run_id.startswith(prefix)]
        if not same:
            raise UsageError(f"there is no complete run {prefix}: a run's id ends the name of its file")
        if len(same) > 1:
            raise UsageError(f"{prefix} begins the ids of {len(same)} runs: {', '.join(map(name_of, same))}")
        found[same[0].record.run_id] = same[0]
    for run in found.values():
        check_scores(run)
    return list(found.values())


def by_method(runs: Sequence[Run], methods: Sequence[str], datasets: Sequence[str]) -> tuple[list[Run], list[Run]]:
    """Return the runs of some methods, split into those that kept shared weights and those that did not.

    Args:
        runs: All runs.
        methods: Names of methods; ``all`` for every method that keeps shared weights.
        datasets: Search data sets; empty for all.

    Raises:
        UsageError: If there is no run of such a method, the method has no shared weights, or the data set is unknown.
        NbevalError: If no run searched on a data set, or the method was edited since all of its runs.
    """
    there = {run.record.method: run for run in runs if not datasets or run.record.search_dataset in datasets}
    known = sorted({run.record.search_dataset for run in runs})
    for dataset in datasets:
        if dataset not in known and dataset in DATASETS:
            raise NbevalError(f"no run searched on {dataset}: these runs have {', '.join(known)}")
        if dataset not in known:
            raise unknown("search data set of a run", dataset, known)
    for method in methods:
        if method != "all" and method not in there:
            raise unknown("method of a run", method, sorted(there))
    if "all" in methods:
        wanted = {method for method, run in there.items() if is_known(run) and scores_cells(run)}
    else:
        wanted = set(methods)
        for method in methods:
            check_scores(there[method])
    chosen = [
        run for run in runs if run.record.method in wanted and (not datasets or run.record.search_dataset in datasets)
    ]
    current = [run for run in chosen if is_current(run)]
    if old := [name_of(run) for run in chosen if run not in current]:
        if not current:
            raise NbevalError(f"their method was edited since: {', '.join(old)}; repeat its `nbeval run`")
        logger.warning("left out, because their method was edited since: %s", ", ".join(old))
    kept = [run for run in current if is_ready(run)]
    return kept, [run for run in current if run not in kept]


def implementation_of(run: Run) -> type[SearchMethod]:
    """Return the class of the run's method."""
    return RunSpec(run.record.method, run.record.search_dataset, run.record.seed).implementation


def is_known(run: Run) -> bool:
    """Return whether the run's method can be loaded here; say so if not."""
    try:
        _ = run.record.imported or implementation_of(run)
    except NbevalError as error:
        logger.warning("left out %s, which cannot be loaded here: %s", run.record.method, error)
        return False
    return True


def is_current(run: Run) -> bool:
    """Return whether the code of the run's method is still the one that searched."""
    record = run.record
    return record.versions.get("method", "") == RunSpec(record.method, record.search_dataset, record.seed).source


def leaves_weights(run: Run) -> bool:
    """Return whether searches of the run's method keep shared weights."""
    return implementation_of(run).artifact is not SearchMethod.artifact


def scores_cells(run: Run) -> bool:
    """Return whether searches of the run's method can score cells, with shared weights or without training."""
    return not run.record.imported and implementation_of(run).score_cells is not SearchMethod.score_cells


def is_ready(run: Run) -> bool:
    """Return whether a run has scores, or what it takes to make them."""
    scores = rank_file(home_of(run), run.record.run_id)
    return not leaves_weights(run) or artifact_of(run).is_file() or scores.is_file()


def check_scores(run: Run) -> None:
    """Raise if searches of the run's method cannot score cells."""
    if not scores_cells(run):
        raise UsageError(
            f"{run.record.title} ({run.record.method}) has no shared weights to score cells with: "
            "rank disorder is that of a search with shared weights or untrained scores"
        )


def home_of(run: Run) -> Path:
    """Return the results folder of a run."""
    assert run.home is not None, "the run was not read from a file"
    return run.home


def artifact_of(run: Run) -> Path:
    """Return the file in which a run keeps its shared weights."""
    return artifact_file(home_of(run), run.record.run_id)


def name_of(run: Run) -> str:
    """Return how messages name a run."""
    record = run.record
    return f"run {record.run_id} ({record.method} {record.search_dataset} seed {record.seed})"
