"""Distributions over cells, and what one batch of a weight-sharing search evaluates of them.

Sources: DARTS (Liu et al., ICLR 2019); GDAS (Dong & Yang, CVPR 2019); SETN (Dong & Yang, ICCV 2019); PC-DARTS (Xu et
al., ICLR 2020); DrNAS (Chen et al., ICLR 2021); GAEA (Li et al., ICLR 2021, section 3); NAS-Bench-201's released
search models for what the papers leave open.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_eval.cell import INCOMING, N_EDGES, N_OPS, NODES, NONE, Cell, all_cells
from nasbench_eval.cell_function import Active
from nasbench_eval.supernet import active_of, one_hot

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


@final
class Logits(Distribution):
    """The softmax of logits, which start at 1e-3 * N(0, 1) as in NAS-Bench-201's code."""

    def __init__(self, ops: tuple[int, ...], generator: torch.Generator, *, edge_normalisation: bool = False) -> None:
        super().__init__(ops, edge_normalisation=edge_normalisation)
        self.logits = nn.Parameter(1e-3 * torch.randn(N_EDGES, len(ops), generator=generator))
        if edge_normalisation:
            self.edge_logits = nn.Parameter(1e-3 * torch.randn(N_EDGES, generator=generator))

    def probabilities(self) -> Tensor:
        """Return the softmax of each row."""
        return self.logits.softmax(-1)

    def edge_weights(self) -> Tensor | None:
        """Return the softmax over the edges that enter a node."""
        if not self.edge_normalisation:
            return None
        parts = torch.split(self.edge_logits, [len(INCOMING[node]) for node in range(1, NODES)])
        return torch.cat([part.softmax(0) for part in parts])


@final
class Simplex(Distribution):
    """The probabilities themselves, uniform at the start (GAEA); ``ExponentiatedGradient`` keeps them so."""

    def __init__(self, ops: tuple[int, ...], *, edge_normalisation: bool = False) -> None:
        super().__init__(ops, edge_normalisation=edge_normalisation)
        self.theta = nn.Parameter(torch.full((N_EDGES, len(ops)), 1 / len(ops)))
        if edge_normalisation:
            self.edge_thetas = nn.ParameterList(
                nn.Parameter(torch.full((len(INCOMING[node]),), 1 / len(INCOMING[node]))) for node in range(1, NODES)
            )

    def probabilities(self) -> Tensor:
        """Return theta."""
        return self.theta

    def edge_weights(self) -> Tensor | None:
        """Return the edges' own thetas."""
        return torch.cat(list(self.edge_thetas)) if self.edge_normalisation else None


class ArchParameters(nn.Module, abc.ABC):
    """What a search knows of the architecture: a distribution, if it learns one, and what a batch evaluates.

    The random numbers of an epoch are drawn ahead, on the CPU, by ``begin_epoch``; ``sample`` uses them up in turn.
    """

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
        """Return the learned weights (6,) of the edges that a cell keeps when it is rounded; None where none are."""
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


@final
class Mixture(ArchParameters):
    """Every batch evaluates all operations, weighted by their probabilities (DARTS; GAEA on a simplex)."""

    def __init__(self, distribution: Distribution) -> None:
        super().__init__(distribution.ops, distribution)
        self._learned = distribution

    def sample(self) -> EdgeWeights:
        """Return the probabilities; the same for every batch."""
        return self._mixture(self._learned.probabilities())


@final
class Gumbel(ArchParameters):
    """A batch evaluates one operation an edge, drawn by straight-through Gumbel-softmax (GDAS).

    Args:
        distribution: What is learned.
        epochs: Epochs over which tau falls, after the warm-up.
        warmup_epochs: Epochs at the first temperature.
        tau: Temperature at the first and at the last epoch; linear between.
        other_weights: Whether the weights of the operations not sampled are added to the edge's output: zero in value,
            not in gradient, as the released code does.
    """

    def __init__(
        self,
        distribution: Distribution,
        *,
        epochs: int,
        tau: tuple[float, float],
        other_weights: bool,
        warmup_epochs: int = 0,
    ) -> None:
        super().__init__(distribution.ops, distribution)
        self._learned = distribution
        self._epochs, self._warmup, self._range, self._other_weights = epochs, warmup_epochs, tau, other_weights
        self.tau = tau[0]
        self._noise: Iterator[Tensor] = iter(())

    def begin_epoch(self, epoch: int, samples: int, generator: torch.Generator, device: torch.device) -> None:
        """Set the temperature and draw the Gumbel noise of the epoch."""
        first, last = self._range
        self.tau = first + (last - first) * max(epoch - self._warmup, 0) / max(self._epochs - 1, 1)
        uniform = torch.rand(samples, N_EDGES, len(self.ops), generator=generator, dtype=torch.float64)
        noise = uniform.clamp_min(1e-300).log().neg().log().neg()
        self._noise = iter(noise.float().to(device).unbind())

    def sample(self) -> EdgeWeights:
        """Return one-hot weights of one sampled operation an edge."""
        soft = ((self._learned.probabilities().clamp_min(1e-30).log() + next(self._noise)) / self.tau).softmax(-1)
        choice = soft.argmax(-1)
        hard = F.one_hot(choice, len(self.ops)).to(soft.dtype) - soft.detach() + soft
        offsets = None
        if self._other_weights:
            offsets = hard.sum(-1) - hard.gather(-1, choice.unsqueeze(1)).squeeze(1)
        return EdgeWeights(self._full(hard), active_of(self._on_host(choice)), offsets)

    def _on_host(self, choice: Tensor) -> Cell:
        """The sampled cell. To evaluate six operations, not thirty, the host must know which: one wait a batch."""
        return self._cell_of(choice)


class _UniformCells:
    """Cells drawn uniformly ahead of an epoch; they are known on the host, so no batch waits for the device."""

    def __init__(self, ops: tuple[int, ...]) -> None:
        self._ops = ops
        self._cells: Iterator[Cell] = iter(())
        self._device = torch.device("cpu")

    def draw(self, n: int, generator: torch.Generator, device: torch.device) -> None:
        """Draw the next ``n`` cells."""
        self._cells = iter(self.cells(n, generator))
        self._device = device

    def cells(self, n: int, generator: torch.Generator) -> list[Cell]:
        """Return ``n`` cells."""
        rows: list[Any] = torch.randint(len(self._ops), (n, N_EDGES), generator=generator).tolist()
        return [Cell(tuple(self._ops[i] for i in row)) for row in rows]

    def next(self) -> EdgeWeights:
        """Return the one-hot weights of the next cell."""
        cell = next(self._cells)
        return EdgeWeights(one_hot(cell, device=self._device), active_of(cell))


@final
class Uniform(ArchParameters):
    """Nothing is learned: every batch trains one cell drawn uniformly (RS-WS, Li & Talwalkar, UAI 2019)."""

    def __init__(self, ops: tuple[int, ...]) -> None:
        super().__init__(ops, None)
        self._uniform = _UniformCells(ops)

    def begin_epoch(self, epoch: int, samples: int, generator: torch.Generator, device: torch.device) -> None:
        """Draw the epoch's cells."""
        self._uniform.draw(samples, generator, device)

    def sample(self) -> EdgeWeights:
        """Return the one-hot weights of the next cell."""
        return self._uniform.next()

    def candidates(self, n: int, generator: torch.Generator) -> list[Cell]:
        """Return cells drawn uniformly."""
        return self._uniform.cells(n, generator)


@final
class Setn(ArchParameters):
    """The weights train on cells drawn uniformly, the architecture on the mixture; the most probable cells compete."""

    def __init__(self, distribution: Distribution) -> None:
        super().__init__(distribution.ops, distribution)
        self._learned = distribution
        self._uniform = _UniformCells(distribution.ops)

    def begin_epoch(self, epoch: int, samples: int, generator: torch.Generator, device: torch.device) -> None:
        """Draw the epoch's cells."""
        self._uniform.draw(samples, generator, device)

    def sample(self) -> EdgeWeights:
        """Return the one-hot weights of the next cell."""
        return self._uniform.next()

    def architecture_sample(self) -> EdgeWeights:
        """Return the probabilities."""
        return self._mixture(self._learned.probabilities())

    def candidates(self, n: int, generator: torch.Generator) -> list[Cell]:
        """Return the ``n`` most probable cells."""
        logs: list[list[float]] = self._learned.probabilities().detach().double().log().tolist()
        allowed = [cell for cell in all_cells() if all(op in self.ops for op in cell.ops)]
        at = {op: i for i, op in enumerate(self.ops)}
        allowed.sort(key=lambda cell: -sum(row[at[op]] for row, op in zip(logs, cell.ops, strict=True)))
        return allowed[:n]


@final
class Dirichlet(ArchParameters):
    """Every batch evaluates all operations, weighted by a draw from a Dirichlet with concentration elu(logits) + 1."""

    def __init__(self, logits: Logits) -> None:
        super().__init__(logits.ops, logits)
        self._logits = logits
        self._generator = torch.Generator()

    def begin_epoch(self, epoch: int, samples: int, generator: torch.Generator, device: torch.device) -> None:
        """Take the generator: the draws depend on the logits of their batch and cannot be made ahead."""
        self._generator = generator

    def sample(self) -> EdgeWeights:
        """Return a draw, with its pathwise gradient."""
        concentration = F.elu(self._logits.logits) + 1
        return self._mixture(_DirichletDraw.apply(concentration, self._draw(concentration.detach())))  # type: ignore[no-untyped-call]

    def _draw(self, concentration: Tensor) -> Tensor:
        """Draw on the host, where the generator is: one wait a batch."""
        drawn = torch._sample_dirichlet(concentration.cpu(), generator=self._generator)
        return drawn.to(concentration.device)


class _DirichletDraw(torch.autograd.Function):
    """A draw from a Dirichlet whose backward pass is the pathwise derivative, as in ``torch.distributions``."""

    @staticmethod
    def forward(ctx: Any, concentration: Tensor, drawn: Tensor) -> Tensor:
        """Return the draw."""
        ctx.save_for_backward(concentration, drawn)
        return drawn.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        """Return the gradient of the concentration."""
        concentration, drawn = ctx.saved_tensors
        total = concentration.sum(-1, keepdim=True).expand_as(concentration)
        path = torch._dirichlet_grad(drawn, concentration, total)
        return path * (grad - (drawn * grad).sum(-1, keepdim=True)), None
