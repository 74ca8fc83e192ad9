"""Weight-sharing searches of every preset on a tiny problem."""

from __future__ import annotations

import dataclasses
import io
from functools import cache
from typing import Any

import pytest
import torch

from nasbench_eval.images import ImageData, load_images
from nasbench_eval.methods import SearchContext
from nasbench_eval.methods.conformance import shrunk
from nasbench_eval.methods.weight_sharing import WeightSharing
from nasbench_eval.utils.rng import Streams
from runners.presets import load_preset, preset_names
from runners.spec import RunSpec

WEIGHT_SHARING = [name for name in preset_names() if load_preset(name).implementation == "weight_sharing"]
ONE_OF_EACH = list({load_preset(name).settings["parametrisation"]: name for name in WEIGHT_SHARING}.values())
"""One preset per parametrisation."""
SOME = ["darts", "gaea_gdas", "gaea_pc_darts"]
"""Presets that between them use the fused cell, one sampled operation per edge, and partial channels."""

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")

PARTS = (
    ("parametrisation", "edge_normalisation"), ("arch_optimizer",), ("unrolled",), ("objective",),
    ("partial_channels",), ("other_weights",), ("genotype",), ("track_running_stats",), ("arch_penalty",),
    ("auxiliary_skip",), ("perturbation",), ("alignment",), ("neumann_terms",), ("selection",), ("stage_two_epoch",),
    ("select_by",),
)  # fmt: skip
"""Settings whose values are implemented by different code, together or alone.

The eigenvalue of RobustDARTS takes as long as many epochs; its own tests search with it.
"""


def _few_with_every_part() -> list[str]:
    """Choose presets that have every value of ``PARTS``: for the rarest one first, which leaves little choice."""
    having: dict[Any, list[str]] = {}
    for name in WEIGHT_SHARING:
        settings = RunSpec(name, "digits", 0).settings
        for part in PARTS:
            having.setdefault((part, *(getattr(settings, key) for key in part)), []).append(name)
    chosen: list[str] = []
    for names in sorted(having.values(), key=len):
        if not set(names) & set(chosen):
            chosen.append(max(names, key=lambda name: sum(name in others for others in having.values())))
    return chosen


EVERY_PART = sorted({*_few_with_every_part(), "darts", "gaea_darts"})
"""Fewer presets, which between them have every value of ``PARTS`` that any preset has."""

Trajectory = list[tuple[str, dict[str, float]]]
"""The incumbent and the metrics after each epoch."""


@cache
def digits() -> ImageData:
    return load_images("digits")


def tiny(name: str) -> dict[str, Any]:
    """What makes a preset tiny."""
    return shrunk(dataclasses.asdict(RunSpec(name, "digits", 0).settings))


def make(name: str, seed: int = 0, *, images: Any = None, device: str = "cpu", **changes: Any) -> WeightSharing:
    spec = RunSpec(name, "digits", seed, overrides={**tiny(name), **changes})
    context = SearchContext("digits", Streams(seed), images or digits(), device=device)
    return WeightSharing(spec.settings, context)


def stored(state: dict[str, Any]) -> Any:
    """Return a state as it is read back from a file."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def trajectory(method: WeightSharing, epochs: int = 3) -> Trajectory:
    found = []
    for _ in range(epochs):
        info = method.step()
        found.append((str(method.incumbent()), dict(info.metrics)))
    return found


@cache
def shown(name: str, epochs: int, **changes: Any) -> Trajectory:
    """What the first epochs of a search show; searched once per process."""
    return trajectory(make(name, **changes), epochs)


def first_epochs(threads: int = 1) -> dict[str, list[Any]]:
    """What the first epoch shows of one preset per parametrisation; with several threads, of fewer presets."""
    torch.set_num_threads(threads)
    names = sorted({*ONE_OF_EACH, *SOME}) if threads == 1 else SOME
    # Searched again for each number of threads, so not by `shown`.
    return {name: list(trajectory(make(name), 1)[0]) for name in names}
