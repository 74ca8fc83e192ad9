from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from analysis_runs import TABLE, seeds
from tables import synthetic_table

from nasbench_eval.analysis.against import against
from nasbench_eval.analysis.against_table import against_table, render
from nasbench_eval.analysis.agreement import agreement
from nasbench_eval.analysis.comparison import comparison
from nasbench_eval.analysis.comparison_notes import noted_comparison
from nasbench_eval.analysis.figures import against as against_figure
from nasbench_eval.analysis.figures import cells, cost, figure5
from nasbench_eval.analysis.figures._view import View
from nasbench_eval.analysis.space import percentiles
from nasbench_eval.runs.store import Run, TableFacts

TRAINED: dict[str, Any] = {"truth": "train", "table": None, "truth_note": "cells trained from scratch"}
OTHER: dict[str, Any] = {"table": replace(TABLE, content_hash="ffff0000")}
BOTH = "2 different sources (table abcdef01 | cells trained from scratch)"


def mixed(method: str, values: list[float], late: dict[str, Any]) -> list[Run]:
    """Return four seeds, of which the last two have accuracies from elsewhere."""
    facts = [{}, {}, late, late]
    runs = seeds(method, values)
    return [replace(run, record=replace(run.record, **own)) for run, own in zip(runs, facts, strict=True)]


HALF_TRAINED = mixed("darts", [93.9, 93.8, 70.0, 71.0], TRAINED)
TABLED = seeds("gdas", [91.0, 91.2, 91.1, 91.3])


def test_a_row_of_several_sources_has_no_optimum_and_a_caution():
    compared = noted_comparison([*HALF_TRAINED, *TABLED])
    row, other = (compared.frame[compared.frame["method"] == name].iloc[0] for name in ("darts", "gdas"))
    assert row["truths"] == ("table:abcdef0123456789", "train:cells trained from scratch")
    assert all(math.isnan(row[name]) for name in ("optimum", "noise", "regret", "near_optimum"))
    assert (other["truths"], other["optimum"]) == (("table:abcdef0123456789",), 94.37)
    assert compared.notes[:2] == (
        "CAUTION: the seeds of a row come from several sources, so that its mean means nothing: darts",
        f"CAUTION: the accuracies come from {BOTH}: only compare rows of the same source",
    )


def test_only_the_seeds_with_an_accuracy_have_a_source():
    first = seeds("darts", [{"cifar10": 70.0}, {"cifar10": 93.0, "cifar100": 71.0}])
    runs = [replace(first[0], record=replace(first[0].record, **TRAINED)), first[1]]
    frame = comparison(runs).set_index("dataset")
    assert frame["truths"].map(len).to_dict() == {"cifar10": 2, "cifar100": 1}
    assert frame.loc["cifar100", "optimum"] == 73.51


def test_different_data_sets_may_have_different_tables():
    digits = seeds("darts", [{"digits": 95.0}], search="digits", table=TableFacts("digits", "dd", {"digits": 97.0}))
    assert "CAUTION" not in " ".join(noted_comparison([*digits, *TABLED]).notes)


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        ([*HALF_TRAINED, *TABLED], BOTH),
        ([*seeds("darts", [70.0, 70.2, 70.1], **TRAINED), *TABLED], BOTH),
        (
            [*mixed("darts", [94.0, 94.1, 94.2, 94.0], OTHER), *mixed("gdas", [91.0, 91.2, 91.1, 91.3], OTHER)],
            "2 different sources (table abcdef01 | table ffff0000)",
        ),
    ],
    ids=["one mixed", "trained", "both mixed alike"],
)
def test_nothing_is_inferred_from_rows_of_several_sources(runs, reason):
    frame = against(runs, "gdas")
    [row] = frame.to_dict("records")
    assert (row["word"], row["why"]) == ("undecided", f"the accuracies come from {reason}")
    assert all(math.isnan(row[name]) for name in ("low", "p_holm", "improvement", "p_equivalent", "seeds_needed"))
    assert row["sentence"].startswith("darts cannot be compared with gdas on cifar10: ")
    table = against_table(runs, "gdas")
    assert f"CAUTION: the accuracies come from {reason}, which are not compared, so that" in " ".join(table.notes)
    text = render(table, "text")
    assert "nan" not in text
    [line] = [line.split() for line in text.splitlines() if line.startswith(" darts")]
    assert line[-3:] == ["-", "-", "undecided"]
    assert f"CAUTION: the accuracies come from {reason}" in _words(against_figure, runs, View(against="gdas"))


def test_rows_of_one_source_are_still_tested_among_others():
    runs = [*seeds("rs", [70.0, 70.2, 70.1], **TRAINED), *seeds("darts", [93.0, 93.2, 93.1]), *TABLED]
    table = against_table(runs, "gdas")
    assert table.frame.set_index("label")["word"].to_dict() == {"rs": "undecided", "darts": "better"}
    assert "Holm's method for the rows of a data set that have one: 1" in " ".join(table.notes)


@pytest.mark.parametrize("figure", [figure5, cost, cells])
def test_figures_say_that_accuracies_come_from_several_sources(figure):
    assert f"CAUTION: the accuracies come from {BOTH}" in _words(figure, [*HALF_TRAINED, *TABLED], View())
    assert "CAUTION" not in _words(figure, TABLED, View())


def _words(figure: Any, runs: list[Run], view: View) -> str:
    return " ".join(" ".join(text.get_text() for text in figure.draw(figure.data(runs, view)).texts).split())


def test_a_mean_of_several_sources_does_not_agree_with_a_published_one():
    [row] = agreement(HALF_TRAINED).query("dataset == 'cifar10'").head(1).to_dict("records")
    assert row["word"] == "undecided"
    assert row["sentence"].endswith(f"the accuracies come from {BOTH}, whose mean means nothing")


def test_a_mean_of_several_sources_has_no_percentile():
    table = synthetic_table()
    facts = TableFacts(table.metadata.name, table.metadata.content_hash)
    runs = [replace(run, record=replace(run.record, table=facts)) for run in (*HALF_TRAINED[:2], *TABLED)]
    frame = percentiles(comparison([*runs, *HALF_TRAINED[2:]]), table).set_index("method")
    assert math.isnan(frame.loc["darts", "percentile"])
    assert frame.loc["gdas", "percentile"] > 0


def test_cells_trained_in_two_ways_have_two_sources():
    short, long = "final cell trained once; epochs=5 (benchmark 200)", "final cell trained once, with the schedule"
    runs = [
        *seeds("rs", [70.0, 70.2, 70.1], truth="train", table=None, truth_note=short),
        *seeds("gdas", [91.0, 91.2, 91.1], truth="train", table=None, truth_note=long),
    ]
    [why] = against(runs, "gdas")["why"]
    assert why == f"the accuracies come from 2 different sources ({long} | {short})"
    alike = [replace(run, record=replace(run.record, truth_note=long)) for run in runs]
    assert set(against(alike, "gdas")["why"]) == {""}
