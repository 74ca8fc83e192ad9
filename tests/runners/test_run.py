"""Runs from the command line: what is recorded, what is not repeated, and what a kill leaves behind."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from command import TINY, call, runs, search
from tables import synthetic_table

from nasbench_eval.analysis.published import published
from nasbench_eval.cell import Cell
from nasbench_eval.errors import Diverged, NbevalError, UsageError
from nasbench_eval.images import load_images
from nasbench_eval.runs.failures import load_failures, write_failure
from nasbench_eval.runs.store import load_runs
from nasbench_eval.table import Table
from nasbench_eval.utils.files import atomic_write
from runners.presets import load_preset, load_scale, preset_names, scale_names, scaled
from runners.record import make_failure
from runners.spec import RunSpec, parse_overrides, parse_seeds
from runners.steps import take_steps


def test_every_epoch_records_the_true_accuracies_of_its_cell(home: Path, table: Table, table_file: Path) -> None:
    assert search("--method", "gaea_darts,rs_ws", "--seeds", "2", "--table", str(table_file)) == 0
    found = runs()
    assert sorted(found) == ["gaea_darts 0", "gaea_darts 1", "rs_ws 0", "rs_ws 1"]
    for run in found.values():
        steps = run.steps
        assert steps["step"].tolist() == [0, 1]
        assert steps["total_seconds"].tolist() == pytest.approx(steps["seconds"].cumsum().tolist())
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
    other.save(home / "other.parquet")
    assert search("--method", "darts", "--table", str(home / "other.parquet")) == 0
    again = runs()["darts 0"]
    assert blind.steps["train_loss"].tolist() == seen.steps["train_loss"].tolist() == again.steps["train_loss"].tolist()
    assert blind.record.finished == seen.record.finished == again.record.finished
    cell = Cell.parse(again.steps.iloc[-1]["cell"])
    assert again.test_acc["digits"] == other.accuracy(cell, "digits", "test", epochs=200) != seen.test_acc["digits"]
    assert again.record.table.content_hash == other.metadata.content_hash


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["alone", "in parallel"])
def test_a_search_that_diverges_is_recorded_as_failed_and_the_others_go_on(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str], workers: tuple[str, ...]
) -> None:
    """A learning rate of 1e30 makes the weights infinite; nothing of such a search may look like a result."""
    arguments = ["--method", "darts,rs_ws", "--table", str(table_file), "--set", "clip=none", *workers]
    assert search(*arguments, "--set", "lr=1e30", "--set", "lr_min=1e30") == 1
    said = capsys.readouterr()
    assert "darts digits seed 0 diverged in step 1: train_loss is nan" in said.err
    assert "nbeval: 2 of 2 runs diverged and are no results" in said.err
    assert "Traceback" not in said.err
    assert not list(Path("results").glob("runs/*")) + list(Path("results").glob("checkpoints/*"))
    failures = load_failures([Path("results/runs")])
    assert sorted((each.method, each.step, each.cause) for each in failures) == [
        ("darts", 0, "train_loss is nan"),
        ("rs_ws", 0, "train_loss is nan"),
    ]
    # The same command does not search again, and a healthy run beside them is a result.
    assert search(*arguments, "--set", "lr=1e30", "--set", "lr_min=1e30") == 1
    assert capsys.readouterr().out.count("diverged before") == 2
    assert search(*arguments) == 0
    assert sorted(runs()) == ["darts 0", "rs_ws 0"]


@pytest.mark.parametrize("method", ["enas", "gdas", "drnas"])
def test_nothing_is_chosen_from_an_architecture_that_is_not_finite(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Whatever makes the architecture infinite, here an optimiser's step, it is a diverged run, not a traceback."""
    step = torch.optim.Adam.step

    def broken(self: torch.optim.Adam, closure: Any = None) -> Any:
        result = step(self, closure)
        with torch.no_grad():
            self.param_groups[0]["params"][0].fill_(float("nan"))
        return result

    monkeypatch.setattr(torch.optim.Adam, "step", broken)
    sizes = ["--set", "controller_steps=2", "--set", "controller_samples=2"] if method == "enas" else []
    assert search("--method", method, "--table", str(table_file), *sizes, epochs=1) == 1
    err = capsys.readouterr().err
    assert f"{method} digits seed 0 diverged in step 1: " in err
    assert "Traceback" not in err
    assert not list(Path("results").glob("runs/*"))
    assert len(load_failures([Path("results")])) == 1


def test_tables_and_figures_say_how_many_runs_diverged(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--method", "rs_ws", "--table", str(table_file)]
    assert search(*arguments, "--seeds", "2", epochs=1) == 0
    [one, _] = load_runs([Path("results/runs")])
    spec = RunSpec("rs_ws", "digits", 7, overrides=one.record.settings)
    write_failure(Path("results"), make_failure(spec, Diverged(3, "train_loss is inf")))
    capsys.readouterr()
    words = "1 of 3 runs of RS-WS on digits diverged and are no results (train_loss is inf)"
    assert call("compare") == 0
    assert words in " ".join(capsys.readouterr().out.split())
    assert call("plot", "curves", "--format", "svg") == 0
    assert words in capsys.readouterr().err
    picture = Path("plots/curves.svg").read_text()
    assert "diverged" in picture


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few of the digits' images: what is trained from scratch takes seconds."""
    data = load_images("digits")
    parts = {p: getattr(data, p).subset(torch.arange(n)) for p, n in (("train", 256), ("valid", 128), ("test", 250))}
    few = dataclasses.replace(data, **parts)
    monkeypatch.setattr("nasbench_eval.images.load_images", lambda name, **options: few)


def test_truth_train_trains_the_final_cell_and_says_so(home: Path, few_digits: None) -> None:
    assert search("--method", "darts", "--truth", "train", "--scale", "small") == 0
    run = runs()["darts 0"]
    assert run.record.truth == "train"
    assert "trained once from scratch on 256 train images, tested on 250" in run.record.truth_note
    assert "epochs=30 (benchmark 200)" in run.record.truth_note
    accuracies = run.steps["test_acc.digits"]
    assert accuracies.isna().tolist() == [True, False]
    # A run that was not trained does not count as complete where the truth is to be trained.
    assert search("--method", "darts", "--truth", "none", "--seeds", "1,", "--scale", "small") == 0
    assert search("--method", "darts", "--truth", "train", "--seeds", "1,", "--scale", "small") == 0
    assert runs()["darts 1"].record.truth == "train"
    # 250 test images: every accuracy is a multiple of 1/250, and a trained cell is far from the 10 percent of chance.
    assert accuracies.iloc[-1] * 250 / 100 == pytest.approx(round(accuracies.iloc[-1] * 250 / 100), abs=1e-4)
    assert accuracies.iloc[-1] > 20


def test_killed_in_mid_run_it_goes_on_to_the_same_result(home: Path, table_file: Path) -> None:
    arguments = ["--method", "gdas", "--table", str(table_file)]
    assert search(*arguments, "--results", "whole", epochs=6) == 0
    command = [
        sys.executable, "-c", "from runners.cli import main; main()",
        "run", "--dataset", "digits", "--epochs", "6", "--device", "cpu", *TINY, *arguments,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(Path().glob("results/checkpoints/*.pt")):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(Path("results").glob("runs/*.parquet")), "a run file exists before the run is complete"
    assert search(*arguments, epochs=6) == 0
    whole, resumed = runs(Path("whole/runs"))["gdas 0"], runs()["gdas 0"]
    timing = ["seconds", "total_seconds"]
    assert resumed.steps.drop(columns=timing).equals(whole.steps.drop(columns=timing))
    assert len(resumed.steps) == 6
    assert not list(Path("results/checkpoints").glob("*.pt"))


def test_a_damaged_checkpoint_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = RunSpec("darts", "digits", 0, overrides={**parse_overrides(TINY[1::2]), "epochs": 2})
    path = Path("results/checkpoints") / f"{spec.run_id}.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no checkpoint")
    assert search("--method", "darts", "--truth", "none") == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith(f"nbeval: cannot read the checkpoint {path}")
    assert "delete it" in line


def _interrupted(method: str, table_file: Path) -> Path:
    """Interrupt a search after its first epoch, and return the path of its checkpoint."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runners.search.take_steps", lambda *a, **k: itertools.islice(take_steps(*a, **k), 1))
        patch.setattr("runners.search.write_run", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
        assert search("--method", method, "--table", str(table_file)) == 130
    [path] = Path("results/checkpoints").glob("*.pt")
    return path


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: {},
        lambda state: {**state, "method": None},
        lambda state: {**state, "rows": []},
        lambda state: {**state, "rows": 3},
        lambda state: {**state, "rows": [{"step": 7, "total_seconds": 1.0, "cell": "0"}]},
        lambda state: {**state, "started": None},
        lambda state: {**state, "method": {**state["method"], "supernet": {}}},
        lambda state: {**state, "method": {**state["method"], "arch_optimizer": None}},
        lambda state: {
            **state,
            "method": {
                **state["method"],
                "architecture": {name: value[:2] for name, value in state["method"]["architecture"].items()},
            },
        },
        lambda state: {key: value for key, value in state.items() if key != "started"},
    ],
)
def test_a_checkpoint_of_the_wrong_structure_is_named(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str], spoil: Any
) -> None:
    path = _interrupted("darts", table_file)
    torch.save(spoil(torch.load(path)), path)
    before = path.read_bytes()
    capsys.readouterr()
    assert search("--method", "darts", "--table", str(table_file)) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith(f"nbeval: the checkpoint {path} does not fit this search (")
    assert line.endswith("delete it to start that run again")
    assert path.read_bytes() == before
    path.unlink()
    assert search("--method", "darts", "--table", str(table_file)) == 0


def test_a_checkpoint_of_another_method_is_named(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = _interrupted("gdas", table_file).read_bytes()
    shutil.rmtree("results")
    path = _interrupted("darts", table_file)
    path.write_bytes(other)
    assert search("--method", "darts", "--table", str(table_file)) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith(f"nbeval: the checkpoint {path} does not fit this search (")


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
        (["--method", "darts", "--dataset", "cifar10"], 1, "no benchmark table at"),
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
    assert call("run", "--method", "darts", "--dataset", "cifar100", "--table", str(table_file)) == 1
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


def test_a_run_is_what_its_settings_are() -> None:
    base = RunSpec("darts", "cifar10", 0)
    assert RunSpec("darts", "cifar10", 0, overrides={"channels": 16}).run_id == base.run_id
    assert RunSpec("darts", "cifar10", 0, overrides={"channels": 8}).run_id != base.run_id
    assert RunSpec("darts", "cifar10", 1).run_id != base.run_id
    assert RunSpec("darts", "cifar10", 1).variant_id == base.variant_id
    assert RunSpec("darts", "cifar100", 0).variant_id != base.variant_id
    assert RunSpec("darts", "cifar10", 0, split_hash="ab12").variant_id != base.variant_id
    # A setting that was added later counts where it has an effect and another value than earlier results had.
    assert RunSpec("darts", "cifar10", 0, overrides={"reward_bound": 2.0}).variant_id == base.variant_id
    xnas = RunSpec("xnas", "cifar10", 0)
    assert RunSpec("xnas", "cifar10", 0, overrides={"reward_bound": 1.0}).variant_id == xnas.variant_id
    assert RunSpec("xnas", "cifar10", 0, overrides={"reward_bound": 2.0}).variant_id != xnas.variant_id


def test_reductions_name_every_size_below_the_presets() -> None:
    available = {"train_images": 25_000, "valid_images": 25_000}
    assert RunSpec("darts", "cifar10", 0).reductions(available) == ()
    assert RunSpec("darts", "cifar10", 0, overrides={"channels": 24, "lr": 0.1}).reductions(available) == ()
    small = RunSpec("gaea_darts", "cifar10", 0, scale="small")
    sizes = ("epochs 25 -> 5", "channels 16 -> 8", "cells 5 -> 1")
    assert small.reductions(available) == (*sizes, "train_images 25000 -> 4000", "valid_images 25000 -> 2000")
    assert "select_cells 100 -> 20" in RunSpec("rs_ws", "cifar10", 0, scale="small").reductions(available)
    # digits has fewer images than the limits: they limit nothing there.
    on_digits = small.reductions({"train_images": 3956, "valid_images": 1432})
    assert not [words for words in on_digits if "images" in words]
    assert small.changed == {}


def test_a_scale_never_enlarges() -> None:
    assert scaled({"channels": 2, "epochs": 250, "lr_epochs": None}, "small", "weight_sharing")["channels"] == 2
    assert scaled({"epochs": 3}, "small", "weight_sharing")["epochs"] == 1
    assert scaled({"arch_warmup_epochs": 0}, "small", "weight_sharing")["arch_warmup_epochs"] == 0
    assert load_scale("full") == {}


def test_the_shallow_scale_changes_nothing_but_the_size_of_the_network() -> None:
    full, shallow = RunSpec("gaea_darts", "cifar10", 0), RunSpec("gaea_darts", "cifar10", 0, scale="shallow")
    assert {key: value for key, value in shallow.values.items() if value != full.values[key]} == {
        "channels": 8,
        "cells": 1,
    }
    by_hand = RunSpec("gaea_darts", "cifar10", 0, overrides={"channels": 8, "cells": 1})
    assert by_hand.run_id == shallow.run_id


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


@pytest.mark.parametrize("scale", scale_names())
@pytest.mark.parametrize("name", preset_names())
def test_every_scale_leaves_each_search_epochs_in_which_its_architecture_moves(name: str, scale: str) -> None:
    values = RunSpec(name, "cifar10", 0, scale=scale).values
    if "arch_warmup_epochs" in values:
        full = RunSpec(name, "cifar10", 0).values
        share = values["arch_warmup_epochs"] / values["epochs"]
        assert share == pytest.approx(full["arch_warmup_epochs"] / full["epochs"], abs=0.05)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_valid_and_names_a_source_for_each_value(name: str) -> None:
    preset = load_preset(name)
    spec = RunSpec(name, "cifar10", 0)
    assert preset.settings.keys() == preset.sources.keys()
    for key, value in preset.settings.items():
        assert spec.values[key] == value or (value == "none" and spec.values[key] is None)
        assert len(preset.sources[key]) > 5
    assert preset.title
    assert preset.block in ("weight sharing", "standard HPO")


def test_seeds_and_overrides() -> None:
    assert parse_seeds("4") == [0, 1, 2, 3]
    assert parse_seeds("0,3,7") == [0, 3, 7]
    assert parse_seeds("5,") == [5]
    assert parse_seeds("1,1,2") == [1, 2]
    with pytest.raises(UsageError):
        parse_seeds("-1")
    values: dict[str, Any] = parse_overrides(["lr=1e-3", "zero_op=true", "objective=erm", "epochs=5", "clip=none"])
    assert values == {"lr": 1e-3, "zero_op": True, "objective": "erm", "epochs": 5, "clip": "none"}


def test_presets_and_published_rows_call_a_method_the_same() -> None:
    """A figure shows a measured and a published bar of one method under one name."""
    rows = published()
    primary = rows[(rows["primary"] == 1) & rows["preset"].isin(preset_names())]
    assert len(primary) > 20
    for preset, title in set(zip(primary["preset"], primary["title"], strict=True)):
        assert load_preset(preset).title == title
