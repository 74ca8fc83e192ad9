"""Weight-sharing searches: one supernet, trained side by side with a distribution over cells."""

from nasbench_eval.methods.weight_sharing.parametrisations import (
    ArchParameters,
    Distribution,
    EdgeWeights,
    Logits,
    Mixture,
    Simplex,
)
from nasbench_eval.methods.weight_sharing.search import WeightSharing
from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings

__all__ = [
    "ArchParameters",
    "Distribution",
    "EdgeWeights",
    "Logits",
    "Mixture",
    "Simplex",
    "WeightSharing",
    "WeightSharingSettings",
]
