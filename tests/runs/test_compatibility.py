"""Results, checkpoints and states that were made before modules moved: they keep their names and still open."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from command import call
from paths import ROOT
from weight_sharing import make

from nasbench_eval.runs.store import Run, load_runs, read_run
from nasbench_eval.settings import complete
from runners.spec import RunSpec

OLD = ROOT / "tests" / "data" / "before_0_2"
"""Made with commit af507c1, before the restructuring: a checkpoint after one epoch of two, the run, names of states."""
STATES = json.loads((OLD / "state_keys.json").read_text())
COMMITTED = sorted((ROOT / "results" / "reference").glob("*/runs"))
SETTINGS = (
    *("channels=4", "cells=1", "batch_size=32", "train_images=64", "valid_images=64"),
    *("valid_batch_size=32", "arch_warmup_epochs=0"),
)


def spec_of(run: Run) -> RunSpec:
    record = run.record
    implementation = RunSpec(record.method, record.search_dataset, record.seed).implementation
    values = complete(implementation.Settings, record.settings)
    return RunSpec(record.method, record.search_dataset, record.seed, overrides=values)


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.parent.name)
def test_every_committed_run_keeps_its_identity(folder: Path) -> None:
    runs = load_runs([folder])
    assert runs
    for run in runs:
        assert (spec_of(run).run_id, spec_of(run).variant_id) == (run.record.run_id, run.record.variant_id)


@pytest.mark.parametrize("name", STATES)
def test_states_have_the_names_they_had(name: str) -> None:
    state, old = make(name).state_dict(), STATES[name]
    assert list(state["architecture"]) == old["architecture"]
    supernet = "\n".join(sorted(state["supernet"]))
    assert hashlib.sha256(supernet.encode()).hexdigest()[:16] == old["supernet_sha256"]


def test_an_old_checkpoint_resumes_to_the_same_result(home: Path) -> None:
    [file] = OLD.glob("*.parquet")
    old = read_run(file)
    checkpoint = Path("results/checkpoints") / f"{old.record.run_id}.pt"
    checkpoint.parent.mkdir(parents=True)
    shutil.copy(OLD / "checkpoint.pt", checkpoint)
    changes = [argument for setting in SETTINGS for argument in ("--set", setting)]
    arguments = ["--method", "gaea_pc_darts", "--dataset", "digits", "--device", "cpu", "--epochs", "2", *changes]
    assert call("run", *arguments) == 0
    [run] = load_runs([Path("results/runs")])
    assert run.record.run_id == old.record.run_id
    assert run.steps["seconds"].iloc[0] == old.steps["seconds"].iloc[0], "the first epoch is from the checkpoint"
    for column in ("train_loss", "valid_loss", "entropy"):
        # Another processor may round differently.
        assert run.steps[column].tolist() == pytest.approx(old.steps[column].tolist(), rel=1e-3)
