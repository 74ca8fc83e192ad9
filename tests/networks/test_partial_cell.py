"""PC-DARTS: partial channel connections and edge weights in the network."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
import torch.nn.functional as F
from plain import PlainCell
from torch import Tensor, nn

from nasbench_eval.cell import AVG_POOL_3X3, EDGES, INCOMING, N_EDGES, NODES, SKIP_CONNECT
from nasbench_eval.networks.fused_cell_function import Active
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


def plain_operation(cell: PartialCell, edge: int, op: int, x: Tensor) -> Tensor:
    if op == SKIP_CONNECT:
        return x
    if op == AVG_POOL_3X3:
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    out: Tensor = cell.convs[f"{edge}_{op}"](x.relu())
    return out


def edge_by_edge(
    cell: PartialCell, x: Tensor, weights: Tensor, active: Active, offsets: Tensor, edges: Tensor
) -> Tensor:
    """PC-DARTS as its paper describes it: each operation of each edge on its own, each edge shuffled."""
    nodes = [x]
    for target in range(1, NODES):
        total = torch.zeros_like(x)
        for edge in INCOMING[target]:
            source = nodes[EDGES[edge][1]]
            worked, rest = source[:, : cell.worked], source[:, cell.worked :]
            mixed = torch.zeros_like(worked) + offsets[edge]
            for op in active[edge]:
                mixed = mixed + weights[edge, op] * plain_operation(cell, edge, op, worked)
            total = total + edges[edge] * F.channel_shuffle(torch.cat([mixed, rest], 1), cell.partial)
        nodes.append(total)
    return nodes[-1]


@pytest.mark.parametrize("track", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("active", [ALL_OPS, ((1,), (2, 3), (), (4, 3), (2,), (1, 3))], ids=["all", "some"])
def test_partial_cell_equals_its_operations_edge_by_edge(track: bool, training: bool, active: Active) -> None:
    cell = PartialCell(8, 4, track_running_stats=track).double()
    for i, norm in enumerate(module for module in cell.modules() if isinstance(module, nn.BatchNorm2d)):
        if track:
            norm.running_mean, norm.running_var = torch.full((2,), 0.1 * i).double(), torch.full((2,), 1.0 + i).double()
    cell.train(training)
    plain = copy.deepcopy(cell)
    shapes: dict[str, tuple[int, ...]] = {"x": (3, 8, 6, 6), "weights": (6, 5), "offsets": (6,), "edges": (6,)}
    inputs = [torch.rand(shape, generator=generator(each)).double().requires_grad_() for each, shape in shapes.items()]
    x, weights, offsets, edges = inputs
    found, expected = cell(x, weights, active, offsets, edges), edge_by_edge(plain, x, weights, active, offsets, edges)
    assert torch.allclose(found, expected, atol=1e-10)
    gradients = [
        torch.autograd.grad(out.square().sum(), [*inputs, *of.parameters()], allow_unused=True)
        for out, of in ((found, cell), (expected, plain))
    ]
    for own, its in zip(*gradients, strict=True):
        assert (own is None) == (its is None)
        assert own is None or torch.allclose(own, its, atol=1e-8)
    for name, buffer in cell.named_buffers():
        if "num_batches" not in name:
            assert torch.allclose(buffer, plain.get_buffer(name), atol=1e-12), name


@pytest.mark.parametrize("partial", [2, 4])
def test_a_supernet_has_cells_with_the_part_of_the_channels_asked_for(partial: int) -> None:
    net = Supernet(8, 1, 10, generator=generator(), partial_channels=partial)
    assert [module.worked for module in net.modules() if isinstance(module, PartialCell)] == [
        width // partial for width in (8, 16, 32)
    ]


def test_edge_weights_scale_edges_in_the_fused_cell_too() -> None:
    net = Supernet(4, 1, 10, generator=generator()).double()
    x = torch.randn(4, 3, 8, 8, generator=generator("x")).double()
    weights = torch.rand(6, 5, generator=generator("w")).double()
    edges = torch.rand(6, generator=generator("e")).double()
    assert torch.allclose(net(x, weights, edges=edges), net(x, weights * edges[:, None]))
    offsets = torch.randn(6, generator=generator("o")).double()
    found = net(x, weights, offsets=offsets, edges=edges)
    assert torch.allclose(found, net(x, weights * edges[:, None], offsets=offsets * edges))


def test_a_cell_can_widen_to_all_its_channels_at_once() -> None:
    cell = PartialCell(8, 4, track_running_stats=True)
    for parameter, grow in cell.widen(1, generator()):
        parameter.data = grow(parameter.data)
    assert {parameter.shape[:2] for parameter in cell.parameters() if parameter.dim() > 1} == {(8, 8)}
    weights = torch.rand(6, 5, generator=generator("weights"))
    assert cell(torch.randn(2, 8, 4, 4, generator=generator("x")), weights, ALL_OPS).shape == (2, 8, 4, 4)
