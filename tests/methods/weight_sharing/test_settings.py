"""Settings of weight-sharing searches that contradict each other are refused."""

from __future__ import annotations

import dataclasses

import pytest
from weight_sharing import digits, make

from nasbench_eval.errors import UsageError
from runners.spec import RunSpec


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match="softmax: use adam"):
        make("darts", arch_optimizer="eg")
    with pytest.raises(UsageError, match="uniform: use none"):
        make("rs_ws", arch_optimizer="adam")
    with pytest.raises(UsageError, match="needs a held-out valid part"):
        make("gaea_darts", genotype="best", images=dataclasses.replace(digits(), name="cifar10"))


@pytest.mark.parametrize(
    ("method", "changes", "words"),
    [
        ("pc_darts", {"channels": 6}, "channels (6) must be a multiple of partial_channels (4)"),
        ("pc_darts", {"epochs": 15}, "arch_warmup_epochs (15) must be smaller than epochs (15)"),
        ("rs_ws", {"unrolled": True}, "unrolled needs an architecture step"),
        ("drnas", {"arch_optimizer": "eg"}, "dirichlet: use adam"),
    ],
)
def test_the_message_says_why_settings_are_refused(method: str, changes: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        _ = RunSpec(method, "digits", 0, overrides=changes).settings
    assert words in str(caught.value)
