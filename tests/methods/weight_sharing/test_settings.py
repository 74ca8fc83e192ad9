"""Settings of weight-sharing searches: contradictions are refused, and what is said to have no effect has none."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from weight_sharing import ONE_OF_EACH, digits, make, shown, trajectory

from nasbench_eval.errors import UsageError
from nasbench_eval.settings import has_effect
from runners.spec import RunSpec


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match="simplex: use eg or experts"):
        make("gaea_darts", arch_optimizer="adam")
    with pytest.raises(UsageError, match="uniform: use none"):
        make("rs_ws", arch_optimizer="adam")
    with pytest.raises(UsageError, match="needs a held-out valid part"):
        make("gaea_darts", genotype="best", images=dataclasses.replace(digits(), name="cifar10"))
    for name in ("darts", "xnas"):
        with pytest.raises(
            UsageError, match=r"arch_interval \(3\) must be at most the number of batches of an epoch \(2\)"
        ):
            make(name, arch_interval=3)
    make("rs_ws", arch_interval=3)  # has no architecture step


@pytest.mark.parametrize(
    ("method", "changes", "words"),
    [
        ("pc_darts", {"channels": 6}, "channels (6) must be a multiple of partial_channels (4)"),
        ("pc_darts", {"epochs": 15}, "arch_warmup_epochs (15) must be smaller than epochs (15)"),
        ("rs_ws", {"unrolled": True}, "unrolled needs an architecture step"),
        ("snas", {"unrolled": True}, "unrolled needs a mixture of all operations that is not drawn at random"),
        ("gaea_darts_bilevel", {"joint": True}, "joint needs objective=erm"),
        ("rs_ws", {"joint": True, "objective": "erm"}, "joint needs an architecture step"),
        ("setn", {"joint": True, "objective": "erm"}, "its two steps evaluate different networks"),
        ("gaea_darts", {"joint": True, "unrolled": True}, "joint and unrolled exclude each other"),
        ("gaea_darts", {"joint": True, "clip_architecture": True}, "joint and clip_architecture exclude each other"),
        ("drnas", {"arch_optimizer": "eg"}, "dirichlet: use adam (its concentrations are not a softmax)"),
        ("setn", {"genotype": "best"}, "setn chooses among candidate cells after every epoch: set genotype=last"),
        ("enas", {"genotype": "best"}, "controller chooses among candidate cells"),
        ("spos", {"genotype": "best"}, "uniform chooses among candidate cells"),
        ("fair_nas", {"genotype": "best"}, "fair chooses among candidate cells"),
        ("rs_ws", {"arch_optimizer": "eg"}, "uniform: use none (it learns no distribution)"),
    ],
)
def test_the_message_says_why_settings_are_refused(method: str, changes: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        _ = RunSpec(method, "digits", 0, overrides=changes).settings
    assert words in str(caught.value)


REFUSED = ("unrolled", "joint", "neumann_terms", "alignment", "selection", "hessian", "stop_factor")
"""What a search without an architecture step or a mixture refuses: ignored, it would be another search than meant."""


def other_value(field: dataclasses.Field[Any], value: Any) -> Any:
    """Another value that the setting allows."""
    if field.metadata["choices"]:
        return next(choice for choice in field.metadata["choices"] if choice != value)
    if isinstance(value, bool):
        return not value
    return 1 if value is None or isinstance(value, int) else 0.5 * value + 0.01


@pytest.mark.parametrize("name", [*ONE_OF_EACH, "gaea_darts_bilevel", "xnas"])
def test_settings_that_are_said_to_have_no_effect_have_none(name: str) -> None:
    method = make(name)
    values = dataclasses.asdict(method.settings)
    idle = [field for field in dataclasses.fields(method.settings) if not has_effect(field, values)]
    changes = {field.name: other_value(field, values[field.name]) for field in idle if field.name not in REFUSED}
    assert changes
    assert trajectory(make(name, **changes), 1) == shown(name, 1)
