from __future__ import annotations

import dataclasses
import math

import pytest
from analysis_runs import SMALL, TABLE, make_run

from nasbench_eval.analysis import comparison as aggregate
from nasbench_eval.analysis.comparison import comparison, published, statistics
from nasbench_eval.analysis.figures.operations import operations
from nasbench_eval.analysis.labels import distinct_runs, labels
from nasbench_eval.cell import OPS
from nasbench_eval.runs.store import TableFacts


def test_statistics_by_hand():
    found = statistics([1.0, 2.0, 3.0, 6.0])
    assert found["mean"] == 3.0
    assert found["std"] == pytest.approx(math.sqrt(14 / 3))
    assert statistics([1.0, 2.0, 3.0, 6.0], ddof=0)["std"] == pytest.approx(math.sqrt(14 / 4))
    # Student's t with 3 degrees of freedom: 97.5 % quantile 3.182446.
    half = 3.182446 * math.sqrt(14 / 3) / 2
    assert (found["ci95_low"], found["ci95_high"]) == pytest.approx((3 - half, 3 + half), abs=1e-5)
    assert (found["min"], found["max"]) == (1.0, 6.0)


def test_one_value_has_no_spread_and_none_has_nothing():
    one = statistics([5.0], ddof=0)
    assert (one["n"], one["mean"]) == (1, 5.0)
    assert math.isnan(one["std"])
    assert math.isnan(one["ci95_low"])
    assert statistics([])["n"] == 0
    assert math.isnan(statistics([])["mean"])


def test_rows_are_variant_by_data_set_and_name_everything():
    runs = [make_run({"cifar10": v, "cifar100": v - 20}, seed=s) for s, v in ((1, 94.0), (0, 92.0))]
    frame = comparison(runs).set_index("dataset")
    assert list(frame.index) == ["cifar10", "cifar100"]
    row = frame.loc["cifar10"]
    assert (row["n"], row["mean"], row["seeds"], row["values"]) == (2, 93.0, (0, 1), (92.0, 94.0))
    assert row["std"] == pytest.approx(math.sqrt(2))
    assert (row["search_seconds"], row["cost_kind"], row["device"]) == (60.0, "measured", "one CPU")
    assert (row["optimum"], row["noise"], row["noise_split"]) == (94.37, 0.25, "valid")
    assert set(frame["protocol"]) == {"transfer"}
    assert (frame.loc["cifar100", "published_mean"], frame.loc["cifar100", "published_std"]) == (70.70, 0.30)


def test_a_seed_whose_truth_is_missing_does_not_count():
    runs = [make_run({"cifar10": 93.0}, seed=0), make_run({"cifar10": math.nan}, seed=1)]
    assert comparison(runs)["n"].tolist() == [1]


def test_a_variant_without_any_truth_keeps_its_row():
    frame = comparison([make_run({}, table=None, truth="none")])
    assert frame[["dataset", "n"]].to_numpy().tolist() == [["cifar10", 0]]


def test_direct_takes_each_data_set_from_its_own_search():
    runs = [
        make_run({"cifar10": 93.0, "cifar100": 70.0}, search="cifar10"),
        make_run({"cifar10": 92.0, "cifar100": 71.0}, search="cifar100"),
    ]
    frame = comparison(runs)
    direct = frame[frame["protocol"] == "direct"].set_index("dataset")
    assert direct["mean"].to_dict() == {"cifar10": 93.0, "cifar100": 71.0}
    assert direct["published_mean"].to_dict() == {"cifar10": 93.52, "cifar100": 67.52}
    transfer = frame[(frame["protocol"] == "transfer") & (frame["search_dataset"] == "cifar10")]
    assert transfer.set_index("dataset")["published_mean"].to_dict() == {"cifar10": 93.61, "cifar100": 70.70}
    # Nothing is published for a search on cifar100 looked up on cifar10.
    foreign = frame[(frame["search_dataset"] == "cifar100") & (frame["dataset"] == "cifar10")]
    assert foreign["published_mean"].isna().all()


def test_own_data_set_takes_the_other_protocol_where_only_that_is_published():
    frame = comparison([make_run({"cifar10": 87.0}, method="setn", title="SETN")])
    assert frame[["protocol", "published_mean"]].to_numpy().tolist() == [["direct", 87.64]]


def test_reduced_and_changed_runs_have_rows_and_labels_of_their_own():
    runs = [
        make_run({"cifar10": 93.0}),
        make_run({"cifar10": 80.0}, **SMALL),
        make_run({"cifar10": 90.0}, overrides={"epochs": 10}),
        make_run({"cifar10": 70.0}, overrides={"lr": 0.10}, **SMALL),
    ]
    means = comparison(runs).set_index("label")["mean"]
    assert list(means.items()) == [
        ("GDAS", 93.0),
        ("GDAS [epochs=10]", 90.0),
        ("GDAS [reduced: small]", 80.0),
        ("GDAS [reduced: small, lr=0.1]", 70.0),
    ]


def test_variants_that_differ_in_no_override_show_the_differing_settings():
    runs = [make_run({}, settings={"track": True}), make_run({}, settings={"track": False, "clip": 5.0})]
    assert sorted(labels(runs).values()) == ["GDAS [clip=5, track=False]", "GDAS [clip=None, track=True]"]
    first = make_run({})
    second = dataclasses.replace(first, record=dataclasses.replace(first.record, variant_id="another"))
    assert sorted(labels([first, second]).values()) == sorted([f"GDAS #{first.record.variant_id[:6]}", "GDAS #anothe"])


def test_a_repeated_seed_counts_once_and_is_reported():
    early = make_run({"cifar10": 90.0}, finished="2025-01-01T00:00:00Z")
    late = make_run({"cifar10": 91.0}, finished="2025-02-01T00:00:00Z")
    kept, notes = distinct_runs([late, early, make_run({"cifar10": 92.0}, seed=1)])
    assert [run.test_acc["cifar10"] for run in kept] == [91.0, 92.0]
    assert notes == [
        "GDAS on cifar10, seed 0: found 2 times with different accuracies; only the run finished last counts"
    ]


def test_rows_stand_in_the_order_of_the_papers():
    runs = [
        make_run({"digits": 95.0}, search="digits", table=None),
        make_run({"cifar10": 94.0}, method="gaea_darts", title="GAEA DARTS (ERM)"),
        make_run({"cifar10": 93.0}),
        make_run({"cifar10": 93.5}, method="rea", title="REA", block="standard HPO"),
        make_run({"cifar10": 93.5}, method="zen", title="A new one"),
    ]
    frame = comparison(runs)
    assert frame["title"].tolist() == ["REA", "GDAS", "GDAS", "GAEA DARTS (ERM)", "A new one"]
    assert frame["dataset"].tolist()[1:3] == ["cifar10", "digits"]


def test_references_keep_tables_apart():
    other = TableFacts("NAS-Bench-201", "ffff", {"cifar10": 94.0})
    frame = aggregate.references([make_run({}), make_run({}, seed=1, table=other)])
    assert frame.groupby("table_hash")["optimum"].first().to_dict() == {
        TABLE.content_hash: 94.37,
        "ffff": 94.0,
    }


def test_every_published_number_names_its_source_once():
    frame = published()
    assert frame[["method", "title", "block", "dataset", "mean", "paper", "table"]].notna().all().all()
    assert (frame["paper"].str.len() > 5).all()
    assert not frame.duplicated(["method", "protocol", "dataset"]).any()
    beside = frame[frame["primary"] & (frame["preset"] != "")]
    assert not beside.duplicated(["preset", "protocol", "dataset"]).any()
    assert frame["mean"].between(10, 95).all()
    assert set(frame["block"]) == set(aggregate.BLOCKS)
    direct = frame[frame["protocol"] == "direct"]
    assert (direct["dataset"] == direct["search_dataset"]).all()
    optimum = frame[frame["method"] == "optimal"].set_index("dataset")["mean"]
    assert (frame["mean"] <= frame["dataset"].map(optimum)).all()


def test_published_rows_fill_in_only_what_no_full_run_measured():
    reduced = make_run({"cifar10": 80.0, "cifar100": 50.0}, **SMALL)
    full = make_run({"cifar10": 94.0, "cifar100": 72.0}, method="gaea_darts", title="GAEA DARTS (ERM)")
    frame = aggregate.figure5([reduced, full])
    shown = frame[frame["dataset"] == "cifar10"].set_index("label")["source"].to_dict()
    assert shown["GDAS [reduced: small]"] == "measured"
    assert shown["GDAS"] == "published"
    assert shown["GAEA DARTS (ERM)"] == "measured"
    assert shown["REA"] == "published"
    assert shown["optimum"] == "table"
    assert "direct" not in set(frame["protocol"])
    assert (frame["dataset"].unique() == ["cifar10", "cifar100"]).all()


def test_figure5_without_runs_is_the_published_table():
    frame = aggregate.figure5([])
    assert set(frame["source"]) == {"published"}
    assert set(frame["protocol"]) == {"transfer", "direct", ""}
    assert len(frame) == 3 * (4 + 7 + 6 + 2)


def test_figure5_of_an_own_data_set_has_no_published_rows():
    frame = aggregate.figure5([make_run({"digits": 95.0}, search="digits", table=None)])
    assert frame[["dataset", "source"]].to_numpy().tolist() == [["digits", "measured"]]


def test_curves_and_entropy_have_a_row_a_step():
    runs = [make_run({"cifar10": 93.0, "cifar100": 70.0}, seed=s) for s in (0, 1)]
    runs.append(make_run({"cifar10": 93.0}, method="rs", block="standard HPO"))
    curves = aggregate.curves(runs)
    assert len(curves) == 2 * 2 * 3
    one = curves[(curves["dataset"] == "cifar10") & (curves["seed"] == 1)]
    assert one[["step", "total_seconds", "value"]].to_numpy().tolist() == [[1, 20, 10], [2, 40, 50], [3, 60, 93]]
    entropy = aggregate.entropy(runs)
    assert entropy["nats"].tolist() == [1.3, 1.2, 1.1] * 2
    assert entropy["value"].tolist() == pytest.approx([nats / math.log(5) for nats in entropy["nats"]])
    without_none = aggregate.entropy([make_run({}, settings={"zero_op": False})])
    assert without_none["value"].tolist() == pytest.approx([1.3 / math.log(4), 1.2 / math.log(4), 1.1 / math.log(4)])
    assert aggregate.gap(runs)["value"].tolist() == [0.0, 0.25, 1.5] * 2
    assert aggregate.curves([]).empty
    assert aggregate.gap([]).empty


def test_operations_are_means_over_seeds_and_sum_to_the_six_edges():
    skips = ("nor_conv_3x3", "skip_connect", "skip_connect")
    runs = [make_run({}, seed=0), make_run({}, seed=1), make_run({}, seed=2, operations=skips)]
    runs.append(make_run({}, method="rs_ws", title="RS-WS"))
    frame = operations(runs)
    assert list(dict.fromkeys(frame["label"])) == ["RS-WS", "GDAS"]
    gdas = frame[frame["label"] == "GDAS"].pivot(index="step", columns="operation", values="mean")
    assert gdas.loc[1, list(OPS)].tolist() == [4, 0, 0, 2, 0]
    assert gdas["skip_connect"].tolist() == [0.0, 2.0, 6.0]
    assert (gdas.sum(axis=1) == 6).all()
    assert set(frame.loc[frame["label"] == "GDAS", "n"]) == {3}
    assert frame["operation"].tolist()[:6] == [*OPS, "none"]
    assert frame["step"].tolist()[:6] == [1] * 5 + [2]
    assert operations(runs, ["cifar100"]).empty
    assert operations([]).empty
