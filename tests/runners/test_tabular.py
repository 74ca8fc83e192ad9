"""Hundreds of runs of a search in the table: budget, truth, files, what is run again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from tabular_problems import columns, table

from nasbench_eval.cell import Cell
from nasbench_eval.errors import Diverged, UsageError
from nasbench_eval.images import ImageData
from nasbench_eval.methods.tabular.objective import TableObjective
from nasbench_eval.runs.store import Run, load_runs, read_runs, write_bundle
from nasbench_eval.table import Key, Table
from runners import record, tabular
from runners.cli.run import run as run_command
from runners.context import Inputs, RunContext
from runners.execute import run_all
from runners.executors import make_executor
from runners.locks import Lock
from runners.lookup import TableLookup
from runners.spec import RunSpec
from runners.steps import take_steps


@pytest.fixture(scope="module")
def made():
    return columns()


def run_variant(specs: list[RunSpec], context: RunContext, *on_run: Any) -> list[Run]:
    outcome = tabular.run_variant(specs, context, *on_run)
    assert not outcome.failures
    return outcome.runs


def context_of(folder: Path, made: Mapping[Key, np.ndarray]) -> RunContext:
    lookup = TableLookup(table(made))
    return RunContext(folder, no_images, tables={"cifar10": lookup, "digits": lookup})


def no_images(name: str) -> ImageData:
    raise AssertionError("a tabular search needs no images")


def specs(count: int, method: str = "rs", dataset: str = "cifar10", **changes) -> list[RunSpec]:
    return [RunSpec(method, dataset, seed, overrides={"budget_seconds": 1500.0, **changes}) for seed in range(count)]


class NoTest(Mapping[Key, np.ndarray]):
    """Columns that must not be read where they hold a test accuracy."""

    def __init__(self, made):
        self.made = made

    def __getitem__(self, key):
        assert "test" not in key.split
        return self.made[key]

    def __iter__(self):
        return iter(self.made)

    def __len__(self):
        return len(self.made)


@pytest.mark.parametrize("name", ["rs", "rea", "reinforce", "bohb", "local_search"])
def test_no_method_reads_a_test_accuracy(made, name):
    guarded = Table(NoTest(made), table(made).metadata)
    (spec,) = specs(1, name)
    assert len(list(take_steps(tabular.new_method(spec, TableObjective(guarded, "cifar10"))))) > 5


def test_the_query_that_overruns_the_budget_does_not_count(made, tmp_path):
    made = {**made, Key("cifar10", 12, "train", "train_seconds"): np.full(15_625, 400.0)}
    (spec,) = specs(1)
    (run,) = run_variant([spec], context_of(tmp_path, made))
    assert list(run.steps["total_seconds"]) == [400, 800, 1200]
    (exact,) = run_variant(specs(1, budget_seconds=1200.0), context_of(tmp_path, made))
    assert len(exact.steps) == 3
    with pytest.raises(
        UsageError, match="one step costs 400 simulated seconds: budget_seconds=399 is too small for one"
    ):
        run_variant(specs(1, budget_seconds=399.0), context_of(tmp_path, made))


def test_rows_hold_the_incumbent_by_reward_and_its_true_accuracy(made, tmp_path):
    context = context_of(tmp_path, made)
    rewards = made[Key("cifar10", 12, "valid", "accuracy")]
    truth = context.tables["cifar10"].table
    for run in run_variant(specs(6), context):
        steps = run.steps
        for number, row in enumerate(steps.to_dict("records")):
            queried = steps["queried"][: number + 1]
            best = Cell.from_index(int(max(queried, key=lambda i: rewards[i])))
            assert row["cell"] == str(best)
            assert row["valid_acc"] == rewards[row["queried"]]
            assert row["test_acc.cifar10"] == truth.accuracy(best, "cifar10", "test", epochs=200)
            assert {op: row[f"n_{op}"] for op in best.counts()} == best.counts()
        assert steps["total_seconds"].iloc[-1] == pytest.approx(steps["seconds"].sum())
    record = run.record
    assert (record.cost_kind, record.truth, record.device, record.scale) == ("simulated", "table", "", "full")
    assert "not charged: the table has no eval_seconds" in record.split
    assert record.reductions == ("budget_seconds 12000.0 -> 1500.0",)


@pytest.mark.parametrize("method", ["rs", "rea"])
def test_each_seed_is_another_search(made, tmp_path, method):
    runs = run_variant(specs(3, method), context_of(tmp_path, made))
    assert len({tuple(run.steps["queried"]) for run in runs}) == 3


def test_runs_of_a_variant_are_one_file_and_come_back_as_they_were(made, tmp_path):
    runs = run_variant(specs(5), context_of(tmp_path, made))
    (path,) = (tmp_path / "runs").iterdir()
    assert path.name.startswith(f"rs-cifar10-{runs[0].record.variant_id}-5runs-")
    for back, run in zip(load_runs([tmp_path]), runs, strict=True):
        assert back.record == run.record
        pd.testing.assert_frame_equal(back.steps, run.steps)
    with pytest.raises(ValueError, match="different variant"):
        write_bundle(tmp_path, [*runs, *run_variant(specs(1, "rea"), context_of(tmp_path, made))])


def test_a_simulated_cost_is_that_of_no_device(made, tmp_path, monkeypatch):
    monkeypatch.setattr(record, "threads", lambda: 3)
    (run,) = run_all(specs(1), Inputs(tmp_path, table=table(made))).runs
    assert (run.record.device, run.record.threads) == ("", 1)


def test_one_run_is_a_file_of_its_own_with_the_same_rows(made, tmp_path):
    many = run_variant(specs(3), context_of(tmp_path / "many", made))
    spec, folder = specs(3)[2], tmp_path / "one"
    (alone,) = run_all([spec], Inputs(folder, table=table(made))).runs
    assert [p.name for p in (folder / "runs").iterdir()] == [context_of(folder, made).run_file(spec).name]
    pd.testing.assert_frame_equal(alone.steps, many[2].steps)
    (stored,) = run_all([spec], Inputs(folder, table=table(made))).runs
    assert stored.record == alone.record


def test_inputs_of_searches_that_train_are_said_to_have_no_effect(made, tmp_path, caplog):
    run_all(specs(1), Inputs(tmp_path, table=table(made)))
    assert not caplog.records
    run_all(specs(1), Inputs(tmp_path, "cpu", table=table(made), workers=2))
    assert caplog.messages == ["--device, --workers have no effect: searches in the table train nothing"]
    caplog.clear()
    reduced = [replace(specs(1)[0], scale="small")]
    run_all(reduced, Inputs(tmp_path, table=table(made)), executor=make_executor(options={"gpus": "0"}))
    assert caplog.messages == [
        "--scale, --executor-option have no effect: searches in the table train nothing",
    ]


def test_only_what_is_missing_is_run(made, tmp_path):
    context = context_of(tmp_path, made)
    first = run_variant(specs(3), context)
    seen: list[tuple[int, bool]] = []
    again = run_variant(specs(5), context, lambda run, new: seen.append((run.record.seed, new)))
    assert seen == [(0, False), (1, False), (2, False), (3, True), (4, True)]
    assert [run.record for run in again[:3]] == [run.record for run in first]
    assert sorted(run.record.seed for run in load_runs([tmp_path])) == [0, 1, 2, 3, 4]


def test_a_variant_whose_lock_was_lost_is_left_to_its_new_owner(made, tmp_path):
    context = context_of(tmp_path, made)

    def lose(run: Run, new: bool) -> None:
        for path in (tmp_path / "locks").glob("*.lock"):
            path.unlink()

    found = tabular.run_variant(specs(3), context, lose)
    assert [run.record.seed for run in found.runs] == [0, 1, 2]
    assert len(load_runs([tmp_path])) == 3, "written by the second try, which had the lock"


@pytest.mark.parametrize("write_every", [0.0, 20.0])
def test_a_variant_that_somebody_else_has_by_now_is_not_written(made, tmp_path, monkeypatch, write_every):
    monkeypatch.setattr(tabular, "WRITE_EVERY", write_every)

    def lose(run: Run, new: bool) -> None:
        [path] = (tmp_path / "locks").iterdir()
        path.write_text(json.dumps(json.loads(path.read_text()) | {"token": "another"}))

    found = tabular.run_variant(specs(3), context_of(tmp_path, made), lose)
    assert not found.runs
    assert [each.run_id for each in found.in_use] == [spec.run_id for spec in specs(3)]
    assert not list(tmp_path.glob("runs/*"))


def test_a_data_set_may_have_brackets_in_its_name(made, tmp_path):
    dataset = "my[1]"
    own = {key._replace(dataset=dataset): values for key, values in made.items() if key.dataset == "cifar10"}
    context = RunContext(tmp_path, no_images, tables={dataset: TableLookup(table(own))})
    asked = specs(3, dataset=dataset)
    run_variant(asked, context)
    assert tabular.missing(asked, context) == []


def test_what_somebody_else_finishes_before_the_lock_is_taken_is_not_run_again(made, tmp_path, monkeypatch):
    context, take = context_of(tmp_path, made), Lock.take

    def late(lock: Lock, **options: Any) -> Any:
        monkeypatch.setattr(Lock, "take", take)
        run_variant(specs(3), context)
        return take(lock, **options)

    monkeypatch.setattr(Lock, "take", late)
    seen: list[tuple[int, bool]] = []
    run_variant(specs(4), context, lambda run, new: seen.append((run.record.seed, new)))
    assert seen == [(0, False), (1, False), (2, False), (3, True)]
    assert sorted(run.record.seed for run in load_runs([tmp_path])) == [0, 1, 2, 3]


def test_a_tabular_run_that_diverged_is_not_repeated(made, tmp_path, monkeypatch):
    context, asked = context_of(tmp_path, made), []
    whole = tabular.take_steps

    def diverge(method):
        asked.append(method)
        if len(asked) == 2:
            raise Diverged(0, "reward is nan")
        yield from whole(method)

    monkeypatch.setattr(tabular, "take_steps", diverge)
    for count in (3, 3, 5):  # nor where other seeds are still to be run
        outcome = tabular.run_variant(specs(count), context)
        assert [run.record.seed for run in outcome.runs] == [0, *range(2, count)]
        assert [failure.seed for failure in outcome.failures] == [1]
    assert len(asked) == 5


def test_choosing_costs_what_the_method_says_also_in_a_table(made, tmp_path, monkeypatch):
    whole = tabular.take_steps
    monkeypatch.setattr(
        tabular,
        "take_steps",
        lambda method: ((replace(info, selection_seconds=5.0), total + 5) for info, total in whole(method)),
    )
    [run] = run_variant(specs(1), context_of(tmp_path, made))
    assert run.steps["total_seconds"].tolist() == pytest.approx((run.steps["seconds"].cumsum() + 5).tolist())
    assert set(run.steps["selection_seconds"]) == {5.0}


@pytest.mark.parametrize(("write_every", "files"), [(0.0, 3), (20.0, 1)])
def test_an_interrupted_command_keeps_what_it_finished(made, tmp_path, monkeypatch, write_every, files):
    monkeypatch.setattr(tabular, "WRITE_EVERY", write_every)
    context = context_of(tmp_path, made)

    def stop(run: Run, new: bool) -> None:
        if run.record.seed == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_variant(specs(4), context, stop)
    assert sorted(run.record.seed for run in load_runs([tmp_path])) == [0, 1, 2]
    assert len(list((tmp_path / "runs").iterdir())) == files
    resumed = run_variant(specs(4), context)
    whole = run_variant(specs(4), context_of(tmp_path / "whole", made))
    for one, other in zip(resumed, whole, strict=True):
        pd.testing.assert_frame_equal(one.steps, other.steps)


def test_with_another_table_the_runs_are_repeated_and_replaced(made, tmp_path):
    run_variant(specs(3), context_of(tmp_path, made))
    other = context_of(tmp_path, columns(seed=1))
    runs = run_variant(specs(2), other)
    # Seed 2 of the old table is still there: its file stays.
    assert sorted(run.record.seed for run in load_runs([tmp_path])) == [0, 0, 1, 1, 2]
    run_variant(specs(3), other)
    loaded = load_runs([tmp_path])
    assert sorted(run.record.seed for run in loaded) == [0, 1, 2]
    assert len({run.record.table.content_hash for run in loaded if run.record.table}) == 1
    assert runs[0].record in [run.record for run in loaded]


def test_budgets_of_nats_depend_on_the_data_set():
    budgets = [RunSpec("rs_nats", d, 0).settings.budget_seconds for d in ("cifar10", "cifar100", "imagenet16-120")]
    assert budgets == [20_000, 40_000, 120_000]
    assert RunSpec("reinforce_nats", "cifar100", 0).settings.budget_seconds == 40_000
    assert RunSpec("rs", "cifar100", 0).settings.budget_seconds == 12_000
    assert not RunSpec("rs_nats", "cifar100", 0).reductions({})


# The command


def command(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(run_command, words)
    return result.exit_code, str(result.exception) if result.exception else result.output


def test_the_command_prints_a_summary_and_says_what_was_there(made, tmp_path):
    built = table(made, tmp_path)
    words = ("--method", "rs,rea", "--dataset", "cifar10", "--seeds", "3", "--set", "budget_seconds=1500")
    places = ("--table", str(built.path), "--results", str(tmp_path / "results"))
    code, text = command(*words, *places)
    assert code == 0
    assert "validation passes are not charged: the table has no eval_seconds" in text.replace("\n  ", " ")
    assert "reduced means budget_seconds 12000.0 -> 1500.0" in text.lower().replace("\n  ", " ")
    code, text = command(*words, *places)
    assert code == 0
    assert "3 runs complete, 3 of them before" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--dataset", "digits"), "unknown data set in the table 'digits'"),
        (("--dataset", "cifar10", "--set", "validation_pass=charged"), "no column cifar10/12/valid/eval_seconds/mean"),
        (("--dataset", "cifar10", "--set", "fidelity=200"), "no column cifar10/200/valid/accuracy/mean"),
        (("--dataset", "cifar10", "--set", "budget=3"), "did you mean 'budget_seconds'"),
    ],
)
def test_what_cannot_run_is_said_before_anything_runs(made, tmp_path, words, message):
    built = table(made, tmp_path)
    code, text = command("--method", "rs", *words, "--table", str(built.path), "--results", str(tmp_path / "results"))
    assert code == 1
    assert message in text
    assert not (tmp_path / "results").exists()


def test_a_tabular_search_needs_the_table(tmp_path):
    code, text = command("--method", "rs", "--dataset", "cifar10", "--truth", "none", "--results", str(tmp_path))
    assert code == 1
    assert "rs queries the benchmark table: it cannot run with --truth none" in text


def test_the_command_loads_no_torch(made, tmp_path):
    built = table(made, tmp_path)
    code = (
        "import sys; from runners.cli.run import run; run.main(sys.argv[1:], standalone_mode=False); "
        "print('torch' in sys.modules)"
    )
    words = ["--method", "rs,reinforce", "--dataset", "cifar10", "--seeds", "2", "--set", "budget_seconds=500"]
    words += ["--table", str(built.path), "--results", str(tmp_path / "results")]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_reading_a_bundle_file_alone(made, tmp_path):
    run_variant(specs(2), context_of(tmp_path, made))
    (path,) = (tmp_path / "runs").iterdir()
    assert [run.record.seed for run in read_runs(path)] == [0, 1]
