from __future__ import annotations

from pathlib import Path

import pytest
from analysis_runs import make_run
from command import call

from nasbench_eval.runs.store import write_run


@pytest.fixture
def results(home: Path) -> Path:
    for seed in (0, 1):
        write_run(home / "results" / "runs", make_run({"cifar10": 90.0 + seed}, seed=seed, method="gdas"))
    return home / "results"


def test_the_page_is_written_beside_the_results_with_the_command_that_makes_it(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("report", "--results", "results", "--dataset", "cifar10") == 0
    assert capsys.readouterr().out == "results/report.html\n"
    page = (results / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "nbeval report --results results --dataset cifar10" in page
    assert "nbeval run --method gdas --dataset cifar10 --seeds 2" in page


def test_without_results_there_is_one_clear_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("report") == 1
    assert "there is no results folder results/runs: run `nbeval run` first" in capsys.readouterr().err
    assert not list(home.rglob("*.html"))
