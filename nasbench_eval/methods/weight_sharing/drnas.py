"""DrNAS (Chen et al., ICLR 2021): operation weights drawn from a learned Dirichlet distribution.

The algorithm is that of DARTS with another mixture (section 3), and the code below:

1. Every batch draws the weights of each edge from a Dirichlet distribution with learned concentrations:
   :meth:`Dirichlet.sample`.
2. The gradient reaches the concentrations through the draw (pathwise derivative): :class:`_DirichletDraw`.
3. After the last epoch keep the operation with the largest concentration on every edge: ``ArchParameters.cell``.

The concentration, ``elu(logits) + 1``, is that of the released code.

**The progressive search** (section 4; ``train_search_progressive.py``) has two stages; the authors' README gives it for
NAS-Bench-201. Before epoch ``stage_two_epoch``:

4. Every edge keeps the operations with the largest logits (``stage_two_ops``); the others are never evaluated again:
   :meth:`Dirichlet.prune`. A draw is still over all operations; the weights that remain are normalised.
5. More channels go through the operations (``stage_two_partial_channels``), with the weights, statistics and momentum
   of random channels that are copied: ``PartialCell.widen``.

At the beginning of each stage the architecture rests for ``arch_warmup_epochs``, and the learning rate of the weights
is ``lr``: in the released code the new optimiser starts there, and the cosine goes on from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_eval.cell import NONE
from nasbench_eval.methods.weight_sharing.base import ArchParameters, EdgeWeights
from nasbench_eval.methods.weight_sharing.darts import Logits
from nasbench_eval.networks.fused_cell_function import Active
from nasbench_eval.networks.supernet import Supernet

if TYPE_CHECKING:
    from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings


@final
class Dirichlet(ArchParameters):
    """Every batch evaluates all operations, weighted by a Dirichlet draw with concentration ``elu(logits) + 1``."""

    kept: Tensor | None
    """Which operations pruning has left, bool (6, len(ops)); None before."""

    def __init__(self, logits: Logits) -> None:
        super().__init__(logits.ops, logits)
        self._logits = logits
        self._generator = torch.Generator()
        self._active: Active = ()
        self.register_buffer("kept", None)

    def begin_epoch(self, epoch: int, samples: int, generator: torch.Generator, device: torch.device) -> None:
        """Keep the generator: a draw depends on the logits at its batch, so it cannot be made in advance."""
        self._generator = generator

    @torch.no_grad()
    def prune(self, count: int) -> None:
        """Keep the ``count`` operations with the largest logits on every edge; the logits of the others become zero."""
        logits = self._logits.logits
        best = logits.topk(min(count, len(self.ops)), dim=-1).indices
        self._keep(torch.zeros_like(logits, dtype=torch.bool).scatter(1, best, True))
        logits.masked_fill_(~self.kept, 0)  # type: ignore[operator]

    def _keep(self, kept: Tensor) -> None:
        self.kept = kept
        self._active = tuple(
            tuple(op for op, keeps in zip(self.ops, row, strict=True) if keeps and op != NONE) for row in kept.tolist()
        )

    def _left(self, p: Tensor) -> Tensor:
        """Return distributions without the pruned operations, normalised."""
        if self.kept is None:
            return p
        left = p * self.kept
        return left / left.sum(-1, keepdim=True)

    def probabilities(self) -> Tensor | None:
        """Return the softmax of the logits over the operations that are left, (6, len(ops))."""
        p = super().probabilities()
        assert p is not None
        return self._left(p)

    def sample(self) -> EdgeWeights:
        """Return a draw, with its pathwise gradient, as operation weights."""
        concentration = F.elu(self._logits.logits) + 1
        drawn: Tensor = _DirichletDraw.apply(concentration, self._draw(concentration.detach()))  # type: ignore[no-untyped-call]
        mixture = self._mixture(self._left(drawn))
        return mixture if self.kept is None else mixture._replace(active=self._active)

    def _draw(self, concentration: Tensor) -> Tensor:
        """Draw on the host, where the generator lives: one wait per batch."""
        drawn = torch._sample_dirichlet(concentration.cpu(), generator=self._generator)
        return drawn.to(concentration.device)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if (kept := state_dict.get(f"{prefix}kept")) is not None:
            self._keep(kept.to(self._logits.logits.device))
        super()._load_from_state_dict(state_dict, prefix, *args)


def begin_second_stage(
    architecture: Dirichlet,
    supernet: Supernet,
    optimizer: torch.optim.Optimizer,
    settings: WeightSharingSettings,
    generator: torch.Generator,
) -> None:
    """Prune the operations and widen the supernet in place, with the momentum of its optimiser."""
    architecture.prune(settings.stage_two_ops)
    for parameter, grow in supernet.widen(settings.stage_two_partial_channels, generator):
        momentum = optimizer.state[parameter].get("momentum_buffer")
        if momentum is not None:
            optimizer.state[parameter]["momentum_buffer"] = grow(momentum)
        parameter.grad = None  # it has the old shape
        parameter.data = grow(parameter.data)
        parameter.grad = torch.zeros_like(parameter)


class _DirichletDraw(torch.autograd.Function):
    """A Dirichlet draw whose backward pass is the pathwise derivative, as in ``torch.distributions``."""

    @staticmethod
    def forward(ctx: Any, concentration: Tensor, drawn: Tensor) -> Tensor:
        """Return the draw."""
        ctx.save_for_backward(concentration, drawn)
        return drawn.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        """Return the gradient with respect to the concentration."""
        concentration, drawn = ctx.saved_tensors
        total = concentration.sum(-1, keepdim=True).expand_as(concentration)
        path = torch._dirichlet_grad(drawn, concentration, total)
        return path * (grad - (drawn * grad).sum(-1, keepdim=True)), None
