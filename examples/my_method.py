"""A complete tabular search: the cross-entropy method. Draw cells, keep the best, draw the next ones like them.

nbeval run --method my_method:CrossEntropy,rs,rea --dataset digits --seeds 500
nbeval compare
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbeval import N_EDGES, N_OPS, Cell, SearchContext, TabularMethod, TabularSettings, register, setting


@dataclass(frozen=True, kw_only=True)
class CrossEntropySettings(TabularSettings):
    """What `--set` can change; budget, reward and fidelity come from `TabularSettings`."""

    batch: int = setting("cells drawn before each update of the distribution", default=12, at_least=2)
    elite: int = setting("how many of the best cells the distribution moves towards", default=4, at_least=1)
    smoothing: float = setting("weight of the old distribution in an update", default=0.5, at_least=0, at_most=1)


class CrossEntropy(TabularMethod):
    """Cross-entropy method: independent operation probabilities on each edge, moved towards the best cells."""

    Settings = CrossEntropySettings

    def __init__(self, settings: CrossEntropySettings, context: SearchContext) -> None:
        super().__init__(settings, context)  # sets self.rng, the generator of this run
        self.settings = settings
        self.p = np.full((N_EDGES, N_OPS), 1 / N_OPS)
        self.seen: list[tuple[float, tuple[int, ...]]] = []  # reward and operations of each cell in this batch

    def propose(self) -> tuple[Cell, int]:
        """Draw a cell. The second value is the index of the fidelity; this method uses a single one."""
        drawn = (np.log(self.p + 1e-9) + self.rng.gumbel(size=self.p.shape)).argmax(axis=1)
        return Cell(tuple(drawn.tolist())), 0

    def observe(self, cell: Cell, rung: int, reward: float) -> None:
        """Take in the cell's validation accuracy; test accuracies are visible only to the runner."""
        self.seen.append((reward, cell.ops))
        if len(self.seen) == self.settings.batch:
            best = np.array([ops for _, ops in sorted(self.seen, reverse=True)[: self.settings.elite]])
            frequency = (best[:, :, None] == np.arange(N_OPS)).mean(axis=0)
            self.p = self.settings.smoothing * self.p + (1 - self.settings.smoothing) * frequency
            self.seen = []

    def own_state(self) -> dict[str, Any]:
        """Everything needed to resume an interrupted search, as plain numbers and lists."""
        return {"p": self.p.tolist(), "seen": [[reward, list(ops)] for reward, ops in self.seen]}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Resume from this state."""
        self.p = np.array(state["p"])
        self.seen = [(reward, tuple(ops)) for reward, ops in state["seen"]]


register(CrossEntropy, title="Cross-entropy", extends="rs")  # the settings of random search: 12,000 s, 350 s on digits
