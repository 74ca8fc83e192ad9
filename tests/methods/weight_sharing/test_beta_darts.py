"""beta-DARTS: the term of the architecture's loss, in closed form."""

from __future__ import annotations

import pytest
import torch
from weight_sharing import make

from nasbench_eval.errors import UsageError
from nasbench_eval.methods.weight_sharing.beta_darts import beta_decay


def test_the_gradient_of_the_term_is_the_softmax_and_its_weight_rises_over_the_search() -> None:
    architecture = make("beta_darts").architecture
    logits = architecture.distribution.logits
    with torch.no_grad():
        logits.copy_(torch.arange(30.0).view(6, 5) / 10)
    for progress in (0.0, 0.5):
        logits.grad = None
        beta_decay(architecture, 50.0, progress).backward()
        # d mean_e(logsumexp(a_e)) / d a_eo = softmax(a_e)_o / 6
        assert torch.allclose(logits.grad, 50.0 * progress * logits.detach().softmax(-1) / 6)


def test_the_architecture_step_descends_the_loss_and_the_term() -> None:
    """Adam's first step is the sign of the gradient, so the gradients are compared before it."""
    seen = []
    for penalty in ("beta", "none"):
        method = make("beta_darts", arch_penalty=penalty)
        method.epoch = 1  # of three: the weight is 50 / 3
        method.arch_optimizer.step = lambda: None
        batch = next(method._batches(method.train, "weights batches"))
        method.iteration().architecture_step(batch, batch)
        seen.append(method.architecture.distribution.logits.grad)
        softmax = method.architecture.probabilities().detach()
    assert torch.allclose(seen[0] - seen[1], 50 / 3 * softmax / 6, atol=1e-5)


def test_on_the_simplex_the_term_is_constant_so_it_is_refused() -> None:
    with pytest.raises(UsageError, match="constant on the simplex"):
        make("beta_darts", arch_optimizer="eg")
