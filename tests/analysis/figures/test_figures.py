from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from analysis_runs import make_run
from click.testing import CliRunner

from nasbench_eval.analysis.figures import FIGURES, OF_THE_SEARCH, NothingToDraw, View, draw_figure, figure_frame
from nasbench_eval.analysis.figures._layout import wrap
from nasbench_eval.analysis.figures.inline import inline_figure
from nasbench_eval.cell import N_CELLS
from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.runs.failures import Failure, write_failure
from nasbench_eval.runs.rank_scores import COLUMNS, RankScores, rank_file, sample, write_scores
from nasbench_eval.runs.store import write_run
from nasbench_eval.table import Key, Table
from runners.cli.plot import plot


def test_equal_results_make_equal_files(tmp_path, runs):
    for folder in ("a", "b"):
        draw_figure("figure5", runs, tmp_path / folder, ["png", "pdf"], View(["cifar10"]))
    for name in ("figure5.png", "figure5.pdf", "figure5.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    # Type 3 fonts are what fonttype 42 avoids: journals refuse them.
    assert b"/Type3" not in (tmp_path / "a" / "figure5.pdf").read_bytes()


@pytest.mark.parametrize("name", ["figure5", "against", "curves", "cells"])
def test_signs_in_titles_mean_nothing(name, tmp_path):
    """Between two dollar signs matplotlib would read a formula, and braces were places to fill in."""
    titles = {"gdas": "GDAS", "own": "Own {x} at $a_{ to $b"}
    made = [make_run({"cifar10": 90.0 + i}, method=m, title=t, seed=i) for m, t in titles.items() for i in range(3)]
    draw_figure(name, made, tmp_path, ["svg"], View(["cifar10"], against="gdas"))
    drawn = (tmp_path / f"{name}.svg").read_text()
    assert "Own {x} at $a_{" in drawn.replace("\n", " ")
    assert "Own {x} at $a_{ to $b" in inline_figure(name, made, View(["cifar10"], against="gdas")).frame.to_csv()


@pytest.mark.parametrize("width", np.arange(1.0, 2.0, 0.1))
def test_a_caption_breaks_no_line_inside_a_reduction(width):
    text = "REDUCED runs: channels 16 -> 8; cells 5 -> 1. And more."
    lines = wrap(text, width, 8.0).split("\n")
    assert " ".join(lines) == text
    assert sum(line.count(" -> ") for line in lines) == 2


def test_a_figure_without_data_is_an_error(tmp_path):
    with pytest.raises(NothingToDraw, match="no data for entropy"):
        draw_figure("entropy", [], tmp_path, ["png"])
    assert list(tmp_path.iterdir()) == []


def test_what_the_search_observed_is_of_the_data_set_searched_on(tmp_path, runs):
    scores = pd.DataFrame([(i, "", 2.0, 10.0 + i, 80.0 + i) for i in sample(10)], columns=COLUMNS)
    made = [replace(run, home=tmp_path) for run in runs]
    write_scores(rank_file(tmp_path, made[0].record.run_id), RankScores(made[0].record.run_id, "", "", "", "", scores))
    for name in ("curves", *OF_THE_SEARCH):
        assert (name in OF_THE_SEARCH) == FIGURES[name].data(made, View(["cifar100"])).empty
    for name in OF_THE_SEARCH:
        with pytest.raises(NothingToDraw) as error:
            figure_frame(name, made, View(["cifar100"]))
        assert str(error.value) == (
            f"no searches on cifar100 have data for {name}, those on cifar10 have: here --dataset names the data set "
            "searched on"
        )
    with pytest.raises(NothingToDraw, match="the runs on digits have no data for curves, those on cifar10, cifar100 "):
        figure_frame("curves", made, View(["digits"]))
    for run in made:
        run.steps["eigenvalue"] = np.inf
    with pytest.raises(NothingToDraw, match="no searches on cifar10 have data for hessian, nor have others"):
        figure_frame("hessian", made, View(["cifar10"]))


def invoke(*arguments: str):
    return CliRunner().invoke(plot, arguments)


def test_the_command_draws_all_figures_and_prints_their_paths(tmp_path, runs):
    searched = make_run({"cifar10": 93.7}, method="rs", title="RS", block="standard HPO", cost_kind="simulated")
    for run in [*runs, searched]:
        write_run(tmp_path / "runs", run)
    cells = pd.DataFrame([(index, "", 2.0, 10.0 + i, 80.0 + i) for i, index in enumerate(sample(10))], columns=COLUMNS)
    write_scores(
        rank_file(tmp_path, runs[0].record.run_id),
        RankScores(runs[0].record.run_id, "", "9 valid images", "mean", "", cells),
    )
    columns = {Key("cifar10", 200, "test", "accuracy"): np.linspace(10.0, 94.0, N_CELLS)}
    Table.build(columns, name="made up", source={}).save(tmp_path / "table")
    options = ["--plots", str(tmp_path / "plots"), "--against", "rs", "--table", str(tmp_path / "table")]
    result = invoke("--results", str(tmp_path), *options, "--format", "svg")
    assert result.exit_code == 0, result.output
    expected = [str(tmp_path / "plots" / f"{name}.{suffix}") for name in FIGURES for suffix in ("svg", "csv")]
    assert result.output.splitlines() == expected


def test_the_command_draws_the_published_numbers_without_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = invoke("--format", "svg")
    assert result.exit_code == 0
    assert "published numbers only" in result.stderr
    assert result.stdout.splitlines() == ["plots/figure5.svg", "plots/figure5.csv"]
    assert isinstance(invoke("curves").exception, NbevalError)
    assert isinstance(invoke("against").exception, UsageError)
    write_run(tmp_path / "results" / "runs", make_run({"digits": 90.0}, search="digits"))
    result = invoke("figure5", "--format", "svg", "--dataset", "cifar10")
    assert result.exit_code == 0
    assert result.stderr == "nbeval: no result on cifar10: these runs have digits\n"
    assert "no results folder nowhere" in str(invoke("--results", "nowhere").exception)


def test_the_command_shows_the_methods_asked_for(tmp_path, runs):
    other = make_run({"cifar10": 70.0}, method="enas", title="ENAS")
    for run in [*runs, other]:
        write_run(tmp_path / "runs", run)
    arguments = ["figure5", "--results", str(tmp_path), "--plots", str(tmp_path / "plots"), "--format", "svg"]
    for method, titles in (("enas", {"ENAS", "optimum"}), ("all", {"ENAS", "GDAS", "REA"})):
        assert invoke(*arguments, "--method", method).exit_code == 0
        shown = set(pd.read_csv(tmp_path / "plots" / "figure5.csv")["title"])
        assert titles == shown if method == "enas" else titles < shown
    assert "no results of 'ensa': did you mean 'enas'" in str(invoke(*arguments, "--method", "ensa").exception)


def test_runs_that_diverged_are_named_where_their_method_is_shown(tmp_path, runs):
    for run in runs:
        write_run(tmp_path / "runs", run)
    lost = Failure("ab", "cd", "rea", "REA", "cifar10", 7, {}, "full", 3, "nan", {}, "2026")
    write_failure(tmp_path, lost)
    arguments = ["figure5", "--results", str(tmp_path), "--plots", str(tmp_path / "plots"), "--format", "svg"]
    for method, there in (("all", True), ("gdas", False), ("gdas,rea", True)):
        result = invoke(*arguments, "--method", method)
        assert result.exit_code == 0
        assert ("1 of 1 runs of REA on" in result.stderr) == there
        assert ("1 of 1 runs of REA on" in (tmp_path / "plots" / "figure5.svg").read_text()) == there


def test_many_variants_are_left_out_only_with_a_word(tmp_path):
    for i in range(13):
        write_run(tmp_path / "runs", make_run({"cifar10": 90.0}, method=f"m{i}", title=f"Method {i}"))
    write_run(tmp_path / "runs", make_run({"cifar10": 90.0}))
    arguments = ["figure5", "--results", str(tmp_path), "--plots", str(tmp_path / "plots"), "--format", "svg"]
    result = invoke(*arguments)
    assert "nbeval: not shown: Method 0, Method 1" in result.stderr
    assert "--method all shows all" in result.stderr


def test_figures_that_need_an_option_say_so(tmp_path, runs, monkeypatch):
    monkeypatch.setenv("NBEVAL_TABLE", str(tmp_path / "none"))
    for run in runs:
        write_run(tmp_path / "runs", run)
    arguments = ["--results", str(tmp_path), "--plots", str(tmp_path / "plots"), "--format", "svg"]
    assert "--against METHOD" in str(invoke("against", *arguments).exception)
    assert "no run of 'gdsa'" in str(invoke("against", "--against", "gdsa", *arguments).exception)
    assert "give it with --table" in str(invoke("distribution", *arguments).exception)
    assert "no benchmark table at nowhere" in str(invoke("distribution", "--table", "nowhere", *arguments).exception)


def test_unknown_names_are_usage_errors():
    for arguments, message in (
        (["figure6"], "unknown figure 'figure6': did you mean 'figure5'?"),
        (["--format", "jpg"], "unknown picture format 'jpg'"),
    ):
        error = invoke(*arguments).exception
        assert isinstance(error, UsageError)
        assert message in str(error)


def test_help_lists_every_figure_on_a_separate_line():
    listed = [
        line.split()[0] for line in invoke("--help").output.splitlines() if line.startswith("  ") and line.strip()
    ]
    assert set(FIGURES) <= set(listed)
