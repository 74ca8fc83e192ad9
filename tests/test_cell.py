"""The cell space: strings, the official order, neighbours, isomorphic cells."""

import re

import numpy as np
import pytest
from paths import SHARED_DATA

from nasbench_eval.cell import (
    AVG_POOL_3X3,
    NONE,
    NOR_CONV_1X1,
    NOR_CONV_3X3,
    OPS,
    SKIP_CONNECT,
    Cell,
    all_archs,
    all_cells,
    parse_cell,
)
from nasbench_eval.errors import UsageError

FIRST = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"


def test_operations_are_in_the_official_order():
    assert OPS == ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def test_the_first_cell_of_the_official_order():
    cell = Cell.from_index(0)
    # Edges 1<-0, 2<-0, 2<-1, 3<-0, 3<-1, 3<-2.
    assert cell.ops == (AVG_POOL_3X3, NOR_CONV_1X1, SKIP_CONNECT, NOR_CONV_1X1, SKIP_CONNECT, SKIP_CONNECT)
    assert str(cell) == FIRST
    assert Cell.parse(FIRST) == cell
    assert cell.index == 0


@pytest.mark.parametrize(
    ("index", "arch"),
    [
        (6111, "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"),
        (1835, "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"),
    ],
)
def test_known_indices(index, arch):
    assert str(Cell.from_index(index)) == arch
    assert Cell.parse(arch).index == index


def test_every_cell_survives_its_string_and_its_index():
    cells = all_cells()
    assert len(set(cells)) == 15625
    assert all(Cell.parse(str(cell)) == cell and cell.index == index for index, cell in enumerate(cells))
    assert all_archs() == tuple(map(str, cells))


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="../shared/data is absent")
def test_the_order_is_that_of_the_real_table():
    import pyarrow.parquet as pq

    real = pq.read_table(SHARED_DATA / "nasbench201-real.parquet", columns=["index", "arch"])
    assert real.column("index").to_pylist() == list(range(15625))
    assert tuple(real.column("arch").to_pylist()) == all_archs()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "character 1 is the end, expected '|'"),
        ("nor_conv_3x3~0|", "character 1 is 'n', expected '|'"),
        (
            FIRST.replace("avg_pool_3x3", "avg_pool_5x5"),
            "character 2 begins 'avg_pool_5x5', expected one of none, skip",
        ),
        (FIRST.replace("|+|nor", "|-|nor"), "character 17 is '-', expected '+|'"),
        (FIRST.replace("~0|+", "~1|+", 1), "character 15 is '1', expected '0|'"),
        (FIRST[:-1], "character 95 is the end, expected '|'"),
        (FIRST + "+|none~0|", "character 96 is '+', expected the end"),
        (FIRST.replace("~2|", ""), "character 93 is the end, expected '~2|'"),
    ],
)
def test_a_bad_string_names_the_character_and_what_was_expected(text, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        Cell.parse(text)


@pytest.mark.parametrize("ops", [(0, 1, 2), (0, 1, 2, 3, 4, 5), (0, 0, 0, 0, 0, -1)])
def test_bad_operations(ops):
    with pytest.raises(UsageError, match="a cell has 6 operations, each 0 to 4"):
        Cell(ops)


@pytest.mark.parametrize("index", [-1, 15625])
def test_bad_indices(index):
    with pytest.raises(UsageError, match=r"lies in 0\.\.15624"):
        Cell.from_index(index)


def test_parse_cell_takes_either():
    assert parse_cell(" 0 ") == parse_cell(FIRST + "\n") == Cell.from_index(0)
    with pytest.raises(UsageError, match="neither an index"):
        parse_cell("resnet")
    with pytest.raises(UsageError, match="lies in"):
        parse_cell("15625")


def test_neighbours_differ_on_one_edge():
    cell = Cell.from_index(0)
    near = cell.neighbours()
    assert len(set(near)) == 24
    assert all(sum(a != b for a, b in zip(cell.ops, other.ops, strict=True)) == 1 for other in near)
    assert len(cell.neighbours((SKIP_CONNECT, NOR_CONV_1X1, NOR_CONV_3X3, AVG_POOL_3X3))) == 18


def test_random_cells_come_from_the_generator_and_the_allowed_operations():
    def draw(seed, **options):
        rng = np.random.default_rng(seed)
        return [Cell.random(rng, **options) for _ in range(200)]

    assert draw(0) == draw(0) != draw(1)
    counts = np.bincount([op for cell in draw(0) for op in cell.ops], minlength=5)
    # 1,200 draws from five operations: 240 each, standard deviation 14.
    assert np.all(np.abs(counts - 240) < 60)
    assert {op for cell in draw(0, ops=(1, 3)) for op in cell.ops} == {1, 3}


def test_counts():
    assert Cell.from_index(0).counts() == {
        "none": 0,
        "skip_connect": 3,
        "nor_conv_1x1": 2,
        "nor_conv_3x3": 0,
        "avg_pool_3x3": 1,
    }


def test_isomorphic_cells_have_one_canonical_form():
    zero = Cell((NONE,) * 6)
    # Node 1 is zero, and so is every operation on it.
    assert Cell((NONE, NONE, NOR_CONV_3X3, NONE, AVG_POOL_3X3, NONE)).canonical() == zero.canonical()
    # The benchmark's own rule misses that a sum of zeros is zero; its count of 6,466 classes depends on that.
    assert Cell((NOR_CONV_3X3, NONE, NONE, NONE, NONE, NOR_CONV_3X3)).canonical() != zero.canonical()
    # A skip from node 0 to node 1 makes the two equal: an edge may leave either of them.
    through_1 = Cell((SKIP_CONNECT, NONE, NONE, NONE, NOR_CONV_3X3, NONE))
    direct = Cell((SKIP_CONNECT, NONE, NONE, NOR_CONV_3X3, NONE, NONE))
    assert through_1.canonical() == direct.canonical()
    assert direct.canonical() != zero.canonical()


def test_there_are_6466_classes():
    assert len({cell.canonical() for cell in all_cells()}) == 6466


def test_cells_are_ordered_and_hashable():
    assert sorted({Cell((4,) * 6), Cell((0,) * 6)}) == [Cell((0,) * 6), Cell((4,) * 6)]
