"""Train a cell from scratch as the benchmark does: its true accuracy where no table has it.

Source: NAS-Bench-201 (ICLR 2020), table 1: SGD with Nesterov momentum 0.9, learning rate 0.1 decayed to 0 by a cosine
over 200 epochs, weight decay 5e-4, batch size 256, random flip and crop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F

from nasbench_eval.cell import Cell
from nasbench_eval.errors import RunError
from nasbench_eval.images import Augment, ImageData
from nasbench_eval.networks.standalone import StandaloneNet
from nasbench_eval.training.recipes import TrainingSettings
from nasbench_eval.utils.rng import Streams
from nasbench_eval.utils.schedules import cosine


def train_from_scratch(
    cell: Cell,
    data: ImageData,
    settings: TrainingSettings,
    streams: Streams,
    *,
    device: str = "cpu",
    begun: Mapping[str, Any] | None = None,
    on_epoch: Callable[[dict[str, Any]], None] = lambda state: None,
) -> float:
    """Train the network of one cell on the training set and return its accuracy on the test part, in percent.

    The last batch may be smaller; it is left out if it has a single image, because BatchNorm needs two.

    Args:
        cell: The cell.
        data: The images.
        settings: Network and schedule.
        streams: The random generators.
        device: A torch device.
        begun: The state of the same training after an epoch, to go on from; None to begin.
        on_epoch: Called with the state after each epoch.

    Raises:
        NbevalError: If the training diverges: a network that is not finite has no accuracy.
    """
    where = torch.device(device)
    net = StandaloneNet(
        cell,
        settings.channels,
        settings.cells,
        data.classes,
        reduction=data.reduction,
        generator=streams.torch("truth weights"),
    ).to(where)
    augment = Augment.for_data(data)
    train, test = data.training_set.to(where), data.test.to(where)
    optimizer = torch.optim.SGD(
        net.parameters(), lr=settings.lr, momentum=0.9, weight_decay=settings.weight_decay, nesterov=True, foreach=True
    )
    first = 0
    if begun is not None:
        net.load_state_dict(begun["net"])
        optimizer.load_state_dict(begun["optimizer"])
        first = begun["epoch"]
    n = len(train)
    for epoch in range(first, settings.epochs):
        generator = streams.torch("truth batches", epoch)
        order = torch.randperm(n, generator=generator).to(where)
        choices = augment.draw(n, generator).to(where)
        for group in optimizer.param_groups:
            group["lr"] = cosine(settings.lr, 0.0, epoch, settings.epochs)
        total = torch.zeros((), device=where)
        for at in range(0, n - 1, settings.batch_size):
            which = order[at : at + settings.batch_size]
            images = augment(train.pixels.index_select(0, which), choices[at : at + settings.batch_size])
            optimizer.zero_grad()
            loss = F.cross_entropy(net(images), train.labels.index_select(0, which))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.detach()
        _require_finite(total, cell, f"in epoch {epoch + 1}")
        on_epoch({"epoch": epoch + 1, "net": net.state_dict(), "optimizer": optimizer.state_dict()})
    net.eval()
    hits, total = torch.zeros((), device=where), torch.zeros((), device=where)
    with torch.no_grad():
        for at in range(0, len(test), 512):
            logits = net(augment.plain(test.pixels[at : at + 512]))
            labels = test.labels[at : at + 512]
            hits += (logits.argmax(1) == labels).sum()
            total += F.cross_entropy(logits, labels, reduction="sum")
    _require_finite(total, cell, "in its last step")
    return 100 * float(hits) / len(test)


def _require_finite(loss: torch.Tensor, cell: Cell, when: str) -> None:
    if not math.isfinite(float(loss)):
        raise RunError(
            f"training the final cell {cell} from scratch diverged {when}: the search is kept, look its cells up with "
            "--truth table, or go without with --truth none"
        )
