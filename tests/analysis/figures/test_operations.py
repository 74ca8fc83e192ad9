from __future__ import annotations

import dataclasses
from dataclasses import replace

from analysis_runs import make_run
from pictures import readable, words

from nasbench_eval.analysis.figures import View, operations
from nasbench_eval.cell import OPS


def test_operations_are_means_over_seeds_and_sum_to_six_edges():
    skips = ("nor_conv_3x3", "skip_connect", "skip_connect")
    runs = [make_run({}, seed=0), make_run({}, seed=1), make_run({}, seed=2, operations=skips)]
    runs.append(make_run({}, method="rs_ws", title="RS-WS"))
    frame = operations.data(runs)
    assert list(dict.fromkeys(frame["label"])) == ["RS-WS", "GDAS"]
    gdas = frame[frame["label"] == "GDAS"].pivot(index="step", columns="operation", values="mean")
    assert gdas.loc[1, list(OPS)].tolist() == [4, 0, 0, 2, 0]
    assert gdas["skip_connect"].tolist() == [0.0, 2.0, 6.0]
    assert (gdas.sum(axis=1) == 6).all()
    assert set(frame.loc[frame["label"] == "GDAS", "n"]) == {3}
    assert frame["operation"].tolist()[:6] == [*OPS, "none"]
    assert frame["step"].tolist()[:6] == [1] * 5 + [2]
    assert operations.data(runs, View(["cifar100"])).empty
    assert operations.data([]).empty


def test_there_is_one_heat_map_per_variant_and_a_single_epoch_is_visible(runs):
    figure = operations.draw(operations.data(dataclasses.replace(run, steps=run.steps.iloc[:1]) for run in runs))
    *panels, scale = figure.axes
    assert [axes.get_title("left") for axes in panels] == ["GDAS", "GDAS [reduced: small]"]
    # All six edges of the one epoch are `none`, which is the first row.
    image = panels[0].images[0]
    assert image.get_array().tolist() == [[6.0], [0.0], [0.0], [0.0], [0.0]]
    assert image.get_extent() == [0.5, 1.5, 4.5, -0.5]
    assert [text.get_text() for text in panels[0].texts] == ["6.0", "0.0", "0.0", "0.0", "0.0"]
    assert [text.get_text() for text in panels[0].get_yticklabels()] == list(OPS)
    assert image.get_clim() == scale.images[0].get_clim() == (0, 6)
    assert "mean over seeds (n = 1 to 2)" in words(figure)


def test_nothing_overlaps() -> None:
    settings = {"architecture_learning_rate": 0.0125, "track_running_stats": True, "exclude_none": False}
    runs = [make_run({}, method=f"m{i}", title=f"Method {i}", overrides=settings) for i in range(6)]
    assert len(readable(operations, operations.data(runs)).axes) == 7


def test_a_seed_that_has_ended_keeps_its_cell() -> None:
    ended, longer = (make_run({"cifar10": 93.0}, seed=seed) for seed in (0, 1))
    ended = replace(ended, steps=ended.steps.head(2))  # at six 3x3 convolutions
    frame = operations.data([ended, longer])
    last = frame[frame["step"] == 3].set_index("operation")
    assert last["mean"][["nor_conv_3x3", "skip_connect"]].tolist() == [3.0, 3.0]
    assert set(frame["n"]) == {2}
    words = " ".join(text.get_text() for text in operations.draw(frame).texts)
    assert "A seed that has ended keeps its cell." in " ".join(words.split())
