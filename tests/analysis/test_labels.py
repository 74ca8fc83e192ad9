from __future__ import annotations

import dataclasses

from analysis_runs import make_run

from nasbench_eval.analysis.labels import brief, distinct_runs, labels


def test_variants_with_equal_overrides_are_told_apart_by_their_settings():
    runs = [make_run({}, settings={"track": True}), make_run({}, settings={"track": False, "clip": 5.0})]
    assert sorted(labels(runs).values()) == ["GDAS [clip=5, track=false]", "GDAS [no clip, track=true]"]
    first = make_run({})
    second = dataclasses.replace(first, record=dataclasses.replace(first.record, variant_id="another"))
    assert sorted(labels([first, second]).values()) == sorted([f"GDAS #{first.record.variant_id[:6]}", "GDAS #anothe"])


def test_methods_with_the_same_title_are_told_apart_by_their_names():
    runs = [make_run({}, method=name, settings={"lr": lr}) for name, lr in (("a:W", 1), ("b:W", 1), ("b:W", 2))]
    named = list(labels(runs).values())
    title = runs[0].record.title
    assert named == [f"{title} [a:W]", f"{title} [b:W, lr=1]", f"{title} [b:W, lr=2]"]
    assert list(labels(runs[1:]).values()) == [f"{title} [lr=1]", f"{title} [lr=2]"]


def test_a_setting_that_is_none_is_not_one_that_a_run_lacks():
    runs = [make_run({}, settings={"baseline": value}) for value in (None, 0.5)] + [make_run({})]
    assert list(labels(runs).values()) == ["GDAS [baseline=none]", "GDAS [baseline=0.5]", "GDAS [no baseline]"]


def test_a_repeated_seed_counts_once_and_is_reported():
    early = make_run({"cifar10": 90.0}, finished="2025-01-01T00:00:00Z")
    late = make_run({"cifar10": 91.0}, finished="2025-02-01T00:00:00Z")
    kept, notes = distinct_runs([late, early, make_run({"cifar10": 92.0}, seed=1)])
    assert [run.test_acc["cifar10"] for run in kept] == [91.0, 92.0]
    assert notes == [
        "GDAS on cifar10, seed 0: found more than once with different accuracies; only the last one to finish counts"
    ]
    changed = make_run({"cifar10": 90.0}, overrides={"tau": 2.0})
    assert distinct_runs([early, changed, changed])[1] == [
        "GDAS [tau=2] on cifar10, seed 0: found more than once; only the last one to finish counts"
    ]
    many = [make_run({"cifar10": 90.0}, seed=seed) for seed in range(50)]
    assert distinct_runs([*many, *many, *many])[1] == [
        "GDAS on cifar10, seeds 0, 1, 2, 3, 4 and others: found more than once; only the last one to finish counts"
    ]


def test_brief_labels_omit_the_mark_of_reduced_runs_unless_ambiguous():
    assert brief(["GDAS", "GDAS [reduced: small]", "A [reduced: small, lr=0.1]", "A [reduced]", "B [lr=1]"]) == {
        "GDAS": "GDAS",
        "GDAS [reduced: small]": "GDAS [reduced: small]",
        "A [reduced: small, lr=0.1]": "A [lr=0.1]",
        "A [reduced]": "A",
        "B [lr=1]": "B [lr=1]",
    }
