from __future__ import annotations

import base64
import gzip
import io
from html.parser import HTMLParser

import pandas as pd
import pytest
from analysis_runs import make_run
from report_content import CLAIMS, EVIL, RUNS, VARIANTS, page_text

from nasbench_eval.analysis.claims import judge, read_claims
from nasbench_eval.analysis.comparison_notes import noted_comparison
from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError
from nasbench_eval.report.page import build_page
from nasbench_eval.report.verdicts import claim_notes

VOID = {"meta", "link", "input", "br", "img", "circle", "path"}


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and the text inside each id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.inside: list[tuple[str, str]] = []
        self.by_id: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.inside.append((tag, dict(attrs).get("id") or ""))

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        assert self.inside[-1][0] == tag, f"</{tag}> closes <{self.inside[-1][0]}>"
        self.inside.pop()

    def handle_data(self, data):
        if self.inside and self.inside[-1][0] in ("script", "style"):
            return
        self.words.append(data)
        for _, name in self.inside:
            self.by_id.setdefault(name, []).append(data)

    def all(self, tag, **attributes):
        return [
            attrs
            for name, attrs in self.found
            if name == tag and all(attrs.get(key.rstrip("_")) == value for key, value in attributes.items())
        ]

    def text(self, name=None):
        return " ".join(" ".join(self.words if name is None else self.by_id[name]).split())


@pytest.fixture(scope="module")
def html() -> str:
    return page_text()


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def frame_behind(link: dict[str, str]) -> pd.DataFrame:
    kind, _, packed = link["href"].partition(",")
    assert kind == "data:application/gzip;base64"
    return pd.read_csv(io.BytesIO(gzip.decompress(base64.b64decode(packed))))


def test_every_measured_number_of_the_comparison_is_on_the_page(page):
    shown = page.text("comparison")
    for row in noted_comparison(RUNS).frame.query("n > 0").to_dict("records"):
        assert f"{row['mean']:.2f}" in shown
        if row["n"] > 1:
            assert f"± {row['std']:.2f}" in shown
            assert f"[{row['ci95_low']:.2f}, {row['ci95_high']:.2f}]" in shown
    [link] = page.all("a", download="comparison.csv.gz")
    assert frame_behind(link)["mean"].tolist() == noted_comparison(RUNS).frame["mean"].tolist()


def test_every_run_is_named_unless_a_variant_has_many_seeds(page):
    for run in RUNS:
        assert (run.record.run_id in page.text("runs")) == (run.record.method != "rea")
    assert "REA cifar10 cifar10 30 60.00 61.45 67.25 74.50 81.75 87.55 89.00" in page.text("quantiles")


def test_texts_of_runs_are_never_markup(html, page):
    assert EVIL not in html
    assert len(page.all("script")) == 1
    assert not page.all("b")
    assert not page.all("i")
    for part in ("main", "verdicts", "comparison", "runs", "failures", "all-runs", "methods", "where"):
        assert EVIL in page.text(part)


def test_nothing_is_loaded_from_anywhere(page):
    for tag, attributes in page.found:
        for name, value in attributes.items():
            if name in ("src", "href", "srcset", "action", "data", "poster"):
                assert value.startswith(("#", "data:")), f"<{tag} {name}={value[:80]}>"
            assert "url(http" not in value
    assert "default-src 'none'" in page.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]


def test_ids_are_unique_and_links_have_targets(page):
    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"][1:] for attributes in page.all("a") if attributes["href"].startswith("#")}
    assert targets <= set(ids)
    assert {f"variant-{key}" for key in VARIANTS.values()} <= targets


def test_figures_and_cells_say_in_words_what_they_show(page):
    pictures = page.all("svg")
    assert len(pictures) > 5
    assert all(each["role"] == "img" for each in pictures)
    assert len(page.all("figcaption")) == len(pictures)
    words = [each["aria-label"] for each in pictures if "aria-label" in each]
    index = Cell((0,) * 6).index
    assert f"Cell {index}: 0 to 1 none, 0 to 2 none, 1 to 2 none, 0 to 3 none, 1 to 3 none, 2 to 3 none" in words
    assert not page.all("figure", id="figure-cells")
    for name in ("figure5", "curves", "entropy"):
        [link] = page.all("a", download=f"{name}.csv.gz")
        assert len(frame_behind(link)) > 1


def test_each_drawing_has_four_nodes_and_six_edges_and_shares_its_seeds(page):
    drawn = [each for each in page.all("figure") if each.get("class") == "cell"]
    assert len(drawn) == 4  # every variant has found one cell only
    assert len(page.all("circle")) == 4 * len(drawn)
    assert len(page.all("path", class_="edge none")) == 6 * len(drawn)
    assert "seeds 0, 1" in page.text("cells")
    assert "30 seeds" in page.text("cells")


def test_reductions_failures_and_what_differs_are_said(page):
    lead = page.text("main")
    assert "2 of 35 runs are reduced" in lead
    assert "channels 16 → 4; cells 5 → 1" in lead
    assert "an earlier try" not in lead  # this run is complete now
    assert f"1 of 1 runs of {EVIL} on cifar10 diverged and are no results" in lead
    text = page.text(f"variant-{VARIANTS['GDAS']}")
    assert "channels 4 16 table 1 what it means" in text
    assert "epochs 16 16 table 1" in text
    assert "Without effect here: tau." in text


def test_claims_come_first_each_with_its_word_its_numbers_and_comparisons(page):
    text = page.text("verdicts")
    assert "✓ holds 1 ? undecided 1 – not run 1" in text
    for _, claim in CLAIMS:
        assert claim["text"].replace("`epochs`", "epochs") in text
    assert "Figure 5" in text
    assert page.words.index("Verdicts", 30) < page.words.index("Results", 60)
    assert "REA" in page.text("claim-1")
    assert "the optimum" in page.text("claim-3")
    assert "there is no run of darts on cifar10" in text.lower()
    p = "P (Holm) of a claim is corrected for the comparisons of that claim only"
    assert f"{p}, while the table of differences corrects for all its rows of a data set." in text


def test_p_of_claims_is_explained_only_where_there_is_one_and_beside_what_is_there():
    claim = {"test": "better", "method": "gdas", "against": "rea", "dataset": "cifar10", "text": "it is better"}
    judged = judge(read_claims([claim]), RUNS, scales=["full"])
    assert claim_notes(judged, differences=False) == [
        "p (Holm) of a claim is corrected for the comparisons of that claim only"
    ]
    assert claim_notes(judge(read_claims([claim]), [], scales=["full"]), differences=True) == []


def test_published_numbers_and_differences_have_a_word_each(page):
    assert "published" in page.text("agreement")
    assert "reduced" not in page.text("agreement")
    shown = page.text("differences")
    assert "Searched on: cifar10." in shown
    assert "▲ better" in shown
    assert "0.25 on cifar10 (valid)" in page.text("results")
    [link] = page.all("a", download="differences.csv.gz")
    assert set(frame_behind(link)["label_against"]) == {"REA"}


def test_a_reference_without_runs_is_an_error():
    with pytest.raises(NbevalError, match="no run of 'dart'"):
        build_page([make_run({"cifar10": 90.0})], [], {}, reference="dart")
