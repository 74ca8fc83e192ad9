"""What the weight-sharing searches share: the interfaces that each paper's parts implement.

A :class:`Distribution` holds learned probabilities, :class:`ArchParameters` says what a batch evaluates,
:class:`SimplexOptimizer` moves parameters on the simplex, and :class:`Roles` says which images train what. ``parts.py``
lists the implementations.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_eval.cell import N_EDGES, N_OPS, NONE, OPS, Cell
from nasbench_eval.errors import UsageError
from nasbench_eval.images import Images
from nasbench_eval.networks.fused_cell_function import Active

Score = Callable[[list[Cell]], list[float]]
"""Scores cells with the shared weights, each on a different batch: validation accuracies in 0..1."""


class EdgeWeights(NamedTuple):
    """The operation weights of one batch, as ``Supernet.forward`` takes them.

    Attributes:
        values: (6, 5), the weights of all operations on all edges; (cells, 6, 5) for other ones in each cell.
        active: The operations to evaluate on each edge.
        offsets: (6,), added to the outputs of the edges; None for nothing.
        edges: (6,), the weights of the edges themselves; None without edge normalisation.
    """

    values: Tensor
    active: Active
    offsets: Tensor | None = None
    edges: Tensor | None = None


EdgeLoss = Callable[[EdgeWeights], Tensor]
"""Computes the loss of a batch at given operation weights, with BatchNorm in evaluation mode."""


class Distribution(nn.Module, abc.ABC):
    """Learned probabilities of the operations ``ops`` on each of the six edges.

    Args:
        ops: The candidate operations.
        edge_normalisation: Whether the edges that enter a node also have weights, which sum to one (PC-DARTS).
    """

    on_simplex: ClassVar[bool] = False
    """Whether the parameters are the probabilities themselves, as exponentiated gradient needs them."""

    def __init__(self, ops: tuple[int, ...], *, edge_normalisation: bool = False) -> None:
        super().__init__()
        self.ops = ops
        self.edge_normalisation = edge_normalisation

    @abc.abstractmethod
    def probabilities(self) -> Tensor:
        """Return the probabilities of the operations, (6, len(ops)); rows sum to one."""

    @abc.abstractmethod
    def edge_weights(self) -> Tensor | None:
        """Return the weights of the edges (6,), which sum to one at each node; None without edge normalisation."""


class ArchParameters(nn.Module, abc.ABC):
    """The architecture parameters of a search, and the rule for what a batch evaluates.

    ``begin_epoch`` draws the random numbers of an epoch in advance, on the CPU; each ``sample`` takes the next ones.

    Args:
        ops: The candidate operations.
        distribution: The learned distribution; None if the search learns none.
    """

    stays_on_cpu: ClassVar[bool] = False
    """Whether the parameters stay on the CPU even if the search runs on another device."""

    scores_augmented: bool = False
    """Whether cells are scored on augmented images, where each is scored on one batch."""

    decided_by_accuracy: bool = False
    """Whether accuracy decides edges, not their distributions, whose entropy then still counts (DARTS-PT)."""

    def __init__(self, ops: tuple[int, ...], distribution: Distribution | None) -> None:
        super().__init__()
        self.ops = ops
        self.distribution = distribution
        self.decided: dict[int, int] = {}
        """The operation of each edge that a batch evaluates alone (DARTS-PT, few-shot NAS), by edge.

        Operations have their numbers among all five (``OPS``), as in ``ops``: that of a column of ``probabilities()``
        is ``ops[column]``.
        """

    def begin_epoch(self, epoch: int, samples: int, generator: torch.Generator, device: torch.device) -> None:
        """Draw the random numbers for ``samples`` samples; a deterministic rule draws none.

        Called at least once before an epoch: twice where a continuation decides edges, and again with the last epoch
        when a finished search is measured. So it may depend on the epoch, but not on the number of calls;
        :meth:`learn` is called once per epoch.

        Args:
            epoch: The epoch, from 0.
            samples: How many samples may be taken.
            generator: For the random numbers, on the CPU.
            device: Where the samples are needed.
        """

    @abc.abstractmethod
    def sample(self) -> EdgeWeights:
        """Return the operation weights for the next batch of the weights step."""

    def weights_samples(self, loss: EdgeLoss) -> Sequence[EdgeWeights]:
        """Return the operation weights of one weights step, whose gradients are summed; by default one sample.

        Args:
            loss: Computes the loss of the batch, for rules that depend on it.
        """
        return [self.sample()]

    def architecture_sample(self) -> EdgeWeights:
        """Return the operation weights for the next batch of the architecture step; by default the same rule."""
        return self.sample()

    def probabilities(self) -> Tensor | None:
        """Return the learned probabilities of the operations, (6, len(ops)); None if none are learned."""
        return None if self.distribution is None else self.distribution.probabilities()

    def edge_weights(self) -> Tensor | None:
        """Return the learned edge weights (6,), which a discretised cell keeps; None if none are learned."""
        edges = None if self.distribution is None else self.distribution.edge_weights()
        return None if edges is None else edges.detach()

    def entropy(self) -> Tensor | None:
        """Return the mean entropy of the edges in nats, 0 for a decided one; None if no distribution is learned."""
        p = self.probabilities()
        if p is None:
            return None
        entropies: Tensor = torch.special.entr(p.detach()).sum(-1)
        if not self.decided_by_accuracy:
            for edge in self._decisions():
                entropies[edge] = 0.0
        return entropies.mean()

    def cell(self) -> Cell:
        """Return the most probable cell: what is decided, else the argmax on every edge, the first one in a tie.

        Raises:
            TypeError: If no distribution is learned.
            UsageError: If an operation is decided that is not searched.
        """
        p = self.probabilities()
        if p is None:
            raise TypeError("this search learns no distribution, so it has no most probable cell")
        return self._cell_of(p.argmax(-1)).with_ops(self._decisions())

    def candidates(self, n: int, generator: torch.Generator) -> list[Cell] | None:
        """Return ``n`` cells to choose from by shared-weight accuracy; None to take the most probable cell."""
        return None

    def learn(self, score: Score, generator: torch.Generator) -> dict[str, float]:
        """Learn from scored cells after an epoch and return metrics; by default do nothing."""
        return {}

    def _decisions(self) -> dict[int, int]:
        """Return the decided edges; raise UsageError if there is no such edge, or its operation is not searched."""
        for edge, op in self.decided.items():
            if edge not in range(N_EDGES) or op not in self.ops:
                searched = ", ".join(f"{each} ({OPS[each]})" for each in self.ops)
                raise UsageError(
                    f"decided[{edge!r}] = {op!r}: edges are 0 to {N_EDGES - 1}, and the operations searched are "
                    f"{searched}; that of a column of probabilities() is ops[column]"
                )
        return self.decided

    def _cell_of(self, choice: Tensor) -> Cell:
        return Cell(tuple(self.ops[i] for i in choice.tolist()))

    def _full(self, values: Tensor) -> Tensor:
        """Widen (6, len(ops)) to (6, 5): if ``none`` is no candidate, its weight is zero."""
        return F.pad(values, (N_OPS - len(self.ops), 0))

    def _mixture(self, values: Tensor) -> EdgeWeights:
        """Return all operations on every edge with these weights (6, len(ops)), but only the one that is decided."""
        full, active = self._full(values), [tuple(op for op in self.ops if op != NONE)] * N_EDGES
        if decided := self._decisions():
            chosen, open_edges = torch.zeros_like(full), torch.ones_like(full)
            for edge, op in decided.items():
                chosen[edge, op], active[edge] = 1.0, (op,) if op != NONE else ()
                open_edges[edge] = 0.0
            full = full * open_edges + chosen
        edges = None if self.distribution is None else self.distribution.edge_weights()
        return EdgeWeights(full, tuple(active), edges=edges)


class SimplexOptimizer(torch.optim.Optimizer):
    """An optimiser of parameters whose last axis is a distribution; subclasses implement :meth:`update`."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update every parameter that has a gradient."""
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
        """Update one parameter in place, given its gradient and the options of its group."""


class Continuation(abc.ABC):
    """What follows the epochs of a search with the same supernet; its own epochs count from 0."""

    @abc.abstractmethod
    def begin(self, epoch: int) -> bool:
        """Prepare an epoch; return whether the optimiser of the weights starts anew."""

    @abc.abstractmethod
    def rate(self, epoch: int) -> float:
        """Return the learning rate of the weights in an epoch."""

    @abc.abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return what resuming needs beside the search's own state."""

    @abc.abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the state of a search, which holds what :meth:`state_dict` returned."""


@dataclass(frozen=True)
class Roles:
    """The images of the two steps.

    Attributes:
        weights: The images of the weights step.
        architecture: The images of the architecture step.
        valid_is_held_out: Whether the weights never train on the valid part.
        words: A description for the result row.
    """

    weights: Images
    architecture: Images
    valid_is_held_out: bool
    words: str
