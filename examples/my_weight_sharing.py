"""A complete weight-sharing search: DARTS with a temperature in its softmax. One class defines the distribution.

nbeval run --method my_weight_sharing:SharpDarts --dataset digits --scale small --set temperature=0.1
nbeval run --method darts --dataset digits --scale small
nbeval plot entropy
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nasbench_eval.methods.weight_sharing import Distribution, Mixture, WeightSharing, WeightSharingSettings
from nbeval import N_EDGES, register, setting


@dataclass(frozen=True, kw_only=True)
class SharpSettings(WeightSharingSettings):
    """All settings of a weight-sharing search, plus a temperature."""

    temperature: float = setting("of the softmax; below 1, sharper than in DARTS", default=0.2, at_least=1e-3)


class Sharp(Distribution):
    """The softmax of logits divided by a temperature."""

    def __init__(self, ops: tuple[int, ...], temperature: float, generator: torch.Generator) -> None:
        super().__init__(ops)
        self.temperature = temperature
        self.logits = nn.Parameter(1e-3 * torch.randn(N_EDGES, len(ops), generator=generator))

    def probabilities(self) -> Tensor:
        """Operation probabilities, one row per edge."""
        return (self.logits / self.temperature).softmax(-1)

    def edge_weights(self) -> None:
        """Edges have no weights of their own."""


class SharpDarts(WeightSharing):
    """DARTS with a sharper softmax."""

    Settings = SharpSettings
    settings: SharpSettings

    def new_architecture(self, ops: tuple[int, ...], generator: torch.Generator) -> Mixture:
        """Use this distribution instead of the one that the setting `parametrisation` names."""
        return Mixture(Sharp(ops, self.settings.temperature, generator))


register(SharpDarts, title="Sharp DARTS", extends="darts", paper="an example")
