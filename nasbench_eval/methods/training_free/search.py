"""Search without training: score random cells at their initial weights and take the best (Mellor et al., algorithm 1).

Each run has its own batch of training images, its own candidates, and for every cell its own initial weights. Nothing
is shared between runs, so that the spread over seeds is that of the whole procedure.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch

from nasbench_eval.cell import Cell
from nasbench_eval.images import Augment
from nasbench_eval.methods.base import Budget, SearchContext, SearchMethod, StepInfo
from nasbench_eval.methods.training_free.scores import SCORES, SEES
from nasbench_eval.networks.standalone import StandaloneNet
from nasbench_eval.settings import setting


@dataclass(frozen=True, kw_only=True)
class TrainingFreeSettings:
    """The settings of a search without training."""

    score: str = setting("score of an untrained cell (reference: Training-free methods)", choices=tuple(SCORES))
    candidates: int = setting("random cells that are scored", at_least=1)
    batch_size: int = setting("training images that a cell is scored on", at_least=1, default=64)
    images: str = setting(
        "augmented: as for training; plain: normalised only", choices=("augmented", "plain"), default="augmented"
    )
    channels: int = setting("channels of the first stage", at_least=1, default=16, reduces=True)
    cells: int = setting("cells per stage", at_least=1, default=5, reduces=True)


@final
class TrainingFree(SearchMethod):
    """Random cells, of which the one with the highest score is taken.

    A step scores one cell. It costs the measured time of building its network and scoring it.

    Args:
        settings: The score, and the sizes.
        context: Data set, random generators and device.
    """

    Settings = TrainingFreeSettings
    needs = "images"
    cost_kind = "measured"

    def __init__(self, settings: TrainingFreeSettings, context: SearchContext) -> None:
        self.settings = settings
        self.streams = context.streams
        self.device = torch.device(context.device)
        assert context.images is not None
        self.data = context.images
        generator = self.streams.torch("scored images")
        rows = torch.randperm(len(self.data.train), generator=generator)[: settings.batch_size]
        batch = self.data.train.subset(rows).to(self.device)
        augment = Augment.for_data(self.data)
        if settings.images == "augmented":
            self.images = augment(batch.pixels, augment.draw(len(batch), generator).to(self.device))
        else:
            self.images = augment.plain(batch.pixels)
        self.labels = batch.labels
        self.done = 0
        self._best = -math.inf
        self._incumbent: Cell | None = None

    @property
    def budget(self) -> Budget:
        """The number of candidates."""
        return Budget(steps=self.settings.candidates)

    @property
    def facts(self) -> dict[str, str]:
        """The images, and what orders cells for ``nbeval rank``."""
        batch = f"{len(self.images)} {self.settings.images} train images at the cell's initial weights"
        seen = SEES.get(self.settings.score, batch)
        return {
            "split": f"nothing is trained; scored on {seen}; {self.data.split}",
            "scored_on": seen,
            "orders_by": "untrained score",
        }

    def step(self) -> StepInfo:
        """Score a random cell. Metrics: ``queried``, its index, and ``score``, if it is defined."""
        start = time.perf_counter()
        cell = Cell.random(self.streams.numpy("candidates", self.done))
        score = self.score(cell)
        seconds = time.perf_counter() - start
        if self._incumbent is None or score > self._best:
            self._best, self._incumbent = score, cell
        self.done += 1
        metrics = {"queried": float(cell.index)} | ({"score": score} if math.isfinite(score) else {})
        return StepInfo(seconds, metrics)

    def score(self, cell: Cell) -> float:
        """Return the score of a cell, always the same in a run; minus infinity if it is not defined."""
        network = StandaloneNet(
            cell,
            self.settings.channels,
            self.settings.cells,
            self.data.classes,
            reduction=self.data.reduction,
            generator=self.streams.torch("initial weights", cell.index),
        ).to(self.device)
        score = SCORES[self.settings.score](network, self.images, self.labels)
        return -math.inf if math.isnan(score) else score

    def incumbent(self) -> Cell:
        """Return the cell with the highest score; the first one while no score is defined."""
        assert self._incumbent is not None, "no cell was scored yet"
        return self._incumbent

    def state_dict(self) -> dict[str, Any]:
        """Return how many cells were scored, and the best one; random numbers need no state."""
        ops = None if self._incumbent is None else list(self._incumbent.ops)
        return {"done": self.done, "best": self._best, "incumbent": ops}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue after the cell at which the state was taken."""
        self.done, self._best = state["done"], state["best"]
        self._incumbent = None if state["incumbent"] is None else Cell(tuple(state["incumbent"]))

    def score_cells(self, artifact: Mapping[str, Any], cells: Iterable[Cell]) -> Iterator[tuple[float, float]]:
        """Yield no loss and the score of each cell; there is nothing to load."""
        return ((math.nan, self.score(cell)) for cell in cells)
