"""RobustDARTS: the largest eigenvalue against the exact Hessian, and the early stop against the released rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from network_inputs import GEN, batch
from plain_copy import both
from weight_sharing import make

from nasbench_eval.methods.weight_sharing import gradients, search
from nasbench_eval.methods.weight_sharing.robust_darts import largest_eigenvalue, stop_epoch
from runners.steps import take_steps


def test_the_eigenvalue_is_that_of_the_exact_hessian_of_the_plain_supernet() -> None:
    fused, plain = both(channels=2, cells=1)
    images, labels = batch()
    logits = torch.randn(6, 5, generator=GEN.torch("logits")).double().requires_grad_()
    start = logits.detach().clone()
    fused.requires_grad_(False)
    found = largest_eigenvalue(
        lambda: torch.autograd.grad(F.cross_entropy(fused(images, logits.softmax(-1)), labels), logits), [logits]
    )
    exact = torch.autograd.functional.hessian(
        lambda a: F.cross_entropy(plain(images, a.view(6, 5).softmax(-1)), labels), start.view(-1)
    )
    assert found == pytest.approx(np.linalg.eigvalsh(exact.numpy())[-1], rel=1e-3)
    assert torch.equal(logits, start)


def test_the_diagnostic_changes_neither_the_search_nor_the_running_statistics() -> None:
    watched, unwatched = make("darts_es"), make("darts")
    metrics = dict(watched.step().metrics)
    assert np.isfinite(metrics.pop("eigenvalue"))
    assert metrics == dict(unwatched.step().metrics)
    for name, value in watched.supernet.state_dict().items():
        assert torch.equal(value, unwatched.supernet.state_dict()[name]), name


def test_the_eigenvalue_has_the_weight_decay_of_adam_and_the_statistics_of_its_batch() -> None:
    def found(**changes: Any) -> float:
        method = make("darts", **changes)
        batch = next(method._batches(method.arch, "hessian batch"))
        for name, values in method.supernet.named_buffers():
            if "var" in name:
                values.mul_(4.0)  # what running statistics say does not count
        return gradients.eigenvalue(method.architecture, method.supernet, method.settings, batch)

    method = make("darts", arch_weight_decay=0.0)
    images, labels = next(method._batches(method.arch, "hessian batch"))
    network = method.supernet.double().train()
    logits = method.architecture.distribution.logits.detach().double().requires_grad_()
    plain = largest_eigenvalue(
        lambda: torch.autograd.grad(F.cross_entropy(network(images.double(), logits.softmax(-1)), labels), logits),
        [logits],
    )
    assert found(arch_weight_decay=0.5) == pytest.approx(plain + 0.5, rel=1e-6)
    assert found(arch_weight_decay=0.5, arch_optimizer="eg") == found(arch_weight_decay=0.0, arch_optimizer="eg")


class Released:
    """The rule of the released ``EVLocalAvg``, with an eigenvalue after every second epoch, written down once more."""

    def __init__(self) -> None:
        self.ev, self.averages = [], []

    def stops(self, epoch: int, value: float, factor: float, first: int) -> int | None:
        if epoch % 2:
            return None
        self.ev.append(value)
        if len(self.ev) < 3:
            return None
        self.averages.append(np.mean(self.ev[-5:]))
        kept = epoch - 2 * 2 - 2 * 4
        return kept if kept >= first and self.averages[-1] / self.averages[-5] > factor else None


@pytest.mark.parametrize("first", [0, 10])
def test_the_search_stops_when_the_released_rule_does(first: int) -> None:
    rng, stopped = np.random.default_rng(0), set()
    for _ in range(100):
        values = np.exp(np.cumsum(rng.normal(0.02, 0.15, 49))).tolist()
        released = Released()
        for epoch in range(49):
            expected = released.stops(epoch, values[epoch], 1.3, first)
            assert stop_epoch(values[: epoch + 1], 1.3, first) == expected
            if expected is not None:
                stopped.add(expected)
                break
    assert len(stopped) > 5
    assert min(stopped) == first


def test_a_search_that_stops_early_ends_with_the_cell_of_the_epoch_that_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    growing = iter([1.0] * 6 + [9.0] * 10)  # one for every second epoch
    monkeypatch.setattr(search, "eigenvalue", lambda *_: next(growing))
    settings: dict[str, Any] = {"hessian": False, "epochs": 20, "stop_from": 0, "lr_epochs": "none"}
    method = make("darts_es", **settings)
    cells, measured, seen = [], [], 0
    for seen, (info, _) in enumerate(take_steps(method), start=1):
        cells.append(method.incumbent())
        measured.append("eigenvalue" in info.metrics)
        if seen == 3:  # go on from a checkpoint
            state, method_2 = method.state_dict(), make("darts_es", **settings)
            method_2.load_state_dict(state)
            assert method_2.budget == method.budget
    assert seen == 13, "nine is more than 1.3 times the average of before"
    assert measured == [True, False] * 6 + [True]
    assert cells[-1] == cells[0]
    assert method.state_dict()["stopped"]


def test_the_last_epoch_keeps_its_own_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule would end this search after its last epoch, with the cell of the first: it has ended anyway."""
    growing = iter([1.0] * 6 + [9.0])
    monkeypatch.setattr(search, "eigenvalue", lambda *_: next(growing))
    method = make("darts_es", hessian=False, epochs=13, stop_from=0, lr_epochs="none")
    cells = [method.incumbent() for _ in take_steps(method)]
    assert cells[-1] == method.architecture.cell() != cells[0]
    assert not method.state_dict()["stopped"]
