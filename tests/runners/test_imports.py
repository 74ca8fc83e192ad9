"""``nbeval import``: final cells of other code become runs that everything shows as imported."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from analysis_runs import make_run
from command import call, runs
from pictures import words

from nasbench_eval.analysis.against_table import against_table
from nasbench_eval.analysis.comparison_notes import noted_comparison
from nasbench_eval.analysis.figures import cost
from nasbench_eval.analysis.labels import labels
from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError
from nasbench_eval.report.results import comparison_table
from nasbench_eval.runs import IMPORTED
from nasbench_eval.runs.store import Run, load_runs, write_run
from nasbench_eval.table import Table
from nasbench_eval.table.locate import find_table
from runners.provenance import provenance

CELLS = f"cell,seed,search_seconds\n{Cell.from_index(9930)},3,7200\n\n# the second search\n14519, 5,\n"
WHAT = ("--name", "my_nas", "--dataset", "digits", "--source", "github.com/me/my_nas, commit 1a2b3c4")


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def imported(text: str = CELLS, *more: str) -> list[Run]:
    before = {run.record.run_id for run in all_runs()}
    Path("cells.csv").write_text(text)
    assert call("import", "cells.csv", *WHAT, *more) == 0
    made = [run for run in all_runs() if run.record.run_id not in before] or all_runs()
    return sorted(made, key=lambda run: run.record.seed)


def all_runs() -> list[Run]:
    return load_runs([Path("results")]) if Path("results").exists() else []


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
    assert "not stated, or not for all seeds (my_nas [imported])" in note
    assert not [note for note in notes if note.startswith("made with")]  # by nbeval, that is


def test_rows_of_several_sources_are_never_one() -> None:
    """A label without a search data set stands for one method: with one name, one source and the same facts."""
    first = imported("1000\n2\n")
    for other in (("--source", "a paper"), ("--name", "other", "--title", "my_nas"), ("--device", "one GPU")):
        both = [
            *first,
            *(replace(run, record=replace(run.record, search_dataset="cifar10")) for run in imported("1000\n", *other)),
        ]
        names = labels(both).values()
        assert len(set(names)) == 2, names
        assert all("my_nas [imported, #" in name for name in names)
    same = [replace(run, record=replace(run.record, search_dataset="cifar10", variant_id="ab")) for run in first]
    assert set(labels([*first, *same]).values()) == {"my_nas [imported]"}


def test_a_comparison_with_one_method_says_what_is_imported() -> None:
    runs = [
        *imported(),
        make_run({"digits": 80.0}, search="digits"),
        make_run({"digits": 82.0}, search="digits", seed=1),
    ]
    for method in ("gdas", "imported:my_nas"):
        assert [note for note in against_table(runs, method).notes if WHAT[-1] in note]


def test_the_command_shown_makes_the_same_runs() -> None:
    found = imported(CELLS, "--split", " halves ", "--set", 'word="1"', "--set", "lr=0.1", "--reduced", "cells 5 -> 1")
    [how] = provenance(found).values()
    assert call(*[word.replace("CELLS", "cells.csv") for word in shlex.split(how.command)[1:]]) == 0
    assert {run.record.run_id for run in all_runs()} == {run.record.run_id for run in found}


def until_the_disk_is_full(folder: Path, run: Run) -> Path:
    """Write the first of the two runs of ``CELLS``."""
    if run.record.seed == 5:
        raise NbevalError("the disk is full")
    return write_run(folder, run)


def test_a_disk_that_gets_full_leaves_no_seed_of_several(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("runners.imports.write_run", until_the_disk_is_full)
    Path("cells.csv").write_text(CELLS)
    assert "the disk is full" in refused(capsys, "cells.csv", *WHAT, code=1)
    assert not all_runs()


def test_runs_that_could_not_be_looked_up_again_are_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], table_file: Path
) -> None:
    before = {run.record.run_id: run.test_acc for run in imported()}

    monkeypatch.setattr("runners.imports.write_run", until_the_disk_is_full)
    assert "the disk is full" in refused(capsys, "cells.csv", *WHAT, "--table", str(table_file), code=1)
    after = {run.record.run_id: run.test_acc for run in all_runs()}
    assert after.keys() == before.keys()


def test_what_spreadsheets_and_other_code_write_is_read() -> None:
    arch = Cell.from_index(9930)
    text = f'\ufeffcell,seed,\r\n"Structure(4 nodes with {arch})",1,\r\n14519 , 2,,\r\n,,\r\n'
    assert [(run.record.seed, run.steps["cell"][0]) for run in imported(text)] == [
        (1, str(arch)), (2, str(Cell.from_index(14519))),
    ]  # fmt: skip


def test_costs_that_are_not_known_are_not_drawn() -> None:
    known = make_run({"digits": 80.0}, search="digits")
    assert cost.data([*imported("1000\n2\n"), known])["label"].tolist() == ["GDAS"]
    stated = imported("cell,search_seconds\n1,60\n2,80\n", "--device", "one A100")
    text = words(cost.draw(cost.data([*stated, known])))
    assert comparison_table(noted_comparison(stated)).rows[0][-1].note == "as stated"
    assert "Measured on one CPU. [imported]: searched by other code, with facts and cost as stated by its user." in text


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
        ("94.36\n93.1\n", "known are cell, seed, search_seconds, and accuracies are looked up in the table"),
        ("94\n93\n", "may have accuracies, not cells"),
        ("cell;seed\n1;0\n", "separate the columns by commas"),
        ("9930,0\n", "unknown column '9930': the first line names the columns"),
        ("cell\n012340\n", "line 2: '012340' is no architecture string and no index: Cell.from_naslib"),
        ('cell\n"[0, 1, 2, 3, 4, 0]"\n', "line 2: '[0, 1, 2, 3, 4, 0]' is no architecture string and no index"),
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
        (("--title", "GAEA DARTS (ERM)\n."), "--title has the character '\\n', which is not seen"),
        (("--title", "GAEA DARTS (ERM)\x1b[8m"), "--title has the character '\\x1b', which is not seen"),
        (("--title", "\u202eOLR"), "--title has the character '\\u202e', which is not seen"),
        (("--device", "GPU\udcfc"), "--device has the character '\\udcfc', which is not seen"),
        (("--set", "note=\u200b"), "--set has the character"),
        (("--reduced", " "), "--reduced says what is smaller than published"),
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
    Path("cells.csv").write_text("9930\n")
    code = 1 if "none.parquet" in changed else 2
    assert says in refused(capsys, "cells.csv", *WHAT, *changed, code=code)
    assert not Path("results").exists()


def test_a_file_that_cannot_be_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "cannot read none.csv" in refused(capsys, "none.csv", *WHAT, code=1)
    Path("cells.csv").write_bytes(b"\xff\xfe\x00")
    assert "is not a text file" in refused(capsys, "cells.csv", *WHAT)
