from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from analysis_runs import SMALL, make_run

from nasbench_eval.errors import NbevalError
from nasbench_eval.runs import store
from nasbench_eval.runs.store import TableFacts, load_runs, read_records, read_run, write_run


def test_a_run_is_read_as_it_was_written(tmp_path):
    run = make_run({"cifar10": 93.5, "cifar100": float("nan")}, seed=7, overrides={"epochs": 3}, **SMALL)
    path = write_run(tmp_path / "runs", run)
    assert path.name == f"gdas-cifar10-s7-{run.record.run_id}.parquet"
    back = read_run(path)
    assert back.record == run.record
    pd.testing.assert_frame_equal(back.steps, run.steps)
    assert back.test_acc == {"cifar10": 93.5}
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_run_without_a_table_can_be_read(tmp_path):
    run = make_run({}, table=None, truth="none")
    back = read_run(write_run(tmp_path, run))
    assert back.record.table is None
    assert back.test_acc == {}


def test_the_error_for_a_truncated_file_says_what_to_do(tmp_path):
    path = write_run(tmp_path, make_run({"cifar10": 93.5}))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(NbevalError, match=r"not a readable run file .* delete it and run again"):
        read_run(path)


def test_the_error_for_another_parquet_file_names_it(tmp_path):
    path = tmp_path / "foreign.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(NbevalError, match=r"foreign\.parquet is not an nbeval run file"):
        read_run(path)


def test_another_schema_version_is_an_error(tmp_path):
    run = make_run({"cifar10": 93.5})
    text = json.dumps({"schema": store.RUN_SCHEMA + 1, **dataclasses.asdict(run.record)})
    path = tmp_path / "future.parquet"
    pq.write_table(pa.table({"step": [0]}).replace_schema_metadata({store._META_KEY: text}), path)
    with pytest.raises(NbevalError, match="another version of nbeval"):
        read_run(path)


@pytest.mark.parametrize(
    ("column", "value"),
    [("test_acc.cifar10", 100.5), ("test_acc.cifar10", -1.0), ("seconds", np.inf), ("total_seconds", -1.0)],
)
def test_an_impossible_accuracy_or_cost_is_an_error_of_the_file(column: str, value: float, tmp_path: Path) -> None:
    run = make_run({"cifar10": 93.5})
    run.steps[column] = run.steps[column].astype(float)
    run.steps.loc[1, column] = value
    with pytest.raises(NbevalError, match=rf"\.parquet .*its {column} has impossible values"):
        read_run(write_run(tmp_path, run))


def test_runs_are_loaded_once_from_overlapping_folders(tmp_path):
    for seed in (1, 0):
        write_run(tmp_path / "a" / "runs", make_run({"cifar10": 93.0 + seed}, seed=seed))
    (tmp_path / "a" / "runs" / ".x.parquet.123.tmp").write_bytes(b"unfinished")
    runs = load_runs([tmp_path / "a", tmp_path / "a" / "runs"])
    assert [run.record.seed for run in runs] == [0, 1]


def test_files_with_the_same_name_in_two_folders_are_both_read(tmp_path):
    for folder, value in (("a", 93.0), ("b", 94.0)):
        write_run(tmp_path / folder, make_run({"cifar10": value}))
    assert [run.test_acc["cifar10"] for run in load_runs([tmp_path / "b", tmp_path / "a"])] == [93.0, 94.0]


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(NbevalError, match=r"no results folder .*nowhere"):
        load_runs([tmp_path / "nowhere"])


def test_no_flipped_bit_changes_what_is_read(tmp_path: Path) -> None:
    run = make_run({"cifar10": 93.0})
    path = write_run(tmp_path, run)
    content = path.read_bytes()
    found = 0
    for place in range(0, len(content), 97):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            again = read_run(path)
        except NbevalError:
            found += 1
        else:
            assert again.record == run.record, place
            assert read_records(path) == [run.record], place
            pd.testing.assert_frame_equal(again.steps, run.steps)
    assert found > 30


def test_the_noise_of_a_table_is_that_of_the_test_split_if_known() -> None:
    facts = TableFacts("t", "h", noise={"cifar10": {"valid": 0.5, "test": 0.2}, "cifar100": {"valid": 0.5}})
    assert facts.noise_on("cifar10") == (0.2, "test")
    assert facts.noise_on("cifar100") == (0.5, "valid")
    assert np.isnan(facts.noise_on("digits")[0])


def test_runs_behind_a_link_belong_to_the_folder_that_has_the_link(tmp_path):
    scratch, results = tmp_path / "scratch", tmp_path / "results"
    path = write_run(scratch, make_run({"cifar10": 93.0}))
    results.mkdir()
    (results / "runs").symlink_to(scratch)
    (scratch / "around").symlink_to(results)  # a circle
    for folder in (results, results / "runs"):
        [run] = load_runs([folder])
        assert run.home == results
    assert len(load_runs([results, scratch])) == 1
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "study").symlink_to(results)
    assert len(load_runs([tmp_path / "all"])) == 1
    assert path.exists()


def test_a_results_folder_is_read_without_those_that_are_in_it(tmp_path):
    write_run(tmp_path / "runs", make_run({"cifar10": 93.0}))
    write_run(tmp_path / "reference" / "study" / "runs", make_run({"cifar10": 93.0}, seed=1))
    assert [run.record.seed for run in load_runs([tmp_path])] == [0]
    assert [run.record.seed for run in load_runs([tmp_path / "reference"])] == [1]
