"""The one table from the values of settings to the parts that implement them, each in its paper's file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nasbench_eval.images import ImageData, Images
from nasbench_eval.methods.weight_sharing import darts, gaea, xnas
from nasbench_eval.methods.weight_sharing.base import ArchParameters, Distribution, Roles
from nasbench_eval.methods.weight_sharing.darts import Logits, Mixture
from nasbench_eval.methods.weight_sharing.drnas import Dirichlet
from nasbench_eval.methods.weight_sharing.enas import Controller
from nasbench_eval.methods.weight_sharing.gaea import Simplex
from nasbench_eval.methods.weight_sharing.gdas import Gumbel
from nasbench_eval.methods.weight_sharing.rs_ws import Uniform
from nasbench_eval.methods.weight_sharing.setn import Setn

if TYPE_CHECKING:
    from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings

    Ops = tuple[int, ...]
    BuildArchitecture = Callable[[Ops, WeightSharingSettings, torch.Generator], ArchParameters]
    BuildOptimizer = Callable[[Sequence[Tensor], WeightSharingSettings, int], torch.optim.Optimizer]
    ChooseImages = Callable[[Images, Images, ImageData, WeightSharingSettings], Roles]


@dataclass(frozen=True)
class Parametrisation:
    """A value of the setting ``parametrisation``.

    Attributes:
        build: Builds the initial architecture parameters from (candidate operations, settings, generator).
        optimizers: The values of ``arch_optimizer`` that can train them.
    """

    build: BuildArchitecture
    optimizers: tuple[str, ...]


def _logits(ops: Ops, settings: WeightSharingSettings, generator: torch.Generator) -> Logits:
    return Logits(ops, generator, edge_normalisation=settings.edge_normalisation)


def _simplex(ops: Ops, settings: WeightSharingSettings) -> Simplex:
    return Simplex(ops, edge_normalisation=settings.edge_normalisation)


def _gumbel(distribution: Distribution, settings: WeightSharingSettings) -> Gumbel:
    return Gumbel(
        distribution,
        epochs=settings.epochs,
        tau=(settings.tau_max, settings.tau_min),
        other_weights=settings.other_weights,
        warmup_epochs=settings.arch_warmup_epochs,
    )


PARAMETRISATIONS: Mapping[str, Parametrisation] = {
    "softmax": Parametrisation(lambda ops, s, g: Mixture(_logits(ops, s, g)), ("adam",)),
    "simplex": Parametrisation(lambda ops, s, g: Mixture(_simplex(ops, s)), ("eg", "experts")),
    "gumbel": Parametrisation(lambda ops, s, g: _gumbel(_logits(ops, s, g), s), ("adam",)),
    "gumbel_simplex": Parametrisation(lambda ops, s, g: _gumbel(_simplex(ops, s), s), ("eg",)),
    "setn": Parametrisation(lambda ops, s, g: Setn(_logits(ops, s, g)), ("adam",)),
    "dirichlet": Parametrisation(lambda ops, s, g: Dirichlet(_logits(ops, s, g)), ("adam",)),
    "uniform": Parametrisation(lambda ops, s, g: Uniform(ops), ("none",)),
    "controller": Parametrisation(Controller, ("reinforce",)),
}
"""Setting ``parametrisation``: how the distribution over cells is parametrised, and what a batch evaluates."""

OPTIMIZERS: Mapping[str, BuildOptimizer | None] = {
    "adam": darts.adam,
    "eg": gaea.exponentiated_gradient,
    "experts": xnas.experts,
    "reinforce": None,  # ENAS's controller learns in a phase of its own after each epoch
    "none": None,
}
"""Setting ``arch_optimizer``: builds the optimiser of the architecture step from (parameters, settings, steps in all).

None if there is no architecture step.
"""

OBJECTIVES: Mapping[str, ChooseImages] = {"bilevel": darts.bilevel, "erm": gaea.single_level}
"""Setting ``objective``: the images of the two steps, from (train part, valid part, data set, settings)."""
