"""What waiting costs: seconds of an epoch with one and two threads that spin or sleep, beside other work on one core.

    python benchmarks/threads.py               # an epoch of GAEA DARTS, C=16, N=1, 128 images of digits

The reference is what torch does by itself, threads that spin. Every measurement is a fresh process, as the way of
waiting is chosen when torch is loaded; the forms alternate. The other work is an endless loop, bound to the first core.
All forms of one number of threads have to find the same losses.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

FORMS = {
    "1 thread": (1, {}),
    "2 threads that spin": (2, {}),
    "2 threads that sleep": (2, {"OMP_WAIT_POLICY": "passive"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4, help="timed epochs a process, after one not timed")
    parser.add_argument("--repeats", type=int, default=3, help="processes of each form")
    parser.add_argument("--child", type=int, metavar="THREADS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(child(options.child, options.epochs)))
        return
    for load in (False, True):
        print("beside other work on the first core" if load else "without it")
        seconds: dict[str, list[float]] = {form: [] for form in FORMS}
        losses: dict[int, set[float]] = {}
        for _ in range(options.repeats):
            for form, (threads, environment) in FORMS.items():
                median, loss = measure(threads, environment, options.epochs, load)
                seconds[form].append(median)
                losses.setdefault(threads, set()).add(loss)
        assert all(len(found) == 1 for found in losses.values()), "the way of waiting changed a result"
        one = statistics.median(seconds["1 thread"])
        for form, values in seconds.items():
            median = statistics.median(values)
            print(f"  {form:22} {median:7.2f} s an epoch ({median / one:5.2f} of one thread)")


def measure(threads: int, environment: dict[str, str], epochs: int, load: bool) -> tuple[float, float]:
    """Return the median seconds of an epoch in a fresh process, and the loss of its last one."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "MKL_", "GOMP_"))}
    loop = "import os; os.sched_setaffinity(0, {0})\nwhile True: pass"
    other = subprocess.Popen([sys.executable, "-c", loop]) if load else None
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--child", str(threads), "--epochs", str(epochs)],
            env=plain | environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
    finally:
        if other is not None:
            other.kill()
            other.wait()
    median, loss = json.loads(done.stdout)
    return median, loss


def child(threads: int, epochs: int) -> tuple[float, float]:
    import torch

    from nasbench_eval.images import load_images
    from nasbench_eval.methods import SearchContext
    from nasbench_eval.utils.rng import Streams
    from runners.spec import RunSpec

    torch.set_num_threads(threads)
    sizes = {"channels": 16, "cells": 1, "train_images": 128, "valid_images": 128}
    spec = RunSpec("gaea_darts", "digits", 0, overrides=sizes)
    context = SearchContext("digits", Streams(0), images=load_images("digits"), device="cpu")
    method = spec.implementation(spec.settings, context)  # type: ignore[call-arg]
    method.step()
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        info = method.step()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), info.metrics["train_loss"]


if __name__ == "__main__":
    main()
