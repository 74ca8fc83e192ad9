"""Search, look up cells and add methods from Python. Runs are the same as those of the command.

``search`` runs a method, ``evaluate`` looks up a cell, ``register`` gives your own method its title and settings, and
``check`` tests that it keeps the rules. The parts of a custom method are here too: derive it from ``TabularMethod``
(queries the table), ``nasbench_eval.methods.weight_sharing.WeightSharing`` (one supernet), or ``SearchMethod``
(anything else).

``nbeval`` exports all of this.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasbench_eval.cell import EDGES, N_EDGES, N_OPS, OPS, Cell
from nasbench_eval.errors import NbevalError, UsageError, unknown
from nasbench_eval.methods import Budget, SearchContext, SearchMethod, StepInfo
from nasbench_eval.methods.tabular.base import TabularMethod, TabularSettings
from nasbench_eval.settings import build_settings, setting
from nasbench_eval.table import Key, Table, find_table
from runners.presets import load_preset, name_of, register

if TYPE_CHECKING:
    import pandas as pd

    from nasbench_eval.runs.store import RunRecord
    from runners.inputs import Truth

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
    "setting",
]


@dataclass(frozen=True)
class Result:
    """A finished search.

    Attributes:
        cell: The cell that the search returned.
        test_acc: True test accuracy of the cell in percent, by data set; empty if no true accuracy is known.
        steps: One row per epoch or query; ``nasbench_eval.runs.store`` describes the columns.
        record: Everything else: settings, device, versions, where the true accuracies come from.
        seconds: Cost of the search; ``record.cost_kind`` says whether it is measured or simulated.
    """

    cell: Cell
    test_acc: Mapping[str, float]
    steps: pd.DataFrame
    record: RunRecord
    seconds: float


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
    on_step: Callable[[int, Mapping[str, Any]], None] = lambda done, row: None,
) -> Result:
    """Run one search to its end, as ``nbeval run`` does.

    Args:
        method: A preset's name, ``module:Class``, or a class.
        dataset: What the search trains on or queries.
        seed: The seed of all its random numbers.
        scale: ``full``, or ``small`` for a reduced search.
        settings: Settings to change, as ``--set`` does.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:n``.
        truth: ``table``; ``train`` to train the final cell from scratch; ``none``.
        table: The benchmark table or its path; None for the one the command would find.
        data: Folder of the image data sets; None for where the command would look.
        split_file: Official split file, instead of seeded halves.
        results: The results folder: a run that is complete there is not repeated, one that was interrupted goes on, and
            ``nbeval compare`` and ``plot`` see it. None: nothing is kept but what is returned.
        on_step: Called after each epoch with the number of epochs done and the row recorded; not called by searches in
            the table, which are over in milliseconds.

    Raises:
        UsageError: If the call is off: an unknown name, a value that does not fit.
        NbevalError: If a table, images or a checkpoint are missing or damaged.
    """
    from runners.inputs import environments, image_loader, split_hash
    from runners.spec import RunSpec

    split = None if split_file is None else Path(split_file)
    spec = RunSpec(name_of(method), dataset, seed, scale, dict(settings or {}), split_hash(split))
    with tempfile.TemporaryDirectory(prefix="nbeval-") as temporary:
        env = environments(
            [spec],
            Path(temporary if results is None else results),
            device=device,
            truth=truth,
            table=Path(table) if isinstance(table, str) else table,
            scale=scale,
        )[dataset]
        # The loop imports pandas, and torch where the method needs images.
        from runners.search import execute, finished

        run = finished(spec, env)
        if run is None:
            images = None
            if spec.implementation.needs == "images":
                images = image_loader(None if data is None else Path(data), split)(dataset)
            run = execute(spec, env, images, on_step)
    last = run.steps.iloc[-1]
    return Result(Cell.parse(last["cell"]), run.test_acc, run.steps, run.record, float(last["total_seconds"]))


@dataclass(frozen=True)
class TrueAccuracy:
    """Accuracy of a cell on one data set, from the table, after the longest schedule.

    Attributes:
        test_acc: Test accuracy in percent, mean over the trials.
        valid_acc: Validation accuracy in percent, mean over the trials; None if the table has none.
        trials: Number of trials in which the cell was tested; 0 if the table has only their mean.
        test_std: Standard deviation of the test accuracy over these trials (ddof 1); None for fewer than two.
        epochs: Length of the schedule.
    """

    test_acc: float
    valid_acc: float | None
    trials: int
    test_std: float | None
    epochs: int


def evaluate(
    cell: Cell | str | int, dataset: str | None = None, *, table: Table | str | Path | None = None
) -> dict[str, TrueAccuracy]:
    """Look up the true accuracies of a cell.

    Args:
        cell: The cell, its architecture string, or its official index.
        dataset: Only this data set; None for all data sets of the table.
        table: The benchmark table or its path; None for the one that the command would find.

    Returns:
        The accuracies, by data set.

    Raises:
        UsageError: If this is not a cell, or the table does not have the data set.
        NbevalError: If there is no table.
    """
    from runners.inputs import opened
    from runners.lookup import TableTruth

    if isinstance(cell, int):
        cell = Cell.from_index(cell)
    elif isinstance(cell, str):
        cell = Cell.parse(cell)
    if not isinstance(table, Table):
        table = opened(find_table(table, dataset))
    known = TableTruth(table).datasets
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
    """Check on a tiny problem that a method keeps the rules. This takes a few seconds if the method trains.

    The rules: the search is reproducible; another seed gives another search; a resumed search continues as if it had
    never stopped; the state has only plain values and tensors; steps are what the runner expects; the budget ends;
    test images are not used.

    Args:
        method: A class, ``module:Class``, or the name of any method.
        settings: Settings to change for the check, such as a size that makes it fast.
        steps: Number of steps. For a tabular method, use enough to leave its first phase.

    Raises:
        NbevalError: If the method breaks a rule; the message has one line per broken rule.
    """
    from nasbench_eval.methods import load_method
    from nasbench_eval.methods.conformance import shrunk, violations

    preset = load_preset(name_of(method))
    cls = load_method(preset.implementation)
    full = dataclasses.asdict(build_settings(cls.Settings, preset.settings, owner=preset.name))
    built = build_settings(cls.Settings, {**shrunk(full), **(settings or {})}, owner=preset.name)
    found = violations(lambda context: cls(built, context), cls.needs, steps)  # type: ignore[call-arg]
    if found:
        raise NbevalError("\n".join(f"{preset.name}: {sentence}" for sentence in found))
