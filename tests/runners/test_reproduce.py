"""A study from its file to its verdicts, on searches that take a second."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from command import call
from paths import ROOT
from tables import synthetic_table

from nasbench_eval.analysis.figures import FIGURES
from nasbench_eval.cell import Cell
from nasbench_eval.methods.weight_sharing.search import WeightSharing
from nasbench_eval.runs.rank_scores import rank_file, read_scores
from nasbench_eval.runs.store import load_runs
from runners.checkpoints import artifact_file, checkpoint_file, save_checkpoint
from runners.context import Inputs
from runners.estimate import EpochTime, Work, estimate, measure, total_seconds
from runners.execute import run_all
from runners.inputs import prepare
from runners.progress import Reporter
from runners.reproduce import run_study
from runners.spec import RunSpec
from runners.study import load_study, study_names

REFERENCE = ROOT / "results" / "reference"

TINY = """
title = "A tiny study"
question = "Does it run?"
dataset = "digits"

[[run]]
method = ["gaea_darts", "darts_erm"]
seeds = 2
rank_cells = 10
[run.set]
channels = 2
cells = 1
batch_size = 32
train_images = 64
valid_images = 64
valid_batch_size = 32
epochs = 2

[[run]]
method = "rea"
seeds = 3
set = { budget_seconds = 60 }

[[claim]]
figure = "Figure 5"
text = "GAEA finds better cells than evolution"
test = "better"
method = "gaea_darts"
against = "rea"
dataset = "digits"

[[claim]]
figure = "Figure 4"
text = "GAEA becomes sparser"
test = "lower"
quantity = "entropy"
method = "gaea_darts"
against = "darts_erm"
dataset = "digits"

[[claim]]
figure = "Figure 2"
text = "GAEA's supernet ranks cells perfectly"
test = "above"
value = 0.99
quantity = "tau"
method = "gaea_darts"
dataset = "digits"
"""


@pytest.fixture
def tiny(home: Path) -> str:
    (home / "tiny.toml").write_text(TINY)
    return "tiny.toml"


def finished() -> dict[str, float]:
    """When each run of the results folder was written."""
    return {path.name: path.stat().st_mtime_ns for path in Path("results/runs").glob("*.parquet")}


def test_a_study_that_was_interrupted_goes_on_and_is_judged(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    steps = 0

    def stop(done: int, row: Mapping[str, Any]) -> None:
        nonlocal steps
        steps += 1
        if steps == 3:  # the first epoch of the second run
            raise KeyboardInterrupt

    study = load_study(tiny)
    with pytest.raises(KeyboardInterrupt):
        run_study(study, Inputs(Path("results"), "cpu"), Reporter(stop))
    first = finished()
    assert sum(name.startswith("gaea_darts") for name in first) == 1
    assert call("run", tiny, "--device", "cpu") == 0
    assert first.items() <= finished().items(), "a complete run is not repeated"
    runs = load_runs([Path("results/runs")])
    assert {run.record.run_id for run in runs} == {spec.run_id for spec in study.specs}
    assert not list(Path("results/checkpoints").glob("*.pt"))
    for run_id in study.rank_cells():
        scores = read_scores(rank_file(Path("results"), run_id))
        assert scores is not None
        assert len(scores.cells) == 10
    printed = capsys.readouterr().out
    for words in (
        "GAEA DARTS (ERM)",
        "Figure 5: GAEA finds better cells",
        "fails      Figure 2: GAEA's supernet ranks",
    ):
        assert words in printed
    before = finished()
    assert call("run", tiny, "--device", "cpu") == 0
    assert finished() == before


def test_a_study_and_methods_exclude_each_other(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        ((tiny, "--method", "rs"), "--method and STUDY exclude each other"),
        (("--dataset", "digits"), "--method is missing"),
        (("--method", "rs"), "--dataset is missing"),
        (("tyni.toml",), "there is no study file tyni.toml"),
        ((tiny, "--dataset", "cifar10"), "unknown search data set of tiny 'cifar10'"),
        ((tiny, "--dataset", ","), "--dataset names no data set"),
        ((tiny, "--set", "epoch=1"), "did you mean 'epochs'?"),
        ((tiny, "--seeds", "0"), "--seeds 0 asks for no run"),
    ):
        assert call("run", *arguments) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
    assert not Path("results").exists()


def test_options_change_what_a_study_says(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", tiny, "--truth", "none", "--device", "cpu", "--seeds", "5,", "--epochs", "1") == 2
    assert "rea queries the benchmark table" in capsys.readouterr().err
    Path(tiny).write_text(TINY.replace('method = "rea"', 'method = "rs"').replace('against = "rea"', 'against = "rs"'))
    assert call("run", tiny, "--dataset", "digits,", "--seeds", "5,", "--epochs", "1", "--device", "cpu") == 0
    runs = load_runs([Path("results/runs")])
    assert {run.record.seed for run in runs} == {5}
    assert {len(run.steps) for run in runs if run.record.method != "rs"} == {1}
    printed = " ".join(capsys.readouterr().out.split())
    assert "one seed has no interval" in printed


def test_complete_runs_need_neither_table_nor_images(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    committed = str(REFERENCE / "cifar10-small-rates")
    assert call("run", "cifar10-small-rates", "--results", committed) == 0
    assert "holds      Figure 4: GAEA's operation weights become sparser" in capsys.readouterr().out
    assert call("run", "cifar10-small-rates", "--results", "results") == 1
    error = capsys.readouterr().err
    assert "this machine lacks the benchmark table (8 MB) and the images of cifar10 (170 MB): --fetch" in error
    assert not Path("results").exists()


def test_the_time_of_missing_runs_is_measured(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runners.estimate.LONG_ENOUGH", 0.0)
    study = load_study(tiny)
    context = prepare(study.specs, Inputs(Path("results"), "cpu"))
    measured: list[str] = []
    work = estimate(study.specs, context, rank_cells=study.rank_cells(), on_variant=measured.append)
    assert measured == ["gaea_darts on digits", "darts_erm on digits", "rea on digits"]
    assert [(each.runs, each.epochs, each.cells) for each in work] == [(2, 4, 20), (2, 4, 20), (3, 0, 0)]
    assert all(0 < each.longest <= each.seconds < 60 for each in work)
    assert total_seconds(work) == pytest.approx(sum(each.seconds for each in work))
    halved = total_seconds(work, workers=2) - work[2].seconds
    assert halved == pytest.approx((work[0].seconds + work[1].seconds) / 2)
    assert not Path("results").exists(), "nothing of it is kept"
    [first] = [spec for spec in study.specs if spec.method == "gaea_darts" and spec.seed == 0]
    assert run_all([first], Inputs(Path("results"), "cpu")).runs
    work = estimate(study.specs, context, rank_cells=study.rank_cells())
    assert [(each.runs, each.epochs, each.cells) for each in work] == [(1, 2, 20), (2, 4, 20), (3, 0, 0)]
    artifact_file(Path("results"), first.run_id).unlink()
    work = estimate(study.specs, context, rank_cells=study.rank_cells())
    assert [each.cells for each in work] == [10, 20, 0], "no cells can be scored without shared weights"
    # The search of the complete run is not repeated to train its final cell from scratch.
    measured.clear()
    context = prepare(study.specs[:4], Inputs(Path("results"), "cpu", truth="train"))
    work = estimate(study.specs[:4], context, on_variant=measured.append, measured=False)
    assert [(each.runs, each.epochs, each.trainings) for each in work] == [(2, 2, 2), (2, 4, 2)]
    assert all(math.isnan(each.seconds) for each in work)


def test_what_diverges_has_no_time_and_once_it_is_recorded_is_not_missing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [RunSpec("bananas", "digits", 0, "small", {"predictor_lr": 1e29})]
    context = prepare(specs, Inputs(Path("results"), "cpu"))
    [work] = estimate(specs, context)
    assert work.runs == 1
    assert math.isnan(work.seconds)
    [failure] = run_all(specs, Inputs(Path("results"))).failures
    assert failure.scale == "full", "as that of its complete runs"
    assert not estimate(specs, context)


@pytest.mark.parametrize("method", ["rs_ws", "enas", "pc_darts"])
def test_an_epoch_is_measured_by_a_part_of_it(method: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runners.estimate.LONG_ENOUGH", 0.0)
    small = {"channels": 4, "cells": 1, "train_images": 128, "valid_images": 64, "valid_batch_size": 32}
    spec = RunSpec(method, "digits", 0, "full", {**small, "batch_size": 16})
    context = prepare([spec], Inputs(Path("results"), "cpu"))
    sizes = []

    def remember(method: Any) -> Any:
        sizes.append((len(method.train), len(method.valid), method.settings.select_cells))
        return step(method)

    step = WeightSharing.step
    monkeypatch.setattr(WeightSharing, "step", remember)
    found = measure(spec, context)
    assert 0 < found.cell < found.epoch < 600
    assert set(sizes) == {(16, 8, 12)}, "an eighth of everything"


@pytest.mark.parametrize(
    ("method", "change", "epochs", "evolved"),
    [
        ("spos", {}, 2, 12),
        ("spos", {"select_on": "one_batch"}, 2, 0),
        ("few_shot", {"split_epochs": 1}, 7, 24),  # five supernets; cells evolve before the first and after the last
        ("rs_ws", {}, 2, 0),
    ],
)
def test_the_cells_of_an_evolution_take_time(
    method: str, change: dict[str, Any], epochs: int, evolved: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runners.estimate.measure", lambda spec, context: EpochTime(epoch=1.0, cell=0.5))
    if method != "rs_ws":
        change = {**change, "evolution_population": 4, "evolution_generations": 3}
    specs = [RunSpec(method, "digits", seed, "full", {"epochs": 2, **change}) for seed in range(3)]
    [work] = estimate(specs, prepare(specs, Inputs(Path("results"), "cpu")))
    assert (work.epochs, work.seconds) == (3 * epochs, 3 * (epochs + 0.5 * evolved))
    assert work.longest == epochs + 0.5 * evolved


def test_the_longest_search_sets_the_time_of_all_that_run_beside_it() -> None:
    """Searches in the table run one after the other, whatever the number of workers."""
    searches = Work(RunSpec("darts", "digits", 0), runs=3, epochs=9, cells=0, seconds=90.0, longest=50.0)
    tabular = Work(RunSpec("rs", "digits", 0), runs=5, epochs=0, cells=0, seconds=10.0, longest=2.0)
    assert [total_seconds([searches, tabular], workers) for workers in (1, 2, 3)] == [100, 60, 60]


def test_every_run_in_the_table_takes_the_time_of_the_one_that_is_measured(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runners.estimate._tabular_seconds", lambda spec, context: 2.0)
    specs = [RunSpec("rs", "digits", seed) for seed in range(3)]
    [work] = estimate(specs, prepare(specs, Inputs(Path("results"))))
    assert (work.runs, work.seconds, work.longest) == (3, 6, 2)


def test_finished_steps_take_no_time_and_cells_to_score_do(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runners.estimate.measure", lambda spec, context: EpochTime(epoch=1.0, cell=0.5))
    specs = [RunSpec("darts", "digits", seed, "full", {"epochs": 5}) for seed in range(2)]
    rows = [{"step": step, "total_seconds": 1.0, "cell": str(Cell.from_index(0))} for step in range(3)]
    save_checkpoint(checkpoint_file(Path("results"), specs[0].run_id), {"method": {}, "rows": rows, "started": "now"})
    context = prepare(specs, Inputs(Path("results"), "cpu"))
    [work] = estimate(specs, context, rank_cells={spec.run_id: 10 for spec in specs})
    assert (work.runs, work.epochs, work.cells) == (2, 2 + 5, 20)
    assert (work.seconds, work.longest) == (7 + 20 * 0.5, 5)


@pytest.mark.parametrize(
    ("method", "epoch"),
    [
        # Training and recorded evaluation, on eight times the images.
        ("darts", 8 * (2 + 1)),
        # And eight times the candidates, each on a batch of 32 images instead of the 8 of the part.
        ("rs_ws", 8 * (2 + 1) + 8 * 4 * 0.5),
        # And 50 steps of the controller; the part has one.
        ("enas", 8 * (2 + 1) + 8 * 4 * 0.5 + 50 * 0.25),
    ],
)
def test_each_part_of_an_epoch_is_extrapolated_in_its_own_way(
    method: str, epoch: float, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(method: Any) -> tuple[Any, tuple[float, float, float]]:
        learns, chooses = method.settings.parametrisation == "controller", method.settings.parametrisation != "softmax"
        return method, (2 + 0.25 * method.settings.controller_steps * learns, 0.5 * chooses, 1)

    monkeypatch.setattr("runners.estimate.LONG_ENOUGH", 0.0)
    monkeypatch.setattr("runners.estimate._step", step)
    monkeypatch.setattr("runners.estimate._score_seconds", lambda method: 0.125)
    small = {"channels": 2, "cells": 1, "train_images": 128, "valid_images": 64, "valid_batch_size": 32}
    if method != "darts":
        small["select_cells"] = 80
    spec = RunSpec(method, "digits", 0, "full", {**small, "batch_size": 16})
    assert measure(spec, prepare([spec], Inputs(Path("results"), "cpu"))) == EpochTime(epoch, cell=1.0)


@pytest.fixture
def one_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw only one figure: the tests of figures draw them all."""
    for name in set(FIGURES) - {"entropy"}:
        monkeypatch.delitem(FIGURES, name)
    monkeypatch.setattr("runners.estimate.LONG_ENOUGH", 0.0)


def test_reproduce_goes_from_nothing_to_verdicts(
    tiny: str, one_figure: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("reproduce", tiny, "--device", "cpu", "--dry-run") == 0
    plan = capsys.readouterr().out
    assert not Path("results").exists()
    assert plan.startswith("A tiny study\nDoes it run?\n0 of 7 runs are complete.")
    assert re.search(r"gaea_darts +digits +full +2 +4 +20 +\d", plan)
    assert "About " in plan
    assert "extrapolated from a part of an epoch" in plan
    assert call("reproduce", tiny, "--device", "cpu") == 0, "a claim fails, the command does not"
    printed = capsys.readouterr().out
    assert "fails      Figure 2: GAEA's supernet ranks cells perfectly" in printed
    page = Path("plots/tiny/report.html")
    assert Path("plots/tiny/entropy.png").is_file()
    assert "supernet ranks cells perfectly" in page.read_text()
    assert f"plots/tiny/entropy.png\n{page}\n" in printed
    assert call("reproduce", tiny, "--device", "cpu", "--dry-run") == 0
    assert capsys.readouterr().out.endswith("7 of 7 runs are complete.\n"), "they cost nothing"
    changed = '[[run]]\nmethod = "rea"\nseeds = 1\nset = { budget_seconds = 50 }\n'
    Path(tiny).write_text(TINY.partition("[[claim]]")[0] + changed)
    assert call("reproduce", tiny, "--device", "cpu", "--dry-run") == 0
    assert re.search(r"rea \[budget_seconds=50\] +digits +1 ", capsys.readouterr().out), "which variant is missing"


def test_a_study_goes_on_with_another_table_where_shared_weights_are_gone(
    tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with committed runs, which come without theirs: only the true accuracies are looked up again."""
    runs = TINY[: TINY.index('[[run]]\nmethod = "rea"')]
    Path(tiny).write_text(runs.replace('["gaea_darts", "darts_erm"]', '"gaea_darts"'))
    only = ("--seeds", "1", "--epochs", "1", "--device", "cpu")
    assert call("run", tiny, *only) == 0
    [path] = Path("results/ranks").iterdir()
    before = read_scores(path)
    for kept in Path("results/supernets").iterdir():
        kept.unlink()
    table = synthetic_table(3)
    table.save(Path("other.parquet"))
    assert call("run", tiny, *only, "--table", "other.parquet") == 0
    assert "kept no shared weights" not in capsys.readouterr().err
    after = read_scores(path)
    assert before is not None
    assert after is not None
    assert after.cells["shared_acc"].equals(before.cells["shared_acc"])
    cells = [Cell.from_index(index) for index in after.cells["index"]]
    assert after.cells["test_acc"].tolist() == [table.accuracy(cell, "digits", "test", epochs=200) for cell in cells]


def test_a_study_scores_cells_with_untrained_networks_too(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They keep no shared weights, and need none."""
    (home / "params.toml").write_text(
        '[[run]]\nmethod = "params"\ndataset = "digits"\nrank_cells = 10\n[[claim]]\ntext = "It ranks"\n'
        'test = "above"\nvalue = 2\nquantity = "tau"\nmethod = "params"\ndataset = "digits"\n'
    )
    assert call("run", "params.toml", "--device", "cpu") == 0
    assert "It ranks\n" in capsys.readouterr().out
    [run] = load_runs([Path("results")])
    scores = read_scores(rank_file(Path("results"), run.record.run_id))
    assert scores is not None
    assert len(scores.cells) == 10


def test_reproduce_says_what_diverged(tiny: str, one_figure: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("reproduce", tiny, "--device", "cpu", "--seeds", "1", "--set", "lr=1e25") == 0
    out, error = capsys.readouterr()
    assert "gaea_darts digits seed 0 diverged in step 1" in error
    assert re.search(r"not run +Figure 5.*\n.*all runs of gaea_darts on digits diverged", out)


def test_reproduce_lists_the_studies_and_refuses_what_is_none(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("reproduce", "--list") == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in study_names())
    for arguments, words, code in (
        ((), "name a study", 2),
        (("figure6",), "unknown study 'figure6': did you mean 'figure5'?", 2),
        (("figure5", "--dataset", "cifar10", "--dry-run"), "this machine lacks the benchmark table", 1),
    ):
        assert call("reproduce", *arguments) == code
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
