"""Scores of untrained networks against their definitions, computed by hand and by finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_eval.cell import Cell
from nasbench_eval.methods.training_free import scores
from nasbench_eval.networks.standalone import StandaloneNet

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randn(5, 3, 8, 8, generator=GENERATOR, dtype=torch.float64)
SMALL = IMAGES[:, :, :2, :2].clone()
LABELS = torch.tensor([0, 1, 2, 0, 1])


def network(ops: tuple[int, ...] = (3, 1, 2, 0, 4, 3)) -> StandaloneNet:
    return StandaloneNet(Cell(ops), 2, 1, 3, generator=torch.Generator().manual_seed(1)).double()


def small_network() -> nn.Sequential:
    """Few enough weights to move each of them."""
    net = nn.Sequential(
        nn.Conv2d(3, 2, 1, bias=False), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)
    ).double()
    for parameter in net.parameters():
        parameter.data = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)).double()
    return net


def slopes(value: Callable[[], Tensor], tensor: Tensor) -> np.ndarray:
    """The gradient of a number by central differences."""
    found, step = np.zeros(tuple(tensor.shape)), 1e-6
    with torch.no_grad():
        for at in np.ndindex(found.shape):
            start = float(tensor[at])
            for sign in (1, -1):
                tensor[at] = start + sign * step
                found[at] += sign * float(value()) / (2 * step)
            tensor[at] = start
    return found


def test_naswot_counts_the_relus_on_which_two_images_agree() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3, bias=False), nn.ReLU(), nn.Linear(3, 2, bias=False))
    net[1].weight.data, net[3].weight.data = torch.eye(3, 4), torch.ones(2, 3)
    images = torch.tensor([[1.0, 1, -1, 0], [1, -1, -1, 0], [-1, -1, 1, 0]]).view(3, 1, 2, 2)
    kernel = np.array([[3.0, 2, 0], [2, 3, 1], [0, 1, 3]])
    assert scores.naswot(net, images, LABELS[:3]) == pytest.approx(np.log(np.linalg.det(kernel)))


def test_naswot_sees_every_relu_of_a_network_once() -> None:
    net, codes = network(), scores._ReluCodes(5, torch.device("cpu"))
    with torch.no_grad(), codes:
        net(IMAGES)
    stages = 2 * 64, 4 * 16, 8 * 4  # channels times pixels
    # One for each of the three convolutions of a cell, two in each residual block, one before the classifier.
    units = 3 * sum(stages) + (stages[0] + stages[1]) + (stages[1] + stages[2]) + stages[2]
    assert codes.kernel.diagonal().tolist() == [units] * 5


def test_the_jacobian_covariance_is_that_of_the_images_gradients() -> None:
    images, net = SMALL.clone(), small_network()
    jacobian = slopes(lambda: net(images).sum(), images).reshape(5, -1)
    values = np.linalg.eigvalsh(np.corrcoef(jacobian))
    expected = -np.sum(np.log(values + 1e-5) + 1 / (values + 1e-5))
    assert scores.jacob_cov(small_network(), SMALL, LABELS) == pytest.approx(expected, rel=1e-3)


def test_gradient_norm_and_snip_by_finite_differences() -> None:
    net = small_network()
    weights = [net[0].weight, net[4].weight]
    gradients = [slopes(lambda: F.cross_entropy(net(SMALL), LABELS), weight) for weight in weights]
    norms = sum(np.linalg.norm(gradient) for gradient in gradients)
    assert scores.grad_norm(small_network(), SMALL, LABELS) == pytest.approx(norms, rel=1e-5)
    saliency = sum(np.abs(w.detach().numpy() * g).sum() for w, g in zip(weights, gradients, strict=True))
    assert scores.snip(small_network(), SMALL, LABELS) == pytest.approx(saliency, rel=1e-5)


def test_synflow_of_a_chain_is_its_flow_once_per_layer() -> None:
    """Without biases, weight times gradient sums to the whole flow in each layer."""
    chain = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1, bias=False)
    )
    first, second = (abs(chain[i].weight.detach()).double() for i in (0, 3))
    flow = float(F.conv2d(F.conv2d(torch.ones(1, 3, 8, 8).double(), first, padding=1), second).sum())
    assert scores.synflow(chain, IMAGES.float(), LABELS) == pytest.approx(2 * flow)


@pytest.mark.parametrize(
    ("ops", "parameters", "multiply_adds"), [((3,) * 6, 1_531_546, 220_119_680), ((0,) * 6, 73_306, 7_783_040)]
)
def test_parameters_and_flops_are_those_of_the_benchmark(
    ops: tuple[int, ...], parameters: int, multiply_adds: int
) -> None:
    """NAS-Bench-201 lists 1.531546 and 0.073306 million parameters, 220.12 and 7.78 million FLOPs."""
    net = StandaloneNet(Cell(ops), 16, 5, 10, generator=torch.Generator().manual_seed(0))
    images = torch.zeros(2, 3, 32, 32)
    assert scores.params(net, images, LABELS[:2]) == parameters
    assert scores.flops(net, images, LABELS[:2]) == multiply_adds


@pytest.mark.parametrize("name", ["naswot", "jacob_cov"])
def test_a_score_of_a_network_that_sees_no_image_is_not_defined(name: str) -> None:
    assert scores.SCORES[name](network((0,) * 6), IMAGES, LABELS) == -math.inf
