"""DrNAS: Dirichlet draws against those of torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch.distributions.dirichlet import Dirichlet as TorchDirichlet

from nasbench_eval.methods.weight_sharing.darts import Logits
from nasbench_eval.methods.weight_sharing.drnas import Dirichlet
from nasbench_eval.utils.rng import Streams

NO_NONE = (1, 2, 3, 4)


def generator(purpose: str = "test") -> torch.Generator:
    return Streams(7).torch(purpose)


def test_dirichlet_draws_have_the_mean_and_the_gradient_of_torchs() -> None:
    logits = Logits(NO_NONE, generator())
    with torch.no_grad():
        logits.logits[:] = torch.tensor([1.0, 0.0, -0.5, 2.0])
    drnas = Dirichlet(logits)
    drnas.begin_epoch(0, 0, generator("draws"), torch.device("cpu"))
    values = torch.stack([drnas.sample().values[:, 1:] for _ in range(2000)])
    concentration = F.elu(logits.logits.detach()) + 1
    assert torch.allclose(values.mean((0, 1)), (concentration / concentration.sum(-1, keepdim=True))[0], atol=0.012)
    # The same draw through torch.distributions' own backward pass.
    drnas.begin_epoch(0, 0, generator("one"), torch.device("cpu"))
    weight = torch.rand(6, 4, generator=generator("weight"))
    ours = drnas.sample().values[:, 1:]
    (ours * weight).sum().backward()
    theirs = torch.nn.Parameter(logits.logits.detach().clone())
    alpha = F.elu(theirs) + 1
    from torch.distributions.dirichlet import _Dirichlet_backward

    (gradient,) = torch.autograd.grad(alpha, theirs, _Dirichlet_backward(ours.detach(), alpha.detach(), weight))
    assert torch.allclose(logits.logits.grad, gradient, atol=1e-6)
    assert TorchDirichlet(alpha.detach()).has_rsample
