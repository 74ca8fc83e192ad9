"""Synthetic problems with known answers for the tabular methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_eval.cell import N_CELLS, Cell
from nasbench_eval.methods import METHODS, OPTUNA, SearchContext
from nasbench_eval.methods.conformance import shrunk
from nasbench_eval.methods.tabular.base import TabularMethod
from nasbench_eval.table import Key, Table
from nasbench_eval.utils.rng import Streams
from runners.presets import load_preset, preset_names
from runners.spec import RunSpec


def _is_tabular(implementation: str) -> bool:
    """Whether an implementation is tabular; `load_method(...).needs` would import torch."""
    return ".tabular." in METHODS.get(implementation, "") or implementation.startswith(OPTUNA)


TABULAR = [name for name in preset_names() if _is_tabular(load_preset(name).implementation)]

LONG = 60
"""Steps that take every method past its first phase: REA's population, BOHB's random cells, ASHA's promotions."""


def planted(cell: Cell) -> float:
    """90 percent, the best, if the first edge is a 3x3 convolution and the last a 1x1 one: in 625 of the cells."""
    return 50.0 + 20 * (cell.ops[0] == 3) + 20 * (cell.ops[5] == 2)


def hill(cell: Cell) -> float:
    """A single optimum, the cell (3, 3, 3, 3, 3, 3), and no local ones."""
    return 40.0 + 5 * sum(op == 3 for op in cell.ops)


class Problem:
    """An objective given by a function of the cell, in which every query costs 10 seconds."""

    def __init__(self, reward: Callable[[Cell], float] = planted) -> None:
        self.reward = reward
        self.queries: list[tuple[Cell, str]] = []

    def evaluate(self, cell: Cell, fidelity: str, draw: float | None = None) -> tuple[float, float]:
        self.queries.append((cell, fidelity))
        return self.reward(cell), 10.0

    def describe(self, fidelities: Sequence[str], *, single_trials: bool = False) -> str:
        return "made up"


def small(name: str, seed: int = 0, **changes: Any) -> RunSpec:
    """A search whose predictor, if it has one, trains for a moment only."""
    return RunSpec(name, "cifar10", seed, overrides={**shrunk(RunSpec(name, "cifar10", seed).values), **changes})


def make(name: str, seed: int = 0, problem: Any = None, **changes: Any) -> TabularMethod:
    spec = small(name, seed, **changes)
    context = SearchContext("cifar10", Streams(seed), objective=problem or Problem())
    method = spec.implementation(spec.settings, context)
    assert isinstance(method, TabularMethod)
    return method


def steps(method: TabularMethod, count: int) -> list[list[Any]]:
    """Take steps and return what each showed."""
    found = []
    for _ in range(count):
        info = method.step()
        found.append([str(method.incumbent()), info.seconds, dict(info.metrics)])
    return found


def columns(dataset: str = "cifar10", *, seed: int = 0, seconds: float = 120.0) -> dict[Key, np.ndarray]:
    """Columns of a table for one data set, in which 12 epochs cost ``seconds`` to ``seconds + 60``."""
    rng = np.random.default_rng(seed)
    made = {
        Key(dataset, 12, "valid", "accuracy"): rng.uniform(40, 80, N_CELLS),
        Key(dataset, 12, "train", "train_seconds"): seconds + rng.uniform(0, 60, N_CELLS),
        Key(dataset, 200, "test", "accuracy"): rng.uniform(60, 94, N_CELLS),
    }
    return {key: values.astype(np.float32) for key, values in made.items()}


def table(made: Mapping[Key, np.ndarray], folder: Path | None = None) -> Table:
    built = Table.build(made, name="made up", source={"importer": "test"})
    return built if folder is None else built.save(folder / "table.parquet")
