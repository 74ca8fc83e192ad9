"""FairNAS: strict fairness, and the sum of the gradients of one step."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from weight_sharing import make

CPU = torch.device("cpu")


def test_a_step_has_every_operation_of_every_edge_exactly_once() -> None:
    architecture = make("fair_nas").architecture
    architecture.begin_epoch(0, 200, torch.Generator().manual_seed(0), CPU)
    first = torch.zeros(5)
    for _ in range(200):
        samples = architecture.weights_samples(None)
        assert torch.equal(sum(sample.values for sample in samples), torch.ones(6, 5))
        assert all(
            sample.active == tuple((op,) if op else () for op in ops)
            for sample in samples
            for ops in [sample.values.argmax(-1).tolist()]
        )
        first += samples[0].values.sum(0)
    # 1,200 draws of each: the standard error is 0.0115.
    assert torch.allclose(first / 1200, torch.full((5,), 0.2), atol=0.04)


def test_the_weights_move_by_the_sum_of_the_gradients_of_its_cells() -> None:
    method, other = make("fair_nas", clip="none"), make("fair_nas", clip="none")
    for each in (method, other):
        each._begin_epoch()
        each._set_lr()
        each.supernet.train()
    batch = next(method._batches(method.train, "weights batches"))
    totals = method.iteration().weights_step(batch)
    losses = []
    for weights in other.architecture.weights_samples(None):
        losses.append(F.cross_entropy(other.supernet(batch[0], *weights), batch[1]))
    torch.stack(losses).sum().backward()
    other.optimizer.step()
    for ours, theirs in zip(method.supernet.parameters(), other.supernet.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    assert torch.allclose(totals[0], torch.stack(losses).mean() * len(batch[1]), rtol=1e-5)
