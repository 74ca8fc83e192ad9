"""Rank correlation of finished runs: a sample of cells scored as the search orders them, beside true accuracies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import pandas as pd

from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError
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
from nasbench_eval.runs.store import Run
from nasbench_eval.settings import build_settings, complete
from nasbench_eval.table import Table
from nasbench_eval.utils.files import sha256_of
from nasbench_eval.utils.rng import Streams
from runners.checkpoints import load_checkpoint, using
from runners.device import make_deterministic
from runners.inputs import image_loader, table_lookups
from runners.locks import Lock
from runners.lookup import TableLookup
from runners.outcome import InUse
from runners.progress import Reporter
from runners.rank_choice import (
    artifact_of,
    home_of,
    implementation_of,
    is_current,
    leaves_weights,
    name_of,
    scores_cells,
)
from runners.record import other_images

if TYPE_CHECKING:
    from nasbench_eval.images import ImageData

KEPT_EVERY = 1000
"""Cells after which scores are written while others are still to come: a killed command loses no more."""


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
    if _has_all(known, n, digest) and known.table == truth.table.metadata.content_hash:
        on_cell(len(known.cells))
        return known
    what = f"{record.method} {record.search_dataset} seed {record.seed}"
    with Lock(home_of(run), f"{record.run_id}-rank", f"rank scores of {what}") as lock:
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
    if not scores_cells(run):
        return False
    if not leaves_weights(run) or artifact_of(run).is_file():
        return True
    known = _known(run, None)
    return known is not None and len(known.cells) >= n


def _digest(run: Run) -> str | None:
    """Return the checksum of the shared weights of a run: empty if it has none by nature, None if they are gone."""
    if not leaves_weights(run):
        return ""
    kept = artifact_of(run)
    return sha256_of(kept) if kept.is_file() else None


def _known(run: Run, digest: str | None) -> RankScores | None:
    """Return the scores in a run's file, unless the search was repeated since."""
    known = read_scores(rank_file(home_of(run), run.record.run_id))
    return None if known is not None and digest not in (None, known.supernet) else known


def _has_all(known: RankScores | None, n: int, digest: str | None) -> TypeGuard[RankScores]:
    """Return whether ``n`` cells have scores, and gaps are measured or cannot be.

    Scores of a stopped command have no gaps; older ones lack those of ``batch_all``.
    """
    if known is None or len(known.cells) < n:
        return False
    before = bool(known.losses) and BATCH_NORM[-1] not in known.losses
    return not digest or not (known.interrupted or before)


def _measure(
    run: Run,
    n: int,
    truth: TableLookup,
    images_of: Callable[[str], ImageData],
    device: str,
    on_cell: Callable[[int], None],
    digest: str | None,
) -> RankScores:
    known = _known(run, digest)
    rows: list[dict[str, Any]] = [] if known is None else known.cells.to_dict("records")  # type: ignore[assignment]
    file = _ScoreFile(run, max(n, len(rows)), truth, digest)
    on_cell(len(rows))
    if _has_all(known, n, digest):
        # Only the true accuracies may be those of another table.
        return known if known.table == file.table else file.write(known, rows)
    if digest is None:
        raise NbevalError(
            f"{name_of(run)} kept no shared weights, there is no {artifact_of(run)}: "
            + (f"{_drawn_by_plot(run, len(rows))}; to score {n}, " if rows else "")
            + _again(run)
        )
    method = _rebuild(run, images_of(run.record.search_dataset), device)
    scores = replace(
        known or RankScores(run.record.run_id, digest, "", "", "", pd.DataFrame()),
        scored_on=method.facts["scored_on"],
        orders_by=method.facts.get("orders_by", SHARED_WEIGHTS),
        # Without weights there is no gap to be measured after the last cell.
        interrupted=bool(digest) and (known is None or known.interrupted),
    )
    new = [Cell.from_index(index) for index in sample(n)[len(rows) :]]
    with _kept(run) as artifact:  # a method loads the weights when its first score is asked for
        try:
            for cell, (loss, accuracy) in zip(new, method.score_cells(artifact, new), strict=True):
                rows.append({"index": cell.index, "cell": str(cell), "shared_loss": loss, "shared_acc": accuracy})
                on_cell(len(rows))
                if len(rows) % KEPT_EVERY == 0:
                    file.write(scores, rows)
        except KeyboardInterrupt:
            if rows:
                file.write(scores, rows)
            raise
        losses = method.discretisation(artifact, Cell.parse(run.steps["cell"].iloc[-1]))
    return file.write(replace(scores, losses=losses, interrupted=False), rows)


class _ScoreFile:
    """The file with the scores of a run.

    Args:
        run: The run.
        n: The largest number of cells that are to be written.
        truth: The table with their true accuracies.
        digest: The checksum of the run's shared weights, as from :func:`_digest`.

    Raises:
        NbevalError: If the table lacks the true accuracy of a cell.
    """

    def __init__(self, run: Run, n: int, truth: TableLookup, digest: str | None) -> None:
        self.path, self.digest, self.note = rank_file(home_of(run), run.record.run_id), digest, truth.note
        self.table = truth.table.metadata.content_hash
        self.true_acc = truth.accuracies(run.record.search_dataset, sample(n))

    def write(self, scores: RankScores, rows: Sequence[Mapping[str, Any]]) -> RankScores:
        """Write scores with these rows, beside the true accuracies of the table, and return them."""
        cells = pd.DataFrame(rows)
        cells["test_acc"] = self.true_acc[: len(rows)]
        written = replace(
            scores,
            supernet=self.digest or scores.supernet,
            truth_note=self.note,
            table=self.table,
            cells=cells[list(COLUMNS)],
        )
        write_scores(self.path, written)
        return written


def _rebuild(run: Run, images: ImageData, device: str) -> SearchMethod:
    """Return the run's method before its first step."""
    record = run.record
    if not is_current(run):
        raise NbevalError(f"{record.method} was edited since {name_of(run)}: repeat its `nbeval run`")
    implementation = implementation_of(run)
    values = complete(implementation.Settings, record.settings)
    settings = build_settings(implementation.Settings, values, owner=record.method)
    context = SearchContext(record.search_dataset, Streams(record.seed), images=images, device=device)
    make_deterministic(device)
    method: SearchMethod = implementation(settings, context)  # type: ignore[call-arg]
    if (other := other_images(record, method.facts.get("split", ""), images)) is not None:
        raise NbevalError(f"{name_of(run)} {other}: name those of the search with --data and --split")
    return method


@contextmanager
def _kept(run: Run) -> Iterator[dict[str, Any]]:
    """Give what a run kept of its search; if it does not fit the method that uses it, blame its file."""
    if not leaves_weights(run):
        yield {}
        return
    path, what = artifact_of(run), "file of shared weights"
    artifact = load_checkpoint(path, what, _again(run))
    assert artifact is not None
    with using(path, what, _again(run)):
        yield artifact


def _drawn_by_plot(run: Run, n: int) -> str:
    return f"`nbeval plot rank --results {home_of(run)}` draws the {n} cells that were scored before"


def _again(run: Run) -> str:
    return f"delete {home_of(run) / 'runs' / run.record.file_name} and repeat its `nbeval run`"
