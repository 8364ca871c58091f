"""Passes over steps: by histograms of many rows and by products of few, beside the columns."""

import numpy as np
import pytest

from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.threshold import step_rows
from sklearn_convexnn.core.threshold.step_network import StepNetwork
from sklearn_convexnn.core.threshold.step_rows import StepBins, StepLayer, StepRows


@pytest.fixture(params=["histograms", "products"])
def rows(request, monkeypatch):
    monkeypatch.setattr(step_rows, "_MOST_NUMBERS", 0 if request.param == "histograms" else 1e9)
    rng = np.random.default_rng(0)
    X = np.round(rng.standard_normal((60, 4)), 1)  # values repeat
    X[:, 3] = 1.0  # and one column has one
    weights = rng.random(60) + 0.1
    Y = np.eye(3)[rng.integers(0, 3, 60)]
    return X, StepRows(X, Y, weights / weights.sum(), get_loss("log_loss", 3))


STEPS = np.array([[0, 1], [0, 2], [0, 9], [1, 0], [2, 5], [2, 6]])


def columns(X):
    """What the steps are, written out."""
    values = [np.unique(column) for column in X.T]
    return np.column_stack([X[:, k] > values[k][place] for k, place in STEPS]).astype(float)


def test_passes_are_those_of_the_columns(rows):
    X, rows = rows
    A, rng = columns(X), np.random.default_rng(1)
    bins, C, b0 = StepBins(rows, STEPS), rng.standard_normal((6, 3)), rng.standard_normal(3)
    np.testing.assert_allclose(bins.outputs(C, b0), A @ C + b0)
    E, weights = rng.standard_normal((60, 3)), rng.random(60)
    np.testing.assert_allclose(bins.sums(E), A.T @ E, atol=1e-12)
    mean, gram = bins.moments(weights)
    np.testing.assert_allclose(mean, weights @ A)
    np.testing.assert_allclose(gram, A.T @ (weights[:, None] * A))
    some = np.array([0, 3, 5])
    np.testing.assert_allclose(bins.moments(weights, some)[1], gram[np.ix_(some, some)])


def test_second_derivatives_are_those_of_the_gradient(rows):
    _, rows = rows
    rng, every, h = np.random.default_rng(2), np.arange(6), 1e-6
    layer, C, b0 = StepLayer(rows, STEPS), rng.standard_normal((6, 3)), rng.standard_normal(3)
    H = layer.hessian(every, C, b0)

    def gradient(x):
        _, dC, db0 = layer.loss_and_gradients(x[:18].reshape(6, 3), x[18:])
        return np.concatenate([dC.ravel(), db0])

    x = np.concatenate([C.ravel(), b0])
    numeric = [(gradient(x + h * e) - gradient(x - h * e)) / (2 * h) for e in np.eye(21)]
    np.testing.assert_allclose(H, numeric, atol=1e-7)
    bound = layer.majorant(C, b0)
    for c in range(3):
        own = H[c::3, c::3][:6, :6]
        assert np.linalg.eigvalsh(bound.gram[c] - own).min() > -1e-12


def test_prices_are_those_of_all_steps(rows):
    X, rows = rows
    R = np.random.default_rng(3).standard_normal((60, 3))
    for k, prices in enumerate(rows.prices(R)):
        steps = np.unique(X[:, k])[:-1]
        expected = [(X[:, k] > t).astype(float) @ R for t in steps]
        np.testing.assert_allclose(prices, np.array(expected).reshape(len(steps), 3), atol=1e-12)


def test_equal_steps_become_one():
    C = np.arange(6.0).reshape(3, 2)
    network = StepNetwork(np.array([[1, 4], [0, 2], [1, 4]]), C, np.zeros(2))
    merged = network.merged()
    np.testing.assert_array_equal(merged.steps, [[0, 2], [1, 4]])
    np.testing.assert_array_equal(merged.C, [[2, 3], [4, 6]])
