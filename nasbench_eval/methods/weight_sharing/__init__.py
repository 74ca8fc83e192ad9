"""Weight-sharing searches: one supernet, trained together with a distribution over cells."""

from nasbench_eval.methods.weight_sharing.base import ArchParameters, Distribution, EdgeWeights
from nasbench_eval.methods.weight_sharing.darts import Logits, Mixture
from nasbench_eval.methods.weight_sharing.gaea import Simplex
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
