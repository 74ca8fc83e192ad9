"""The source of every random number of a run: one generator per (seed, purpose), never a global one."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


class Streams:
    """Independent generators of one run, each named by its purpose.

    The same (seed, purpose, numbers) always gives the same stream, regardless of what was drawn before. A purpose that
    takes the epoch as its number therefore needs no state in a checkpoint.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def _sequence(self, purpose: str, numbers: tuple[int, ...]) -> np.random.SeedSequence:
        return np.random.SeedSequence(self.seed, spawn_key=(zlib.crc32(purpose.encode()), *numbers))

    def numpy(self, purpose: str, *numbers: int) -> np.random.Generator:
        """Return a numpy generator for a purpose, such as ``("batches", epoch)``."""
        return np.random.Generator(np.random.PCG64(self._sequence(purpose, numbers)))

    def torch(self, purpose: str, *numbers: int) -> torch.Generator:
        """Return a torch generator for a purpose.

        The generator is always on the CPU: its numbers are the same for every device, and are drawn ahead of the steps
        that use them. Torch's generator takes 32 bits of the seed.
        """
        import torch

        low, high = self._sequence(purpose, numbers).generate_state(2, np.uint32).tolist()
        return torch.Generator().manual_seed(high << 32 | low)
