"""Several commands on one results folder: nothing is run twice, and what others are at work on is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import TINY, runs, search

from runners.spec import RunSpec, parse_overrides


def spec_of(method: str, seed: int = 0, *, epochs: int = 1) -> RunSpec:
    return RunSpec(method, "digits", seed, overrides={**parse_overrides(TINY[1::2]), "epochs": epochs})


def test_a_run_that_somebody_else_is_at_work_on_is_left_to_them(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--method", "darts", "--seeds", "2", "--table", str(table_file)]
    with spec_of("darts").lock(Path("results")) as other:
        assert other.take() is None
        assert search(*arguments, epochs=1) == 75
        said = capsys.readouterr()
        owner = spec_of("darts").lock(Path("results")).take()
        assert owner is not None
        assert f"left to others: {owner.words} is at work on darts digits seed 0\n" in said.out
        assert f"nbeval: 1 of 2 runs are left out: {owner.words} is at work on darts digits seed 0" in said.err
        assert list(runs()) == ["darts 1"]
    assert search(*arguments, epochs=1) == 0
    assert sorted(runs()) == ["darts 0", "darts 1"]
    assert sorted(path.name for path in Path("results").iterdir()) == ["checkpoints", "runs", "supernets"]
    assert not list(Path("results/checkpoints").iterdir())
