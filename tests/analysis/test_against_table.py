from __future__ import annotations

import json
import math
import re

import pytest
from analysis_runs import SMALL, TABLE, make_run, seeds
from click.testing import CliRunner

from nasbench_eval.analysis.against_table import AgainstTable, against_table, render
from nasbench_eval.analysis.layout import WIDTH
from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.runs.store import Run, TableFacts, write_run
from runners.cli import cli

GAEA = [94.0, 93.9, 94.1, 93.9]
WIDE = [95.0, 80.0, 93.0, 99.0]


def rows(*values: float) -> list[dict[str, float]]:
    return [{"cifar10": value, "cifar100": value - 20} for value in values]


@pytest.fixture
def table() -> AgainstTable:
    runs = [*seeds("gaea_darts", rows(*GAEA), title="GAEA"), *seeds("darts", rows(*WIDE), title="DARTS")]
    return against_table([*runs, *seeds("rs", rows(90.0, 90.1, 89.9, 90.0), title="RS")], "gaea_darts")


def flat(table: AgainstTable) -> str:
    return " ".join(render(table, "text").split())


def test_the_text_has_the_difference_and_a_verdict(table):
    lines = render(table, "text").splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert "cifar10, against GAEA: 93.97 ± 0.10, n 4" in lines
    assert "cifar100 (search on cifar10), against GAEA: 73.97 ± 0.10, n 4" in lines
    [line, _] = [line.split() for line in lines if line.startswith(" RS")]
    assert line == ["RS", "4", "-3.97", "[-4.13,", "-3.82]", "<0.001", "0.00", "[0.00,", "0.42]", "worse"]
    assert "undecided (" in flat(table)
    assert "corrected by Holm's method for the 2 rows of a data set" in flat(table)
    assert "0.25 on cifar10 (valid), 0.35 on cifar100 (valid+test)" in flat(table)


def test_markdown_latex_csv_and_json_have_the_same_rows(table):
    assert "| **cifar10, against GAEA: 93.97 ± 0.10, n 4** " in render(table, "markdown")
    latex = render(table, "latex")
    assert r"\multicolumn{6}{l}{\textit{cifar10, against GAEA: 93.97 $\pm$ 0.10, n 4}} \\" in latex
    assert latex.count(r"\toprule") == 1
    assert "$<$0.001" in latex
    found = json.loads(render(table, "json"))
    assert [row["word"] for row in found["rows"]] == ["worse", "undecided"] * 2
    assert found["notes"] == list(table.notes)
    assert found["rows"][0]["seeds_needed"] is None
    assert render(table, "csv").splitlines()[1].startswith("cifar10,,RS,rs,RS,")


def test_only_rows_with_a_p_value_count_as_tests():
    runs = [*seeds("a", GAEA), *seeds("b", WIDE), *seeds("c", GAEA[:1])]
    assert "Holm's method for the rows of a data set that have one: 1" in " ".join(against_table(runs, "a").notes)
    none = against_table([*seeds("a", GAEA[:1]), *seeds("b", WIDE[:1])], "a")
    assert "Holm's method for the rows of a data set that have one: none" in " ".join(none.notes)


def test_the_limits_of_four_seeds_are_said(table):
    text = flat(table)
    assert "With 4 seeds per method no two-sided permutation p can be below 0.029" in text
    assert "The same cells are looked up on cifar10 and cifar100: that rows agree" in text
    assert "To tell 0.5 points apart, two methods with the median std of these rows need 3 seeds per method" in text


def test_a_note_is_there_only_if_it_applies():
    many = [94.0 + 0.01 * i for i in range(8)]
    table = against_table([*seeds("a", many), *seeds("b", many)], "a")
    for words in (
        "permutation",
        "looked up",
        "one value in all",
        "REDUCED",
        "CAUTION",
        "undecided",
        "left out",
        "one seed has",
    ):
        assert words.lower() not in " ".join(table.notes).lower()


def test_what_is_wrong_with_the_runs_is_said():
    other = TableFacts("NAS-Bench-201", "ffff0000", {"cifar10": 94.0})
    runs = [
        *seeds("a", [94.0] * 4, cells=[7] * 4),
        *seeds("b", GAEA, **SMALL),
        *seeds("c", GAEA, table=other),
        *seeds("d", GAEA[:1]),
        *seeds("e", GAEA, search="cifar100"),
    ]
    text = flat(against_table([*runs, make_run({"cifar10": 94.0}, seed=0, method="d", title="d")], "a"))
    for words in (
        "REDUCED runs, smaller than the published setting: channels 16 -> 4; cells 5 -> 1.",
        "CAUTION: reduced runs are compared with full ones.",
        "CAUTION: the accuracies come from 2 different sources (table abcdef01 | table ffff0000), which are not "
        "compared, so that nothing is decided: c, a.",
        "One value in all seeds is no estimate of the variance",
        "One seed has no spread, so that nothing is decided: d.",
        "Left out, as nothing is there to compare them with: e (search on cifar100).",
        "D on cifar10, seed 0: found more than once; only the last one to finish counts.",
    ):
        assert words in text
    quiet = against_table([*seeds("a", GAEA, table=None), *seeds("b", GAEA, table=None)], "a")
    assert (
        "The noise between trainings of one cell is not known on cifar10: no row can be equivalent there, and one that "
        "is better or worse can be so by less than this noise." in flat(quiet)
    )
    assert "Equivalent:" not in flat(quiet)


def test_what_is_left_out_names_the_search_and_only_what_was_asked_for():
    runs = [*seeds("a", GAEA), *seeds("b", GAEA), *seeds("b", [{"cifar100": v} for v in GAEA], search="cifar100")]
    said = "Left out, as nothing is there to compare them with: b (search on cifar100)."
    assert said in flat(against_table(runs, "a"))
    assert "Left out" not in flat(against_table(runs, "a", datasets=["cifar10"]))


def test_each_reduced_row_keeps_its_own_reductions():
    runs = [
        *(make_run({"cifar10": value}, seed=seed, method="rs", title="RS") for seed, value in enumerate(GAEA)),
        *(make_run({"cifar10": value}, seed=seed, **SMALL) for seed, value in enumerate(WIDE)),
        *(
            make_run({"cifar10": value}, seed=seed, method="gaea_darts", title="GAEA")
            for seed, value in enumerate(GAEA)
        ),
    ]
    assert "setting: channels 16 -> 4; cells 5 -> 1." in flat(against_table(runs, "gaea_darts"))


def test_each_group_is_compared_with_its_own_variant():
    def swept(method: str, shift: float) -> list[Run]:
        return [
            run
            for rate, gain in ((0.1, 0.0), (4.0, -5.0))
            for run in seeds(method, [v + shift + gain for v in GAEA], overrides={"arch_lr": rate})
        ]

    runs = [*swept("gaea_darts", 0.0), *swept("darts", -1.0)]
    both = against_table(runs, "gaea_darts", group_by="arch_lr").frame
    assert both["group"].tolist() == ["arch_lr=0.1", "arch_lr=4"]
    assert both["difference"].tolist() == pytest.approx([-1, -1])
    one = against_table(runs, "gaea_darts [arch_lr=4]", group_by="arch_lr").frame
    assert one["difference"].tolist() == pytest.approx([4, 5, -1])
    default = seeds("gaea_darts", GAEA, title="GAEA", settings={"arch_lr": 0.1})
    # The label of the plain table also names the variant where labels hold the setting.
    frame = against_table([*default, *swept("darts", -1.0)], "GAEA", group_by="arch_lr").frame
    assert set(frame["label_against"]) == {"GAEA [arch_lr=0.1]"}


def test_nothing_to_compare_with_is_an_error():
    with pytest.raises(NbevalError, match="nothing to compare with 'a': no other variant was searched and evaluated"):
        against_table(seeds("a", GAEA), "a")


def test_the_command_prints_and_writes_it(home):
    for run in [*seeds("gaea_darts", GAEA), *seeds("darts", WIDE)]:
        write_run(home / "results" / "runs", run)
    printed = CliRunner().invoke(cli, ["compare", "--against", "gaea_darts"])
    assert re.search(r"undecided \(\d+ seeds: worse\)", " ".join(printed.output.split()))
    CliRunner().invoke(cli, ["compare", "--against", "gaea_darts", "--format", "json", "--output", "out.json"])
    [row] = json.loads((home / "out.json").read_text())["rows"]
    assert (row["method"], row["noise"]) == ("darts", TABLE.noise_on("cifar10")[0])
    assert not math.isnan(row["seeds_needed"])
    named = CliRunner().invoke(cli, ["compare", "--method", "darts", "--against", "gaea_darts"])
    assert named.output == printed.output, "what is compared with need not be named twice"


def test_the_side_with_one_seed_is_the_one_that_is_named():
    text = flat(against_table([*seeds("a", GAEA[:1]), *seeds("b", GAEA), *seeds("c", GAEA)], "a"))
    assert "One seed has no spread, so that nothing is decided: a." in text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--ddof", "0"], "--ddof is of no use with --against: omit it"),
        (["--table", "digits"], "--table is of no use with --against: omit it"),
        (["--ddof", "0", "--table", "digits"], "--table and --ddof are of no use with --against: omit them"),
    ],
)
def test_only_what_was_given_is_said_to_be_of_no_use(home, given, words):
    error = CliRunner().invoke(cli, ["compare", "--against", "gaea_darts", *given]).exception
    assert isinstance(error, UsageError)
    assert str(error) == words
