"""REINFORCE: policy gradient on one independent softmax distribution per edge (Williams, Machine Learning, 1992).

The algorithm, and the code below:

1. Sample a cell from the policy: :meth:`Reinforce.propose`.
2. Query its reward and update the baseline, a moving average of the rewards: :meth:`Reinforce.observe`.
3. Take an Adam step on ``-(reward - baseline) * log probability(cell)``: :func:`loss_gradient`.

The baseline and Adam follow NAS-Bench-201's ``reinforce.py``. The policy has 30 logits and its gradient is one line, so
numpy is enough and no torch is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from nasbench_eval.cell import N_EDGES, N_OPS, Cell
from nasbench_eval.methods.base import SearchContext
from nasbench_eval.methods.tabular.base import TabularMethod, TabularSettings, cell_of
from nasbench_eval.settings import setting

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""The defaults of Adam (Kingma & Ba, ICLR 2015), as in the released code."""


@dataclass(frozen=True, kw_only=True)
class ReinforceSettings(TabularSettings):
    """The settings of REINFORCE."""

    lr: float = setting("learning rate of Adam", at_least=0)
    baseline_momentum: float = setting("momentum of the baseline, a moving average of the rewards", at_least=0, below=1)


@final
class Reinforce(TabularMethod):
    """Each query samples one cell from the policy and takes one Adam step; rewards are in percent."""

    Settings = ReinforceSettings

    def __init__(self, settings: ReinforceSettings, context: SearchContext) -> None:
        super().__init__(settings, context)
        self.settings = settings
        self.logits = 1e-3 * self.rng.standard_normal((N_EDGES, N_OPS))
        self.adam = np.zeros((2, N_EDGES, N_OPS))
        self.steps = 0
        self.average = 0.0

    def propose(self) -> tuple[Cell, int]:
        """Sample a cell from the policy."""
        below = np.cumsum(policy(self.logits), axis=1)[:, :-1]
        return cell_of((self.rng.random((N_EDGES, 1)) >= below).sum(axis=1).tolist()), 0

    def observe(self, cell: Cell, rung: int, reward: float) -> None:
        """Update the baseline, which includes this reward as in the released code, then the logits."""
        self.steps += 1
        momentum = self.settings.baseline_momentum
        self.average = momentum * self.average + (1 - momentum) * reward
        baseline = self.average / (1 - momentum**self.steps)
        gradient = loss_gradient(self.logits, cell, reward - baseline)
        self.adam[0] = BETA1 * self.adam[0] + (1 - BETA1) * gradient
        self.adam[1] = BETA2 * self.adam[1] + (1 - BETA2) * gradient**2
        mean, square = self.adam[0] / (1 - BETA1**self.steps), self.adam[1] / (1 - BETA2**self.steps)
        self.logits = self.logits - self.settings.lr * mean / (np.sqrt(square) + EPSILON)

    def own_state(self) -> dict[str, Any]:
        """Return the policy, the optimiser and the baseline."""
        return {
            "logits": self.logits.tolist(),
            "adam": self.adam.tolist(),
            "steps": self.steps,
            "average": self.average,
        }

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Restore the policy, the optimiser and the baseline."""
        self.logits, self.adam = np.array(state["logits"]), np.array(state["adam"])
        self.steps, self.average = state["steps"], state["average"]


def policy(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of the operations (6, 5), the softmax of each row of the logits."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def loss(logits: np.ndarray, cell: Cell, advantage: float) -> float:
    """Return the loss of a step: the negative log-probability of the cell times its advantage over the baseline."""
    chosen = policy(logits)[np.arange(N_EDGES), list(cell.ops)]
    return float(-advantage * np.log(chosen).sum())


def loss_gradient(logits: np.ndarray, cell: Cell, advantage: float) -> np.ndarray:
    """Return the gradient of :func:`loss` with respect to the logits, (6, 5)."""
    return advantage * (policy(logits) - np.eye(N_OPS)[list(cell.ops)])
