"""Training the cells of a custom table: resumed, shared between machines, in several processes, by command."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny_cells import TINY, write_images

from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError
from nasbench_eval.images import ImageData
from nasbench_eval.images.custom import load_custom_images
from nasbench_eval.table import Table
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
