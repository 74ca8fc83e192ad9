"""What is checked before the first search starts, and what `--method all` leaves out."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command import TINY, call, search
from tables import synthetic_table

from nasbench_eval import images
from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.images.splits import SPLIT_FILES
from nasbench_eval.table import Table
from nasbench_eval.table.schema import Key
from runners.context import Inputs, Truth
from runners.inputs import all_specs, make_specs, open_table, prepare, table_lookup, table_lookups
from runners.presets import preset_names
from runners.spec import RunSpec

ONES = np.ones(15_625, dtype=np.float32)
OWN = [("valid", "accuracy"), ("test", "accuracy"), ("train", "train_seconds")]


def test_all_is_every_method_that_can_run_and_the_others_are_named(home: Path, table_file: Path) -> None:
    """The synthetic table has no learning curves, and no method for images knows how many queries to make."""
    inputs = Inputs(home / "results", device="cpu", table=table_file, scale="small")
    specs, left_out = make_specs("all", "digits", [0, 1], {}, inputs)
    names = [spec.method for spec in specs]
    assert {"gaea_darts", "darts", "rs_ws"} <= set(names)
    assert names.count("gaea_darts") == 2
    assert [text for text in left_out if text.startswith("left out asha, bohb_nats, ") and "curves" in text]
    without = [name for text in left_out for name in text.removeprefix("left out ").partition(" on ")[0].split(", ")]
    assert sorted({*names, *without}) == preset_names()
    assert not set(names) & set(without)
    assert not [text for text in left_out if "\n" in text]


def test_all_loads_each_data_set_once(home: Path, table_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    original = images.load_images
    monkeypatch.setattr(images, "load_images", lambda name, **given: loaded.append(name) or original(name, **given))
    specs, _ = make_specs("all", "digits", [0], {}, Inputs(home / "results", "cpu", table=table_file, scale="small"))
    assert sum(not spec.is_tabular for spec in specs) > 20
    assert loaded == ["digits"]


def test_all_with_a_setting_of_some_methods_leaves_out_the_others(home: Path, table_file: Path) -> None:
    inputs = Inputs(home / "results", device="cpu", table=table_file, scale="small")
    specs, left_out = make_specs("all", "digits", [0], {"epochs": 2}, inputs)
    assert all(not spec.is_tabular for spec in specs)
    assert [text for text in left_out if text.startswith("left out rea on digits: unknown setting of rea 'epochs'")]


def test_all_without_any_method_that_can_run_says_why(home: Path) -> None:
    with pytest.raises(NbevalError, match="no benchmark table at"):
        make_specs("all", "cifar10", [0], {}, Inputs(home / "results", device="cpu"))


def test_missing_images_are_found_before_the_first_search_starts(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Digits are always there and come first; nothing may have run when cifar10 turns out to be missing."""
    arguments = ["--method", "darts", "--dataset", "digits,cifar10", "--epochs", "1", "--table", str(table_file)]
    assert call("run", *arguments, "--device", "cpu", *TINY) == 1
    said = capsys.readouterr()
    assert "no images of cifar10" in said.err
    assert "digits seed 0" not in said.err
    assert not Path("results").exists()


def test_a_setting_that_contradicts_the_images_is_found_before_the_first_search_starts(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--method", "rs_ws,darts", "--dataset", "digits", "--epochs", "1", "--table", str(table_file)]
    assert call("run", *arguments, "--device", "cpu", *TINY, "--set", "partial_channels=3") == 2
    assert "must be a multiple of partial_channels" in capsys.readouterr().err
    assert not Path("results").exists()


def test_a_complete_run_needs_no_images(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a machine to which only the results were copied."""

    def gone(name: str, **options: object) -> None:
        raise NbevalError(f"no images of {name}")

    run = ("--method", "rs_ws", "--truth", "none")
    assert search(*run, epochs=1) == 0
    monkeypatch.setattr("nasbench_eval.images.load_images", gone)
    capsys.readouterr()
    assert search(*run, epochs=1) == 0
    assert "rs_ws digits seed 0: complete already" in capsys.readouterr().out
    assert search(*run, "--seeds", "2", epochs=1) == 1
    assert "no images of digits" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "official"), [(None, {"cifar100"}), ("official", {"cifar10", "cifar100"}), ("seeded", set())]
)
def test_a_spec_remembers_which_halves_of_the_images_it_has(given: str | None, official: set[str], home: Path) -> None:
    """Or a search on other images would count as the same run."""
    inputs = Inputs(home / "results", split_file=None if given is None else Path(given))
    specs = all_specs("darts", "cifar10,cifar100", [0], {}, inputs)
    halves = {name: SPLIT_FILES[name].sha256 if name in official else "" for name in ("cifar10", "cifar100")}
    assert {spec.search_dataset: spec.split_hash for spec in specs} == halves


@pytest.mark.parametrize("truth", ["none", "train"])
def test_a_table_that_would_not_be_looked_at_is_refused(truth: Truth, home: Path, table_file: Path) -> None:
    inputs = Inputs(home / "results", "cpu", truth=truth, table=table_file)
    with pytest.raises(UsageError, match=f"--table has no effect with --truth {truth}"):
        prepare([RunSpec("darts", "digits", 0)], inputs)


def test_as_many_searches_share_the_machine_as_there_are_workers_unless_others_are_there_too(home: Path) -> None:
    """On a cluster every search has a process with one worker, and others beside it."""
    inputs, specs = Inputs(home / "results", "cpu", workers=2, threads=1), [RunSpec("darts", "digits", 0)]
    assert prepare(specs, inputs).side_by_side == 2
    assert prepare(specs, replace(inputs, workers=1, side_by_side=3)).side_by_side == 3


def test_a_table_that_was_replaced_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "own.parquet"
    for seed in (0, 1):
        saved = synthetic_table(seed).save(path)
        os.utime(path, (seed, seed))
        assert table_lookup(path, "digits").facts().content_hash == saved.metadata.content_hash
        assert open_table(path) is open_table(path)


def test_a_table_without_digits_is_joined_by_the_one_in_the_package(tmp_path: Path) -> None:
    path = tmp_path / "cifar10.parquet"
    table = synthetic_table(datasets=("cifar10",))
    table.save(path)
    found = table_lookups(path, ["digits", "cifar10", "digits"])
    assert found["cifar10"].facts().content_hash == table.metadata.content_hash
    assert found["digits"].facts() == table_lookup(None, "digits").facts()
    # Where the table has nothing that is asked for, its name may be a mistake.
    assert table_lookups(path, ["digits"])["digits"].datasets == ("cifar10",)


def test_a_table_with_digits_is_used_for_digits(table_file: Path) -> None:
    found = table_lookups(table_file, ["digits", "cifar10"])
    assert found["digits"].facts() == found["cifar10"].facts()


def test_a_gpu_need_not_be_here_where_searches_run_elsewhere(home: Path) -> None:
    specs = [RunSpec("darts", "digits", 0)]
    there = Inputs(home / "results", device="cuda:7", elsewhere=True)
    assert prepare(specs, there).device == "cpu"
    with pytest.raises(UsageError, match="torch sees 0 GPUs here"):
        prepare(specs, replace(there, elsewhere=False))
    with pytest.raises(UsageError, match="--device is auto, cpu, cuda or cuda:n"):
        prepare(specs, replace(there, device="gpu"))


def test_a_table_of_ones_own_may_have_another_data_set(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = {Key("mine", 6, split, metric): ONES for split, metric in OWN}
    Table.build(columns, name="own", source={}).save(home / "own.parquet")
    run = ["run", "--method", "rs", "--dataset", "mine", "--set", "fidelity=6", "--set", "budget_seconds=5"]
    assert call(*run, "--table", "own.parquet") == 0
    capsys.readouterr()
    assert call(*run) == 2
    assert "unknown data set 'mine'" in capsys.readouterr().err
    with pytest.raises(UsageError, match="unknown data set 'digit': did you mean 'digits'"):
        prepare([RunSpec("rea", "digit", 0)], Inputs(home / "results"))
