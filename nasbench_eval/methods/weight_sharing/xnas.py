"""XNAS (Nayman et al., NeurIPS 2019): operations are experts, wiped out when they can no longer win.

The experts of an edge are its operations; their normalised weights are the mixture. Algorithm 1, and the code below:

- All experts start with the same weight: ``gaea.Simplex``, as XNAS and GAEA both keep their parameters on the simplex.
- Line 4: the weights descend the train loss: ``Iteration.weights_step``.
- Line 6: the rewards are the negative gradients of the valid loss: ``Iteration.architecture_step``.
- Lines 8 to 10: an expert's weight grows by the exponential of its reward: :meth:`ExpertAdvice.update`.
- Lines 11 to 13: an expert that can no longer come first is wiped out: also there.

The learning rate minimises the regret bound (section 2): :func:`optimal_rate`. XNAS is GAEA's step 4 with this rate,
clipped rewards and wipe-outs.
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
    """Return ``sqrt(2 ln N / (T L^2))``, which minimises the regret bound after T rounds (XNAS, section 2).

    Args:
        experts: N, the number of experts.
        rounds: T, the number of rounds.
        bound: L, the largest absolute reward.
    """
    return math.sqrt(2 * math.log(experts) / rounds) / bound


class ExpertAdvice(SimplexOptimizer):
    """Prediction with expert advice on the probability simplex (XNAS, algorithm 1).

    The experts of a row are its operations. The reward of an expert is its negative gradient, clipped to
    ``[-bound, bound]``, and its weight is multiplied by ``exp(lr * reward)``. After round t of T an expert is wiped out
    if its weight is below ``exp(-2 lr bound (T - t))`` times the largest of its row: it would not come first even if it
    got the largest reward in all remaining rounds and the best expert the smallest. The rows of theta are the
    normalised weights. ``state`` keeps the logarithms of the weights relative to the largest of the row, so that they
    cannot overflow.

    The paper does not say what a round is, and its search code is not released. Here a round is an architecture step,
    and its gradient is that of the batch's mean loss, summed over the cells that share the row. microsoft/archai's
    implementation takes a step per image, as the authors told it, and counts images times cells.

    Args:
        params: Tensors whose last axis is a distribution over experts.
        rounds: T, the number of steps of the whole search. Later steps never drop the leading expert.
        bound: L, the largest absolute reward.
        lr: Learning rate; None for :func:`optimal_rate`.

    Raises:
        ValueError: If ``rounds`` or ``bound`` is not positive.
    """

    def __init__(self, params: Iterable[Tensor], *, rounds: int, bound: float = 1.0, lr: float | None = None) -> None:
        if rounds < 1 or bound <= 0:
            raise ValueError(f"rounds and bound must be positive; got {rounds} and {bound}")
        super().__init__(params, {"rounds": rounds, "bound": bound, "lr": lr})

    def update(self, theta: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        """Do one round in place: reward the experts, then wipe out those that can no longer win."""
        rounds, bound, lr = group["rounds"], group["bound"], group["lr"]
        rate = optimal_rate(theta.shape[-1], rounds, bound) if lr is None else lr
        state = self.state[theta]
        if not state:
            state["round"], state["log_weights"] = 0, theta.log()
        state["round"] += 1
        log_weights = state["log_weights"]
        # Lines 8 to 10: multiply by the exponential of the clipped reward.
        log_weights.add_(grad.clamp(-bound, bound), alpha=-rate)
        log_weights.sub_(log_weights.amax(-1, keepdim=True))
        # Lines 11 to 13: wipe out the experts that can no longer come first.
        rounds_left = max(rounds - state["round"], 0)
        log_weights.masked_fill_(log_weights < -2 * rate * bound * rounds_left, -math.inf)
        theta.copy_(log_weights.softmax(-1))


def experts(parameters: Sequence[Tensor], settings: WeightSharingSettings, steps: int) -> ExpertAdvice:
    """Return the optimiser of the experts' weights; a round is an architecture step."""
    return ExpertAdvice(parameters, rounds=steps, bound=settings.reward_bound, lr=settings.arch_lr)
