"""Rules that a method of a user's own breaks: what ``check``, a search and the command say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from broken_methods import (
    Bare,
    BelowAll,
    Endless,
    Forgetful,
    Greedy,
    Hoarder,
    Late,
    Leaky,
    Named,
    NoSuper,
    OnlyCell,
    Operations,
    Overwriting,
    Peeping,
    Stubborn,
    TooHigh,
    Wordy,
)
from command import call, runs

from nbeval import api


@pytest.mark.parametrize(("name", "steps"), [("my_method:CrossEntropy", 40), ("my_weight_sharing:SharpDarts", 2)])
def test_the_examples_keep_the_rules(folder: Path, name: str, steps: int) -> None:
    api.check(name, steps=steps)


@pytest.mark.parametrize(
    ("cls", "words"),
    [
        (Leaky, ["two searches with seed 0 differ", "after step 1, it does not continue", "after step 3"]),
        (Stubborn, ["seeds 0 and 1 give the same search"]),
        (Forgetful, ["resumed from its state after step 1", "after step 3"]),
        (Late, ["resumed from its state after each of steps 1 to 5, it does not continue"]),
        (Hoarder, [r"state_dict()['own']['best'][0]['reward'] is a float64: a state may hold"]),
        (
            Endless,
            ["never ends", "a step cost -1.0", "the metric total_seconds has the name", "the metric name must be a"],
        ),
        (Bare, ["step() must return a StepInfo; got a float"]),
        (Wordy, ["incumbent() must return a Cell; got a str"]),
        (Peeping, ["with other test images it searches differently"]),
    ],
)
def test_check_names_the_rule_that_is_broken(folder: Path, cls: type[api.SearchMethod], words: list[str]) -> None:
    api.register(cls, extends=None if cls is Peeping else "rs")
    with pytest.raises(api.NbevalError) as error:
        api.check(cls, steps=6)
    lines = str(error.value).splitlines()
    assert len(lines) == len(words)
    for line, part in zip(lines, words, strict=True):
        assert line.startswith(f"broken_methods:{cls.__name__}: ")
        assert part in line


QUERY = "propose() must return a Cell and the index of its fidelity, such as `return cell, 0`; it returned "
INDEX = "propose() must return the index of a fidelity, 0 for the lowest; it returned "

RULES: dict[type[Greedy], str] = {
    OnlyCell: QUERY + "Cell(ops=",
    Operations: QUERY + "([1, 2, 3, 4, 0, 0], 0)",
    Named: QUERY + "(Cell(ops=",
    TooHigh: INDEX + "3, and this search has 1 (12)",
    BelowAll: INDEX + "-1, and this search has 1 (12)",
    Overwriting: "the metric test_acc.cifar10 has the name of a column that the runner fills",
    NoSuper: "its __init__ must begin with super().__init__(settings, context)",
}
"""Methods that answer what they must not, and the rule that each breaks."""


@pytest.mark.parametrize("cls", RULES)
def test_a_wrong_answer_of_a_tabular_method_is_one_line_in_python(folder: Path, cls: type[Greedy]) -> None:
    api.register(cls, extends="rs")
    for ask in (lambda: api.search(cls, "cifar10"), lambda: api.check(cls)):
        with pytest.raises(api.NbevalError) as error:
            ask()
        assert str(error.value).startswith(f"broken_methods:{cls.__name__}: {RULES[cls]}")
        assert len(str(error.value).splitlines()) == 1


def test_a_wrong_answer_of_a_tabular_method_does_not_keep_the_others_from_running(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for cls in RULES:
        api.register(cls, extends="rs")
    names = [f"broken_methods:{cls.__name__}" for cls in RULES]
    command = ("run", "--dataset", "cifar10", "--seeds", "2", "--set", "budget_seconds=3000", "--method")
    assert call(*command, ",".join([*names, "rs"])) == 1
    said = capsys.readouterr()
    assert sorted(run.record.method for run in runs().values()) == ["rs", "rs"]
    assert re.search(r"^ *RS\b.* 2 ", said.out, re.MULTILINE), "the table of those that ran is printed"
    said_of = [line.removeprefix("nbeval: broken_methods:").partition(":")[0] for line in said.err.splitlines()]
    assert said_of == [cls.__name__ for cls in RULES]


def test_an_error_in_the_code_of_a_method_keeps_its_traceback(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def divide(self: Greedy, cell: api.Cell, rung: int, reward: float) -> None:
        1 // 0  # noqa: B018

    monkeypatch.setattr(Greedy, "observe", divide)
    api.register(Greedy, extends="rs")
    for ask in (lambda: api.search(Greedy, "cifar10"), lambda: api.check(Greedy)):
        with pytest.raises(ZeroDivisionError):
            ask()
