"""The schema of the table, version 1: the names and meaning of its columns, and its metadata.

One row per cell, in official order (the row number is the official index), and these columns:

==================================================  ========================================================
``arch``                                            architecture string
``DATASET/EPOCHS/SPLIT/accuracy/TRIAL``             top-1 accuracy in percent after EPOCHS epochs
``DATASET/EPOCHS/SPLIT/loss/TRIAL``                 cross-entropy, natural logarithm
``DATASET/EPOCHS/SPLIT/eval_seconds/mean``          simulated seconds of one pass over the split
``DATASET/EPOCHS/PART/train_seconds/mean``          simulated seconds of the whole training run on PART
``DATASET/-/-/params_mb/mean``                      parameters in millions
``DATASET/-/-/flops_m/mean``                        multiply-adds of one image in millions
``DATASET/-/-/latency_s/mean``                      seconds of one forward pass, as the benchmark measured it
==================================================  ========================================================

``TRIAL`` is the seed of a trial, or ``mean``: the mean over the trials that were run. A missing trial is NaN.
``EPOCHS`` is the length of the schedule (12 or 200 in NAS-Bench-201); values are from its last epoch.
``SPLIT`` is ``EVALUATED`` or ``EVALUATED@TRAINED``: the part that was evaluated, and the part that the network was
trained on if that is not the usual one of the data set. See ``SPLITS``.

The metadata is one JSON object under the Parquet key ``nbeval``; see :class:`Metadata`.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from nasbench_eval.cell import N_CELLS
from nasbench_eval.errors import NbevalError
from nasbench_eval.utils.checks import parse_whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np

SCHEMA_VERSION = 1

MEAN = "mean"
COSTS = ("params_mb", "flops_m", "latency_s")
"""The metrics that do not depend on a schedule."""

NAS_BENCH_201 = "NAS-Bench-201"
"""``Metadata.name`` of a table that has the benchmark's own numbers."""

METRICS = ("accuracy", "loss", "eval_seconds", "train_seconds", *COSTS)

SPLITS: dict[str, dict[str, tuple[str, str]]] = {
    "cifar10": {
        "train": ("train (25,000)", "train (25,000)"),
        "valid": ("train (25,000)", "valid (25,000)"),
        "test": ("train+valid (50,000)", "test (10,000)"),
        "train@train+valid": ("train+valid (50,000)", "train+valid (50,000)"),
        "test@train": ("train (25,000)", "test (10,000)"),
    },
    "cifar100": {
        "train": ("train (50,000)", "train (50,000)"),
        "valid": ("train (50,000)", "first half of the official test set (5,000)"),
        "test": ("train (50,000)", "second half of the official test set (5,000)"),
        "valid+test": ("train (50,000)", "official test set (10,000)"),
    },
    "imagenet16-120": {
        "train": ("train (151,700)", "train (151,700)"),
        "valid": ("train (151,700)", "first half of the official validation set (3,000)"),
        "test": ("train (151,700)", "second half of the official validation set (3,000)"),
        "valid+test": ("train (151,700)", "official validation set (6,000)"),
    },
}
"""The data sets and splits of NAS-Bench-201: (trained on, evaluated on), with the number of images."""


class Key(NamedTuple):
    """The content of one column; ``epochs`` is None if the value does not depend on a schedule."""

    dataset: str
    epochs: int | None
    split: str
    metric: str
    trial: str = MEAN

    def __str__(self) -> str:
        return "/".join(
            (
                self.dataset,
                "-" if self.epochs is None else str(self.epochs),
                self.split,
                self.metric,
                self.trial,
            )
        )

    @staticmethod
    def parse(column: str) -> Key:
        """Read the name of a column.

        Raises:
            NbevalError: If it does not have the five parts of the schema, the metric is unknown, or the trial is not
                named by its seed.
        """
        parts = column.split("/")
        if len(parts) != 5 or parts[3] not in METRICS:
            raise NbevalError(
                f"{column!r} is not a column of a table: expected DATASET/EPOCHS/SPLIT/METRIC/TRIAL with a "
                f"metric of {', '.join(METRICS)}"
            )
        dataset, epochs, split, metric, trial = parts
        if not dataset.strip() or not split.strip():
            raise NbevalError(f"{column!r} is not a column of a table: the data set or the split has no name")
        number = parse_whole_number(epochs)
        if (epochs != "-") if metric in COSTS else not number:
            expected = '"-"' if metric in COSTS else "a number of epochs, such as 200"
            raise NbevalError(f"{column!r} is not a column of a table: EPOCHS is {epochs!r}, {metric} needs {expected}")
        if trial != MEAN and str(parse_whole_number(trial)) != trial:
            seeds = re.findall("[0-9]+", trial)
            right = f"{dataset}/{epochs}/{split}/{metric}/{int(seeds[-1][:9]) if seeds else MEAN}"
            raise NbevalError(
                f"{column!r} is not a column of a table: TRIAL is {trial!r}, expected the seed of the trial as a plain "
                f"number, or mean; write {right!r}"
            )
        return Key(dataset, number, split, metric, trial)


def trials_by_mean(keys: Iterable[Key]) -> dict[Key, list[Key]]:
    """Group the columns of single trials under the key of their mean, which need not be a column itself."""
    groups: dict[Key, list[Key]] = {}
    for key in keys:
        if key.trial != MEAN:
            groups.setdefault(key._replace(trial=MEAN), []).append(key)
    return groups


TRAINED_HERE = "nbeval table train"
"""The importer in the metadata of tables that nbeval trained."""


@dataclass(frozen=True)
class Metadata:
    """The metadata of a table.

    Attributes:
        name: The benchmark, such as ``NAS-Bench-201``.
        content_hash: SHA-256 of the names and values of all columns, independent of how they are stored.
        source: The origin of the numbers: file names, their SHA-256, the reader that made the table.
        splits: Per data set and split, descriptions of (trained on, evaluated on).
        schema: ``SCHEMA_VERSION`` of the writer.
        created: When the table was written: ISO 8601, UTC.
    """

    name: str
    content_hash: str
    source: dict[str, Any]
    splits: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    schema: int = SCHEMA_VERSION
    created: str = ""

    @property
    def cells(self) -> int:
        """The number of cells, which is smaller than 15,625 if the table was made from only some of them."""
        return int(self.source.get("cells", N_CELLS))

    @property
    def trained_here(self) -> bool:
        """Whether ``nbeval table train`` made it; training seconds then include the validation passes."""
        return self.source.get("importer") == TRAINED_HERE

    def to_json(self) -> str:
        """Return the canonical JSON text."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: bytes) -> Metadata:
        """Read the metadata.

        Raises:
            NbevalError: If the table has another version of the schema.
        """
        values = json.loads(text)
        if values.get("schema") != SCHEMA_VERSION:
            raise NbevalError(
                f"the table has schema version {values.get('schema')}, this nbeval reads version "
                f"{SCHEMA_VERSION}: make the table again with `nbeval table import` or `nbeval table build`"
            )
        return Metadata(**values)


def content_hash(columns: Mapping[Key, np.ndarray]) -> str:
    """Return the SHA-256 of the columns sorted by name, each as little-endian float32 in official order."""
    digest = hashlib.sha256()
    for name, values in sorted((str(key), values) for key, values in columns.items()):
        digest.update(name.encode() + b"\0")
        digest.update(values.astype("<f4").tobytes())
    return digest.hexdigest()
