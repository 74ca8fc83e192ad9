"""Augmenting a batch gives, image by image, what PIL gives, and never synchronises with a GPU."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch._subclasses.fake_tensor import FakeTensorMode

from nasbench_eval.images import Augment, Images, load_images

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.1)


def with_pil(pixels, choices, pad):
    """Pad, crop, flip, scale to 0..1 and normalise one image after the other."""
    height, width = pixels.shape[2:]
    done = []
    for image, (row, column, flip) in zip(pixels, choices.tolist(), strict=True):
        picture = ImageOps.expand(Image.fromarray(image.permute(1, 2, 0).numpy()), border=pad, fill=0)
        picture = picture.crop((column, row, column + width, row + height))
        if flip:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        done.append((np.asarray(picture, dtype=np.float32) / 255 - MEAN) / STD)
    return torch.from_numpy(np.stack(done).transpose(0, 3, 1, 2))


@pytest.mark.parametrize(("height", "width", "pad"), [(32, 32, 4), (16, 16, 2), (5, 7, 1)])
def test_every_crop_and_flip_equals_pil(height, width, pad):
    offsets = range(2 * pad + 1)
    choices = torch.tensor([(row, column, flip) for row in offsets for column in offsets for flip in (0, 1)])
    pixels = torch.randint(
        0, 256, (len(choices), 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    before = pixels.clone()
    ours = Augment(MEAN, STD, pad, flip=True)(pixels, choices)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, with_pil(pixels, choices, pad).float(), rtol=0, atol=4e-6)
    assert torch.equal(pixels, before)


def test_a_crop_computed_by_hand():
    pixels = torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8).expand(1, 3, 2, 2)
    augment = Augment((0, 0, 0), (1 / 255,) * 3, pad=1, flip=True)
    # Row offset 0 shows the black row above; column offset 2 the black column at the right.
    assert augment(pixels, torch.tensor([[0, 2, 0]]))[0, 1].tolist() == pytest.approx(
        torch.tensor([[0.0, 0], [2, 0]]).numpy()
    )
    assert augment(pixels, torch.tensor([[0, 2, 1]]))[0, 1].tolist() == pytest.approx(
        torch.tensor([[0.0, 0], [0, 2]]).numpy()
    )


def test_evaluation_only_normalises():
    pixels = torch.full((2, 3, 4, 4), 51, dtype=torch.uint8)  # 51/255 = 0.2
    out = Augment(MEAN, STD, 4, flip=True).plain(pixels)
    assert out[1, :, 3, 3].tolist() == pytest.approx([-1.2, -1.0, -1.0])
    assert pixels.unique().tolist() == [51]


def test_choices_are_uniform_and_come_from_the_generator_alone():
    augment = Augment(MEAN, STD, 4, flip=True)
    choices = augment.draw(9000, torch.Generator().manual_seed(1))
    assert (choices.shape, choices.dtype, choices.device.type) == ((9000, 3), torch.int64, "cpu")
    for column in (0, 1):  # 1,000 of each value, standard deviation 30
        counts = choices[:, column].bincount()
        assert len(counts) == 9
        assert (counts - 1000).abs().max() < 150
    assert 4200 < choices[:, 2].sum() < 4800
    assert torch.equal(choices, augment.draw(9000, torch.Generator().manual_seed(1)))
    assert not torch.equal(choices, augment.draw(9000, torch.Generator().manual_seed(2)))


def test_digits_are_neither_moved_nor_mirrored():
    augment = Augment.for_data(load_images("digits"))
    choices = augment.draw(500, torch.Generator().manual_seed(0))
    assert choices.unique().tolist() == [0]  # they are placed already, and a mirrored digit is not a digit


def test_it_does_not_synchronise_with_a_gpu():
    augment = Augment(MEAN, STD, 4, flip=True)
    # Fake tensors have no values: reading one, which would synchronise with the device, raises.
    with FakeTensorMode():
        pixels = torch.empty((64, 3, 32, 32), dtype=torch.uint8, device="cuda")
        choices = torch.empty((64, 3), dtype=torch.int64, device="cuda")
        for out in (augment(pixels, choices), augment.plain(pixels)):
            assert (out.device.type, out.dtype, out.shape) == ("cuda", torch.float32, (64, 3, 32, 32))
        with pytest.raises(RuntimeError, match="device"):
            augment(pixels, choices.cpu())
        with pytest.raises(RuntimeError, match="device"):
            augment(pixels.cpu(), choices)
        batch = Images(pixels, torch.empty(64, dtype=torch.int64, device="cuda")).subset(choices.select(1, 0))
        assert (batch.pixels.device.type, batch.labels.device.type) == ("cuda", "cuda")
