"""The names that NAS-Bench-201, NATS-Bench and NASLib use, and what they are called here. Imports nothing.

Messages about an unknown name ask this module first. ``docs/coming_from.md`` shows the same tables.
"""

from __future__ import annotations

OFFICIAL_SPLITS: dict[str, dict[str, tuple[str, str]]] = {
    "cifar10-valid": {
        "train": ("cifar10", "train"),
        "x-valid": ("cifar10", "valid"),
        "ori-test": ("cifar10", "test@train"),
    },
    "cifar10": {
        "train": ("cifar10", "train@train+valid"),
        "ori-test": ("cifar10", "test"),
    },
    "cifar100": {
        "train": ("cifar100", "train"),
        "x-valid": ("cifar100", "valid"),
        "x-test": ("cifar100", "test"),
        "ori-test": ("cifar100", "valid+test"),
    },
    "ImageNet16-120": {
        "train": ("imagenet16-120", "train"),
        "x-valid": ("imagenet16-120", "valid"),
        "x-test": ("imagenet16-120", "test"),
        "ori-test": ("imagenet16-120", "valid+test"),
    },
}
"""For each official data set and split, the data set and the split here."""

DATASET_NAMES: dict[str, str] = {
    "cifar10-valid": "cifar10",
    "cifar-10": "cifar10",
    "cifar-100": "cifar100",
    "imagenet16-120": "imagenet16-120",
    "imagenet16": "imagenet16-120",
    "imagenet-16-120": "imagenet16-120",
    "imagenet": "imagenet16-120",
}
"""Other names of data sets, in lower case, and the name here."""

SIZE_SPACE_EPOCHS = (1, 90)
"""The schedules of NATS-Bench's size search space, which is another benchmark than its topology search space."""

NASLIB_OPS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
"""NASLib's order of the operations (``OP_NAMES_NB201`` in its ``nasbench201/conversions.py``)."""

NASLIB_EDGES = ((1, 0), (2, 0), (3, 0), (2, 1), (3, 1), (3, 2))
"""NASLib's order of the edges (its ``EDGE_LIST``), written as here: (target node, source node), nodes from 0."""

OP_NAMES: dict[str, str] = {
    "Zero": "none",
    "Identity": "skip_connect",
    "ReLUConvBN1x1": "nor_conv_1x1",
    "ReLUConvBN3x3": "nor_conv_3x3",
    "AvgPool1x1": "avg_pool_3x3",
}
"""NASLib's names of the operations, and the name here. Its ``AvgPool1x1`` is the 3x3 pooling."""


def name_hint(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Return a clause for an unknown name that others use for a known one; empty if it is none of those."""
    if name == "cifar10-valid" and "cifar10" in known:
        return "the official cifar10-valid is cifar10 here, its x-valid the split valid, its ori-test test@train; "
    ours = DATASET_NAMES.get(name.lower()) or OP_NAMES.get(name)
    return f"the official {name} is {ours} here; " if ours in known else ""


def split_hint(dataset: str | None, split: str, known: list[str] | tuple[str, ...]) -> str:
    """Return a clause for an unknown split that is an official one; empty if it is not.

    Args:
        dataset: The data set here, None for any.
        split: The name that the user wrote.
        known: The splits that there are.
    """
    found: dict[str, str] = {}
    for official, splits in OFFICIAL_SPLITS.items():
        where, ours = splits.get(split, ("", ""))
        if where and dataset in (None, where):
            found[official] = ours
    if not found and any(split in splits for splits in OFFICIAL_SPLITS.values()):
        # A data set that the official benchmarks do not have: every half is called what it is.
        found["name"] = split.removeprefix("x-").removeprefix("ori-")
    of = {f"{ours} for {official}" if len(set(found.values())) > 1 else ours for official, ours in found.items()}
    right = [ours for ours in found.values() if ours in known]
    return f"the official split {split} is {', '.join(sorted(of))} here" if right else ""


def epochs_hint(epochs: object) -> str:
    """Return a clause for epochs as NATS-Bench writes them (``hp="200"``); empty if it does not apply."""
    if isinstance(epochs, str) and epochs.isascii() and epochs.isdigit():
        return f"epochs is a number: NATS-Bench's hp='{epochs}' is epochs={int(epochs)} here"
    if epochs in SIZE_SPACE_EPOCHS:
        return f"hp={epochs} belongs to NATS-Bench's size search space; the topology search space has 12 and 200"
    return ""
