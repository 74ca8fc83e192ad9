from __future__ import annotations

import json

import pytest
from analysis_runs import SMALL, make_run
from click.testing import CliRunner

from nasbench_eval.analysis.comparison import comparison
from nasbench_eval.analysis.filters import check_key, parse_condition, select
from nasbench_eval.analysis.labels import labels
from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.runs.failures import Failure
from nasbench_eval.runs.store import Run, write_run
from runners.cli import cli

TABULAR = {"block": "standard HPO", "method": "rea", "title": "REA"}


@pytest.fixture
def runs() -> list[Run]:
    made = [
        make_run({"cifar10": 93.0}, seed=0, settings={"arch_lr": 0.1, "zero_op": False, "order": "first"}),
        make_run({"cifar10": 92.0}, seed=1, settings={"arch_lr": 4, "zero_op": True, "order": "second"}),
        make_run({"cifar10": 90.0}, seed=2, settings={"arch_lr": None, "zero_op": True, "order": "first"}, **SMALL),
    ]
    return [*made, make_run({"cifar10": 94.0}, seed=3, **TABULAR)]


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("arch_lr=4", [1]),
        ("arch_lr=4.0", [1]),
        ("arch_lr = 0.1,4", [0, 1]),
        ("arch_lr!=4", [0, 2, 3]),
        ("arch_lr<4", [0]),
        ("arch_lr<=4", [0, 1]),
        ("arch_lr>0.1", [1]),
        ("arch_lr>=0.1", [0, 1]),
        ("arch_lr=none", [2]),
        ("arch_lr=none,0.1", [0, 2]),
        ("zero_op=true", [1, 2]),
        ("zero_op!=true", [0, 3]),
        ("order=second", [1]),
        ("method=rea,darts", [3]),
        ("scale!=full", [2]),
        ("search_dataset=cifar10", [0, 1, 2, 3]),
        ("device=one CPU", [0, 1, 2, 3]),
        ("seed>1", [2, 3]),
        ("title=REA", [3]),
    ],
)
def test_a_condition_keeps_the_runs_for_which_it_holds(runs, text, seeds):
    kept, _ = select(runs, [], [parse_condition(text)])
    assert [run.record.seed for run in kept] == seeds


def test_a_title_with_a_comma_is_one_value():
    runs = [make_run({}, title="DARTS (2nd order, bilevel)"), make_run({}, title="DARTS (bilevel)", method="darts")]
    kept, _ = select(runs, [], [parse_condition("title=DARTS (2nd order, bilevel)")])
    assert kept == runs[:1]


def test_a_list_is_compared_as_it_is_written():
    runs = [make_run({}, settings={"widths": [1, 2]}), make_run({}, settings={"widths": [1, 3]}, seed=1)]
    kept, _ = select(runs, [], [parse_condition("widths=[1, 2]")])
    assert kept == runs[:1]
    assert select(runs, [], [parse_condition("widths!=[1, 2]")])[0] == runs[1:]


def test_all_conditions_must_hold(runs):
    kept, _ = select(runs, [], [parse_condition("zero_op=true"), parse_condition("scale=full")])
    assert [run.record.seed for run in kept] == [1]
    with pytest.raises(NbevalError, match=r"no run with 'arch_lr=4': these have arch_lr=0.1$"):
        select(runs, [], [parse_condition("arch_lr=0.1"), parse_condition("arch_lr=4")])


def test_without_runs_there_is_nothing_to_choose_from():
    assert select([], [], []) == ([], [])
    with pytest.raises(NbevalError, match="there are no runs for --where to choose from"):
        select([], [], [parse_condition("arch_lr=4")])


def test_failures_are_selected_by_what_is_known_of_them(runs):
    failed = Failure("ab", "cd", "gdas", "GDAS", "cifar10", 7, {"arch_lr": 4}, "full", 3, "nan", {}, "2026")
    other = Failure("ef", "gh", "darts", "DARTS", "cifar10", 7, {}, "full", 3, "nan", {}, "2026")
    for text, expected in (
        ("arch_lr=4", [failed]),
        ("arch_lr=0.1", []),
        ("arch_lr!=0.1", [failed, other]),
        ("device=one CPU", [failed, other]),
    ):
        assert select(runs, [failed, other], [parse_condition(text)])[1] == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arch_lr", "--where 'arch_lr': a condition is KEY=VALUE"),
        ("arch_lr=", "a condition is KEY=VALUE"),
        ("arch-lr=4", "unknown key 'arch-lr': did you mean 'arch_lr'"),
        ("metod=rea", "unknown key 'metod': did you mean 'method'"),
        ("arch_lr=high", "--where 'arch_lr=high': arch_lr is a number; got 'high'"),
        ("order<2", "--where 'order<2': order is no number: compare it with = or !="),
        ("zero_op>0", "zero_op is no number"),
    ],
)
def test_a_condition_that_makes_no_sense_is_a_usage_error(runs, text, message):
    with pytest.raises(UsageError, match=message):
        select(runs, [], [parse_condition(text)])


def test_labels_can_hold_a_setting_in_any_case(runs):
    found = labels(runs, ["arch_lr"])
    assert [found[run.record.variant_id] for run in runs] == [
        "GDAS [arch_lr=0.1]",
        "GDAS [arch_lr=4]",
        "GDAS [reduced: small, arch_lr=none]",
        "REA",
    ]


def test_rows_are_grouped_by_the_values_of_a_setting(runs):
    frame = comparison(runs, group_by="arch_lr")
    assert {*comparison(runs, group_by="scale")["group"]} == {"scale=full", "scale=small"}
    assert frame["group"].tolist() == ["arch_lr=0.1", "arch_lr=4", "arch_lr=none", "no arch_lr"]
    assert comparison(runs)["group"].unique().tolist() == [""]
    with pytest.raises(UsageError, match="--group-by: unknown key 'arch_l': did you mean 'arch_lr'"):
        check_key("arch_l", runs, "--group-by")


def test_every_command_that_reads_runs_takes_conditions(runs, home):
    for run in runs:
        write_run(home / "results" / "runs", run)
    where = ["--where", "seed<2", "--where", "arch_lr=4"]
    listed = CliRunner().invoke(cli, ["compare", "--format", "json", *where])
    assert [row["seeds"] for row in json.loads(listed.output)["rows"]] == [[1]]
    assert CliRunner().invoke(cli, ["export", "--tidy", "runs.csv", *where]).output == "runs.csv: 1 rows of 1 runs\n"
    assert CliRunner().invoke(cli, ["plot", "entropy", "--format", "svg", *where]).exit_code == 0
    csv = (home / "plots" / "entropy.csv").read_text().splitlines()
    assert len(csv) == 1 + 3
    for_one = CliRunner().invoke(cli, ["compare", "--format", "json", "--method", "rea"])
    assert {row["method"] for row in json.loads(for_one.output)["rows"]} == {"rea"}
    unknown = CliRunner().invoke(cli, ["compare", "--method", "rea,gdsa"])
    assert isinstance(unknown.exception, UsageError)
    assert "no results of 'gdsa': did you mean 'gdas'?" in str(unknown.exception)
    grouped = CliRunner().invoke(cli, ["compare", "--group-by", "arch_lr"]).output
    assert "arch_lr=4: weight sharing, direct" in grouped


def test_yes_and_no_are_written_in_any_case():
    assert not parse_condition("zero_op!=True").holds(make_run({}, settings={"zero_op": True}).record)
    assert parse_condition("zero_op=TRUE").holds(make_run({}, settings={"zero_op": True}).record)


def test_a_failure_that_a_complete_run_replaces_does_not_come_back():
    run = make_run({"cifar10": 93.0}, device="one CPU")
    other = make_run({"cifar10": 93.0}, seed=1, device="H200")
    record = run.record
    failure = Failure("ab", record.variant_id, "gdas", "GDAS", "cifar10", 0, {}, "full", 3, "nan", {}, "2026")
    assert select([run, other], [failure], [parse_condition("device=H200")])[1] == []
