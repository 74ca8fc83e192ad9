"""Optuna's samplers as searches: names, options, what is told, resuming, and silence."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import optuna
import pytest
from command import call
from tabular_problems import Problem, hill, make, steps

from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.methods import load_method
from nasbench_eval.methods.tabular import optuna_sampler
from nasbench_eval.methods.tabular.base import TabularSettings
from nasbench_eval.utils.rng import Streams
from runners.spec import RunSpec


def test_a_search_asks_and_tells_as_a_study_does() -> None:
    problem = Problem(hill)
    method = make("optuna:TPESampler", seed=3, problem=problem, n_startup_trials=5, multivariate=False)
    steps(method, 30)
    seed = int(Streams(3).numpy("optuna").integers(2**32))
    with optuna_sampler._quiet():
        sampler = optuna.samplers.TPESampler(n_startup_trials=5, multivariate=False, seed=seed)
        study = optuna.create_study(direction="maximize", sampler=sampler)

        def objective(trial: optuna.Trial) -> float:
            names = ("1<-0", "2<-0", "2<-1", "3<-0", "3<-1", "3<-2")
            return 40.0 + 5 * sum(trial.suggest_categorical(name, range(5)) == 3 for name in names)

        study.optimize(objective, n_trials=30)
    assert [tuple(trial.params.values()) for trial in study.trials] == [cell.ops for cell, _ in problem.queries]


def test_the_settings_are_the_plain_options_of_the_sampler() -> None:
    settings = load_method("optuna:TPESampler").Settings
    own = {field.name for field in dataclasses.fields(settings)} - {f.name for f in dataclasses.fields(TabularSettings)}
    assert {"n_startup_trials", "n_ei_candidates", "multivariate"} <= own
    assert not own & {"seed", "gamma", "weights", "constraints_func"}
    assert RunSpec("optuna:TPESampler", "digits", 0).settings.budget_seconds == 350


@pytest.mark.parametrize("name", ["optuna:NSGAIISampler", "optuna:BruteForceSampler"])
def test_a_search_is_resumed_from_plain_values(name: str) -> None:
    changes = {"population_size": 4} if "NSGA" in name else {}
    whole = steps(make(name, **changes), 12)
    first = make(name, **changes)
    steps(first, 7)
    second = make(name, **changes)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert steps(second, 5) == whole[7:]
    third = make(name, seed=1, **changes)
    with pytest.raises(NbevalError, match="was Optuna updated"):
        third.load_state_dict(first.state_dict())


def test_every_cell_asked_for_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna_sampler, "N_OPS", 2)
    with pytest.raises(UsageError, match="has asked for every cell"):
        steps(make("optuna:BruteForceSampler"), 64)


def test_options_and_version_are_part_of_the_identity() -> None:
    plain = RunSpec("optuna:TPESampler", "digits", 0)
    assert RunSpec("optuna:TPESampler", "digits", 0, overrides={"n_startup_trials": 3}).variant_id != plain.variant_id
    assert RunSpec("optuna:RandomSampler", "digits", 0).variant_id != plain.variant_id
    assert plain.source == f"optuna {optuna.__version__}"
    assert RunSpec("tpe", "digits", 0).source == plain.source


def test_a_run_is_silent_and_its_file_names_the_sampler(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    optuna.logging.set_verbosity(optuna.logging.INFO)
    changes = ["--set", "n_startup_trials=4", "--seeds", "2"]
    assert call("run", "--method", "optuna:TPESampler", "--dataset", "digits", *changes) == 0
    said = capfd.readouterr()
    assert "TPESampler (Optuna)" in said.out
    assert "[n_startup_trials=4]" in said.out
    assert "study" not in said.err
    assert optuna.logging.get_verbosity() == optuna.logging.INFO
    [path] = (home / "results" / "runs").glob("*.parquet")
    assert path.name.startswith("optuna.TPESampler-digits-")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["optuna:TPE"], "unknown Optuna sampler 'TPE': "),
        (["optuna:TPESampeler"], "did you mean 'TPESampler'?"),
        (["optuna:GridSampler"], "unknown Optuna sampler 'GridSampler'"),
        (["optuna:CmaEsSampler"], "would be random search"),
        (["optuna:TPESampler", "--set", "n_startup=3"], "did you mean 'n_startup_trials'?"),
        (["optuna:NSGAIISampler", "--set", "population_size=1"], "must be greater than or equal to 2"),
    ],
)
def test_a_wrong_sampler_or_option_is_one_clear_line(
    arguments: list[str], words: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", "--dataset", "digits", "--method", *arguments) == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == 1


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    optuna_sampler.sampler_search.cache_clear()
    with pytest.raises(NbevalError, match=r"optuna:TPESampler needs Optuna: pip install 'nbeval\[optuna\]'"):
        load_method("optuna:TPESampler")
