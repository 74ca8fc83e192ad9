from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from analysis_runs import make_run
from matplotlib.text import Text
from pictures import readable, words

from nasbench_eval.analysis.figures import NothingToDraw, View, distribution, drawn
from nasbench_eval.analysis.layout import to_csv
from nasbench_eval.cell import N_CELLS
from nasbench_eval.runs.store import Run
from nasbench_eval.table import Key, Table


@pytest.fixture(scope="module")
def table() -> Table:
    """Cells with 50.00 to 99.99 percent, equally spaced, and two trials that differ by 0.2 points."""
    accuracies = np.linspace(50, 99.99, N_CELLS)
    columns = {
        Key("cifar10", 200, "test", "accuracy", seed): accuracies + d for seed, d in (("777", 0.1), ("888", -0.1))
    }
    return Table.build(columns, name="made up", source={})


@pytest.fixture
def runs() -> list[Run]:
    few = [make_run({"cifar10": 90.0 + s}, seed=s) for s in range(3)]
    return few + [make_run({"cifar10": 95.0}, seed=s, method="rs", title="RS") for s in range(40)]


def test_the_share_of_better_cells_and_the_histogram(table, runs):
    frame = distribution.data(runs, View(table=table))
    variants = frame[frame["row"] == "variant"].set_index("label")
    # 91 percent is 41 of 49.99 points above the worst.
    assert variants.loc["GDAS", "better"] == pytest.approx(100 * (1 - 41 / 49.99), abs=0.02)
    assert variants.loc["GDAS", "optimum"] == pytest.approx(99.99)
    assert variants.loc["GDAS", "noise"] == pytest.approx(0.2 / 2**0.5)
    bins = frame[frame["row"] == "bin"]
    assert len(bins) == distribution.BINS
    # All but the lowest twentieth of the cells.
    assert bins["cells"].sum() == pytest.approx(0.95 * N_CELLS, abs=1)
    assert bins["low"].min() == pytest.approx(52.5, abs=0.01)


def test_cells_without_an_accuracy_are_neither_better_nor_worse(table, runs):
    known = {key: np.where(np.arange(N_CELLS) % 10, np.nan, table.values(key)) for key in table.keys}
    few = Table.build(known, name="every tenth cell", source={})
    variants = distribution.data(runs, View(table=few)).set_index("label")
    assert variants.loc["GDAS", "better"] == pytest.approx(100 * (1 - 41 / 49.99), abs=0.1)


def test_nothing_overlaps_and_a_row_says_its_rank(table, runs):
    figure = readable(distribution, distribution.data(runs, View(table=table)))
    rows, histogram = figure.axes
    assert rows.get_xlim() == histogram.get_xlim()
    assert [text.get_text() for text in rows.texts] == ["top 10 %", "top 18 %"]
    assert "CAUTION: the accuracies come from 2 different sources (table " in words(figure)


def test_the_number_of_seeds_is_a_whole_number(table):
    frame = distribution.data([make_run({"cifar10": 90.0}, seed=s) for s in range(3)], View(table=table))
    frame.attrs["notes"] = ()
    texts = [text.get_text() for text in drawn("distribution", frame).findobj(Text)]
    assert "3" in texts
    assert "3.0" not in texts
    rows = csv.DictReader(io.StringIO(to_csv(frame)))
    assert {row["n"] for row in rows} == {"3", ""}


def test_it_needs_a_table_with_the_data_set(table, runs):
    with pytest.raises(NothingToDraw, match="give it with --table"):
        distribution.data(runs)
    assert distribution.data([make_run({})], View(table=table)).empty
    reason = rf"no run was looked up in this table \({table.metadata.content_hash[:8]}\): the runs' tables are abcdef01"
    with pytest.raises(NothingToDraw, match=reason):
        distribution.data([make_run({"cifar100": 70.0})], View(table=table))
