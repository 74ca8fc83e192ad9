"""The predictor's networks: trained side by side as torch trains each."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from nasbench_eval.methods.tabular.ensemble import fit


def test_each_network_is_trained_as_torch_trains_it() -> None:
    data = np.random.default_rng(1)
    x, y = data.integers(2, size=(40, 30)).astype(np.float32), data.uniform(5, 60, 40).astype(np.float32)
    options = {"members": 3, "layers": 3, "width": 8, "epochs": 4, "batch_size": 16, "lr": 0.01}
    found = fit(x, y, **options, rng=np.random.default_rng(7))(x)

    draws = np.random.default_rng(7)
    sizes = list(pairwise((30, 8, 8, 8, 1)))
    starts = [draws.uniform(-((6 / (a + b)) ** 0.5), (6 / (a + b)) ** 0.5, (3, a, b)) for a, b in sizes]
    orders = [draws.permutation(40) for _ in range(4)]
    inputs, targets = torch.tensor(x), torch.tensor(y)
    for member in range(3):
        layers = [torch.nn.Linear(a, b) for a, b in sizes]
        for layer, start in zip(layers, starts, strict=True):
            layer.weight.data = torch.tensor(start[member].T, dtype=torch.float32)
            layer.bias.data.zero_()
        network = torch.nn.Sequential(*[part for layer in layers for part in (layer, torch.nn.ReLU())][:-1])
        adam = torch.optim.Adam(network.parameters(), lr=0.01, betas=(0.9, 0.99), eps=1e-7)
        for rows in (torch.tensor(part) for order in orders for part in np.split(order, (16, 32))):
            adam.zero_grad()
            torch.nn.functional.l1_loss(network(inputs[rows])[:, 0], targets[rows]).backward()
            adam.step()
        assert found[member] == pytest.approx(network(inputs)[:, 0].detach().numpy(), abs=1e-4)
