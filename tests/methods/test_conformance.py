"""The rules of every method, over presets that have every part between them, and what such presets must do."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from paths import HELPERS
from tabular_problems import LONG, TABULAR, small
from torch.utils._python_dispatch import TorchDispatchMode
from weight_sharing import EVERY_PART, ONE_OF_EACH, SOME, digits, make, shown, tiny, trajectory

from nasbench_eval.cell import NONE, Cell
from nasbench_eval.images import Images
from nasbench_eval.methods.conformance import violations
from nasbench_eval.methods.weight_sharing import Logits, Mixture, WeightSharing
from nasbench_eval.methods.weight_sharing.drnas import Dirichlet
from nasbench_eval.methods.weight_sharing.enas import Controller
from nasbench_eval.methods.weight_sharing.fair_nas import Fair
from nasbench_eval.methods.weight_sharing.gdas import Gumbel
from nasbench_eval.methods.weight_sharing.parts import EVOLVING
from nasbench_eval.methods.weight_sharing.rs_ws import UniformCells
from nasbench_eval.networks import fused_cell_function, skeleton, supernet
from nasbench_eval.utils.rng import Streams
from runners.spec import RunSpec

SHAPES = {"cifar10": (10, 32), "cifar100": (100, 32), "imagenet16-120": (120, 16)}
"""Classes of the benchmark's data sets, and the side of an image."""


@pytest.mark.parametrize("name", EVERY_PART)
def test_a_weight_sharing_preset_follows_the_rules_of_every_method(name: str) -> None:
    settings = RunSpec(name, "digits", 0, overrides=tiny(name)).settings
    assert violations(lambda context: WeightSharing(settings, context), "images", 2) == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda x, moved: x.exp(), "those of edge 0 sum to 5, not to 1"),
        (lambda x, moved: x.softmax(0), "those of edge 0 sum to 0.833, not to 1"),
        (lambda x, moved: x, "on edge 0 one is -0.00"),
        (lambda x, moved: x.softmax(-1).T, "(6, 5); its shape is (5, 6)"),
        (lambda x, moved: x.softmax(-1) * (1.01 if moved else 1), "those of edge 0 sum to 1.01, not to 1"),
    ],
    ids=["exp", "softmax of columns", "logits", "transposed", "after training"],
)
def test_probabilities_that_are_no_distribution_are_found(wrong: Any, words: str) -> None:
    class Own(Logits):
        def __init__(self, ops: tuple[int, ...], generator: torch.Generator) -> None:
            super().__init__(ops, generator)
            self.register_buffer("start", self.logits.detach().clone())

        def probabilities(self) -> torch.Tensor:
            return wrong(self.logits, not torch.equal(self.logits, self.start))

    class Search(WeightSharing):
        def new_architecture(self, ops: tuple[int, ...], generator: torch.Generator) -> Mixture:
            return Mixture(Own(ops, generator))

    settings = RunSpec("darts", "digits", 0, overrides=tiny("darts")).settings
    found = violations(lambda context: Search(settings, context), "images", 2)
    assert len(found) == 1
    assert found[0].startswith("probabilities() must return one distribution over the operations per edge")
    assert words in found[0]


@pytest.mark.parametrize("name", TABULAR)
def test_a_tabular_preset_follows_the_rules_of_every_method(name: str) -> None:
    spec = small(name)
    assert violations(lambda context: spec.implementation(spec.settings, context), "table", LONG) == []


@pytest.mark.parametrize("name", EVERY_PART)
def test_an_epoch_records_loss_accuracy_and_the_entropy_of_a_learned_distribution(name: str) -> None:
    [(_, metrics)] = shown(name, 1)
    assert metrics["train_loss"] > 0
    assert 0 <= metrics["train_acc"] <= 100
    learns = RunSpec(name, "digits", 0).settings.parametrisation not in EVOLVING
    assert ("entropy" in metrics) == learns


def test_same_trajectory_in_another_process_with_one_thread_and_with_two() -> None:
    code = (
        "import json; from weight_sharing import first_epochs; print(json.dumps([first_epochs(n) for n in (1, 2, 2)]))"
    )
    # By default a waiting thread spins; on a busy machine it would take the processor from the one it waits for.
    env = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=HELPERS, env=env, capture_output=True, text=True, check=True
    )
    one, two, again = json.loads(found.stdout)
    assert one == {name: json.loads(json.dumps(shown(name, 1)[0])) for name in {*ONE_OF_EACH, *SOME}}
    # Two threads may round differently from one, but always in the same way.
    assert two == again
    for name in SOME:
        assert two[name][1]["train_loss"] == pytest.approx(one[name][1]["train_loss"], rel=1e-2), name


# Every part and every data set, but not every pair, which would take as long as all other tests.
@pytest.mark.parametrize(
    ("name", "dataset"),
    {**dict.fromkeys(zip(EVERY_PART, itertools.cycle(SHAPES))), **dict.fromkeys(("gaea_darts", d) for d in SHAPES)},
)
def test_every_data_set(name: str, dataset: str) -> None:
    classes, side = SHAPES[dataset]
    generator = Streams(0).torch(dataset)
    parts = {
        part: Images(
            torch.randint(256, (24, 3, side, side), generator=generator, dtype=torch.uint8),
            torch.randint(classes, (24,), generator=generator),
        )
        for part in ("train", "valid", "test")
    }
    images = dataclasses.replace(digits(), name=dataset, classes=classes, pad=side // 8, flip=True, **parts)
    method = make(name, images=images, epochs=2)
    [(_, metrics)] = trajectory(method, 1)
    assert method.supernet.classifier.out_features == classes
    # Chance is ln(classes). Only CIFAR-10's training set includes the valid part.
    assert 0.5 < metrics["train_loss"] / math.log(classes) < 3
    both = dataset == "cifar10" and method.settings.erm_images == "training_set" and method.settings.objective == "erm"
    assert len(method.train) == (24 + 20 if both else 24)
    assert ("valid_acc" in metrics) == (not both)


@pytest.mark.parametrize("zero_op", [True, False])
@pytest.mark.parametrize("name", EVERY_PART)
def test_zero_op_in_or_out(name: str, zero_op: bool) -> None:
    method = make(name, zero_op=zero_op)
    assert method.architecture.ops == ((0, 1, 2, 3, 4) if zero_op else (1, 2, 3, 4))
    if zero_op and RunSpec(name, "digits", 0).settings.zero_op:
        return  # the preset itself, which every other test searches with
    method.step()
    if not zero_op:
        assert NONE not in method.incumbent().ops


class OneDevice(TorchDispatchMode):
    """Refuses operations across two devices, also those that torch lets pass; copies are allowed."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = (*args, *(kwargs or {}).values())
        leaves = itertools.chain.from_iterable(x if isinstance(x, (list, tuple)) else (x,) for x in given)
        devices = {x.device.type for x in leaves if isinstance(x, torch.Tensor) and x.dim()}
        if len(devices) > 1 and func not in (torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default):
            raise RuntimeError(f"{func} has tensors on another device: {sorted(devices)}")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", EVERY_PART)
def test_an_epoch_on_an_accelerator_never_waits_nor_mixes_devices(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors on meta have a shape but no values: .item() raises. It stands in for the accelerator."""
    # The places where a method waits for a few numbers per batch, by design, answer here without reading the device.
    known = Cell((1, 2, 3, 4, 3, 1))
    monkeypatch.setattr(Gumbel, "_on_host", lambda self, choice: known)
    monkeypatch.setattr(Dirichlet, "_draw", lambda self, concentration: concentration / concentration.sum(-1, True))
    # These have no form without values.
    monkeypatch.setattr(torch, "_dirichlet_grad", lambda drawn, concentration, total: drawn)
    monkeypatch.setattr(fused_cell_function, "_statistics", lambda x: (x.mean((0, 2, 3)), x.var((0, 2, 3))))
    monkeypatch.setattr(Controller, "_propose", lambda self, generator: known)
    monkeypatch.setattr(UniformCells, "cells", lambda self, n, generator: [known] * n)
    monkeypatch.setattr(Fair, "_draw", lambda self, steps, generator: [[known] * 5] * steps)
    for module in (skeleton, supernet):
        monkeypatch.setattr(module, "STAGES", 2)  # the third has the operations of the second once more
    few = {
        part: Images(torch.zeros(n, 3, 8, 8, dtype=torch.uint8), torch.zeros(n, dtype=torch.int64))
        for part, n in (("train", 16), ("valid", 8), ("test", 8))
    }
    images = dataclasses.replace(digits(), **few)
    # One batch of each step. The weights come first, so that the second order finds their momentum.
    order = {"order": "weights_first", "arch_interval": 1}
    with OneDevice():
        method = make(name, images=images, device="meta", train_images="none", valid_images="none", **order)
        method._begin_epoch()
        assert method.train_epoch().device.type == "meta"
        assert method.scoring.totals(method.architecture.sample).device.type == "meta"
        with pytest.raises(RuntimeError, match="another device"):
            torch.zeros(2).add_(torch.zeros(2, device="meta"))
        with pytest.raises(RuntimeError, match="device"):
            method.supernet(torch.zeros(4, 3, 8, 8), torch.zeros(6, 5, device="meta"))
