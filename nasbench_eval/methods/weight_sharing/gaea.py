"""GAEA, the geometry-aware exponentiated algorithm (Li, Khodak, Balcan & Talwalkar, ICLR 2021).

The method of the post "In defense of weight-sharing for neural architecture search" (Khodak & Li, 2020). The search
minimises a loss over the shared weights w and the architecture parameters theta. Each row of theta is the distribution
over the operations of one edge, a point on the probability simplex. The algorithm (algorithm 1 of the paper; 4.a and
4.b as the post numbers them), and the code of each line:

1. Initialise w at random and theta to the uniform distribution: :class:`Simplex`.
2. Sample a batch for each of the two steps: ``WeightSharing.train_epoch``.
3. Update the weights by SGD, ``w <- w - eta_w * grad_w loss(w, theta)``: ``Iteration.weights_step``.
4. Update theta by exponentiated gradient: :meth:`ExponentiatedGradient.update`, called by
   ``Iteration.architecture_step``.

   a. Multiply by the exponential of the negative gradient: ``theta <- theta * exp(-eta_theta * grad_theta loss)``.
   b. Normalise each row: ``theta <- theta / sum(theta)``.

5. After the last epoch keep the most probable operation of every edge: ``ArchParameters.cell``.

Lines 2 to 4 repeat for every batch. theta enters the network as the operation weights of the mixture, as in DARTS:
``darts.Mixture``. GAEA GDAS samples one operation per edge from theta instead: ``gdas.Gumbel``.

**ERM and bilevel.** ERM (empirical risk minimisation, the single level) takes both steps on the same training images
and so minimises one loss over w and theta: :func:`single_level`. Bilevel, as in DARTS, takes the theta step on the
valid part, on which w never trains: ``darts.bilevel``.

**What the algorithm leaves open** follows the released code, ``liamcli/gaea_release``:

- Clamp: theta is clamped below at 1e-5 (:data:`FLOOR`) between 4.a and 4.b, as in ``architect_edarts.py``, so that no
  operation dies. For GDAS, ``architect_egdas.py`` clamps after 4.b: setting ``arch_normalise_first``. The release does
  not clamp the edge weights of GAEA PC-DARTS; here they are clamped like the operations.
- Order: the theta step comes before the weights step of an iteration: setting ``order``.
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
"""The smallest value of theta, as clamped in the released code."""

SAFE_EXPONENT = 80.0
"""The exponential of larger exponents comes close to the largest float32, exp(88.7)."""


@final
class Simplex(Distribution):
    """Theta, the probabilities themselves: uniform at first, kept normalised by :class:`ExponentiatedGradient`."""

    on_simplex = True

    def __init__(self, ops: tuple[int, ...], *, edge_normalisation: bool = False) -> None:
        super().__init__(ops, edge_normalisation=edge_normalisation)
        self.theta = nn.Parameter(torch.full((N_EDGES, len(ops)), 1 / len(ops)))
        if edge_normalisation:
            self.edge_thetas = nn.ParameterList(
                nn.Parameter(torch.full((len(INCOMING[node]),), 1 / len(INCOMING[node]))) for node in range(1, NODES)
            )

    def probabilities(self) -> Tensor:
        """Return theta, (6, len(ops))."""
        return self.theta

    def edge_weights(self) -> Tensor | None:
        """Return the thetas of the edges (6,), one distribution per node; None without edge normalisation."""
        return torch.cat(list(self.edge_thetas)) if self.edge_normalisation else None


class ExponentiatedGradient(SimplexOptimizer):
    """Exponentiated gradient on the probability simplex: steps 4.a and 4.b.

    Args:
        params: Tensors whose last axis is a distribution.
        lr: Learning rate, eta_theta.
        floor: The value at which theta is clamped below.
        normalise_first: Whether to clamp after normalising, as the released code does for GDAS, instead of before. The
            sum of a row then exceeds one by at most ``floor`` times its length.

    Raises:
        ValueError: If the learning rate is negative.
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float, *, floor: float = FLOOR, normalise_first: bool = False
    ) -> None:
        if lr < 0:
            raise ValueError(f"the learning rate must not be negative; got {lr}")
        super().__init__(params, {"lr": lr, "floor": floor, "normalise_first": normalise_first})

    def update(self, theta: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        """Do steps 4.a and 4.b in place, with the clamp of the released code."""
        exponent = grad * -group["lr"]
        # The exponential of a large exponent overflows. A shift of the row cancels in the normalisation, if the clamp
        # shifts with it; rows that are safe are not shifted, so that they keep every bit.
        largest = exponent.amax(-1, keepdim=True)
        unsafe = exponent.abs().amax(-1, keepdim=True) > SAFE_EXPONENT
        shift = torch.where(unsafe, largest, torch.zeros_like(largest))
        floor = (group["floor"] * torch.exp(-shift)).clamp_max(1.0)
        # 4.a: multiply by the exponential of the negative gradient.
        theta.mul_(torch.exp(exponent - shift))
        # 4.b: normalise each row.
        if group["normalise_first"]:
            theta.div_(theta.sum(-1, keepdim=True)).clamp_min_(group["floor"])
        else:
            theta.clamp_min_(floor).div_(theta.sum(-1, keepdim=True))


def single_level(train: Images, valid: Images, data: ImageData, settings: WeightSharingSettings) -> Roles:
    """Return the images of ERM: both steps train on the same ones.

    With ``erm_images = training_set`` this is the whole official training set (GAEA, appendix C.3): the train and
    valid parts together on CIFAR-10, where the valid part is a part of the training data.
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
    """Return the optimiser of theta, with the learning rate and the clamp of the settings."""
    assert settings.arch_lr is not None
    return ExponentiatedGradient(parameters, settings.arch_lr, normalise_first=settings.arch_normalise_first)
