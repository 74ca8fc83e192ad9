"""The figure of the whole space: every published mean has a row, and nothing overlaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command import call

from nasbench_eval.analysis import space as statistics
from nasbench_eval.analysis.figures import space
from nasbench_eval.cell import N_CELLS
from nasbench_eval.table import Key, Table


@pytest.fixture(scope="module")
def table() -> Table:
    rng = np.random.default_rng(0)
    names = {"cifar10": 94.0, "imagenet16-120": 47.0}
    columns = {
        Key(name, 200, "test", "accuracy", seed): best - rng.exponential(5, N_CELLS).clip(0, best)
        for name, best in names.items()
        for seed in ("777", "888")
    }
    return Table.build(columns, name="made up", source={})


def test_every_published_mean_has_a_row_and_nothing_overlaps(table: Table) -> None:
    frame = statistics.true_accuracies(table)
    figure = space.draw(frame, statistics.near_optimum(table, frame), statistics.published_shares(frame), "made up")
    assert len(figure.axes) == 4
    labels = [text.get_text() for text in figure.axes[1].get_yticklabels()]
    assert "GAEA DARTS (ERM) (transfer)" in labels
    assert not any("()" in label for label in labels)
    shown = figure.axes[1].collections[0].get_offsets()
    shares = statistics.published_shares(frame)
    [better] = shares[(shares["title"] == "RS") & (shares["dataset"] == "cifar10")]["better"]
    assert [better, labels.index("RS (transfer)")] in np.asarray(shown).tolist()
    figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_the_command_draws_it(table: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.save(tmp_path / "t.parquet")
    options = ["--table", str(tmp_path / "t.parquet"), "--draw"]
    assert call("table", "summary", *options, str(tmp_path / "a.svg")) == 0
    assert (tmp_path / "a.svg").read_bytes().startswith(b"<?xml")
    assert call("table", "summary", *options, str(tmp_path / "a.jpg")) == 2
    assert "the name of the picture must end in one of .png, .pdf, .svg; got" in capsys.readouterr().err
