from __future__ import annotations

import math

import pytest
from analysis_runs import make_run
from pictures import readable

from nasbench_eval.analysis.figures import entropy


def test_entropy_is_a_share_of_the_maximum_for_the_candidate_operations() -> None:
    frame = entropy.data([make_run({}, seed=s) for s in (0, 1)])
    assert frame["nats"].tolist() == [1.3, 1.2, 1.1] * 2
    assert frame["value"].tolist() == pytest.approx([nats / math.log(5) for nats in frame["nats"]])
    without_none = entropy.data([make_run({}, settings={"zero_op": False})])
    assert without_none["value"].tolist() == pytest.approx([1.3 / math.log(4), 1.2 / math.log(4), 1.1 / math.log(4)])


def test_long_numbers_at_the_ticks_leave_the_names_of_methods_readable():
    longest = dict.fromkeys(("cifar10", "cifar100"), 0.0)
    many = [make_run(longest, title="GAEA DARTS (ERM)", overrides={"epochs": 6, "train_images": 256}, search=search)
            for search in longest]  # fmt: skip
    for run in many:
        run.steps["entropy"] = [math.log(5) * part for part in (0.9998, 0.9996, 0.9991)]
    figure = readable(entropy, entropy.data(many))
    assert "0.9994" in [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_there_is_one_panel_per_search_data_set(runs):
    figure = entropy.draw(entropy.data([*runs, make_run({"cifar100": 70.0}, search="cifar100")]))
    assert [axes.get_title("left") for axes in figure.axes] == ["cifar10", "cifar100"]
    assert [len(axes.lines) for axes in figure.axes] == [4, 1]
