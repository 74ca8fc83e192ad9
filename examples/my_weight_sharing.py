"""A weight-sharing search, whole: DARTS whose softmax has a temperature. One class says how cells are distributed.

nbeval run --method my_weight_sharing:SharpDarts,darts --dataset cifar10 --scale small --set temperature=0.1
nbeval plot entropy
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nasbench_eval.methods.weight_sharing import Distribution, Mixture, WeightSharing, WeightSharingSettings
from nbeval.api import N_EDGES, register, setting


@dataclass(frozen=True, kw_only=True)
class SharpSettings(WeightSharingSettings):
    """Every setting of a weight-sharing search, and one more."""

    temperature: float = setting("of the softmax; below 1 it is sharper than in DARTS", default=0.2, at_least=1e-3)


class Sharp(Distribution):
    """The softmax of logits over a temperature."""

    def __init__(self, ops: tuple[int, ...], temperature: float, generator: torch.Generator) -> None:
        super().__init__(ops)
        self.temperature = temperature
        self.logits = nn.Parameter(1e-3 * torch.randn(N_EDGES, len(ops), generator=generator))

    def probabilities(self) -> Tensor:
        """Operation probabilities, one row an edge."""
        return (self.logits / self.temperature).softmax(-1)

    def edge_weights(self) -> None:
        """No weights between edges."""


class SharpDarts(WeightSharing):
    """DARTS with a sharper softmax."""

    Settings = SharpSettings
    settings: SharpSettings

    def new_architecture(self, ops: tuple[int, ...], generator: torch.Generator) -> Mixture:
        """Put our distribution in place of the one that the setting `parametrisation` names."""
        return Mixture(Sharp(ops, self.settings.temperature, generator))


register(SharpDarts, title="Sharp DARTS", extends="darts", paper="an example")
