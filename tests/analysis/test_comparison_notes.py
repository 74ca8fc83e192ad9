from __future__ import annotations

from dataclasses import replace

import pytest
from analysis_runs import make_run

from nasbench_eval.analysis.comparison_notes import noted_comparison
from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError
from nasbench_eval.runs.store import Run


def test_each_reduction_is_listed_once_with_its_rows() -> None:
    cut = {"scale": "small", "reductions": ("cells 5 -> 1", "epochs 50 -> 10")}
    runs = [
        make_run({"cifar10": 80.0}, **cut),
        make_run({"cifar10": 81.0}, overrides={"lr": 0.1}, **cut),
        make_run(
            {"cifar10": 82.0},
            method="rs_ws",
            title="RS-WS",
            **cut | {"reductions": ("cells 5 -> 1", "epochs 250 -> 50")},
        ),
    ]
    assert (
        "reduced: small means cells 5 -> 1; epochs 250 -> 50 (RS-WS); epochs 50 -> 10 (GDAS, GDAS [lr=0.1])"
        in noted_comparison(runs).notes
    )


def test_a_row_with_searches_on_two_data_sets_is_named_once() -> None:
    cut = {"scale": "small", "reductions": ("epochs 50 -> 10",)}
    more = {"scale": "small", "reductions": ("epochs 50 -> 10", "train_images 25000 -> 4000")}
    runs = [
        make_run({"digits": 90.0}, method="darts", title="DARTS", search="digits", **cut),
        make_run({"cifar10": 90.0}, method="darts", title="DARTS", **more),
        make_run({"cifar10": 90.0}, method="gdas", title="GDAS", scale="small", reductions=("epochs 250 -> 50",)),
    ]
    [note] = [note for note in noted_comparison(runs).notes if note.startswith("reduced: small")]
    assert "epochs 50 -> 10 (DARTS);" in note


def test_a_note_says_how_the_cost_counts_choosing_among_candidates() -> None:
    new, old = (
        make_run({"cifar10": 90.0}, method=name, title=title) for name, title in (("enas", "ENAS"), ("rs_ws", "RS-WS"))
    )
    for run in (new, old):
        run.steps["selected_acc"] = 50.0
    new.steps["selection_seconds"] = 5.0
    notes = noted_comparison([new, old, make_run({"cifar10": 93.0})]).notes
    once, always = "counted once in the cost, after the last epoch", "counted in the cost after every epoch"
    assert f"choosing among candidates: {always} (RS-WS) | {once} (ENAS)" in notes
    assert f"choosing among candidates: {once}" in noted_comparison([new]).notes


def test_a_note_names_the_cell_that_all_seeds_found() -> None:
    def search(method: str, cells: list[int], **facts: str):
        made = [
            make_run({"cifar10": 90.0}, method=method, title=method, seed=seed, **facts) for seed in range(len(cells))
        ]
        for run, index in zip(made, cells, strict=True):
            run.steps["cell"] = str(Cell.from_index(index))
        return made

    notes = noted_comparison([*search("A", [9930, 9930]), *search("B", [1, 2]), *search("C", [5])]).notes
    [note] = [note for note in notes if note.startswith("one cell in all seeds")]
    assert note.endswith(": A (cell 9930)")
    trained = noted_comparison(search("A", [9930, 9930], truth="train")).notes
    assert not [note for note in trained if note.startswith("one cell")], "each seed trained its own copy of it"
    both = [*search("A", [1, 1]), *search("A", [2, 2], search="cifar100"), *search("B", [1], search="cifar100")]
    [note] = [note for note in noted_comparison(both).notes if note.startswith("one cell in all seeds")]
    assert set(note.partition(": ")[2].split("), ")) == {
        "A (cell 1, search on cifar10)",
        "A (cell 2, search on cifar100",
    }


def test_a_cost_over_several_devices_is_marked() -> None:
    def caution(*devices: str) -> list[str]:
        runs = [make_run({"cifar10": 90.0}, seed=seed, device=device) for seed, device in enumerate(devices)]
        return [note for note in noted_comparison(runs).notes if note.startswith("CAUTION")]

    assert caution("one CPU", "one CPU") == []
    assert caution("one CPU", "one GPU") == [
        "CAUTION: seeds of one row ran on several devices, and its cost is their mean: GDAS"
    ]


def test_rows_name_their_images_and_seeds_with_different_ones_are_marked() -> None:
    def notes(*images: str) -> list[str]:
        runs = [make_run({"cifar10": 90.0}, seed=seed, images=each) for seed, each in enumerate(images)]
        return noted_comparison(runs).notes

    one, other = "0123456789abcdef", "fedcba9876543210"
    assert "images: cifar10 with SHA-256 0123456789ab" in notes(one, one)
    assert not any("CAUTION" in note for note in notes(one, one, ""))  # made before runs said so
    assert "CAUTION: seeds of one row searched on different images: GDAS" in notes(one, other)


def test_a_note_names_the_rows_that_continue_finished_runs() -> None:
    runs = [make_run({"cifar10": 90.0}, method=name, title=name.upper()) for name in ("darts", "gdas")]
    assert not [note for note in noted_comparison(runs).notes if note.startswith("continued")]
    runs[1] = replace(runs[1], record=replace(runs[1].record, continues="0123456789ab"))
    [note] = [note for note in noted_comparison(runs).notes if note.startswith("continued")]
    assert note.endswith("finished runs of the same search: GDAS")


def test_the_error_for_an_unknown_data_set_names_the_known_ones() -> None:
    with pytest.raises(NbevalError, match="no result on svhn: these runs have cifar10, cifar100"):
        noted_comparison([make_run({"cifar10": 93.0, "cifar100": 70.0})], datasets=["svhn"])


def test_tabular_rows_have_a_reward_and_a_cost_and_no_split() -> None:
    rs = make_run({"cifar10": 93.0}, method="rs", title="RS", cost_kind="simulated", split="reward: the mean")
    notes = noted_comparison([rs, make_run({"cifar10": 93.0}, split="halves")]).notes
    assert {"reward and cost: reward: the mean", "split: halves"} <= set(notes)


def test_a_note_names_the_newest_version_of_a_method() -> None:
    mine = make_run({"cifar10": 93.0}, title="Mine", method="mine:M")
    old, new, other = (
        replace(mine, record=replace(mine.record, variant_id=f"{name}00000000", finished=when))
        for name, when in (("ffff", "2026-01-01"), ("aaaa", "2026-01-02"), ("bbbb", "2026-01-01"))
    )
    [note] = [note for note in noted_comparison([old, new, other]).notes if note.startswith("#:")]
    assert note.endswith("The newest: Mine #aaaa00")
    assert not [note for note in noted_comparison([old]).notes if note.startswith("#:")]


def test_the_code_that_made_a_row_is_named_once_with_all_its_versions() -> None:
    def seeds(method: str, *versions: str) -> list[Run]:
        own = [{"nbeval": each, "torch": "2.8"} for each in versions]
        return [make_run({"cifar10": 93.0}, method=method, title=method, seed=i, versions=v) for i, v in enumerate(own)]

    notes = noted_comparison([*seeds("A", "1", "1, 2", "3"), *seeds("B", "1"), *seeds("C", "1")]).notes
    assert "made with: nbeval 1, 2, 3, torch 2.8 (A) | nbeval 1, torch 2.8 (B, C)" in notes
