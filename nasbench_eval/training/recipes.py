"""Training schedules of single cells: the benchmark's, and the short one of custom tables. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_eval.settings import setting


@dataclass(frozen=True)
class TrainingSettings:
    """How a cell is trained from scratch; the defaults are the benchmark's."""

    channels: int = setting("channels C of the first stage", at_least=1, default=16)
    cells: int = setting("cells N per stage", at_least=1, default=5)
    epochs: int = setting("epochs", at_least=1, default=200)
    batch_size: int = setting("images per batch", at_least=2, default=256)
    lr: float = setting("learning rate at the start of the cosine", at_least=0, default=0.1)
    weight_decay: float = setting("weight decay", at_least=0, default=5e-4)


@dataclass(frozen=True)
class Schedule:
    """Network and schedule of a custom table; the defaults are those of the table in the package."""

    channels: int = setting("channels C of the first stage", at_least=1, default=8)
    cells: int = setting("cells N per stage", at_least=1, default=1)
    epochs: int = setting("epochs", at_least=1, default=6)
    batch_size: int = setting("images per batch", at_least=2, default=64)
    lr: float = setting("peak learning rate: reached linearly, then decayed linearly to zero", at_least=0, default=0.2)
    warmup: float = setting(
        "fraction of the steps in which the learning rate rises", at_least=0, at_most=1, default=0.3
    )
    weight_decay: float = setting("weight decay", at_least=0, default=5e-4)
