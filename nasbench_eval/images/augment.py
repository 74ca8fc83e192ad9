"""Random crop, flip and normalisation as tensor functions: of a whole batch at once, on any device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from nasbench_eval.images.datasets import ImageData


@dataclass(frozen=True)
class Augment:
    """Augmentation of training images; each image is treated exactly as crop, flip and normalise with PIL would.

    Attributes:
        mean: Mean per channel, of pixels in 0..1.
        std: Standard deviation per channel, of pixels in 0..1.
        pad: Black pixels added on each side before the random crop.
        flip: Whether an image is mirrored with probability one half.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    pad: int
    flip: bool

    @classmethod
    def for_data(cls, data: ImageData) -> Augment:
        """Return the augmentation that NAS-Bench-201 uses on this data set (no cutout)."""
        return cls(data.mean, data.std, data.pad, data.flip)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw crops and flips for ``n`` images on the CPU, so that they are the same for every device.

        Returns:
            int64 (n, 3): row offset and column offset, 0 to 2*pad, and 1 where the image is mirrored.
        """
        import torch

        offsets = torch.randint(0, 2 * self.pad + 1, (n, 2), generator=generator)
        flips = torch.randint(0, 1 + self.flip, (n, 1), generator=generator)
        return torch.cat([offsets, flips], dim=1)

    def __call__(self, pixels: Tensor, choices: Tensor) -> Tensor:
        """Return the augmented, normalised batch, without synchronising with the device.

        Args:
            pixels: uint8 (B, 3, H, W).
            choices: int64 (B, 3) from ``draw``, on the same device.

        Returns:
            float32 (B, 3, H, W).
        """
        import torch
        from torch.nn.functional import pad

        batch, channels, height, width = pixels.shape
        row, column, flip = choices.unsqueeze(2).unbind(1)
        rows = row + torch.arange(height, device=pixels.device)
        across = torch.arange(width, device=pixels.device)
        # Reading the columns of the crop from right to left mirrors it: crop and flip are one gather of bytes.
        columns = column + torch.where(flip == 1, width - 1 - across, across)
        index = rows.unsqueeze(2) * (width + 2 * self.pad) + columns.unsqueeze(1)
        flat = pad(pixels, (self.pad,) * 4).flatten(2)
        index = index.view(batch, 1, height * width).expand(batch, channels, height * width)
        return self.plain(flat.gather(2, index).view(pixels.shape))

    def plain(self, pixels: Tensor) -> Tensor:
        """Return the batch normalised only, for evaluation.

        Args:
            pixels: uint8 (B, 3, H, W).

        Returns:
            float32 (B, 3, H, W).
        """
        import torch

        out = pixels.to(torch.float32)
        # Plain numbers: small tensors would have to be copied to the device at every step.
        for channel, mean, std in zip(out.unbind(1), self.mean, self.std, strict=True):
            channel.sub_(255 * mean).div_(255 * std)
        return out
