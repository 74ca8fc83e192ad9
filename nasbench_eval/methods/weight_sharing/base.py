"""What all weight-sharing searches share: distributions over cells, what a batch evaluates, which images train what.

Each paper's own parts are in its own file beside this one; ``parts.py`` lists them all.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_eval.cell import N_EDGES, N_OPS, NONE, Cell
from nasbench_eval.images import Images
from nasbench_eval.networks.fused_cell_function import Active

Score = Callable[[list[Cell]], list[float]]
"""Scores cells with the shared weights, each on another batch: validation accuracies in 0..1."""


class EdgeWeights(NamedTuple):
    """What a supernet needs for one batch; see ``Supernet.forward``."""

    values: Tensor
    active: Active
    offsets: Tensor | None = None
    edges: Tensor | None = None


class Distribution(nn.Module, abc.ABC):
    """Learned probabilities of the operations ``ops`` on each of the six edges.

    Args:
        ops: The candidate operations.
        edge_normalisation: Whether the edges that enter a node have weights that sum to one, too (PC-DARTS).
    """

    def __init__(self, ops: tuple[int, ...], *, edge_normalisation: bool = False) -> None:
        super().__init__()
        self.ops = ops
        self.edge_normalisation = edge_normalisation

    @abc.abstractmethod
    def probabilities(self) -> Tensor:
        """Return (6, len(ops)); rows sum to one."""

    @abc.abstractmethod
    def edge_weights(self) -> Tensor | None:
        """Return (6,), summing to one over the edges that enter a node; None without edge normalisation."""


class ArchParameters(nn.Module, abc.ABC):
    """What a search knows of the architecture: a distribution, if it learns one, and what a batch evaluates.

    The random numbers of an epoch are drawn ahead, on the CPU, by ``begin_epoch``; ``sample`` uses them up in turn.
    """

    stays_on_cpu: ClassVar[bool] = False
    """Whether the parameters stay on the CPU whatever the device of the search."""

    def __init__(self, ops: tuple[int, ...], distribution: Distribution | None) -> None:
        super().__init__()
        self.ops = ops
        self.distribution = distribution

    def begin_epoch(self, epoch: int, samples: int, generator: torch.Generator, device: torch.device) -> None:
        """Draw the random numbers of ``samples`` samples; a deterministic rule draws none."""

    @abc.abstractmethod
    def sample(self) -> EdgeWeights:
        """Return the edge weights for the next batch of the weights step."""

    def architecture_sample(self) -> EdgeWeights:
        """Return the edge weights for the next batch of the architecture step: mostly the same rule."""
        return self.sample()

    def probabilities(self) -> Tensor | None:
        """Return (6, len(ops)) probabilities per edge, or None where no such are learned."""
        return None if self.distribution is None else self.distribution.probabilities()

    def edge_weights(self) -> Tensor | None:
        """Return the learned edge weights (6,) that a discretised cell keeps; None where none are learned."""
        edges = None if self.distribution is None else self.distribution.edge_weights()
        return None if edges is None else edges.detach()

    def entropy(self) -> Tensor | None:
        """Return the entropy of the edges' distributions in nats, mean over edges."""
        p = self.probabilities()
        return None if p is None else torch.special.entr(p.detach()).sum(-1).mean()

    def cell(self) -> Cell:
        """Return the most probable cell: the argmax on every edge; on a tie the first operation.

        Raises:
            TypeError: If nothing is learned.
        """
        p = self.probabilities()
        if p is None:
            raise TypeError("this search has no most probable cell")
        return self._cell_of(p.argmax(-1))

    def candidates(self, n: int, generator: torch.Generator) -> list[Cell] | None:
        """Return cells to choose from by their shared-weight accuracy; None: the most probable cell is the choice."""
        return None

    def learn(self, score: Score, generator: torch.Generator) -> dict[str, float]:
        """Learn from scored cells after an epoch, and return what was observed; most methods do not."""
        return {}

    def _cell_of(self, choice: Tensor) -> Cell:
        return Cell(tuple(self.ops[i] for i in choice.tolist()))

    def _full(self, values: Tensor) -> Tensor:
        """Widen (6, len(ops)) to (6, 5): operations left out have weight zero. Only ``none`` can be left out."""
        return F.pad(values, (N_OPS - len(self.ops), 0))

    def _mixture(self, values: Tensor) -> EdgeWeights:
        active = tuple(op for op in self.ops if op != NONE)
        edges = None if self.distribution is None else self.distribution.edge_weights()
        return EdgeWeights(self._full(values), (active,) * N_EDGES, edges=edges)


class SimplexOptimizer(torch.optim.Optimizer):
    """What moves parameters whose last axis is a distribution: one ``update`` a step of each that has a gradient."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Do one update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for theta in group["params"]:
                if theta.grad is not None:
                    self.update(theta, theta.grad, group)
        return loss

    @abc.abstractmethod
    def update(self, theta: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        """Move one parameter in place, by its gradient and its group's options."""


@dataclass(frozen=True)
class Roles:
    """Which images train what.

    Attributes:
        weights: The images of the weights step.
        architecture: The images of the architecture step.
        valid_is_held_out: Whether the weights never train on the valid part.
        words: The same in words, for a result row.
    """

    weights: Images
    architecture: Images
    valid_is_held_out: bool
    words: str
