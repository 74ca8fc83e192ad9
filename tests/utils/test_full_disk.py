"""On a full disk every writer says so in one line, leaves nothing half written, and works once there is room."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from analysis_runs import TRUE, make_run, scored
from command import call, runs, search
from disk import full_disk
from official_layout import write_pth
from tables import synthetic_table
from tiny_cells import made_records

from nasbench_eval.analysis.figures import draw_figure
from nasbench_eval.analysis.layout import write_text
from nasbench_eval.errors import Diverged, NbevalError
from nasbench_eval.images.catalogue import LAYOUTS
from nasbench_eval.images.download import _unpack
from nasbench_eval.runs.failures import write_failure
from nasbench_eval.runs.store import write_bundle, write_run
from nasbench_eval.table.sources.build import build_table
from nasbench_eval.table.sources.trained import trained_table, write_curves
from nasbench_eval.training.records import Records
from runners.checkpoints import save_checkpoint
from runners.record import make_failure
from runners.spec import RunSpec


def _append(path: Path) -> None:
    records = made_records([0], [0])
    Records.read(path / "a.jsonl").append(path / "a.jsonl", records.lines.values())


def _curves(path: Path) -> None:
    records = made_records([0, 1], [0])
    table = trained_table(records)
    table.path = path / "t.parquet"
    write_curves(records, table)


def _downloaded(path: Path) -> None:
    _unpack(LAYOUTS["cifar100"], path / "archive.tar.gz")


WRITERS: dict[str, Callable[[Path], object]] = {
    "run": lambda path: write_run(path, make_run({"cifar10": 93.0})),
    "bundle": lambda path: write_bundle(path, [make_run({"cifar10": 93.0}, seed=seed) for seed in (0, 1)]),
    "scores": lambda path: scored(path, make_run({"cifar10": 93.0}), TRUE, TRUE),
    "failure": lambda path: write_failure(path, make_failure(RunSpec("darts", "digits", 0), Diverged(1, "x is nan"))),
    "checkpoint": lambda path: save_checkpoint(path / "c.pt", {"weights": torch.zeros(1000)}),
    "figure": lambda path: draw_figure("curves", [make_run({"cifar10": 93.0})], path, ["png"]),
    "pdf": lambda path: draw_figure("curves", [make_run({"cifar10": 93.0})], path, ["pdf"]),
    "text": lambda path: write_text(path / "t.csv", "1,2\n" * 100),
    "table": lambda path: synthetic_table().save(path / "t.parquet"),
    "curves": _curves,
    "parts": lambda path: build_table(path / "n.pth", path / "t.parquet", partial=True, workers=1),
    "records": lambda path: made_records([0], [0]).write(path / "r.jsonl"),
    "appended records": _append,
    "downloaded images": _downloaded,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_line_and_changes_nothing(tmp_path: Path, name: str) -> None:
    Records(made_records([], []).head).write(tmp_path / "a.jsonl")
    write_pth(tmp_path / "n.pth", [0])
    with tarfile.open(tmp_path / "archive.tar.gz", "w:gz") as archive:
        for member in LAYOUTS["cifar100"].names:
            entry = tarfile.TarInfo(f"{LAYOUTS['cifar100'].folder}/{member}")
            entry.size = 5000
            archive.addfile(entry, io.BytesIO(b"x" * 5000))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(NbevalError) as caught, full_disk():
        WRITERS[name](tmp_path)
    assert "\n" not in str(caught.value)
    assert "cannot write" in str(caught.value)
    assert "File too large" in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    WRITERS[name](tmp_path)
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after != before
    assert not [path for path in after if path.name.endswith(".tmp")]


def test_a_search_on_a_full_disk_goes_on_once_there_is_room(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--method", "darts", "--table", str(table_file)]
    with full_disk(20_000):
        assert search(*arguments) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert err.strip().splitlines()[-1].startswith("nbeval: cannot write results/checkpoints/")
    assert not [path for path in Path("results").rglob("*") if path.is_file()]
    assert search(*arguments) == 0
    assert list(runs()) == ["darts 0"]


class _Full(io.StringIO):
    """An output on a full disk, such as ``/dev/full``."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_output_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("runners.cli._drop_output", lambda: None)  # it would close the output of this process
    with contextlib.redirect_stdout(_Full()):
        assert call("table", "info", "--table", "digits") == 1
    assert capsys.readouterr().err == "nbeval: No space left on device\n"
