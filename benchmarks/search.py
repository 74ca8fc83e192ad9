"""Seconds an iteration, seconds of evaluation and peak memory of each weight-sharing method, against the plain form.

    python benchmarks/search.py                          # C=16, N=5, batch 64, 32x32 images, as published
    python benchmarks/search.py --channels 8 --cells 1 --methods darts,gdas

An iteration is one weights step and, for methods that learn the architecture, one architecture step. The evaluation is
that after each epoch, of 512 images with the operation weights of the search. The plain form is the oracle of the tests
(``tests/helpers/plain.py``: five modules on each of six edges) trained with torch's own optimisers, its images
augmented one by one with PIL in a DataLoader, its architecture step computing all gradients. Both run in fresh
processes, alternating; the figures are medians over the repeats, peak memory is the process's largest resident set.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasbench_eval.methods.weight_sharing import WeightSharing

METHODS = ("darts", "gaea_darts", "gdas", "rs_ws")
UNITS = {"s/it": 3, "s/eval": 3, "MB": 0}
"""What is measured, and the digits shown."""
EVALUATED = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--cells", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=4, help="timed iterations a process, after one not timed")
    parser.add_argument("--repeats", type=int, default=3, help="processes of each form")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--child", nargs=2, metavar=("METHOD", "FORM"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        method, form = options.child
        print(json.dumps(child(method, form, options)))
        return
    print(f"C={options.channels} N={options.cells}, batch 64, 3x32x32, {options.device}, {machine(options.device)}")
    print(f"{'method':<14}" + "".join(f"{f'plain {unit}':>14}{f'nbeval {unit}':>14}{'ratio':>7}" for unit in UNITS))
    for method in options.methods.split(","):
        found: dict[str, list[dict[str, float]]] = {"plain": [], "nbeval": []}
        for _ in range(options.repeats):
            for form, results in found.items():
                command = [sys.executable, __file__, *sys.argv[1:], "--child", method, form]
                results.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        line = f"{method:<14}"
        for unit, digits in UNITS.items():
            plain_value, value = (statistics.median(each[unit] for each in results) for results in found.values())
            line += f"{plain_value:>14.{digits}f}{value:>14.{digits}f}{plain_value / value:>7.2f}"
        print(line, flush=True)


def machine(device: str) -> str:
    import torch  # noqa: F401 - so that the description knows the threads

    from runners.device import describe

    return describe(device)


def child(method: str, form: str, options: argparse.Namespace) -> dict[str, float]:
    import torch

    def seconds(work: Callable[[int], None]) -> float:
        work(1)
        times = []
        for _ in range(options.iterations):
            start = time.perf_counter()
            work(1)
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    its = seconds((plain if form == "plain" else nbeval)(method, options))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if options.device.startswith("cuda"):
        peak = torch.cuda.max_memory_allocated() / 2**20
    return {"s/it": its, "MB": peak, "s/eval": seconds(evaluation(method, form, options))}


def settings(method: str, options: argparse.Namespace) -> Any:
    from runners.spec import RunSpec

    return RunSpec(method, "cifar10", 0, overrides={"channels": options.channels, "cells": options.cells}).settings


def random_images(n: int) -> Any:
    import torch

    from nasbench_eval.images import Images
    from nasbench_eval.utils.rng import Streams

    generator = Streams(0).torch("benchmark images")
    pixels = torch.randint(0, 256, (n, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return Images(pixels, torch.randint(10, (n,), generator=generator))


def on_random_images(method: str, options: argparse.Namespace, n: int = 64) -> WeightSharing:
    """Return a search whose train, valid and test images are the same ``n`` random ones."""
    from nasbench_eval.images import ImageData
    from nasbench_eval.methods import SearchContext
    from nasbench_eval.methods.weight_sharing import WeightSharing
    from nasbench_eval.utils.rng import Streams

    part = random_images(n)
    data = ImageData("random", 10, part, part, part, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), 4, True, "")
    return WeightSharing(settings(method, options), SearchContext("random", Streams(0), data, device=options.device))


def nbeval(method: str, options: argparse.Namespace) -> Callable[[int], None]:
    """Return a function that does iterations of a search, each a pass on its own, on a GPU too."""
    import torch

    from nasbench_eval.utils.rng import Streams

    search = on_random_images(method, options)

    def iterate(n: int) -> None:
        for _ in range(n):
            search.architecture.begin_epoch(0, 2, Streams(0).torch("benchmark"), search.device)
            search.train_epoch()  # one batch of 64 is one epoch here
        if search.device.type == "cuda":
            torch.cuda.synchronize()

    return iterate


def evaluation(method: str, form: str, options: argparse.Namespace) -> Callable[[int], None]:
    """Return a function that evaluates the supernet on all images some times, as after each epoch."""
    import torch

    from nasbench_eval.utils.rng import Streams

    search = on_random_images(method, options, EVALUATED)
    scoring, architecture = search.scoring, search.architecture
    weights: Callable[[], Any] = architecture.sample
    if form == "plain":
        net, drawn = plain_network(method, options)
        net.eval()
        weights = lambda: (architecture.sample().values, drawn)  # noqa: E731
        scoring = dataclasses.replace(scoring, supernet=net)

    def evaluate(n: int) -> None:
        for _ in range(n):
            architecture.begin_epoch(0, 1, Streams(0).torch("benchmark"), search.device)
            scoring.evaluate(weights)
        if search.device.type == "cuda":
            torch.cuda.synchronize()

    return evaluate


def plain_network(method: str, options: argparse.Namespace) -> tuple[Any, bool]:
    """Return the plain form of a method's supernet, and whether the method draws one operation on each edge."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
    from plain import PlainSupernet  # type: ignore[import-not-found]

    s = settings(method, options)
    net = PlainSupernet(s.channels, s.cells, 10, track_running_stats=s.track_running_stats).to(options.device)
    return net, s.parametrisation in ("gumbel", "uniform")


def plain(method: str, options: argparse.Namespace) -> Callable[[int], None]:
    """Return a function that does iterations of a search with the plain form."""
    import torch
    import torch.nn.functional as F

    from nasbench_eval.cell import N_OPS
    from nasbench_eval.methods.weight_sharing.parts import OPTIMIZERS, PARAMETRISATIONS
    from nasbench_eval.utils.rng import Streams

    s, device = settings(method, options), torch.device(options.device)
    net, drawn = plain_network(method, options)
    ops = tuple(range(0 if s.zero_op else 1, N_OPS))
    architecture = PARAMETRISATIONS[s.parametrisation].build(ops, s, Streams(0).torch("architecture")).to(device)
    sgd = torch.optim.SGD(net.parameters(), s.lr, s.momentum, weight_decay=s.weight_decay, nesterov=s.nesterov)
    parameters = list(architecture.parameters())
    build = OPTIMIZERS[s.arch_optimizer]
    learner = None if build is None else build(parameters, s, 1)
    loaders = [pil_loader(), pil_loader()]

    def loss_of(loader: Any) -> Any:
        images, labels = next(iter(loader))
        weights = architecture.sample().values
        return F.cross_entropy(net(images.to(device), weights, drawn), labels.to(device))

    def iterate(n: int) -> None:
        for _ in range(n):
            architecture.begin_epoch(0, 2, Streams(0).torch("benchmark"), device)
            sgd.zero_grad()
            loss_of(loaders[0]).backward()
            torch.nn.utils.clip_grad_norm_([*net.parameters(), *parameters], 5.0)
            sgd.step()
            if learner is not None:
                learner.zero_grad()
                loss_of(loaders[1]).backward()
                learner.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return iterate


def pil_loader() -> Any:
    import numpy as np
    import torch
    from PIL import Image, ImageOps

    images = random_images(64)
    rng = np.random.default_rng(0)

    class Augmented(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return 64

        def __getitem__(self, index: int) -> Any:
            picture = Image.fromarray(images.pixels[index].permute(1, 2, 0).numpy())
            picture = ImageOps.expand(picture, border=4, fill=0)
            top, left = rng.integers(0, 9, 2).tolist()
            picture = picture.crop((left, top, left + 32, top + 32))
            if rng.random() < 0.5:
                picture = ImageOps.mirror(picture)
            array = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float().div(255)
            return array.sub(0.5).div(0.25), int(images.labels[index])

    return torch.utils.data.DataLoader(Augmented(), batch_size=64, shuffle=True)


if __name__ == "__main__":
    main()
