"""What the table of digits is worth: its histogram, its noise, its agreement with NAS-Bench-201.

    python benchmarks/digits.py [--real NASBENCH201.parquet] [--retrain 20 --seeds 10,11] [--plot digits.png]

Prints the numbers of ``docs/digits.md``. ``--real`` is a table with CIFAR-10's 200-epoch test accuracy. ``--retrain``
draws cells at random and trains them again from scratch, with seeds that the table does not have; a group of four
takes some fifteen seconds of one core.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from nasbench_eval.cell import Cell
from nasbench_eval.equivalence import representatives
from nasbench_eval.images import load_images
from nasbench_eval.table import Table, find_table
from nasbench_eval.training.recipes import Schedule
from nasbench_eval.utils.rng import Streams
from runners.train_table import train_cells

EDGES = (0, 15, 20, 30, 50, 70, 80, 85, 88, 90, 91, 92, 93, 94, 95, 96, 100)
"""Of the histogram, in percent."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, help="default: the one in the package")
    parser.add_argument("--real", type=Path)
    parser.add_argument("--retrain", type=int, default=0)
    parser.add_argument("--seeds", default="10,11")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    table = Table.open(find_table(options.table, "digits"))
    accuracy = column(table, "test")
    print(f"{table.metadata.name}, content {table.metadata.content_hash[:12]}; {table.metadata.source['seconds']}")
    describe(accuracy, table)
    known = np.unique(representatives())
    if options.real is not None:
        real = Table.open(options.real)
        agreement(accuracy, real.column("cifar10", "test", epochs=real.longest("cifar10")).astype(float), known)
    trials = table.trials("digits", "test", epochs=table.longest("digits"))
    if len(trials) > 1:
        noise(np.stack([column(table, "test", trial) for trial in trials])[:, known], "all functions")
    if options.retrain:
        retrain(table, known, options.retrain, [int(seed) for seed in options.seeds.split(",")])
    if options.plot is not None:
        draw(accuracy, Table.open(options.real) if options.real is not None else None, options.plot)


def column(table: Table, split: str, trial: int | None = None) -> np.ndarray:
    return table.column("digits", split, epochs=table.longest("digits"), trial=trial).astype(float)


def describe(accuracy: np.ndarray, table: Table) -> None:
    """Print the histogram and the cells that everybody asks for."""
    print("\ntest accuracy of all cells")
    counts, _ = np.histogram(accuracy, EDGES)
    for low, high, count in zip(EDGES[:-1], EDGES[1:], counts, strict=True):
        print(f"  {low:3} to {high:3}: {count:6,} {'#' * round(60 * count / counts.max())}")
    print(f"  quartiles {np.percentile(accuracy, [25, 50, 75]).round(2)}")
    for name, op in (("none", 0), ("skip_connect", 1), ("nor_conv_1x1", 2), ("nor_conv_3x3", 3), ("avg_pool_3x3", 4)):
        print(f"  {name} on all edges: {accuracy[Cell((op,) * 6).index]:.2f}")
    for cell, best in table.top("digits", count=3):
        print(f"  {best:.2f}: cell {cell.index}, {cell}")
    valid = column(table, "valid")
    print(f"  rank correlation of valid and test: {spearman(valid, accuracy):.3f}; mean {valid.mean():.2f}, ", end="")
    print(f"{accuracy.mean():.2f}; test accuracy of the cell best on valid: {accuracy[valid.argmax()]:.2f}")
    curves = table.curves("digits", "valid", epochs=table.longest("digits"))
    for epoch, early in enumerate(curves.T[:-1], start=1):
        print(f"  rank correlation of valid after epoch {epoch} with test: {spearman(early, accuracy):.3f}")


def agreement(accuracy: np.ndarray, real: np.ndarray, known: np.ndarray) -> None:
    """Print rank correlations with CIFAR-10 on the real table."""
    from scipy.stats import kendalltau

    print("\nagreement with CIFAR-10 test accuracy after 200 epochs (NAS-Bench-201)")
    for words, which in (
        ("all 15,625 cells", np.arange(len(real))),
        (f"one of each of {len(known):,} functions", known),
    ):
        tau = kendalltau(accuracy[which], real[which]).statistic
        print(f"  {words}: Spearman {spearman(accuracy[which], real[which]):.3f}, Kendall {tau:.3f}")
    rng = Streams(0).numpy("samples of 60 cells")
    draws = [rng.choice(len(real), 60, replace=False) for _ in range(2000)]
    low, middle, high = np.percentile([spearman(accuracy[s], real[s]) for s in draws], [2.5, 50, 97.5])
    print(f"  60 cells drawn at random: {middle:.3f} ({low:.3f} to {high:.3f} for 95 % of 2,000 draws)")
    for share in (0.5, 0.1, 0.01):
        best = int(share * len(real))
        ours, theirs = (np.argsort(-values, kind="stable")[:best] for values in (accuracy, real))
        both = len(np.intersect1d(ours, theirs)) / best
        inside = spearman(accuracy[theirs], real[theirs])
        print(f"  best {share:.0%} of CIFAR-10: {both:.0%} are among the best {share:.0%} here; inside it {inside:.3f}")


def noise(trials: np.ndarray, words: str) -> None:
    """Print the standard deviation between trials (trials, cells)."""
    std = trials.std(0, ddof=1)
    print(
        f"  std between {len(trials)} trials, {words}: median {np.median(std):.2f}, pooled "
        f"{np.sqrt((std**2).mean()):.2f}; under 0.7 points for {np.mean(std < 0.7):.0%} of them"
    )
    good = trials.mean(0) >= np.median(trials.mean(0))
    print(f"    of the better half: median {np.median(std[good]):.2f}, under 0.7 for {np.mean(std[good] < 0.7):.0%}")


def retrain(table: Table, known: np.ndarray, count: int, seeds: list[int]) -> None:
    """Train cells drawn at random from scratch and print them beside their records."""
    cells = sorted(Streams(0).numpy("cells to train again").choice(known, count, replace=False).tolist())
    schedule = Schedule(**table.metadata.source["schedule"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "again.records.jsonl"
        load = partial(load_images, "digits")
        workers = os.cpu_count() or 1
        lines = train_cells(load, schedule, path, trials=seeds, cells=cells, workers=workers).lines
    recorded = column(table, "test")
    again = np.array([[lines[index, seed]["test"][0] for index in cells] for seed in seeds])
    print(f"\n{count} cells drawn at random, trained again; schedule {dataclasses.asdict(schedule)}")
    print(f"  {'cell':>6}  recorded  " + "  ".join(f"seed {seed:2}" for seed in seeds) + "  difference of the mean")
    for at, index in enumerate(cells):
        mean = again[:, at].mean()
        words = "  ".join(f"{value:7.2f}" for value in again[:, at])
        print(f"  {index:6}  {recorded[index]:8.2f}  {words}  {mean - recorded[index]:+.2f}")
    difference = again.mean(0) - recorded[cells]
    rank = spearman(again.mean(0), recorded[cells])
    print(
        f"  mean difference {difference.mean():+.2f}, median size {np.median(abs(difference)):.2f}; Spearman {rank:.3f}"
    )
    noise(np.vstack([recorded[cells], again]), f"these {count} cells")


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).statistic)


def draw(accuracy: np.ndarray, real: Table | None, path: Path) -> None:
    """Draw the histogram and, with the real table, accuracy here against accuracy there."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from nasbench_eval.analysis.figures import _style as style

    with rc_context(style.RC):  # type: ignore[arg-type]  # the stub lists every key as a literal
        figure = Figure(figsize=(3.4 if real is None else 6.8, 2.6), layout="constrained")
        axes = figure.subplots(1, 1 if real is None else 2, squeeze=False)[0]
        axes[0].hist(accuracy, bins=np.arange(8, 98.5, 1.0).tolist(), color=style.BLOCK_COLOURS["weight sharing"])
        axes[0].set(xlabel="test accuracy on digits (%)", ylabel="cells")
        axes[0].set_title("all 15,625 cells", loc="left")
        if real is not None:
            there = real.column("cifar10", "test", epochs=real.longest("cifar10"))
            purple = style.BLOCK_COLOURS["weight sharing"]
            axes[1].scatter(accuracy, there, s=1.5, alpha=0.25, linewidths=0, color=purple, rasterized=True)
            axes[1].set(xlabel="test accuracy on digits (%)", ylabel="test accuracy on CIFAR-10 (%)")
            axes[1].set_title(f"Spearman's rho {spearman(accuracy, there):.2f}", loc="left")
        figure.savefig(path, dpi=style.DPI, metadata=style.METADATA["png"])


if __name__ == "__main__":
    main()
