"""PC-DARTS: partial channel connections and edge weights in the network."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from plain import PlainCell

from nasbench_eval.cell import N_EDGES, SKIP_CONNECT
from nasbench_eval.networks.partial_cell import PartialCell
from nasbench_eval.networks.supernet import ALL_OPS, Supernet
from nasbench_eval.utils.rng import Streams


def generator(purpose: str = "test") -> torch.Generator:
    return Streams(7).torch(purpose)


def test_partial_cell_with_all_channels_is_the_plain_cell() -> None:
    plain = PlainCell(4, affine=False, track=True).double()
    partial = PartialCell(4, 1, track_running_stats=True).double()
    for edge, op in itertools.product(range(N_EDGES), (2, 3)):
        _, conv, _ = plain.edges[edge][op]
        partial.convs[f"{edge}_{op}"][0].load_state_dict(conv.state_dict())
    x = torch.randn(3, 4, 6, 6, generator=generator()).double()
    weights = torch.rand(6, 5, generator=generator("weights")).double()
    for mode in (True, False):
        plain.train(mode)
        partial.train(mode)
        assert torch.allclose(partial(x, weights, ALL_OPS), plain(x, weights, False), atol=1e-10)


def test_partial_cell_lets_the_other_channels_pass_and_shuffles() -> None:
    cell = PartialCell(8, 4, track_running_stats=True).double()
    x = torch.randn(2, 8, 4, 4, generator=generator()).double()
    skip = torch.zeros(6, 5).double()
    skip[:, SKIP_CONNECT] = 1
    edges = torch.tensor([1.0, 0.25, 0.75, 0.2, 0.3, 0.5]).double()
    active = ((SKIP_CONNECT,),) * 6
    # With skip connections alone an edge is its factor times the shuffle.
    shuffle = lambda t: F.channel_shuffle(t, 4)  # noqa: E731
    n1 = shuffle(x)
    n2 = 0.25 * shuffle(x) + 0.75 * shuffle(n1)
    n3 = 0.2 * shuffle(x) + 0.3 * shuffle(n1) + 0.5 * shuffle(n2)
    assert torch.allclose(cell(x, skip, active, None, edges), n3)
    # Weight zero on the operations kills the worked quarter only.
    nothing = cell(x, torch.zeros(6, 5).double(), active, None, torch.tensor([1.0, 0, 0, 1, 0, 0]).double())
    assert (nothing == 0).double().mean().item() == pytest.approx(0.25)


def test_edge_weights_scale_edges_in_the_fused_cell_too() -> None:
    net = Supernet(4, 1, 10, generator=generator()).double()
    x = torch.randn(4, 3, 8, 8, generator=generator("x")).double()
    weights = torch.rand(6, 5, generator=generator("w")).double()
    edges = torch.rand(6, generator=generator("e")).double()
    assert torch.allclose(net(x, weights, edges=edges), net(x, weights * edges[:, None]))
