"""Scores of a cell's network at its initial weights; a higher score is meant to promise a higher accuracy.

Every function takes a network with fresh weights, which it may change, and one batch of images (B, 3, H, W) with their
labels (B,). BatchNorm uses the statistics of the batch, as in the released codes. A score that is not defined, because
nothing that the network computes depends on the image, is minus infinity.

Sources: Mellor et al., "Neural architecture search without training", ICML 2021 (``nas-without-training``), and
Abdelfattah et al., "Zero-cost proxies for lightweight NAS", ICLR 2021 (``zero-cost-nas``,
``foresight/pruners/measures``), which turned scores of pruning at initialisation into scores of networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Score = Callable[[nn.Module, Tensor, Tensor], float]
"""From a network with fresh weights, images and labels to a score."""

_EIGENVALUE_SHIFT = 1e-5  # k in the released code of the Jacobian covariance


def naswot(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return log|K|, where K counts for each two images the ReLUs that are on for both or off for both.

    Source: Mellor et al., section 3; ``score_networks.py`` (``hook_logdet``).
    """
    codes = _ReluCodes(len(images), images.device)
    with torch.no_grad(), codes:
        network(images)
    return float(torch.linalg.slogdet(codes.kernel)[1])


class _ReluCodes(TorchFunctionMode):
    """Adds up ``kernel`` (B, B), float64, over all ReLUs of a forward pass."""

    def __init__(self, batch: int, device: torch.device) -> None:
        super().__init__()
        self.kernel = torch.zeros(batch, batch, dtype=torch.float64, device=device)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (F.relu, torch.relu, Tensor.relu):
            code = torch.where(args[0].flatten(1) > 0, 1.0, -1.0)
            # Units that agree, minus units that differ, plus all units: twice those that agree.
            self.kernel += ((code @ code.T + code.shape[1]) / 2).to(self.kernel)
        return func(*args, **(kwargs or {}))


def jacob_cov(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return -sum(log(v + k) + 1 / (v + k)) over the eigenvalues v of the correlations between the images' Jacobians.

    The Jacobian of an image is the gradient of the sum of its logits; k is 1e-5. It is the score of the first version
    of "Neural architecture search without training" (arXiv 2006.04647v1), ``jacob_cov.py`` in ``zero-cost-nas``.
    """
    images = images.clone().requires_grad_()
    [jacobian] = _gradients(network(images).sum(), [images])
    jacobian = jacobian.flatten(1).double()
    centred = jacobian - jacobian.mean(1, keepdim=True)
    norms = centred.norm(dim=1, keepdim=True)
    if not bool((norms > 0).all()):
        return -math.inf
    rows = centred / norms
    values = torch.linalg.eigvalsh(rows @ rows.T).clamp_min(0) + _EIGENVALUE_SHIFT
    return float(-(values.log() + 1 / values).sum())


def grad_norm(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the sum of the Euclidean norms of the loss's gradients, one per weight of a layer.

    Source: Abdelfattah et al., section 3; ``grad_norm.py``.
    """
    gradients = _gradients(F.cross_entropy(network(images), labels), _weights(network))
    return float(sum(gradient.norm() for gradient in gradients))


def snip(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the sum of ``|weight * gradient of the loss|``: how much the loss depends on each connection.

    Source: Lee et al., "SNIP", ICLR 2019, as the sum that Abdelfattah et al. take; ``snip.py``.
    """
    weights = _weights(network)
    return _saliency(weights, _gradients(F.cross_entropy(network(images), labels), weights))


def synflow(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the sum of ``|weight * gradient of R|``, R being the sum of the logits for an image of ones.

    All parameters are made positive and BatchNorm is removed; only the size of the images matters. Source: Tanaka et
    al., NeurIPS 2020, as the sum that Abdelfattah et al. take; ``synflow.py``, which keeps BatchNorm between
    the stages and has biases in the cells.
    """
    for parent in list(network.modules()):
        for name, module in parent.named_children():
            if isinstance(module, nn.BatchNorm2d):
                setattr(parent, name, nn.Identity())
    network.double()
    for parameter in network.parameters():
        parameter.data.abs_()
    weights = _weights(network)
    flow = network(torch.ones_like(images[:1], dtype=torch.float64)).sum()
    return _saliency(weights, _gradients(flow, weights))


def params(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the number of parameters."""
    return float(sum(parameter.numel() for parameter in network.parameters()))


def flops(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the multiply-adds of convolutions and linear layers for one image, which NAS-Bench-201 calls FLOPs."""
    total = 0.0

    def count(layer: Any, inputs: Any, output: Tensor) -> None:
        nonlocal total
        total += layer.weight.numel() / len(layer.weight) * output.numel()

    for layer in _layers(network):
        layer.register_forward_hook(count)
    with torch.no_grad():
        network.eval()(images[:1])
    return total


def _layers(network: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def _weights(network: nn.Module) -> list[Tensor]:
    return [layer.weight for layer in _layers(network)]


def _gradients(value: Tensor, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """Return the gradients of a number; zeros for what it does not depend on."""
    return torch.autograd.grad(value, inputs, allow_unused=True, materialize_grads=True)


def _saliency(weights: list[Tensor], gradients: tuple[Tensor, ...]) -> float:
    return float(sum((w.detach() * g).abs().sum() for w, g in zip(weights, gradients, strict=True)))


SCORES: dict[str, Score] = {
    "naswot": naswot,
    "jacob_cov": jacob_cov,
    "grad_norm": grad_norm,
    "snip": snip,
    "synflow": synflow,
    "params": params,
    "flops": flops,
}
"""The scores by the value of the setting ``score``."""

SEES = {"synflow": "an image of ones at the cell's initial weights", "params": "no image", "flops": "no image"}
"""What a score uses in place of the batch, for those that do not use it."""
