"""How much of a core's matrix peak a search iteration reaches, and what takes the rest, in one run.

    python benchmarks/peak.py                            # DARTS at C=16, N=1, one thread
    python benchmarks/peak.py --method gaea_darts --cells 5

The reference is the rate of a large float32 matrix product on the same core. The floating-point operations of an
iteration (one weights step, one architecture step, batch 64) are those of its convolutions and matrix products. The
table groups the profiled time of torch's kernels.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

GROUPS = {
    "convolutions": ("convolution",),
    "matrix products": ("addmm", "aten::mm", "aten::bmm", "aten::dot"),
    "BatchNorm": ("batch_norm",),
    "sums, products, copies": ("aten::",),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="darts")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--cells", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=8)
    options = parser.parse_args()

    import torch
    from search import nbeval
    from torch.profiler import ProfilerActivity, profile
    from torch.utils.flop_counter import FlopCounterMode

    torch.set_num_threads(1)
    options.device = "cpu"
    iterate = nbeval(options.method, options)
    iterate(1)
    matrix = torch.rand(2048, 2048)
    seconds: dict[str, list[float]] = {"product": [], "iteration": []}
    for _ in range(options.iterations):  # in turn, so that both see the same machine
        seconds["product"].append(measure(lambda: torch.mm(matrix, matrix)))
        seconds["iteration"].append(measure(lambda: iterate(1)))
    product, iteration = (statistics.median(found) for found in seconds.values())
    with FlopCounterMode(display=False) as counter:
        iterate(1)
    peak, reached = 2 * 2048**3 / product, counter.get_total_flops() / iteration
    print(f"{options.method}, C={options.channels} N={options.cells}, batch 64, one thread")
    print(f"matrix product {peak / 1e9:.1f} GFLOP/s; iteration {1e3 * iteration:.0f} ms, {reached / 1e9:.1f} GFLOP/s")
    print(f"share of the peak: {reached / peak:.2f}")

    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        iterate(3)
    shares = dict.fromkeys([*GROUPS, "Python and autograd"], 0.0)
    for event in profiled.key_averages():
        group = next((name for name, marks in GROUPS.items() if any(mark in event.key for mark in marks)), None)
        shares[group or "Python and autograd"] += event.self_cpu_time_total
    total = sum(shares.values())
    for name, found in shares.items():
        print(f"  {name:<24}{found / total:6.1%} of the time")


def measure(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
