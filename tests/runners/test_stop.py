"""SIGTERM, as batch systems send it: the epoch is finished, its checkpoint written, and the same command goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from command import call, runs, search, untimed

from runners.steps import take_steps

ARGUMENTS = ["--method", "rs_ws", "--truth", "none"]


def stop_in_step(monkeypatch: pytest.MonkeyPatch, step: int, times: int) -> None:
    """Have this process get SIGTERM in the middle of a step, as often as given."""

    def take(method: Any, **options: Any) -> Iterator[Any]:
        done, step_of = options["done"], method.step

        def stopped() -> Any:
            nonlocal done
            done += 1
            for _ in range(times if done == step else 0):
                os.kill(os.getpid(), signal.SIGTERM)
            return step_of()

        method.step = stopped
        yield from take_steps(method, **options)

    monkeypatch.setattr("runners.search.take_steps", take)


def test_a_search_finishes_its_epoch_and_goes_on_later(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert search(*ARGUMENTS, "--results", "whole", epochs=4) == 0
    stop_in_step(monkeypatch, 2, times=1)
    capfd.readouterr()
    assert search(*ARGUMENTS, epochs=4) == 128 + signal.SIGTERM
    err = capfd.readouterr().err
    assert err.count("\nnbeval: asked to stop; finishes the step at hand first") == 1
    assert err.endswith("nbeval: stopped; the same command goes on from the last finished step\n")
    assert "Traceback" not in err
    [checkpoint] = Path("results/checkpoints").glob("*.pt")
    assert len(torch.load(checkpoint)["rows"]) == 2
    assert not Path("results/locks").exists()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert search(*ARGUMENTS, epochs=4) == 0
    assert untimed(runs()["rs_ws 0"].steps).equals(untimed(runs(Path("whole/runs"))["rs_ws 0"].steps))


@pytest.mark.parametrize(
    ("words", "within"),
    [(["compare"], "nasbench_eval.runs.store.load_runs"), (["data", "info"], "runners.cli.data._describe")],
)
def test_a_command_that_leaves_nothing_promises_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], within: str
) -> None:
    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(within, stopped)
    assert call(*words) == 128 + signal.SIGINT
    assert capsys.readouterr().err.strip() == "nbeval: stopped"


def test_a_second_signal_stops_it_at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_in_step(monkeypatch, 2, times=2)
    assert search(*ARGUMENTS) == 128 + signal.SIGTERM
    [checkpoint] = Path("results/checkpoints").glob("*.pt")
    assert len(torch.load(checkpoint)["rows"]) == 1
    assert not Path("results/locks").exists()


def test_a_search_resumed_with_other_code_names_both(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("runners.device", "runners.search"):
        monkeypatch.setattr(f"{name}.code_version", lambda: "0.1.0+gaaaaaaa")
    with monkeypatch.context() as stopped:
        stop_in_step(stopped, 1, times=1)
        assert search(*ARGUMENTS, epochs=2) == 128 + signal.SIGTERM
    for name in ("runners.device", "runners.search"):
        monkeypatch.setattr(f"{name}.code_version", lambda: "0.1.0+gbbbbbbb")
    assert search(*ARGUMENTS, epochs=2) == 0
    assert runs()["rs_ws 0"].record.versions["nbeval"] == "0.1.0+gaaaaaaa, 0.1.0+gbbbbbbb"
