"""What moves architecture parameters along their gradient."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings


class SimplexOptimizer(torch.optim.Optimizer):
    """What moves parameters whose last axis is a distribution: one ``update`` a step of each that has a gradient."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Do one update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for theta in group["params"]:
                if theta.grad is not None:
                    self.update(theta, theta.grad, group)
        return loss

    @abc.abstractmethod
    def update(self, theta: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        """Move one parameter in place, by its gradient and its group's options."""


class ExponentiatedGradient(SimplexOptimizer):
    """Exponentiated gradient on the probability simplex: GAEA's update of the architecture parameters.

    ``theta <- theta * exp(-lr * gradient)``, clamped below at ``floor``, then normalised over the last axis, so that
    every row stays a distribution (GAEA, algorithm 1; the clamp is in the released code).

    Args:
        params: Tensors whose last axis is a distribution.
        lr: Learning rate.
        floor: The smallest probability before normalisation.
        normalise_first: Normalise, then clamp (what the released code does for GDAS); rows then sum to one only up
            to ``floor`` times their length.
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float, *, floor: float = 1e-5, normalise_first: bool = False
    ) -> None:
        if lr <= 0:
            raise ValueError(f"a learning rate is positive; got {lr}")
        super().__init__(params, {"lr": lr, "floor": floor, "normalise_first": normalise_first})

    def update(self, theta: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        """Multiply by the exponential of the gradient, clamp and normalise."""
        theta.mul_(torch.exp(grad * -group["lr"]))
        if group["normalise_first"]:
            theta.div_(theta.sum(-1, keepdim=True)).clamp_min_(group["floor"])
        else:
            theta.clamp_min_(group["floor"]).div_(theta.sum(-1, keepdim=True))


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


def architecture_optimizer(
    settings: WeightSharingSettings, parameters: Sequence[Tensor], *, rounds: int
) -> torch.optim.Optimizer | None:
    """Return the optimiser of an architecture's parameters; None where no gradient step moves them.

    Args:
        settings: Which, and its learning rate.
        parameters: What it moves.
        rounds: How many steps the search will do.
    """
    if settings.arch_optimizer == "experts":
        return ExpertAdvice(parameters, rounds=rounds, bound=settings.reward_bound, lr=settings.arch_lr)
    assert settings.arch_lr is not None
    match settings.arch_optimizer:
        case "adam":
            return torch.optim.Adam(
                parameters,
                lr=settings.arch_lr,
                betas=(settings.arch_beta1, settings.arch_beta2),
                eps=settings.arch_eps,
                weight_decay=settings.arch_weight_decay,
            )
        case "eg":
            return ExponentiatedGradient(parameters, settings.arch_lr, normalise_first=settings.arch_normalise_first)
        case _:
            return None
