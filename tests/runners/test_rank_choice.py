"""The runs that the command for ranks takes, and what it says of those that it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from analysis_runs import make_run
from command import Command, search

from nasbench_eval.errors import NbevalError
from nasbench_eval.runs.store import load_runs, write_run
from runners.rank_choice import by_method


def test_bad_calls_get_one_clear_line(home: Path, table_file: Path, nbeval: Command) -> None:
    def refused(*arguments: str) -> tuple[int, str]:
        code, _, err = nbeval("rank", *arguments, "--table", str(table_file))
        assert "Traceback" not in err
        return code, err

    code, err = refused("--method", "rs_ws")
    assert (code, "no results folder results/runs" in err) == (1, True)
    for seed in (0, 1):
        old = make_run({}, method="rs_ws", title="RS-WS", search="digits", seed=seed)
        write_run(Path("results/runs"), old)
    write_run(Path("results/runs"), make_run({}, method="rs", title="RS", search="digits", cost_kind="simulated"))
    ids = {run.record.method: run.record.run_id for run in load_runs([Path("results/runs")])}
    for arguments, expected, words in (
        ([], 2, "choose runs either by --run ID, or by --method NAME"),
        (["--run", ids["rs"], "--method", "rs"], 2, "choose runs"),
        (["--run", ids["rs"], "--dataset", "digits"], 2, "--dataset filters the runs of --method"),
        (["--run", "zz"], 2, "there is no complete run zz"),
        (["--run", ids["rs"]], 2, "RS (rs) has no shared weights to score cells with"),
        (["--method", "rs"], 2, "RS (rs) has no shared weights to score cells with"),
        (["--method", "rs_w"], 2, "unknown method of a run 'rs_w': did you mean 'rs_ws'?"),
        (["--method", "rs_ws", "--dataset", "digit"], 2, "did you mean 'digits'?"),
        (["--method", "rs_ws", "--dataset", "cifar10"], 1, "no run searched on cifar10: these runs have digits"),
        (["--method", "rs_ws", "--cells", "3"], 2, "3 is not in the range 10<=x<=15625"),
        (["--method", "rs_ws", "--format", "jpg"], 2, "unknown picture format 'jpg'"),
        (["--run", ids["rs_ws"]], 1, "kept no shared weights, there is no"),
        (["--method", "all"], 1, "none of these 2 runs kept its shared weights in results/supernets"),
    ):
        code, err = refused(*arguments)
        assert (code, words in err) == (expected, True), (arguments, err)


def test_all_leaves_out_methods_that_cannot_be_loaded_here(home: Path, table_file: Path, nbeval: Command) -> None:
    write_run(Path("results/runs"), make_run({}, method="not_here:Mine", title="Mine", search="digits"))
    assert search("--method", "rs_ws", "--table", str(table_file), epochs=1) == 0
    code, out, err = nbeval("rank", "--method", "all", "--table", str(table_file), "--cells", "10")
    assert (code, "RS-WS" in out) == (0, True), err
    assert "nbeval: left out not_here:Mine, which cannot be loaded here: not_here:Mine: there is no module" in err


def test_runs_of_a_method_before_its_last_edit_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    new, old = (
        replace(make_run({}, method="naswot", search="digits", seed=seed, versions=versions), home=Path("results"))
        for seed, versions in enumerate([{}, {"method": "0123456789ab"}])
    )
    assert by_method([new, old], ["naswot"], []) == ([new], [])
    assert f"left out, because their method was edited since: run {old.record.run_id}" in caplog.text
    with pytest.raises(NbevalError, match=f"their method was edited since: run {old.record.run_id}"):
        by_method([old], ["all"], [])


def test_an_ambiguous_id_names_its_runs(home: Path, table_file: Path, nbeval: Command) -> None:
    for seed in range(17):  # more than there are first digits
        write_run(Path("results/runs"), make_run({}, method="rs_ws", search="digits", seed=seed))
    first = [run.record.run_id[0] for run in load_runs([Path("results/runs")])]
    twice = next(digit for digit in first if first.count(digit) > 1)
    code, _, err = nbeval("rank", "--run", twice, "--table", str(table_file))
    assert code == 2
    assert f"{twice} begins the ids of {first.count(twice)} runs: run {twice}" in err
