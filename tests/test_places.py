"""Where files are looked for: unreadable places, files in place of folders, a folder one level too deep."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from analysis_runs import make_run
from command import TINY, call
from permissions import locked
from tiny_cells import write_images

import nbeval
from nasbench_eval.errors import NbevalError
from nasbench_eval.images.catalogue import LAYOUTS, find_images
from nasbench_eval.images.custom import load_custom_images
from nasbench_eval.runs.store import write_run
from nasbench_eval.table import Table


def touch(root: Path, name: str = "cifar10") -> Path:
    """Write empty batch files, which are enough to be found."""
    folder = root / LAYOUTS[name].folder
    folder.mkdir(parents=True)
    for file in LAYOUTS[name].names:
        (folder / file).touch()
    return folder


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1, err
    return err


@pytest.mark.parametrize("variable", ["NBEVAL_DATA", "TORCH_HOME", "XDG_CACHE_HOME"])
def test_an_unreadable_place_is_passed_over_and_named_if_nothing_is_found(
    variable: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = home / "place"
    touch(place)
    monkeypatch.setenv(variable, str(place))
    with locked(place):
        with pytest.raises(NbevalError, match=rf"no images of cifar10: .*cannot read {place}.*Permission denied"):
            find_images("cifar10")
        other = home / "other"
        monkeypatch.setenv("TORCH_HOME" if variable == "NBEVAL_DATA" else "NBEVAL_DATA", str(other))
        folder = touch(other)
        assert find_images("cifar10").path == folder


def test_a_place_that_is_a_file_is_passed_over_and_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").touch()
    monkeypatch.setenv("NBEVAL_DATA", str(home / "file"))
    monkeypatch.setenv("TORCH_HOME", str(home / "file" / "below"))
    with pytest.raises(NbevalError, match=r"\(.*file is a file: name the folder that holds cifar-10-batches-py/\)"):
        find_images("cifar10")


def test_a_data_folder_that_the_user_names_is_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    touch(home / "mine")
    with locked(home / "mine"):
        for root in (Path("mine"), Path("mine/cifar-10-batches-py")):
            with pytest.raises(NbevalError, match=r"^cannot read mine/cifar-10-batches-py.*: Permission denied$"):
                find_images("cifar10", root)
        assert call("run", "--method", "rs_ws", "--dataset", "cifar10", "--truth", "none", "--data", "mine", *TINY) == 1
        assert "Permission denied" in error_of(capsys)
    batch = home / "mine/cifar-10-batches-py/data_batch_1"
    with locked(batch), pytest.raises(NbevalError, match=r"^cannot read .*data_batch_1: Permission denied$"):
        list(find_images("cifar10", Path("mine")).batches())


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "imagenet16-120"])
def test_the_folder_of_the_batches_itself_is_understood(name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = touch(home / "mine", name)
    assert find_images(name, folder).path == folder
    monkeypatch.setenv("NBEVAL_DATA", str(folder))
    assert find_images(name).path == folder
    monkeypatch.chdir(folder)
    assert find_images(name, Path()).path.resolve() == folder
    # What lies beside it is found too.
    other = touch(home / "mine", "cifar100" if name != "cifar100" else "cifar10")
    assert find_images("cifar100" if name != "cifar100" else "cifar10", folder).path == other


def test_the_archive_itself_is_understood_and_another_file_is_not(home: Path) -> None:
    archive = home / "cifar-10-python.tar.gz"
    archive.touch()
    assert find_images("cifar10", archive).path == archive
    with pytest.raises(NbevalError, match=r"gz is a file: name the folder that holds cifar-100-python/"):
        find_images("cifar100", archive)


def test_an_unreadable_table_is_one_line(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = home / "tables" / "mine.parquet"
    table.parent.mkdir()
    shutil.copy(table_file, table)
    for where in (table.parent, table):
        with locked(where):
            assert call("table", "info", "--table", str(table)) == 1
            assert error_of(capsys) == f"nbeval: cannot read {table}: Permission denied\n"
            monkeypatch.setenv("NBEVAL_TABLE", str(table))
            assert call("run", "--method", "rs", "--dataset", "cifar10") == 1
            assert error_of(capsys) == f"nbeval: cannot read {table}: Permission denied\n"
            monkeypatch.delenv("NBEVAL_TABLE")
    (home / "cache").mkdir()
    with locked(home / "cache"):
        assert call("table", "info") == 1
        err = capsys.readouterr().err
        assert "no benchmark table at" in err
        assert "Permission denied): `nbeval table fetch` makes one" in err
        # A search that has its table in the package needs no cache.
        assert nbeval.evaluate(5, "digits")["digits"].test_acc > 0


def test_an_unreadable_split_file_is_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split = home / "splits" / "cifar-split.txt"
    split.parent.mkdir()
    split.write_text(json.dumps({"train": ["int", ["0"]], "valid": ["int", ["1"]]}))
    command = ("run", "--method", "rs_ws", "--dataset", "cifar10", "--truth", "none", "--split-file", str(split))
    for where in (split, split.parent):
        with locked(where):
            assert call(*command) == 1
            assert error_of(capsys) == f"nbeval: cannot read {split}: Permission denied\n"
    assert call(*command[:-1], str(split.parent)) == 2
    assert "there is no such file" in error_of(capsys)


def test_an_unreadable_results_folder_hides_no_run(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ("run", "--method", "rs", "--dataset", "digits", "--set", "budget_seconds=100")
    assert call(*run) == 0
    capsys.readouterr()
    (file,) = Path("results/runs").iterdir()
    for where in (Path("results"), Path("results/runs")):
        with locked(where):
            for command in (run, ("compare", "--results", "results"), ("plot", "figure5", "--results", "results/runs")):
                assert call(*command) == 1
                assert "Permission denied" in error_of(capsys)
            with pytest.raises(NbevalError, match="Permission denied"):
                nbeval.search("rs", "digits", results="results")
    with locked(file):
        assert call("compare") == 1
        assert error_of(capsys).endswith(f"{file.name}: Permission denied\n"), "it must not advise to delete the file"
    assert file.is_file()
    Path("file").touch()
    assert call(*run, "--results", "file") == 2
    assert "the results folder file is a file" in error_of(capsys)


def test_an_unreadable_folder_of_a_results_folder_is_not_an_empty_one(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else tables would not name the runs that diverged, and `clean` would take their files for leftovers."""
    write_run(Path("results/runs"), make_run({"cifar10": 93.0}))
    for name, commands in (("failed", ("compare", "status", "clean")), ("checkpoints", ("status", "clean"))):
        folder = home / "results" / name
        folder.mkdir()
        for command in commands:
            with locked(folder):
                assert call(command) == 1, command
            assert re.match(rf"nbeval: cannot read \S*results/{name}: Permission denied\n", error_of(capsys))


def test_without_a_home_folder_files_that_are_named_are_used(
    home: Path, table_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_home(name: str) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(platformdirs, "user_cache_path", no_home)
    for line in ("table info", "data info cifar10", "data fetch cifar10", "run --method rs --dataset cifar10"):
        assert call(*line.split()) == 1, line
        captured = capsys.readouterr()
        assert "there is no cache folder, as HOME is not set: set it, or name files" in captured.out + captured.err
    monkeypatch.setenv("NBEVAL_TABLE", str(table_file))
    monkeypatch.setenv("NBEVAL_DATA", str(home / "data"))
    folder = touch(home / "data")
    assert find_images("cifar10").path == folder
    assert call("table", "info") == 0


def test_names_of_folders_may_be_any_bytes(home: Path, table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    """A run file in such a folder was called damaged, with the advice to delete it."""
    place = Path(os.fsdecode(b"caf\xe9"))
    saved = place / "table.parquet"
    table.save(saved)
    run = ["run", "--method", "rs", "--dataset", "cifar10", "--table", str(saved), "--set", "budget_seconds=2000"]
    for seeds in ("1", "3"):
        assert call(*run, "--seeds", seeds, "--results", str(place)) == 0, capsys.readouterr().err
    assert call("status", "--results", str(place)) == 0
    for name in ("runs.csv", "runs.parquet", "runs.json"):
        assert call("export", "--results", str(place), "--tidy", str(place / name)) == 0
    assert call("report", "--results", str(place), "--output", str(place / "report.html")) == 0
    assert "caf\\udce9" in (place / "report.html").read_text(encoding="utf-8")


def test_what_macos_writes_beside_a_file_is_no_run(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(Path("results/runs"), make_run({"cifar10": 93.0}))
    (file,) = Path("results/runs").iterdir()
    for beside in (file, home / "results/checkpoints/abc.json", home / "results/failed/abc.json"):
        beside.parent.mkdir(exist_ok=True)
        beside.with_name(f"._{beside.name}").write_bytes(bytes(82))
    for command in ("compare", "status"):
        assert call(command) == 0, capsys.readouterr().err


def test_a_byte_order_mark_is_no_part_of_a_text(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "cells.txt").write_text("5\n", encoding="utf-8-sig")
    assert call("table", "query", "--cells-from", "cells.txt", "--table", str(table_file)) == 0
    (home / "study.toml").write_text('title = "x"\n', encoding="utf-8-sig")
    assert call("run", "study.toml") == 2
    assert error_of(capsys).startswith("nbeval: study.toml runs nothing")


def test_unreadable_custom_images_are_one_line(tmp_path: Path) -> None:
    file = write_images(tmp_path)
    folder = tmp_path / "photos"
    (folder / "ant").mkdir(parents=True)
    for path, where in ((file, file), (file, tmp_path), (folder, folder), (folder, folder / "ant")):
        with locked(where), pytest.raises(NbevalError, match=r"^cannot read .*: Permission denied$"):
            load_custom_images(path)
    assert np.load(file)["x_train"].shape == (90, 8, 8)
