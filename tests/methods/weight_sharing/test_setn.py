"""SETN: uniform cells for the weights, the most probable cells as candidates."""

from __future__ import annotations

import torch

from nasbench_eval.cell import Cell
from nasbench_eval.methods.weight_sharing.darts import Logits
from nasbench_eval.methods.weight_sharing.setn import Setn
from nasbench_eval.utils.rng import Streams

NO_NONE = (1, 2, 3, 4)


def generator(purpose: str = "test") -> torch.Generator:
    return Streams(7).torch(purpose)


def test_setn_trains_sampled_cells_and_chooses_among_the_most_probable() -> None:
    logits = Logits(NO_NONE, generator())
    with torch.no_grad():
        logits.logits[:] = torch.tensor([0.0, 0.0, 3.0, 0.0])
        logits.logits[5] = torch.tensor([0.0, 2.9, 3.0, 0.0])
    setn = Setn(logits)
    setn.begin_epoch(0, 2, generator(), torch.device("cpu"))
    assert setn.sample().values.sum() == 6
    assert torch.allclose(setn.architecture_sample().values[:, 1:], logits.probabilities())
    first, second, *rest = setn.candidates(20, generator())
    assert first == Cell((3, 3, 3, 3, 3, 3))
    assert second == Cell((3, 3, 3, 3, 3, 2))
    assert len(rest) == 18
