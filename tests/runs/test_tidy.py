"""``nbeval export``: one row per run and data set, and the JSON Schema that run files obey."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from analysis_runs import make_run
from command import call
from jsonschema import Draft202012Validator, ValidationError
from paths import ROOT

from nasbench_eval.cell import Cell
from nasbench_eval.runs.store import RUN_SCHEMA, Run, RunRecord, write_bundle, write_run
from nasbench_eval.runs.tidy import run_schema, tidy

SCHEMA = json.loads(run_schema())
FILES = sorted((ROOT / "results" / "reference").glob("*/runs/*.parquet"))


def with_cell(run: Run) -> Run:
    return dataclasses.replace(run, steps=run.steps.assign(cell=str(Cell.from_index(9930))))


def metadata(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pq.read_schema(path).metadata[b"nbeval.run"])
    return found


def test_there_is_one_row_for_each_run_and_data_set() -> None:
    two = with_cell(make_run({"cifar10": 93.0, "cifar100": 70.0}, seed=3, overrides={"lr": 0.1}))
    none = with_cell(make_run({}, table=None, truth="none"))
    frame = tidy([two, none])
    assert frame[["dataset", "test_acc", "seed"]].values.tolist()[:2] == [["cifar10", 93.0, 3], ["cifar100", 70.0, 3]]
    assert frame["cell_index"].tolist() == [9930] * 3
    assert frame["search_seconds"].tolist() == [60.0] * 3
    assert json.loads(frame["overrides"][0]) == {"lr": 0.1}
    assert frame["optimum"][0] == pytest.approx(94.37)
    assert frame["dataset"][2] == ""
    assert frame.loc[2, ["test_acc", "optimum", "noise"]].isna().all()
    # Every fact of a record is there.
    assert {field.name for field in dataclasses.fields(RunRecord)} <= set(frame.columns)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_the_command_writes_a_file_that_reads_back(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "runs", with_cell(make_run({"cifar10": 93.0 + 1 / 3, "cifar100": 70.0})))
    out = tmp_path / f"all.{suffix}"
    assert call("export", "--tidy", str(out), "--results", str(tmp_path)) == 0
    assert capsys.readouterr().out == f"{out}: 2 rows of 1 runs\n"
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "json": pd.read_json}[suffix]
    found = read(out)
    assert found["test_acc"].tolist() == [93.0 + 1 / 3, 70.0]
    assert found["cell"].tolist() == [str(Cell.from_index(9930))] * 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--tidy", "all.xlsx"], 2, "the name of the file must end in one of .csv, .parquet, .json; got all.xlsx"),
        ([], 2, "what to export?"),
        (["--tidy", "a.csv", "--results", "none"], 1, "there is no results folder none"),
    ],
)
def test_wrong_calls_get_one_line(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    write_run(home / "results" / "runs", with_cell(make_run({"cifar10": 93.0})))
    assert call("export", *arguments) == code
    [line] = capsys.readouterr().err.splitlines()
    assert words in line


def test_run_files_obey_the_schema_and_others_do_not(tmp_path: Path) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    validate = Draft202012Validator(SCHEMA).validate
    runs = [make_run({"cifar10": 93.0 + seed}, seed=seed) for seed in (0, 1)]
    one, both = metadata(write_run(tmp_path, runs[0])), metadata(write_bundle(tmp_path, runs))
    for right in (one, both):
        validate(right)
    assert len(both["runs"]) == 2
    wrong = [
        {**one, "seed": -1}, {**one, "cost_kind": "guessed"}, {**one, "more": 1}, {**one, "runs": both["runs"]},
        {**one, "schema": RUN_SCHEMA + 1}, {key: value for key, value in one.items() if key != "split"},
        {key: value for key, value in both.items() if key != "runs"},
    ]  # fmt: skip
    for each in wrong:
        with pytest.raises(ValidationError):
            validate(each)
    # Both describe the same fields.
    fields = {field.name for field in dataclasses.fields(RunRecord)} | {"schema", "runs"}
    assert set(SCHEMA["properties"]) == fields


def test_every_committed_run_obeys_the_schema() -> None:
    assert len(FILES) > 40
    for path in FILES:
        Draft202012Validator(SCHEMA).validate(metadata(path))
