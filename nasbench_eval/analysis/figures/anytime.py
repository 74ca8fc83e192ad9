"""True test accuracy of the incumbent over simulated time: what a search would return if stopped at any time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._panels import panel_rows
from nasbench_eval.analysis.figures._view import EVERYTHING, View
from nasbench_eval.analysis.labels import is_reduced, labels
from nasbench_eval.analysis.order import dataset_order, run_order
from nasbench_eval.analysis.statistics import mean_interval
from nasbench_eval.analysis.truths import caption_cautions, truths_of
from nasbench_eval.runs.store import TEST_ACC, Run, by_variant

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nasbench_eval.analysis.figures._panels import Styles

POINTS = 240
"""Number of times at which the curves are evaluated, equally spaced on a logarithmic axis."""

LEAST_SPAN = 0.05
"""The axis shows at least this much below the optimum, in percentage points, times 2.2."""

COLUMNS = (
    *("label", "variant_id", "method", "block", "reduced", "reductions", "search_dataset", "dataset"),
    *("seconds", "n", "mean", "ci95_low", "ci95_high", "p10", "p90", "optimum", "truths"),
)
"""Columns of :func:`data`."""


def data(runs: Iterable[Run], view: View = EVERYTHING) -> pd.DataFrame:
    """Return the true test accuracy of the incumbent over simulated seconds, one row per (variant, data set, time).

    The incumbent is a step function of time: it changes when a query ends, and the last one holds until the budget is
    spent. The rows of a variant begin when all its runs have an incumbent, so that every mean is over the same runs.

    Args:
        runs: The runs; those with measured cost are left out.
        view: What to show of them.

    Returns:
        A frame with ``COLUMNS``, accuracies in percent: ``ci95_*`` is the 95 % t interval of the mean over n runs (NaN
        for one run), ``p10`` and ``p90`` are percentiles over runs, ``optimum`` is the best in the table.
    """
    runs = [run for run in runs if run.record.cost_kind == "simulated" and len(run.steps)]
    names = labels(runs)
    parts = []
    for variant, group in by_variant(sorted(runs, key=run_order(names))).items():
        record = group[0].record
        clocks = [run.steps["total_seconds"].to_numpy(dtype=float) for run in group]
        # The axis is logarithmic: what costs no time is shown from the first second that is known, or from one second.
        positive = [clock[clock > 0][:1] for clock in clocks]
        start = max((float(first[0]) for first in positive if len(first)), default=1.0)
        end = max(start, float(record.settings.get("budget_seconds") or max(clock[-1] for clock in clocks)))
        times = np.geomspace(start, end, POINTS)
        times[[0, -1]] = start, end  # exactly, without the rounding error of the logarithm
        rows = [np.searchsorted(clock, times, side="right") - 1 for clock in clocks]
        for dataset in dataset_order(name for run in group for name in run.test_acc):
            if view.datasets and dataset not in view.datasets:
                continue
            column = f"{TEST_ACC}{dataset}"
            known = [(run, i) for run, i in zip(group, rows, strict=True) if column in run.steps]
            values = np.stack([run.steps[column].to_numpy(dtype=float)[i] for run, i in known])
            truths = truths_of(run for run, _ in known)
            table = known[0][0].record.table if len(truths) < 2 else None
            low, high = mean_interval(values)
            p10, p90 = np.percentile(values, [10, 90], axis=0)
            part = pd.DataFrame({"seconds": times, "n": len(known), "mean": values.mean(axis=0)})
            part["ci95_low"], part["ci95_high"], part["p10"], part["p90"] = low, high, p10, p90
            part["optimum"] = table.optimum.get(dataset, np.nan) if table else np.nan
            part["label"], part["variant_id"], part["method"] = names[variant], variant, record.method
            part["block"] = record.block
            part["truths"] = [truths] * POINTS
            part["reduced"], part["reductions"] = is_reduced(record), "; ".join(record.reductions)
            part["search_dataset"], part["dataset"] = record.search_dataset, dataset
            parts.append(part[list(COLUMNS)])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the frame of :func:`data`: the mean over runs and its interval."""
    counts = frame.groupby("label", sort=False)["n"].max()
    if counts.nunique() == 1:
        runs = f"{counts.iloc[0]} runs"
    else:
        runs = "runs (" + ", ".join(f"{label}: {n}" for label, n in counts.items()) + ")"
    searched = dataset_order(frame["search_dataset"])
    rows = [(f"on {name}" if len(searched) > 1 else "", frame[frame["search_dataset"] == name]) for name in searched]
    return panel_rows(
        frame,
        rows,
        _draw_panel,
        xlabel="simulated seconds",
        ylabel="test accuracy (%)",
        text=" ".join(
            [
                f"True test accuracy of the incumbent, mean over {runs}; band: 95 % t interval of the mean. Dotted: "
                "the optimum of the table.",
                *caption_cautions(frame),
            ]
        ),
    )


def _draw_panel(axes: Axes, part: pd.DataFrame, styles: Styles) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    for label, line in part.groupby("label", sort=False):
        look = styles[str(label)]
        axes.plot(line["seconds"], line["mean"], linewidth=1.1, drawstyle="steps-post", **look)
        band = {"step": "post", "color": look["color"], "alpha": 0.2, "linewidth": 0}
        axes.fill_between(line["seconds"], line["ci95_low"], line["ci95_high"], **band)
    best = part["optimum"].max()
    if np.isnan(best):  # no table, one without it, or several
        best = part["mean"].max()
    else:
        axes.axhline(best, color=style.OPTIMUM, linewidth=0.8, linestyle=":")
    # The first queries are far below the range in which the curves differ: the axis leaves them out.
    final = part.groupby("label")["mean"].max().min()
    span = max(best - final, LEAST_SPAN)
    lowest = max(final - 2.2 * span, part[["mean", "ci95_low"]].min(axis=None))
    axes.set_ylim(lowest, best + 0.12 * span)
    axes.set_xscale("log")
    axes.set_xlim(part["seconds"][part["mean"] >= lowest].min(), None)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter(NullFormatter())
