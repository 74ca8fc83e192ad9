"""The rules that every search method must follow, checked on a tiny problem; custom methods use it too."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from nasbench_eval.cell import N_CELLS, N_EDGES, Cell
from nasbench_eval.methods.base import SearchContext, SearchMethod, StepInfo
from nasbench_eval.runs.store import is_filled_by_runner
from nasbench_eval.utils.rng import Streams

if TYPE_CHECKING:
    from nasbench_eval.images import ImageData, Images

TINY = {
    "channels": 4, "cells": 1, "epochs": 3, "batch_size": 16, "train_images": 24, "valid_images": 20,
    "valid_batch_size": 8, "select_cells": 4, "lr_epochs": 4, "controller_steps": 2, "controller_samples": 3,
    "arch_warmup_epochs": 0, "predictor_epochs": 2, "arch_interval": 2, "perturbation_steps": 2,
    "projection_interval": 1, "split_epochs": 1, "evolution_population": 4, "evolution_generations": 2, "candidates": 4,
}  # fmt: skip
"""Sizes at which an epoch of a weight-sharing search takes a fraction of a second."""

_ROUNDING = 1e-3
"""How far a sum of probabilities may be from 1; the clamp of GAEA GDAS alone adds up to 5e-5."""

Make = Callable[[SearchContext], SearchMethod]
"""Makes a method from a context, always with the same settings."""


def shrunk(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with every size reduced to at most its value in ``TINY``."""
    cut = {key: TINY[key] if value is None else min(value, TINY[key]) for key, value in settings.items() if key in TINY}
    if settings.get("stage_two_epoch") is not None:  # None means one stage
        cut["stage_two_epoch"] = 1
    return {**settings, **cut}


def violations(make: Make, needs: Literal["images", "table"], steps: int) -> list[str]:
    """Return the rules that a method breaks, one sentence each; an empty list if it follows them all.

    Args:
        make: Makes the method.
        needs: What the method needs.
        steps: Number of steps to take, at least 2; the budget of the method must allow them.
    """
    method = make(tiny_context(needs, 0))
    if at_first := _no_distribution(method):
        return [at_first]
    wrong, first = _first_step(method)
    if wrong:
        return wrong
    whole = [first, *trajectory(method, steps - 1)]
    found = [] if (at_last := _no_distribution(method)) is None else [at_last]
    other = make(tiny_context(needs, 1))
    if all(trajectory(other, 1) == [shown] for shown in whole):  # ends at the first difference
        found.append("seeds 0 and 1 give the same search: draw random numbers from context.streams")
    stops = sorted({1, steps // 2})
    # One search answers three questions; only where it differs does another tell apart what it depends on.
    shown, states, alien = _stopped(make, needs, steps, stops, other_test=True)
    if shown != whole and not alien and needs == "images":
        shown, states, alien = _stopped(make, needs, steps, stops, other_test=False)
        if shown == whole:
            found.append(
                "with other test images it searches differently: a search may use the train and valid parts only"
            )
    if alien:
        return [*found, f"{alien}: a state may hold tensors, numbers, strings, None, and lists and dicts of them"]
    if shown != whole:
        found.insert(0, "two searches with seed 0 differ: draw every random number from context.streams")
    wrongly = [
        f"after step {stop}"
        for stop in stops
        if _resumed(make, needs, _stored(states[stop], needs), steps - stop) != whole[stop:]
    ]
    if steps > 2 and not wrongly and (stop := _first_wrong_link(make, needs, states[1], whole)):
        wrongly = [f"after each of steps 1 to {stop}"]
    return found + [f"resumed from its state {when}, it does not continue as if never stopped" for when in wrongly]


def _stopped(
    make: Make, needs: Literal["images", "table"], steps: int, stops: Sequence[int], *, other_test: bool
) -> tuple[list[str], dict[int, dict[str, Any]], str | None]:
    """Search with seed 0 until a state holds a value that a checkpoint cannot.

    Returns:
        What each step showed, the states after some steps as they are read back, and where such a value is, if any.
    """
    method, shown = make(tiny_context(needs, 0, other_test=other_test)), []
    states: dict[int, dict[str, Any]] = {}
    for taken in range(1, steps + 1):
        shown += trajectory(method, 1)
        state = method.state_dict()
        if alien := _alien(state, "state_dict()"):
            return shown, states, alien
        if taken in stops:
            states[taken] = _stored(state, needs)
    return shown, states, None


def _resumed(make: Make, needs: Literal["images", "table"], state: dict[str, Any], steps: int) -> list[str]:
    """Return what the next steps of a search show that is resumed from a state."""
    method = make(tiny_context(needs, 0))
    method.load_state_dict(state)
    return trajectory(method, steps)


def _first_wrong_link(
    make: Make, needs: Literal["images", "table"], state: dict[str, Any], whole: list[str]
) -> int | None:
    """Resume a search after each step; return the first one after which it shows something else, or None.

    Each state is that of the resumed search before, so that this takes no more steps than one search, however many
    there are, and what is lost at any time stays lost.

    Args:
        make: Makes the method.
        needs: What the method needs.
        state: The state after the first step.
        whole: What each step shows if the search is never stopped.
    """
    for stop in range(1, len(whole)):
        method = make(tiny_context(needs, 0))
        method.load_state_dict(state)
        if trajectory(method, 1) != [whole[stop]]:
            return stop
        state = _stored(method.state_dict(), needs)
    return None


def trajectory(method: SearchMethod, steps: int) -> list[str]:
    """Take steps and return what each showed, without measured seconds."""
    shown = []
    for _ in range(steps):
        info = method.step()
        shown.append(_words(method, info, method.incumbent()))
    return shown


def _words(method: SearchMethod, info: StepInfo, cell: Cell) -> str:
    seconds = info.seconds if method.cost_kind == "simulated" else ""
    return f"{cell} {dict(info.metrics)} {seconds}"


def _first_step(method: SearchMethod) -> tuple[list[str], str]:
    """Take one step and return everything about it that a runner could not handle, and what it showed."""
    budget, found = method.budget, []
    if budget.steps is None and budget.seconds is None:
        found.append("its budget never ends: give Budget either steps or seconds")
    info = method.step()
    if not isinstance(info, StepInfo):
        return [*found, f"step() must return a StepInfo; got a {type(info).__name__}"], ""
    for cost in (info.seconds, info.selection_seconds):
        if not cost >= 0:
            found.append(f"a step cost {cost} seconds")
    cell = method.incumbent()
    if not isinstance(cell, Cell):
        found.append(f"incumbent() must return a Cell; got a {type(cell).__name__}")
    for name, value in info.metrics.items():
        if is_filled_by_runner(name):
            found.append(f"the metric {name} has the name of a column that the runner fills")
        if not isinstance(value, (int, float)):
            found.append(f"the metric {name} must be a number; got a {type(value).__name__}")
    return found, _words(method, info, cell)


def _no_distribution(method: SearchMethod) -> str | None:
    """Say what is wrong with the probabilities that a weight-sharing search has learned; None if nothing is."""
    if method.needs != "images":
        return None
    from nasbench_eval.methods.weight_sharing import WeightSharing

    if not isinstance(method, WeightSharing) or (p := method.architecture.probabilities()) is None:
        return None
    rule = "probabilities() must return one distribution over the operations per edge"
    shape = (N_EDGES, len(method.architecture.ops))
    if tuple(p.shape) != shape:
        return f"{rule}, {shape}; its shape is {tuple(p.shape)}"
    for edge, row in enumerate(p.tolist()):
        if min(row) < 0:
            return f"{rule}; on edge {edge} one is {min(row):.3g}"
        if not abs(sum(row) - 1) < _ROUNDING:
            return f"{rule}; those of edge {edge} sum to {sum(row):.3g}, not to 1"
    return None


def _alien(value: Any, where: str) -> str | None:
    """Say where a state holds a value that a checkpoint cannot; None if nowhere."""
    torch = sys.modules.get("torch")
    if value is None or type(value) in (bool, int, float, str) or (torch and isinstance(value, torch.Tensor)):
        return None
    if isinstance(value, dict):
        parts = [(f"{where}[{key!r}]", part) for key, part in value.items()]
    elif type(value) in (list, tuple):
        parts = [(f"{where}[{i}]", part) for i, part in enumerate(value)]
    else:
        return f"{where} is a {type(value).__name__}"
    return next((found for name, part in parts if (found := _alien(part, name))), None)


def _stored(state: dict[str, Any], needs: str) -> dict[str, Any]:
    """Return a state as it is read back from a file."""
    loaded: dict[str, Any]
    if needs == "table":
        loaded = json.loads(json.dumps(state))
    else:
        import torch

        file = io.BytesIO()
        torch.save(state, file)
        file.seek(0)
        loaded = torch.load(file, weights_only=True)
    return loaded


def tiny_context(needs: Literal["images", "table"], seed: int, *, other_test: bool = False) -> SearchContext:
    """Return a problem that is small enough to search in seconds.

    Args:
        needs: ``"images"`` for 96 + 64 images of digits, ``"table"`` for a :class:`RandomObjective`.
        seed: The seed of the search.
        other_test: Whether to replace the images of the test part.
    """
    if needs == "table":
        return SearchContext("cifar10", Streams(seed), objective=RandomObjective())
    images = _few_images()
    if other_test:
        test = dataclasses.replace(images.test, pixels=255 - images.test.pixels, labels=images.test.labels.flip(0))
        images = dataclasses.replace(images, test=test)
    return SearchContext("digits", Streams(seed), images=images)


@cache
def _few_images() -> ImageData:
    import torch

    from nasbench_eval.images import load_images

    data = load_images("digits")

    def few(part: Images, count: int) -> Images:
        return part.subset(torch.randperm(len(part), generator=Streams(0).torch("few images"))[:count])

    return dataclasses.replace(data, train=few(data.train, 96), valid=few(data.valid, 64), test=few(data.test, 64))


class RandomObjective:
    """An objective with random rewards between 40 and 90 percent, in which every query costs 10 simulated seconds."""

    def __init__(self) -> None:
        self._rewards = Streams(0).numpy("made-up rewards").uniform(40, 90, N_CELLS).tolist()

    def evaluate(self, cell: Cell, fidelity: str, draw: float | None = None) -> tuple[float, float]:
        """Return the reward of a cell and the cost of the query."""
        return self._rewards[cell.index], 10.0

    def describe(self, fidelities: Sequence[str], *, single_trials: bool = False) -> str:
        """Describe the rewards and costs."""
        return "reward: random; cost of a query: 10 seconds"
