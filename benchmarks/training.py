"""Cells an hour of each way to train many small networks on a CPU core, in one run.

    python benchmarks/training.py                # the shipped table's network, batch and images
    python benchmarks/training.py --steps 40 --repeats 5

All ways train the same cells for the same steps of the same schedule: ``plain`` is ``StandaloneNet`` with torch's SGD,
one network after the other; ``vmap`` is the same module, K networks of one cell at a time, by torch.func; ``grouped K``
is ``StackedNet``. Seconds are those of the processor, one thread, the fastest of the repeats; cells per hour are of
one core and the training alone, without evaluation.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F

from nasbench_eval.cell import Cell
from nasbench_eval.equivalence import normal_form
from nasbench_eval.images import Augment
from nasbench_eval.images.digits import placed_digits
from nasbench_eval.networks.stacked import StackedNet
from nasbench_eval.networks.standalone import StandaloneNet
from nasbench_eval.training.grouped import MOMENTUM, _descend, distinct_cells, groups_of
from nasbench_eval.training.recipes import Schedule
from runners.device import describe

Step = Callable[[torch.Tensor, torch.Tensor], None]
SCHEDULE = Schedule()
DATA = placed_digits()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12, help="steps timed, after three that are not")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--groups", type=int, default=4, help="groups of eight cells that are trained")
    options = parser.parse_args()
    torch.set_num_threads(1)
    augment = Augment.for_data(DATA)
    whole = [group for group in groups_of(distinct_cells(), most=8) if len(group) == 8]
    cells = [
        [normal_form(Cell.from_index(index)) for index in group] for group in whole[:: len(whole) // options.groups]
    ][: options.groups]
    batches = [
        (
            augment.plain(DATA.train.pixels[at : at + SCHEDULE.batch_size]).contiguous(
                memory_format=torch.channels_last
            ),
            DATA.train.labels[at : at + SCHEDULE.batch_size],
        )
        for at in range(0, 3 * SCHEDULE.batch_size, SCHEDULE.batch_size)
    ]
    ways: dict[str, Callable[[Sequence[Cell]], list[Step]]] = {
        "plain": lambda group: [plain(cell) for cell in group],
        "vmap 4": lambda group: [vmapped(group[at], 4) for at in range(0, len(group), 4)],
        **{
            f"grouped {k}": lambda group, k=k: [grouped(group[at : at + k]) for at in range(0, len(group), k)]  # type: ignore[misc]
            for k in (1, 2, 4, 8)
        },
    }
    steps = len(DATA.train) // SCHEDULE.batch_size * SCHEDULE.epochs
    print(f"{options.groups * 8} cells, batch {SCHEDULE.batch_size}, {steps} steps a training; {describe('cpu')}")
    print(f"{'way':<12}{'ms a step and cell':>20}{'cells/h a core':>16}{'times plain':>13}")
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(options.repeats):
        for name, make in ways.items():
            best[name] = min(best[name], seconds(make, cells, batches, options.steps))
    for name, value in best.items():
        print(f"{name:<12}{1000 * value:>20.2f}{3600 / (value * steps):>16.0f}{best['plain'] / value:>13.2f}")


def seconds(
    make: Callable[[Sequence[Cell]], list[Step]],
    cells: list[list[Cell]],
    batches: list[tuple[torch.Tensor, torch.Tensor]],
    count: int,
) -> float:
    """Processor seconds of a step, per cell."""
    total = 0.0
    for group in cells:
        for step in make(group):
            for batch in batches:
                step(*batch)
            start = time.process_time()
            for i in range(count):
                step(*batches[i % len(batches)])
            total += time.process_time() - start
    return total / count / sum(map(len, cells))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def standalone(cell: Cell) -> StandaloneNet:
    return StandaloneNet(
        cell, SCHEDULE.channels, SCHEDULE.cells, DATA.classes, reduction=DATA.reduction, generator=generator()
    )


def sgd(parameters: Iterable[torch.Tensor]) -> torch.optim.SGD:
    return torch.optim.SGD(
        parameters,
        lr=SCHEDULE.lr,
        momentum=MOMENTUM,
        nesterov=True,
        weight_decay=SCHEDULE.weight_decay,
        foreach=True,
    )


def plain(cell: Cell) -> Step:
    net = standalone(cell)
    optimizer = sgd(net.parameters())

    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def vmapped(cell: Cell, size: int) -> Step:
    nets = [standalone(cell) for _ in range(size)]
    for net in nets:
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                # vmap cannot write running statistics in place; without them it has less to do, not more.
                module.track_running_stats = False
                module.running_mean = module.running_var = module.num_batches_tracked = None
    parameters, buffers = torch.func.stack_module_state(nets)
    optimizer = sgd(parameters.values())

    def loss(own: dict[str, torch.Tensor], other: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor):  # type: ignore[no-untyped-def]
        return F.cross_entropy(torch.func.functional_call(nets[0], (own, other), (x,)), y)

    together = torch.func.vmap(loss, in_dims=(0, 0, None, None))

    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        optimizer.zero_grad()
        together(parameters, buffers, images, labels).sum().backward()
        optimizer.step()

    return step


def grouped(cells: Sequence[Cell]) -> Step:
    net = StackedNet(
        cells,
        SCHEDULE.channels,
        SCHEDULE.cells,
        DATA.classes,
        reduction=DATA.reduction,
        generators=[generator() for _ in cells],
    )
    velocity = torch.zeros_like(net.flat)

    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        net.flat_grad.zero_()
        logits = net(images, training=True)
        F.cross_entropy(logits.flatten(0, 1), labels.repeat(len(cells))).mul(len(cells)).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            _descend(net, velocity, SCHEDULE, SCHEDULE.lr)

    return step


if __name__ == "__main__":
    main()
