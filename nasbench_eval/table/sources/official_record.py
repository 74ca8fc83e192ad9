"""Convert the official record of one cell to values of the table, with the classes of the ``nas-bench-201`` package.

Every number is what ``ResultsCount.get_train``, ``get_eval`` and ``get_latency`` return, so that a table agrees with
the published API. Importing this module loads torch, because that package does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from nas_201_api import ArchResults, ResultsCount

from nasbench_eval.cell import all_archs
from nasbench_eval.errors import NbevalError
from nasbench_eval.official_names import TRAINED_ON
from nasbench_eval.table.schema import MEAN, Key

SCHEDULES = {"less": 12, "12": 12, "full": 200, "200": 200}
"""The names of the schedules in the official files (words in NAS-Bench-201, epochs in NATS-Bench), and their epochs."""

Scalars = dict[Key, float]
Curves = dict[Key, np.ndarray]


def read_record(index: int, record: Mapping[str, Any], *, curves: bool = False) -> tuple[Scalars, Curves]:
    """Return the values of one cell.

    Args:
        index: The official index under which the record was found.
        record: The state dicts of its schedules, as in the official files.
        curves: Read the learning curves too.

    Returns:
        The values by column, per trial and mean, in double precision; and the curves per trial: accuracy and loss after
        each epoch, float32 (epochs,), NaN where an epoch was not evaluated. Curves with a single value are left out.

    Raises:
        NbevalError: If it is not an official record, belongs to another cell, or has an accuracy that is not finite.
    """
    scalars: Scalars = {}
    lines: Curves = {}
    try:
        unknown = set(record) - set(SCHEDULES)
        if unknown or not record:
            raise NbevalError(f"cell {index}: unknown schedules {sorted(unknown)}, expected 12 and 200 epochs")
        # The short schedule first: the published API returns its sizes and latency by default.
        for name in sorted(record, key=SCHEDULES.__getitem__):
            results = ArchResults.create_from_state_dict(record[name])
            _check_identity(index, results)
            for dataset in results.get_dataset_names():
                if dataset not in TRAINED_ON:
                    raise NbevalError(f"cell {index}: unknown data set {dataset!r}")
                trials = dict(results.query(dataset).items())
                _check_trials(index, dataset, SCHEDULES[name], trials)
                _read_costs(scalars, dataset, trials)
                _read_scalars(scalars, index, dataset, SCHEDULES[name], trials)
                if curves:
                    _read_curves(lines, dataset, SCHEDULES[name], trials)
    except (KeyError, AttributeError, TypeError, ValueError, IndexError) as error:
        raise NbevalError(f"cell {index}: not an official record ({type(error).__name__}: {error})") from error
    return scalars, lines


def _check_identity(index: int, results: Any) -> None:
    expected = all_archs()[index]
    if results.arch_index != index or results.arch_str != expected:
        raise NbevalError(
            f"cell {index}: the record found there is that of cell {results.arch_index} ({results.arch_str}), "
            f"expected {expected}; a cell appears twice or the file is damaged"
        )


def _check_trials(index: int, dataset: str, epochs: int, trials: Mapping[int, Any]) -> None:
    for seed, trial in trials.items():
        if not isinstance(trial, ResultsCount) or trial.name != dataset or int(trial.seed) != seed:
            raise NbevalError(f"cell {index}: trial {seed} on {dataset} holds the record of another trial")
        if trial.get_total_epoch() != epochs:
            raise NbevalError(
                f"cell {index}: trial {seed} on {dataset} ran {trial.get_total_epoch()} epochs, expected {epochs}"
            )


def _read_costs(scalars: Scalars, dataset: str, trials: Mapping[int, Any]) -> None:
    name = TRAINED_ON[dataset][0]
    latencies = [latency for latency in (trial.get_latency() for trial in trials.values()) if latency > 0]
    for metric, values in (
        ("params_mb", [trial.params for trial in trials.values()]),
        ("flops_m", [trial.flop for trial in trials.values()]),
        ("latency_s", latencies),
    ):
        if values:
            scalars.setdefault(Key(name, None, "-", metric), float(np.mean(values)))


def _read_scalars(scalars: Scalars, index: int, dataset: str, epochs: int, trials: Mapping[int, Any]) -> None:
    name, part, splits = TRAINED_ON[dataset]
    groups: dict[Key, list[float]] = {}
    for seed, trial in trials.items():
        for official, split in splits.items():
            got = trial.get_train() if official == "train" else _last_evaluation(trial, official)
            if got is None:
                continue
            if not math.isfinite(got["accuracy"]):
                raise NbevalError(
                    f"cell {index}: the {official} accuracy of trial {seed} on {dataset} after {epochs} epochs is "
                    f"{got['accuracy']}"
                )
            seconds = Key(name, epochs, part, "train_seconds")
            if official != "train":
                seconds = Key(name, epochs, split, "eval_seconds")
            for key, value in (
                (Key(name, epochs, split, "accuracy"), got["accuracy"]),
                (Key(name, epochs, split, "loss"), got["loss"]),
                # The official time is the sum of the passes after every epoch.
                (seconds, _share(got["all_time"], 1 if official == "train" else epochs)),
            ):
                if value is not None:
                    scalars[key._replace(trial=str(seed))] = float(value)
                    groups.setdefault(key, []).append(float(value))
    for key, values in groups.items():
        scalars[key._replace(trial=MEAN)] = float(np.mean(values))


def _read_curves(lines: Curves, dataset: str, epochs: int, trials: Mapping[int, Any]) -> None:
    name, _, splits = TRAINED_ON[dataset]
    for seed, trial in trials.items():
        for official, split in splits.items():
            for metric, train, evaluated in (
                ("accuracy", trial.train_acc1es, trial.eval_acc1es),
                ("loss", trial.train_losses, trial.eval_losses),
            ):
                if official == "train":
                    values = (train.get(epoch, math.nan) for epoch in range(epochs))
                else:
                    values = (evaluated.get(f"{official}@{epoch}", math.nan) for epoch in range(epochs))
                line = np.fromiter(values, dtype=np.float32, count=epochs)
                if np.count_nonzero(~np.isnan(line)) > 1:
                    lines[Key(name, epochs, split, metric, str(seed))] = line


def _last_evaluation(trial: Any, official: str) -> dict[str, Any] | None:
    """Return the evaluation after the last epoch, or None if the trial has none under this name."""
    try:
        found: dict[str, Any] = trial.get_eval(official)
    except KeyError:
        return None
    return found


def _share(seconds: float | None, passes: int) -> float | None:
    return None if seconds is None else seconds / passes
