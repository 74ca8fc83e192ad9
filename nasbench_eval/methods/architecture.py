"""How edge weights are parametrised, and how the parameters are updated.

Sources: DARTS (Liu et al., ICLR 2019); GDAS (Dong & Yang, CVPR 2019); GAEA (Li et al., ICLR 2021, section 3 and
algorithm 1); NAS-Bench-201's released search models for what the papers leave open.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_eval.cell import N_EDGES, N_OPS, NONE, Cell
from nasbench_eval.cell_function import Active
from nasbench_eval.supernet import active_of, one_hot


class EdgeWeights(NamedTuple):
    """What a supernet needs for one batch; see ``Supernet.forward``."""

    values: Tensor
    active: Active
    offsets: Tensor | None = None


class ArchParameters(nn.Module, abc.ABC):
    """Architecture parameters of one search over the operations ``ops``.

    All random numbers of an epoch are drawn ahead, on the CPU, by ``begin_epoch``; ``sample`` uses them up in turn.
    """

    def __init__(self, ops: tuple[int, ...]) -> None:
        super().__init__()
        self.ops = ops
        self._active: Active = (tuple(op for op in ops if op != NONE),) * N_EDGES

    def begin_epoch(self, epoch: int, samples: int, generator: torch.Generator, device: torch.device) -> None:
        """Draw the random numbers of ``samples`` samples; a deterministic parametrisation draws none."""

    @abc.abstractmethod
    def sample(self) -> EdgeWeights:
        """Return the edge weights for the next batch."""

    @abc.abstractmethod
    def probabilities(self) -> Tensor | None:
        """Return (6, len(ops)) probabilities per edge, or None where nothing is learned."""

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
            raise TypeError("this parametrisation has no most probable cell")
        return Cell(tuple(self.ops[i] for i in p.argmax(-1).tolist()))

    def _full(self, values: Tensor) -> Tensor:
        """Widen (6, len(ops)) to (6, 5): operations left out have weight zero. Only ``none`` can be left out."""
        return F.pad(values, (N_OPS - len(self.ops), 0))


class Softmax(ArchParameters):
    """Logits on every edge; the weights are their softmax (DARTS)."""

    def __init__(self, ops: tuple[int, ...], generator: torch.Generator) -> None:
        super().__init__(ops)
        # NAS-Bench-201's code starts at 1e-3 * N(0, 1).
        self.logits = nn.Parameter(1e-3 * torch.randn(N_EDGES, len(ops), generator=generator))

    def sample(self) -> EdgeWeights:
        """Return the softmax; the same for every batch."""
        return EdgeWeights(self._full(self.logits.softmax(-1)), self._active)

    def probabilities(self) -> Tensor:
        """Return the softmax."""
        return self.logits.softmax(-1)


class Simplex(ArchParameters):
    """Probabilities themselves on every edge, uniform at the start (GAEA); see ``ExponentiatedGradient``."""

    def __init__(self, ops: tuple[int, ...], generator: torch.Generator) -> None:
        super().__init__(ops)
        self.theta = nn.Parameter(torch.full((N_EDGES, len(ops)), 1 / len(ops)))

    def sample(self) -> EdgeWeights:
        """Return theta; the same for every batch."""
        return EdgeWeights(self._full(self.theta), self._active)

    def probabilities(self) -> Tensor:
        """Return theta."""
        return self.theta


class Gumbel(ArchParameters):
    """Logits; a batch evaluates one operation an edge, drawn by straight-through Gumbel-softmax (GDAS).

    Args:
        ops: The candidate operations.
        generator: For the logits' start.
        epochs: Epochs over which tau falls.
        tau: Temperature at the first and at the last epoch; linear between.
        other_weights: Whether the weights of the operations not sampled are added to the edge's output: zero in value,
            not in gradient, as the released code does.
    """

    def __init__(
        self,
        ops: tuple[int, ...],
        generator: torch.Generator,
        *,
        epochs: int,
        tau: tuple[float, float],
        other_weights: bool,
    ) -> None:
        super().__init__(ops)
        self.logits = nn.Parameter(1e-3 * torch.randn(N_EDGES, len(ops), generator=generator))
        self._epochs, self._range, self._other_weights = epochs, tau, other_weights
        self._tau = tau[0]
        self._noise: Iterable[Tensor] = iter(())

    def begin_epoch(self, epoch: int, samples: int, generator: torch.Generator, device: torch.device) -> None:
        """Set the temperature and draw the Gumbel noise of the epoch."""
        first, last = self._range
        self._tau = first + (last - first) * epoch / max(self._epochs - 1, 1)
        uniform = torch.rand(samples, N_EDGES, len(self.ops), generator=generator, dtype=torch.float64)
        noise = uniform.clamp_min(1e-300).log().neg().log().neg()
        self._noise = iter(noise.float().to(device).unbind())

    def sample(self) -> EdgeWeights:
        """Return one-hot weights of one sampled operation an edge."""
        noise = next(iter(self._noise))
        soft = ((self.logits.log_softmax(-1) + noise) / self._tau).softmax(-1)
        choice = soft.argmax(-1)
        hard = F.one_hot(choice, len(self.ops)).to(soft.dtype) - soft.detach() + soft
        offsets = hard.sum(-1) - hard.gather(-1, choice.unsqueeze(1)).squeeze(1) if self._other_weights else None
        return EdgeWeights(self._full(hard), active_of(self._on_host(choice)), offsets)

    def _on_host(self, choice: Tensor) -> Cell:
        """The sampled cell. To evaluate six operations, not thirty, the host must know which: one wait a batch."""
        return Cell(tuple(self.ops[i] for i in choice.tolist()))

    def probabilities(self) -> Tensor:
        """Return the softmax of the logits, without temperature."""
        return self.logits.softmax(-1)


class Uniform(ArchParameters):
    """Nothing is learned: every batch trains one cell drawn uniformly (RS-WS, Li & Talwalkar, UAI 2019)."""

    def __init__(self, ops: tuple[int, ...]) -> None:
        super().__init__(ops)
        self._cells: Iterable[Cell] = iter(())
        self._device = torch.device("cpu")

    def begin_epoch(self, epoch: int, samples: int, generator: torch.Generator, device: torch.device) -> None:
        """Draw the epoch's cells; they are known on the host, so no batch waits for the device."""
        rows = torch.randint(len(self.ops), (samples, N_EDGES), generator=generator)
        self._cells = iter(self.cell_of(row) for row in rows)
        self._device = device

    def cell_of(self, row: Tensor) -> Cell:
        """Return the cell of six indices into ``ops``."""
        return Cell(tuple(self.ops[i] for i in row.tolist()))

    def sample(self) -> EdgeWeights:
        """Return the one-hot weights of the next cell."""
        cell = next(iter(self._cells))
        return EdgeWeights(one_hot(cell, device=self._device), active_of(cell))

    def probabilities(self) -> None:
        """Return None: there is no distribution to speak of."""
        return


class ExponentiatedGradient(torch.optim.Optimizer):
    """Exponentiated gradient on the probability simplex: GAEA's update of the architecture parameters.

    ``theta <- theta * exp(-lr * gradient)``, clamped below at ``floor``, then normalised over the last axis, so that
    every row stays a distribution (GAEA, algorithm 1; the clamp is in the released code).

    Args:
        params: Tensors whose last axis is a distribution.
        lr: Learning rate.
        floor: The smallest probability before normalisation.
        normalise_first: Normalise, then clamp (what the released code does for GDAS); rows then sum to one only up
            to ``floor`` times their length.
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float, *, floor: float = 1e-5, normalise_first: bool = False
    ) -> None:
        if lr <= 0:
            raise ValueError(f"a learning rate is positive; got {lr}")
        super().__init__(params, {"lr": lr, "floor": floor, "normalise_first": normalise_first})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Do one update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for theta in group["params"]:
                if theta.grad is None:
                    continue
                theta.mul_(torch.exp(theta.grad * -group["lr"]))
                if group["normalise_first"]:
                    theta.div_(theta.sum(-1, keepdim=True)).clamp_min_(group["floor"])
                else:
                    theta.clamp_min_(group["floor"]).div_(theta.sum(-1, keepdim=True))
        return loss
