"""What `nbeval table` prints about cells, and how it ends."""

import csv
import io
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from nasbench_eval.cell import Cell
from nasbench_eval.errors import UsageError
from nasbench_eval.table import Key, Table
from runners.cli.table import table as command

TEST, TRIAL = Key("cifar10", 200, "test", "accuracy"), Key("cifar10", 200, "valid", "accuracy", "777")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    trial = np.linspace(1, 90, 15625)
    trial[11] = np.nan
    made = Table.build({TEST: np.linspace(2, 91, 15625), TRIAL: trial}, name="t", source={})
    return made.save(tmp_path_factory.mktemp("table") / "t.parquet").path


def query(path, *words, text=None):
    return CliRunner().invoke(command, ["query", *words, "--table", str(path)], input=text, catch_exceptions=False)


def test_several_cells_are_rows_of_csv_that_reads_back_exactly(path):
    rows = list(csv.DictReader(io.StringIO(query(path, "11", str(Cell.from_index(7)), "0").output)))
    assert [row["index"] for row in rows] == ["11", "7", "0"]
    assert [Cell.parse(row["arch"]).index for row in rows] == [11, 7, 0]
    table = Table.open(path)
    for row in rows:
        assert np.float32(row[str(TEST)]) == table.values(TEST)[int(row["index"])]
    assert [row[str(TRIAL)] for row in rows] == ["", rows[1][str(TRIAL)], "1"]


def test_cells_are_read_from_a_file_or_the_standard_input(path, tmp_path):
    text = f"# two cells\n11\n\n {Cell.from_index(7)} \n"
    (tmp_path / "cells.txt").write_text(text)
    expected = query(path, "11", "7").output
    assert query(path, "--cells-from", str(tmp_path / "cells.txt")).output == expected
    assert query(path, "--cells-from", "-", text=text).output == expected


def test_the_format_can_be_chosen(path):
    assert query(path, "7", "--format", "csv").output.startswith("index,arch,cifar10/200/test/accuracy/mean,")
    both = query(path, "7", "8", "--format", "text").output
    assert both == query(path, "7").output + "\n" + query(path, "8").output


def test_bad_calls_of_query(path, tmp_path):
    (tmp_path / "cells.txt").write_text("11\n\n15625\n")
    for words, message in (
        ([], "which cell"),
        (["²"], "'²' is neither an index"),
        (["--cells-from", str(tmp_path / "cells.txt")], r"cells\.txt, line 3: a cell index lies in 0\.\.15624"),
        (["--cells-from", str(tmp_path)], "cannot read the cells in .*: Is a directory"),
        (["1", "2", "--curve", "--dataset", "d", "--split", "s", "--epochs", "1"], "the curve of one cell"),
    ):
        with pytest.raises(UsageError, match=message):
            query(path, *words)
    with pytest.raises(UsageError, match="unknown data set in the table 'mnist'"):
        query(path, "1", "2", "--dataset", "mnist")


@pytest.mark.parametrize("count", [0, -1])
def test_the_best_cells_are_at_least_one(path, count):
    with pytest.raises(UsageError, match=f"count is a whole number from 1; got {count}"):
        Table.open(path).top("cifar10", count=count)
    result = CliRunner().invoke(command, ["best", "--top", str(count), "--table", str(path)])
    assert result.exit_code == 2


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_early_is_no_error(path, unbuffered):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "nbeval", "table", "info", "--table", str(path)],
        stdout=write, stderr=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": unbuffered}, check=False,
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
