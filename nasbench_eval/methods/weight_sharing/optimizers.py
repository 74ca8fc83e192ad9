"""What moves architecture parameters along their gradient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings


class ExponentiatedGradient(torch.optim.Optimizer):
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

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Do one update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for theta in group["params"]:
                if theta.grad is None:
                    continue
                theta.mul_(torch.exp(theta.grad * -group["lr"]))
                if group["normalise_first"]:
                    theta.div_(theta.sum(-1, keepdim=True)).clamp_min_(group["floor"])
                else:
                    theta.clamp_min_(group["floor"]).div_(theta.sum(-1, keepdim=True))
        return loss


def architecture_optimizer(
    settings: WeightSharingSettings, parameters: Sequence[Tensor]
) -> torch.optim.Optimizer | None:
    """Return the optimiser of an architecture's parameters; None where no gradient step moves them."""
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
