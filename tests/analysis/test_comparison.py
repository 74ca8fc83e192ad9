from __future__ import annotations

import math

import pytest
from analysis_runs import SMALL, TABLE, make_run, seeds

from nasbench_eval.analysis.comparison import comparison, references
from nasbench_eval.errors import UsageError
from nasbench_eval.runs.store import TableFacts


def test_there_is_one_row_per_variant_and_data_set():
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


def test_regret_is_that_of_the_mean_and_nearness_to_the_optimum_that_of_each_seed():
    [row] = comparison(seeds("gdas", [94.2, 94.0, 90.0])).to_dict("records")
    assert row["regret"] == pytest.approx(94.37 - (94.2 + 94.0 + 90.0) / 3)
    assert row["near_optimum"] == pytest.approx(1 / 3), "the noise is 0.25"


def test_seeds_without_a_true_accuracy_are_not_counted():
    runs = [make_run({"cifar10": 93.0}, seed=0), make_run({"cifar10": math.nan}, seed=1)]
    assert comparison(runs)["n"].tolist() == [1]


def test_a_variant_without_true_accuracies_keeps_its_row():
    frame = comparison([make_run({}, table=None, truth="none")])
    assert frame[["dataset", "n"]].to_numpy().tolist() == [["cifar10", 0]]


def test_direct_takes_each_data_set_from_the_search_on_it():
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


def test_the_other_protocol_is_shown_if_only_that_is_published():
    frame = comparison([make_run({"cifar10": 87.0}, method="setn", title="SETN")])
    assert frame[["protocol", "published_mean"]].to_numpy().tolist() == [["direct", 87.64]]


def test_reduced_and_changed_runs_have_separate_rows_and_labels():
    runs = [
        make_run({"cifar10": 93.0}),
        make_run({"cifar10": 80.0}, **SMALL),
        make_run({"cifar10": 90.0}, overrides={"epochs": 10}),
        make_run({"cifar10": 91.0}, overrides={"weight_decay": 0.1}),
        make_run({"cifar10": 70.0}, overrides={"lr": 0.10}, **SMALL),
    ]
    means = comparison(runs).set_index("label")["mean"]
    assert list(means.items()) == [
        ("GDAS", 93.0),
        ("GDAS [epochs=10]", 90.0),
        ("GDAS [weight_decay=0.1]", 91.0),
        ("GDAS [reduced: small]", 80.0),
        ("GDAS [reduced: small, lr=0.1]", 70.0),
    ]


def test_rows_are_in_the_order_of_the_papers():
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


def test_references_are_separate_for_each_table():
    other = TableFacts("NAS-Bench-201", "ffff", {"cifar10": 94.0})
    frame = references([make_run({}), make_run({}, seed=1, table=other)])
    assert frame.groupby("table_hash")["optimum"].first().to_dict() == {
        TABLE.content_hash: 94.37,
        "ffff": 94.0,
    }


def test_a_search_costs_what_it_costs_also_where_its_accuracy_is_not_known() -> None:
    unknown = make_run({}, seed=1)
    unknown.steps["total_seconds"] = [40.0, 80.0, 120.0]
    [row] = comparison([make_run({"cifar10": 93.0}), unknown]).to_dict("records")
    assert (row["n"], row["seeds"]) == (1, (0,))
    assert row["search_seconds"] == (60.0 + 120.0) / 2


def test_published_numbers_stand_only_beside_accuracies_of_the_benchmark():
    own = seeds("gdas", [70.0, 71.0], table=TableFacts("own", "ffff", {"cifar10": 94.0}))
    assert comparison(own)["published_mean"].isna().all()
    assert comparison(seeds("gdas", [93.0, 93.1]))["published_mean"].notna().any()


def test_a_fact_that_differs_between_the_seeds_of_a_row_does_not_group_rows():
    runs = [*seeds("gdas", [93.0, 93.1]), make_run({"cifar10": 93.2}, seed=2, device="H200")]
    with pytest.raises(UsageError, match=r"--group-by device: .* differ \(device=one CPU, device=H200\)"):
        comparison(runs, group_by="device")
