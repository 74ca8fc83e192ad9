"""DARTS-: the extra skip connection in the network, and how it fades."""

from __future__ import annotations

import pytest
import torch
from network_inputs import batch, difference
from plain_copy import both
from weight_sharing import make

from nasbench_eval.errors import UsageError


def test_every_edge_has_a_skip_connection_more_which_fades_linearly() -> None:
    architecture = make("darts_minus", auxiliary_skip=0.8, epochs=4).architecture
    fused, plain = both()
    images, _ = batch()
    seen = []
    for epoch in range(5):
        architecture.begin_epoch(epoch, 1, torch.Generator(), torch.device("cpu"))
        weights = architecture.sample()
        seen.append(architecture.factor)
        for module in plain.modules():
            if hasattr(module, "auxiliary"):
                module.auxiliary = seen[-1]
        expected = plain(images, architecture.probabilities().detach().double())
        assert difference(fused(images, weights.values.detach().double(), weights.active), expected) < 1e-6
    assert seen == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0])


def test_the_extra_skip_connection_does_not_make_skips_more_probable() -> None:
    architecture = make("darts_minus").architecture
    assert torch.allclose(architecture.probabilities(), torch.full((6, 5), 0.2), atol=1e-3)
    with pytest.raises(UsageError, match="auxiliary_skip does not go with a perturbation"):
        make("darts_minus", perturbation="random")
