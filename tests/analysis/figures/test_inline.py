from __future__ import annotations

import re

import pytest
from analysis_runs import SMALL, make_run

from nasbench_eval.analysis.figures import NothingToDraw, View
from nasbench_eval.analysis.figures.inline import InlineFigure, inline_figure

RUNS = [make_run({"cifar10": 93.0 + s}, seed=s, title="A < B & <script>", **SMALL) for s in (0, 1)]


@pytest.fixture(scope="module")
def entropy() -> InlineFigure:
    return inline_figure("entropy", RUNS, View(notes=["1 of 3 runs diverged"]))


def test_the_caption_is_text_below_the_drawing(entropy):
    assert entropy.caption.startswith("Entropy of the operation weights, mean over the edges")
    assert "channels 16 -> 4; cells 5 -> 1. 1 of 3 runs diverged." in entropy.caption
    assert "mean over the edges" not in entropy.svg
    assert f"<title>{entropy.title}</title>" in entropy.svg


def test_names_are_those_of_the_figure_and_lead_somewhere(entropy):
    names = re.findall(r'\bid="([^"]*)"', entropy.svg)
    assert len(names) == len(set(names)) > 0
    assert all(name.startswith("entropy-") for name in names)
    used = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', entropy.svg)
    assert {each for pair in used for each in pair if each} == set(names)


def test_the_page_decides_about_fonts_and_style_and_nothing_is_loaded(entropy):
    assert entropy.svg.startswith('<svg role="img" viewBox="0 0 ')
    assert entropy.svg.endswith("</svg>")
    for word in ("font-family", "DejaVu", "<style", "<metadata", "http", "xlink", "matplotlib"):
        assert word not in entropy.svg
    assert "font-size" in entropy.svg
    assert not re.search(r"\d\.\d{3}", entropy.svg)


def test_titles_of_runs_are_escaped(entropy):
    assert "A &lt; B &amp; &lt;script&gt;" in entropy.svg
    assert "<script" not in entropy.svg


def test_the_same_runs_give_the_same_text(entropy):
    assert inline_figure("entropy", RUNS, View(notes=["1 of 3 runs diverged"])).svg == entropy.svg


def test_a_figure_without_data_is_an_error():
    with pytest.raises(NothingToDraw, match="anytime"):
        inline_figure("anytime", RUNS)
