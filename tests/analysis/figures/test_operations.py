from __future__ import annotations

import dataclasses

from analysis_runs import make_run
from pictures import words

from nasbench_eval.analysis.figures import operations
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
    assert operations.data(runs, ["cifar100"]).empty
    assert operations.data([]).empty


def test_there_is_one_panel_per_variant_and_a_single_epoch_is_visible(runs):
    figure = operations.draw(operations.data(dataclasses.replace(run, steps=run.steps.iloc[:1]) for run in runs))
    titles = [axes.get_title("left").replace("\n", " ") for axes in figure.axes]
    assert titles == ["GDAS", "GDAS [reduced: small]"]
    # All six edges of the one epoch are `none`: its band is as wide as the epoch and as high as the axes.
    band = figure.axes[0].collections[0].get_datalim(figure.axes[0].transData)
    assert (band.x0, band.x1, band.y0, band.y1) == (0.5, 1.5, 0, 6)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(OPS)
    assert "mean over seeds (n = 1 to 2)" in words(figure)


def test_many_variants_have_a_heat_map_of_the_last_epoch() -> None:
    settings = {"architecture_learning_rate": 0.0125, "track_running_stats": True, "exclude_none": False}
    runs = [make_run({}, method=f"m{i}", title=f"Method {i}", overrides=settings) for i in range(5)]
    figure = operations.draw(operations.data(runs))
    *panels, heat_map = figure.axes
    assert len(panels) == 5
    rows = [text.get_text() for text in heat_map.get_yticklabels()]
    assert [row.partition(" [")[0] for row in rows] == [f"Method {i}" for i in range(5)]
    assert [text.get_text() for text in heat_map.get_xticklabels()] == list(OPS)
    assert [text.get_text() for text in heat_map.texts] == ["0.0", "6.0", "0.0", "0.0", "0.0"] * 5
    figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert boxes[-1].x0 >= 0
    assert boxes[-1].y1 <= figure.bbox.y1
