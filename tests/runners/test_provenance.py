from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

import pytest
from analysis_runs import make_run
from paths import ROOT

from nasbench_eval.images.splits import SPLIT_FILES
from nasbench_eval.report.provenance import Provenance
from nasbench_eval.runs.store import Run, load_runs
from runners.inputs import split_hash
from runners.provenance import provenance
from runners.spec import RunSpec, parse_overrides, parse_seeds


def specs(command: str) -> list[RunSpec]:
    """The runs that a command makes."""
    words = shlex.split(command)
    assert words[:2] == ["nbeval", "run"]
    options: dict[str, list[str]] = {}
    for name, value in zip(words[2::2], words[3::2], strict=True):
        options.setdefault(name, []).append(value)
    [method], [dataset], [seeds] = options["--method"], options["--dataset"], options["--seeds"]
    changes, [scale] = parse_overrides(options.get("--set", [])), options.get("--scale", ["full"])
    [given] = options.get("--split", [""])
    split = split_hash(Path(given) if given else None, dataset)
    return [RunSpec(method, dataset, seed, scale, changes, split) for seed in parse_seeds(seeds)]


def record(spec: RunSpec, **facts: object) -> Run:
    """A run with the identity and settings of a specification."""
    values = {"settings": spec.values, "overrides": spec.changed, "scale": spec.scale, **facts}
    made = make_run({"cifar10": 90.0}, method=spec.method, search=spec.search_dataset, seed=spec.seed)
    identity = {"run_id": spec.run_id, "variant_id": spec.variant_id}
    return dataclasses.replace(made, record=dataclasses.replace(made.record, **identity, **values))


def only(runs: list[Run]) -> Provenance:
    [made] = provenance(runs).values()
    return made


def test_each_committed_run_is_made_again_by_the_command_shown():
    runs = load_runs([ROOT / "results" / "reference"])
    made = provenance(runs)
    shown = {spec.run_id for each in made.values() for spec in specs(each.command)}
    assert {run.record.run_id for run in runs} == shown
    assert not [each.note for each in made.values() if each.note]


@pytest.mark.parametrize(
    ("seeds", "words"), [((0, 1, 2), "--seeds 3"), ((0, 3), "--seeds 0,3"), ((5,), "--seeds 5,"), ((0,), "--seeds 1")]
)
def test_seeds_are_written_as_the_command_takes_them(seeds: tuple[int, ...], words: str):
    made = only([record(RunSpec("rea", "cifar10", seed)) for seed in seeds])
    assert f"{words} " in f"{made.command} "
    assert [spec.seed for spec in specs(made.command)] == list(seeds)


def test_changed_settings_the_official_split_and_another_truth_are_in_the_command():
    spec = RunSpec("darts", "cifar10", 0, "small", {"lr": 0.05, "clip": 3.0}, SPLIT_FILES["cifar10"].sha256)
    made = only([record(spec, split=f"{SPLIT_FILES['cifar10'].name} (sha256 986da617), 25,000/25,000", truth="train")])
    assert "--truth train --split official --set lr=0.05 --set clip=3.0" in made.command
    assert [each.run_id for each in specs(made.command)] == [spec.run_id]
    assert not made.note


def test_halves_of_a_test_set_are_in_the_command_if_they_are_not_the_official_ones():
    file = SPLIT_FILES["cifar100"]
    for spec, split, words in (
        (RunSpec("darts", "cifar100", 0), "test set halved: seeded random halves 5,000/5,000", ["seeded"]),
        (RunSpec("darts", "cifar100", 0, split_hash=file.sha256), f"test set halved: {file.name} (sha256 14)", []),
        (RunSpec("rea", "cifar100", 0), "", []),
    ):
        made = only([record(spec, split=split)])
        assert made.command.partition("--split ")[2].split() == words
        assert [each.run_id for each in specs(made.command)] == [spec.run_id]


def test_every_setting_has_its_preset_and_source():
    made = only([record(RunSpec("gaea_darts", "cifar10", 0, "small"))])
    rows = {row.name: row for row in made.settings}
    assert (rows["channels"].value, rows["channels"].preset) == ("8", "16")
    assert rows["arch_lr"].source == "GAEA appendix C.3"
    differing = {name for name, row in rows.items() if row.differs}
    assert {"channels", "cells", "epochs", "lr_epochs", "train_images", "valid_images"} <= differing
    assert not {"arch_lr", "zero_op", "controller_steps"} & differing
    assert not rows["controller_steps"].has_effect


def test_what_cannot_be_made_again_is_said():
    run = record(RunSpec("rea", "cifar10", 0))
    changed = dataclasses.replace(run, record=dataclasses.replace(run.record, run_id="0123456789ab"))
    assert "does not give exactly these runs" in only([changed]).note


def test_a_method_that_is_gone_keeps_its_settings_and_command():
    run = make_run({"cifar10": 90.0}, method="no_such_module:Mine", overrides={"lr": 0.5}, seed=3)
    made = only([run])
    assert made.command == "nbeval run --method no_such_module:Mine --dataset cifar10 --seeds 3, --set lr=0.5"
    assert "cannot be loaded here" in made.note
    assert {row.name for row in made.settings} == set(run.record.settings)
    assert not any(row.differs for row in made.settings)
