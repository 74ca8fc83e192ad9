"""Forward and backward passes of the supernet, as CUDA graphs where the same pass is repeated.

A pass is hundreds of small kernels. On a GPU, launching them one by one takes longer than computing them; a graph
launches all of them at once. The kernels and their results are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_eval.methods.weight_sharing.base import EdgeWeights
from nasbench_eval.methods.weight_sharing.batches import Batch
from nasbench_eval.networks.supernet import Supernet

Capture = Callable[[Callable[[], None]], Callable[[], None]]
"""Records what a function does on the device, and returns a function that does it again."""

BEFORE = 3
"""Passes that are run as they are before the same one is recorded: libraries choose and load their kernels in them."""
MOST = 4
"""Graphs in an epoch: each keeps the memory of a pass. A search that samples cells seldom repeats a pass."""


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def capture_on_gpu(device: torch.device, work: Callable[[], None]) -> Callable[[], None]:
    """Record a function as a CUDA graph of a device, which need not be the current one."""
    graph = torch.cuda.CUDAGraph()
    # By default torch records on the current device: nothing of a search on another one.
    with torch.cuda.device(device), torch.cuda.graph(graph, stream=_stream(device)):
        work()
    return graph.replay


class Passes:
    """The forward and backward passes of one epoch.

    The parameters of the supernet must keep their memory and that of their gradients, which are there from the start.

    Args:
        supernet: The network, in training mode.
        capture: Records a pass; None to run every pass as it is.
    """

    def __init__(self, supernet: Supernet, capture: Capture | None = None) -> None:
        self._supernet = supernet
        self._capture = capture
        self._seen: Counter[object] = Counter()
        self._recorded: dict[object, _Recorded] = {}

    def __call__(self, batch: Batch, weights: EdgeWeights, *, train: bool) -> Tensor:
        """Add the gradients of the mean loss of a batch to those that are there.

        Args:
            batch: Images and labels.
            weights: The operation weights; the gradient goes on to what they were computed from.
            train: Whether the supernet's own parameters get a gradient.

        Returns:
            The sums of the loss and of the correct predictions (2,).
        """
        if self._capture is not None:
            given = tuple(None if value is None else (value.shape, value.requires_grad) for value in _tensors(weights))
            key = (batch[0].shape, weights.active, given, train)
            if key not in self._recorded and self._seen[key] == BEFORE and len(self._recorded) < MOST:
                self._recorded[key] = _Recorded(self._supernet, batch, weights, train, self._capture)
            if key in self._recorded:
                return self._recorded[key](batch, weights)
            self._seen[key] += 1
        with _learning(self._supernet, train):
            loss, totals = _forward(self._supernet, batch, weights)
            loss.backward()  # type: ignore[no-untyped-call]
        return totals


class _Recorded:
    """One pass, with memory of its own for what goes in and comes out."""

    def __init__(self, supernet: Supernet, batch: Batch, weights: EdgeWeights, train: bool, capture: Capture) -> None:
        self._batch = (batch[0].clone(), batch[1].clone())
        values, offsets, edges = (_leaf(value) for value in _tensors(weights))
        assert values is not None
        self._weights = EdgeWeights(values, weights.active, offsets, edges)
        leaves = [leaf for leaf in (values, offsets, edges) if leaf is not None and leaf.requires_grad]
        parameters = list(supernet.parameters()) if train else []
        self._gradients: Sequence[Tensor | None] = ()

        def work() -> None:
            with _learning(supernet, train):
                loss, self._totals = _forward(supernet, self._batch, self._weights)
                found = torch.autograd.grad(loss, [*leaves, *parameters], allow_unused=True)
            self._gradients = found[: len(leaves)]
            pairs = [
                (parameter.grad, gradient)
                for parameter, gradient in zip(parameters, found[len(leaves) :], strict=True)
                if parameter.grad is not None and gradient is not None
            ]
            if pairs:
                torch._foreach_add_(*map(list, zip(*pairs, strict=True)))

        self._replay = capture(work)

    def __call__(self, batch: Batch, weights: EdgeWeights) -> Tensor:
        with torch.no_grad():
            for own, given in zip((*self._batch, *_tensors(self._weights)), (*batch, *_tensors(weights)), strict=True):
                if own is not None and given is not None:
                    own.copy_(given)
        self._replay()
        given_leaves = [value for value in _tensors(weights) if value is not None and value.requires_grad]
        reached = [
            (value, gradient.clone())
            for value, gradient in zip(given_leaves, self._gradients, strict=True)
            if gradient is not None
        ]
        if reached:
            torch.autograd.backward([value for value, _ in reached], [gradient for _, gradient in reached])
        return self._totals.clone()


@contextmanager
def _learning(supernet: Supernet, train: bool) -> Iterator[None]:
    """Compute no gradients of the network's own parameters, unless it trains."""
    if train:
        yield
        return
    supernet.requires_grad_(False)
    try:
        yield
    finally:
        supernet.requires_grad_(True)


def _tensors(weights: EdgeWeights) -> tuple[Tensor, Tensor | None, Tensor | None]:
    return weights.values, weights.offsets, weights.edges


def _leaf(value: Tensor | None) -> Tensor | None:
    return None if value is None else value.detach().clone().requires_grad_(value.requires_grad)


def _forward(supernet: Supernet, batch: Batch, weights: EdgeWeights) -> tuple[Tensor, Tensor]:
    """Return the mean loss, and the sums of the loss and of the correct predictions (2,)."""
    images, labels = batch
    logits = supernet(images, *weights)
    loss = F.cross_entropy(logits, labels)
    hits = (logits.detach().argmax(1) == labels).sum()
    return loss, torch.stack([loss.detach() * len(labels), hits])
