"""``nbeval run --workers``: searches in processes of their own."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from command import TINY, call, runs, untimed

RUN = ["run", "--method", "darts,rs_ws", "--dataset", "digits", "--epochs", "1", "--device", "cpu", *TINY]


def test_searches_in_parallel_find_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*RUN, "--results", str(tmp_path / "one")) == 0
    capsys.readouterr()
    assert call(*RUN, "--workers", "2", "--results", str(tmp_path / "two")) == 0
    said = capsys.readouterr().out
    # Each is reported once, whichever is done first.
    assert sorted(re.findall(r"^\[(\d)/2\] (\w+) digits seed 0: cell \d+, true", said, re.MULTILINE)) == [
        ("1", "darts"),
        ("2", "rs_ws"),
    ]
    assert "complete already" not in said
    one, two = (runs(tmp_path / name / "runs") for name in ("one", "two"))
    assert one.keys() == two.keys()
    assert len(one) == 2
    for key, run in one.items():
        pd.testing.assert_frame_equal(untimed(run.steps), untimed(two[key].steps))
        assert two[key].record.device == f"{run.record.device}, 2 searches side by side"
    capsys.readouterr()
    assert call(*RUN, "--workers", "2", "--results", str(tmp_path / "two")) == 0
    assert capsys.readouterr().out.count("complete already") == 2
