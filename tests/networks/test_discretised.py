"""Discretised cells evaluated one after another: the same logits as one by one, with less work."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from network_inputs import GEN, batch, difference

from nasbench_eval.cell import Cell
from nasbench_eval.networks.discretised import DiscretisedCells
from nasbench_eval.networks.supernet import Supernet, active_of, one_hot
from nasbench_eval.runs.rank_scores import sample

CELLS = [*(Cell.from_index(index) for index in sample(60)), Cell((0,) * 6), Cell((1, 0, 0, 0, 1, 0))]


def trained(**settings: Any) -> Supernet:
    """A network in evaluation mode whose running statistics are not the initial ones."""
    net = Supernet(4, 2, 10, generator=GEN.torch("weights"), **settings).double()
    net(batch()[0], torch.rand(6, 5, generator=GEN.torch("mixture")).double())
    return net.eval()


@pytest.mark.parametrize("settings", [{}, {"track_running_stats": False}, {"partial_channels": 2}], ids=str)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "edge weights"])
@torch.no_grad()
def test_logits_are_those_of_the_supernet_with_one_hot_weights(settings: dict[str, Any], weighted: bool) -> None:
    net, (images, _) = trained(**settings), batch()
    edges = torch.rand(6, generator=GEN.torch("edges")).double() if weighted else None
    alone = {cell: net(images, one_hot(cell).double(), active_of(cell), edges=edges) for cell in CELLS}
    for cells in (CELLS, sorted(CELLS, key=lambda cell: cell.ops)):
        for cell, logits in zip(cells, net.classify_with(cells, images, edges), strict=True):
            assert difference(logits, alone[cell]) < 1e-10, cell


@pytest.mark.parametrize("settings", [{}, {"partial_channels": 2}], ids=str)
@torch.no_grad()
def test_a_network_can_turn_to_the_statistics_of_each_batch(settings: dict[str, Any]) -> None:
    net, without = trained(**settings), trained(track_running_stats=False, **settings)
    mixture, cell = torch.rand(6, 5, generator=GEN.torch("other mixture")).double(), CELLS[0]
    images, _ = batch()
    assert difference(net(images, mixture), without(images, mixture)) > 1e-3
    net.use_batch_statistics()
    assert difference(net(images, mixture), without(images, mixture)) < 1e-10
    [one], [other] = (network.classify_with([cell], images) for network in (net, without))
    assert difference(one, other) < 1e-10


class Counted:
    """Operations that only write down which were evaluated: on what, on which edge."""

    def __init__(self) -> None:
        self.evaluated: list[tuple[int, int]] = []

    def evaluate_operation(self, edge: int, op: int, node: Any, relu: Any) -> torch.Tensor | None:
        if op == 0:
            return None
        self.evaluated.append((edge, op))
        return node() + edge + 10 * op  # type: ignore[no-any-return]


def test_what_two_cells_begin_with_is_evaluated_once() -> None:
    shared = Counted()
    evaluate = DiscretisedCells(shared, torch.zeros(1))
    evaluate((3, 2, 1, 2, 2, 2))
    assert len(shared.evaluated) == 6
    evaluate((3, 2, 1, 2, 2, 4))
    assert shared.evaluated[6:] == [(5, 4)]
    evaluate((3, 4, 1, 2, 2, 4))  # node 2 is another one, node 1 is the same
    assert sorted(shared.evaluated[7:]) == [(1, 4), (5, 4)]


def test_what_has_no_effect_is_not_evaluated() -> None:
    shared = Counted()
    DiscretisedCells(shared, torch.zeros(1))((3, 2, 1, 2, 0, 0))
    assert shared.evaluated == [(3, 2)]
