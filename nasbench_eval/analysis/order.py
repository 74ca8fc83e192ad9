"""The order of blocks, data sets, methods and variants in tables and figures: that of the papers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pandas as pd

from nasbench_eval import runs
from nasbench_eval.analysis.labels import is_reduced, label_order
from nasbench_eval.analysis.published import method_order
from nasbench_eval.runs.store import Run

BLOCKS = (*runs.BLOCKS, runs.IMPORTED, "reference")
"""The blocks of a table or figure; ``reference`` holds optima and published results that are not searches."""

DATASETS = ("cifar10", "cifar100", "imagenet16-120")
"""The data sets of NAS-Bench-201 in the papers' order."""


GROUPS = {
    "DARTS": ("darts", "darts_2nd", "darts_erm", "gaea_darts_bilevel", "gaea_darts"),
    "partial channels": ("pc_darts", "gaea_pc_darts"),
    "GDAS": ("gdas", "gaea_gdas"),
    "penalised or perturbed DARTS": ("beta_darts", "lambda_darts", "darts_minus", "sdarts_rs", "sdarts_adv"),
    "other gradients and choices": ("idarts", "darts_es", "darts_pt"),
    "sampled cells": ("rs_ws", "spos", "fair_nas", "few_shot", "setn", "enas"),
    "other distributions": ("drnas", "drnas_progressive", "xnas", "snas", "fair_darts"),
}
"""The included weight-sharing methods that share a panel: a method and those that modify it."""


def group(method: str) -> str:
    """Return the group of a method; those that are not included make up one of their own."""
    return next((name for name, methods in GROUPS.items() if method in methods), "other methods")


def dataset_order(names: Iterable[str]) -> list[str]:
    """Return the distinct data sets in the papers' order, followed by all others by name."""
    return sorted(set(names), key=lambda name: (DATASETS.index(name) if name in DATASETS else len(DATASETS), name))


def run_order(names: Mapping[str, str]) -> Callable[[Run], tuple[int, bool, str]]:
    """Return the sort key of runs: by method, full runs before reduced ones, unchanged variants before changed ones.

    Args:
        names: The label of each variant, from ``labels.labels``.
    """
    method = method_order()
    return lambda run: (
        method(run.record.method),
        is_reduced(run.record),
        label_order(names[run.record.variant_id]),
    )


def sort_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a comparison in the order of the papers' tables.

    Rows are sorted by block, protocol, search data set and method; full runs come before reduced ones.
    """
    method = method_order()
    searched, evaluated = dataset_order(frame["search_dataset"]), dataset_order(frame["dataset"])
    keys = pd.DataFrame(
        {
            "block": [BLOCKS.index(b) if b in BLOCKS else len(BLOCKS) for b in frame["block"]],
            "protocol": frame["protocol"] != "transfer",
            # Under `direct` the searches on all data sets make up one row of a table.
            "search": [
                searched.index(s) if p == "transfer" else 0
                for s, p in zip(frame["search_dataset"], frame["protocol"], strict=True)
            ],
            "method": [method(m) for m in frame["method"]],
            "title": frame["title"],
            "reduced": frame["reduced"].astype(bool),
            "label": frame["label"].map(label_order),
            "dataset": [evaluated.index(d) for d in frame["dataset"]],
        }
    )
    return frame.loc[keys.sort_values(list(keys.columns)).index].reset_index(drop=True)
