"""The Python interface refuses what the command line refuses, with the same hints, and takes what means the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbeval
from nasbench_eval.cell import OPS, Cell, all_cells
from nasbench_eval.table import Table
from nbeval import UsageError

ARCH = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
CELL = Cell.parse(ARCH)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"method": "reaa"}, "unknown method 'reaa': did you mean 'rea'?"),
        ({"method": None}, "a method is a name, module:Class or a class; got None"),
        ({"dataset": "cifar10-valid"}, "the official cifar10-valid is cifar10 here"),
        ({"dataset": None}, "unknown data set None: known are cifar10"),
        ({"seed": None}, "a seed is a whole number from 0; got None"),
        ({"seed": -1}, "a seed is a whole number from 0; got -1"),
        ({"seed": True}, "a seed is a whole number from 0; got True"),
        ({"seed": 1.0}, "a seed is a whole number from 0; got 1.0"),
        ({"seed": "1"}, "a seed is a whole number from 0; got '1'"),
        ({"scale": "smal"}, "unknown scale 'smal': did you mean 'small'?"),
        ({"scale": None}, "unknown scale None: known are full"),
        ({"settings": {"budget_second": 3}}, "did you mean 'budget_seconds'?"),
        ({"scale": ["small"]}, "unknown scale ['small']: known are full"),
        ({"settings": 5}, "settings is a mapping from names to values"),
        ({"settings": {1: 2}}, "settings is a mapping from names to values"),
        ({"truth": "tables"}, "unknown truth 'tables': did you mean 'table'?"),
        ({"truth": None}, "unknown truth"),
        ({"table": 5}, "table is a path; got 5"),
        ({"data": b"x"}, "data is a path; got b'x'"),
        ({"split_file": ""}, "split_file is a path; got ''"),
        ({"results": 1}, "results is a path; got 1"),
        ({"on_step": 3}, "on_step is a function"),
        ({"method": "rs_ws", "dataset": "digits", "truth": "none", "device": None}, "a device is auto, cpu"),
        ({"method": "rs_ws", "dataset": "digits", "truth": "none", "device": "gpu"}, "device is auto, cpu"),
        ({"method": "rs_ws", "dataset": "digits", "truth": "none", "device": "cuda:²"}, "device is auto, cpu"),
    ],
)
def test_a_wrong_argument_of_search_is_one_line(home: Path, changed: dict[str, Any], words: str) -> None:
    given = {"method": "rs", "dataset": "digits", **changed}
    with pytest.raises(UsageError) as caught:
        nbeval.search(given.pop("method"), given.pop("dataset"), **given)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert not list(home.iterdir())


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"executor": "slrm"}, "unknown executor 'slrm': did you mean 'slurm'?"),
        ({"executor_options": {"gpu": "0"}}, "unknown setting of --executor local 'gpu': did you mean 'gpus'?"),
        ({"executor": "ray"}, "executor='ray' needs a results folder that all machines share: give results"),
        ({"executor": "ray", "results": "r", "on_step": print}, "give workers=1 and no executor"),
        ({"executor": "slurm", "results": "r", "executor_options": {"detach": True}}, "detach would leave no result"),
        ({"threads": 0}, "threads is a whole number from 1 to 1024; got 0"),
        ({"seeds": 4}, r"seeds is a list of seeds, such as range\(4\); got 4"),
        ({"seeds": "01"}, "seeds is a list of seeds"),
        ({"seeds": []}, "seeds is empty"),
        ({"seeds": [0, 3, 0]}, "seed 0 is given twice"),
        ({"seeds": [0, None]}, "a seed is a whole number from 0; got None"),
        ({"workers": 0}, "workers is a whole number from 1; got 0"),
        ({"workers": "2"}, "workers is a whole number from 1"),
    ],
)
def test_wrong_seeds_and_workers_are_refused(home: Path, changed: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        nbeval.search_seeds("rs", "digits", **{"seeds": [0], **changed})


def test_numpys_numbers_mean_the_same(home: Path) -> None:
    plain = nbeval.search_seeds("rea", "digits", seeds=[2], settings={"budget_seconds": 300.0, "population": 5})
    settings = {"budget_seconds": np.float32(300), "population": np.int64(5)}
    same = nbeval.search_seeds("rea", "digits", seeds=np.arange(2, 3), settings=settings, workers=np.int8(1))  # type: ignore[arg-type]
    assert [result.record.run_id for result in same] == [result.record.run_id for result in plain]
    assert same[0].record.settings == plain[0].record.settings


@pytest.mark.parametrize(
    "cell",
    [
        ARCH,
        str(CELL.index),
        CELL.index,
        np.int64(CELL.index),
        CELL,
        [[0, 0, 0, 0], [3, 0, 0, 0], [3, 4, 0, 0], [1, 3, 1, 0]],
        ((("nor_conv_3x3", 0),), (("nor_conv_3x3", 0), ("avg_pool_3x3", 1)),
         (("skip_connect", 0), ("nor_conv_3x3", 1), ("skip_connect", 2))),
    ],
    ids=["string", "digits", "index", "NumPy", "cell", "matrix", "tuples"],
)  # fmt: skip
def test_evaluate_understands_every_form_of_a_cell(cell: Any, table: Table) -> None:
    found = nbeval.evaluate(cell, "cifar10", table=table)["cifar10"]
    assert found.test_acc == table.accuracy(CELL, "cifar10", "test", epochs=200)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (True, r"a cell index lies in 0\.\.15624; got True"),
        (-1, r"a cell index lies in 0\.\.15624; got -1"),
        ("15625", r"a cell index lies in 0\.\.15624; got 15625"),
        ("²", "neither an index"),
        (None, "a cell is given as a Cell"),
        (1.0, "a cell is given as a Cell"),
        ([1, 2, 3], "a cell is given as a Cell"),
        ((0, 1, 2, 3, 4, 0), r"in NAS-Bench-201's order of edges or in NASLib's: say which, with Cell\(\(0, 1"),
        (np.zeros(6, int), "say which"),
        (np.eye(4), "operations below the diagonal"),
        ([[0] * 4] * 3 + [[0.5] * 4], "4x4 whole numbers"),
    ],
)
def test_what_is_no_cell_is_refused_in_one_line(cell: Any, words: str, table: Table) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        nbeval.evaluate(cell, table=table)
    assert len(str(caught.value).splitlines()) == 1


def test_wrong_arguments_of_evaluate_check_and_register_are_refused(table: Table) -> None:
    with pytest.raises(UsageError, match="the official cifar10-valid is cifar10 here"):
        nbeval.evaluate(5, "cifar10-valid", table=table)
    with pytest.raises(UsageError, match="unknown data set in the table 3"):
        nbeval.evaluate(5, 3, table=table)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="table is a path; got 3"):
        nbeval.evaluate(5, table=3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="steps is a whole number from 2; got 0"):
        nbeval.check("rs", steps=0)
    with pytest.raises(UsageError, match="settings is a mapping"):
        nbeval.check("rs", settings=[1])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="register takes the class of a method; got 'rs'"):
        nbeval.register("rs")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="count is a whole number from 1; got -1"):
        table.top("cifar10", count=-1)


def test_a_cell_of_a_list_or_an_array_is_that_of_the_tuple() -> None:
    cell = Cell((0, 1, 2, 3, 4, 0))
    for same in ([0, 1, 2, 3, 4, 0], np.array([0, 1, 2, 3, 4, 0]), tuple(np.arange(6) % 5)):
        made = Cell(same)  # type: ignore[arg-type]
        assert (made, hash(made), str(made)) == (cell, hash(cell), str(cell))
        assert [type(op) for op in made.ops] == [int] * 6


@pytest.mark.parametrize(
    "ops", ["012340", (True,) * 6, [True] * 6, None, (1.0,) * 6, [0.0] * 6, np.zeros((6, 1), int), list(OPS)]
)
def test_what_is_not_six_numbers_is_no_cell(ops: Any) -> None:
    with pytest.raises(UsageError, match="a cell has 6 operations, each 0 to 4"):
        Cell(ops)


def test_naslibs_operations_have_its_numbers_and_its_order_of_edges() -> None:
    # NASLib: Identity, Zero, 3x3, 1x1, pooling on the edges 1-2, 1-3, 1-4, 2-3, 2-4, 3-4.
    cell = Cell.parse("|nor_conv_3x3~0|+|skip_connect~0|avg_pool_3x3~1|+|none~0|nor_conv_1x1~1|skip_connect~2|")
    assert Cell.from_naslib((2, 0, 1, 4, 3, 0)) == cell
    assert Cell.from_naslib(np.array([2, 0, 1, 4, 3, 0])) == cell  # type: ignore[arg-type]
    names = ("ReLUConvBN3x3", "Identity", "Zero", "AvgPool1x1", "ReLUConvBN1x1", "skip_connect")
    assert Cell.from_naslib(names) == cell
    for wrong in ((0, 1), None, (0, 0, 0, 0, 0, 5), ("Conv",) * 6, "123401"):
        with pytest.raises(UsageError, match="a cell has 6 operations"):
            Cell.from_naslib(wrong)  # type: ignore[arg-type]


def test_what_is_no_matrix_is_one_line() -> None:
    for wrong in ([[0], [1, 2], [3], [4]], np.full((4, 4), np.inf), np.full((4, 4), np.nan)):
        with pytest.raises(UsageError, match="the matrix of a cell is 4x4 whole numbers"):
            Cell.from_matrix(wrong)


def test_the_official_matrix_is_read_and_all_cells_survive_it() -> None:
    # The example of NAS-Bench-201's README, as floats like its str2matrix returns them.
    matrix = np.array([[0, 0, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]], dtype=float)
    arch = "|nor_conv_1x1~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|"
    assert str(Cell.from_matrix(matrix)) == arch
    for cell in all_cells()[::500]:
        made = np.zeros((4, 4))
        for number, (target, source) in enumerate(((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))):
            made[target, source] = cell.ops[number]
        assert Cell.from_matrix(made) == cell
