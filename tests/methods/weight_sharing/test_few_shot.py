"""Few-shot NAS: the supernet is split on one edge, and each cell is scored with the supernet of its operation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from weight_sharing import make, stored

from nasbench_eval.cell import N_OPS, Cell
from nasbench_eval.methods.weight_sharing import WeightSharing
from nasbench_eval.methods.weight_sharing.few_shot import Split
from nasbench_eval.networks.supernet import Supernet
from runners.steps import take_steps

EPOCHS, OF_EACH, EDGE = 1, 2, 1
LENGTH = EPOCHS + OF_EACH * N_OPS
CELLS = [Cell((4, 3, 2, 1, 3, 1)).with_ops({EDGE: op}) for op in range(N_OPS)]
STOPS = (EPOCHS, EPOCHS + 3, EPOCHS + OF_EACH * (N_OPS - 1))
"""After the search, within the second supernet, and before the last one."""


def search(**changes: Any) -> WeightSharing:
    sizes = {"train_images": 12, "valid_images": 8, "select_cells": 2, "evolution_population": 2}
    return make("few_shot", epochs=EPOCHS, split_edge=EDGE, split_epochs=OF_EACH, **sizes, **changes)


def weights(network: torch.nn.Module) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in network.state_dict().values()]


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@dataclass
class Seen:
    """A whole search and what it did."""

    method: WeightSharing
    split: list[torch.Tensor] = field(default_factory=list)
    begun: list[tuple[bool, bool]] = field(default_factory=list)
    trained: list[tuple[int, int]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    kept: list[tuple[float, float]] = field(default_factory=list)
    states: dict[int, Any] = field(default_factory=dict)
    evolved: list[int] = field(default_factory=list)
    waiting: list[set[Supernet]] = field(default_factory=list)


@pytest.fixture(scope="module")
def seen() -> Seen:
    """Search once, and record it."""
    method = search()
    seen = Seen(method)
    continuation, forward, evolved = method._continuation, method.supernet.forward, method.selection._evolved
    assert isinstance(continuation, Split)
    begin = continuation.begin

    def recorded_begin(epoch: int) -> bool:
        if epoch == 0:
            seen.split = weights(method.supernet)
        anew = begin(epoch)
        seen.begun.append((anew, equal(weights(method.supernet), seen.split)))
        return anew

    def recorded_forward(images: torch.Tensor, values: torch.Tensor, *rest: Any) -> torch.Tensor:
        if method.supernet.training:
            seen.trained.append((method.epoch, int(values[EDGE].argmax())))
        return forward(images, values, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(continuation, "begin", recorded_begin)
        patch.setattr(method.supernet, "forward", recorded_forward)
        patch.setattr(method.selection, "_evolved", lambda epoch: (seen.evolved.append(epoch), evolved(epoch))[1])
        for _ in take_steps(method):
            seen.rates.append(method.optimizer.param_groups[0]["lr"])
            if method.epoch in STOPS:
                seen.states[method.epoch] = stored(method.state_dict())
            number, rest = divmod(method.epoch - EPOCHS, OF_EACH)
            if number and not rest:
                seen.kept.append(method.scoring.evaluate_cell(CELLS[number - 1]))
                seen.waiting.append({continuation.supernet_of(cell) for cell in CELLS[number:]})
    return seen


def test_each_supernet_starts_from_the_one_that_was_split_and_trains_only_cells_with_its_operation(seen: Seen) -> None:
    assert seen.begun == [(True, True), (False, False)] * N_OPS
    for epoch, op in seen.trained:
        assert epoch < EPOCHS or op == (epoch - EPOCHS) // OF_EACH
    assert {epoch for epoch, _ in seen.trained} == set(range(LENGTH))


def test_the_learning_rate_falls_anew_for_each_supernet(seen: Seen) -> None:
    s = seen.method.settings
    assert seen.rates == pytest.approx([s.lr] * EPOCHS + [s.lr, (s.lr + s.lr_min) / 2] * N_OPS)


def test_each_cell_is_scored_with_the_supernet_of_its_operation(seen: Seen) -> None:
    scoring = seen.method.scoring
    assert list(scoring.evaluate_cells(CELLS)) == [pytest.approx(kept, rel=1e-4) for kept in seen.kept]
    assert len({loss for loss, _ in seen.kept}) == N_OPS
    # A batch is the whole valid part here.
    one_batch = scoring.on_one_batch_each(torch.Generator().manual_seed(0))(CELLS)
    assert [100 * accuracy for accuracy in one_batch] == pytest.approx([accuracy for _, accuracy in seen.kept])


def test_until_its_supernet_is_trained_a_cell_is_scored_with_the_one_that_was_split(seen: Seen) -> None:
    for networks in seen.waiting[:-1]:
        [network] = networks
        assert network is not seen.method.supernet
        assert equal(weights(network), seen.split)


def test_cells_evolve_after_the_search_and_after_the_last_supernet(seen: Seen) -> None:
    assert seen.evolved == [EPOCHS - 1, LENGTH - 1]


@pytest.mark.parametrize("stop", STOPS)
def test_a_search_resumed_in_any_part_continues_as_if_never_stopped(seen: Seen, stop: int) -> None:
    resumed = search()
    resumed.load_state_dict(seen.states[stop])
    for _ in take_steps(resumed, done=stop):
        pass
    assert resumed.incumbent() == seen.method.incumbent()
    assert equal(weights(resumed.supernet), weights(seen.method.supernet))
    assert list(resumed.scoring.evaluate_cells(CELLS)) == list(seen.method.scoring.evaluate_cells(CELLS))


def test_what_the_search_leaves_scores_cells_as_it_did(seen: Seen) -> None:
    artifact = stored(seen.method.artifact())
    assert list(search().score_cells(artifact, CELLS)) == list(seen.method.scoring.evaluate_cells(CELLS))


def test_without_uniform_cells_nothing_is_split() -> None:
    method = make("darts", split_edge=1)
    assert method.settings.steps == method.settings.epochs
