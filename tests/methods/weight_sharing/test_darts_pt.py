"""DARTS-PT: edges are decided one by one after the search."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from weight_sharing import make, stored

from nasbench_eval.cell import N_EDGES
from nasbench_eval.errors import UsageError
from nasbench_eval.methods.weight_sharing.darts_pt import due, most_needed, tuning_epochs
from nasbench_eval.methods.weight_sharing.scoring import SharedWeights
from runners.steps import take_steps


@pytest.mark.parametrize("interval", [1, 2, 5])
def test_an_edge_is_decided_every_few_epochs_and_the_last_before_the_last_epoch(interval: int) -> None:
    decided = [due(epoch, interval) for epoch in range(tuning_epochs(interval))]
    assert decided == [epoch // interval + 1 for epoch in range(len(decided) - 1)] + [N_EDGES]


def test_the_operation_without_which_the_supernet_is_worst_is_kept() -> None:
    architecture = make("darts_pt").architecture
    seen = []

    def accuracy(weights) -> float:
        left_out = int((weights.values[2] == 0).nonzero())
        seen.append(left_out)
        assert (weights.values != 0).sum() == 29
        return [50.0, 40.0, 45.0, 30.0, 30.0][left_out]

    assert most_needed(architecture, 2, accuracy) == 3, "the first of two equal ones"
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("name", "genotype", "resumed_after"), [("darts_pt", "best", 4), ("darts_minus", "last", 2)])
def test_after_the_search_edges_are_replaced_one_by_one_and_resumed_searches_agree(
    name: str, genotype: str, resumed_after: int
) -> None:
    """The search has two epochs; five follow, the last of which decides two edges."""
    settings = {"epochs": 2, "selection": "perturbation", "genotype": genotype}
    method, copied, cells = make(name, **settings), None, []
    counts, rates = [], []
    for info, _ in take_steps(method):
        p = method.architecture.probabilities().detach()
        assert info.metrics["entropy"] == float(torch.special.entr(p).sum(-1).mean()), "of what is learned still"
        counts.append(len(method.architecture.decided))
        rates.append(method.optimizer.param_groups[0]["lr"])
        cells.append(method.incumbent())
        if len(counts) == resumed_after:
            copied = make(name, **settings)
            copied.load_state_dict(stored(method.state_dict()))
    assert counts == [0, 0, 1, 2, 3, 4, 6]
    assert rates[2:] == pytest.approx([0.0025] * 5)
    decided = method.architecture.decided
    assert list(decided) != sorted(decided), "in random order"
    assert cells[-1].ops == tuple(decided[edge] for edge in range(N_EDGES))
    weights = method.architecture.sample()
    one_hot = torch.nn.functional.one_hot(torch.tensor(cells[-1].ops), 5).float()
    assert torch.equal(weights.values, one_hot)
    assert weights.active == tuple((op,) if op else () for op in cells[-1].ops)
    for _ in take_steps(copied, done=resumed_after):
        pass
    assert copied.incumbent() == cells[-1]
    both = zip(copied.supernet.parameters(), method.supernet.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in both)


@pytest.mark.parametrize(
    ("change", "part"),
    [({}, "valid"), ({"bilevel_images": "training_set_halves"}, "arch"), ({"objective": "erm"}, "valid")],
)
def test_edges_are_decided_on_the_images_of_the_architecture_step_if_they_are_held_out(
    change: dict[str, str], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the valid part is of the test set, it only observes."""
    method = make("darts_pt", epochs=1, batch_size=16, valid_batch_size=8, **change)
    assert (method.arch is method.valid) == (not change)
    seen = []
    evaluate = SharedWeights.evaluate
    monkeypatch.setattr(SharedWeights, "evaluate", lambda self, weights: seen.append(self) or evaluate(self, weights))
    method.step()
    seen.clear()
    method.step()
    deciding = [each for each in seen if each.batch_statistics]
    assert len(deciding) == 5
    assert {each.batch_size for each in deciding} == {16}, "the statistics of batches as in training"
    assert all(torch.equal(each.images.pixels, getattr(method, part).pixels) for each in deciding)
    assert all(each.images is method.valid for each in seen if not each.batch_statistics)


def test_edges_are_decided_by_accuracy_and_momentum_is_new_after_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    method = make("darts_pt", epochs=1)
    method.step()
    assert method.optimizer.state

    def loss_and_accuracy(self: SharedWeights, weights: Any) -> tuple[float, float]:
        left_out = int((weights().values == 0).nonzero()[0, 1])
        return 1.0 + left_out, 50.0 - left_out

    monkeypatch.setattr(SharedWeights, "evaluate", loss_and_accuracy)
    method._begin_epoch()
    assert list(method.architecture.decided.values()) == [4]
    assert not method.optimizer.state
    monkeypatch.undo()
    method.step()
    method._begin_epoch()
    assert method.optimizer.state


def test_the_skip_connection_that_darts_minus_adds_stays_away_after_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    method = make("darts_minus", epochs=2, selection="perturbation")
    for _ in range(2):
        method.step()
    begin, epochs = method.architecture.begin_epoch, []
    monkeypatch.setattr(
        method.architecture, "begin_epoch", lambda epoch, *rest: epochs.append(epoch) or begin(epoch, *rest)
    )
    method.step()
    assert epochs == [2, 2], "for the decision, then for the training"


def test_what_draws_edge_weights_at_random_is_refused() -> None:
    for name in ("gdas", "snas", "rs_ws"):
        with pytest.raises(UsageError, match="not drawn at random"):
            make(name, selection="perturbation")
    with pytest.raises(UsageError, match="set only one"):
        make("darts_pt", stop_factor=1.3)
