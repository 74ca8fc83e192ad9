"""Training schedules of single cells: the benchmark's, and the short one of a trained table. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_eval.settings import setting


@dataclass(frozen=True)
class TrainingSettings:
    """How a cell is trained from scratch; the defaults are the benchmark's."""

    channels: int = setting("channels C of the first stage", at_least=1, default=16)
    cells: int = setting("cells N of a stage", at_least=1, default=5)
    epochs: int = setting("epochs", at_least=1, default=200)
    batch_size: int = setting("images of a batch", at_least=2, default=256)
    lr: float = setting("learning rate at the start of the cosine", at_least=0, default=0.1)
    weight_decay: float = setting("weight decay", at_least=0, default=5e-4)


@dataclass(frozen=True)
class Schedule:
    """Network and schedule of a trained table; the defaults are those of the shipped one."""

    channels: int = setting("channels C of the first stage", at_least=1, default=8)
    cells: int = setting("cells N of a stage", at_least=1, default=1)
    epochs: int = setting("epochs", at_least=1, default=6)
    batch_size: int = setting("images of a batch", at_least=2, default=64)
    lr: float = setting("highest learning rate: reached linearly, then linearly to zero", at_least=0, default=0.2)
    warmup: float = setting("share of the steps in which the rate rises", at_least=0, default=0.3)
    weight_decay: float = setting("weight decay", at_least=0, default=5e-4)
