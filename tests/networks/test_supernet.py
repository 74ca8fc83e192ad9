"""The fused supernet against the plain form: same parameters, same logits, gradients and statistics."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from network_inputs import GEN, batch, difference
from plain_copy import both, pairs

from nasbench_eval.cell import NONE, Cell
from nasbench_eval.images import Reduction
from nasbench_eval.networks import pooling
from nasbench_eval.networks.fused_cell import FusedCell
from nasbench_eval.networks.skeleton import REDUCTIONS
from nasbench_eval.networks.supernet import ALL_OPS, Supernet, active_of, one_hot

WITH_NONE = tuple(tuple(range(5)) for _ in range(6))


def mixed() -> torch.Tensor:
    return torch.randn(6, 5, generator=GEN.torch("weights")).double().softmax(-1)


CELLS = [Cell.random(GEN.numpy("cells", i)) for i in range(6)]
CASES = {
    "mixed": (None, ALL_OPS),
    **{f"one-hot {cell.index}": (cell, active_of(cell)) for cell in CELLS},
    "all none": (Cell((NONE,) * 6), active_of(Cell((NONE,) * 6))),
    "all 3x3": (Cell((3,) * 6), active_of(Cell((3,) * 6))),
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("track", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_equals_the_plain_form_in_training(case: str, track: bool, reduction: Reduction) -> None:
    cell, active = CASES[case]
    fused, plain = both(track=track, reduction=reduction)
    images, labels = batch()
    ours_w = (mixed() if cell is None else one_hot(cell).double()).requires_grad_()
    theirs_w = ours_w.detach().clone().requires_grad_()
    ours = fused(images, ours_w, active)
    theirs = plain(images, theirs_w, sampled=cell is not None)
    assert difference(ours, theirs) < 1e-10
    F.cross_entropy(ours, labels).backward()
    F.cross_entropy(theirs, labels).backward()
    # Edge weights have a gradient where the operation was evaluated; `none` outputs zero, so its gradient is zero.
    expected = theirs_w.grad if theirs_w.grad is not None else torch.zeros_like(theirs_w)
    assert torch.allclose(ours_w.grad, expected, atol=1e-12)
    compared = 0
    for name, a, b, rows in pairs(fused, plain):
        if "num_batches" in name:
            continue
        if a.requires_grad:
            got = torch.zeros_like(a) if a.grad is None else a.grad
            want = torch.zeros_like(b) if b.grad is None else b.grad
        else:
            got, want = a, b
        got = got if rows is None else got[rows]
        assert torch.allclose(got, want, rtol=1e-8, atol=1e-11), name
        compared += 1
    assert compared > {"residual": 100, "pooling": 90}[reduction]


@pytest.mark.parametrize("track", [True, False])
@pytest.mark.parametrize("case", ["mixed", f"one-hot {CELLS[0].index}", "all none"])
def test_equals_the_plain_form_in_evaluation(case: str, track: bool) -> None:
    cell, active = CASES[case]
    fused, plain = both(track=track)
    images, _ = batch()
    weights = mixed() if cell is None else one_hot(cell).double()
    for _ in range(3):  # move the running statistics away from their initial values
        fused(images * 1.5 + 0.2, mixed(), ALL_OPS)
        plain(images * 1.5 + 0.2, mixed())
    fused.eval()
    plain.eval()
    assert difference(fused(images, weights, active), plain(images, weights, sampled=cell is not None)) < 1e-10


def test_the_difference_in_float32_is_rounding_noise() -> None:
    fused, plain = both()
    fused, plain = fused.float(), plain.float()
    images, labels = (batch()[0].float(), batch()[1])
    a, b = mixed().float().requires_grad_(), mixed().float().requires_grad_()
    ours, theirs = fused(images, a), plain(images, b)
    assert difference(ours, theirs) < 1e-4
    F.cross_entropy(ours, labels).backward()
    F.cross_entropy(theirs, labels).backward()
    assert difference(a.grad, b.grad) < 1e-3


def test_the_form_for_gpus_is_the_same_function(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = batch()
    results = []
    for on_cpu in (True, False):
        monkeypatch.setattr(pooling, "_as_convolution", lambda x, on_cpu=on_cpu: on_cpu)
        net, weights = both()[0].float(), mixed().float().requires_grad_()
        logits = net(images.float(), weights)
        F.cross_entropy(logits, labels).backward()
        results.append((logits, weights.grad, *net.buffers()))
    for one, other in zip(*results, strict=True):
        assert difference(one, other) < 1e-4


def test_kernels_and_biases_begin_with_torchs_default_for_convolutions() -> None:
    net = Supernet(16, 1, 10, generator=GEN.torch("initial"))
    cells = [module for module in net.modules() if isinstance(module, FusedCell)]
    assert len(cells) == 3
    for cell in cells:
        for name, kernel in cell.kernels.items():
            bound = kernel[0].numel() ** -0.5
            for values in (kernel, cell.biases[name]):
                assert 0.8 * bound < values.abs().max() <= bound
                assert abs(values.mean()) < 0.3 * bound


def test_zero_weight_and_inactive_are_the_same_function() -> None:
    fused, _ = both()
    images, _ = batch()
    cell = CELLS[1]
    dense = fused(images, one_hot(cell).double(), WITH_NONE)
    assert difference(fused(images, one_hot(cell).double(), active_of(cell)), dense) < 1e-10


def test_offsets_are_added_to_every_value_of_an_edge() -> None:
    fused, _ = both(cells=1)
    images, labels = batch()
    offsets = torch.zeros(6).double().requires_grad_()
    weights = one_hot(CELLS[2]).double()
    F.cross_entropy(fused(images, weights, active_of(CELLS[2]), offsets), labels).backward()
    # The central difference of the loss for each edge.
    for edge in range(6):
        losses = []
        for step in (1e-5, -1e-5):
            moved = torch.zeros(6).double()
            moved[edge] = step
            losses.append(F.cross_entropy(fused(images, weights, active_of(CELLS[2]), moved), labels).item())
        assert offsets.grad[edge].item() == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-4, abs=1e-8)


def test_an_architecture_step_computes_only_architecture_gradients() -> None:
    fused, _ = both()
    images, _ = batch()
    weights = mixed().requires_grad_()
    fused(images, weights).sum().backward()
    full = weights.grad.clone()
    fused.zero_grad()
    fused.requires_grad_(False)
    weights.grad = None
    fused(images, weights).sum().backward()
    assert torch.allclose(weights.grad, full)
    assert all(p.grad is None for p in fused.parameters())
