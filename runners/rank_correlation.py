"""Rank correlation of finished runs: a sample of cells scored as the search orders them, beside true accuracies."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from nasbench_eval.analysis.labels import distinct_runs
from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError, UsageError, unknown
from nasbench_eval.images.catalogue import DATASETS
from nasbench_eval.methods import SearchContext, SearchMethod
from nasbench_eval.runs.rank_scores import (
    BATCH_NORM,
    COLUMNS,
    SHARED_WEIGHTS,
    RankScores,
    rank_file,
    read_scores,
    sample,
    write_scores,
)
from nasbench_eval.runs.store import Run, load_runs
from nasbench_eval.settings import build_settings, complete
from nasbench_eval.table import Table
from nasbench_eval.utils.files import sha256_of
from nasbench_eval.utils.rng import Streams
from runners.checkpoints import artifact_file, load_checkpoint, using
from runners.device import make_deterministic
from runners.inputs import image_loader, table_lookups
from runners.locks import Lock
from runners.lookup import TableLookup
from runners.outcome import InUse
from runners.progress import Reporter
from runners.record import other_images
from runners.spec import RunSpec

if TYPE_CHECKING:
    from nasbench_eval.images import ImageData

logger = logging.getLogger("nbeval")

KEPT_EVERY = 1000
"""Cells after which scores are written while others are still to come: a killed command loses no more."""


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


def measure_all(
    runs: Sequence[Run],
    n: int,
    *,
    device: str,
    table: Table | Path | None = None,
    data: Path | None = None,
    split_file: Path | None = None,
    reporter: Reporter | None = None,
    wait: bool = False,
) -> list[InUse]:
    """Score ``n`` sampled cells as each run orders them; see :func:`measure`.

    Returns:
        The runs that were left out, because other commands are scoring cells with them.
    """
    in_use: list[InUse] = []
    reporter = reporter or Reporter()
    images = image_loader(data, split_file)
    tables = table_lookups(table, [run.record.search_dataset for run in runs])
    for number, run in enumerate(runs, 1):
        record = run.record
        title = f"[{number}/{len(runs)}] {record.method} {record.search_dataset} seed {record.seed}"
        with reporter.cells(title, n) as on_cell:
            result = measure(run, n, tables[record.search_dataset], images, device, on_cell, wait=wait)
        if isinstance(result, InUse):
            in_use.append(result)
    return in_use


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
            raise UsageError(f"{prefix} begins the ids of {len(same)} runs: {', '.join(map(_name, same))}")
        found[same[0].record.run_id] = same[0]
    for run in found.values():
        _check_scores(run)
    return list(found.values())


def by_method(runs: Sequence[Run], methods: Sequence[str], datasets: Sequence[str]) -> tuple[list[Run], list[Run]]:
    """Return the runs of some methods, split into those that kept shared weights and those that did not.

    Args:
        runs: All runs.
        methods: Names of methods; ``all`` for every method that keeps shared weights.
        datasets: Search data sets; empty for all.

    Raises:
        UsageError: If there is no run of such a method, the method has no shared weights, or the data set is unknown.
        NbevalError: If no run searched on a data set.
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
        wanted = {method for method, run in there.items() if _is_known(run) and _scores_cells(run)}
    else:
        wanted = set(methods)
        for method in methods:
            _check_scores(there[method])
    chosen = [
        run for run in runs if run.record.method in wanted and (not datasets or run.record.search_dataset in datasets)
    ]
    kept = [run for run in chosen if _is_ready(run)]
    return kept, [run for run in chosen if run not in kept]


def measure(
    run: Run,
    n: int,
    truth: TableLookup,
    images_of: Callable[[str], ImageData],
    device: str,
    on_cell: Callable[[int], None] = lambda done: None,
    *,
    wait: bool = False,
) -> RankScores | InUse:
    """Score the first ``n`` sampled cells as a run orders them and write the scores; what is there is not repeated.

    Args:
        run: A run of a search that scores cells, as it was read from its file.
        n: How many cells.
        truth: The table.
        images_of: Returns a data set by name; asked only if cells have to be scored.
        device: A torch device.
        on_cell: Called with the number of cells that have a score.
        wait: Whether to wait for another command that is scoring cells with this run.

    Returns:
        The scores of ``n`` cells, or of more where more were scored before; or who is scoring them.

    Raises:
        NbevalError: If the run kept no shared weights, or they or the images are not those of the search.
    """
    record = run.record
    if record.search_dataset not in truth.datasets:
        raise NbevalError(f"the table has no true accuracy of {record.search_dataset}: name another one with --table")
    digest = _digest(run)
    known = _known(run, digest)
    enough = known is not None and len(known.cells) >= n and not _lacks_a_gap(known, digest)
    if known is not None and enough and known.table == truth.table.metadata.content_hash:
        on_cell(len(known.cells))
        return known
    what = f"{record.method} {record.search_dataset} seed {record.seed}"
    with Lock(_home(run), f"{record.run_id}-rank", f"rank scores of {what}") as lock:
        if (owner := lock.take(wait=wait)) is not None:
            return InUse(record.run_id, what, owner)
        return _measure(run, n, truth, images_of, device, on_cell, digest)


def scored(run: Run) -> int:
    """Return how many cells were scored with what a run kept.

    Scores of a search that was repeated since do not count, nor those beside true accuracies of another table. Nor do
    those of a command that was stopped: the gap is still to be measured.

    Raises:
        NbevalError: If the file of scores is damaged.
    """
    known, table = _known(run, _digest(run)), run.record.table
    if known is None or known.interrupted or (table is not None and known.table != table.content_hash):
        return 0
    return len(known.cells)


def can_score(run: Run, n: int) -> bool:
    """Return whether :func:`measure` can score ``n`` cells.

    A score of untrained networks needs nothing that the run kept. Where ``n`` cells were scored beside the true
    accuracies of another table, only those are looked up again.
    """
    if not _scores_cells(run):
        return False
    if not _leaves_weights(run) or _artifact(run).is_file():
        return True
    known = _known(run, None)
    return known is not None and len(known.cells) >= n


def _digest(run: Run) -> str | None:
    """Return the checksum of the shared weights of a run: empty if it has none by nature, None if they are gone."""
    if not _leaves_weights(run):
        return ""
    kept = _artifact(run)
    return sha256_of(kept) if kept.is_file() else None


def _known(run: Run, digest: str | None) -> RankScores | None:
    """Return the scores in a run's file, unless the search was repeated since."""
    known = read_scores(rank_file(_home(run), run.record.run_id))
    return None if known is not None and digest not in (None, known.supernet) else known


def _lacks_a_gap(known: RankScores, digest: str | None) -> bool:
    """Return whether gaps are not measured yet, or were before ``batch_all`` was, and can be measured."""
    before = bool(known.losses) and BATCH_NORM[-1] not in known.losses
    return bool(digest) and (known.interrupted or before)


def _measure(
    run: Run,
    n: int,
    truth: TableLookup,
    images_of: Callable[[str], ImageData],
    device: str,
    on_cell: Callable[[int], None],
    digest: str | None,
) -> RankScores:
    record, known = run.record, _known(run, digest)
    rows: list[dict[str, Any]] = [] if known is None else known.cells.to_dict("records")  # type: ignore[assignment]
    scored_on, orders_by = ("", SHARED_WEIGHTS) if known is None else (known.scored_on, known.orders_by)
    losses = {} if known is None else known.losses
    true_acc = truth.accuracies(record.search_dataset, sample(max(n, len(rows))))

    def write(*, interrupted: bool = False) -> RankScores:
        cells = pd.DataFrame(rows)
        cells["test_acc"] = true_acc[: len(rows)]
        supernet = digest or (known.supernet if known is not None else "")
        scores = RankScores(
            record.run_id,
            supernet,
            scored_on,
            truth.note,
            truth.table.metadata.content_hash,
            cells[list(COLUMNS)],
            orders_by,
            losses,
            interrupted and bool(digest) and (known is None or known.interrupted),
        )
        write_scores(rank_file(_home(run), record.run_id), scores)
        return scores

    on_cell(len(rows))
    lacks_a_gap = known is not None and _lacks_a_gap(known, digest)
    if len(rows) < n or lacks_a_gap:
        if digest is None:
            raise NbevalError(
                f"{_name(run)} kept no shared weights, there is no {_artifact(run)}: "
                + (f"{_drawn_by_plot(run, len(rows))}; to score {n}, " if rows else "")
                + _again(run)
            )
        method = _rebuild(run, images_of(record.search_dataset), device)
        scored_on, orders_by = method.facts["scored_on"], method.facts.get("orders_by", SHARED_WEIGHTS)
        new = [Cell.from_index(index) for index in sample(n)[len(rows) :]]
        with _kept(run) as artifact:  # a method loads the weights when its first score is asked for
            try:
                for cell, (loss, accuracy) in zip(new, method.score_cells(artifact, new), strict=True):
                    rows.append({"index": cell.index, "cell": str(cell), "shared_loss": loss, "shared_acc": accuracy})
                    on_cell(len(rows))
                    if len(rows) % KEPT_EVERY == 0:
                        write(interrupted=True)
            except KeyboardInterrupt:
                if rows:
                    write(interrupted=True)
                raise
            losses = method.discretisation(artifact, Cell.parse(run.steps["cell"].iloc[-1]))
    elif known is not None and known.table == truth.table.metadata.content_hash:
        return known
    return write()


def _rebuild(run: Run, images: ImageData, device: str) -> SearchMethod:
    """Return the run's method before its first step."""
    record = run.record
    if record.versions.get("method", "") != RunSpec(record.method, record.search_dataset, record.seed).source:
        raise NbevalError(f"{record.method} was edited since {_name(run)}: repeat its `nbeval run`")
    implementation = _implementation(run)
    values = complete(implementation.Settings, record.settings)
    settings = build_settings(implementation.Settings, values, owner=record.method)
    context = SearchContext(record.search_dataset, Streams(record.seed), images=images, device=device)
    make_deterministic(device)
    method: SearchMethod = implementation(settings, context)  # type: ignore[call-arg]
    if (other := other_images(record, method.facts.get("split", ""), images)) is not None:
        raise NbevalError(f"{_name(run)} {other}: name those of the search with --data and --split")
    return method


@contextmanager
def _kept(run: Run) -> Iterator[dict[str, Any]]:
    """Give what a run kept of its search; if it does not fit the method that uses it, blame its file."""
    if not _leaves_weights(run):
        yield {}
        return
    path, what = _artifact(run), "file of shared weights"
    artifact = load_checkpoint(path, what, _again(run))
    assert artifact is not None
    with using(path, what, _again(run)):
        yield artifact


def _implementation(run: Run) -> type[SearchMethod]:
    return RunSpec(run.record.method, run.record.search_dataset, run.record.seed).implementation


def _is_known(run: Run) -> bool:
    """Return whether the run's method can be loaded here; say so if not."""
    try:
        _ = run.record.imported or _implementation(run)
    except NbevalError as error:
        logger.warning("left out %s, which cannot be loaded here: %s", run.record.method, error)
        return False
    return True


def _leaves_weights(run: Run) -> bool:
    return _implementation(run).artifact is not SearchMethod.artifact


def _scores_cells(run: Run) -> bool:
    return not run.record.imported and _implementation(run).score_cells is not SearchMethod.score_cells


def _is_ready(run: Run) -> bool:
    """Return whether a run has scores, or what it takes to make them."""
    scores = rank_file(_home(run), run.record.run_id)
    return not _leaves_weights(run) or _artifact(run).is_file() or scores.is_file()


def _check_scores(run: Run) -> None:
    if not _scores_cells(run):
        raise UsageError(
            f"{run.record.title} ({run.record.method}) has no shared weights to score cells with: "
            "rank disorder is that of a search with shared weights or untrained scores"
        )


def _home(run: Run) -> Path:
    assert run.home is not None, "the run was not read from a file"
    return run.home


def _artifact(run: Run) -> Path:
    return artifact_file(_home(run), run.record.run_id)


def _name(run: Run) -> str:
    record = run.record
    return f"run {record.run_id} ({record.method} {record.search_dataset} seed {record.seed})"


def _drawn_by_plot(run: Run, n: int) -> str:
    return f"`nbeval plot rank --results {_home(run)}` draws the {n} cells that were scored before"


def _again(run: Run) -> str:
    return f"delete {_home(run) / 'runs' / run.record.file_name} and repeat its `nbeval run`"
