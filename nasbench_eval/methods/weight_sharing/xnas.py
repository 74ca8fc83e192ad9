"""XNAS (Nayman et al., NeurIPS 2019): operations as experts, wiped out when they can no longer win.

Algorithm 1: the experts of an edge are its operations; weights grow by the exponential of the reward (lines 8 to 10),
and an expert that could not come first any more is dropped (lines 11 to 13): :class:`ExpertAdvice`. The parameters lie
on the simplex, as in GAEA: ``gaea.Simplex``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from nasbench_eval.methods.weight_sharing.base import SimplexOptimizer

if TYPE_CHECKING:
    from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings


def optimal_rate(experts: int, rounds: int, bound: float) -> float:
    """Return sqrt(2 ln N / (T L^2)), which minimises the bound of the regret after T rounds (XNAS, section 2).

    Args:
        experts: N, how many there are.
        rounds: T.
        bound: L, the largest absolute reward.
    """
    return math.sqrt(2 * math.log(experts) / rounds) / bound


class ExpertAdvice(SimplexOptimizer):
    """Prediction with expert advice on the probability simplex: XNAS's update of the architecture parameters.

    The experts of a row are its operations. An expert's reward is minus its gradient, clipped to ``[-bound, bound]``;
    its weight is multiplied by ``exp(lr * reward)``. An expert whose weight is below ``exp(-2 lr bound (T - t))`` times
    the row's largest after round t of T is wiped out: even if it won all rounds left by the bound, and the best lost
    them by it, it would not come out first (XNAS, algorithm 1). The rows are the weights, normalised; the logarithms
    of the weights are kept relative to the row's largest, so that none overflows, and are in ``state``.

    The paper counts rounds, its authors' search code is not released. Here a round is an architecture step, with the
    gradient of a batch's mean loss summed over the cells that share the row. microsoft/archai, which wrote XNAS from
    the paper, steps by single images and counts them times the cells.

    Args:
        params: Tensors whose last axis is a distribution; a tensor's experts are as many as this axis is long.
        rounds: T, how many steps there will be. Whatever comes after them drops no expert that is first.
        bound: L, the largest absolute reward.
        lr: Learning rate; None: ``optimal_rate``.
    """

    def __init__(self, params: Iterable[Tensor], *, rounds: int, bound: float = 1.0, lr: float | None = None) -> None:
        if rounds < 1 or bound <= 0:
            raise ValueError(f"rounds and bound are positive; got {rounds} and {bound}")
        super().__init__(params, {"rounds": rounds, "bound": bound, "lr": lr})

    def update(self, theta: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        """Do one round: reward, then wipe out."""
        rounds, bound, lr = group["rounds"], group["bound"], group["lr"]
        rate = optimal_rate(theta.shape[-1], rounds, bound) if lr is None else lr
        state = self.state[theta]
        if not state:
            state["round"], state["log_weights"] = 0, theta.log()
        state["round"] += 1
        log_weights = state["log_weights"]
        log_weights.add_(grad.clamp(-bound, bound), alpha=-rate)
        log_weights.sub_(log_weights.amax(-1, keepdim=True))
        rounds_left = max(rounds - state["round"], 0)
        log_weights.masked_fill_(log_weights < -2 * rate * bound * rounds_left, -math.inf)
        theta.copy_(log_weights.softmax(-1))


def experts(parameters: Sequence[Tensor], settings: WeightSharingSettings, steps: int) -> ExpertAdvice:
    """Return the optimiser of the weights of experts; a round is an architecture step."""
    return ExpertAdvice(parameters, rounds=steps, bound=settings.reward_bound, lr=settings.arch_lr)
