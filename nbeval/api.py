"""nbeval from Python: run searches, look up cells, add your own methods.

``search`` and ``search_seeds`` run a method as ``nbeval run`` does, ``evaluate`` looks up a cell, ``register`` gives
your own method a title, ``check`` tests whether it follows the rules. A method of your own is derived from
``TabularMethod`` (tabular search), ``nasbench_eval.methods.weight_sharing.WeightSharing`` (one supernet), or
``SearchMethod`` (anything else); what it is built from is here as well.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasbench_eval.cell import EDGES, N_EDGES, N_OPS, OPS, Cell, as_cell
from nasbench_eval.errors import InUseError, NbevalError, UsageError, unknown
from nasbench_eval.images.catalogue import DATASETS
from nasbench_eval.methods import Budget, SearchContext, SearchMethod, StepInfo
from nasbench_eval.methods.tabular.base import TabularMethod, TabularSettings
from nasbench_eval.settings import build_settings, setting
from nasbench_eval.table import Key, Table, find_table
from nasbench_eval.utils.checks import mapping, optional_path, shown, whole_number
from runners.presets import load_preset, name_of, register

if TYPE_CHECKING:
    import pandas as pd

    from nasbench_eval.runs.store import Run, RunRecord
    from runners.context import Truth

__all__ = [
    "EDGES",
    "N_EDGES",
    "N_OPS",
    "OPS",
    "Budget",
    "Cell",
    "NbevalError",
    "Result",
    "SearchContext",
    "SearchMethod",
    "StepInfo",
    "TabularMethod",
    "TabularSettings",
    "TrueAccuracy",
    "UsageError",
    "check",
    "evaluate",
    "register",
    "search",
    "search_seeds",
    "setting",
]


@dataclass(frozen=True)
class Result:
    """A finished search.

    Attributes:
        cell: The cell it returned.
        test_acc: The cell's true test accuracy in percent by data set; empty if none is known.
        steps: One row per epoch or query; ``nasbench_eval.runs.store`` lists the columns.
        record: Everything else: settings, device, versions, where the true accuracy came from.
        seconds: The cost of the search; ``record.cost_kind`` says whether it is measured or simulated.
    """

    cell: Cell
    test_acc: Mapping[str, float]
    steps: pd.DataFrame
    record: RunRecord
    seconds: float


OnStep = Callable[[int, Mapping[str, Any]], None]


def search(
    method: str | type[SearchMethod],
    dataset: str,
    *,
    seed: int = 0,
    scale: str = "full",
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    truth: Truth = "table",
    table: Table | str | Path | None = None,
    data: str | Path | None = None,
    split_file: str | Path | None = None,
    results: str | Path | None = None,
    wait: bool = False,
    progress: bool = False,
    on_step: OnStep | None = None,
) -> Result:
    """Run one search to its end, as ``nbeval run`` does.

    Args:
        method: A preset's name, ``module:Class``, or a class.
        dataset: The data set that the search trains on or queries.
        seed: The seed of all random numbers.
        scale: ``full``, ``small`` (a reduced search) or ``shallow`` (a small network, the full schedule).
        settings: Settings to change, as ``--set`` does.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:n``.
        truth: ``table``; ``train`` to train the final cell from scratch; ``none``.
        table: The benchmark table or its path; None for the one that the command would find.
        data: Folder of the image data sets; None for where the command would look.
        split_file: A split file, ``official`` or ``seeded``; None for the default of the data set.
        results: The results folder: a complete run there is not repeated, an interrupted one resumes, and
            ``nbeval compare`` and ``nbeval plot`` see it. None: nothing is kept but the result returned.
        wait: Whether to wait for a run that another process is at work on in the same results folder.
        progress: Whether to draw a progress bar.
        on_step: Called after each epoch with the number of epochs done and the row recorded; tabular searches, which
            take milliseconds, do not call it.

    Raises:
        UsageError: If the call is wrong: an unknown name, a value that does not fit.
        NbevalError: If a table, images or a checkpoint are missing or damaged; if the run diverged, or another process
            is at work on it.
    """
    [result] = search_seeds(
        method,
        dataset,
        seeds=[seed],
        scale=scale,
        settings=settings,
        device=device,
        truth=truth,
        table=table,
        data=data,
        split_file=split_file,
        results=results,
        wait=wait,
        progress=progress,
        on_step=on_step,
    )
    return result


def search_seeds(
    method: str | type[SearchMethod],
    dataset: str,
    *,
    seeds: Iterable[int],
    scale: str = "full",
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    truth: Truth = "table",
    table: Table | str | Path | None = None,
    data: str | Path | None = None,
    split_file: str | Path | None = None,
    results: str | Path | None = None,
    wait: bool = False,
    workers: int = 1,
    threads: int | None = None,
    executor: str = "local",
    executor_options: Mapping[str, Any] | None = None,
    progress: bool = False,
    on_step: OnStep | None = None,
) -> list[Result]:
    """Run a search with several seeds, and return one result per seed in their order.

    Args:
        method: As for :func:`search`, and so are the arguments not listed here.
        dataset: The data set that the search trains on or queries.
        seeds: The seeds.
        scale: ``full``, ``small`` (a reduced search) or ``shallow`` (a small network, the full schedule).
        settings: Settings to change.
        device: A torch device, or ``auto``.
        truth: Where true accuracies come from.
        table: The benchmark table or its path.
        data: Folder of the image data sets.
        split_file: A split file, ``official`` or ``seeded``.
        results: The results folder.
        wait: Whether to wait for runs that other processes are at work on in the same results folder.
        workers: How many searches run in parallel, each in its own process; a method of your own has to be in a module
            that the processes can import.
        threads: CPU threads of each search; None: the cores that this process may use, divided among the workers.
        executor: Where searches that train run: ``local``, ``slurm`` or ``ray``. The latter two need a results folder
            that all machines share.
        executor_options: Options of the executor, as ``--executor-option`` takes them.
        progress: Whether to draw progress bars.
        on_step: Called after each epoch; with several workers or on a cluster only the worker processes see the epochs,
            and it must be None.

    Raises:
        UsageError: If the call is wrong: an unknown name, a value that does not fit.
        NbevalError: If a table, images or a checkpoint are missing or damaged, or a worker was killed; if a run
            diverged, or another process is at work on it, after all others are done.
    """
    from runners.context import Inputs
    from runners.execute import run_all
    from runners.executors import make_executor
    from runners.inputs import split_hash
    from runners.outcome import in_use_words
    from runners.progress.views import make_reporter
    from runners.spec import RunSpec
    from runners.threads import MOST

    wanted = _seeds(seeds)
    workers = whole_number(workers, "workers", at_least=1)
    if on_step is not None and not callable(on_step):
        raise UsageError(f"on_step is a function of the epochs done and a row; got {shown(on_step)}")
    elsewhere = workers > 1 or executor != "local"
    if on_step is not None and elsewhere:
        raise UsageError("on_step is called in this process: give workers=1 and no executor, or progress=True instead")
    threads = None if threads is None else whole_number(threads, "threads", at_least=1, at_most=MOST)
    options = mapping(executor_options, "executor_options")
    if options.get("detach"):
        raise UsageError("detach would leave no result to return: use `nbeval run --detach`")
    runs_there = make_executor(executor, options)
    if results is None and executor != "local":
        raise UsageError(f"executor={executor!r} needs a results folder that all machines share: give results")
    opened = table if isinstance(table, Table) else optional_path(table, "table")
    if isinstance(opened, Table) and opened.path is not None and elsewhere:
        opened = opened.path  # every process opens it
    split, images, folder = (
        optional_path(value, what) for value, what in ((split_file, "split_file"), (data, "data"), (results, "results"))
    )
    name, changes = name_of(method), mapping(settings, "settings")
    if not isinstance(dataset, str):
        raise unknown("data set", dataset, DATASETS)
    digest = split_hash(split, dataset)
    specs = [RunSpec(name, dataset, seed, scale, changes, digest) for seed in wanted]
    with tempfile.TemporaryDirectory(prefix="nbeval-") as temporary:
        inputs = Inputs(
            results_dir=Path(temporary) if folder is None else folder,
            device=device,
            truth=truth,
            table=opened,
            data=images,
            split_file=split,
            scale=scale,
            workers=workers,
            threads=threads,
            elsewhere=executor != "local",
        )
        reporter = make_reporter("auto" if progress else "none", on_step=on_step)
        runs, failures, in_use, _, broken = run_all(specs, inputs, reporter, wait=wait, executor=runs_there)
    if broken:
        raise broken[0]
    if failures:
        raise NbevalError("; ".join(failure.words for failure in failures))
    if in_use:
        raise InUseError(f"{in_use_words(in_use)}: give wait=True to wait for the results")
    return [_result(run) for run in runs]


def _seeds(seeds: object) -> list[int]:
    if not isinstance(seeds, Iterable) or isinstance(seeds, str):
        raise UsageError(f"seeds is a list of seeds, such as range(4); got {shown(seeds)}")
    from runners.spec import require_distinct

    found = [whole_number(seed, "a seed") for seed in seeds]
    if not found:
        raise UsageError("seeds is empty: give at least one seed, such as range(4)")
    require_distinct(found)
    return found


def _result(run: Run) -> Result:
    last = run.steps.iloc[-1]
    return Result(Cell.parse(last["cell"]), run.test_acc, run.steps, run.record, float(last["total_seconds"]))


@dataclass(frozen=True)
class TrueAccuracy:
    """What the table knows about a cell on one data set, after its longest schedule.

    Attributes:
        test_acc: Test accuracy in percent, mean over the trials.
        valid_acc: Validation accuracy in percent, mean over the trials; None if the table has none.
        trials: The number of trials with a test accuracy; 0 if the table has only their mean.
        test_std: Standard deviation of the test accuracy over these trials (ddof 1); None for fewer than two.
        epochs: The length of the schedule.
    """

    test_acc: float
    valid_acc: float | None
    trials: int
    test_std: float | None
    epochs: int


def evaluate(
    cell: Cell | str | int | Sequence[Any], dataset: str | None = None, *, table: Table | str | Path | None = None
) -> dict[str, TrueAccuracy]:
    """Look up the true accuracies of a cell.

    Args:
        cell: The cell, its architecture string, its official index (also as text), or NAS-Bench-201's matrix or nested
            tuples; see ``nasbench_eval.cell.as_cell``.
        dataset: Only this data set; None for all in the table.
        table: The benchmark table or its path; None for the one the command would find.

    Returns:
        What is known, by data set.

    Raises:
        UsageError: If it is not a cell, or the table does not have the data set.
        NbevalError: If there is no table.
    """
    from runners.inputs import open_table
    from runners.lookup import TableLookup

    cell = as_cell(cell)
    if not isinstance(table, Table):
        table = open_table(find_table(optional_path(table, "table"), dataset if isinstance(dataset, str) else None))
    known = TableLookup(table).datasets
    if dataset is not None and dataset not in known:
        raise unknown("data set in the table", dataset, known)
    return {name: _accuracy(table, cell, name) for name in (known if dataset is None else (dataset,))}


def _accuracy(table: Table, cell: Cell, dataset: str) -> TrueAccuracy:
    import numpy as np

    epochs = table.longest(dataset)
    columns = [
        table.column(dataset, "test", epochs=epochs, trial=t) for t in table.trials(dataset, "test", epochs=epochs)
    ]
    tested = [value for column in columns if not np.isnan(value := float(column[cell.index]))]
    has_valid = Key(dataset, epochs, "valid", "accuracy") in table.keys
    return TrueAccuracy(
        test_acc=table.accuracy(cell, dataset, "test", epochs=epochs),
        valid_acc=table.accuracy(cell, dataset, "valid", epochs=epochs) if has_valid else None,
        trials=len(tested),
        test_std=float(np.std(tested, ddof=1)) if len(tested) > 1 else None,
        epochs=epochs,
    )


def check(method: str | type[SearchMethod], *, settings: Mapping[str, Any] | None = None, steps: int = 3) -> None:
    """Check on a tiny problem that a method follows the rules; takes a few seconds if it trains.

    It must be reproducible, search differently with another seed, resume from a state as if never stopped, have a state
    of plain values, step as the runner expects, end with its budget, and not look at test images.

    Args:
        method: A class, ``module:Class``, or any method's name.
        settings: Settings to change for the check, such as one that makes a later phase come early.
        steps: How many steps to take, at least 2; enough for every phase of the method, as only these are checked.

    Raises:
        NbevalError: If it breaks a rule; one line per rule.
    """
    from nasbench_eval.methods import load_method
    from nasbench_eval.methods.conformance import shrunk, violations

    steps = whole_number(steps, "steps", at_least=2)
    preset = load_preset(name_of(method))
    cls = load_method(preset.implementation)
    full = dataclasses.asdict(build_settings(cls.Settings, preset.settings, owner=preset.name))
    built = build_settings(cls.Settings, {**shrunk(full), **mapping(settings, "settings")}, owner=preset.name)
    found = violations(lambda context: cls(built, context), cls.needs, steps)  # type: ignore[call-arg]
    if found:
        raise NbevalError("\n".join(f"{preset.name}: {sentence}" for sentence in found))
