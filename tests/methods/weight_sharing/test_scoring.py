"""Scores with shared weights: on which images, and with which statistics."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
import torch.nn.functional as F
from weight_sharing import make

from nasbench_eval.cell import Cell
from nasbench_eval.utils.rng import Streams


def test_candidates_are_scored_on_one_batch_after_the_other() -> None:
    method = make("rs_ws")
    images = method.valid.subset(torch.arange(13))
    scoring = dataclasses.replace(method.scoring, images=images, batch_size=5)
    seen: list[torch.Tensor] = []
    method.supernet.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    score = scoring.on_one_batch_each(Streams(5).torch("test"))
    score([Cell.from_index(i) for i in (1, 2, 3)])
    score([Cell.from_index(i) for i in (4, 5)])
    assert [len(pixels) for pixels in seen] == [5] * 5, "the smaller last batch is dropped"
    assert torch.equal(seen[0], seen[2])
    assert torch.equal(seen[1], seen[3])
    assert torch.equal(seen[0], seen[4])
    plain = method.augment.plain(images.pixels)
    used = [[next(i for i, one in enumerate(plain) if torch.equal(one, image)) for image in part] for part in seen[:2]]
    assert len({i for part in used for i in part}) == 10, "two batches without a common image"
    assert sorted(used[0] + used[1]) != used[0] + used[1], "shuffled"


def test_a_batch_larger_than_the_images_holds_them_all() -> None:
    method = make("rs_ws")
    images, cell = method.valid.subset(method.valid.labels.argsort()[:4]), Cell((3,) * 6)
    scoring = dataclasses.replace(method.scoring, images=images, batch_size=5)
    for module in method.supernet.modules():
        if isinstance(module, torch.nn.Linear):  # every image gets the label of the first
            module.bias.data[images.labels[0]] += 1000
    expected = float((images.labels == images.labels[0]).sum()) / 4
    assert expected > 0
    assert scoring.on_one_batch_each(Streams(5).torch("test"))([cell]) == [expected]


@pytest.mark.parametrize("name", ["darts", "pc_darts"])
def test_cells_together_have_the_scores_of_each_alone(name: str) -> None:
    """Also where edges have weights, as in PC-DARTS; without them the losses would be others."""
    method = make(name)
    method.step()
    with torch.no_grad():
        for parameter in method.architecture.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=Streams(0).torch("edges")))
    cells = [Cell.from_index(i) for i in (7, 1462, 9930)]
    for together, cell in zip(method.scoring.evaluate_cells(cells), cells, strict=True):
        assert together == pytest.approx(method.scoring.evaluate_cell(cell), rel=1e-4)


def test_batch_statistics_normalise_as_in_training() -> None:
    method = make("darts", track_running_stats=True)
    method.step()
    scoring = dataclasses.replace(method.scoring, batch_size=len(method.valid))
    twin = copy.deepcopy(method.supernet).train()
    weights = method.architecture.sample()
    with torch.no_grad():
        logits = twin(method.augment.plain(method.valid.pixels), *weights)
    in_training = F.cross_entropy(logits, method.valid.labels).item()
    running = scoring.evaluate(lambda: weights)[0]
    batch = dataclasses.replace(scoring, batch_statistics=True).evaluate(lambda: weights)[0]
    assert batch == pytest.approx(in_training, rel=1e-5)
    assert running != pytest.approx(in_training, rel=1e-3)
