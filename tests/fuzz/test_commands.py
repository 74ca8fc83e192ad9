"""Random command lines, made from the real commands and options with good and bad values."""

from __future__ import annotations

import shutil
from pathlib import Path

import click
import pytest
from fuzzing import cases, judge
from hypothesis import given
from hypothesis import strategies as st

from runners.cli import cli

BAD = (
    "",
    " ",
    ",",
    "-1",
    "0",
    "²",
    "1e9",
    "nan",
    "inf",
    "x" * 300,
    "no/such/file",
    "/dev/null/x",
    "a\nb",
    "🙂",
    "1/0",
    "=",
)
"""Values that hardly any option takes."""

GOOD = {
    "methods": ("rs", "rea,rs", "asha", "rs_ws", "nomodule:Class", "os:path"),
    "datasets": ("digits", "cifar10", "digits,cifar10", "cifar100"),
    "dataset": ("digits", "cifar10"),
    "overrides": ("budget_seconds=500", "population=3", "lr=inf", "budget_seconds=1e-9", "epochs=0", "fidelity=3/7"),
    "executor_options": ("gpus=all", "cpus=2", "partiton=gpu", "gpu_memory=nan"),
    "changes": ("epochs=1", "lr=nan", "channels=1e3"),
    "study": ("digits", "figur5", "made.csv", "results"),
    "seeds": ("1", "0,3", "5,", "9" * 30),
    "scale": ("small", "shallow"),
    "device": ("cpu", "cuda:7", "tpu"),
    "table_path": ("digits", "records", "made.csv"),
    "table": ("digits", "made.csv"),
    "against": ("digits", "made.csv"),
    "reference": ("rs", "gaea_darts"),
    "conditions": ("arch_lr=4", "scale!=full", "seed<2", "scale<2", "a=b=c"),
    "group_by": ("arch_lr", "scale"),
    "results": ("results", "made.csv"),
    "results_dir": ("results",),
    "folders": ("results", "made.csv"),
    "folder": ("plots", "results"),
    "what": ("results", "digits", "made.csv"),
    "formats": ("svg", "svg,gif"),
    "figures": ("curves", "curve"),
    "cell": ("5", "15624", "15625", "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|", "|none~0|"),
    "split": ("test", "valid"),
    "name": ("darts", "dart", "nomodule:Class"),
    "names": ("digits", "cifar10", "cifar11"),
    "file": ("made.csv",),
    "source": ("made.csv", "results"),
    "mapping": ("made.csv",),
    "tables": ("made.parquet",),
    "origin": ("results", "made.csv"),
    "accuracies": ("94.36", "0", "100"),
    "share": ("1/2", "2/1"),
    "cells": ("11", "10", "1,2"),
    "images": ("made.csv", "results"),
    "out": ("out.parquet",),
    "target": ("out.csv", "results", "out.txt"),
    "output": ("out.txt", "results"),
    "epochs": ("1", "6", "200"),
}
"""Values that an option may take, by its name."""

LEFT_OUT = {"workers", "trials", "fetch", "watch"}
"""Options that start processes, days of training or downloads, or run without end."""
NEEDED = {
    # Keeps every search short; a study would run what it says.
    ("run",): ["--method", "rs", "--dataset", "digits", "--truth", "table", "--set", "budget_seconds=900"],
    ("plot",): ["curves", "--format", "svg"],  # there is nothing to draw; figure5 takes seconds
    ("table", "train"): ["--merge"],  # trains nothing
    ("table", "fetch"): ["--from", "results"],  # a folder without the files: needs no network
}
NETWORK = {("data", "fetch"), ("fetch",)}


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found += _commands(command, (*path, name))
        else:
            found.append(((*path, name), command))
    return found


COMMANDS = {path: command for path, command in _commands(cli) if path not in NETWORK}


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """Draw a command line."""
    path = draw(st.sampled_from(sorted(COMMANDS)))
    line = [*path, *NEEDED.get(path, [])]
    for option in COMMANDS[path].params:
        if option.name in LEFT_OUT or not (option.required or draw(st.integers(0, 3)) == 0):
            continue
        flag = [] if isinstance(option, click.Argument) else [draw(st.sampled_from(option.opts))]
        if isinstance(option, click.Option) and option.is_flag:
            line += flag
            continue
        values = GOOD.get(option.name or "", ())
        if isinstance(option.type, click.Choice):
            values = tuple(option.type.choices)
        value = draw(st.sampled_from(values) if values and draw(st.integers(0, 3)) else st.sampled_from(BAD))
        line += [*flag, value]
    if draw(st.integers(0, 15)) == 0:
        line.append(draw(st.sampled_from(("--no-such-option", "-h", "--", "-", *BAD))))
    return line


@pytest.fixture
def place(home: Path) -> Path:
    (home / "w" / "results" / "runs").mkdir(parents=True)
    (home / "w" / "made.csv").write_text("a,b\n1,2\n")
    return home / "w"


def test_a_command_line_ends_in_a_result_or_in_one_clear_line(place: Path) -> None:
    @cases(220)
    @given(line=lines())
    def check(line: list[str]) -> None:
        judge(line, place)
        for output in ("out.txt", "out.csv", "out.parquet", "plots", "results/report.html"):
            target = place / output
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)

    check()
