"""What the architecture of an author's own search may do, what is kept of it, and what the author is told."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from weight_sharing import digits, stored, tiny, trajectory

from nasbench_eval.errors import UsageError
from nasbench_eval.methods import SearchContext
from nasbench_eval.methods.weight_sharing import Logits, Mixture, WeightSharing
from nasbench_eval.methods.weight_sharing.base import Score
from nasbench_eval.utils.rng import Streams
from runners.spec import RunSpec


class Greedy(Mixture):
    """Decides an edge after each epoch, as SGAS does."""

    def learn(self, score: Score, generator: torch.Generator) -> dict[str, float]:
        edge = len(self.decided)
        self.decided[edge] = self.ops[int(self.probabilities()[edge].argmax())]  # type: ignore[index]
        return {}


class Deciding(WeightSharing):
    """Decides edges during the search."""

    def new_architecture(self, ops: tuple[int, ...], generator: torch.Generator) -> Greedy:
        return Greedy(Logits(ops, generator))


def own(cls: type[WeightSharing] = Deciding, **changes: Any) -> WeightSharing:
    settings = RunSpec("darts", "digits", 0, overrides={**tiny("darts"), **changes}).settings
    return cls(settings, SearchContext("digits", Streams(0), digits()))


@pytest.mark.parametrize("stop", [1, 2])
def test_a_resumed_search_knows_the_edges_that_it_had_decided(stop: int) -> None:
    method = own()
    shown = trajectory(method, stop)
    state = stored(method.state_dict())
    shown += trajectory(method, 3 - stop)
    resumed = own()
    resumed.load_state_dict(state)
    assert list(resumed.architecture.decided) == list(range(stop))
    assert trajectory(resumed, 3 - stop) == shown[stop:]


def test_a_finished_search_is_measured_with_the_edges_that_it_had_decided() -> None:
    method = own()
    trajectory(method)
    artifact = stored(method.artifact())
    assert method.architecture.decided
    again = own()
    assert again.discretisation(artifact, method.incumbent()) == method.discretisation(artifact, method.incumbent())
    assert again.architecture.decided == method.architecture.decided


def test_a_state_from_before_decided_edges_were_kept_still_loads() -> None:
    method = own()
    method.step()
    state, artifact = method.state_dict(), method.artifact()
    del state["decided"], artifact["decided"]
    resumed = own()
    resumed.load_state_dict(state)
    assert resumed.epoch == 1
    assert len(resumed.discretisation(artifact, method.incumbent())) == 3
    assert resumed.architecture.decided == {}


@pytest.mark.parametrize(
    ("returned", "words"), [(lambda ops, g: Logits(ops, g), "a Logits"), (lambda ops, g: None, "None")]
)
def test_an_architecture_that_is_none_is_named_with_what_to_return(returned: Any, words: str) -> None:
    class Wrong(WeightSharing):
        def new_architecture(self, ops: tuple[int, ...], generator: torch.Generator) -> Any:
            return returned(ops, generator)

    what = r"Wrong.new_architecture must return an ArchParameters, such as Mixture\(distribution\); it returned "
    with pytest.raises(UsageError, match=what + words):
        own(Wrong)
