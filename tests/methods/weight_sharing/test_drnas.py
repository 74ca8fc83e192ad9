"""DrNAS: Dirichlet draws against those of torch, and the progressive search against the released code."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions.dirichlet import Dirichlet as TorchDirichlet
from weight_sharing import digits, make, trajectory

from nasbench_eval.cell import Cell
from nasbench_eval.errors import UsageError
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


# The progressive search

STAGES = {"epochs": 4, "arch_warmup_epochs": 1, "stage_two_epoch": 2, "lr_epochs": "none"}


def test_pruning_keeps_the_largest_logits_and_normalises_the_draws_that_are_left() -> None:
    """As ``prune`` and ``process_step_vector`` of the released ``utils.py``, in values and gradients."""
    logits = Logits((0, *NO_NONE), generator())
    with torch.no_grad():
        logits.logits.copy_(torch.randn(6, 5, generator=generator("logits")))
    before = logits.logits.detach().clone()
    drnas = Dirichlet(logits)
    drnas.prune(3)
    best = before.argsort(-1, descending=True)[:, :3]
    mask = torch.zeros(6, 5, dtype=torch.bool).scatter(1, best, True)
    assert torch.equal(logits.logits.detach(), torch.where(mask, before, torch.zeros(())))
    drnas.begin_epoch(0, 0, generator("one"), torch.device("cpu"))
    found = drnas.sample()
    weight = torch.rand(6, 5, generator=generator("weight"))
    (found.values * weight).sum().backward()

    theirs = nn.Parameter(logits.logits.detach().clone())
    alpha = F.elu(theirs) + 1
    drawn = torch._sample_dirichlet(alpha.detach(), generator=generator("one")).requires_grad_()
    pruned = torch.zeros_like(drawn)
    pruned[mask] = drawn[mask]
    pruned = torch.stack([row / row.sum() for row in pruned])
    assert torch.allclose(found.values, pruned, atol=1e-7)
    (to_draw,) = torch.autograd.grad((pruned * weight).sum(), drawn)
    from torch.distributions.dirichlet import _Dirichlet_backward

    (gradient,) = torch.autograd.grad(alpha, theirs, _Dirichlet_backward(drawn.detach(), alpha.detach(), to_draw))
    assert torch.allclose(logits.logits.grad, gradient, atol=1e-6)
    assert logits.logits.grad[~mask].abs().max() < 1e-7
    # `none` is never evaluated, kept or not.
    assert found.active == tuple(tuple(op for op in range(1, 5) if mask[edge, op]) for edge in range(6))
    with torch.no_grad():
        logits.logits[~mask] = 100.0  # momentum may still move them
    assert all(mask[edge, op] for edge, op in enumerate(drnas.cell().ops))
    assert float(drnas.entropy()) <= torch.tensor(3.0).log()


def released_widening(conv: nn.Conv2d, inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
    """``InChannelWider`` and ``OutChannelWider`` of the released ``net2wider.py``, channel by channel."""
    rows, columns = [*range(conv.out_channels), *outputs.tolist()], [*range(conv.in_channels), *inputs.tolist()]
    return torch.stack([torch.stack([conv.weight[o, i] for i in columns]) for o in rows]).detach().clone()


def test_the_second_stage_copies_channels_with_their_statistics_and_momentum() -> None:
    method = make("drnas_progressive", **STAGES)
    trajectory(method, 2)
    cell, draws = method.supernet.stages[1][0], Streams(0).torch("second stage")
    for _ in method.supernet.stages[0][0].convs:  # the draws of the first cell
        torch.randint(1, (1,), generator=draws), torch.randint(1, (1,), generator=draws)
    expected: dict[str, tuple[Any, ...]] = {}
    for name, (conv, norm) in cell.convs.items():
        assert conv.in_channels == 2
        inputs, outputs = (torch.randint(2, (2,), generator=draws) for _ in range(2))
        momentum = method.optimizer.state[conv.weight]["momentum_buffer"]
        like = nn.Conv2d(2, 2, conv.kernel_size)
        like.weight.data = momentum
        kernels = released_widening(conv, inputs, outputs), released_widening(like, inputs, outputs)
        of = [0, 1, *outputs.tolist()]
        expected[name] = (*kernels, conv.bias[of].detach().clone(), norm.running_mean[of], norm.running_var[of])
    assert {p.shape[0] for p in cell.parameters()} == {2}
    method._enter_stage_of(2)
    for name, (conv, norm) in cell.convs.items():
        momentum = method.optimizer.state[conv.weight]["momentum_buffer"]
        found = (conv.weight, momentum, conv.bias, norm.running_mean, norm.running_var)
        assert all(torch.equal(a, b) for a, b in zip(found, expected[name], strict=True)), name
        assert (conv.in_channels, conv.out_channels, norm.num_features) == (4, 4, 4)
    # Half of the channels now go through the operations: with every weight zero the others pass alone.
    x = torch.randn(2, 8, 4, 4, generator=generator("x"))
    nodes = [x]
    for count in (1, 2, 3):
        passed = [F.channel_shuffle(torch.cat([torch.zeros_like(n[:, :4]), n[:, 4:]], 1), 2) for n in nodes[:count]]
        nodes.append(sum(passed))
    assert torch.equal(cell(x, torch.zeros(6, 5), ((),) * 6), nodes[-1])


def test_the_learning_rate_is_that_of_the_released_schedulers() -> None:
    method = make("drnas_progressive", **STAGES | {"epochs": 100, "stage_two_epoch": 50, "arch_warmup_epochs": 10})
    s, weight, expected = method.settings, nn.Parameter(torch.zeros(1)), []
    scheduler: Any = None
    for stage in range(2):
        optimizer = torch.optim.SGD([weight], s.lr, momentum=0.9)
        new = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100.0, eta_min=s.lr_min)
        if stage:
            new.load_state_dict(scheduler.state_dict())
        scheduler = new
        for _ in range(50):
            expected.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    found = []
    for epoch in range(100):
        method.epoch = epoch
        method._enter_stage_of(epoch)
        method._set_lr()
        found.append(method.optimizer.param_groups[0]["lr"])
        assert (next(iter(method._batch_pairs()))[1] is None) == (epoch % 50 < 10)
    assert found == pytest.approx(expected, rel=1e-9)
    assert found[50] == s.lr > 1.8 * found[49]


@pytest.mark.parametrize("stop", [2, 3])
def test_a_progressive_search_goes_on_in_either_stage_and_its_supernet_is_read_back(stop: int) -> None:
    whole = make("drnas_progressive", **STAGES)
    shown = trajectory(whole, 4)
    first = make("drnas_progressive", **STAGES)
    trajectory(first, stop)
    resumed = make("drnas_progressive", **STAGES)
    resumed.load_state_dict(first.state_dict())
    assert trajectory(resumed, 4 - stop) == shown[stop:]
    cells = [Cell((3,) * 6), Cell((1, 2, 3, 4, 1, 0))]
    fresh = make("drnas_progressive", **STAGES)
    assert list(fresh.score_cells(whole.artifact(), cells)) == list(whole.score_cells(whole.artifact(), cells))


def test_halves_of_the_training_set_train_weights_and_architecture() -> None:
    images = digits()
    method = make("drnas_progressive", images=images, train_images="none", bilevel_images="training_set_halves")
    both = torch.cat([method.train.pixels, method.arch.pixels])
    assert abs(len(method.train) - len(method.arch)) <= 1
    assert sorted(map(bytes, both.flatten(1).numpy())) == sorted(map(bytes, images.train.pixels.flatten(1).numpy()))
    assert "architecture on the other" in method.facts["split"]
    # On CIFAR-10 the parts are the halves.
    plain = make("drnas", images=dataclasses.replace(images, name="cifar10"), bilevel_images="training_set_halves")
    assert plain.arch is plain.valid


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"stage_two_epoch": 4}, "must be smaller than epochs"),
        ({"stage_two_epoch": 1}, "must be smaller than both stages"),
        ({"stage_two_epoch": 3}, "must be smaller than both stages"),
        ({"stage_two_partial_channels": 3}, "must be a multiple of stage_two_partial_channels"),
    ],
)
def test_impossible_stages_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make("drnas_progressive", **STAGES | wrong)
