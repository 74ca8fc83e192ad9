"""Training the cells of a custom table: resumed, shared between machines, in several processes, by command."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from command import call
from PIL import Image
from tiny_cells import TINY, write_images

from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError
from nasbench_eval.images import ImageData
from nasbench_eval.images.custom import load_custom_images
from nasbench_eval.table import Key, Table
from nasbench_eval.training import grouped
from nasbench_eval.training.recipes import Schedule
from nasbench_eval.training.records import Records, merge_records, records_path
from runners.cli import cli
from runners.train_table import train_cells

CELLS = [0, 1, 2, 3, 11]


@pytest.fixture(scope="module")
def npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def data(npz: Path) -> ImageData:
    return load_custom_images(npz)


@pytest.fixture(scope="module")
def whole(data: ImageData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "t.records.jsonl"
    train_cells(lambda: data, TINY, path, trials=[0, 1], cells=CELLS)
    return path


def results(records: Records) -> dict[tuple[int, int], object]:
    return {key: (line["train"], line["valid"], line["test"]) for key, line in records.lines.items()}


def test_a_killed_run_continues(whole: Path, data: ImageData, tmp_path: Path) -> None:
    lines = whole.read_text().splitlines(keepends=True)
    path = tmp_path / "t.records.jsonl"
    path.write_text("".join(lines[:4]) + lines[4][:30])  # killed while it wrote the fourth line
    records = train_cells(lambda: data, TINY, path, trials=[0, 1], cells=CELLS)
    assert results(records) == results(Records.read(whole)) == results(Records.read(path))


def test_shares_of_two_machines_are_merged(whole: Path, data: ImageData, tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.jsonl" for i in (1, 2)]
    for i, path in enumerate(paths, start=1):
        train_cells(lambda: data, TINY, path, trials=[0, 1], cells=CELLS, share=(i, 2))
    parts = [results(Records.read(path)) for path in paths]
    assert not parts[0].keys() & parts[1].keys()
    assert results(merge_records(paths)) == parts[0] | parts[1] == results(Records.read(whole))


def test_two_processes_give_the_same(npz: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.parquet"
    command = ["table", "train", "--trials=2", "--workers=2", f"--images={npz}", f"--out={out}"]
    command += [f"--set={key}={getattr(TINY, key)}" for key in ("channels", "epochs", "batch_size")]
    result = CliRunner().invoke(cli, [*command, f"--cells={','.join(map(str, CELLS))}"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert results(Records.read(records_path(out))) == results(Records.read(whole))


def test_another_schedule_is_refused(whole: Path, data: ImageData, tmp_path: Path) -> None:
    path = tmp_path / "t.records.jsonl"
    path.write_text(whole.read_text())
    with pytest.raises(NbevalError, match="schedule differs: choose another --out"):
        train_cells(lambda: data, Schedule(channels=4), path, trials=[0], cells=CELLS)


def test_the_command_trains_merges_and_writes_a_table(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["table", "train", "--images", str(npz), "--cells", "0,11", "--workers", "1"]
    command += ["--set", "channels=2", "--set", "epochs=3"]
    for trial, out in (("0,", "a.parquet"), ("1,", "b.parquet")):
        result = CliRunner().invoke(cli, [*command, "--trials", trial, "--out", out], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    result = CliRunner().invoke(cli, ["table", "train", "--merge", "a.parquet", "b.parquet", "--out", "c.parquet"])
    assert result.exit_code == 0, result.output
    # What is there already, as after a kill before the table was written, is kept.
    Path("c.parquet").unlink()
    result = CliRunner().invoke(cli, ["table", "train", "--merge", "b.parquet", "--out", "c.parquet"])
    assert result.exit_code == 0, result.output
    table = Table.open("c.parquet")
    assert table.trials("tiny", "test", epochs=3) == (0, 1)
    curve = table.curve(Cell.from_index(11), "tiny", "valid", epochs=3, trial=1)
    assert curve[-1] == pytest.approx(table.accuracy(Cell.from_index(11), "tiny", "valid", epochs=3, trial=1))
    assert len(curve) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--merge"], "--merge needs the tables to merge"),
        (["a.parquet"], "tables are only given with --merge"),
        (["--merge", "a.parquet"], "--merge needs --out"),
        (["--share", "3/2"], "--share is I/N"),
        (["--cells", "15625"], "--cells is a list of cell indices"),
        (["--images", "nowhere.npz"], "no images at nowhere.npz"),
        (["--set", "chanels=2"], "channels"),
    ],
)
def test_bad_calls_of_the_command(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NbevalError, match=message):
        CliRunner().invoke(cli, ["table", "train", *arguments], catch_exceptions=False)


def test_a_folder_that_is_the_current_one_has_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for number, name in enumerate(["ant", "cat"] * 5):
        (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    monkeypatch.chdir(tmp_path / "photos")
    command = [*TRAIN, "--cells", "11", "--images"]
    assert call(*command, ".") == 2
    assert "nbeval: photos-table.parquet would be among the images in .: give --out" in capsys.readouterr().err
    assert call(*command, ".", "--out", "../t.parquet") == 0
    assert Table.open(Path("../t.parquet")).datasets == ("photos",)
    here, there = load_custom_images(Path()), load_custom_images(Path("../photos"))
    assert (here.name, here.split) == (there.name, there.split)
    assert torch.equal(here.valid.pixels, there.valid.pixels)
    assert call(*command, "/") == 1
    assert "/ has no name: give a folder of images that has one" in capsys.readouterr().err


def diverge(monkeypatch: pytest.MonkeyPatch, cells: set[int]) -> None:
    """Let the trainings of some cells end with a loss that is not finite."""
    original = grouped.train_group

    def patched(group: list[Cell], *arguments: Any) -> Any:
        outcomes, seconds = original(group, *arguments)
        bad = {"valid": ((10.0, 2.3), (10.0, math.nan), (10.0, math.nan)), "test": (10.0, math.nan)}
        return [
            dataclasses.replace(outcome, **bad) if cell.index in cells else outcome
            for cell, outcome in zip(group, outcomes, strict=True)
        ], seconds

    monkeypatch.setattr(grouped, "train_group", patched)


TRAIN = ["table", "train", "--workers", "1", "--set", "channels=2", "--set", "epochs=3", "--trials", "1"]


def test_a_training_that_diverges_is_no_result_and_the_others_go_on(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    diverge(monkeypatch, {2})
    command = [*TRAIN, "--images", str(npz), "--cells", "0,2,11", "--out", "t.parquet"]
    assert call(*command) == 1
    printed = capsys.readouterr()
    assert "  diverged: 1 of 3 trainings: cell 2 (trial 0)" in printed.out
    assert "1 of 3 trainings diverged" in printed.err.splitlines()[-1]
    assert "cell 2, trial 0: validation loss after epoch 2 is nan" in printed.err.splitlines()[-1]
    records = Records.read(records_path(Path("t.parquet")))
    assert set(records.finished) == {(0, 0), (11, 0)}
    assert not {"train", "valid", "test"} & set(records.lines[2, 0])
    table = Table.open("t.parquet")
    assert table.metadata.source["diverged"] == "1 of 3 trainings: cell 2 (trial 0)"
    assert np.isnan(table.column("tiny", "test", epochs=3)[2])
    assert table.accuracy(Cell.from_index(11), "tiny", "test", epochs=3) >= 0
    with pytest.raises(NbevalError, match="no curve for cell 2"):
        table.curve(Cell.from_index(2), "tiny", "valid", epochs=3)
    # It is not trained again: it would diverge again.
    monkeypatch.setattr(grouped, "train_group", lambda *_: pytest.fail("trained again"))
    assert call(*command) == 1


def test_a_learning_rate_too_high_gives_no_table(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(*TRAIN, "--images", str(npz), "--cells", "11", "--set", "lr=1e30", "--out", "t.parquet") == 1
    assert "all 1 trainings diverged, so there is no table" in capsys.readouterr().err.splitlines()[-1]
    assert not Path("t.parquet").exists()


def test_old_records_with_a_loss_that_is_not_finite_are_no_results(whole: Path, tmp_path: Path) -> None:
    head, line, *_ = whole.read_text().splitlines()
    bad = json.loads(line)
    bad["test"] = [50.0, math.inf]
    (tmp_path / "t.records.jsonl").write_text(f"{head}\n{json.dumps(bad)}\n")
    records = Records.read(tmp_path / "t.records.jsonl")
    assert not records.finished
    assert list(records.diverged.values()) == ["test loss is inf"]


def test_training_never_starts_onto_a_table_of_something_else(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Table.build({Key("d", 1, "test", "accuracy"): np.linspace(1, 90, 15625)}, name="t", source={}).save("t.parquet")
    monkeypatch.setattr(grouped, "train_group", lambda *_: pytest.fail("trained"))
    with pytest.raises(NbevalError, match=r"a fuller table is at t\.parquet"):
        CliRunner().invoke(cli, [*TRAIN, "--images", str(npz), "--out", "t.parquet"], catch_exceptions=False)
