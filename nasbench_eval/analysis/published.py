"""Published results (``published.csv``): each number with its paper and table, shown beside measured ones."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd

from nasbench_eval.table.schema import NAS_BENCH_201


@cache
def _published() -> pd.DataFrame:
    frame = pd.read_csv(
        io.StringIO(files("nasbench_eval.analysis").joinpath("published.csv").read_text(encoding="utf-8")),
        true_values=["1"],
        false_values=["0"],
    )
    frame["primary"] = frame["primary"].astype(bool)
    text = ["preset", "protocol", "search_dataset", "cost_device", "note"]
    frame[text] = frame[text].fillna("").astype(str)
    return frame


def published() -> pd.DataFrame:
    """Return the published results, one row per (method, protocol, data set), each with its paper and table.

    ``primary`` marks the row of each (preset, protocol, data set) that is shown beside a measured value.
    """
    return _published().copy()


def post_methods() -> list[str]:
    """Return the methods of GAEA's Table 2, which are those of the post's Figure 5, in its order."""
    rows = _published()
    return [name for name in dict.fromkeys(rows["preset"][rows["paper"].str.contains("GAEA")]) if name]


def method_order() -> Callable[[str], int]:
    """Return the sort key of methods in tables and legends: the order of the published results, then all others."""
    order = {name: i for i, name in enumerate(dict.fromkeys(_published()["preset"]))}
    return lambda method: order.get(method, len(order))


def published_beside(*, method: str, protocol: str, search_dataset: str, dataset: str) -> dict[str, Any]:
    """Return the published value to show beside a measured one, as ``published_*`` columns; empty if there is none.

    A cell evaluated on the data set that it was searched on is the same experiment under both protocols: if only the
    other protocol has a published value, that one is returned.
    """
    frame = _published()
    same = frame[
        frame["primary"]
        & (frame["preset"] == method)
        & (frame["search_dataset"] == search_dataset)
        & (frame["dataset"] == dataset)
    ]
    found = same[same["protocol"] == protocol]
    if found.empty:
        found = same
    if found.empty:
        return {}
    paper = found.iloc[0]
    return {
        "published_mean": paper["mean"],
        "published_std": paper["std"],
        "published_ddof": paper["ddof"],
        "published_runs": paper["runs"],
        "published_search_seconds": paper["search_seconds"],
        "published_device": paper["cost_device"],
        "published_source": f"{paper['paper']}, {paper['table']}",
        "published_note": paper["note"],
    }


def _experiments(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return what identifies each row; on the data set that was searched on, both protocols are the same experiment."""
    protocol = frame["protocol"].where(frame["search_dataset"] != frame["dataset"], "")
    rows = frame[["method", "search_dataset", "dataset"]].assign(protocol=protocol)
    return list(rows.itertuples(index=False, name=None))


def published_instead(measured: pd.DataFrame, datasets: Sequence[str]) -> pd.DataFrame:
    """Return the rows of GAEA's Table 2 for which no full run of the unchanged preset was measured.

    Weight-sharing rows of a protocol that was not measured are left out, unless nothing was measured at all. So are all
    rows of a data set whose measured accuracies are not of the benchmark's own table.

    Args:
        measured: The frame of ``comparison.comparison``, possibly empty.
        datasets: Data sets to return rows for.

    Returns:
        A frame with the columns of ``measured``; ``source`` is ``published``, and ``n`` the number of runs, 0 if the
        paper does not say.
    """
    rows = _published()
    rows = rows[rows["primary"] & rows["paper"].str.contains("GAEA")]
    protocols = set(measured["protocol"][measured["dataset"].isin(rows["dataset"])])
    here = measured[measured["n"] > 0]
    others = set(here["dataset"]) - set(here["dataset"][here["table"] == NAS_BENCH_201])
    rows = rows[rows["dataset"].isin([name for name in datasets if name not in others])]
    if protocols:
        rows = rows[rows["protocol"].isin(protocols) | (rows["block"] != "weight sharing")]
    full = measured[~measured["reduced"].astype(bool) & (measured["overrides"] == "") & (measured["n"] > 0)]
    known = set(_experiments(full))
    named = rows.assign(
        label=rows["title"].replace("optimal", "optimum"),
        method=rows["preset"].where(rows["preset"] != "", rows["method"]),
        n=rows["runs"].fillna(0).astype(int),
        device=rows["cost_device"],
        published_source=rows["paper"] + ", " + rows["table"],
        published_note=rows["note"],
        source="published",
        reduced=False,
        reductions="",
        overrides="",
    )
    missing = [experiment not in known for experiment in _experiments(named)]
    added = named[np.array(missing, dtype=bool)].drop(columns=["table"]).reindex(columns=measured.columns)
    added["values"] = [()] * len(added)
    added["seeds"] = [()] * len(added)
    return added
