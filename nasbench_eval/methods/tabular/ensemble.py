"""An ensemble of small networks that predict a number, trained side by side in numpy.

scikit-learn's ``MLPRegressor`` trains one network at a time and has no absolute error.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

BETA1, BETA2, EPSILON = 0.9, 0.99, 1e-7
"""Adam as in BANANAS's released ``meta_neural_net.py``, which leaves epsilon to Keras."""


def fit(
    x: np.ndarray,
    y: np.ndarray,
    *,
    members: int,
    layers: int,
    width: int,
    epochs: int,
    batch_size: int,
    lr: float,
    rng: np.random.Generator,
) -> Callable[[np.ndarray], np.ndarray]:
    """Train ReLU networks with Adam on the mean absolute error; all see the same batches.

    Args:
        x: The features, float32 (n, d).
        y: The targets, float32 (n,).
        members: The number of networks.
        layers: Hidden layers of each.
        width: Units of a hidden layer.
        epochs: Passes over the data.
        batch_size: Rows per batch.
        lr: The learning rate.
        rng: Draws the initial weights (Glorot's uniform distribution; biases are 0) and the order of the rows.

    Returns:
        A function from features (m, d) to the predictions of all networks (members, m).
    """
    shapes = []
    for inputs, outputs in pairwise((x.shape[1], *[width] * layers, 1)):
        shapes += [(members, inputs, outputs), (members, 1, outputs)]
    sizes = [int(np.prod(shape)) for shape in shapes]
    # All parameters lie in one vector, so that Adam is a few operations on it; weights and biases are views of it.
    flat, gradient, first, second = np.zeros((4, sum(sizes)), dtype=np.float32)
    parameters, gradients = (
        [part.reshape(shape) for part, shape in zip(np.split(vector, np.cumsum(sizes)[:-1]), shapes, strict=True)]
        for vector in (flat, gradient)
    )
    weights, biases = parameters[::2], parameters[1::2]
    for w in weights:
        limit = np.sqrt(6 / (w.shape[1] + w.shape[2]))
        w[...] = rng.uniform(-limit, limit, w.shape)

    def forward(rows: np.ndarray) -> list[np.ndarray]:
        """Return the inputs of every layer, (members, n, units), and the output."""
        outputs = [np.broadcast_to(rows, (members, *rows.shape))]
        for w, bias in zip(weights[:-1], biases[:-1], strict=True):
            outputs.append(np.maximum(outputs[-1] @ w + bias, 0))
        return [*outputs, outputs[-1] @ weights[-1] + biases[-1]]

    step = 0
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for at in range(0, len(x), batch_size):
            rows = order[at : at + batch_size]
            *inputs_of, output = forward(x[rows])
            delta = np.sign(output - y[rows, None]) / np.float32(len(rows))
            for layer in reversed(range(layers + 1)):
                np.matmul(inputs_of[layer].transpose(0, 2, 1), delta, out=gradients[2 * layer])
                np.sum(delta, axis=1, keepdims=True, out=gradients[2 * layer + 1])
                if layer:
                    delta = (delta @ weights[layer].transpose(0, 2, 1)) * (inputs_of[layer] > 0)
            step += 1
            first += np.float32(1 - BETA1) * (gradient - first)
            second += np.float32(1 - BETA2) * (gradient**2 - second)
            rate = np.float32(lr / (1 - BETA1**step))
            flat -= rate * first / (np.sqrt(second / np.float32(1 - BETA2**step)) + np.float32(EPSILON))
    return lambda rows: forward(rows)[-1][..., 0]
