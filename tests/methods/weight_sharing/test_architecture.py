"""Parametrisations of edge weights, and the exponentiated-gradient optimizer, against hand-computed numbers."""

from __future__ import annotations

import math

import pytest
import torch

from nasbench_eval.cell import N_OPS, Cell
from nasbench_eval.methods.weight_sharing.darts import Logits, Mixture
from nasbench_eval.methods.weight_sharing.gaea import ExponentiatedGradient, Simplex
from nasbench_eval.methods.weight_sharing.gdas import Gumbel
from nasbench_eval.methods.weight_sharing.rs_ws import Uniform
from nasbench_eval.utils.rng import Streams

ALL = tuple(range(N_OPS))
NO_NONE = (1, 2, 3, 4)
CPU = torch.device("cpu")


def generator() -> torch.Generator:
    return Streams(5).torch("test")


def test_exponentiated_gradient_takes_the_hand_computed_step() -> None:
    theta = torch.tensor([[0.5, 0.3, 0.2]], requires_grad=True)
    theta.grad = torch.tensor([[1.0, 0.0, -1.0]])
    ExponentiatedGradient([theta], lr=0.1).step()
    # 0.5 e^-0.1, 0.3, 0.2 e^0.1 divided by their sum.
    raw = [0.5 * math.exp(-0.1), 0.3, 0.2 * math.exp(0.1)]
    assert theta.tolist()[0] == pytest.approx([value / sum(raw) for value in raw], rel=1e-6)


def test_exponentiated_gradient_clamps_before_or_after_normalising() -> None:
    for first, expected in (
        # exp(-200) vanishes: clamped to 0.1, then divided by 0.5 + 0.1.
        (False, [0.5 / 0.6, 0.1 / 0.6]),
        # normalised to (1, 0), then clamped: the row no longer sums to one, as in the released GDAS code.
        (True, [1.0, 0.1]),
    ):
        theta = torch.tensor([[0.5, 0.5]], requires_grad=True)
        theta.grad = torch.tensor([[0.0, 200.0]])
        ExponentiatedGradient([theta], lr=1.0, floor=0.1, normalise_first=first).step()
        assert theta.tolist()[0] == pytest.approx(expected, rel=1e-6)


def test_exponentiated_gradient_follows_the_closed_form_on_a_linear_loss() -> None:
    """On <c, theta> the t-th iterate is softmax(log theta_0 - lr * t * c)."""
    cost = torch.tensor([[0.3, -0.2, 0.1, 0.9], [1.0, 1.0, 0.0, 0.5]])
    theta = torch.full((2, 4), 0.25, requires_grad=True)
    optimizer = ExponentiatedGradient([theta], lr=0.2)
    for _ in range(30):
        optimizer.zero_grad()
        (cost * theta).sum().backward()
        optimizer.step()
    expected = torch.softmax(-0.2 * 30 * cost, -1)
    assert torch.allclose(theta.detach(), expected, atol=1e-6)
    assert theta.argmax(-1).tolist() == [1, 2]


def test_exponentiated_gradient_leaves_parameters_without_gradient_alone() -> None:
    theta = torch.full((1, 2), 0.5, requires_grad=True)
    ExponentiatedGradient([theta], lr=0.1).step()
    assert theta.tolist() == [[0.5, 0.5]]
    with pytest.raises(ValueError, match="positive"):
        ExponentiatedGradient([theta], lr=0.0)


@pytest.mark.parametrize("ops", [ALL, NO_NONE])
def test_weights_are_distributions_and_leave_none_out(ops: tuple[int, ...]) -> None:
    for parameters in (Mixture(Logits(ops, generator())), Mixture(Simplex(ops))):
        values, active, offsets, edges = parameters.sample()
        assert values.shape == (6, 5)
        assert torch.allclose(values.sum(-1), torch.ones(6))
        assert offsets is edges is None
        # `none` costs nothing: its weight counts, but it is never evaluated.
        assert active == (NO_NONE,) * 6
        assert (values[:, 0] > 0).all() == (0 in ops)


def test_entropy_is_in_nats_and_falls_from_log_n() -> None:
    simplex = Simplex(NO_NONE)
    assert float(Mixture(simplex).entropy()) == pytest.approx(math.log(4), rel=1e-6)
    with torch.no_grad():
        simplex.theta[:] = torch.tensor([0.5, 0.5, 0.0, 0.0])
    assert float(Mixture(simplex).entropy()) == pytest.approx(math.log(2), rel=1e-6)


def test_cell_is_the_argmax_on_every_edge() -> None:
    logits = Logits(NO_NONE, generator())
    with torch.no_grad():
        logits.logits.zero_()
        for edge, column in enumerate((0, 1, 2, 3, 2, 1)):
            logits.logits[edge, column] = 1.0
    assert Mixture(logits).cell() == Cell((1, 2, 3, 4, 3, 2))


def test_gumbel_samples_with_the_softmax_probabilities_and_passes_gradients_straight_through() -> None:
    logits = Logits(NO_NONE, generator())
    gumbel = Gumbel(logits, epochs=3, tau=(10.0, 0.1), other_weights=True)
    with torch.no_grad():
        logits.logits[:] = torch.tensor([0.0, 1.0, 2.0, -1.0])
    n = 4000
    gumbel.begin_epoch(0, n, generator(), CPU)
    counts = torch.zeros(5)
    for _ in range(n):
        values, active, offsets, _ = gumbel.sample()
        counts += values.detach().sum(0)
        assert all(len(ops) == 1 for ops in active)
    frequencies = counts[1:] / (6 * n)
    # 24,000 draws: the largest standard error is 0.0032.
    assert torch.allclose(frequencies, logits.logits[0].detach().softmax(-1), atol=0.013)
    assert torch.allclose(offsets, torch.zeros(6), atol=1e-6)
    # Straight through: the gradient of the hard weights is that of the soft ones, for operations not sampled too.
    values.sum(-1).backward(torch.arange(6.0))
    assert torch.allclose(logits.logits.grad, torch.zeros(6, 4), atol=1e-6)
    gumbel.begin_epoch(1, 1, generator(), CPU)
    values, active, _, _ = gumbel.sample()
    logits.logits.grad = None
    values[:, 1].sum().backward()
    assert (logits.logits.grad.abs().sum(-1) > 0).all()


def test_gumbel_temperature_falls_linearly_to_its_end() -> None:
    gumbel = Gumbel(Logits(ALL, generator()), epochs=5, tau=(10.0, 0.1), other_weights=False)
    seen = []
    for epoch in range(5):
        gumbel.begin_epoch(epoch, 1, generator(), CPU)
        seen.append(gumbel.tau)
    assert seen == pytest.approx([10.0, 7.525, 5.05, 2.575, 0.1])


def test_uniform_trains_one_cell_a_batch_drawn_uniformly() -> None:
    uniform = Uniform(NO_NONE)
    uniform.begin_epoch(0, 2000, generator(), CPU)
    total = torch.zeros(5)
    for _ in range(2000):
        values, active, _, _ = uniform.sample()
        assert values.sum() == 6
        assert [ops[0] for ops in active] == values.argmax(-1).tolist()
        total += values.sum(0)
    assert total[0] == 0
    assert torch.allclose(total[1:] / 12000, torch.full((4,), 0.25), atol=0.016)
    assert uniform.entropy() is None
    with pytest.raises(TypeError):
        uniform.cell()
