"""Runs from the command line: what is recorded and what is not repeated."""

from __future__ import annotations

import dataclasses
import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from analysis_runs import make_run
from command import TINY, call, runs, search, untimed
from tables import synthetic_table

from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError, RunError
from nasbench_eval.images import ImageData, load_images
from nasbench_eval.runs.failures import Failure
from nasbench_eval.runs.store import Run, write_run
from nasbench_eval.table import Table
from nasbench_eval.training.recipes import TrainingSettings
from nasbench_eval.utils.files import atomic_write
from nasbench_eval.utils.rng import Streams
from runners import locks
from runners import search as searching
from runners.context import Inputs, RunContext
from runners.inputs import prepare
from runners.lookup import TableLookup
from runners.search import stored
from runners.spec import RunSpec


def test_every_epoch_records_the_true_accuracies_of_its_cell(home: Path, table: Table, table_file: Path) -> None:
    assert search("--method", "gaea_darts,rs_ws", "--seeds", "2", "--table", str(table_file)) == 0
    found = runs()
    assert sorted(found) == ["gaea_darts 0", "gaea_darts 1", "rs_ws 0", "rs_ws 1"]
    for run in found.values():
        steps = run.steps
        assert steps["step"].tolist() == [0, 1]
        assert ("selection_seconds" in steps) == (run.record.method == "rs_ws")
        total = steps["seconds"].cumsum() + steps.get("selection_seconds", 0)
        assert steps["total_seconds"].tolist() == pytest.approx(total.tolist())
        for _, row in steps.iterrows():
            cell = Cell.parse(row["cell"])
            for dataset in ("digits", "cifar10"):
                assert row[f"test_acc.{dataset}"] == table.accuracy(cell, dataset, "test", epochs=200)
            assert row[[f"n_{name}" for name in cell.counts()]].tolist() == list(cell.counts().values())
            assert {"train_loss", "train_acc", "valid_loss", "valid_acc"} <= set(steps.columns)
        record = run.record
        assert record.table is not None
        assert record.table.content_hash == table.metadata.content_hash
        assert record.table.optimum["digits"] == table.best("digits", epochs=200)[1]
        assert record.table.noise["digits"]["test"] == pytest.approx(table.noise("digits", "test", epochs=200))
        assert record.settings["channels"] == 2
        assert "channels 16 -> 2" in record.reductions
        assert "track_running_stats=True" in record.batch_norm
        assert "64" in record.split
    assert found["gaea_darts 0"].record.variant_id == found["gaea_darts 1"].record.variant_id
    for method in ("gaea_darts", "rs_ws"):
        one, other = (untimed(found[f"{method} {seed}"].steps) for seed in (0, 1))
        assert one["train_loss"].tolist() != other["train_loss"].tolist(), "each seed is another search"
    assert not list(Path("results/checkpoints").glob("*"))


def test_the_same_command_runs_only_what_is_missing(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert search("--method", "darts", "--seeds", "0,", "--table", str(table_file)) == 0
    before = {path: path.stat().st_mtime_ns for path in Path("results/runs").iterdir()}
    capsys.readouterr()
    assert search("--method", "darts", "--seeds", "2", "--table", str(table_file)) == 0
    out = capsys.readouterr().out
    assert "darts digits seed 0: complete already" in out
    assert "seed 1: complete" not in out
    for path, when in before.items():
        assert path.stat().st_mtime_ns == when
    assert len(runs()) == 2


def test_a_new_table_means_a_new_look_up_not_a_new_search(home: Path, table_file: Path) -> None:
    assert search("--method", "darts", "--truth", "none") == 0
    blind = runs()["darts 0"]
    assert blind.record.truth == "none"
    assert blind.test_acc == {}
    assert search("--method", "darts", "--table", str(table_file)) == 0
    seen = runs()["darts 0"]
    other = synthetic_table(seed=1)
    context = RunContext(Path("results"), load_images, tables={"digits": TableLookup(other)})
    spec = RunSpec("darts", "digits", 0, overrides=seen.record.overrides)
    looked = stored(spec, context)
    assert looked is not None
    assert looked.test_acc != seen.test_acc
    assert runs()["darts 0"].test_acc == seen.test_acc, "to look changes no file"
    other.save(home / "other.parquet")
    assert search("--method", "darts", "--table", str(home / "other.parquet")) == 0
    again = runs()["darts 0"]
    assert blind.steps["train_loss"].tolist() == seen.steps["train_loss"].tolist() == again.steps["train_loss"].tolist()
    assert blind.record.finished == seen.record.finished == again.record.finished
    cell = Cell.parse(again.steps.iloc[-1]["cell"])
    assert again.test_acc["digits"] == other.accuracy(cell, "digits", "test", epochs=200) != seen.test_acc["digits"]
    assert again.record.table.content_hash == other.metadata.content_hash


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few of the digits' images: what is trained from scratch takes seconds."""
    data = load_images("digits")
    parts = {p: getattr(data, p).subset(torch.arange(n)) for p, n in (("train", 256), ("valid", 128), ("test", 250))}
    few = dataclasses.replace(data, **parts)
    monkeypatch.setattr("nasbench_eval.images.load_images", lambda name, **options: few)


def test_truth_train_trains_the_final_cell_and_says_so(
    home: Path, few_digits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert search("--method", "darts", "--truth", "train", "--scale", "small") == 0
    run = runs()["darts 0"]
    assert run.record.truth == "train"
    assert "trained once from scratch on 256 train images, tested on 250" in run.record.truth_note
    assert "epochs=30 (benchmark 200)" in run.record.truth_note
    accuracies = run.steps["test_acc.digits"]
    assert accuracies.isna().tolist() == [True, False]
    # A run that was not trained does not count as complete where the truth is to be trained.
    monkeypatch.setattr("nasbench_eval.training.from_scratch.train_from_scratch", lambda *_, **__: 12.5)
    assert search("--method", "darts", "--truth", "none", "--seeds", "1,", "--scale", "small") == 0
    searched, weights = runs()["darts 1"], {path: path.read_bytes() for path in Path("results/supernets").iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr("runners.search.run_search", None)  # only its final cell is trained
        assert search("--method", "darts", "--truth", "train", "--seeds", "1,", "--scale", "small") == 0
    trained = runs()["darts 1"]
    assert (trained.record.truth, trained.record.table, trained.test_acc) == ("train", None, {"digits": 12.5})
    assert "trained once from scratch" in trained.record.truth_note
    assert trained.steps.drop(columns="test_acc.digits").equals(searched.steps)
    assert {path: path.read_bytes() for path in Path("results/supernets").iterdir()} == weights
    # 250 test images: every accuracy is a multiple of 1/250, and a trained cell is far from the 10 percent of chance.
    assert accuracies.iloc[-1] * 250 / 100 == pytest.approx(round(accuracies.iloc[-1] * 250 / 100), abs=1e-4)
    assert accuracies.iloc[-1] > 20


@pytest.mark.parametrize("stored_first", [False, True])
def test_an_interrupted_final_training_goes_on(
    home: Path, few_digits: None, monkeypatch: pytest.MonkeyPatch, stored_first: bool
) -> None:
    begins: list[int] = []
    last = 3

    def train(*_: Any, begun: dict[str, Any] | None, on_epoch: Any, **__: Any) -> float:
        first = 0 if begun is None else begun["epoch"]
        begins.append(first)
        for epoch in range(first + 1, 6):
            on_epoch({"epoch": epoch})
            if epoch == last:
                raise KeyboardInterrupt
        return 12.5

    monkeypatch.setattr("nasbench_eval.training.from_scratch.train_from_scratch", train)
    arguments = ("--method", "rs_ws", "--truth")
    if stored_first:
        assert search(*arguments, "none") == 0
    assert search(*arguments, "train") == 130
    [path] = Path("results/trainings").iterdir()
    assert call("clean", "--yes") == 0
    last = 4
    assert search(*arguments, "train") == 130
    state = torch.load(path)
    torch.save({**state, "what": state["what"] | {"cell": "another"}}, path)
    last = 0
    assert search(*arguments, "train") == 0
    assert begins == [0, 3, 0], "what was begun for another cell is not continued"
    assert runs()["rs_ws 0"].test_acc == {"digits": 12.5}
    assert not path.exists()


def test_a_final_training_that_diverges_leaves_the_search_and_the_other_runs(
    home: Path, few_digits: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(cell: Cell, data: ImageData, settings: TrainingSettings, streams: Streams, **_: str) -> float:
        if streams.seed == 0:
            raise RunError("the training diverged: the search is kept")
        return 12.5

    monkeypatch.setattr("nasbench_eval.training.from_scratch.train_from_scratch", train)
    arguments = ("--method", "darts", "--truth", "train", "--scale", "small", "--seeds", "2")
    for _ in range(2):  # it stops at no seed, again
        assert search(*arguments) == 1
        assert list(runs()) == ["darts 1"]
        lines = [line for line in capsys.readouterr().err.splitlines() if "diverged" in line]
        assert lines[-1] == "nbeval: darts digits seed 0: the training diverged: the search is kept"
    assert search(*arguments[:3], "none", *arguments[4:]) == 0
    assert sorted(runs()) == ["darts 0", "darts 1"]


def test_the_last_cell_is_trained_from_scratch_with_the_seed_of_its_run(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []

    def train(cell: Cell, images: object, settings: object, streams: Streams, **options: object) -> float:
        trained.append((cell, streams.seed))
        return 12.5

    monkeypatch.setattr("nasbench_eval.training.from_scratch.train_from_scratch", train)
    assert search("--method", "rs_ws", "--truth", "none", "--seeds", "3,") == 0
    run = runs()["rs_ws 3"]
    cells = [Cell.from_index(number) for number in (7, 8)]
    steps = run.steps.assign(cell=list(map(str, cells)))
    write_run(Path("results/runs"), dataclasses.replace(run, steps=steps))
    assert search("--method", "rs_ws", "--truth", "train", "--seeds", "3,") == 0
    assert trained == [(cells[1], 3)]


def test_a_cell_trained_from_scratch_takes_the_place_of_what_the_table_says(
    home: Path, table_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run has accuracies of one source, and no optimum of a table beside an accuracy that is not from it."""
    monkeypatch.setattr("nasbench_eval.training.from_scratch.train_from_scratch", lambda *_, **__: 12.5)
    assert search("--method", "rs_ws", "--table", str(table_file)) == 0
    run = runs()["rs_ws 0"]
    assert run.record.table is not None
    write_run(Path("results/runs"), dataclasses.replace(run, record=dataclasses.replace(run.record, images="0" * 64)))
    assert search("--method", "rs_ws", "--truth", "train") == 1, "not on other images than it searched on"
    write_run(Path("results/runs"), run)
    assert search("--method", "rs_ws", "--truth", "train") == 0
    run = runs()["rs_ws 0"]
    assert (run.record.truth, run.record.table) == ("train", None)
    assert [name for name in run.steps if name.startswith("test_acc")] == ["test_acc.digits"]
    assert run.steps["test_acc.digits"].isna().tolist() == [True, False]
    assert run.test_acc == {"digits": 12.5}


def test_a_trained_accuracy_is_kept_where_the_table_is_asked_and_the_command_says_so(
    home: Path, table_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nasbench_eval.training.from_scratch.train_from_scratch", lambda *_, **__: 12.5)
    assert search("--method", "darts", "--truth", "train") == 0
    [path] = Path("results/runs").iterdir()
    before = path.read_bytes()
    capsys.readouterr()
    assert search("--method", "darts", "--seeds", "2", "--table", str(table_file)) == 0
    said = capsys.readouterr()
    assert said.err.count("1 of 2 runs keep the accuracy of their final cell trained from scratch") == 1
    assert "CAUTION: the seeds of a row come from several sources" in " ".join(said.out.split())
    assert path.read_bytes() == before
    assert [run.record.truth for _, run in sorted(runs().items())] == ["train", "table"]
    assert search("--method", "darts", "--seeds", "1,", "--table", str(table_file)) == 0
    assert "keep the accuracy" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--method", "gaea_dart"], 2, "unknown method 'gaea_dart': did you mean 'gaea_darts'?"),
        (["--method", "darts", "--set", "chanels=4"], 2, "did you mean 'channels'?"),
        (["--method", "darts", "--set", "channels=many"], 2, "channels must be an integer; got 'many'"),
        (["--method", "darts", "--set", "channels=0"], 2, "channels must be at least 1; got 0"),
        (["--method", "darts", "--set", "objective=both"], 2, "objective must be one of bilevel, erm"),
        (["--method", "darts", "--set", "channels"], 2, "--set takes key=value"),
        (["--method", "darts", "--seeds", "four"], 2, "--seeds takes a number of seeds"),
        (["--method", "darts", "--seeds", "0"], 2, "--seeds 0 asks for no run"),
        (["--method", "darts", "--scale", "smal"], 2, "unknown scale 'smal': did you mean 'small'?"),
        (["--method", "darts", "--device", "tpu", "--truth", "none"], 2, "--device is auto, cpu, cuda or cuda:n"),
        (["--method", "darts", "--device", "cuda:99", "--truth", "none"], 2, "--device cuda:99: torch sees"),
        (
            ["--method", "darts", "--dataset", "cifar10"],
            1,
            "lacks the benchmark table (8 MB) and the images of cifar10",
        ),
        (["--method", "darts", "--table", "missing.parquet"], 1, "no benchmark table at missing.parquet"),
    ],
)
def test_bad_calls_get_one_clear_line(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    assert call("run", "--dataset", "digits", *arguments) == code
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert not Path("results").exists()


def test_a_data_set_unknown_to_the_table_or_to_us(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = ("--split", "seeded")  # or its official halves would be missing too
    assert call("run", "--method", "darts", "--dataset", "cifar100", "--table", str(table_file), *split) == 1
    assert "the table has no cifar100 (it has cifar10, digits)" in capsys.readouterr().err
    assert call("run", "--method", "darts", "--dataset", "cifar11", "--table", str(table_file)) == 2
    assert "did you mean 'cifar10'?" in capsys.readouterr().err


def test_a_full_disk_leaves_nothing_half_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = home / "file"
    target.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NbevalError, match="No space left on device"), atomic_write(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "old"
    assert [path.name for path in home.iterdir()] == ["file"]


def test_a_run_asked_for_by_a_named_scale_is_labelled_with_it(home: Path, table_file: Path) -> None:
    arguments = ["--method", "rs_ws", "--table", str(table_file)]
    sizes = [part for part in TINY if not part.startswith(("channels", "cells", "--set"))]
    sizes = [argument for part in sizes for argument in ("--set", part)]
    command = ("run", "--dataset", "digits", "--epochs", "1", "--device", "cpu", *arguments, *sizes)
    assert call(*command, "--set", "channels=8", "--set", "cells=1") == 0
    by_hand = runs()["rs_ws 0"]
    assert (by_hand.record.scale, by_hand.record.overrides["channels"]) == ("full", 8)
    assert call(*command, "--scale", "shallow") == 0
    named = runs()["rs_ws 0"]
    assert (named.record.scale, "channels" in named.record.overrides) == ("shallow", False)
    assert named.record.finished == by_hand.record.finished, "the search was not repeated"


def test_the_file_of_a_search_that_ended_elsewhere_may_be_late(
    home: Path, table_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a network file system, whose client remembers that the file was not there."""
    looked: list[Path] = []
    known = searching.known

    def late(spec: RunSpec, context: RunContext, **options: Any) -> Run | Failure | None:
        return known(spec, context, **options) if len(looked) > 1 else None

    monkeypatch.setattr(searching, "known", late)
    monkeypatch.setattr(searching, "look_again", looked.append)
    monkeypatch.setattr(locks, "POLL", 0.001)
    arguments = ["run", "--method", "rs_ws", "--dataset", "digits", "--table", str(table_file), "--epochs", "1", *TINY]
    assert call(*arguments, "--device", "cpu") == 0
    assert looked == [Path("results")] * 2  # when the lock was taken, and when no file was seen


def test_cudnn_is_asked_for_the_same_result_every_time(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the search makes its network; without this, two runs of one seed differ on a GPU."""

    class Begun(Exception):
        pass

    def begin(spec: RunSpec, context: RunContext, device: str) -> None:
        assert device == "cuda"
        assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (True, False)
        raise Begun

    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(searching, "new_method", begin)
    context = RunContext(home / "results", load_images, device="cuda")
    with pytest.raises(Begun):
        searching.run_search(RunSpec("darts", "digits", 0), context, lambda done, row: None)


def test_looking_again_changes_the_time_of_the_folders(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    os.utime(tmp_path / "runs", (0, 0))
    searching.look_again(tmp_path)  # without a folder of failures
    assert (tmp_path / "runs").stat().st_mtime > 0


def test_a_complete_run_is_labelled_with_a_scale_only_if_the_scale_cuts_it(home: Path) -> None:
    for name, scale in (("broken_methods:Peeping", "full"), ("darts", "small")):
        spec = RunSpec(name, "digits", 0, scale="small")
        context = prepare([spec], Inputs(home / "results", "cpu", truth="none"))
        asked = searching._as_asked(make_run({}, search="digits"), spec, context)
        assert asked is not None
        assert asked.record.scale == scale
