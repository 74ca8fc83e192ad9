"""The one table from the values of settings to the parts that implement them, each in its paper's file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nasbench_eval.images import ImageData, Images
from nasbench_eval.methods.weight_sharing import beta_darts, darts, fair_darts, gaea, xnas
from nasbench_eval.methods.weight_sharing.base import ArchParameters, Distribution, Roles
from nasbench_eval.methods.weight_sharing.darts import Logits, Mixture
from nasbench_eval.methods.weight_sharing.darts_minus import AuxiliarySkip
from nasbench_eval.methods.weight_sharing.drnas import Dirichlet
from nasbench_eval.methods.weight_sharing.enas import Controller
from nasbench_eval.methods.weight_sharing.fair_darts import Sigmoids
from nasbench_eval.methods.weight_sharing.fair_nas import Fair
from nasbench_eval.methods.weight_sharing.gaea import Simplex
from nasbench_eval.methods.weight_sharing.gdas import Gumbel
from nasbench_eval.methods.weight_sharing.rs_ws import Uniform
from nasbench_eval.methods.weight_sharing.sdarts import Perturbed
from nasbench_eval.methods.weight_sharing.setn import Setn
from nasbench_eval.methods.weight_sharing.snas import Concrete

if TYPE_CHECKING:
    from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings

    Ops = tuple[int, ...]
    BuildArchitecture = Callable[[Ops, WeightSharingSettings, torch.Generator], ArchParameters]
    BuildOptimizer = Callable[[Sequence[Tensor], WeightSharingSettings, int], torch.optim.Optimizer]
    ChooseImages = Callable[[Images, Images, ImageData, WeightSharingSettings], Roles]
    Penalty = Callable[[ArchParameters, float, float], Tensor]


@dataclass(frozen=True)
class Parametrisation:
    """A value of the setting ``parametrisation``.

    Attributes:
        build: Builds the initial architecture parameters from (candidate operations, settings, generator).
        optimizers: The values of ``arch_optimizer`` that can train them.
        because: Why no other one can, for the message.
    """

    build: BuildArchitecture
    optimizers: tuple[str, ...]
    because: str


SOFTMAX = ("adam", "eg")
"""The optimisers of a softmax: of its logits, or, as GAEA is applied to it, of the probabilities themselves."""

ON_SIMPLEX = ("eg", "experts")
"""The optimisers of probabilities."""


def _logits(ops: Ops, settings: WeightSharingSettings, generator: torch.Generator) -> Logits:
    return Logits(ops, generator, edge_normalisation=settings.edge_normalisation)


def _softmax(ops: Ops, settings: WeightSharingSettings, generator: torch.Generator) -> Distribution:
    """Return the distribution in the form that the optimiser moves: probabilities or logits."""
    if settings.arch_optimizer in ON_SIMPLEX:
        return Simplex(ops, edge_normalisation=settings.edge_normalisation)
    return _logits(ops, settings, generator)


def _mixture(distribution: Distribution, settings: WeightSharingSettings) -> Mixture:
    if settings.auxiliary_skip:
        return AuxiliarySkip(distribution, beta=settings.auxiliary_skip, epochs=settings.epochs)
    if settings.perturbation != "none":
        steps = settings.perturbation_steps if settings.perturbation == "adversarial" else 0
        return Perturbed(distribution, radius=settings.perturbation_max, steps=steps, epochs=settings.epochs)
    return Mixture(distribution)


def _gumbel(cls: type[Gumbel], distribution: Distribution, settings: WeightSharingSettings) -> Gumbel:
    return cls(
        distribution,
        epochs=settings.epochs,
        tau=(settings.tau_max, settings.tau_min),
        other_weights=settings.other_weights,
        warmup_epochs=settings.arch_warmup_epochs,
    )


_BOTH = "a softmax is trained by its logits or on the simplex"
_PROBABILITIES = "its parameters are probabilities"

PARAMETRISATIONS: Mapping[str, Parametrisation] = {
    "softmax": Parametrisation(lambda ops, s, g: _mixture(_softmax(ops, s, g), s), SOFTMAX, _BOTH),
    "simplex": Parametrisation(lambda ops, s, g: _mixture(_softmax(ops, s, g), s), ON_SIMPLEX, _PROBABILITIES),
    "gumbel": Parametrisation(lambda ops, s, g: _gumbel(Gumbel, _softmax(ops, s, g), s), SOFTMAX, _BOTH),
    "gumbel_simplex": Parametrisation(
        lambda ops, s, g: _gumbel(Gumbel, _softmax(ops, s, g), s), ("eg",), _PROBABILITIES
    ),
    "concrete": Parametrisation(lambda ops, s, g: _gumbel(Concrete, _softmax(ops, s, g), s), SOFTMAX, _BOTH),
    "setn": Parametrisation(lambda ops, s, g: Setn(_softmax(ops, s, g)), SOFTMAX, _BOTH),
    "sigmoid": Parametrisation(
        lambda ops, s, g: Sigmoids(_logits(ops, s, g)), ("adam",), "its weights do not sum to one"
    ),
    "dirichlet": Parametrisation(
        lambda ops, s, g: Dirichlet(_logits(ops, s, g)), ("adam",), "its concentrations are not a softmax"
    ),
    "uniform": Parametrisation(lambda ops, s, g: Uniform(ops), ("none",), "it learns no distribution"),
    "fair": Parametrisation(lambda ops, s, g: Fair(ops), ("none",), "it learns no distribution"),
    "controller": Parametrisation(Controller, ("reinforce",), "the controller learns by policy gradient"),
}
"""Setting ``parametrisation``: how the distribution over cells is parametrised, and what a batch evaluates.

GAEA applies to every softmax: with ``arch_optimizer = eg`` the same search holds its probabilities directly.
``simplex`` and ``gumbel_simplex`` are ``softmax`` and ``gumbel`` in that form.
"""

EVOLVING = ("uniform", "fair")
"""The parametrisations of one-shot searches, whose cells can evolve with the shared weights."""

CHOOSING = (*EVOLVING, "setn", "controller")
"""The parametrisations of searches that choose their cell among candidates, by shared-weight accuracy."""

MIXTURES = ("softmax", "simplex", "sigmoid")
"""The parametrisations under which a batch evaluates all operations and nothing is drawn."""

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

PENALTIES: Mapping[str, Penalty | None] = {
    "none": None,
    "beta": beta_darts.beta_decay,
    "zero_one": fair_darts.zero_one,
}
"""Setting ``arch_penalty``: a term of the architecture's loss, from (architecture, weight, part of the search done)."""
