"""What the tabular methods share: one query per step, the best cell by reward, a state of plain values. No torch."""

from __future__ import annotations

import abc
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nasbench_eval.cell import Cell
from nasbench_eval.errors import MethodError, UsageError
from nasbench_eval.methods.base import Budget, SearchContext, SearchMethod, StepInfo
from nasbench_eval.methods.plugins import path_of
from nasbench_eval.methods.tabular.objective import parse_fidelities
from nasbench_eval.settings import setting
from nasbench_eval.utils.checks import shown


@dataclass(frozen=True, kw_only=True)
class TabularSettings:
    """The settings of every tabular method."""

    budget_seconds: float = setting(
        "simulated seconds of the search; the query that would exceed them is not made", above=0, reduces=True
    )
    fidelity: str = setting(
        "epochs for which a query trains: a schedule (12, 200) or a part of one (4/12); methods with several "
        "fidelities take a list, lowest first (1/12,4/12,12)",
        default="12",
    )
    reward: str = setting(
        "validation accuracy; mean: the mean over trials; random_trial: one trial, drawn again for every query",
        choices=("mean", "random_trial"),
        default="mean",
    )
    validation_pass: str = setting(
        "charged: a query also costs one validation pass; if_known: only if the table has its seconds; free: never",
        choices=("charged", "if_known", "free"),
        default="if_known",
    )


class TabularMethod(SearchMethod):
    """A search whose step is one query: a subclass proposes a cell, then observes its reward.

    The incumbent is the cell with the highest reward at the highest fidelity queried so far; in a tie, the first one.

    Args:
        settings: The hyperparameters.
        context: The objective and the random generators of the run.

    Raises:
        NbevalError: If the table lacks what the settings ask for.
        UsageError: If the method trains at one fidelity and the settings give several.
    """

    needs = "table"
    cost_kind = "simulated"
    many_fidelities = False

    def __init__(self, settings: TabularSettings, context: SearchContext) -> None:
        assert context.objective is not None
        self._objective = context.objective
        self._budget = Budget(seconds=settings.budget_seconds)
        self.rng = context.streams.numpy("search")
        self.fidelities = parse_fidelities(settings.fidelity)
        if len(self.fidelities) > 1 and not self.many_fidelities:
            raise UsageError(f"this method uses one fidelity; got {settings.fidelity!r}")
        self._single = settings.reward == "random_trial"
        self._split = self._objective.describe(self.fidelities, single_trials=self._single)
        self._best: tuple[int, float] = (-1, 0.0)
        self._incumbent: Cell | None = None

    @property
    def facts(self) -> Mapping[str, str]:
        """What the rewards and costs consist of."""
        return {"split": self._split}

    @property
    def budget(self) -> Budget:
        """The simulated seconds of the search.

        Raises:
            MethodError: If the constructor of a subclass did not call this one.
        """
        try:
            return self._budget
        except AttributeError:
            raise MethodError(
                f"{path_of(type(self))}: its __init__ must begin with super().__init__(settings, context)"
            ) from None

    def step(self) -> StepInfo:
        """Query one cell. Metrics: ``valid_acc``, its reward in percent, and ``queried``, its index.

        Raises:
            MethodError: If what is proposed is no query.
        """
        cell, rung = self._query(self.propose())
        draw = self.rng.random() if self._single else None
        reward, seconds = self._objective.evaluate(cell, self.fidelities[rung], draw)
        if (rung, reward) > self._best:
            self._best, self._incumbent = (rung, reward), cell
        self.observe(cell, rung, reward)
        return StepInfo(seconds, {"valid_acc": reward, "queried": cell.index})

    def _query(self, proposed: Any) -> tuple[Cell, int]:
        """Return what was proposed if it is a cell and the index of a fidelity; raise if it is not."""
        try:
            cell, rung = proposed
            rung = operator.index(rung)
        except (TypeError, ValueError):
            cell, rung = None, 0
        if not isinstance(cell, Cell):
            raise MethodError(
                f"{path_of(type(self))}: propose() must return a Cell and the index of its fidelity, such as "
                f"`return cell, 0`; it returned {shown(proposed)}"
            )
        if not 0 <= rung < len(self.fidelities):
            raise MethodError(
                f"{path_of(type(self))}: propose() must return the index of a fidelity, 0 for the lowest; it returned "
                f"{rung}, and this search has {len(self.fidelities)} ({', '.join(self.fidelities)})"
            )
        return cell, rung

    @abc.abstractmethod
    def propose(self) -> tuple[Cell, int]:
        """Return the cell to query next and the index of the fidelity, 0 for the lowest."""

    @abc.abstractmethod
    def observe(self, cell: Cell, rung: int, reward: float) -> None:
        """Learn from the reward, in percent, of the cell just proposed."""

    def incumbent(self) -> Cell:
        """Return the best cell so far."""
        if self._incumbent is None:
            raise UsageError("there is no incumbent before the first step")
        return self._incumbent

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to continue, as JSON values."""
        return {
            "rng": self.rng.bit_generator.state,
            "best": list(self._best),
            "incumbent": None if self._incumbent is None else list(self._incumbent.ops),
            "own": self.own_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self.rng.bit_generator.state = state["rng"]
        rung, reward = state["best"]
        self._best = (rung, reward)
        self._incumbent = None if state["incumbent"] is None else cell_of(state["incumbent"])
        self.load_own_state(state["own"])

    @abc.abstractmethod
    def own_state(self) -> dict[str, Any]:
        """Return the state of the method itself, as JSON values."""

    @abc.abstractmethod
    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`own_state` returned."""


def cell_of(ops: Any) -> Cell:
    """Make a cell from a list of its six operations."""
    return Cell(tuple(ops))
