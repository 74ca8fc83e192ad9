"""ENAS: the controller learns."""

from __future__ import annotations

import torch

from nasbench_eval.cell import NOR_CONV_3X3
from nasbench_eval.methods.weight_sharing.enas import Controller
from nasbench_eval.utils.rng import Streams
from runners.spec import RunSpec

NO_NONE = (1, 2, 3, 4)


def generator(purpose: str = "test") -> torch.Generator:
    return Streams(7).torch(purpose)


def test_controller_learns_what_is_rewarded() -> None:
    quick = {"controller_steps": 15, "controller_samples": 10, "arch_lr": 0.08}
    settings = RunSpec("enas", "digits", 0, overrides=quick).settings
    controller = Controller(NO_NONE, settings, generator())
    share = lambda cells: [cell.ops.count(NOR_CONV_3X3) / 6 for cell in cells]  # noqa: E731
    before = share(controller.candidates(100, generator("before")))
    found = controller.learn(share, generator("learn"))
    after = share(controller.candidates(100, generator("after")))
    assert sum(before) / 100 < 0.35
    assert sum(after) / 100 > 0.7
    assert 0 < found["reward"] <= 1
    assert 0 < float(controller.entropy()) < 1.387
    state = controller.state_dict()
    other = Controller(NO_NONE, settings, generator("other"))
    other.load_state_dict(state)
    assert other.candidates(5, generator("same")) == controller.candidates(5, generator("same"))
