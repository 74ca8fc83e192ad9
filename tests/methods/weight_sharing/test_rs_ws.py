"""RS-WS: cells drawn uniformly."""

from __future__ import annotations

import pytest
import torch

from nasbench_eval.methods.weight_sharing.rs_ws import Uniform
from nasbench_eval.utils.rng import Streams

NO_NONE = (1, 2, 3, 4)
CPU = torch.device("cpu")


def generator(purpose: str = "test") -> torch.Generator:
    return Streams(5).torch(purpose)


def test_every_batch_trains_one_cell_drawn_uniformly() -> None:
    uniform = Uniform(NO_NONE)
    uniform.begin_epoch(0, 2000, generator(), CPU)
    total = torch.zeros(5)
    for _ in range(2000):
        values, active, _, _ = uniform.sample()
        assert values.sum() == 6
        assert [ops[0] for ops in active] == values.argmax(-1).tolist()
        total += values.sum(0)
    assert total[0] == 0
    assert torch.allclose(total[1:] / 12000, torch.full((4,), 0.25), atol=0.016)
    assert uniform.entropy() is None
    with pytest.raises(TypeError):
        uniform.cell()
