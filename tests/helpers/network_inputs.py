"""Generators, random images and a measure of difference for the tests of networks."""

from __future__ import annotations

import torch

from nasbench_eval.utils.rng import Streams

GEN = Streams(0)


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Largest absolute difference relative to the largest entry."""
    return float(((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1e-12)).detach())


def batch(n: int = 6, size: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Random images and labels of ten classes."""
    gen = GEN.torch("images")
    return torch.randn(n, 3, size, size, generator=gen).double(), torch.randint(10, (n,), generator=gen)
