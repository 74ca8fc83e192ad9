"""Networks side by side against as many stand-alone networks."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from cell_groups import sharing_convolutions

from nasbench_eval.cell import Cell
from nasbench_eval.images import Reduction
from nasbench_eval.networks.skeleton import REDUCTIONS
from nasbench_eval.networks.stacked import StackedNet
from nasbench_eval.networks.standalone import StandaloneNet


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    "ops", [(1, 0, 0, 4, 0, 1), (3, 0, 2, 0, 1, 3), (4, 3, 2, 1, 1, 4), (2, 3, 3, 0, 4, 1), (0, 4, 0, 0, 0, 3)]
)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_networks_side_by_side_equal_standalone_networks(ops: tuple[int, ...], reduction: Reduction) -> None:
    cells = sharing_convolutions(Cell(ops), 3)  # type: ignore[arg-type]
    plain = [StandaloneNet(cell, 4, 2, 10, generator=seeded(k), reduction=reduction) for k, cell in enumerate(cells)]
    side_by_side = StackedNet(cells, 4, 2, 10, generators=[seeded(9)] * 3, reduction=reduction)
    with torch.no_grad():
        for name, value in side_by_side.parameters.items():
            parts = [module_parameter(net, name) for net in plain]
            value.copy_(torch.stack(parts) if name.startswith("classifier") else torch.cat(parts))
    images, labels = torch.randn(16, 3, 12, 12, generator=seeded(0)), torch.arange(16) % 10
    expected = torch.stack([net(images) for net in plain])
    found = side_by_side(images, training=True)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    F.cross_entropy(expected.flatten(0, 1), labels.repeat(3)).backward()
    F.cross_entropy(found.flatten(0, 1), labels.repeat(3)).backward()
    for name, value in side_by_side.parameters.items():
        parts = [module_parameter(net, name).grad for net in plain]
        wanted = torch.stack(parts) if name.startswith("classifier") else torch.cat(parts)  # type: ignore[arg-type]
        torch.testing.assert_close(value.grad, wanted, rtol=1e-2, atol=1e-4, msg=name)
    # The running statistics agree as well.
    expected = torch.stack([net.eval()(images) for net in plain])
    torch.testing.assert_close(side_by_side(images, training=False), expected, rtol=1e-4, atol=1e-4)


def test_all_networks_begin_with_torchs_default_weights() -> None:
    cells = sharing_convolutions(Cell((1, 3, 2, 4, 0, 1)), 2)
    plain = StandaloneNet(cells[0], 8, 1, 10, generator=seeded(1))
    side_by_side = StackedNet(cells, 8, 1, 10, generators=[seeded(2), seeded(3)])
    fan_in = 0
    for name, value in side_by_side.parameters.items():
        alone = module_parameter(plain, name)
        if alone.dim() == 1 and name != "classifier.bias":  # of BatchNorm
            assert set(value.tolist()) == set(alone.tolist()) == {float(name.endswith("weight"))}, name
            continue
        fan_in = fan_in if name == "classifier.bias" else alone[0].numel()  # a bias comes after its weights
        for own in (alone, *value.chunk(2)):
            assert 0.6 < own.abs().max() * fan_in**0.5 <= 1, name


def test_networks_side_by_side_need_the_same_convolutions() -> None:
    with pytest.raises(ValueError, match="same convolutions"):
        StackedNet([Cell((3,) * 6), Cell((2,) * 6)], 4, 1, 10, generators=[seeded(0)] * 2)


def module_parameter(net: StandaloneNet, name: str) -> torch.nn.Parameter:
    """The parameter of the plain network that a parameter of ``StackedNet`` corresponds to."""
    first, *rest = name.split(".")
    where: dict[str, str] = {"stem": "stem.0.weight", "classifier": "classifier.weight"}
    if name in where:
        return net.get_parameter(where[name])
    kind = rest[-1] if rest and rest[-1] in ("weight", "bias") else "weight"
    if first == "stem":
        return net.get_parameter(f"stem.1.{kind}")
    if first in ("last", "classifier"):
        return net.get_parameter(f"{'last_bn' if first == 'last' else first}.{kind}")
    if first.startswith("cell"):
        n, edge, *norm = rest
        return net.get_parameter(f"stages.{first[4:]}.{n}.convs.{edge}.{2 if norm else 1}.{kind}")
    which, *norm = rest
    names = {"a": ("conv_a", "bn_a"), "b": ("conv_b", "bn_b"), "down": ("downsample", "")}
    return net.get_parameter(f"reductions.{first[6:]}.{names[which][bool(norm)]}.{kind}")
