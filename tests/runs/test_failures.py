from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nasbench_eval.errors import NbevalError
from nasbench_eval.runs.failures import Failure, load_failures, read_failure, write_failure

FAILURE = Failure(
    run_id="0123456789ab",
    variant_id="ba9876543210",
    method="darts",
    title="DARTS",
    search_dataset="digits",
    seed=3,
    settings={"arch_lr": 3e-4, "betas": (0.5, 0.999), "clip": None},
    scale="small",
    step=7,
    cause="train_loss is nan",
    versions={"torch": "2.8"},
    finished="2026-12-01T00:00:00Z",
)


def test_no_flipped_bit_changes_what_is_read_and_older_records_have_no_checksum(tmp_path: Path) -> None:
    path = write_failure(tmp_path, FAILURE)
    read = read_failure(path)
    assert replace(read, settings=FAILURE.settings) == FAILURE
    assert read.settings == {"arch_lr": 3e-4, "betas": [0.5, 0.999], "clip": None}
    content = path.read_bytes()
    found = 0
    for place in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            again = read_failure(path)
        except NbevalError:
            found += 1
        else:
            assert again == read, place  # white space between the values
    assert found > 100
    values = json.loads(content)
    values["step"] = 8
    path.write_text(json.dumps(values))
    with pytest.raises(NbevalError, match="its checksum is another"):
        read_failure(path)
    del values["sha256"]
    path.write_text(json.dumps(values))
    assert read_failure(path).step == 8


def test_runs_have_the_failures_beside_them_and_not_those_of_other_folders(tmp_path: Path) -> None:
    beside, other = (write_failure(tmp_path / name, FAILURE) for name in ("results", "results/other"))
    assert load_failures([tmp_path / "results" / "runs"]) == [read_failure(beside)]
    beside.unlink()
    assert load_failures([tmp_path / "results" / "runs"]) == []
    assert load_failures([tmp_path / "results"]) == [read_failure(other)]
