from __future__ import annotations

from analysis_runs import make_run
from pictures import readable, words

from nasbench_eval.analysis.figures import View, cost
from nasbench_eval.runs.store import Run


def runs() -> list[Run]:
    hpo = {"method": "rs", "title": "RS", "block": "standard HPO", "cost_kind": "simulated", "device": ""}
    made = [make_run({"cifar10": 93.0 + s, "cifar100": 70.0}, seed=s) for s in (0, 1)]
    return made + [make_run({"cifar10": 92.0 + s, "cifar100": 71.0}, seed=s, **hpo) for s in (0, 1)]


def test_each_variant_has_mean_accuracy_and_mean_cost_where_it_was_searched() -> None:
    frame = cost.data(runs())
    shown = frame[["label", "dataset", "search_seconds", "mean", "cost_kind"]].to_numpy().tolist()
    assert shown == [["RS", "cifar10", 60.0, 92.5, "simulated"], ["GDAS", "cifar10", 60.0, 93.5, "measured"]]
    assert cost.data(runs(), View(["cifar100"]))["mean"].tolist() == [71.0, 70.0]


def test_measured_and_simulated_seconds_have_panels_of_their_own() -> None:
    figure = readable(cost, cost.data(runs()))
    assert [axes.get_xlabel() for axes in figure.axes] == ["measured seconds", "simulated seconds, from the table"]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["2", "1"]
    assert "Mean test accuracy over seeds (n = 2) with" in words(figure)
    assert "Measured on one CPU." in words(figure)


def test_a_data_set_without_one_kind_of_cost_leaves_its_panel_out() -> None:
    other = make_run(
        {"digits": 80.0}, search="digits", method="rs", title="RS", block="standard HPO", cost_kind="simulated"
    )
    figure = readable(cost, cost.data([*runs()[:2], other]))
    shown = [(axes.get_title(loc="left"), axes.get_xlabel()) for axes in figure.axes]
    assert shown == [("cifar10", "measured seconds"), ("digits", "simulated seconds, from the table")]


def test_numbers_of_many_points_do_not_overlap() -> None:
    many = [make_run({"cifar10": 93.0 + i % 4 / 10}, method=f"m{i}", title=f"Method {i}") for i in range(12)]
    for i, run in enumerate(many):
        run.steps["total_seconds"] = run.steps["total_seconds"] * (1 + i % 3 / 20)
    figure = readable(cost, cost.data(many))
    [axes] = figure.axes
    assert [text.get_text() for text in axes.texts] == [str(i) for i in range(1, 13)]


def test_a_search_without_cost_is_named_not_drawn() -> None:
    free = make_run({"cifar10": 91.0}, method="free", title="Free")
    free.steps["total_seconds"] = 0.0
    figure = readable(cost, cost.data([*runs(), free]))
    assert "Not drawn, as a search cost 0 s: Free." in words(figure)
    assert "Free" not in [text.get_text() for text in figure.texts]
    assert cost.data([free]).empty


def test_intervals_that_are_cut_are_said_to_be() -> None:
    assert "Intervals are cut at the ends of the axis." in words(cost.draw(cost.data(runs())))
    steady = [make_run({"cifar10": 93.0 + s / 1000}, seed=s) for s in (0, 1)]
    assert "Intervals are cut" not in words(cost.draw(cost.data(steady)))
