from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from analysis_runs import make_run
from command import call

from nasbench_eval.runs.store import write_run
from runners.spec import RunSpec


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
    assert "<h1>GDAS on cifar10</h1>" in page
    assert "Claims" not in page
    assert "nbeval report --results results --dataset cifar10" in page
    assert "nbeval run --method gdas --dataset cifar10 --seeds 2" in page


def test_without_results_there_is_one_clear_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("report") == 1
    assert "there is no results folder results/runs: run `nbeval run` first" in capsys.readouterr().err
    assert not list(home.rglob("*.html"))


def test_a_study_gives_the_page_its_question_and_claims(results: Path) -> None:
    claim = "text='GDAS wins'\ntest='better'\nmethod='gdas'\nagainst='rea'\ndataset='cifar10'"
    study = (
        f"title='Mine'\nquestion='Who wins?'\ndataset='cifar10'\n[[run]]\nmethod=['gdas', 'rea']\n[[claim]]\n{claim}"
    )
    Path("mine.toml").write_text(study)
    assert call("report", "--results", "results", "--study", "mine.toml", "--output", "page.html") == 0
    page = Path("page.html").read_text()
    assert "<h1>Mine</h1>" in page
    assert "Who wins?" in page
    assert "GDAS wins" in page
    assert "nbeval report --results results --study mine.toml" in page


def test_a_study_without_any_of_its_runs_is_refused(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text, words in (
        ("digits", "dataset='digits'\n[[run]]\nmethod='gdas'", "its runs search on digits, these are on cifar10"),
        ("other", "dataset='cifar10'\n[[run]]\nmethod=['rs', 'rea']", "its runs are of rs, rea, these are of gdas"),
    ):
        Path(f"{name}.toml").write_text(text)
        assert call("report", "--results", "results", "--study", f"{name}.toml") == 2
        assert capsys.readouterr().err == f"nbeval: no run belongs to the study {name}: {words}\n"
    assert not (results / "report.html").exists()


def test_a_study_of_which_there_are_only_other_settings_is_noted(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.toml").write_text("dataset='cifar10'\n[[run]]\nmethod='gdas'")
    call_it = ("report", "--results", "results", "--study", "mine.toml")
    assert call(*call_it) == 0
    note = "nbeval: no run has the settings of the study mine, so that its claims are not judged\n"
    assert capsys.readouterr().err == note
    # Any seed, and any scale where the study's own is not there.
    own = RunSpec("gdas", "cifar10", 5, "small")
    run = make_run({"cifar10": 90.0}, seed=5, method="gdas", scale="small")
    write_run(results / "runs", replace(run, record=replace(run.record, variant_id=own.variant_id)))
    for path in (results / "runs").iterdir():
        if "-s5-" not in path.name:
            path.unlink()
    assert call(*call_it) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--study", "figure6"), 2, "figure5"),
        (("--against", "gaea"), 2, "no run of 'gaea'"),
        (("--dataset", "cifar11"), 2, "no result on 'cifar11'"),
    ],
)
def test_unknown_names_are_one_line(
    results: Path, arguments: tuple[str, ...], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("report", "--results", "results", *arguments) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (results / "report.html").exists()
