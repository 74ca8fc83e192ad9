"""The loop of all weight-sharing searches: every setting matters, and an epoch equals one written out by hand."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from plain import PlainSupernet
from plain_copy import copy_into_plain, pairs
from weight_sharing import digits, make, shown

from nasbench_eval.cell import Cell
from nasbench_eval.methods.weight_sharing import WeightSharing, gradients, search
from nasbench_eval.methods.weight_sharing.scoring import SharedWeights
from nasbench_eval.methods.weight_sharing.selection import Selection
from nasbench_eval.utils.rng import Streams
from runners.steps import take_steps


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("darts", {"zero_op": False}),
        ("darts", {"track_running_stats": False}),
        ("darts", {"order": "architecture_first"}),
        ("darts", {"clip": 0.1}),
        ("darts", {"clip": 0.1, "clip_architecture": False}),
        ("darts", {"nesterov": False}),
        ("darts", {"lr_epochs": 2}),
        ("darts", {"channels": 8}),
        ("darts", {"cells": 2}),
        ("darts", {"objective": "erm"}),
        ("darts", {"arch_warmup_epochs": 1}),
        ("darts", {"partial_channels": 4}),
        ("darts", {"edge_normalisation": True}),
        ("gdas", {"other_weights": False}),
        ("gdas", {"arch_lr": 0.1, "tau_max": 1.0}),
        ("gaea_gdas", {"arch_lr": 1e4, "arch_normalise_first": False}),
        ("gaea_darts", {"arch_entropy_weight": 1.0}),
        ("gaea_darts", {"joint": True}),
        ("xnas", {"reward_bound": 0.01}),
        ("xnas", {"arch_lr": 0.5}),
        ("rs_ws", {"track_running_stats": False, "select_cells": 32}),
        ("rs_ws", {"select_on": "whole"}),
    ],
    ids=str,
)
def test_every_choice_changes_the_search(name: str, change: dict[str, Any]) -> None:
    # Of two values, the last is the one under test; the first only makes its effect visible.
    base = dict(list(change.items())[:-1])
    epochs = 2 if change.keys() & {"lr_epochs", "select_on"} else 1
    assert shown(name, epochs, **base) != shown(name, epochs, **change)


def test_the_best_genotype_is_that_of_the_epoch_with_the_best_validation_accuracy() -> None:
    last, best = shown("darts", 3), shown("darts", 3, genotype="best")
    for (_, before), (_, after) in zip(last, best, strict=True):
        assert {k: v for k, v in before.items() if "after" not in k} == {
            k: v for k, v in after.items() if "after" not in k
        }
    epoch = max(range(3), key=lambda epoch: best[epoch][1]["valid_acc"])
    assert best[-1][0] == last[epoch][0]


def test_the_best_genotype_of_a_mixture_is_judged_by_the_mixture() -> None:
    method, mixtures, cells = make("darts", genotype="best", epochs=3, valid_images=200, lr=0.1), [], []
    for info, _ in take_steps(method):
        mixtures.append(info.metrics["valid_acc"])
        cells.append(method.scoring.evaluate_cell(method.architecture.cell())[1])
        assert method.selection.state_dict()["best_valid"] == max(mixtures)
    assert max(mixtures) != max(cells)


def test_the_best_genotype_of_a_search_that_draws_is_judged_by_the_most_probable_cell() -> None:
    """As GAEA's released code does: an accuracy over random draws would say little about that cell."""
    method = make("gaea_gdas", genotype="best", epochs=3)
    judged = []
    for _ in range(3):
        method.step()
        judged.append((method.scoring.evaluate_cell(method.architecture.cell())[1], method.architecture.cell()))
        assert method.incumbent() == max(judged, key=lambda each: each[0])[1]
    assert len({cell for _, cell in judged}) > 1, "or every choice would be right"


def test_where_the_valid_part_only_observes_the_epoch_is_chosen_on_other_images() -> None:
    """With halves of the training set, the valid part is a part of the official test set."""
    data = dataclasses.replace(digits(), name="cifar100")
    method = make("darts", images=data, genotype="best", bilevel_images="training_set_halves")
    method.step()
    by = {part: dataclasses.replace(method.scoring, images=part) for part in (method.arch, method.valid)}
    chosen, observed = (scoring.evaluate(method.architecture.sample)[1] for scoring in by.values())
    assert method.selection.state_dict()["best_valid"] == chosen != observed


@pytest.mark.parametrize(
    ("name", "joint"), [("darts", {}), ("gaea_darts_bilevel", {}), ("darts_erm", {}), ("gaea_darts", {"joint": True})]
)
def test_an_epoch_equals_a_loop_written_out_with_the_plain_supernet(name: str, joint: dict[str, bool]) -> None:
    """The whole optimisation, not only the network: two batches of weights and architecture steps in plain torch."""
    sizes = {"train_images": 32, "valid_images": 32, **joint}
    method = make(name, **sizes, weight_decay=0.05, clip=0.5)
    s = method.settings
    plain = PlainSupernet(s.channels, s.cells, 10, pooling=True)  # the reduction that digits use
    copy_into_plain(method.supernet, plain)
    parameter = next(iter(method.architecture.parameters())).detach().clone().requires_grad_()
    sgd = torch.optim.SGD(plain.parameters(), s.lr, s.momentum, weight_decay=s.weight_decay, nesterov=s.nesterov)
    adam = torch.optim.Adam([parameter], s.arch_lr, (s.arch_beta1, s.arch_beta2), weight_decay=s.arch_weight_decay)

    def weights() -> torch.Tensor:
        values = parameter.softmax(-1) if s.parametrisation == "softmax" else parameter
        return values if s.zero_op else F.pad(values, (1, 0))

    def weights_step(images: torch.Tensor, labels: torch.Tensor) -> None:
        plain.zero_grad()
        parameter.grad = None
        F.cross_entropy(plain(images, weights()), labels).backward()
        clipped = [*plain.parameters(), *([parameter] if s.clip_architecture else [])]
        torch.nn.utils.clip_grad_norm_(clipped, s.clip)
        sgd.step()

    def architecture_step(images: torch.Tensor, labels: torch.Tensor) -> None:
        if not s.joint:  # then the gradient of the weights step is used
            parameter.grad = None
            F.cross_entropy(plain(images, weights()), labels).backward()
        assert parameter.grad is not None
        if s.arch_optimizer == "adam":
            adam.step()
        else:
            with torch.no_grad():
                moved = parameter * torch.exp(-s.arch_lr * parameter.grad)
                parameter.copy_(moved / moved.sum(-1, keepdim=True))

    batches = list(method._batches(method.train, "weights batches"))
    arch = list(method._batches(method.arch, "architecture batches", like=len(method.train)))
    method.step()
    for (images, labels), (arch_images, arch_labels) in zip(batches, arch, strict=True):
        steps = [(weights_step, images, labels), (architecture_step, arch_images, arch_labels)]
        for step, x, y in steps if s.joint or s.order == "weights_first" else reversed(steps):
            step(x, y)
    ours = next(iter(method.architecture.parameters())).detach()
    start = make(name, **sizes).architecture
    moved = (parameter - next(iter(start.parameters()))).abs().max()
    assert (ours - parameter).abs().max() < 1e-3 * moved
    for where, a, b, rows in pairs(method.supernet, plain):
        if "num_batches" not in where:
            assert torch.allclose(a if rows is None else a[rows], b, rtol=1e-3, atol=2e-4), where


@pytest.mark.parametrize(("name", "expected"), [("rs_ws", [(10, 3), (10, 4), (10, 5)]), ("darts", [(10, 0)] * 3)])
def test_choosing_among_candidates_is_measured_apart_and_counted_once(
    name: str, expected: list[tuple[float, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the released scripts of RS-WS, SETN and ENAS count: all epochs of training, and the last choice."""
    clock = 0.0
    monkeypatch.setattr(search.time, "perf_counter", lambda: clock)
    train, scorer, evaluate = WeightSharing.train_epoch, Selection.scorer, SharedWeights.evaluate

    def later(seconds: float, function: Any, *args: Any) -> Any:
        nonlocal clock
        clock += seconds
        return function(*args)

    monkeypatch.setattr(WeightSharing, "train_epoch", lambda self: later(10, train, self))
    monkeypatch.setattr(
        Selection,
        "scorer",
        lambda self, purpose, epoch: later(3 + epoch if purpose == "selection" else 0, scorer, self, purpose, epoch),
    )
    monkeypatch.setattr(SharedWeights, "evaluate", lambda self, weights: later(100, evaluate, self, weights))
    steps = list(take_steps(make(name)))
    assert [(info.seconds, info.selection_seconds) for info, _ in steps] == expected
    assert [total for _, total in steps] == [sum(e[0] for e in expected[: i + 1]) + expected[i][1] for i in range(3)]


def test_the_entropy_term_draws_the_distribution_to_the_uniform_one() -> None:
    method = make("gaea_darts", arch_entropy_weight=0.5)
    [p] = method.architecture.parameters()
    with torch.no_grad():
        p.copy_(torch.randn(p.shape, generator=Streams(5).torch("test")).softmax(-1))
    p.grad = None
    gradients.add_penalties(method.architecture, method.settings, 0.0)
    # d(-H)/dp = log p + 1: descending it takes from what is likely.
    assert torch.allclose(p.grad, 0.5 * (p.detach().log() + 1), atol=1e-6)


@pytest.mark.parametrize("name", ["rs_ws", "gdas"])
def test_every_epoch_draws_cells_and_batches_of_its_own(name: str) -> None:
    method = make(name)

    def drawn(epoch: int) -> list[torch.Tensor]:
        method.epoch = epoch
        method._begin_epoch()
        samples = torch.stack([method.architecture.sample().values.detach() for _ in range(4)])
        batch, labels = next(method._batches(method.train, "weights batches"))
        return [samples, batch, labels]

    first, second, again = drawn(0), drawn(1), drawn(0)
    for a, b, c in zip(first, second, again, strict=True):
        assert torch.equal(a, c)
        assert not torch.equal(a, b)


def test_every_epoch_chooses_among_candidates_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    method = make("rs_ws")
    candidates, seen = method.architecture.candidates, []

    def noting(*args: object) -> list[Cell]:
        seen.append(candidates(*args))
        return seen[-1]

    monkeypatch.setattr(method.architecture, "candidates", noting)
    for epoch in (0, 1, 0):
        method.selection.choose(epoch, math.nan)
    assert seen[0] == seen[2] != seen[1]
