from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import pytest
from analysis_runs import SMALL, make_run
from click.testing import CliRunner

from nasbench_eval.analysis.comparison_notes import noted_comparison
from nasbench_eval.analysis.layout import WIDTH
from nasbench_eval.analysis.tables import number_text, render, seconds_text
from nasbench_eval.runs.store import TableFacts, write_run
from runners.cli.analysis import compare


@pytest.fixture
def runs():
    hpo = {"block": "standard HPO", "cost_kind": "simulated", "batch_norm": "", "device": ""}
    return [
        *(make_run({"cifar10": 93.0 + s, "cifar100": 70.0}, seed=s) for s in (0, 1)),
        make_run({"cifar10": 80.5, "cifar100": 50.0}, **SMALL),
        make_run({"cifar10": 93.9, "cifar100": 71.0}, method="rea", title="REA", **hpo),
    ]


def row(text: str, label: str) -> str:
    [line] = [line for line in text.splitlines() if line.strip().startswith(label + "  ")]
    return line


def test_the_text_has_one_line_per_method_and_explains_itself(runs):
    text = render(noted_comparison(runs), "text")
    assert "93.50 ± 0.71 [93.61 ± 0.09]" in row(text, "GDAS")
    assert row(text, "GDAS").split()[1] == "2"
    assert row(text, "GDAS").endswith("60 s")
    assert row(text, "REA").endswith("60 s sim")
    assert "80.50" in row(text, "GDAS [reduced: small]")
    assert "94.37" in row(text, "optimum")
    assert "± 0.25" in row(text, "noise between trials")
    lines = text.splitlines()
    assert lines.index("standard HPO, search on cifar10") < lines.index("weight sharing, search on cifar10")
    flat = " ".join(text.split())
    for words in (
        "sample std, ddof 1",
        "it refers to the full, unchanged method",
        "Reduced: small means channels 16 -> 4; cells 5 -> 1.",
        "valid on cifar10, valid+test on cifar100",
        "BatchNorm of the supernet: no affine, batch statistics.",
        "Truth: mean over trials, 200 epochs.",
        "measured on one CPU, 2 threads",
    ):
        assert words in flat


def test_the_text_fits_a_terminal_with_three_data_sets_and_long_settings():
    settings = {"architecture_learning_rate": 0.0125, "track_running_stats": True, "exclude_none": False}
    final = {"cifar10": 93.0, "cifar100": 70.0, "imagenet16-120": 41.0}
    text = render(noted_comparison([make_run(final, seed=s, overrides=settings) for s in (0, 1)]), "text")
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "[93.61]" in text


def test_ddof_is_stated_and_used(runs):
    text = render(noted_comparison(runs, ddof=0), "text")
    assert "93.50 ± 0.50" in text
    assert "population std, ddof 0)" in text


def test_direct_shows_the_range_of_costs_and_explains_itself():
    runs = [make_run({d: 70.0}, search=d) for d in ("cifar10", "cifar100")]
    runs[1].steps["total_seconds"] *= 100
    runs.append(make_run({"cifar10": 93.0, "cifar100": 70.0}, method="darts", title="DARTS"))
    text = render(noted_comparison(runs), "text")
    assert row(text, "GDAS").endswith("60 s - 1.7 h")
    assert "direct: one search per data set" in " ".join(text.split())
    only = render(noted_comparison(runs, protocol="transfer"), "text")
    assert "DARTS" in only
    assert "GDAS" not in only


def test_markdown_and_latex(runs):
    markdown = render(noted_comparison(runs), "markdown")
    assert "| **weight sharing, search on cifar10** |" in markdown
    assert "- Reduced: small means channels 16 -> 4; cells 5 -> 1." in markdown
    latex = render(noted_comparison(runs), "latex")
    assert r"93.50 $\pm$ 0.71 [93.61 $\pm$ 0.09]" in latex
    assert latex.count(r"\toprule") == latex.count(r"\midrule") == latex.count(r"\bottomrule") == 1
    assert "±" not in latex
    assert r"\begin{tabular}{lrllr}" in latex


def test_latex_escapes_special_characters():
    latex = render(noted_comparison([make_run({"cifar10": 93.0}, overrides={"a_b": "50% & {x}"})]), "latex")
    assert r"GDAS [a\_b=50\% \& \{x\}]" in latex


def test_the_csv_has_every_seed(runs):
    rows = list(csv.DictReader(io.StringIO(render(noted_comparison(runs), "csv"))))
    first = next(r for r in rows if r["label"] == "GDAS" and r["dataset"] == "cifar10")
    assert (first["seeds"], first["values"], first["published_mean"]) == ("0 1", "93.0 94.0", "93.61")


def test_there_is_a_warning_if_rows_come_from_different_tables(runs):
    other = TableFacts("NAS-Bench-201", "ffff0000ffff", {"cifar10": 94.0})
    text = render(
        noted_comparison([*runs, make_run({"cifar10": 90.0}, method="darts", title="DARTS", table=other)]), "text"
    )
    words = " ".join(text.split())
    assert "CAUTION: the accuracies come from 2 different sources (table abcdef01 | table ffff0000)" in words
    assert "optimum of NAS-Bench-201 ffff0000" in words


def test_numbers_and_durations():
    nan = float("nan")
    assert [number_text(93.456, 0.5), number_text(9.1, nan), number_text(nan, nan)] == [
        "93.46 ± 0.50",
        " 9.10",
        "-",
    ]
    assert [seconds_text(s) for s in (0.26, 43, 600, 9000, 360000, nan)] == [
        "0.3 s",
        "43 s",
        "10.0 min",
        "2.5 h",
        "100 h",
        "-",
    ]


def test_the_command_writes_a_file_and_reports_repeated_seeds(tmp_path, runs):
    for folder in ("a", "b"):
        write_run(tmp_path / folder, runs[0])
    output = tmp_path / "table.md"
    arguments = ["--results", str(tmp_path), "--format", "markdown", "--output", str(output)]
    result = CliRunner().invoke(compare, arguments)
    assert result.output.strip() == str(output)
    assert "seed 0: found more than once; only the last one to finish counts" in output.read_text()


def test_the_ending_of_the_file_says_the_format_unless_format_does(tmp_path, runs):
    write_run(tmp_path / "runs", runs[0])
    written = {}
    for name, *options in (
        *(["a.tex"], ["a.md"], ["a.CSV"], ["a.json"], ["a.txt"]),
        ["b.tex", "--format", "csv"],
        ["b.md", "--format", "text"],
    ):
        arguments = ["--results", str(tmp_path), "--output", str(tmp_path / name), *options]
        assert CliRunner().invoke(compare, arguments).exit_code == 0
        written[name] = (tmp_path / name).read_text()
    assert "\\begin{tabular}" in written["a.tex"]
    assert "|:--" in written["a.md"]
    assert written["a.CSV"] == written["b.tex"]
    assert written["a.CSV"].startswith("group,block,protocol,")
    assert json.loads(written["a.json"]).keys() == {"rows", "tables", "notes"}
    assert written["a.txt"] == written["b.md"]
    assert written["a.txt"] == CliRunner().invoke(compare, ["--results", str(tmp_path)]).output


def test_without_results_there_is_one_line_and_exit_code_1(tmp_path):
    script = "import sys; sys.argv[1:] = ['compare', '--results', '.']; import runners.cli as c; c.main()"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 1
    assert run.stderr == "nbeval: no complete run under .: run `nbeval run` first\n"


def test_compare_loads_neither_torch_nor_matplotlib(tmp_path, runs):
    write_run(tmp_path, runs[0])
    script = (
        "import sys; sys.argv[1:] = ['compare', '--results', '.']; import runners.cli as c; c.main();"
        "print(sorted({'torch', 'matplotlib'} & sys.modules.keys()))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert run.stdout.splitlines()[-1] == "[]", run.stderr
