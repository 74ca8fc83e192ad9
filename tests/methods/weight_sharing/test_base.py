"""Distributions over cells: what a batch gets from them, their entropy, and the cell they discretise to."""

from __future__ import annotations

import math

import pytest
import torch

from nasbench_eval.cell import N_OPS, Cell
from nasbench_eval.errors import UsageError
from nasbench_eval.methods.weight_sharing.darts import Logits, Mixture
from nasbench_eval.methods.weight_sharing.gaea import Simplex
from nasbench_eval.utils.rng import Streams

ALL = tuple(range(N_OPS))
NO_NONE = (1, 2, 3, 4)


def generator(purpose: str = "test") -> torch.Generator:
    return Streams(5).torch(purpose)


@pytest.mark.parametrize("ops", [ALL, NO_NONE])
def test_weights_are_distributions_and_leave_none_out(ops: tuple[int, ...]) -> None:
    for parameters in (Mixture(Logits(ops, generator())), Mixture(Simplex(ops))):
        values, active, offsets, edges = parameters.sample()
        assert values.shape == (6, 5)
        assert torch.allclose(values.sum(-1), torch.ones(6))
        assert offsets is edges is None
        # `none` costs nothing: its weight counts, but it is never evaluated.
        assert active == (NO_NONE,) * 6
        assert (values[:, 0] > 0).all() == (0 in ops)


def test_entropy_is_in_nats_and_falls_from_log_n() -> None:
    simplex = Simplex(NO_NONE)
    assert float(Mixture(simplex).entropy()) == pytest.approx(math.log(4), rel=1e-6)
    with torch.no_grad():
        simplex.theta[:] = torch.tensor([0.5, 0.5, 0.0, 0.0])
    assert float(Mixture(simplex).entropy()) == pytest.approx(math.log(2), rel=1e-6)


def test_a_decided_edge_has_no_entropy() -> None:
    mixture = Mixture(Simplex(NO_NONE))
    mixture.decided = {0: 3, 4: 1}
    assert float(mixture.entropy()) == pytest.approx(4 / 6 * math.log(4), rel=1e-6)


def test_cell_is_the_argmax_on_every_edge() -> None:
    logits = Logits(NO_NONE, generator())
    with torch.no_grad():
        logits.logits.zero_()
        for edge, column in enumerate((0, 1, 2, 3, 2, 1)):
            logits.logits[edge, column] = 1.0
    assert Mixture(logits).cell() == Cell((1, 2, 3, 4, 3, 2))


def test_edge_weights_sum_to_one_over_the_edges_that_enter_a_node() -> None:
    for distribution in (
        Logits(NO_NONE, generator(), edge_normalisation=True),
        Simplex(NO_NONE, edge_normalisation=True),
    ):
        edges = Mixture(distribution).sample().edges
        sums = [edges[0].item(), edges[1:3].sum().item(), edges[3:].sum().item()]
        assert sums == pytest.approx([1, 1, 1], abs=1e-6)


def test_an_edge_is_decided_by_the_number_of_the_operation_among_all_and_only_for_one_that_is_searched() -> None:
    mixture = Mixture(Logits(NO_NONE, generator()))
    mixture.decided[2] = 4
    assert mixture.cell().ops[2] == 4
    assert mixture.sample().values[2].tolist() == [0, 0, 0, 0, 1]
    for edge, op in ((2, 0), (2, 5), (6, 1)):
        mixture.decided = {edge: op}
        for use in (mixture.cell, mixture.sample):
            with pytest.raises(UsageError, match=rf"decided\[{edge}\] = {op}: .* searched are 1 \(skip_connect\)"):
                use()
