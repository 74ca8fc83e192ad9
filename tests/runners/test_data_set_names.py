"""Data sets that are named to ``compare``, ``plot``, ``rank`` and ``data`` without there being anything of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from analysis_runs import make_run
from command import call

from nasbench_eval.runs.store import write_run


@pytest.fixture
def results(home: Path) -> Path:
    """A folder with a run on digits and one on a data set of the user's."""
    for name in ("digits", "mine"):
        run = make_run({name: 90.0}, method="rs", title="RS", search=name, block="standard HPO", cost_kind="simulated")
        write_run(Path("results/runs"), run)
    return home


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    return err


@pytest.mark.parametrize("command", [("compare",), ("plot",), ("plot", "figure5", "anytime")])
@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("digits,NoSuch", "no result on 'NoSuch': these runs have digits, mine"),
        ("mnist", "no result on 'mnist': these runs have digits, mine"),
        ("digit", "no result on 'digit': did you mean 'digits'? these runs have"),
        ("ImageNet16-120", "the official ImageNet16-120 is imagenet16-120 here; these runs have"),
    ],
)
def test_a_data_set_without_results_is_named(
    command: tuple[str, ...], asked: str, words: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*command, "--dataset", asked) == 2
    assert words in one_line(capsys)
    assert not Path("plots").exists()


def test_a_data_set_that_has_no_results_yet_is_noted_beside_those_that_have(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("compare", "--dataset", "digits,mine,cifar100") == 0
    out, err = capsys.readouterr()
    assert err == "nbeval: no result on cifar100: these runs have digits, mine\n"
    assert "90.00" in out
    assert call("compare", "--dataset", "cifar100") == 1
    assert one_line(capsys) == "nbeval: no result on cifar100: these runs have digits, mine\n"
    assert call("compare", "--dataset", "digits,mine") == 0
    assert capsys.readouterr().err == ""


def test_plot_without_any_figure_says_why_and_fails(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in Path("results/runs").iterdir():
        path.unlink()
    write_run(Path("results/runs"), make_run({}, search="mine"))
    assert call("plot", "anytime", "--dataset", "mine") == 1
    assert "have no data for anytime" in one_line(capsys)
    for path in Path("results/runs").iterdir():
        path.unlink()
    assert call("plot", "--dataset", "digits", "--format", "svg") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "nbeval: there is nothing to draw: no figure was written"
    assert not Path("plots").exists()


def test_data_set_names_are_checked_before_anything_is_read_or_downloaded(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (("info", "digits", "NOSUCH"), ("fetch", "cifar10", "NOSUCH")):
        assert call("data", *command) == 2
        assert "unknown data set 'NOSUCH': known are cifar10" in one_line(capsys)
    assert not list(home.iterdir())


def test_rank_does_not_advise_to_delete_tabular_runs(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("rank", "--method", "all") == 1
    err = one_line(capsys)
    assert "no run under results/runs is a search with shared weights" in err
    assert "nbeval run --method rs_ws" in err
    assert "delete" not in err
