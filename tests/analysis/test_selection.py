"""Which methods figures show."""

from __future__ import annotations

import pytest
from analysis_runs import make_run

from nasbench_eval.analysis.published import post_methods
from nasbench_eval.analysis.selection import MANY, check_methods, methods_meant, selected
from nasbench_eval.errors import UsageError
from nasbench_eval.runs.store import Run


def runs_of(*methods: str) -> list[Run]:
    return [make_run({"cifar10": 90.0}, method=name, title=name.upper(), seed=s) for name in methods for s in (0, 1)]


def shown(runs: list[Run]) -> list[str]:
    return list(dict.fromkeys(run.record.method for run in runs))


def test_few_variants_are_all_shown() -> None:
    runs = runs_of(*(f"m{i}" for i in range(MANY)))
    assert selected(runs) == (runs, [])


def test_of_many_variants_those_of_the_post_and_ones_own_are_shown() -> None:
    runs = runs_of("gdas", "rs", "my_module:Mine", *(f"m{i}" for i in range(MANY)))
    kept, left_out = selected(runs)
    assert shown(kept) == ["gdas", "rs", "my_module:Mine"]
    assert left_out == [f"M{i}" for i in range(MANY)]
    others = runs_of(*(f"m{i}" for i in range(MANY + 1)))
    assert selected(others) == (others, [])  # none is of the post


def test_methods_are_shown_as_asked() -> None:
    runs = runs_of("gdas", *(f"m{i}" for i in range(MANY)))
    assert shown(selected(runs, ["m3", "gdas"])[0]) == ["gdas", "m3"]
    assert selected(runs, ["all"]) == (runs, [])
    assert shown(selected(runs, also=["m3"])[0]) == ["gdas", "m3"]


def test_a_name_without_runs_or_published_values_is_an_error() -> None:
    check_methods(["gdas", "m1", "all", *post_methods()], runs_of("m1"))
    with pytest.raises(UsageError, match="no results of 'gdsa': did you mean 'gdas'\\? there are those of m1, "):
        check_methods(["gdsa"], runs_of("m1"))


def test_a_reference_may_be_a_method_a_title_a_label_or_a_variant() -> None:
    runs = [*runs_of("rs", "rea"), make_run({"cifar10": 1.0}, method="rea", title="REA", overrides={"epochs": 2})]
    for reference in ("rea", "REA", "REA [epochs=2]", runs[-1].record.variant_id):
        assert methods_meant(reference, runs) == ["rea"]
    assert methods_meant("nobody", runs) == methods_meant("", runs) == []
