"""``nbeval import``: final cells of other code become runs that everything shows as imported."""

from __future__ import annotations

from pathlib import Path

import pytest
from analysis_runs import make_run
from command import call, runs

from nasbench_eval.analysis.comparison_notes import noted_comparison
from nasbench_eval.analysis.figures import cost
from nasbench_eval.analysis.labels import labels
from nasbench_eval.cell import Cell
from nasbench_eval.runs import IMPORTED
from nasbench_eval.runs.store import Run, load_runs
from nasbench_eval.table import Table
from nasbench_eval.table.locate import find_table
from runners.provenance import provenance

CELLS = f"cell,seed,search_seconds\n{Cell.from_index(9930)},3,7200\n\n# the second search\n14519, 5,\n"
WHAT = ("--name", "my_nas", "--dataset", "digits", "--source", "github.com/me/my_nas, commit 1a2b3c4")


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def imported(text: str = CELLS, *more: str) -> list[Run]:
    Path("cells.csv").write_text(text)
    assert call("import", "cells.csv", *WHAT, *more) == 0
    return sorted(runs().values(), key=lambda run: run.record.seed)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 2) -> str:
    assert call("import", *arguments) == code
    error = capsys.readouterr().err
    assert error.startswith("nbeval: ")
    return error


def test_the_true_accuracy_is_that_of_the_table_and_the_rest_is_what_is_stated() -> None:
    first, second = imported(CELLS, "--split", "halves", "--title", "My NAS", "--set", "lr=0.1")
    table = Table.open(find_table(None, "digits"))
    for run, index in ((first, 9930), (second, 14519)):
        truth = table.accuracy(Cell.from_index(index), "digits", "test", epochs=table.longest("digits"))
        assert run.test_acc == {"digits": pytest.approx(truth)}
        assert run.steps["cell"].tolist() == [str(Cell.from_index(index))]
    assert [run.record.seed for run in (first, second)] == [3, 5]
    assert first.steps["total_seconds"].tolist() == [7200.0]
    assert second.steps["total_seconds"].isna().all()
    record = first.record
    assert (record.method, record.title, record.block) == ("imported:my_nas", "My NAS", IMPORTED)
    assert (record.split, record.batch_norm, record.device) == ("halves", "not stated", "not stated")
    assert (dict(record.settings), record.imported) == ({"lr": 0.1}, WHAT[-1])


def test_a_list_of_cells_has_seeds_in_its_order() -> None:
    found = imported(f"14519\n{Cell.from_index(3)}\n")
    assert [(run.record.seed, Cell.parse(run.steps["cell"][0]).index) for run in found] == [(0, 14519), (1, 3)]


def test_the_same_cells_are_imported_once_and_others_never_replace_them(capsys: pytest.CaptureFixture[str]) -> None:
    before = [(run.record.run_id, run.record.finished) for run in imported()]
    capsys.readouterr()
    assert [(run.record.run_id, run.record.finished) for run in imported()] == before
    assert "0 imported, 2 already there" in capsys.readouterr().out
    Path("cells.csv").write_text("cell,seed\n7,9\n8,5\n")
    assert "seed 5 of imported:my_nas is there with another cell or cost" in refused(capsys, "cells.csv", *WHAT)
    assert sorted(run.record.seed for run in runs().values()) == [3, 5]  # nothing of the file was written


def test_another_table_gives_the_same_runs_other_accuracies(table_file: Path) -> None:
    before = imported()
    after = imported(CELLS, "--table", str(table_file))
    assert [run.record.run_id for run in after] == [run.record.run_id for run in before]
    assert [run.test_acc for run in after] != [run.test_acc for run in before]


def test_other_facts_make_another_row() -> None:
    imported()
    imported(CELLS, "--reduced", "channels 16 -> 4")
    assert sorted(labels(load_runs([Path("results")])).values()) == ["my_nas [imported, reduced]", "my_nas [imported]"]
    for more in (("--split", "halves"), ("--set", "lr=0.1")):
        before = {run.record.variant_id for run in load_runs([Path("results")])}
        imported(CELLS, *more)
        assert len({run.record.variant_id for run in load_runs([Path("results")])} - before) == 1


def test_tables_say_what_is_imported_and_what_nobody_stated() -> None:
    notes = noted_comparison([*imported(), make_run({"digits": 80.0}, search="digits", split="halves")]).notes
    [note] = [note for note in notes if note.startswith("imported: other code searched for these cells")]
    assert note.endswith(f"my_nas [imported] ({WHAT[-1]})")
    assert "split: halves (GDAS) | not stated (my_nas [imported])" in notes
    [note] = [note for note in notes if note.startswith("search cost")]
    assert "of other code, device not stated (my_nas [imported])" in note
    assert not [note for note in notes if note.startswith("made with")]  # by nbeval, that is


def test_costs_that_are_not_known_are_not_drawn() -> None:
    known = make_run({"digits": 80.0}, search="digits")
    assert cost.data([*imported("1\n2\n"), known])["label"].tolist() == ["GDAS"]


def test_a_page_shows_how_the_cells_came_here_and_names_their_source(capsys: pytest.CaptureFixture[str]) -> None:
    [how] = provenance(imported(CELLS, "--reduced", "cells 5 -> 1", "--set", "lr=0.1")).values()
    assert how.command.startswith("nbeval import CELLS --name my_nas --dataset digits --source 'github.com/me/my_nas")
    assert how.command.endswith("--reduced 'cells 5 -> 1' --set lr=0.1")
    assert "nbeval only looked them up" in how.note
    assert WHAT[-1] in how.note
    assert call("report") == 0
    assert WHAT[-1] in Path("results/report.html").read_text()
    capsys.readouterr()
    assert call("run", "--method", "imported:my_nas", "--dataset", "digits") == 2
    assert "imported:my_nas is no method to run: other code found its cells" in capsys.readouterr().err
    assert call("rank", "--method", "imported:my_nas") == 2
    assert "has no shared weights" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cell,seed\n1,0\n2,0\n", "cells.csv has seed 0 more than once"),
        ("cell,seed\n1,-1\n", "line 2: a seed is a whole number from 0"),
        ("cell,seed\n1,one\n", "line 2: a seed is a whole number from 0"),
        ("cell,search_seconds\n1,fast\n", "line 2: search_seconds is a number of seconds"),
        ("cell,search_seconds\n1,-4\n", "line 2: search_seconds is a number of seconds"),
        ("cell,search_seconds\n1,nan\n", "line 2: search_seconds is a number of seconds"),
        ("cell,seed\n1\n", "line 2: 1 values for 2 columns"),
        ("cell,sed\n1,0\n", "unknown column 'sed': did you mean 'seed'?"),
        ("seed\n1\n", "needs a column 'cell'"),
        ("cell,cell\n1,1\n", "each column once"),
        ("cell\n15625\n", "line 2: a cell index lies in 0..15624"),
        ("1\n|nor_conv_3x3~0|\n", "line 2: not an architecture string"),
        ("# nothing\n\n", "cells.csv has no cells"),
        ("cell\n", "cells.csv has no cells"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_line(
    text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("cells.csv").write_text(text)
    assert says in refused(capsys, "cells.csv", *WHAT)
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (("--name", "my nas"), "--name is one word"),
        (("--name", ""), "--name is one word"),
        (("--title", "GDAS"), "gdas has the title 'GDAS': give the cells of my_nas another one"),
        (("--name", "GDAS"), "gdas has the title 'GDAS': give the cells of GDAS another one"),
        (("--source", " "), "--source says where the cells come from"),
        (("--table", "digits", "--dataset", "cifar11"), "unknown data set in the table 'cifar11'"),
        (("--set", "lr=[1]"), "--set: a value is a number"),
        (("--set", "lr=inf"), "--set: a value is a number"),
        (("--table", "none.parquet"), "no benchmark table at none.parquet"),
    ],
)
def test_facts_that_do_not_fit_are_refused(
    changed: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("cells.csv").write_text("1\n")
    code = 1 if "none.parquet" in changed else 2
    assert says in refused(capsys, "cells.csv", *WHAT, *changed, code=code)
    assert not Path("results").exists()


def test_a_file_that_cannot_be_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "cannot read none.csv" in refused(capsys, "none.csv", *WHAT, code=1)
    Path("cells.csv").write_bytes(b"\xff\xfe\x00")
    assert "is not a text file" in refused(capsys, "cells.csv", *WHAT)
