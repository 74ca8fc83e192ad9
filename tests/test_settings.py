"""Settings that no search can have are refused before it starts."""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import Any

import pytest
from command import call

from nasbench_eval.errors import UsageError
from nasbench_eval.methods import METHODS, load_method
from nasbench_eval.settings import build_settings, setting
from nasbench_eval.training.recipes import Schedule, TrainingSettings
from runners.presets import preset_names
from runners.spec import RunSpec


@dataclasses.dataclass(frozen=True)
class Bounded:
    free: float = setting("any number", default=0.0)
    rate: float = setting("a rate", default=0.5, above=0, below=1)
    share: float | None = setting("a share", default=0.5, at_least=0, at_most=1)
    count: int = setting("a count", default=3, at_least=2)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"free": math.inf}, "free must be a finite number, at most 1e+30; got inf"),
        ({"free": -math.inf}, "free must be a finite number, at most 1e+30; got -inf"),
        ({"free": math.nan}, "free must be a finite number, at most 1e+30; got nan"),
        ({"rate": 1e300}, "rate must be a finite number"),
        ({"share": math.nan}, "share must be a finite number, at most 1e+30; got nan"),
        ({"rate": 0}, "rate must be above 0; got 0.0"),
        ({"rate": 1}, "rate must be below 1; got 1.0"),
        ({"share": -0.1}, "share must be at least 0; got -0.1"),
        ({"share": 1.1}, "share must be at most 1; got 1.1"),
        ({"count": 1}, "count must be at least 2; got 1"),
        ({"count": 10**400}, "count is too large"),
        ({"free": 10**400}, "free is too large"),
        ({"count": True}, "count must be an integer; got True"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_the_bound(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        build_settings(Bounded, values, owner="test")
    assert words in str(caught.value)


def test_the_bounds_themselves_are_as_declared() -> None:
    assert build_settings(Bounded, {"share": 1, "rate": 0.999, "count": 2}, owner="test").share == 1.0
    assert build_settings(Bounded, {"share": 0}, owner="test").share == 0.0
    assert build_settings(Bounded, {"share": "none"}, owner="test").share is None


CLASSES = [*dict.fromkeys(load_method(name).Settings for name in METHODS), Schedule, TrainingSettings]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_number_of_every_settings_class_has_a_lower_bound_and_must_be_finite(cls: type[Any]) -> None:
    hints = typing.get_type_hints(cls)
    numbers = [
        field
        for field in dataclasses.fields(cls)
        if {int, float} & {hints[field.name], *typing.get_args(hints[field.name])}
    ]
    assert numbers
    for field in numbers:
        bounds = field.metadata["bounds"]
        assert bounds["at least"] is not None or bounds["above"] is not None, field.name
        for value in (-1, -0.5, math.inf, math.nan):
            with pytest.raises(UsageError):
                build_settings(cls, {field.name: value}, owner="test")


@pytest.mark.parametrize(
    ("method", "change"),
    [
        ("gaea_darts", "lr=inf"),
        ("gaea_darts", "lr=nan"),
        ("gaea_darts", "arch_lr=inf"),
        ("gaea_darts", "clip=0"),
        ("gaea_darts", "momentum=1.5"),
        ("darts", "momentum=0"),  # Nesterov momentum needs one
        ("darts", "arch_beta1=1"),
        ("darts", "arch_eps=0"),
        ("gdas", "tau_min=0"),
        ("gdas", "tau_max=0"),
        ("enas", "controller_decay=2"),
        ("rs", "budget_seconds=inf"),
        ("rs", "budget_seconds=0"),
        ("bohb", "random_fraction=1.5"),
        ("bohb", "min_bandwidth=0"),
        ("reinforce", "baseline_momentum=1"),
        ("rea", f"population={10**30}"),
    ],
)
def test_impossible_settings_are_a_wrong_call(method: str, change: str, home: Any, capsys: Any) -> None:
    assert call("run", "--method", method, "--dataset", "digits", "--set", change, "--table", "missing") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("nbeval: ")
    assert change.partition("=")[0] in line
    assert not list(home.iterdir())


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_within_the_bounds(name: str) -> None:
    for dataset in ("cifar10", "cifar100", "imagenet16-120", "digits"):
        assert RunSpec(name, dataset, 0).settings
