"""Searches that diverge: recorded as failed, never as a result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from command import TINY, call, runs, search

from nasbench_eval.errors import Diverged
from nasbench_eval.runs.failures import load_failures, write_failure
from nasbench_eval.runs.store import load_runs
from runners.record import make_failure
from runners.spec import RunSpec
from runners.steps import take_steps


def in_this_process(
    function: Callable[..., Any], jobs: list[tuple[Any, ...]], *, initializer: Callable[[], None], **options: Any
) -> Iterator[Any]:
    """Do the jobs of worker processes here: their start would take longer than all else."""
    initializer()
    yield from (function(*job) for job in jobs)


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["alone", "in parallel"])
def test_a_search_that_diverges_is_recorded_as_failed_and_the_others_go_on(
    home: Path,
    table_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    workers: tuple[str, ...],
) -> None:
    """A learning rate of 1e30 makes the weights infinite; nothing of such a search may look like a result."""
    monkeypatch.setattr("runners.executors.local.run_jobs", in_this_process)
    arguments = ["--method", "darts,rs_ws", "--table", str(table_file), "--set", "clip=none", *workers]
    assert search(*arguments, "--set", "lr=1e30", "--set", "lr_min=1e30") == 1
    said = capsys.readouterr()
    assert "darts digits seed 0 diverged in step 1: train_loss is nan" in said.err
    assert "nbeval: 2 of 2 runs diverged and are no results" in said.err
    assert "Traceback" not in said.err
    assert not list(Path("results").glob("runs/*")) + list(Path("results").glob("checkpoints/*"))
    failures = load_failures([Path("results/runs")])
    assert sorted((each.method, each.step, each.cause) for each in failures) == [
        ("darts", 0, "train_loss is nan"),
        ("rs_ws", 0, "train_loss is nan"),
    ]
    # The same command does not search again, and a healthy run beside them is a result.
    assert search(*arguments, "--set", "lr=1e30", "--set", "lr_min=1e30") == 1
    assert capsys.readouterr().out.count("diverged before") == 2
    assert search(*arguments) == 0
    assert sorted(runs()) == ["darts 0", "rs_ws 0"]


def test_a_search_that_diverges_later_leaves_no_checkpoint(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(method: Any, **options: Any) -> Iterator[Any]:
        yield next(take_steps(method, **options))
        assert len(list(Path("results/checkpoints").glob("*.pt"))) == 1
        raise Diverged(1, "train_loss is nan")

    monkeypatch.setattr("runners.search.take_steps", diverge)
    assert search("--method", "rs_ws", "--truth", "none") == 1
    assert [failure.step for failure in load_failures([Path("results")])] == [1]
    assert not list(Path("results/checkpoints").iterdir())


@pytest.mark.parametrize("method", ["enas", "gdas", "drnas"])
def test_nothing_is_chosen_from_an_architecture_that_is_not_finite(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Whatever makes the architecture infinite, here an optimiser's step, it is a diverged run, not a traceback."""
    step = torch.optim.Adam.step

    def broken(self: torch.optim.Adam, closure: Any = None) -> Any:
        result = step(self, closure)
        with torch.no_grad():
            self.param_groups[0]["params"][0].fill_(float("nan"))
        return result

    monkeypatch.setattr(torch.optim.Adam, "step", broken)
    sizes = ["--set", "controller_steps=2", "--set", "controller_samples=2"] if method == "enas" else []
    assert search("--method", method, "--table", str(table_file), *sizes, epochs=1) == 1
    err = capsys.readouterr().err
    assert f"{method} digits seed 0 diverged in step 1: " in err
    assert "Traceback" not in err
    assert not list(Path("results").glob("runs/*"))
    assert len(load_failures([Path("results")])) == 1


def test_tables_and_figures_say_how_many_runs_diverged(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--method", "rs_ws", "--table", str(table_file)]
    assert search(*arguments, "--seeds", "2", epochs=1) == 0
    [one, _] = load_runs([Path("results/runs")])
    spec = RunSpec("rs_ws", "digits", 7, overrides=one.record.settings)
    failure = replace(make_failure(spec, Diverged(3, "train_loss is inf")), overrides={})
    write_failure(Path("results"), failure)
    capsys.readouterr()
    words = "1 of 3 runs of RS-WS on digits diverged and are no results (train_loss is inf)"
    assert call("compare") == 0
    assert words in " ".join(capsys.readouterr().out.split())
    assert call("plot", "curves", "--format", "svg") == 0
    assert words in capsys.readouterr().err
    picture = Path("plots/curves.svg").read_text()
    assert "diverged" in picture


def test_a_study_whose_searches_diverge_exits_with_1(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "study.toml").write_text(
        'title = "A study"\nquestion = "Which?"\ndataset = "digits"\nseeds = 1\n[[run]]\nmethod = "rs_ws"\n'
    )
    wild = [argument for change in ("clip=none", "lr=1e30", "lr_min=1e30") for argument in ("--set", change)]
    arguments = ["study.toml", "--epochs", "1", "--device", "cpu", "--truth", "none", *TINY, *wild]
    assert call("run", *arguments) == 1
    assert "nbeval: 1 of 1 runs diverged and are no results" in capsys.readouterr().err


def test_a_failure_says_what_was_changed_and_at_which_scale() -> None:
    error = Diverged(3, "train_loss is inf")
    searched = RunSpec("darts", "digits", 0, scale="small", overrides={"lr": 0.5})
    on_the_table = RunSpec("rs", "digits", 0, scale="small")
    failures = [make_failure(spec, error) for spec in (searched, on_the_table)]
    assert [(each.scale, each.overrides) for each in failures] == [("small", {"lr": 0.5}), ("full", {})]
