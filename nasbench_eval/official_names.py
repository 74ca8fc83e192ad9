"""The names that NAS-Bench-201, NATS-Bench and NASLib use, and what they are called here. Imports nothing.

Messages about an unknown name ask this module first. ``docs/coming_from.md`` shows the same tables.
"""

from __future__ import annotations

TRAINED_ON: dict[str, tuple[str, str, dict[str, str]]] = {
    "cifar10-valid": ("cifar10", "train", {"train": "train", "x-valid": "valid", "ori-test": "test@train"}),
    "cifar10": ("cifar10", "train+valid", {"train": "train@train+valid", "ori-test": "test"}),
    **{
        name: (
            name.lower(),
            "train",
            {"train": "train", "x-valid": "valid", "x-test": "test", "ori-test": "valid+test"},
        )
        for name in ("cifar100", "ImageNet16-120")
    },
}
"""For each official data set: the data set here, the part trained on, and the splits here."""

UNIQUE_SPLITS = {"x-valid": "valid", "x-test": "test", "ori-test": "test"}
"""What these splits are on a data set whose test set is not halved."""

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
"""The schedules that only NATS-Bench's size search space has, which is another benchmark than NAS-Bench-201."""

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
    whose = "the official " if name in TRAINED_ON else "NASLib's " if name in OP_NAMES else ""
    return f"{whose}{name} is {ours} here; " if ours in known else ""


def column_hint(dataset: str | None, split: str | None, epochs: object, splits: list[str] | tuple[str, ...]) -> str:
    """Return a clause for an official split or schedule that is another one here; empty if neither is.

    Args:
        dataset: The data set here; None for any.
        split: The split that the user wrote; None for any.
        epochs: The schedule that the user wrote; None if there is such a schedule, or for any.
        splits: The splits that there are.
    """
    if isinstance(epochs, str) and epochs.isascii() and epochs.isdigit():
        return f"epochs is a number: NATS-Bench's hp='{epochs}' is epochs={int(epochs)} here"
    if epochs in SIZE_SPACE_EPOCHS:
        return f"hp={epochs} belongs to NATS-Bench's size search space: the topology search space has 12 and 200"
    if split is None or split in splits:
        return ""
    found: dict[str, list[str]] = {}  # the official data sets of each split here
    for official, (where, _, names) in TRAINED_ON.items():
        ours = names.get(split)
        if ours is not None and ours in splits and dataset in (None, where):
            found.setdefault(ours, []).append(official)
    if not found and split in UNIQUE_SPLITS and UNIQUE_SPLITS[split] in splits:
        found[UNIQUE_SPLITS[split]] = []  # a data set that the official benchmarks do not have
    words = [f"{ours} for {' and '.join(of)}" if len(found) > 1 else ours for ours, of in found.items()]
    return f"the official split {split} is {', '.join(words)} here" if words else ""
