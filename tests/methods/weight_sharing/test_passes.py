"""Forward and backward passes that are recorded once and repeated, as on a GPU, give what single ones give.

Here a record is run again as Python; that CUDA records and repeats kernels is checked by ``benchmarks/gpu.sh``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from weight_sharing import make

from nasbench_eval.methods.weight_sharing import passes


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


@pytest.mark.parametrize(
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
def test_a_recorded_pass_gives_what_a_single_one_gives(
    name: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _searched(name, monkeypatch, None, **changes)
    recorder = Recorder()
    found = _searched(name, monkeypatch, recorder, **changes)
    assert recorder.repeated > recorder.recorded > 0
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
