"""From runs to data frames: statistics over seeds, published numbers beside measured ones. Pure functions.

Two protocols compare searches. *transfer*: search on one data set, look the found cell up on every data set.
*direct*: search on each data set, look up on the same one. A cell looked up on the data set it was searched
on is the same experiment under both: it stands in both, and either published value may stand beside it.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd

from nasbench_eval.analysis.labels import is_reduced, label_order, labels, setting
from nasbench_eval.cell import N_OPS
from nasbench_eval.runs.store import TEST_ACC, Run, TableFacts

BLOCKS = ("standard HPO", "weight sharing", "reference")
DATASETS = ("cifar10", "cifar100", "imagenet16-120")
"""The benchmark's data sets in the papers' order; others follow by name."""

COLUMNS = (
    *("block", "protocol", "label", "source", "method", "title", "variant_id", "search_dataset", "dataset"),
    *("n", "mean", "std", "ddof", "min", "max", "ci95_low", "ci95_high", "seeds", "values"),
    *("search_seconds", "cost_kind", "device", "reduced", "reductions", "overrides"),
    *("batch_norm", "split", "truth", "truth_note", "table", "table_hash", "optimum", "noise", "noise_split"),
    *("published_mean", "published_std", "published_ddof", "published_runs", "published_search_seconds"),
    *("published_device", "published_source", "published_note"),
)
"""Columns of :func:`comparison`. Accuracies in percent; ``ci95_*``: 95 % t interval of the mean."""


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
    """Return the published results, one row a (method, protocol, data set), each naming its paper and table.

    ``primary`` marks the one row of a (preset, protocol, data set) that stands beside a measured value.
    """
    return _published().copy()


def statistics(values: Sequence[float], *, ddof: int = 1) -> dict[str, float]:
    """Return n, mean, std, min, max and the 95 % t interval of the mean.

    Args:
        values: One value a seed, shape ``(n,)``.
        ddof: 1 for the sample standard deviation, 0 for the population's. The interval always uses 1.

    Returns:
        The statistics; what ``n`` is too small for is NaN. One value has no spread, whatever ``ddof``.
    """
    from scipy.special import stdtrit

    x = np.asarray(values, dtype=float)
    n = len(x)
    if n == 0:
        return {"n": 0} | dict.fromkeys(("mean", "std", "min", "max", "ci95_low", "ci95_high"), math.nan)
    mean = float(x.mean())
    half = float(stdtrit(n - 1, 0.975) * x.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    return {
        "n": n,
        "mean": mean,
        "std": float(x.std(ddof=ddof)) if n > 1 else math.nan,
        "min": float(x.min()),
        "max": float(x.max()),
        "ci95_low": mean - half,
        "ci95_high": mean + half,
    }


def dataset_order(names: Iterable[str]) -> list[str]:
    """Return the data sets in the papers' order, others after them by name."""
    return sorted(set(names), key=lambda name: (DATASETS.index(name) if name in DATASETS else len(DATASETS), name))


def comparison(runs: Iterable[Run], *, ddof: int = 1, datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return the statistics over seeds, one row a (protocol, variant, evaluated data set).

    Args:
        runs: Runs, at most one a variant and seed (:func:`distinct_runs`).
        ddof: For ``std``: 1 sample, 0 population.
        datasets: Evaluated data sets to keep; empty for all.

    Returns:
        A frame with ``COLUMNS``, in the order of the papers' tables; n is 0 where nobody knows the truth.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.record.variant_id, []).append(run)
    names = labels(run for group in groups.values() for run in group)
    searched: dict[str, set[str]] = {}
    for key, group in groups.items():
        searched.setdefault(names[key], set()).add(group[0].record.search_dataset)

    rows = []
    for key, group in groups.items():
        home = group[0].record.search_dataset
        known = dataset_order(name for run in group for name in run.test_acc) or [home]
        transfers = any(name != home for name in known)
        for dataset in known:
            if datasets and dataset not in datasets:
                continue
            protocols = ["transfer"] if transfers else []
            if dataset == home and (len(searched[names[key]]) > 1 or not transfers):
                protocols.append("direct")
            row = _row(sorted(group, key=lambda run: run.record.seed), dataset, ddof)
            rows += [row | {"protocol": p, "label": names[key]} | _beside(row, p) for p in protocols]
    return _sorted(pd.DataFrame(rows, columns=list(COLUMNS)))


def _row(group: list[Run], dataset: str, ddof: int) -> dict[str, Any]:
    record = group[0].record
    known = [(run.record.seed, run.test_acc[dataset]) for run in group if dataset in run.test_acc]
    values = tuple(value for _, value in known)
    same = ("block", "method", "title", "variant_id", "search_dataset", "cost_kind", "batch_norm", "split")
    noise, noise_split = _noise(record.table, dataset)
    return {name: getattr(record, name) for name in same} | {
        "source": "measured",
        "dataset": dataset,
        **statistics(values, ddof=ddof),
        "ddof": ddof,
        "seeds": tuple(seed for seed, _ in known),
        "values": values,
        "search_seconds": float(np.mean([run.steps["total_seconds"].iloc[-1] for run in group])),
        "device": "; ".join(sorted({run.record.device for run in group})),
        "reduced": is_reduced(record),
        "reductions": "; ".join(record.reductions),
        "overrides": ", ".join(setting(name, value) for name, value in sorted(record.overrides.items())),
        "truth": "; ".join(sorted({run.record.truth for run in group})),
        "truth_note": "; ".join(sorted({run.record.truth_note for run in group})),
        "table": record.table.name if record.table else "",
        "table_hash": "; ".join(sorted({run.record.table.content_hash for run in group if run.record.table})),
        "optimum": record.table.optimum.get(dataset, math.nan) if record.table else math.nan,
        "noise": noise,
        "noise_split": noise_split,
    }


def _noise(facts: TableFacts | None, dataset: str) -> tuple[float, str]:
    """Return the noise between trials and its split: the test split's, or what there is."""
    noise = facts.noise.get(dataset, {}) if facts else {}
    split = "test" if "test" in noise else next(iter(noise), "")
    return noise.get(split, math.nan), split


def _beside(row: dict[str, Any], protocol: str) -> dict[str, Any]:
    """Find the published value of the same preset, protocol, search data set and data set."""
    frame = _published()
    same = (
        frame["primary"]
        & (frame["preset"] == row["method"])
        & (frame["search_dataset"] == row["search_dataset"])
        & (frame["dataset"] == row["dataset"])
    )
    found = frame[same & (frame["protocol"] == protocol)]
    if found.empty:
        # Only a cell looked up where it was searched gets here with a match: it is the same experiment.
        found = frame[same]
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


def method_rank() -> Callable[[str], int]:
    """Return the order of methods in tables and legends: that of the published results, then the others."""
    order = {name: i for i, name in enumerate(dict.fromkeys(_published()["preset"]))}
    return lambda method: order.get(method, len(order))


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    """Order as the papers do: block, protocol, search data set, method; full runs before reduced ones."""
    rank = method_rank()
    search = dataset_order(frame["search_dataset"])
    evaluated = dataset_order(frame["dataset"])
    keys = pd.DataFrame(
        {
            "block": [BLOCKS.index(b) if b in BLOCKS else len(BLOCKS) for b in frame["block"]],
            "protocol": frame["protocol"] != "transfer",
            # Under `direct` every data set has its own search: they make one row of a table.
            "search": [
                search.index(s) if p == "transfer" else 0
                for s, p in zip(frame["search_dataset"], frame["protocol"], strict=True)
            ],
            "method": [rank(m) for m in frame["method"]],
            "title": frame["title"],
            "reduced": frame["reduced"].astype(bool),
            "label": frame["label"].map(label_order),
            "dataset": [evaluated.index(d) for d in frame["dataset"]],
        }
    )
    return frame.loc[keys.sort_values(list(keys.columns)).index].reset_index(drop=True)


def references(runs: Iterable[Run], datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return what the benchmark tables behind the runs say of themselves, one row a (table, data set).

    Columns: ``table``, ``table_hash``, ``dataset``, ``optimum`` (percent), ``noise`` (std between trials of
    one cell, percentage points), ``noise_split``.
    """
    tables = {run.record.table.content_hash: run.record.table for run in runs if run.record.table}
    rows = []
    for key, facts in sorted(tables.items()):
        for dataset in dataset_order([*facts.optimum, *facts.noise]):
            noise = facts.noise.get(dataset, {})
            split = "test" if "test" in noise else next(iter(noise), "")
            rows.append(
                (
                    facts.name,
                    key,
                    dataset,
                    facts.optimum.get(dataset, math.nan),
                    noise.get(split, math.nan),
                    split,
                )
            )
    frame = pd.DataFrame(rows, columns=["table", "table_hash", "dataset", "optimum", "noise", "noise_split"])
    return frame[frame["dataset"].isin(datasets)] if datasets else frame


def with_published(measured: pd.DataFrame, datasets: Sequence[str]) -> pd.DataFrame:
    """Add the rows of GAEA's Table 2 for which no full run of the unchanged preset was measured.

    Weight-sharing rows of a protocol that nobody measured are left out, unless nothing was measured at all.

    Args:
        measured: A frame of :func:`comparison`, possibly empty.
        datasets: Data sets to add rows for.

    Returns:
        The frame with rows whose ``source`` is ``published``; their ``n`` is the number of runs, 0 if unsaid.
    """
    rows = _published()
    rows = rows[rows["primary"] & rows["paper"].str.contains("GAEA") & rows["dataset"].isin(list(datasets))]
    protocols = set(measured["protocol"][measured["dataset"].isin(DATASETS)])
    if protocols:
        rows = rows[rows["protocol"].isin(protocols) | (rows["block"] != "weight sharing")]
    key = ["method", "protocol", "search_dataset", "dataset"]
    whole = measured[~measured["reduced"].astype(bool) & (measured["overrides"] == "") & (measured["n"] > 0)]
    known = set(whole[key].itertuples(index=False, name=None))
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
    new = [place not in known for place in named[key].itertuples(index=False, name=None)]
    added = named[np.array(new, dtype=bool)].drop(columns=["table"]).reindex(columns=list(COLUMNS))
    added["values"] = [()] * len(added)
    added["seeds"] = [()] * len(added)
    parts = [part.astype(object) for part in (measured, added) if not part.empty]
    return _sorted(pd.concat(parts, ignore_index=True)) if parts else measured


STEP_COLUMNS = (
    *("label", "variant_id", "block", "reduced", "reductions", "search_dataset", "dataset", "seed"),
    *("step", "total_seconds", "value"),
)
"""Columns of :func:`per_step`; ``step`` counts from 1."""


def per_step(runs: Iterable[Run], column: str, datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return a quantity over the steps of weight-sharing searches, one row a (run, step, data set).

    Args:
        runs: The runs; those without the column are left out.
        column: ``test_acc`` for the true test accuracy of the current cell (percent, one row a data set), or
            a column of the run files such as ``entropy``; ``dataset`` is then the search data set.
        datasets: Data sets to keep; empty for all.

    Returns:
        A frame with ``STEP_COLUMNS``.
    """
    runs = [run for run in runs if run.record.block == "weight sharing"]
    names = labels(runs)
    rank = method_rank()
    parts = []
    for run in sorted(
        runs,
        key=lambda run: (rank(run.record.method), is_reduced(run.record), label_order(names[run.record.variant_id])),
    ):
        record, steps = run.record, run.steps
        wanted = {record.search_dataset: column}
        if column == "test_acc":
            wanted = {str(c).removeprefix(TEST_ACC): str(c) for c in steps if str(c).startswith(TEST_ACC)}
        for dataset, name in wanted.items():
            if name not in steps or steps[name].isna().all() or (datasets and dataset not in datasets):
                continue
            part = steps[["step", "total_seconds"]].assign(value=steps[name].astype(float))
            part["step"] += 1
            for key in ("variant_id", "block", "search_dataset", "seed"):
                part[key] = getattr(record, key)
            part["label"] = names[record.variant_id]
            part["reduced"] = is_reduced(record)
            part["reductions"] = "; ".join(record.reductions)
            part["dataset"] = dataset
            parts.append(part[list(STEP_COLUMNS)])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(STEP_COLUMNS))


def curves(runs: Iterable[Run], datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return the true test accuracy of the current cell over the epochs: :func:`per_step`."""
    return per_step(runs, "test_acc", datasets)


def entropy(runs: Iterable[Run], datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return the mean entropy of the edges' operation weights over the epochs: :func:`per_step`.

    ``value`` is a share of the largest entropy, the logarithm of the number of operations that the search chooses
    from: searches with and without ``none`` compare. The column ``nats`` has the entropy itself.
    """
    runs = list(runs)
    frame = per_step(runs, "entropy", datasets)
    n_ops = {run.record.variant_id: N_OPS - (run.record.settings.get("zero_op") is False) for run in runs}
    return frame.assign(
        nats=frame["value"], value=frame["value"] / np.log(frame["variant_id"].map(n_ops).astype(float))
    )


def gap(runs: Iterable[Run], datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return by how much rounding to the derived cell raises the supernet's loss, over the epochs: :func:`per_step`."""
    runs = list(runs)
    before, after = (per_step(runs, f"loss_{when}_rounding", datasets) for when in ("before", "after"))
    return after.assign(value=after["value"] - before["value"])


def figure5(runs: Sequence[Run], datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return the bars of the comparison figure in drawing order: measured, published, each table's optimum.

    Of searches whose cells were looked up elsewhere, only those on the first data set of the papers' order are
    kept, as in the papers; ``direct`` rows are all kept. Columns as :func:`comparison`; ``source`` is
    ``measured``, ``published`` or ``table``.
    """
    measured = comparison(runs, datasets=datasets)
    measured = measured[measured["n"] > 0]
    transfers = measured["protocol"] == "transfer"
    first = dataset_order(measured["search_dataset"][transfers])[:1]
    measured = measured[~transfers | measured["search_dataset"].isin(first)]
    wanted = list(datasets) or dataset_order(measured["dataset"]) or list(DATASETS)
    frame = with_published(measured, wanted)

    tables = references(runs, wanted).dropna(subset=["optimum"])
    several = tables["table_hash"].nunique() > 1
    optimum = tables.assign(
        label=["optimum" + (f" of {name} {key[:8]}" if several else "") for name, key in _names(tables)],
        mean=tables["optimum"],
        block="reference",
        protocol="",
        method="optimal",
        title="optimum",
        source="table",
        search_dataset="",
        n=0,
        reduced=False,
    ).reindex(columns=list(COLUMNS))
    optimum["values"] = [()] * len(optimum)
    known = frame["dataset"].isin(optimum["dataset"]) & (frame["method"] == "optimal")
    parts = [part.astype(object) for part in (frame[~known], optimum) if not part.empty]
    return _sorted(pd.concat(parts, ignore_index=True)) if parts else frame


def _names(tables: pd.DataFrame) -> list[tuple[str, str]]:
    return [(str(n), str(k)) for n, k in zip(tables["table"], tables["table_hash"], strict=True)]
