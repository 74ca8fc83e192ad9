"""REINFORCE: its gradient, two steps by hand, and samples of the policy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from tabular_problems import make

from nasbench_eval.cell import Cell
from nasbench_eval.methods.tabular.reinforce import Reinforce, loss, loss_gradient, policy


def test_the_gradient_of_the_policy_equals_finite_differences():
    rng = np.random.default_rng(0)
    logits, cell = rng.normal(size=(6, 5)), Cell((0, 4, 2, 2, 1, 3))
    gradient = loss_gradient(logits, cell, -7.5)
    for place in product(range(6), range(5)):
        step = np.zeros((6, 5))
        step[place] = 1e-5
        difference = (loss(logits + step, cell, -7.5) - loss(logits - step, cell, -7.5)) / 2e-5
        assert gradient[place] == pytest.approx(difference, abs=1e-7)
    assert policy(logits).sum(axis=1) == pytest.approx(np.ones(6))


def test_two_steps_of_reinforce_by_hand():
    method = make("reinforce", lr=0.1)
    assert isinstance(method, Reinforce)
    method.logits = np.zeros((6, 5))
    cell, other = Cell((0,) * 6), Cell((1,) * 6)
    method.observe(cell, 0, 80.0)
    # The first reward is its own baseline: no advantage, no step.
    assert np.all(method.logits == 0)
    method.observe(other, 0, 90.0)
    baseline = (0.9 * 0.1 * 80 + 0.1 * 90) / (1 - 0.9**2)
    gradient = (90 - baseline) * np.array([0.2, -0.8, 0.2, 0.2, 0.2])
    mean, square = 0.1 * gradient / (1 - 0.9**2), 0.001 * gradient**2 / (1 - 0.999**2)
    for row in method.logits:
        assert row == pytest.approx(-0.1 * mean / (np.sqrt(square) + 1e-8), rel=1e-12)
    assert method.logits[0, 1] > 0 > method.logits[0, 0]


def test_cells_are_drawn_as_the_policy_says():
    method = make("reinforce")
    assert isinstance(method, Reinforce)
    method.logits = np.tile(np.log([0.1, 0.2, 0.3, 0.4 - 1e-12, 1e-12]), (6, 1))
    drawn = np.array([method.propose()[0].ops for _ in range(3000)])
    shares = [(drawn == op).mean() for op in range(5)]
    assert shares == pytest.approx([0.1, 0.2, 0.3, 0.4, 0], abs=0.02)
