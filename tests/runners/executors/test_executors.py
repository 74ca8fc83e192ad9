"""The choice of an executor and its options."""

from __future__ import annotations

import re
import shutil
from dataclasses import fields, replace
from pathlib import Path

import pytest
from command import call
from paths import ROOT

from nasbench_eval.errors import NbevalError, UsageError
from runners.executors import EXECUTORS, Job, local, make_executor, ray, remote, slurm
from runners.executors.ray import RayOptions, _fitting
from runners.executors.slurm import SlurmOptions, _sbatch_options
from runners.spec import RunSpec

RUN = ("run", "--method", "darts", "--dataset", "digits", "--scale", "small")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--executor", "slrm"), "is not one of 'local', 'slurm', 'ray'"),
        (("--executor", "slurm", "--executor-option", "partiton=gpu"), "did you mean 'partition'?"),
        (("--executor", "ray", "--executor-option", "cpus=0"), "cpus must be above 0"),
        (("--executor", "slurm", "--executor-option", "hours=long"), "hours must be a number; got 'long'"),
        (("--executor", "slurm", "--executor-option", "cluster=lsf"), "cluster must be one of slurm, local, debug"),
        (("--executor-option", "gpu_memory"), "--executor-option takes key=value; got 'gpu_memory'"),
        (("--detach",), "--detach leaves the jobs to Slurm"),
        (("-v", "-q"), "-v says more and -q says less"),
    ],
)
def test_a_wrong_option_is_one_line(
    home: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: str
) -> None:
    assert call(*RUN, *options) == 2
    assert words in capsys.readouterr().err
    assert not list(home.iterdir())


def test_a_missing_package_or_cluster_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(NbevalError, match="there is no sbatch here; run the command where you submit jobs"):
        make_executor("slurm")
    for module, name in ((slurm, "slurm"), (ray, "ray")):
        monkeypatch.setattr(module, "find_spec", lambda package: None)
        with pytest.raises(NbevalError, match=rf"pip install 'nbeval\[{name}\]'"):
            make_executor(name)
    with pytest.raises(UsageError, match="unknown executor 'rey': did you mean 'ray'"):
        make_executor("rey")
    assert isinstance(make_executor(), local.Local)


def test_the_command_offers_every_executor() -> None:
    from runners.cli.run import run

    [option] = [each for each in run.params if each.name == "executor_name"]
    assert list(option.type.choices) == list(EXECUTORS)  # type: ignore[attr-defined]


def test_the_documentation_lists_every_option_as_it_is() -> None:
    page = (ROOT / "docs" / "clusters.md").read_text()
    for options in (SlurmOptions, RayOptions, local.LocalOptions):
        for field in fields(options):
            assert re.search(rf"^\| `{field.name}` \| .*\| {re.escape(field.metadata['help'])} \|$", page, re.MULTILINE)


def test_options_reach_sbatch_under_its_names() -> None:
    from submitit.slurm.slurm import _make_sbatch_string

    options = SlurmOptions(cluster="local", partition="gpu", account="nas", hours=1.5, gpus=2, memory=16.0)
    values = slurm.Slurm(replace(options, sbatch="exclude=n7 reservation=r"))._parameters()
    assert values["timeout_min"] == 90
    own = {name.removeprefix("slurm_"): value for name, value in values.items() if name.startswith("slurm_")}
    own |= {"time": values["timeout_min"], "gpus_per_node": values["gpus_per_node"]}
    script = _make_sbatch_string("true", "jobs", **own)
    for line in ("partition=gpu", "account=nas", "time=90", "gpus-per-node=2", "exclude=n7", "reservation=r"):
        assert f"#SBATCH --{line}\n" in script
    assert "#SBATCH --signal=USR2@300\n" in script
    for wrong in ("exclude", "=n7", "exclude="):
        with pytest.raises(UsageError, match="sbatch takes NAME=VALUE"):
            _sbatch_options(wrong)


def test_as_many_searches_are_side_by_side_as_a_machine_has_room_for() -> None:
    machine = {"CPU": 16.0, "GPU": 2.0, "memory": 1e9}
    assert _fitting(machine, RayOptions(cpus=4.0)) == 4
    assert _fitting(machine, RayOptions(cpus=1.0, gpus=0.5)) == 4
    assert _fitting({"CPU": 16.0}, RayOptions(gpus=0.5)) == 0


def test_searches_that_were_submitted_before_are_known(tmp_path: Path) -> None:
    jobs = [Job("", RunSpec("darts", "digits", seed)) for seed in range(3)]
    remote.remember(tmp_path / "first", "17 18", jobs[:2])
    remote.remember(tmp_path / "second", "19", jobs[2:])
    assert remote.submitted_before(tmp_path, {job.spec.run_id for job in jobs[1:]}) == {"17 18": 1, "19": 1}
    assert remote.submitted_before(tmp_path, {jobs[2].spec.run_id}) == {"19": 1}
    assert remote.submitted_before(tmp_path / "nothing", {"ab"}) == {}
