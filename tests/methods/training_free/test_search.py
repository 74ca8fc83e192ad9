"""Search by scores of untrained cells: which cell is taken, what a run says, and `nbeval rank` of the scores."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command import call
from scipy.stats import rankdata
from weight_sharing import digits

from nasbench_eval.cell import Cell
from nasbench_eval.methods import SearchContext
from nasbench_eval.methods.conformance import shrunk, violations
from nasbench_eval.methods.training_free.scores import SCORES
from nasbench_eval.methods.training_free.search import TrainingFree
from nasbench_eval.networks.standalone import StandaloneNet
from nasbench_eval.runs.rank_scores import rank_file, read_scores
from nasbench_eval.runs.store import load_runs
from nasbench_eval.utils.rng import Streams
from runners.presets import load_preset, preset_names
from runners.spec import RunSpec

PRESETS = [name for name in preset_names() if load_preset(name).implementation == "training_free"]
TINY = ["--device", "cpu", "--set", "channels=4", "--set", "cells=1", "--set", "batch_size=16", "--set", "candidates=4"]


def make(name: str, seed: int = 0, **changes: Any) -> TrainingFree:
    small = shrunk(RunSpec(name, "digits", seed).values)
    spec = RunSpec(name, "digits", seed, overrides={**small, **changes})
    return TrainingFree(spec.settings, SearchContext("digits", Streams(seed), digits()))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_follows_the_rules_of_every_method(name: str) -> None:
    settings = make(name).settings
    assert violations(lambda context: TrainingFree(settings, context), "images", 3) == []


def test_there_is_a_preset_of_each_score() -> None:
    assert {make(name).settings.score for name in PRESETS} == set(SCORES)
    assert {load_preset(name).block for name in PRESETS} == {"training-free"}


def test_the_best_of_the_candidates_is_taken_and_one_without_a_score_never(monkeypatch: pytest.MonkeyPatch) -> None:
    given = iter([math.nan, 1.0, 3.0, -math.inf, 3.0])
    monkeypatch.setitem(SCORES, "naswot", lambda *_: next(given))
    method, cells, shown, taken = make("naswot", candidates=5), [], [], []
    for _ in range(5):
        metrics = dict(method.step().metrics)
        cells.append(Cell.from_index(int(metrics["queried"])))
        shown.append(metrics.get("score"))
        taken.append(cells.index(method.incumbent()))
    assert shown == [None, 1.0, 3.0, None, 3.0]
    assert taken == [0, 1, 2, 2, 2]


def test_a_cell_has_one_score_in_a_run_and_another_in_the_next() -> None:
    cell = Cell((3, 3, 1, 2, 4, 3))
    method, other = make("grad_norm"), make("grad_norm", seed=1)
    first = method.score(cell)
    method.step()
    [(loss, again)] = method.score_cells({}, [cell])
    assert again == first != other.score(cell)
    assert math.isnan(loss)


def test_from_a_search_to_rank(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    count = SCORES["params"]
    monkeypatch.setitem(SCORES, "params", lambda net, *rest: count(net, *rest) if has_conv(net) else -math.inf)
    where = ["--dataset", "digits", "--table", str(table_file)]
    assert call("run", "--method", "jacob_cov,params", *where, *TINY) == 0
    assert "training-free, search on digits" in capsys.readouterr().out
    assert call("rank", "--method", "all", *where, "--cells", "20", "--format", "svg") == 0
    out = capsys.readouterr().out
    assert "the best 2 by score" in out
    assert "16 augmented train images at the cell's initial weights" in " ".join(out.split())
    assert "BatchNorm" not in out
    assert "rank by untrained score" in (home / "plots" / "rank.svg").read_text()
    frame = pd.read_csv("plots/rank.csv")
    for run in load_runs([home / "results" / "runs"]):
        scores = read_scores(rank_file(home / "results", run.record.run_id))
        assert scores is not None
        raw = scores.cells["shared_acc"].to_numpy()
        assert np.isneginf(raw).any() == (run.record.method == "params")
        of_run = (frame["row"] == "cell") & frame["label"].str.startswith(run.record.title)
        assert frame[of_run]["shared_acc"].to_numpy() == pytest.approx(rankdata(raw))


def has_conv(net: StandaloneNet) -> bool:
    return bool(len(net.stages[0][0].convs))
