"""What every weight-sharing method must do: the conformance tests run over all presets that train a supernet."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import subprocess
import sys
from typing import Any

import pytest
import torch
import torch._functorch.config as functorch_config
import torch.nn.functional as F
from paths import HELPERS
from plain import PlainSupernet
from plain_copy import copy_into_plain, pairs
from torch._subclasses.fake_tensor import FakeTensorMode
from weight_sharing import ONE_OF_EACH, WEIGHT_SHARING, first_epochs, make, trajectory

from nasbench_eval.cell import NONE, Cell
from nasbench_eval.errors import UsageError
from nasbench_eval.images import Images, load_images
from nasbench_eval.methods.conformance import TINY, violations
from nasbench_eval.methods.weight_sharing import WeightSharing
from nasbench_eval.methods.weight_sharing.drnas import Dirichlet
from nasbench_eval.methods.weight_sharing.enas import Controller
from nasbench_eval.methods.weight_sharing.gaea import ExponentiatedGradient
from nasbench_eval.methods.weight_sharing.gdas import Gumbel
from nasbench_eval.methods.weight_sharing.rs_ws import UniformCells
from nasbench_eval.utils.rng import Streams
from runners.spec import RunSpec

SHAPES = {"cifar10": (10, 32), "cifar100": (100, 32), "imagenet16-120": (120, 16)}
"""Classes of the benchmark's data sets, and the side of an image."""


@pytest.mark.parametrize("name", WEIGHT_SHARING)
def test_keeps_the_rules_of_every_method(name: str) -> None:
    settings = RunSpec(name, "digits", 0, overrides=TINY).settings
    assert violations(lambda context: WeightSharing(settings, context), "images", 3) == []


@pytest.mark.parametrize("name", WEIGHT_SHARING)
def test_an_epoch_observes_loss_accuracy_and_the_entropy_of_what_is_learned(name: str) -> None:
    metrics = make(name).step().metrics
    assert metrics["train_loss"] > 0
    assert 0 <= metrics["train_acc"] <= 100
    assert ("entropy" in metrics) == (name != "rs_ws")


def test_same_trajectory_in_another_process_with_one_thread_and_with_two() -> None:
    code = (
        "import json; from weight_sharing import first_epochs; print(json.dumps([first_epochs(n) for n in (1, 2, 2)]))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=HELPERS, capture_output=True, text=True, check=True)
    one, two, again = json.loads(found.stdout)
    assert one == json.loads(json.dumps(first_epochs()))
    # Two threads may round differently from one, but always the same way.
    assert two == again
    for name in ONE_OF_EACH:
        assert two[name][1]["train_loss"] == pytest.approx(one[name][1]["train_loss"], rel=1e-2), name


# Every method and every data set, not each on each: it takes as long as the rest.
@pytest.mark.parametrize(
    ("name", "dataset"),
    [*zip(WEIGHT_SHARING, itertools.cycle(SHAPES)), *(("gaea_darts", dataset) for dataset in SHAPES)],
)
def test_every_data_set(name: str, dataset: str) -> None:
    classes, side = SHAPES[dataset]
    generator = Streams(0).torch(dataset)
    parts = {
        part: Images(
            torch.randint(256, (32, 3, side, side), generator=generator, dtype=torch.uint8),
            torch.randint(classes, (32,), generator=generator),
        )
        for part in ("train", "valid", "test")
    }
    images = dataclasses.replace(
        load_images("digits"), name=dataset, classes=classes, pad=side // 8, flip=True, **parts
    )
    method = make(name, images=images, epochs=1)
    [(_, metrics)] = trajectory(method, 1)
    assert method.supernet.classifier.out_features == classes
    # Chance is ln(classes); a whole training set without a held-out part is that of CIFAR-10 alone.
    assert 0.5 < metrics["train_loss"] / math.log(classes) < 3
    both = dataset == "cifar10" and method.settings.erm_images == "training_set" and method.settings.objective == "erm"
    assert len(method.train) == (64 if both else 32)
    assert ("valid_acc" in metrics) == (not both)


@pytest.mark.parametrize("zero_op", [True, False])
@pytest.mark.parametrize("name", WEIGHT_SHARING)
def test_zero_op_in_or_out(name: str, zero_op: bool) -> None:
    method = make(name, zero_op=zero_op)
    assert method.architecture.ops == ((0, 1, 2, 3, 4) if zero_op else (1, 2, 3, 4))
    trajectory(method, 1)
    if not zero_op:
        assert NONE not in method.incumbent().ops


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("darts", {"zero_op": False}),
        ("darts", {"track_running_stats": False}),
        ("darts", {"order": "architecture_first"}),
        ("darts", {"clip": 0.1}),
        ("darts", {"clip": 0.1, "clip_architecture": False}),
        ("darts", {"nesterov": False}),
        ("darts", {"lr_epochs": 2}),
        ("darts", {"channels": 8}),
        ("darts", {"cells": 2}),
        ("darts", {"objective": "erm"}),
        ("darts", {"arch_warmup_epochs": 1}),
        ("darts", {"partial_channels": 4}),
        ("darts", {"edge_normalisation": True}),
        ("gdas", {"other_weights": False}),
        ("gdas", {"arch_lr": 0.1, "tau_max": 1.0}),
        ("gaea_gdas", {"arch_lr": 1e4, "arch_normalise_first": False}),
        ("gaea_darts", {"arch_entropy_weight": 1.0}),
        ("xnas", {"reward_bound": 0.01}),
        ("xnas", {"arch_lr": 0.5}),
        ("rs_ws", {"track_running_stats": False, "select_cells": 8}),
        ("rs_ws", {"select_on": "whole"}),
    ],
    ids=str,
)
def test_every_choice_changes_the_search(name: str, change: dict[str, Any]) -> None:
    # Where two values are given, the second is in question; the first only makes it show.
    base = dict(list(change.items())[:-1])
    epochs = 2 if change.keys() & {"lr_epochs", "select_on"} else 1
    assert trajectory(make(name, **base), epochs) != trajectory(make(name, **change), epochs)


def test_the_best_genotype_is_that_of_the_epoch_with_the_best_validation_accuracy() -> None:
    last, best = trajectory(make("darts")), trajectory(make("darts", genotype="best"))
    for (_, before), (_, after) in zip(last, best, strict=True):
        assert {k: v for k, v in before.items() if "after" not in k} == {
            k: v for k, v in after.items() if "after" not in k
        }
    epoch = max(range(3), key=lambda epoch: best[epoch][1]["valid_acc"])
    assert best[-1][0] == last[epoch][0]


def test_erm_uses_the_same_images_for_both_steps_and_bilevel_does_not() -> None:
    erm, bilevel = make("gaea_darts"), make("gaea_darts_bilevel")
    assert erm.arch is erm.train
    assert bilevel.arch is bilevel.valid
    assert "same 80 images" in erm.facts["split"]
    assert "weights on 80 train images, architecture on 48 valid images" in bilevel.facts["split"]


def test_erm_trains_on_the_whole_training_set_of_cifar10_only() -> None:
    digits = load_images("digits")
    as_cifar = dataclasses.replace(digits, name="cifar10")
    method = make("gaea_darts", images=as_cifar)
    assert len(method.train) == 80 + 48
    assert not method.held_out
    metrics = method.step().metrics
    assert "valid_acc" not in metrics
    assert len(make("gaea_darts", images=as_cifar, erm_images="train").train) == 80


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match="softmax: it goes with adam"):
        make("darts", arch_optimizer="eg")
    with pytest.raises(UsageError, match="uniform: it goes with none"):
        make("rs_ws", arch_optimizer="adam")
    with pytest.raises(UsageError, match="needs a held-out valid part"):
        make("gaea_darts", genotype="best", images=dataclasses.replace(load_images("digits"), name="cifar10"))


@pytest.mark.parametrize("name", ["darts", "gaea_darts_bilevel", "darts_erm"])
def test_an_epoch_equals_a_loop_written_out_with_the_plain_supernet(name: str) -> None:
    """The whole optimisation, not just the network: two batches of weights and architecture steps in plain torch."""
    method = make(name, train_images=64, valid_images=64, weight_decay=0.05, clip=0.5)
    s = method.settings
    plain = PlainSupernet(s.channels, s.cells, 10, pooling=True)  # as digits ask
    copy_into_plain(method.supernet, plain)
    parameter = next(iter(method.architecture.parameters())).detach().clone().requires_grad_()
    sgd = torch.optim.SGD(plain.parameters(), s.lr, s.momentum, weight_decay=s.weight_decay, nesterov=s.nesterov)
    adam = torch.optim.Adam([parameter], s.arch_lr, (s.arch_beta1, s.arch_beta2), weight_decay=s.arch_weight_decay)

    def weights() -> torch.Tensor:
        values = parameter.softmax(-1) if s.parametrisation == "softmax" else parameter
        return values if s.zero_op else F.pad(values, (1, 0))

    def weights_step(images: torch.Tensor, labels: torch.Tensor) -> None:
        plain.zero_grad()
        parameter.grad = None
        F.cross_entropy(plain(images, weights()), labels).backward()
        clipped = [*plain.parameters(), *([parameter] if s.clip_architecture else [])]
        torch.nn.utils.clip_grad_norm_(clipped, s.clip)
        sgd.step()

    def architecture_step(images: torch.Tensor, labels: torch.Tensor) -> None:
        parameter.grad = None
        F.cross_entropy(plain(images, weights()), labels).backward()
        if s.arch_optimizer == "adam":
            adam.step()
        else:
            with torch.no_grad():
                moved = parameter * torch.exp(-s.arch_lr * parameter.grad)
                parameter.copy_(moved / moved.sum(-1, keepdim=True))

    batches = list(method._batches(method.train, "weights batches"))
    arch = list(method._batches(method.arch, "architecture batches", like=len(method.train)))
    method.step()
    for (images, labels), (arch_images, arch_labels) in zip(batches, arch, strict=True):
        steps = [(weights_step, images, labels), (architecture_step, arch_images, arch_labels)]
        for step, x, y in steps if s.order == "weights_first" else reversed(steps):
            step(x, y)
    ours = next(iter(method.architecture.parameters())).detach()
    start = make(name, train_images=64, valid_images=64).architecture
    moved = (parameter - next(iter(start.parameters()))).abs().max()
    assert (ours - parameter).abs().max() < 1e-3 * moved
    for where, a, b, rows in pairs(method.supernet, plain):
        if "num_batches" not in where:
            assert torch.allclose(a if rows is None else a[rows], b, rtol=1e-3, atol=2e-4), where


def replace_tensors(module: torch.nn.Module, device: Any = None, **_: Any) -> torch.nn.Module:
    """Module.to swaps tensors in place, which fake tensors refuse; this puts new ones in their stead."""
    for part in module.modules() if device is not None else ():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[name] = torch.nn.Parameter(parameter.detach().to(device))
        for name, buffer in part._buffers.items():
            part._buffers[name] = buffer.to(device)
    return module


@pytest.mark.parametrize("name", WEIGHT_SHARING)
def test_an_epoch_on_an_accelerator_never_waits_nor_mixes_devices(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake tensors have a device and no values: an operation over two devices raises, and so does .item()."""
    # A CPU build of torch aborts in autograd on fake CUDA tensors; there, meta stands for the accelerator.
    device = "cuda" if torch.backends.cuda.is_built() else "meta"
    # Where a method must wait for the device, a few numbers a batch, it says so; here these answer without looking.
    known = Cell((1, 2, 3, 4, 3, 1))
    monkeypatch.setattr(Gumbel, "_on_host", lambda self, choice: known)
    monkeypatch.setattr(Dirichlet, "_draw", lambda self, concentration: concentration / concentration.sum(-1, True))
    monkeypatch.setattr(torch, "_dirichlet_grad", lambda drawn, concentration, total: drawn)  # has no fake form
    monkeypatch.setattr(Controller, "_propose", lambda self, generator: known)
    monkeypatch.setattr(UniformCells, "cells", lambda self, n, generator: [known] * n)
    monkeypatch.setattr(torch.nn.Module, "to", replace_tensors)
    data = load_images("digits")
    with functorch_config.patch(fake_tensor_allow_meta=True), FakeTensorMode():
        fake = {
            part: Images(torch.zeros(n, 3, 8, 8, dtype=torch.uint8), torch.zeros(n, dtype=torch.int64))
            for part, n in (("train", 64), ("valid", 32), ("test", 32))
        }
        images = dataclasses.replace(data, **fake)
        method = make(name, images=images, device=device, train_images="none", valid_images="none")
        method._begin_epoch()
        assert method.train_epoch().device.type == device
        assert method.scoring.totals(method.architecture.sample).device.type == device
        with pytest.raises(RuntimeError, match="device"):
            method.supernet(torch.zeros(4, 3, 8, 8), torch.zeros(6, 5, device=device))


def test_exponentiated_gradient_is_what_gaea_uses() -> None:
    assert isinstance(make("gaea_darts").arch_optimizer, ExponentiatedGradient)
    assert isinstance(make("darts").arch_optimizer, torch.optim.Adam)
