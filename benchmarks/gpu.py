"""What a GPU does with this project: the rules of all methods, seconds an iteration, several searches at once.

    benchmarks/gpu.sh                                                    # one GPU, C=16, N=5, under eight minutes
    python benchmarks/gpu.py --device cpu --channels 4 --cells 1 --batches 2 --seconds 60    # try the script itself

An iteration is one weights step and, for methods that learn the architecture, one architecture step, at batch 64 on
random images of 32x32. The plain reference launches every kernel; a search replays CUDA graphs, which are recorded anew
in each epoch. All forms are measured in the same process. What does not run, or was not reached in time, is in the
table with the reason.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

FORMS = ("single passes", "CUDA graphs", "bfloat16 autocast", "torch.compile")
COMPARED = ("gaea_darts", "darts", "gdas")
"""Methods of which all forms are measured; of the others, the first two."""
SEARCHES = (1, 2, 4)
"""Numbers of searches that share the device."""

Row = tuple[str, str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--cells", type=int, default=5)
    parser.add_argument("--batches", type=int, default=20, help="batches of an epoch")
    parser.add_argument("--seconds", type=float, default=440.0, help="no part starts after this time")
    parser.add_argument("--output", type=Path, default=Path("gpu.md"))
    parser.add_argument("--share", type=float, help=argparse.SUPPRESS)  # a search of that many seconds
    options = parser.parse_args()
    if options.share:
        print(share(options))
        return

    import torch

    if options.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("gpu.py: torch sees no GPU here; --device cpu tries the script itself")
    start, rows = time.perf_counter(), []
    for part in (numbers, rules, graphs, iterations, side_by_side):
        for row in part(options, lambda: options.seconds - (time.perf_counter() - start)):
            rows.append(row)
            print(f"{row[0]:<44}{row[1]:<28}{row[2]}", flush=True)
    text = f"{describe(options)}\n\n| what | form | result |\n| --- | --- | --- |\n"
    options.output.write_text(text + "".join(f"| {' | '.join(row)} |\n" for row in rows), encoding="utf-8")
    print(f"\n{describe(options)}\n{options.output}, {time.perf_counter() - start:.0f} s")


def describe(options: argparse.Namespace) -> str:
    import torch

    from runners.device import describe as words

    return f"{words(options.device)}, torch {torch.__version__}, C={options.channels} N={options.cells}, batch 64"


def weight_sharing() -> list[str]:
    """Return the presets that train a supernet."""
    from runners.presets import load_preset, preset_names

    return [name for name in preset_names() if load_preset(name).implementation == "weight_sharing"]


def numbers(options: argparse.Namespace, left: Callable[[], float]) -> Iterator[Row]:
    """Compare the loss and the gradients of one pass with those of a CPU, convolutions in full float32."""
    import torch
    from search import on_random_images

    from nasbench_eval.methods.weight_sharing.darts import float32_convolutions
    from nasbench_eval.methods.weight_sharing.passes import Passes

    def of_one_pass(name: str, device: str) -> list[torch.Tensor]:
        search = on_random_images(name, argparse.Namespace(**{**vars(options), "device": device}))
        search.architecture.begin_epoch(0, 1, search.streams.torch("benchmark"), search.device)
        batch = next(search._batches(search.train, "weights batches"))
        totals = Passes(search.supernet)(batch, search.architecture.sample(), train=True)
        learned = (*search.supernet.parameters(), *search.architecture.parameters())
        return [totals[:1].cpu(), *(p.grad.cpu() for p in learned if p.grad is not None)]

    def compared(name: str) -> str:
        with float32_convolutions():
            pairs = list(zip(of_one_pass(name, options.device), of_one_pass(name, "cpu"), strict=True))
        errors = [float((a - b).norm() / b.norm().clamp_min(1e-12)) for a, b in pairs]
        if not all(map(math.isfinite, errors)):
            return "NOT FINITE"
        return f"relative differences: loss {errors[0]:.1e}, largest of a gradient {max(errors[1:]):.1e}"

    for name in COMPARED:
        yield "one pass against a CPU", name, attempt(lambda: compared(name))  # noqa: B023 - called at once


def rules(options: argparse.Namespace, left: Callable[[], float]) -> Iterator[Row]:
    """Check the rules that every method must follow (``nbeval.check``) on the device."""
    from nasbench_eval.methods.conformance import shrunk, violations
    from nasbench_eval.methods.weight_sharing import WeightSharing
    from runners.device import make_deterministic
    from runners.spec import RunSpec

    make_deterministic(options.device)
    for name in weight_sharing():
        if left() < 0.6 * options.seconds:
            yield "rules of the conformance tests", name, "not reached in time"
            continue
        settings = RunSpec(name, "digits", 0).settings
        settings = dataclasses.replace(settings, **shrunk(dataclasses.asdict(settings)))

        def make(context: Any, settings: Any = settings) -> WeightSharing:
            return WeightSharing(settings, dataclasses.replace(context, device=options.device))

        found = attempt(lambda: "; ".join(violations(make, "images", 2)) or "kept")
        yield "rules of the conformance tests", name, found


def graphs(options: argparse.Namespace, left: Callable[[], float]) -> Iterator[Row]:
    """Check that an epoch with CUDA graphs gives what one without gives."""
    import torch
    from search import on_random_images

    def learned(name: str, *, recorded: bool) -> list[torch.Tensor]:
        search = on_random_images(name, options, 64 * options.batches)
        search.capture = search.capture if recorded else None
        epochs(search, options)()
        return [*search.supernet.state_dict().values(), *search.architecture.state_dict().values()]

    def compared(name: str) -> str:
        pairs = zip(learned(name, recorded=True), learned(name, recorded=False), strict=True)
        return "equal to the last bit" if all(torch.equal(a, b) for a, b in pairs) else "NOT EQUAL"

    for name in COMPARED:
        if left() < 0.5 * options.seconds:
            yield "CUDA graphs against single passes", name, "not reached in time"
            continue
        yield "CUDA graphs against single passes", name, attempt(lambda: compared(name))  # noqa: B023 - called at once


def iterations(options: argparse.Namespace, left: Callable[[], float]) -> Iterator[Row]:
    """Measure seconds an iteration of every method, of some in every form, and what a full GAEA search would take."""
    names = weight_sharing()
    for name in sorted(names, key=lambda name: name not in COMPARED):
        plain = math.nan
        for form in FORMS if name in COMPARED else FORMS[:2]:
            if left() < 0.25 * options.seconds:
                yield name, form, "not reached in time"
                continue
            found: list[float] = []
            words = attempt(lambda: timed(name, form, options, found))  # noqa: B023 - called at once
            plain = found[0] if found and form == FORMS[0] else plain
            ratio = f", {plain / found[0]:.2f} times as fast as single passes" if found and form != FORMS[0] else ""
            yield name, form, f"{words}{ratio}"
            if name == "gaea_darts" and form == FORMS[1] and found:
                from runners.spec import RunSpec

                epochs = RunSpec(name, "cifar10", 0).settings.epochs
                hours = epochs * math.ceil(50_000 / 64) * found[0] / 3600
                yield "a full GAEA DARTS (ERM) search on CIFAR-10", f"{epochs} epochs, calculated", f"{hours:.2f} hours"


def timed(name: str, form: str, options: argparse.Namespace, found: list[float]) -> str:
    """Measure the seconds of an iteration, append them to ``found``, and return them in words."""
    import torch
    from search import on_random_images

    search = on_random_images(name, options, 64 * options.batches)
    if form != FORMS[1]:
        search.capture = None
    if form == FORMS[3]:
        search.supernet = torch.compile(search.supernet)  # type: ignore[assignment]
    cast = torch.autocast(options.device.split(":")[0], torch.bfloat16) if form == FORMS[2] else nullcontext()
    train_epoch = epochs(search, options)
    times: list[float] = []
    with cast:
        until = time.perf_counter() + 6
        while len(times) < 2 or (time.perf_counter() < until and len(times) < 6):
            start = time.perf_counter()
            train_epoch()
            times.append((time.perf_counter() - start) / options.batches)
    found.append(statistics.median(times[1:]))  # the first loads kernels
    return f"{1e3 * found[0]:.1f} ms an iteration"


def side_by_side(options: argparse.Namespace, left: Callable[[], float]) -> Iterator[Row]:
    """Measure iterations a second of several searches at once, each in its own process."""
    alone = math.nan
    for n in SEARCHES:
        form = f"{n} process{'es' if n > 1 else ''}"
        if left() < 40:
            yield "gaea_darts, several searches", form, "not reached in time"
            continue
        command = [sys.executable, __file__, *sys.argv[1:], "--share", "8"]
        children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(n)]
        rates = [child.communicate()[0].strip() for child in children]
        if any(child.returncode for child in children):
            yield "gaea_darts, several searches", form, "fails"
            continue
        rate = sum(map(float, rates))
        alone = rate if n == 1 else alone
        yield "gaea_darts, several searches", form, f"{rate:.2f} iterations/s in all, {rate / alone:.2f} times one"


def share(options: argparse.Namespace) -> float:
    """Return the iterations a second of one search among several, after a time in which all have started."""
    from search import on_random_images

    train_epoch = epochs(on_random_images("gaea_darts", options, 64 * options.batches), options)
    train_epoch()
    time.sleep(max(0.0, 4 - time.process_time()))
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < options.share:
        train_epoch()
        done += options.batches
    return done / (time.perf_counter() - start)


def epochs(search: Any, options: argparse.Namespace) -> Callable[[], None]:
    """Return a function that trains for an epoch and waits for the device."""
    import torch

    from nasbench_eval.utils.rng import Streams

    def train_epoch() -> None:
        search.architecture.begin_epoch(0, 2 * options.batches, Streams(0).torch("benchmark"), search.device)
        search.train_epoch()
        if search.device.type == "cuda":
            torch.cuda.synchronize()

    return train_epoch


def attempt(work: Callable[[], str]) -> str:
    """Return what ``work`` returns, or why it fails."""
    try:
        return work()
    except (RuntimeError, NotImplementedError, TypeError, ValueError, AssertionError) as error:
        return f"fails: {type(error).__name__}: {str(error).strip().splitlines()[0][:120] if str(error) else ''}"


if __name__ == "__main__":
    main()
