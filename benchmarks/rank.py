"""Seconds to score a cell with shared weights: all sampled cells together against one after another, in one run.

    python benchmarks/rank.py                            # C=16, N=5, as published
    python benchmarks/rank.py --channels 8 --cells 1     # as --scale small

The reference is one forward pass of the supernet per cell with one-hot edge weights. Both forms score the same cells on
the same images in turn; the figures are processor seconds, medians over the repeats.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasbench_eval.cell import Cell
    from nasbench_eval.methods.weight_sharing.scoring import SharedWeights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default="darts,pc_darts")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--cells", type=int, default=5)
    parser.add_argument("--sample", type=int, default=64, help="how many cells are scored")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    import torch
    from search import on_random_images

    from nasbench_eval.cell import Cell
    from nasbench_eval.runs.rank_scores import sample

    torch.set_num_threads(1)
    options.device = "cpu"
    cells = [Cell.from_index(index) for index in sample(options.sample)]
    print(f"C={options.channels} N={options.cells}, {len(cells)} cells, {options.images} images, one thread")
    print(f"{'method':<14}{'alone ms':>10}{'together ms':>13}{'ratio':>8}")
    for name in options.methods.split(","):
        scoring = on_random_images(name, options, options.images).scoring
        seconds: dict[str, list[float]] = {"alone": [], "together": []}
        forms: dict[str, Callable[[], object]] = {
            "alone": partial(_alone, scoring, cells),
            "together": partial(_together, scoring, cells),
        }
        for _ in range(options.repeats):
            for form, score in forms.items():
                start = time.process_time()
                score()
                seconds[form].append(time.process_time() - start)
        alone, together = (1e3 * statistics.median(seconds[form]) / len(cells) for form in forms)
        print(f"{name:<14}{alone:>10.1f}{together:>13.1f}{alone / together:>8.2f}", flush=True)


def _alone(scoring: SharedWeights, cells: list[Cell]) -> None:
    for cell in cells:
        scoring.evaluate_cell(cell)


def _together(scoring: SharedWeights, cells: list[Cell]) -> None:
    for _ in scoring.evaluate_cells(cells):
        pass


if __name__ == "__main__":
    main()
