"""Forward and backward passes that are recorded once and repeated, as on a GPU, give what single ones give.

Without a GPU a record is run again as Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from weight_sharing import NEEDS_GPU, make

from nasbench_eval.methods.weight_sharing import passes
from nasbench_eval.methods.weight_sharing.passes import Passes


class Recorder:
    """Records as a GPU does: what is done later is done again, on the memory of the first time."""

    def __init__(self) -> None:
        self.recorded = self.repeated = 0

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        self.recorded += 1

        def repeat() -> None:
            self.repeated += 1
            work()

        return repeat


def _searched(name: str, monkeypatch: pytest.MonkeyPatch, recorder: Recorder | None, **changes: Any) -> Any:
    monkeypatch.setattr(passes, "BEFORE", 1)
    search = make(name, batch_size=5, **changes)
    search.capture = recorder
    metrics = [search.step().metrics for _ in range(2)]
    state = search.state_dict()
    return metrics, state["supernet"], state["architecture"], state["optimizer"]["state"]


SEARCHES = pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("gaea_darts", {}),
        ("gaea_darts", {"joint": True}),
        ("darts", {"clip_architecture": True}),
        ("pc_darts", {}),
        ("gdas", {"arch_lr": 50.0}),
        ("lambda_darts", {}),
        ("fair_darts", {}),
    ],
    ids=str,
)


@SEARCHES
def test_a_recorded_pass_gives_what_a_single_one_gives(
    name: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _searched(name, monkeypatch, None, **changes)
    recorder = Recorder()
    found = _searched(name, monkeypatch, recorder, **changes)
    assert recorder.repeated > recorder.recorded > 0
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


def test_a_record_without_edge_weights_is_not_taken_where_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "BEFORE", 0)
    search = make("gaea_darts")
    batch = next(search._batches(search.train, "weights batches"))
    without = search.architecture.sample()
    without = without._replace(values=without.values.detach())
    recorded, single = Passes(search.supernet, Recorder()), Passes(search.supernet)
    for weights in (without, without._replace(edges=torch.linspace(0.1, 0.9, 6))):
        assert torch.equal(recorded(batch, weights, train=True), single(batch, weights, train=True))


@NEEDS_GPU
@SEARCHES
def test_graphs_of_a_gpu_give_what_single_passes_give(name: str, changes: dict[str, Any]) -> None:
    found = []
    for recorded in (True, False):
        search = make(name, batch_size=4, device="cuda", **changes)
        search.capture = search.capture if recorded else None
        search.step()
        state = search.state_dict()
        found.append((state["supernet"], state["architecture"], state["optimizer"]["state"]))
    torch.testing.assert_close(*found, rtol=0, atol=0)


@NEEDS_GPU
@pytest.mark.parametrize("name", ["gaea_darts", "darts", "gdas", "pc_darts"])
def test_gradients_on_a_gpu_are_those_on_a_cpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    found = [gradients(name, device) for device in ("cuda", "cpu")]
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-5)


def gradients(name: str, device: str) -> dict[str, torch.Tensor]:
    """The gradients of one pass through a network with several cells a stage."""
    search = make(name, cells=3, device=device)
    search._begin_epoch()
    search.supernet.train()
    batch = next(search._batches(search.train, "weights batches"))
    Passes(search.supernet)(batch, search.architecture.sample(), train=True)
    learned = [*search.supernet.named_parameters(), *search.architecture.named_parameters()]
    return {key: parameter.grad.cpu() for key, parameter in learned if parameter.grad is not None}


def test_gradients_of_one_pass_are_there() -> None:
    found = gradients("gaea_darts", "cpu")
    assert found["distribution.theta"].abs().min() > 0
    assert found["stem.0.weight"].abs().max() > 0
