"""The table as objective: rewards, costs, fidelities and single trials."""

from __future__ import annotations

import numpy as np
import pytest
from tabular_problems import columns, table

from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.methods.tabular.objective import TableObjective
from nasbench_eval.table import Key

CELL = Cell((0, 1, 2, 3, 4, 0))
I = CELL.index  # noqa: E741
PASS = Key("cifar10", 12, "valid", "eval_seconds")


@pytest.fixture(scope="module")
def made():
    return columns()


def test_a_query_costs_training_and_where_it_is_known_a_validation_pass(made):
    accuracy, training = (
        float(made[Key("cifar10", 12, "valid", "accuracy")][I]),
        made[Key("cifar10", 12, "train", "train_seconds")][I].astype(float),
    )
    assert TableObjective(table(made), "cifar10").evaluate(CELL, "12") == (accuracy, training)
    both = table({**made, PASS: np.full(15_625, 4.0)})
    assert TableObjective(both, "cifar10").evaluate(CELL, "12") == (accuracy, training + 4)
    assert TableObjective(both, "cifar10", "charged").evaluate(CELL, "12") == (accuracy, training + 4)
    assert TableObjective(both, "cifar10", "free").evaluate(CELL, "12") == (accuracy, training)
    with pytest.raises(NbevalError, match=r"no column cifar10/12/valid/eval_seconds/mean.*validation_pass=free"):
        TableObjective(table(made), "cifar10", "charged").evaluate(CELL, "12")


def test_words_say_what_is_charged(made):
    objective = TableObjective(table(made), "cifar10")
    assert objective.describe(["12"]).endswith(
        "training only (validation passes are not charged: the table has no eval_seconds of the valid split)"
    )
    both = table({**made, PASS: np.full(15_625, 4.0)})
    assert TableObjective(both, "cifar10").describe(["12"]) == (
        "reward: the trials' mean validation accuracy at 12 epochs; cost of a query: training and one validation pass"
    )
    assert (
        TableObjective(both, "cifar10", "free").describe(["12"]).endswith("(validation passes are not charged: as set)")
    )


def test_an_epoch_of_a_schedule_costs_its_share_and_takes_the_curve(made, monkeypatch):
    built = table(made)
    curves = np.tile(np.arange(12.0, dtype=np.float32), (15_625, 1))
    monkeypatch.setattr(built, "curves", lambda dataset, split, *, epochs, trial: curves)
    accuracy, seconds = TableObjective(built, "cifar10").evaluate(CELL, "4/12")
    assert accuracy == 3
    assert seconds == pytest.approx(built.train_seconds(CELL, "cifar10", epochs=12) / 3)


def test_rewards_and_costs_of_official_files_are_what_the_api_says(tmp_path):
    pytest.importorskip("torch")
    import official_layout
    from nas_201_api import ArchResults

    from nasbench_eval.table.sources.build import build_table

    content = official_layout.write_pth(tmp_path / "official.pth", [3, 8])
    built = build_table(tmp_path / "official.pth", tmp_path / "table.parquet", curves=True, partial=True, workers=1)
    objective = TableObjective(built, "cifar10", "charged")
    for index in (3, 8):
        records = ArchResults.create_from_state_dict(content["arch2infos"][index]["less"])
        trials = [records.query("cifar10-valid", seed) for seed in (111, 777)]
        per_epoch = trials[0].get_train()["cur_time"]
        for fidelity, epoch in (("1/12", 0), ("4/12", 3), ("12", 11)):
            accuracies = [trial.get_eval("x-valid", epoch)["accuracy"] for trial in trials]
            reward, seconds = objective.evaluate(Cell.from_index(index), fidelity)
            assert reward == pytest.approx(np.mean(accuracies), abs=1e-4)
            assert seconds == pytest.approx(
                (epoch + 1) * per_epoch + trials[0].get_eval("x-valid")["cur_time"], rel=1e-5
            )
            assert objective.evaluate(Cell.from_index(index), fidelity, 0.9)[0] == pytest.approx(
                accuracies[1], abs=1e-4
            )


def test_without_curves_an_epoch_is_an_error(made, tmp_path):
    with pytest.raises(NbevalError, match=r"no learning curves at .*table build --curves"):
        TableObjective(table(made, tmp_path), "cifar10").evaluate(CELL, "4/12")


@pytest.mark.parametrize("text", ["x", "13/12", "0/12", "12.5", ""])
def test_what_is_no_fidelity(made, text):
    with pytest.raises(UsageError, match="a fidelity is a schedule"):
        TableObjective(table(made), "cifar10").evaluate(CELL, text)


def test_a_draw_picks_one_of_the_trials_that_were_run(made):
    with pytest.raises(NbevalError, match=r"only the mean of cifar10/12/valid/accuracy, no single trials.*reward=mean"):
        TableObjective(table(made), "cifar10").describe(["12"], single_trials=True)
    trials = {Key("cifar10", 12, "valid", "accuracy", t): np.full(15_625, float(t)) for t in ("10", "20", "30")}
    trials[Key("cifar10", 12, "valid", "accuracy", "20")][I] = np.nan
    mean = {k: v for k, v in made.items() if k[1:4] != (12, "valid", "accuracy")}
    objective = TableObjective(table({**mean, **trials}), "cifar10")
    assert [objective.evaluate(CELL, "12", draw)[0] for draw in (0.0, 0.49, 0.5, 0.99)] == [10, 10, 30, 30]
    assert objective.evaluate(CELL, "12")[0] == 20
    assert "one random trial's" in objective.describe(["12"], single_trials=True)


def test_a_missing_number_is_an_error(made):
    gap = {key: values.copy() for key, values in made.items()}
    gap[Key("cifar10", 12, "valid", "accuracy")][I] = np.nan
    with pytest.raises(NbevalError, match=f"cell {I} at fidelity 12"):
        TableObjective(table(gap), "cifar10").evaluate(CELL, "12")
