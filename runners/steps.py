"""The step loop of every search, and its one budget rule."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nasbench_eval.errors import Diverged, MethodError, UsageError
from nasbench_eval.methods import SearchMethod, StepInfo
from nasbench_eval.methods.plugins import path_of
from nasbench_eval.runs.store import is_filled_by_runner


def take_steps(method: SearchMethod, *, done: int = 0, seconds: float = 0.0) -> Iterator[tuple[StepInfo, float]]:
    """Step a method until its budget ends, and yield each step that counts with the total seconds up to its end.

    The total is what the search would have cost if it had ended there: all steps, and choosing the cell once. The step
    that would take the total past the budget's seconds does not count, and ends the search.

    Args:
        method: The method.
        done: How many steps it took before, when it resumes.
        seconds: What they cost, without choosing cells.

    Raises:
        Diverged: If a step observes a number that is not finite; nothing of that step may be used.
        UsageError: If the budget is too small for a single step.
    """
    while method.budget.steps is None or done < method.budget.steps:
        info = _plain(method, method.step())
        costs = {"seconds": info.seconds, "selection_seconds": info.selection_seconds}
        for name, value in (costs | dict(info.metrics)).items():
            if not math.isfinite(value):
                raise Diverged(done, f"{name} is {value}")
        seconds += info.seconds
        total = seconds + info.selection_seconds
        limit = method.budget.seconds
        if limit is not None and total > limit:
            break
        done += 1
        yield info, total
    if not done:
        limit = method.budget.seconds
        if limit is None:
            raise UsageError("the budget allows no step: set at least one")
        kind = method.cost_kind
        raise UsageError(f"one step costs {total:,.0f} {kind} seconds: budget_seconds={limit:g} is too small for one")


def _plain(method: SearchMethod, info: StepInfo) -> StepInfo:
    """Return a step with Python's numbers: a checkpoint with those of NumPy could not be read again.

    Raises:
        MethodError: If a metric has the name of a column that the runner fills.
    """
    if taken := [name for name in info.metrics if is_filled_by_runner(name)]:
        raise MethodError(
            f"{path_of(type(method))}: the metric {taken[0]} has the name of a column that the runner fills"
        )
    metrics = {name: value if type(value) is int else float(value) for name, value in info.metrics.items()}
    return StepInfo(float(info.seconds), metrics, float(info.selection_seconds))
