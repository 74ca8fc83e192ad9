"""The search methods: ``METHODS`` lists the implementations; the presets in ``runners/presets`` configure them."""

from __future__ import annotations

import importlib

from nasbench_eval.errors import unknown
from nasbench_eval.methods.base import Budget, Objective, SearchContext, SearchMethod, StepInfo
from nasbench_eval.methods.plugins import load_class

__all__ = ["METHODS", "OPTUNA", "Budget", "Objective", "SearchContext", "SearchMethod", "StepInfo", "load_method"]

METHODS: dict[str, str] = {
    "weight_sharing": "nasbench_eval.methods.weight_sharing:WeightSharing",
    "training_free": "nasbench_eval.methods.training_free.search:TrainingFree",
    "random_search": "nasbench_eval.methods.tabular.random_search:RandomSearch",
    "evolution": "nasbench_eval.methods.tabular.evolution:RegularisedEvolution",
    "reinforce": "nasbench_eval.methods.tabular.reinforce:Reinforce",
    "bohb": "nasbench_eval.methods.tabular.bohb:Bohb",
    "local_search": "nasbench_eval.methods.tabular.local_search:LocalSearch",
    "asha": "nasbench_eval.methods.tabular.hyperband:Asha",
    "bananas": "nasbench_eval.methods.tabular.bananas:Bananas",
    "npenas": "nasbench_eval.methods.tabular.npenas:Npenas",
}
"""Implementations by name, as ``module:class``, so that loading one imports only what it needs."""


OPTUNA = "optuna:"
"""What the name of a search with a sampler of Optuna begins with, as in ``optuna:TPESampler``."""


def load_method(name: str) -> type[SearchMethod]:
    """Return the class of an implementation.

    Args:
        name: A key of ``METHODS``, ``optuna:`` and a sampler, or a custom class as ``module:Class``.

    Raises:
        UsageError: If there is no such implementation, or the class is not a complete method.
        NbevalError: If it needs a package that is not installed.
    """
    if name.startswith(OPTUNA):
        from nasbench_eval.methods.tabular.optuna_sampler import sampler_search

        return sampler_search(name.removeprefix(OPTUNA))
    if ":" in name:
        return load_class(name)
    path = METHODS.get(name)
    if path is None:
        raise unknown("method implementation", name, list(METHODS))
    module, _, attribute = path.partition(":")
    found: type[SearchMethod] = getattr(importlib.import_module(module), attribute)
    return found
