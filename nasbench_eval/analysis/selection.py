"""Which methods figures show: those that are named, or else those of one question. Pure functions on runs."""

from __future__ import annotations

from collections.abc import Sequence

from nasbench_eval.analysis.labels import labels
from nasbench_eval.analysis.published import post_methods
from nasbench_eval.errors import UsageError, nearest
from nasbench_eval.runs.failures import Failure
from nasbench_eval.runs.store import Run

MANY = 12
"""Up to this many variants are all shown; of more, only those of the post's comparison and of methods of your own."""

ALL = "all"


def check_methods(methods: Sequence[str], runs: Sequence[Run], *, published: bool = True) -> None:
    """Check that there are runs of the named methods.

    Args:
        methods: The names.
        runs: The runs.
        published: Whether published values will do, too.

    Raises:
        UsageError: If there are none of a name; the message suggests the nearest one.
    """
    known = list(dict.fromkeys([*(run.record.method for run in runs), *(post_methods() if published else ())]))
    for name in methods:
        if name != ALL and name not in known:
            raise UsageError(f"no results of {name!r}: {nearest(name, known)}there are those of {', '.join(known)}")


def methods_meant(reference: str, runs: Sequence[Run]) -> list[str]:
    """Return the methods of the runs that a reference means: a method, a title, or the label or id of a variant."""
    names = labels(runs)
    return sorted(
        {
            run.record.method
            for run in runs
            if reference in (run.record.method, run.record.title, run.record.variant_id, names[run.record.variant_id])
        }
    )


def selected(runs: Sequence[Run], methods: Sequence[str] = (), also: Sequence[str] = ()) -> tuple[list[Run], list[str]]:
    """Return the runs to show, and the titles of the methods that are left out although nobody asked for it.

    Args:
        runs: Runs, at most one per variant and seed.
        methods: Names of methods, or ``all``; empty for all if there are up to ``MANY`` variants, and otherwise for
            those of GAEA's Table 2 and of classes of your own (``module:Class``).
        also: Methods to show in any case.
    """
    if methods:
        return [run for run in runs if ALL in methods or run.record.method in (*methods, *also)], []
    if len({run.record.variant_id for run in runs}) <= MANY:
        return list(runs), []
    question = post_methods()
    asked = {name for name in (run.record.method for run in runs) if name in (*question, *also) or ":" in name}
    kept = [run for run in runs if run.record.method in asked]
    left_out = dict.fromkeys(run.record.title for run in runs if run.record.method not in asked)
    return (kept, list(left_out)) if kept else (list(runs), [])


def shown_failures(
    failures: Sequence[Failure], methods: Sequence[str], also: Sequence[str], left_out: Sequence[str]
) -> list[Failure]:
    """Return the runs that diverged of the methods that are shown, as :func:`selected` says them."""
    if ALL in methods:
        return list(failures)
    if methods:
        return [failure for failure in failures if failure.method in (*methods, *also)]
    return [failure for failure in failures if failure.title not in left_out]
