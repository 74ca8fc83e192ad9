from __future__ import annotations

from analysis_runs import SMALL, make_run

from nasbench_eval.analysis.comparison import comparison
from nasbench_eval.analysis.order import BLOCKS
from nasbench_eval.analysis.published import published, published_beside, published_instead
from nasbench_eval.runs import IMPORTED


def test_every_published_number_names_its_source_once():
    frame = published()
    assert frame[["method", "title", "block", "dataset", "mean", "paper", "table"]].notna().all().all()
    assert (frame["paper"].str.len() > 5).all()
    assert not frame.duplicated(["method", "protocol", "dataset"]).any()
    beside = frame[frame["primary"] & (frame["preset"] != "")]
    assert not beside.duplicated(["preset", "protocol", "dataset"]).any()
    assert frame["mean"].between(10, 95).all()
    assert set(frame["block"]) == set(BLOCKS) - {IMPORTED}
    direct = frame[frame["protocol"] == "direct"]
    assert (direct["dataset"] == direct["search_dataset"]).all()
    optimum = frame[frame["method"] == "optimal"].set_index("dataset")["mean"]
    assert (frame["mean"] <= frame["dataset"].map(optimum)).all()


def test_a_published_value_names_its_paper_and_table() -> None:
    keys = {"method": "gdas", "search_dataset": "cifar10", "dataset": "cifar10"}
    found = published_beside(protocol="transfer", **keys)
    assert (found["published_mean"], found["published_std"]) == (93.61, 0.09)
    assert found["published_source"] == "Li et al. ICLR 2021 (GAEA, arXiv 2004.07802), Table 2"
    assert published_beside(protocol="transfer", **{**keys, "method": "mine"}) == {}


def test_published_rows_replace_only_what_no_full_run_measured() -> None:
    reduced = make_run({"cifar10": 80.0, "cifar100": 50.0}, **SMALL)
    full = make_run({"cifar10": 94.0, "cifar100": 72.0}, method="gaea_darts", title="GAEA DARTS (ERM)")
    measured = comparison([reduced, full])
    rows = published_instead(measured, ["cifar10"])
    assert tuple(rows.columns) == tuple(measured.columns)
    assert "GDAS" in set(rows["label"])
    assert "GAEA DARTS (ERM)" not in set(rows["label"])
    assert set(rows["dataset"]) == {"cifar10"}
    assert "direct" not in set(rows["protocol"])


def test_on_the_data_set_searched_on_both_protocols_are_one_experiment() -> None:
    rs = make_run({"cifar10": 93.7}, method="rs", title="RS", block="standard HPO", cost_kind="simulated")
    measured = comparison([rs])
    assert set(measured["protocol"]) == {"direct"}
    published = published_instead(measured, ["cifar10", "cifar100"])
    assert published[published["method"] == "rs"]["dataset"].tolist() == ["cifar100"]
