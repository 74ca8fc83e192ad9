"""Search architectures, look cells up and add methods from Python.

Everything in :mod:`nbeval.api` can be imported from here: ``from nbeval import search``. The command is ``nbeval``, or
``python -m nbeval``. Importing this package loads neither torch nor click.
"""

from nasbench_eval import __version__
from nbeval.api import (
    EDGES,
    N_EDGES,
    N_OPS,
    OPS,
    Budget,
    Cell,
    NbevalError,
    Result,
    SearchContext,
    SearchMethod,
    StepInfo,
    TabularMethod,
    TabularSettings,
    TrueAccuracy,
    UsageError,
    check,
    evaluate,
    register,
    search,
    search_seeds,
    setting,
)

__all__ = [
    "EDGES",
    "N_EDGES",
    "N_OPS",
    "OPS",
    "Budget",
    "Cell",
    "NbevalError",
    "Result",
    "SearchContext",
    "SearchMethod",
    "StepInfo",
    "TabularMethod",
    "TabularSettings",
    "TrueAccuracy",
    "UsageError",
    "__version__",
    "check",
    "evaluate",
    "register",
    "search",
    "search_seeds",
    "setting",
]
