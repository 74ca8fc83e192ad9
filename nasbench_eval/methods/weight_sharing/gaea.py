"""GAEA, the geometry-aware exponentiated algorithm (Khodak & Li, 2020; Li et al., ICLR 2021).

The search minimises one loss over the shared weights w and the architecture parameters theta. Every row of theta is
the distribution over the operations of one edge: a point of the probability simplex. Algorithm 1 of the paper, and
steps 4.a and 4.b of the post; each line names the code that does it:

1. Start at weights w and uniform theta: :class:`Simplex`.
2. Draw a batch for each step: ``WeightSharing.train_epoch``. With ERM both steps draw from the same images
   (:func:`single_level`), with bilevel the theta step draws from the valid part (``darts.bilevel``).
3. ``w <- w - eta_w * grad_w loss(w, theta)``: SGD, ``WeightSharing._weights_step``.
4. Move theta by exponentiated gradient: :class:`ExponentiatedGradient`.

   a. ``theta <- theta * exp(-eta_theta * grad_theta loss(w, theta))``, elementwise: the multiplicative step.
   b. ``theta <- theta / sum(theta)`` on each edge: back onto the simplex.

5. After the last epoch take the most probable operation of every edge: ``ArchParameters.cell``.

ERM (empirical risk minimisation, "single level") means that w and theta descend the same loss on the same training set;
bilevel, as in DARTS, gives theta a part that w never trains on. The post argues for ERM: nothing is fitted on the
architecture parameters that a held-out part would have to guard, and both steps have all the data.

What the algorithm leaves open follows the released code (``liamcli/gaea_release``):

- The clamp at 1e-5 between 4.a and 4.b (``architect_edarts.py``), which keeps an operation from dying. For GDAS the
  release normalises first and clamps then (``architect_egdas.py``): ``arch_normalise_first``.
- The order of an iteration: the theta step comes before the weights step; setting ``order``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

from nasbench_eval.cell import INCOMING, N_EDGES, NODES
from nasbench_eval.images import ImageData, Images
from nasbench_eval.methods.weight_sharing.base import Distribution, Roles, SimplexOptimizer

if TYPE_CHECKING:
    from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings

FLOOR = 1e-5
"""The smallest probability before normalisation: the released code's clamp."""


@final
class Simplex(Distribution):
    """The probabilities themselves, uniform at the start (GAEA); ``ExponentiatedGradient`` keeps them so."""

    def __init__(self, ops: tuple[int, ...], *, edge_normalisation: bool = False) -> None:
        super().__init__(ops, edge_normalisation=edge_normalisation)
        self.theta = nn.Parameter(torch.full((N_EDGES, len(ops)), 1 / len(ops)))
        if edge_normalisation:
            self.edge_thetas = nn.ParameterList(
                nn.Parameter(torch.full((len(INCOMING[node]),), 1 / len(INCOMING[node]))) for node in range(1, NODES)
            )

    def probabilities(self) -> Tensor:
        """Return theta."""
        return self.theta

    def edge_weights(self) -> Tensor | None:
        """Return the edges' own thetas."""
        return torch.cat(list(self.edge_thetas)) if self.edge_normalisation else None


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
        self, params: Iterable[Tensor], lr: float, *, floor: float = FLOOR, normalise_first: bool = False
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


def single_level(train: Images, valid: Images, data: ImageData, settings: WeightSharingSettings) -> Roles:
    """Return the images of the single level (ERM): weights and architecture train on the same ones.

    With ``erm_images = training_set`` these are the whole official training set, as in GAEA's appendix C.3. That is
    the train and valid parts together where the valid part is training data (CIFAR-10).
    """
    held_out = not (settings.erm_images == "training_set" and data.valid_is_training_data)
    if not held_out:
        train = Images(torch.cat([train.pixels, valid.pixels]), torch.cat([train.labels, valid.labels]))
    which = "train part" if held_out else "train and valid parts"
    words = f"weights and architecture on the same {len(train):,} images ({which})"
    return Roles(train, train, held_out, words)


def exponentiated_gradient(
    parameters: Sequence[Tensor], settings: WeightSharingSettings, steps: int
) -> ExponentiatedGradient:
    """Return the optimiser of theta."""
    assert settings.arch_lr is not None
    return ExponentiatedGradient(parameters, settings.arch_lr, normalise_first=settings.arch_normalise_first)
