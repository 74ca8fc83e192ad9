"""Which cells compute the same function: examples by hand, counts, and the logits of real networks."""

from collections import Counter, defaultdict

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from paths import SHARED_DATA

from nasbench_eval.cell import EDGES, INCOMING, NONE, NOR_CONV_1X1, NOR_CONV_3X3, Cell, all_cells
from nasbench_eval.equivalence import convolutions, corresponding, function_of, live_edges, normal_form, representatives
from nasbench_eval.networks.standalone import StandaloneNet

# Edges: 1<-0, 2<-0, 2<-1, 3<-0, 3<-1, 3<-2; operations: 0 none, 1 skip, 2 conv 1x1, 3 conv 3x3, 4 pool.


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((3, 0, 1, 0, 0, 1), (0, 0, 0, 3, 0, 0)),  # skips are identities
        ((3, 0, 0, 0, 1, 0), (0, 3, 0, 0, 0, 1)),  # via node 1 or via node 2
        ((0, 0, 3, 1, 3, 0), (0, 0, 0, 1, 0, 0)),  # node 1 is zero, and so is everything computed from it
        ((2, 3, 4, 1, 0, 0), (0, 0, 0, 1, 0, 0)),  # nodes 1 and 2 do not reach the output
        ((3, 1, 1, 0, 0, 4), (3, 4, 0, 0, 4, 1)),  # the pool of a sum is the sum of the pools
        ((0, 0, 0, 0, 0, 0), (3, 4, 1, 0, 0, 0)),  # zero
    ],
)
def test_same_function(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    assert function_of(Cell(one)) == function_of(Cell(other))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # One convolution used twice is not the sum of two convolutions.
        ((3, 0, 1, 0, 1, 1), (3, 0, 0, 3, 1, 0)),
        ((2, 0, 0, 0, 3, 0), (3, 0, 0, 0, 2, 0)),  # 3x3 after 1x1, 1x1 after 3x3
        ((1, 0, 0, 1, 1, 0), (0, 0, 0, 1, 0, 0)),  # x + x is not x
        ((4, 0, 0, 0, 3, 0), (3, 0, 0, 0, 4, 0)),  # a convolution does not commute with pooling, because of its ReLU
    ],
)
def test_different_function(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    assert function_of(Cell(one)) != function_of(Cell(other))  # type: ignore[arg-type]


def test_there_are_5044_functions() -> None:
    known = representatives()
    sizes = Counter(known)
    assert len(sizes) == 5044
    assert all(known[first] == first <= min(i for i, f in enumerate(known) if f == first) for first in list(sizes)[:5])
    zero = [cell for cell, first in zip(all_cells(), known, strict=True) if known[Cell((0,) * 6).index] == first]
    assert len(zero) == 341
    assert all(not live_edges(cell) for cell in zero)
    assert sizes.most_common(1)[0][1] == 460  # one convolution of the input


def test_the_normal_form_drops_dead_edges() -> None:
    assert normal_form(Cell((2, 3, 4, 1, 0, 0))) == Cell((0, 0, 0, 1, 0, 0))
    assert live_edges(Cell((3, 0, 1, 0, 0, 1))) == {0, 2, 5}
    assert convolutions(Cell((3, 2, 1, 3, 0, 0))) == {3: 3}
    rng = np.random.default_rng(0)
    for cell in (Cell.random(rng) for _ in range(100)):
        assert function_of(normal_form(cell)) == function_of(cell)


def logits(cell: Cell, order: tuple[int, ...], images: torch.Tensor, *, bias: float = 0.0) -> torch.Tensor:
    """Logits of a network whose i-th convolution in ``order`` always has the i-th weights, in double precision.

    The BatchNorm of every other convolution has ``bias``.
    """
    net = StandaloneNet(cell, 4, 1, 10, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        shared = torch.Generator().manual_seed(1)
        for module in (net.stem, net.reductions, net.last_bn, net.classifier):
            for value in module.parameters():
                value.normal_(generator=shared)
        for s, stage in enumerate(net.stages):
            for edge in set(range(6)) - set(order):
                if cell.ops[edge] in (NOR_CONV_1X1, NOR_CONV_3X3):
                    stage[0].convs[str(edge)][-1].bias.fill_(bias)  # type: ignore[index, union-attr]
            for i, edge in enumerate(order):
                own = torch.Generator().manual_seed(100 * s + i + 2)
                for value in stage[0].convs[str(edge)].parameters():  # type: ignore[index, union-attr]
                    value.normal_(generator=own)
        return net(images)


IMAGES = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_same_function_same_logits() -> None:
    classes: dict[int, list[Cell]] = defaultdict(list)
    for cell, first in zip(all_cells(), representatives(), strict=True):
        classes[first].append(cell)
    shared = [members for members in classes.values() if len(members) > 1]
    rng = np.random.default_rng(0)
    for i in rng.choice(len(shared), 40, replace=False):
        members = [shared[i][k] for k in rng.permutation(len(shared[i]))[:4]]
        first, *others = (logits(cell, corresponding(cell), IMAGES) for cell in members)
        for cell, other in zip(members[1:], others, strict=True):
            torch.testing.assert_close(other, first, rtol=1e-6, atol=1e-6, msg=f"{members[0].ops} {cell.ops}")


def test_different_function_different_logits() -> None:
    rng = np.random.default_rng(0)
    tried = 0
    while tried < 40:
        cell = Cell.random(rng)
        other = cell.neighbours()[int(rng.integers(24))]
        if function_of(cell) == function_of(other) or len(corresponding(cell)) != len(corresponding(other)):
            continue
        tried += 1
        difference = logits(cell, corresponding(cell), IMAGES) - logits(other, corresponding(other), IMAGES)
        assert float(difference.abs().max()) > 1e-3, f"{cell.ops} {other.ops}"


def constants(cell: Cell) -> set[int]:
    """The convolutions of a node that is zero from which the output is reached."""
    zero = {0: False}
    for node in range(1, 4):
        zero[node] = all(cell.ops[edge] == NONE or zero[EDGES[edge][1]] for edge in INCOMING[node])
    reached, found = {3}, set()
    for node in (3, 2, 1):
        for edge in INCOMING[node] if node in reached else ():
            if cell.ops[edge] != NONE:
                reached.add(EDGES[edge][1])
            if cell.ops[edge] in (NOR_CONV_1X1, NOR_CONV_3X3) and zero[EDGES[edge][1]]:
                found.add(edge)
    return found


def test_the_bias_of_a_convolution_of_zero_is_left_out() -> None:
    """What docs/training.md says: only with that bias at zero is such a cell the same function as the one without."""
    cell, other = Cell((0, 0, 3, 1, 3, 0)), Cell((0, 0, 0, 1, 0, 0))
    assert function_of(cell) == function_of(other)
    assert constants(cell) == {4}
    without = logits(other, corresponding(other), IMAGES)
    torch.testing.assert_close(logits(cell, corresponding(cell), IMAGES), without)
    assert float((logits(cell, corresponding(cell), IMAGES, bias=1.0) - without).abs().max()) > 1e-3
    cells = [cell for cell in all_cells() if constants(cell) and live_edges(cell)]
    assert len(cells) == 2000
    assert len({representatives()[cell.index] for cell in cells}) == 59
    for cell in cells[::100]:
        without = logits(cell, corresponding(cell), IMAGES)
        assert float((logits(cell, corresponding(cell), IMAGES, bias=1.0) - without).abs().max()) > 1e-3, cell


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="../shared/data is absent")
def test_the_bias_of_a_convolution_of_zero_changes_no_accuracy_of_the_benchmark() -> None:
    """NAS-Bench-201 trained every cell: the figures of docs/training.md."""
    column = "cifar10.e200.test"
    accuracy = pq.read_table(SHARED_DATA / "nasbench201-real.parquet", columns=[column])[column].to_numpy()
    groups: dict[int, dict[bool, list[float]]] = defaultdict(lambda: {True: [], False: []})
    for cell, first in zip(all_cells(), representatives(), strict=True):
        if live_edges(cell):
            groups[first][bool(constants(cell))].append(accuracy[cell.index])
    differences = [np.mean(group[True]) - np.mean(group[False]) for group in groups.values() if all(group.values())]
    assert len(differences) == 59
    assert np.mean(differences) == pytest.approx(0.014, abs=0.001)
    assert np.std(differences, ddof=1) / 59**0.5 == pytest.approx(0.018, abs=0.001)
