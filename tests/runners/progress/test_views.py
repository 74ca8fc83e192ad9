"""What is shown of events: bars, plain lines, lines of JSON."""

from __future__ import annotations

import io
import json
import logging
import math
from pathlib import Path
from typing import Any

import pytest
from command import call, search

from nasbench_eval.cell import Cell
from runners.locks import Owner
from runners.outcome import InUse, Outcome
from runners.progress import Reporter, views
from runners.progress.stream import events_to, following
from runners.progress.views import Bars, JsonLines, Lines, make_reporter
from runners.spec import RunSpec

SPEC = RunSpec("darts", "digits", 3, overrides={"epochs": 2})
TITLE = "[1/2] darts digits seed 3"
OWNER = Owner("darts digits seed 3", "node7", 42, "", "", "", "")


def row(step: int, **values: float) -> dict[str, Any]:
    return {"step": step, "cell": str(Cell.from_index(7)), "total_seconds": 2.0, **values}


def step(done: int, steps: int) -> dict[str, Any]:
    return {
        "event": "step", "title": TITLE, "done": done, "steps": steps, "unit": "epoch", "cell": 7, "test_acc": None,
    }  # fmt: skip


def play(reporter: Reporter) -> None:
    """One search after the other: one that ends elsewhere, one that takes two steps."""
    reporter.start(2)
    reporter.searches(2)
    with reporter.search(TITLE, SPEC) as on_step:
        on_step(1, row(0, entropy=math.nan))
        on_step(2, row(1, **{"test_acc.digits": 91.25}))
    reporter.end("[2/2] other", SPEC, InUse(SPEC.run_id, "other", OWNER))
    reporter.finish(Outcome([], [], [InUse(SPEC.run_id, "other", OWNER)]))


def test_each_event_is_one_line_of_strict_json() -> None:
    file = io.StringIO()
    play(JsonLines(file))
    events = [json.loads(line, parse_constant=pytest.fail) for line in file.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["start", "searches", "begin", "step", "step", "end", "finish"]
    assert all(event["time"].endswith("+00:00") for event in events)
    first, second = events[3:5]
    assert first["row"]["entropy"] is None
    assert (first["done"], first["steps"], first["test_acc"], second["test_acc"]) == (1, 2, None, 91.25)
    assert (second["run_id"], second["seed"], second["cell"]) == (SPEC.run_id, 3, 7)
    assert events[5]["why"] == "process 42 on node7 is at work on it"
    assert events[6]["in_use"] == 1


def test_every_kind_of_event_is_documented() -> None:
    import re

    import runners.progress as module

    documented = set(re.findall(r"^``(\w+)``", module.__doc__ or "", re.MULTILINE))
    emitted = set(re.findall(r'_emit\(\s*"(\w+)"', Path(module.__file__).read_text()))
    assert documented == emitted


def test_plain_lines_say_results_at_once_and_progress_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reporter = Lines()
    for done in range(1, 6):
        monkeypatch.setattr(views.time, "monotonic", lambda now=20.0 * done: now)
        reporter.emit(
            {"event": "step", "title": TITLE, "done": done, "steps": 50, "unit": "epoch", "cell": 7, "test_acc": None}
        )
    reporter.emit({"event": "end", "title": TITLE, "cell": 7, "test_acc": 91.254, "total_seconds": 12.3})
    said = capsys.readouterr()
    assert said.err.splitlines() == [f"{TITLE}: epoch {done} of 50: cell 7" for done in (3, 5)]  # over 30 s apart
    assert said.out == f"{TITLE}: cell 7, true test acc 91.25, 12 s\n"


def test_bars_are_drawn_for_what_goes_on_and_none_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    bars = Bars()
    play(bars)
    said = capsys.readouterr()
    assert "searches:" in said.err
    assert f"{TITLE}:   0%|" in said.err
    assert said.out == "[2/2] other: process 42 on node7 is at work on it\n"
    assert not bars._bars
    bars.emit(step(2, 2))
    assert not bars._bars, "a step that is read after the end of its search draws no bar"


def test_there_are_only_as_many_bars_as_lines_on_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LINES", "4")
    bars = Bars()
    for number in range(3):
        bars.emit({"event": "begin", "title": f"run {number}", "steps": 2, "unit": "epoch"})
    assert [bar.disable for bar in bars._bars.values()] == [False, False, True]
    bars.finish(Outcome([], [], []))
    assert "run 2" not in capsys.readouterr().err


def test_without_a_terminal_progress_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert type(make_reporter()) is Bars
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    assert type(make_reporter()) is Lines
    assert type(make_reporter("none")) is Reporter
    assert type(make_reporter("bars", as_json=True)) is JsonLines


def test_events_and_messages_of_another_process_are_passed_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    steps: list[int] = []
    file = io.StringIO()
    with following(tmp_path / "events", JsonLines(file)) as read:
        with events_to(tmp_path / "events" / "1.jsonl", lambda done, row: steps.append(done)) as reporter:
            with reporter.search(TITLE, SPEC) as on_step:
                on_step(1, row(0))
            logging.getLogger("nbeval").info("resumed")
        read()
        with (tmp_path / "events" / "1.jsonl").open("a") as more:
            more.write('{"event": "step", "unfinish')  # the process was killed here, and the next one goes on
            more.flush()
            read()
            more.write('\n{"event": "start", "ru')  # this one is only half written yet
            more.flush()
            read()
            more.write('ns": 1}\n')
    events = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["begin", "step", "log", "start"]
    assert (events[2]["level"], events[2]["message"]) == (logging.INFO, "resumed")
    assert steps == [1]
    Lines().emit(events[2] | {"level": logging.WARNING})
    assert [record.getMessage() for record in caplog.records][-1] == "resumed"


def test_json_is_all_that_is_printed_and_quiet_prints_the_summary_only(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--method", "rs", "--set", "budget_seconds=900", "--seeds", "3", "--table", str(table_file))
    assert call("run", "--dataset", "cifar10", *arguments, "--json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["start", "tabular", "tabular", "finish"]
    assert (events[2]["done"], events[2]["old"], events[3]["complete"]) == (3, 0, 3)
    assert call("run", "--dataset", "cifar10", *arguments) == 0
    assert "rs cifar10: 3 runs complete, 3 of them before" in capsys.readouterr().out
    assert call("run", "--dataset", "cifar10", *arguments, "-q") == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith("\nmethod")
    assert not logging.getLogger("nbeval").handlers[1:], "the command takes its handler away again"


def test_messages_are_shown_as_far_as_asked_for(
    home: Path, table_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(specs: object, inputs: object, reporter: Reporter, **rest: object) -> Outcome:
        for level in (logging.ERROR, logging.WARNING, logging.INFO):
            logging.getLogger("nbeval").log(level, "of level %d", level)
        return Outcome([], [], [])

    monkeypatch.setattr("runners.execute.run_all", run)
    for options, levels in (((), (40, 30)), (("-v",), (40, 30, 20)), (("-q",), (40,))):
        assert search("--method", "darts", "--truth", "none", *options) == 0
        assert capsys.readouterr().err.splitlines() == [f"nbeval: of level {level}" for level in levels]
