"""What all networks have in common: the reductions that a data set asks for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from network_inputs import GEN

from nasbench_eval.cell import Cell
from nasbench_eval.images import ImageData, Images, Reduction
from nasbench_eval.methods import SearchContext
from nasbench_eval.methods.weight_sharing import WeightSharing, search
from nasbench_eval.networks.skeleton import REDUCTIONS
from nasbench_eval.training import from_scratch, grouped
from runners.spec import RunSpec

CELL = Cell.random(GEN.numpy("cells", 0))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    ("module", "network"), [(search, "Supernet"), (from_scratch, "StandaloneNet"), (grouped, "StackedNet")]
)
def test_every_network_has_the_reduction_of_its_images(
    module: Any, network: str, reduction: Reduction, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []

    def spy(*args: Any, **options: Any) -> Any:
        built.append(options["reduction"])
        return original(*args, **options)

    original = getattr(module, network)
    monkeypatch.setattr(module, network, spy)
    part = Images(torch.zeros(8, 3, 8, 8, dtype=torch.uint8), torch.arange(8) % 2)
    half = (0.5,) * 3
    data = ImageData("made up", 2, part, part, part, half, half, 0, False, "made up", reduction)
    small = {"channels": 2, "cells": 1, "epochs": 1, "batch_size": 4}
    if network == "Supernet":
        settings = RunSpec("darts", "digits", 0, overrides=small).settings
        WeightSharing(settings, SearchContext("digits", GEN, data))
    elif network == "StandaloneNet":
        from_scratch.train_from_scratch(CELL, data, from_scratch.TrainingSettings(**small), GEN)
    else:
        grouped.train_group([CELL], data, grouped.Schedule(**small), 0)
    assert built == [reduction]
