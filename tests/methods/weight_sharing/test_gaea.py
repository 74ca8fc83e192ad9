"""GAEA: exponentiated gradient against hand-computed numbers, and the images of ERM."""

from __future__ import annotations

import dataclasses
import math
from decimal import Decimal, localcontext

import pytest
import torch
from weight_sharing import WEIGHT_SHARING, digits, make, shown, trajectory

from nasbench_eval.errors import UsageError
from nasbench_eval.methods import SearchContext
from nasbench_eval.methods.weight_sharing import ArchParameters, Logits, Mixture, WeightSharing
from nasbench_eval.methods.weight_sharing.gaea import ExponentiatedGradient, Simplex
from nasbench_eval.methods.weight_sharing.parts import PARAMETRISATIONS, SOFTMAX
from nasbench_eval.utils.rng import Streams
from runners.presets import load_preset

SOFTMAXES = [
    name
    for name in WEIGHT_SHARING
    if PARAMETRISATIONS[load_preset(name).settings["parametrisation"]].optimizers == SOFTMAX and name != "beta_darts"
]
"""All presets that learn a softmax, but for the one whose term is constant on the simplex."""


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


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("size", [0.1, 100.0, 1e4])
@pytest.mark.parametrize("gradient", [[1.0, 0.0, -1.0], [-1.0, -0.9, -2.0], [3.0, 1.0, 2.0], [0.0, 0.0, 0.0]])
def test_exponentiated_gradient_survives_every_size_of_gradient(
    gradient: list[float], size: float, first: bool
) -> None:
    """The reference does the same two steps on numbers of unbounded range."""
    start, floor = [0.5, 0.3, 0.2], 1e-5
    theta = torch.tensor([start], requires_grad=True)
    theta.grad = size * torch.tensor([gradient])
    ExponentiatedGradient([theta], lr=1.0, normalise_first=first).step()
    with localcontext(prec=50, Emax=10**7, Emin=-(10**7)):
        grown = [Decimal(t) * (-Decimal(g * size)).exp() for t, g in zip(start, gradient, strict=True)]
        if not first:
            grown = [max(value, Decimal(floor)) for value in grown]
        expected = [float(value / sum(grown)) for value in grown]
    if first:
        expected = [max(value, floor) for value in expected]
    assert theta.tolist()[0] == pytest.approx(expected, rel=1e-4, abs=1e-9)


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


def test_exponentiated_gradient_without_a_rate_moves_nothing_and_refuses_a_negative_one() -> None:
    theta = torch.nn.Parameter(torch.full((6, 4), 0.25))
    theta.grad = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    ExponentiatedGradient([theta], lr=0.0).step()
    assert torch.equal(theta, torch.full((6, 4), 0.25))
    with pytest.raises(ValueError, match="must not be negative"):
        ExponentiatedGradient([theta], lr=-0.1)


def test_exponentiated_gradient_leaves_parameters_without_gradient_alone() -> None:
    theta = torch.full((1, 2), 0.5, requires_grad=True)
    ExponentiatedGradient([theta], lr=0.1).step()
    assert theta.tolist() == [[0.5, 0.5]]


def test_exponentiated_gradient_is_what_gaea_uses() -> None:
    assert isinstance(make("gaea_darts").arch_optimizer, ExponentiatedGradient)
    assert isinstance(make("darts").arch_optimizer, torch.optim.Adam)


def test_erm_uses_the_same_images_for_both_steps_and_bilevel_does_not() -> None:
    erm, bilevel = make("gaea_darts"), make("gaea_darts_bilevel")
    assert erm.arch is erm.train
    assert bilevel.arch is bilevel.valid
    assert "same 24 images" in erm.facts["split"]
    assert "weights on 24 train images, architecture on 20 valid images" in bilevel.facts["split"]


def test_erm_trains_on_the_whole_training_set_of_cifar10_only() -> None:
    as_cifar = dataclasses.replace(digits(), name="cifar10")
    method = make("gaea_darts", images=as_cifar)
    bilevel = make("gaea_darts_bilevel", images=as_cifar)
    assert len(method.train) == 24 + 20
    assert not method.held_out
    metrics = method.step().metrics
    assert "valid_acc" not in metrics
    assert len(make("gaea_darts", images=as_cifar, erm_images="train").train) == 24
    for start, part in ((0, bilevel.train), (24, bilevel.valid)):
        here = method.train.subset(torch.arange(start, start + len(part)))
        assert torch.equal(here.pixels, part.pixels)
        assert torch.equal(here.labels, part.labels), "every image keeps its label"


@pytest.mark.parametrize("name", SOFTMAXES)
def test_gaea_applies_to_every_method_with_a_softmax(name: str) -> None:
    # Without the eigenvalue, which takes as long as many epochs.
    method = make(name, arch_optimizer="eg", arch_lr=0.1, hessian=False, stop_factor="none")
    assert isinstance(method.architecture.distribution, Simplex)
    [(_, metrics)] = trajectory(method, 1)
    theta = method.architecture.distribution.theta
    assert torch.allclose(theta.sum(-1), torch.ones(6), atol=1e-4)
    assert 0 < (theta - 1 / theta.shape[1]).abs().max() < 1
    assert metrics["entropy"] < math.log(theta.shape[1])


@pytest.mark.parametrize(
    ("name", "form"), [("darts", "simplex"), ("gdas", "gumbel_simplex"), ("pc_darts", "simplex")], ids=str
)
def test_a_softmax_on_the_simplex_is_the_search_that_gaea_publishes(name: str, form: str) -> None:
    gaea = {"arch_optimizer": "eg", "arch_lr": 0.1}
    assert shown(name, 1, **gaea) == shown(name, 1, **gaea, parametrisation=form)


def test_probabilities_are_not_looked_for_in_the_logits_of_a_custom_search() -> None:
    class OnLogits(WeightSharing):
        def new_architecture(self, ops: tuple[int, ...], generator: torch.Generator) -> ArchParameters:
            return Mixture(Logits(ops, generator))

    settings = make("gaea_darts_bilevel").settings
    advice = r"eg moves probabilities; .* set arch_optimizer=adam, or let new_architecture return .* Mixture\(Simplex"
    with pytest.raises(UsageError, match=advice):
        OnLogits(settings, SearchContext("digits", Streams(0), digits()))
