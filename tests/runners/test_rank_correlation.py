"""Rank disorder: what a finished search keeps, and the command from kept weights to figure."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from command import Command
from tables import synthetic_table

from nasbench_eval import images
from nasbench_eval.analysis.rank_correlation import rank_statistics
from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError
from nasbench_eval.methods import SearchContext
from nasbench_eval.methods.weight_sharing import scoring
from nasbench_eval.methods.weight_sharing.base import EdgeWeights
from nasbench_eval.methods.weight_sharing.darts import Logits
from nasbench_eval.methods.weight_sharing.gaea import Simplex
from nasbench_eval.methods.weight_sharing.search import WeightSharing
from nasbench_eval.networks.supernet import active_of, one_hot
from nasbench_eval.runs.rank_scores import rank_file, read_scores, sample, write_scores
from nasbench_eval.runs.store import Run, load_runs
from nasbench_eval.settings import build_settings
from nasbench_eval.table import Table
from nasbench_eval.utils.rng import Streams
from runners import rank_correlation, search
from runners.checkpoints import artifact_file, checkpoint_file
from runners.context import Inputs, RunContext
from runners.execute import run_all
from runners.lookup import TableLookup
from runners.presets import load_preset
from runners.rank_correlation import measure, scored
from runners.spec import RunSpec

load_images = functools.cache(images.load_images)

TINY = {
    "channels": 2, "cells": 1, "batch_size": 32, "train_images": 64, "valid_images": 50, "valid_batch_size": 32,
    "select_cells": 3, "lr_epochs": 4, "epochs": 1,
}  # fmt: skip


def agree(shared: list[float], true: list[float]) -> dict[str, float]:
    return rank_statistics(np.array(shared, dtype=float), np.array(true, dtype=float))


def ready(spec: RunSpec) -> WeightSharing:
    data = load_images(spec.search_dataset)
    return WeightSharing(spec.settings, SearchContext(spec.search_dataset, Streams(spec.seed), images=data))


def cells_of(n: int) -> list[Cell]:
    return [Cell.from_index(index) for index in sample(n)]


@pytest.mark.parametrize("change", [{}, {"track_running_stats": False}, {"partial_channels": 2}])
def test_cells_scored_together_have_the_scores_they_have_alone(
    change: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "_TOGETHER", 16)
    spec = RunSpec("rs_ws", "digits", 0, overrides={**TINY, "channels": 4, **change})
    method, other = ready(spec), ready(replace(spec, seed=1))
    method.step()
    cells = cells_of(35)  # more than are scored at once
    found = list(other.score_cells(method.artifact(), cells))
    alone = [method.scoring.evaluate_cell(cell) for cell in cells]
    assert [loss for loss, _ in found] == pytest.approx([loss for loss, _ in alone], rel=1e-5)
    assert [acc for _, acc in found] == [acc for _, acc in alone]
    assert len(set(alone)) > 10


@pytest.mark.parametrize("name", ["pc_darts", "gaea_pc_darts"])
def test_cells_are_scored_with_the_learned_weights_of_edges(name: str) -> None:
    """Of PC-DARTS the operations are rounded, not the edges: the supernet was trained with their weights."""
    spec = RunSpec(name, "digits", 0, overrides={**TINY, "channels": 8, "arch_warmup_epochs": 0})
    method, other = ready(spec), ready(replace(spec, seed=1))
    method.step()
    learned = torch.tensor([1.0, 0.1, 0.9, 0.7, 0.2, 0.1])
    uniform = torch.tensor([1.0, 1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3])
    with torch.no_grad():
        for values, of in zip(edge_parameters(method), learned.split([1, 2, 3]), strict=True):
            values.copy_(of.log() if name == "pc_darts" else of)
    torch.testing.assert_close(method.architecture.edge_weights(), learned)
    cells = cells_of(5)
    by_hand = {}
    for words, edges in (("learned", learned), ("uniform", uniform)):
        given = [EdgeWeights(one_hot(cell), active_of(cell), edges=edges) for cell in cells]
        by_hand[words] = [method.scoring.evaluate(lambda weights=weights: weights)[0] for weights in given]
    assert [method.scoring.evaluate_cell(cell)[0] for cell in cells] == pytest.approx(by_hand["learned"])
    assert [loss for loss, _ in other.score_cells(method.artifact(), cells)] == pytest.approx(by_hand["learned"])
    assert by_hand["learned"] != pytest.approx(by_hand["uniform"])


def edge_parameters(method: WeightSharing) -> list[torch.Tensor]:
    distribution = method.architecture.distribution
    if isinstance(distribution, Logits):
        return list(distribution.edge_logits.split([1, 2, 3]))
    assert isinstance(distribution, Simplex)
    return list(distribution.edge_thetas)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("darts", {}),
        ("gaea_pc_darts", {"channels": 8}),
        ("xnas", {}),
        ("few_shot", {"split_epochs": 1, "evolution_population": 3, "evolution_generations": 2}),
    ],
)
def test_the_gap_is_that_of_a_search_with_the_same_statistics(name: str, change: dict[str, object]) -> None:
    """Training does not depend on the statistics of evaluation, so another search tells what the gap is with others."""
    recorded = {}
    for running in (True, False):
        spec = RunSpec(name, "digits", 0, overrides={**TINY, **change, "track_running_stats": running})
        method = ready(spec)
        steps = [method.step() for _ in range(method.budget.steps)]
        recorded[running] = [steps[-1].metrics[f"loss_{when}_rounding"] for when in ("before", "after")]
        if running:
            kept, cell = method.artifact(), method.incumbent()
            losses = ready(spec).discretisation(kept, cell)
            assert list(losses) == ["running", "batch", "batch_all"]
        else:
            again = ready(spec).discretisation(method.artifact(), method.incumbent())
            assert list(again) == ["batch", "batch_all"]
    if name == "few_shot":  # it draws cells anew, and chooses by the scores: only the loss with its final cell is known
        assert losses["running"][1] == pytest.approx(recorded[True][1])
        return
    assert method.incumbent() == cell
    assert losses["running"] == pytest.approx(recorded[True])
    assert losses["batch"] == pytest.approx(recorded[False])
    assert recorded[True][1] != pytest.approx(recorded[False][1], rel=1e-3)


@pytest.mark.parametrize("name", ["darts", "gaea_pc_darts"])
def test_no_running_statistics_are_left_where_those_of_the_batch_are_asked_for_in_all_layers(name: str) -> None:
    """Those of the layers after the cells come from what the mixture made of their inputs, too."""
    spec = RunSpec(name, "digits", 0, overrides={**TINY, "channels": 8})
    method = ready(spec)
    method.step()
    kept, cell = method.artifact(), method.incumbent()
    before = ready(spec).discretisation(kept, cell)
    statistics = [key for key in kept["supernet"] if ".running_" in key or ".mean_" in key or ".var_" in key]
    assert len(statistics) > 10
    for key in statistics:
        kept["supernet"][key] = torch.full_like(kept["supernet"][key], 7.0)
    after = ready(spec).discretisation(kept, cell)
    assert after["batch_all"] == before["batch_all"]
    assert after["batch"] != pytest.approx(before["batch"], rel=1e-3)


def test_shared_weights_without_their_architecture_have_scores_but_no_gap() -> None:
    """Files made before December 2026 have none."""
    method = ready(RunSpec("darts", "digits", 0, overrides=TINY))
    method.step()
    kept = {key: value for key, value in method.artifact().items() if key != "architecture"}
    assert method.discretisation(kept, method.incumbent()) == {}
    assert len(list(method.score_cells(kept, cells_of(2)))) == 2


def searched(home: Path, table: Table, **changes: object) -> tuple[RunSpec, Run]:
    spec = RunSpec("rs_ws", "digits", 0, overrides={**TINY, **changes})
    run_all([spec], Inputs(home / "results", table=table))
    [run] = load_runs([home / "results" / "runs"])
    return spec, run


def test_the_supernet_is_kept_before_the_run_counts(home: Path, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = RunSpec("rs_ws", "digits", 0, overrides=TINY)
    context = RunContext(home / "results", load_images, tables={"digits": TableLookup(table)})

    def killed(folder: Path, run: Run) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(search, "write_run", killed)
        with pytest.raises(KeyboardInterrupt):
            search.run_search(spec, context, lambda done, row: None)
    kept = artifact_file(home / "results", spec.run_id)
    assert kept.is_file()
    assert checkpoint_file(home / "results", spec.run_id).is_file(), "the run goes on from here"
    assert search.stored(spec, context) is None
    first = torch.load(kept, weights_only=True)["supernet"]
    kept.unlink()
    search.run_search(spec, context, lambda done, row: None)
    again = torch.load(kept, weights_only=True)["supernet"]
    assert first.keys() == again.keys() == ready(spec).supernet.state_dict().keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not checkpoint_file(home / "results", spec.run_id).is_file()
    assert search.stored(spec, context) is not None


def test_what_was_scored_is_not_scored_again(home: Path, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, run = searched(home, table)
    asked: list[str] = []

    def images_of(name: str) -> images.ImageData:
        asked.append(name)
        return load_images(name)

    few = measure(run, 10, TableLookup(table), images_of, "cpu")
    assert few.cells["index"].tolist() == sample(10)
    method = ready(spec)
    kept = torch.load(artifact_file(home / "results", spec.run_id), weights_only=True)
    scores = list(method.score_cells(kept, cells_of(10)))
    assert list(zip(few.cells["shared_loss"], few.cells["shared_acc"], strict=True)) == scores
    truth = [table.accuracy(cell, "digits", "test", epochs=200) for cell in cells_of(10)]
    assert few.cells["test_acc"].tolist() == truth
    path = rank_file(home / "results", spec.run_id)
    read = read_scores(path)
    assert read is not None
    assert read.cells.equals(few.cells), "not a bit is lost in the file"

    written = path.stat().st_mtime_ns
    assert len(measure(run, 10, TableLookup(table), images_of, "cpu").cells) == 10
    assert len(measure(run, 5, TableLookup(table), images_of, "cpu").cells) == 10
    assert (asked, path.stat().st_mtime_ns) == (["digits"], written)
    done: list[int] = []
    more = measure(run, 14, TableLookup(table), images_of, "cpu", done.append)
    assert more.cells.head(10).equals(few.cells)
    assert done == [10, 11, 12, 13, 14]

    # Another table: other truths, the same scores.
    other = measure(run, 14, TableLookup(synthetic_table(1)), images_of, "cpu")
    assert other.cells["shared_acc"].equals(more.cells["shared_acc"])
    assert not other.cells["test_acc"].equals(more.cells["test_acc"])
    assert asked == ["digits", "digits"]
    assert scored(run) == 0, "beside the truths of another table than the run's"
    assert measure(run, 14, TableLookup(table), images_of, "cpu").cells.equals(more.cells)
    # A table in which a cell was not trained.
    column = table.column("digits", "test", epochs=200).copy()
    column[sample(14)[3]] = np.nan
    with monkeypatch.context() as patch:
        patch.setattr(TableLookup, "column", lambda self, dataset: column)
        with pytest.raises(NbevalError, match=f"no true accuracy of cell {sample(14)[3]} on digits"):
            measure(run, 15, TableLookup(table), images_of, "cpu")
    assert asked == ["digits"] * 2, "it is said before cells are scored"
    # Other weights: other scores.
    assert scored(run) == 14
    torch.save(ready(replace(spec, seed=5)).artifact(), artifact_file(home / "results", spec.run_id))
    assert scored(run) == 0, "those of the search before it was repeated"
    assert (
        not measure(run, 14, TableLookup(table), images_of, "cpu").cells["shared_acc"].equals(more.cells["shared_acc"])
    )
    assert asked == ["digits"] * 3


def test_a_gap_that_older_scores_lack_is_measured_without_scoring_again(
    home: Path, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, run = searched(home, table)
    whole = measure(run, 10, TableLookup(table), load_images, "cpu")
    path = rank_file(home / "results", spec.run_id)
    write_scores(path, replace(whole, losses={key: whole.losses[key] for key in ("running", "batch")}))
    monkeypatch.setattr(WeightSharing, "score_cells", lambda self, artifact, cells: iter(()))
    again = measure(run, 10, TableLookup(table), load_images, "cpu")
    assert list(again.losses) == list(whole.losses)
    assert all(again.losses[key] == whole.losses[key] for key in whole.losses)
    assert again.cells.equals(whole.cells)
    read = read_scores(path)
    assert read is not None
    assert read.losses == {key: list(losses) for key, losses in whole.losses.items()}
    kept = artifact_file(home / "results", spec.run_id)
    write_scores(path, replace(whole, losses={"running": (1.0, 2.0)}))
    kept.unlink()
    assert measure(run, 10, TableLookup(table), load_images, "cpu").losses == {"running": [1.0, 2.0]}
    drawn = r"`nbeval plot rank --results .*results` draws the 10 cells that were scored before; to score 12, delete "
    with pytest.raises(NbevalError, match=f"kept no shared weights, .*: {drawn}"):
        measure(run, 12, TableLookup(table), load_images, "cpu")


@pytest.mark.parametrize(("end", "kept"), [(KeyboardInterrupt, 7), (MemoryError, 5)])
def test_what_was_scored_before_a_stop_is_kept(
    home: Path, table: Table, monkeypatch: pytest.MonkeyPatch, end: type[BaseException], kept: int
) -> None:
    spec, run = searched(home, table)
    path = rank_file(home / "results", spec.run_id)
    whole = measure(run, 10, TableLookup(table), load_images, "cpu")
    text = path.read_bytes()
    path.unlink()
    monkeypatch.setattr(rank_correlation, "KEPT_EVERY", 5)

    def stop(done: int) -> None:
        if done == 7:
            raise end

    with pytest.raises(end):
        measure(run, 10, TableLookup(table), load_images, "cpu", stop)
    there = read_scores(path)
    assert there is not None
    assert (len(there.cells), scored(run)) == (kept, 0)
    done: list[int] = []
    # As many as are asked for are there, but the gap is not measured yet.
    assert len(measure(run, kept, TableLookup(table), load_images, "cpu", done.append).cells) == kept
    assert scored(run) == kept
    again = measure(run, 10, TableLookup(table), load_images, "cpu", done.append)
    assert done == [kept, *range(kept, 11)]
    assert again.losses == whole.losses
    # What is scored together agrees up to rounding.
    np.testing.assert_allclose(again.cells["shared_loss"], whole.cells["shared_loss"], rtol=1e-5)
    assert path.read_bytes().partition(b"{")[0] == text.partition(b"{")[0]
    assert b"interrupted" not in path.read_bytes()


def test_what_does_not_fit_the_run_is_one_clear_line(home: Path, table: Table) -> None:
    spec, run = searched(home, table)
    kept = artifact_file(home / "results", spec.run_id)
    again = r"delete .*results/runs/rs_ws-digits-s0-.*\.parquet and repeat its `nbeval run`"

    def ranked(run: Run = run) -> None:
        measure(run, 10, TableLookup(table), load_images, "cpu")

    elsewhere = replace(run, record=replace(run.record, split="64 other images"))
    with pytest.raises(NbevalError, match=r"searched on other images \(64 other images\).*--split"):
        ranked(elsewhere)
    with pytest.raises(NbevalError, match="searched on other images than these, which are split in the same way"):
        ranked(replace(run, record=replace(run.record, images="0" * 64)))
    kept.write_bytes(kept.read_bytes()[:1000])
    with pytest.raises(NbevalError, match=f"cannot read the file of shared weights .*{again}"):
        ranked()
    torch.save({"supernet": {}}, kept)
    with pytest.raises(NbevalError, match=f"{spec.run_id}.pt does not fit this search .*{again}"):
        ranked()
    kept.unlink()
    with pytest.raises(NbevalError, match=f"kept no shared weights, there is no .*{spec.run_id}.pt: {again}"):
        ranked()
    assert not (home / "results" / "ranks").exists()


def test_from_a_search_to_the_figure(home: Path, table_file: Path, nbeval: Command) -> None:
    changes = [argument for name, value in TINY.items() for argument in ("--set", f"{name}={value}")]
    where = ["--dataset", "digits", "--table", str(table_file)]
    code, _, err = nbeval("run", "--method", "rs_ws", *where, "--seeds", "2", "--device", "cpu", *changes)
    assert code == 0, err
    runs = load_runs([Path("results/runs")])
    code, out, err = nbeval("rank", "--method", "rs_ws", *where, "--cells", "12", "--format", "png")
    assert code == 0, err
    assert out.count("\nRS-WS") == 6  # each seed, and their mean, in two tables
    assert "12 cells drawn from all 15,625" in out
    assert "Shared weights scored on 50 valid images in batches of 32." in out
    assert "track_running_stats=True" in out
    assert out.splitlines()[-2:] == ["plots/rank.png", "plots/rank.csv"]
    frame = pd.read_csv("plots/rank.csv")
    assert out.count("discretisation gap") == 2  # the head of its table, and the note
    gaps = frame[frame["row"] == "run"]["gap_batch"]
    assert frame[frame["row"] == "variant"]["gap_batch"].item() == pytest.approx(gaps.mean())
    assert f"{gaps.mean():.2f} ± {gaps.std():.2f}".replace("-0.00", "0.00") in out
    assert frame["row"].value_counts().to_dict() == {"cell": 24, "run": 2, "variant": 1}
    for run in runs:
        scores = read_scores(rank_file(Path("results"), run.record.run_id))
        assert scores is not None
        expected = agree(list(scores.cells["shared_acc"]), list(scores.cells["test_acc"]))
        row = frame[frame["run_id"] == run.record.run_id].iloc[0]
        assert {name: row[name] for name in expected} == pytest.approx(expected)
    # One run, by the beginning of its id; and all figures of a results folder that holds more than runs.
    code, out, err = nbeval("rank", "--run", runs[1].record.run_id[:8], "--table", str(table_file), "--cells", "12")
    assert code == 0, err
    assert out.count("\nRS-WS") == 2
    code, out, err = nbeval("plot", "rank", "--results", "results", "--format", "svg")
    assert (code, out.splitlines()) == (0, ["plots/rank.svg", "plots/rank.csv"]), err


def test_a_search_on_its_valid_images_says_so() -> None:
    """What is not held out is not taken for it."""
    words = {}
    data = load_images("digits")
    for name in ("cifar10", "digits"):  # only of cifar10 is the valid part training data
        settings = build_settings(
            WeightSharing.Settings, {**load_preset("gaea_darts").settings, **TINY}, owner="gaea_darts"
        )
        method = WeightSharing(settings, SearchContext(name, Streams(0), images=replace(data, name=name)))
        words[name] = method.facts["scored_on"]
    assert words["digits"] == "50 valid images in batches of 32"
    assert words["cifar10"] == "50 valid images in batches of 32, which the weights were trained on too"
