"""Small problems and networks for the steps that improve a network."""

import numpy as np
import pytest

from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.rows import Rows
from tests.problems import loss_values

LOSS_SHAPES = [("squared_error", 1), ("squared_error", 3), ("log_loss", 1), ("log_loss", 3)]
each_loss = pytest.mark.parametrize("loss, n_outputs", LOSS_SHAPES)
each_intercept = pytest.mark.parametrize("intercept", [False, True], ids=["no b0", "b0"])
ALPHA = 0.02


def make_rows(loss, n_outputs, intercept, *, n=40, d=3, seed=0, **settings):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    if loss == "squared_error":
        Y = np.sin(X @ rng.standard_normal((d, n_outputs))) + 0.5
    else:
        classes = np.digitize(X[:, 0] + 0.5 * rng.standard_normal(n), [0.0, 0.7][: n_outputs - 1])
        classes = classes if n_outputs > 1 else (X[:, 0] > 0).astype(int)
        Y = np.eye(n_outputs)[classes] if n_outputs > 1 else classes[:, None].astype(float)
    weights = rng.uniform(0.5, 1.5, n)
    weights /= weights.sum()
    return Rows.of(X, Y, weights, get_loss(loss, n_outputs), intercept=intercept, **settings)


def make_network(rows, n_neurons=8, seed=1):
    rng = np.random.default_rng(seed)
    U = rng.standard_normal((n_neurons, rows.n_columns))
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    C = 0.3 * rng.standard_normal((n_neurons, rows.n_outputs))
    return Network(U, C, 0.1 * rng.standard_normal(rows.n_outputs) * rows.intercept)


def objective(rows, network, alpha=ALPHA):
    """(P), from its formula."""
    Z = np.maximum(rows.dense() @ network.U.T, 0) @ network.C + network.b0
    name = rows.loss.name.split()[0]
    return rows.weights @ loss_values(name, rows.Y, Z) + alpha * network.penalty()
