"""The benchmark table as an objective: validation accuracies are rewards, simulated seconds are costs."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.table import Key, Table

VALID = "valid"
"""The split whose accuracy is the reward."""


class TableObjective:
    """Rewards and costs on one data set; only validation accuracies and times are read.

    A query costs training from scratch at its fidelity and one validation pass. Repeating a query costs as much again,
    as in the released code of NAS-Bench-201.

    Args:
        table: The benchmark table.
        dataset: The data set to search on.
        validation_pass: ``charged`` to charge it, an error if the table lacks its seconds; ``if_known`` to charge it if
            the table has them; ``free`` never to charge it.
    """

    def __init__(self, table: Table, dataset: str, validation_pass: str = "if_known") -> None:
        self._table = table
        self._dataset = dataset
        self._validation_pass = validation_pass
        self._means: dict[str, tuple[list[float], list[float]]] = {}
        self._trials: dict[str, list[list[float]]] = {}

    def evaluate(self, cell: Cell, fidelity: str, draw: float | None = None) -> tuple[float, float]:
        """Return the validation accuracy of a cell in percent, and the cost of the query in simulated seconds.

        Args:
            cell: The cell.
            fidelity: How long the cell is trained.
            draw: None for the mean over trials; a number in [0, 1) picks one of the trials that were run.

        Raises:
            NbevalError: If the table lacks the accuracy or the seconds.
        """
        accuracies, seconds = self._mean_of(fidelity)
        index = cell.index
        accuracy, cost = accuracies[index], seconds[index]
        if draw is not None:
            trials = self._trials_of(fidelity)
            run = [trial[index] for trial in trials if trial[index] == trial[index]]
            accuracy = run[int(draw * len(run))] if run else accuracy
        if accuracy != accuracy or not cost > 0:
            raise NbevalError(
                f"the table lacks the {self._dataset} validation accuracy or seconds of cell {index} at fidelity "
                f"{fidelity} ({accuracy} percent, {cost} s): `nbeval table verify` lists what is missing"
            )
        return accuracy, cost

    def describe(self, fidelities: Sequence[str], *, single_trials: bool = False) -> str:
        """Describe what the rewards and costs at these fidelities consist of; raise if the table lacks a column."""
        for fidelity in fidelities:
            self._mean_of(fidelity)
            if single_trials:
                self._trials_of(fidelity)
        schedules = sorted({_parse(fidelity)[1] for fidelity in fidelities})
        told = "training and one validation pass"
        if self._table.metadata.trained_here:
            told = "training with its validation passes, as measured"
        elif not all(self._charges(self._pass_key(schedule)) for schedule in schedules):
            why = "as set" if self._validation_pass == "free" else "the table has no eval_seconds of the valid split"
            told = f"training only (validation passes are not charged: {why})"
        whose = "one random trial's" if single_trials else "the trials' mean"
        return f"reward: {whose} validation accuracy at {_words(fidelities)} epochs; cost of a query: {told}"

    def _mean_of(self, fidelity: str) -> tuple[list[float], list[float]]:
        """Return the accuracies and seconds of all cells, in the order of their indices."""
        if fidelity in self._means:
            return self._means[fidelity]
        epochs, schedule = _parse(fidelity)
        accuracies = self._accuracies(fidelity, None)
        training = self._table.column(self._dataset, "train", "train_seconds", epochs=schedule).astype(np.float64)
        seconds = training * (epochs / schedule)
        key = self._pass_key(schedule)
        if self._charges(key):
            seconds = seconds + self._table.values(key)
        self._means[fidelity] = (accuracies, seconds.tolist())
        return self._means[fidelity]

    def _trials_of(self, fidelity: str) -> list[list[float]]:
        """Return the accuracies of all cells in each trial, in the order of their indices."""
        if fidelity in self._trials:
            return self._trials[fidelity]
        schedule = _parse(fidelity)[1]
        seeds = self._table.trials(self._dataset, VALID, epochs=schedule)
        if not seeds:
            raise NbevalError(
                f"the table has only the mean of {self._dataset}/{schedule}/{VALID}/accuracy, no single trials: use "
                "a table built from the official files (`nbeval table build`), or --set reward=mean"
            )
        self._trials[fidelity] = [self._accuracies(fidelity, seed) for seed in seeds]
        return self._trials[fidelity]

    def _accuracies(self, fidelity: str, trial: int | None) -> list[float]:
        epochs, schedule = _parse(fidelity)
        if epochs == schedule:
            values = self._table.column(self._dataset, VALID, epochs=schedule, trial=trial)
        else:
            values = self._table.curves(self._dataset, VALID, epochs=schedule, trial=trial)[:, epochs - 1]
        found: list[float] = values.astype(np.float64).tolist()
        return found

    def _pass_key(self, schedule: int) -> Key:
        return Key(self._dataset, schedule, VALID, "eval_seconds")

    def _charges(self, key: Key) -> bool:
        if self._validation_pass == "charged" and key not in self._table.keys:
            raise NbevalError(
                f"the table has no column {key}, the seconds of a validation pass: use a table built from the "
                "official files (`nbeval table build`), or do not charge it with --set validation_pass=free"
            )
        return self._validation_pass != "free" and key in self._table.keys


def parse_fidelities(text: str) -> tuple[str, ...]:
    """Parse a list of fidelities such as ``1/12,4/12,12``, lowest first.

    Raises:
        UsageError: If an entry is not a fidelity, or trains for fewer epochs than the one before it.
    """
    found = tuple(part.strip() for part in text.split(","))
    epochs = [_parse(part)[0] for part in found]
    if epochs != sorted(epochs):
        raise UsageError(f"fidelities are listed lowest first, in the order of their epochs; got {text!r}")
    return found


def _parse(fidelity: str) -> tuple[int, int]:
    match = re.fullmatch(r"(?:([1-9]\d*)/)?([1-9]\d*)", fidelity)
    epochs, schedule = (int(match[1] or match[2]), int(match[2])) if match else (1, 0)
    if epochs > schedule:
        raise UsageError(
            f"a fidelity is a schedule (12, 200) or a part of one (4/12: stopped after 4 of 12); got {fidelity!r}"
        )
    return epochs, schedule


def _words(fidelities: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(fidelity.replace("/", " of ") for fidelity in fidelities))
