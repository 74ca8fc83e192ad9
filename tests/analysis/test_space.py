"""Statistics of the whole space, on tables whose answers are known."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from analysis_runs import make_run
from click.testing import CliRunner
from command import call

from nasbench_eval.analysis import space
from nasbench_eval.analysis.comparison import comparison
from nasbench_eval.cell import N_CELLS
from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.runs.store import TableFacts, write_run
from nasbench_eval.table import Key, Table
from runners.cli import cli


def made(*, trials: bool) -> Table:
    """cifar10 rises with the index from 0 to 93.744, cifar100 falls; two trials of cifar10 differ by 2 everywhere."""
    up = np.arange(N_CELLS) * 0.006
    columns = {Key("cifar100", 200, "test", "accuracy"): up[::-1]}
    if trials:
        columns |= {Key("cifar10", 200, "test", "accuracy", s): up + d for s, d in (("777", -1.0), ("888", 1.0))}
    else:
        columns[Key("cifar10", 200, "test", "accuracy")] = up
    return Table.build(columns, name="made up", source={})


def test_quantiles_and_the_best_cell() -> None:
    found = space.distribution(space.true_accuracies(made(trials=False)))
    assert found["cell"].to_dict() == {"cifar10": 15_624, "cifar100": 0}
    assert found.loc["cifar10", "50%"] == pytest.approx(7812 * 0.006, abs=1e-4)
    assert found.loc["cifar100", ["min", "best"]].tolist() == pytest.approx([0, 93.744], abs=1e-4)


def test_a_data_set_without_test_accuracy_is_left_out(tmp_path: Path) -> None:
    columns = {Key("cifar10", 200, "test", "accuracy"): np.linspace(10, 90, N_CELLS)}
    columns |= {Key("cifar100", None, "-", "params_mb"): np.ones(N_CELLS)}
    table = Table.build(columns, name="some", source={})
    assert list(space.true_accuracies(table)) == ["cifar10"]
    path = str(table.save(tmp_path / "t.parquet").path)
    for words in (["summary"], ["best"]):
        assert CliRunner().invoke(cli, ["table", *words, "--table", path]).exit_code == 0
    with pytest.raises(NbevalError, match="the table has no accuracy of cifar100, only params_mb"):
        table.longest("cifar100")


def test_a_share_is_of_the_cells_that_are_known() -> None:
    values = np.full(N_CELLS, np.nan)
    values[:2] = 93.0, 60.0
    shares = space.published_shares(
        space.true_accuracies(Table.build({Key("cifar10", 200, "test", "accuracy"): values}, name="two", source={}))
    )
    darts = shares[(shares["dataset"] == "cifar10") & (shares["mean"] == 54.30)]
    assert set(darts["better"]) == {100.0}


def test_cells_within_the_noise_of_the_optimum() -> None:
    table = made(trials=True)
    near = space.near_optimum(table, space.true_accuracies(table))
    assert near.loc["cifar10", "split"] == "test"
    assert near.loc["cifar10", "noise"] == pytest.approx(2**0.5, abs=1e-4)  # ddof 1
    assert near.loc["cifar10", "cells"] == int(2**0.5 / 0.006) + 1
    assert near.loc["cifar10", "outside_best"] == pytest.approx(np.ceil(2**0.5 / 0.006) * 0.006, abs=1e-3)
    assert near.loc["cifar100", ["split", "cells"]].tolist() == ["", 0]
    assert np.isnan(near.loc["cifar100", "noise"])


def test_data_sets_that_rank_cells_in_opposite_order() -> None:
    matrix = space.correlation(space.true_accuracies(made(trials=False)))
    assert matrix.to_numpy().ravel().tolist() == pytest.approx([1, -1, -1, 1])


def test_the_share_of_cells_that_beats_a_published_mean() -> None:
    shares = space.published_shares(space.true_accuracies(made(trials=False)))
    [row] = shares[
        (shares["title"] == "RS") & (shares["dataset"] == "cifar10") & (shares["protocol"] == "transfer")
    ].to_dict("records")
    assert row["mean"] == 93.70
    assert row["better"] == pytest.approx(100 * 8 / N_CELLS)  # 93.702 to 93.744
    assert row["to_optimum"] == pytest.approx(0.044, abs=1e-4)
    assert set(shares["dataset"]) == {"cifar10", "cifar100"}


def test_the_command_prints_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(trials=True).save(tmp_path / "t.parquet")
    assert call("table", "summary", "--published", "--table", str(tmp_path / "t.parquet")) == 0
    out = capsys.readouterr().out
    assert re.search(r"cifar100 +no trials", out)
    assert "-1.000" in out
    assert "GAEA DARTS (ERM)" in out


def test_percentile_ranks_are_those_among_all_cells_of_the_same_data_set(home: Path) -> None:
    up = np.arange(N_CELLS) * 0.006
    columns = {Key(name, 200, "test", "accuracy"): up / n for n, name in enumerate(("cifar10", "cifar100"), 1)}
    table = Table.build(columns, name="made up", source={})
    facts = TableFacts(table.metadata.name, table.metadata.content_hash)
    final = {"cifar10": 7812 * 0.006, "cifar100": 46.5}
    runs = [make_run(final, table=facts), make_run({"cifar10": 50.0}, method="rs", title="RS")]
    rows = space.percentiles(comparison(runs), table)
    found = {(row["title"], row["dataset"]): row["percentile"] for row in rows.to_dict("records")}
    assert found["GDAS", "cifar10"] == pytest.approx(50, abs=0.01)
    assert found["GDAS", "cifar100"] == pytest.approx(100 * 15_500 / 15_625, abs=0.01)
    assert np.isnan(found["RS", "cifar10"])  # from another table
    with pytest.raises(NbevalError, match=r"no run was looked up in this table .*: the runs' tables are abcdef01"):
        space.percentiles(comparison(runs[1:]), table)

    table.save(home / "table.parquet")
    for run in runs:
        write_run(home / "results" / "runs", run)
    asked = ["compare", "--table", "table.parquet", "--dataset", "cifar10"]
    text = " ".join(CliRunner().invoke(cli, asked).output.split())
    assert "Percentage of all cells that the found cells are better than on cifar10, mean: GDAS 50.0." in text
    refused = CliRunner().invoke(cli, [*asked, "--against", "rs"]).exception
    assert isinstance(refused, UsageError)
