"""Statistics as pure functions on arrays."""

from nasbench_eval.analysis.statistics.arrays import Floats, Indices
from nasbench_eval.analysis.statistics.difference import (
    Difference,
    any_constant,
    holm,
    paired_difference,
    permutation_p,
    probability_of_improvement,
    seeds_for_difference,
    seeds_for_equivalence,
    smallest_permutation_p,
    two_sample_p,
    welch,
)
from nasbench_eval.analysis.statistics.optimum import near_optimum, percentile_rank, regret
from nasbench_eval.analysis.statistics.rank import (
    average_ranks,
    bootstrap,
    kendall_tau_b,
    percentile_interval,
    spearman_rho,
    top_k_overlap,
    wilson_interval,
)
from nasbench_eval.analysis.statistics.summary import (
    bootstrap_interval,
    interquartile_mean,
    interval_of_mean,
    mean_interval,
    standard_deviation,
    summary,
)

__all__ = [
    "Difference",
    "Floats",
    "Indices",
    "any_constant",
    "average_ranks",
    "bootstrap",
    "bootstrap_interval",
    "holm",
    "interquartile_mean",
    "interval_of_mean",
    "kendall_tau_b",
    "mean_interval",
    "near_optimum",
    "paired_difference",
    "percentile_interval",
    "percentile_rank",
    "permutation_p",
    "probability_of_improvement",
    "regret",
    "seeds_for_difference",
    "seeds_for_equivalence",
    "smallest_permutation_p",
    "spearman_rho",
    "standard_deviation",
    "summary",
    "top_k_overlap",
    "two_sample_p",
    "welch",
    "wilson_interval",
]
