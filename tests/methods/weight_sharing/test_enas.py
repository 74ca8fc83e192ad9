"""ENAS: the controller learns, and one update equals the released one written out in plain torch."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import Categorical
from weight_sharing import make

from nasbench_eval.cell import NOR_CONV_3X3, Cell
from nasbench_eval.methods.weight_sharing.enas import Controller
from nasbench_eval.methods.weight_sharing.selection import Selection
from nasbench_eval.utils.rng import Streams
from runners.spec import RunSpec

NO_NONE = (1, 2, 3, 4)


def generator(purpose: str = "test") -> torch.Generator:
    return Streams(7).torch(purpose)


def test_controller_learns_what_is_rewarded() -> None:
    quick = {"controller_steps": 8, "controller_samples": 8, "arch_lr": 0.1}
    settings = RunSpec("enas", "digits", 0, overrides=quick).settings
    controller = Controller(NO_NONE, settings, generator())
    share = lambda cells: [cell.ops.count(NOR_CONV_3X3) / 6 for cell in cells]  # noqa: E731
    before = share(controller.candidates(100, generator("before")))
    controller.learn(share, generator("first"))  # without an average of earlier rewards only the entropy counts
    found = controller.learn(share, generator("learn"))
    after = share(controller.candidates(100, generator("after")))
    assert sum(before) / 100 < 0.35
    assert sum(after) / 100 > 0.7
    assert 0 < found["reward"] <= 1
    assert 0 < float(controller.entropy()) < 1.387
    state = controller.state_dict()
    other = Controller(NO_NONE, settings, generator("other"))
    other.load_state_dict(state)
    assert other.candidates(5, generator("same")) == controller.candidates(5, generator("same"))


def plain_update(
    policy: Any, cells: list[Cell], accuracies: list[float], average: float | None, settings: Any
) -> tuple[dict[str, torch.Tensor], float]:
    """Do one update as NAS-Bench-201's ENAS.py: one backward pass per sample, then clipping and Adam.

    Returns:
        The parameters after the update, and the baseline of the last sample.
    """
    net = copy.deepcopy(policy)
    betas = (settings.arch_beta1, settings.arch_beta2)
    adam = torch.optim.Adam(net.parameters(), lr=settings.arch_lr, betas=betas, eps=settings.arch_eps)
    for cell, accuracy in zip(cells, accuracies, strict=True):
        inputs, state, logs, entropies = net.start, None, [], []
        for op in cell.ops:
            outputs, state = net.lstm(inputs, state)
            distribution = Categorical(logits=2.5 * torch.tanh(net.head(outputs) / 5.0))
            choice = torch.full((1, 1), NO_NONE.index(op))
            logs.append(distribution.log_prob(choice).view(-1))
            entropies.append(distribution.entropy().view(-1))
            inputs = net.embedding(choice)
        log_prob, entropy = torch.cat(logs).sum(), torch.cat(entropies).sum()
        bonus = entropy if settings.controller_entropy_gradient else entropy.detach()
        reward = accuracy + settings.controller_entropy * bonus
        baseline = torch.tensor(accuracy)
        if average is not None:
            baseline = average - (1 - settings.controller_decay) * (average - reward)
        (-log_prob * (reward - baseline) / len(cells)).backward()
        if settings.controller_baseline == "sample":
            average = float(baseline.detach())
    nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    adam.step()
    return dict(net.named_parameters()), float(baseline.detach())


@pytest.mark.parametrize(
    ("average", "gradient", "moves"),
    [(None, True, "epoch"), (0.3, True, "epoch"), (0.3, False, "epoch"), (0.3, True, "sample")],
)
def test_one_update_of_the_controller_equals_the_released_one(
    average: float | None, gradient: bool, moves: str
) -> None:
    """A large weight of the entropy, so that its gradient shows, where it counts; the baseline moves as it is set."""
    changes = {"controller_steps": 1, "controller_samples": 5, "controller_entropy": 0.5, "arch_lr": 0.01}
    changes |= {"controller_entropy_gradient": gradient, "controller_baseline": moves}
    settings = RunSpec("enas", "digits", 0, overrides=changes).settings
    controller = Controller(NO_NONE, settings, generator())
    controller._baseline = average
    before, seen = copy.deepcopy(controller.policy), []
    for parameter in controller.policy.parameters():
        parameter.grad = torch.ones_like(parameter)  # what an earlier update left behind does not count
    accuracies = [0.1, 0.9, 0.4, 0.6, 0.2]

    def score(cells: list[Cell]) -> list[float]:
        seen.extend(cells)
        return accuracies

    controller.learn(score, generator("learn"))
    expected, baseline = plain_update(before, seen, accuracies, average, settings)
    for name, parameter in controller.policy.named_parameters():
        assert torch.allclose(parameter, expected[name], atol=1e-6), name
    assert controller._baseline == pytest.approx(baseline)


def test_the_gradient_of_the_controller_is_clipped() -> None:
    """Adam takes the same step at any scale, so the gradients are read before it."""
    settings = RunSpec("enas", "digits", 0, overrides={"controller_steps": 1, "controller_samples": 4}).settings
    controller, norms = Controller(NO_NONE, settings, generator()), []
    controller._baseline = 0.0
    controller._optimizer.step = lambda: norms.append(
        float(torch.stack([parameter.grad.norm() for parameter in controller.policy.parameters()]).norm())
    )
    controller.learn(lambda cells: [1e3 * (-1) ** i for i in range(len(cells))], generator("learn"))
    assert norms == [pytest.approx(5.0, rel=1e-4)]


def test_the_controller_starts_as_the_released_one() -> None:
    """First LSTM layer, embedding and output weights within 0.1; the rest at torch's default, within 1 / sqrt(32)."""
    controller = Controller(NO_NONE, RunSpec("enas", "digits", 0).settings, generator())
    largest = {name: float(value.detach().abs().max()) for name, value in controller.policy.named_parameters()}
    small = {"start", "lstm.weight_ih_l0", "lstm.weight_hh_l0", "embedding.weight", "head.weight"}
    assert {name for name, value in largest.items() if value <= 0.1} == small
    assert all(value <= 32**-0.5 for value in largest.values())
    uniform = RunSpec("enas", "digits", 0, overrides={"controller_init": "uniform"}).settings
    everywhere = Controller(NO_NONE, uniform, generator()).policy.parameters()
    assert all(float(value.detach().abs().max()) <= 0.1 for value in everywhere)


@pytest.mark.parametrize(("images", "different"), [("augmented", 4), ("plain", 1)])
def test_cells_are_scored_on_augmented_images_or_on_plain_ones(images: str, different: int) -> None:
    method = make("enas", controller_images=images, epochs=1)
    augment = dataclasses.replace(method.augment, pad=4, flip=True)
    # All images are one batch, which is used over and over.
    scoring = dataclasses.replace(method.scoring, augment=augment, batch_size=len(method.valid))
    seen = []
    method.supernet.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].tolist()))
    selection = Selection(method.settings, method.architecture, scoring, method.streams)
    selection.scorer("controller batches", 0)([Cell((3, 3, 3, 3, 3, 3))] * 4)
    assert len(seen) == 4
    assert len({str(batch) for batch in seen}) == different
