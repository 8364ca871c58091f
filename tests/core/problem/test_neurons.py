"""A convolutional network is a class of neurons: the same passes, solver and certificates.

Reference values are optima of finite programs over all activation patterns of the windows (average
over all positions), and of exact column generation over the plane of filters (cells), found with
CVXPY; descent in the weights of a network of that architecture ends at the same ones.
"""

import numpy as np
import pytest

from sklearn_convexnn.core.column_generation.loop import solve
from sklearn_convexnn.core.column_generation.options import Options
from sklearn_convexnn.core.column_generation.refit import refit
from sklearn_convexnn.core.fit.cutting_plane import choose_options, constant_start, make_pricing
from sklearn_convexnn.core.pricing.search import SearchPricing
from sklearn_convexnn.core.problem.constant import constant_network
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.rows import Rows
from tests.architectures import AveragePooling

ALL = np.full((3, 1), 1 / 3)
CELLS = np.array([[0.5, 0.0], [0.5, 0.0], [0.0, 1.0]])


def signals():
    """Five signals of length 4, whose windows of 2 have three positions."""
    k = np.arange(1, 21)
    return np.sin(k * k).reshape(5, 4), np.cos(np.arange(1, 6))[:, None]


def make_rows(pool, *, X=None, Y=None, loss="squared_error", intercept=False, window=2):
    if X is None:
        X, Y = signals()
    loss, weights = get_loss(loss, Y.shape[1]), np.full(len(Y), 1 / len(Y))
    neurons = AveragePooling(window, pool)
    return Rows.of(X, Y, weights, loss, intercept=intercept, neurons=neurons)


def plain_features(X, U, pool, intercept, window=2):
    """(n, m, cells), by the definition."""
    n, m = len(X), len(U)
    H = np.zeros((n, m, pool.shape[1]))
    for k in range(X.shape[1] - window + 1):
        part = X[:, k : k + window]
        part = np.column_stack([part, np.ones(n)]) if intercept else part
        H += np.maximum(part @ U.T, 0)[:, :, None] * pool[k]
    return H


@pytest.mark.parametrize(
    "pool, alpha, optimum",
    [
        (ALL, 0.003, 0.020824633),
        (ALL, 0.01, 0.062283388),
        (ALL, 0.03, 0.137764382),
        (CELLS, 0.01, 0.039470896),
        pytest.param(CELLS, 0.03, 0.099711422, marks=pytest.mark.slow),
    ],
)
def test_trained_by_column_generation(pool, alpha, optimum):
    rows = make_rows(pool)
    pricing = make_pricing(rows, np.random.default_rng(0))
    solution = solve(rows, alpha, pricing, options=Options(gap_tol=1e-7, max_iter=40))
    assert solution.certificate.primal == pytest.approx(optimum, abs=1e-6)
    assert solution.certificate.primal >= optimum - 1e-8
    network, (X, Y) = solution.network, signals()
    assert network.C.shape[1] == pool.shape[1]
    A = plain_features(X, network.U, pool, False)
    Z = np.einsum("img,mg->i", A, network.C)[:, None]
    value = 0.5 * np.mean((Z - Y) ** 2) + alpha * network.penalty()
    assert value == pytest.approx(solution.certificate.primal, rel=1e-12)


@pytest.mark.parametrize("pool, alpha_max", [(ALL, 0.164370140), (CELLS, 0.251032468)])
def test_alpha_max(pool, alpha_max):
    rows = make_rows(pool)
    prices = constant_start(rows, SearchPricing(np.random.default_rng(0))).prices
    assert prices.largest == pytest.approx(alpha_max, rel=1e-6)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("pool", [ALL, CELLS], ids=["one cell", "two cells"])
@pytest.mark.parametrize("loss, n_outputs", [("squared_error", 2), ("log_loss", 3)])
def test_passes_equal_the_plain_formulas(loss, n_outputs, pool, intercept):
    rng, n, m = np.random.default_rng(0), 40, 4
    X, cells = rng.standard_normal((n, 4)), pool.shape[1]
    Y = np.eye(n_outputs)[rng.integers(n_outputs, size=n)]
    rows = make_rows(pool, X=X, Y=Y, loss=loss, intercept=intercept)
    assert (rows.n_columns, rows.n_weights) == (2 + intercept, n_outputs * cells)
    U = rng.standard_normal((m, rows.n_columns))
    C, Q = rng.standard_normal((2, m, rows.n_weights))
    b0, R = rng.standard_normal(n_outputs), rng.standard_normal((n, n_outputs))

    def outputs(U, C, b0):
        A = plain_features(X, U, pool, intercept)
        return np.einsum("img,mgc->ic", A, C.reshape(m, cells, n_outputs)) + b0

    def prices(U):
        return np.einsum("img,ic->mgc", plain_features(X, U, pool, intercept), R).reshape(m, -1)

    np.testing.assert_allclose(rows.outputs(U, C, b0), outputs(U, C, b0), atol=1e-12)
    np.testing.assert_allclose(rows.prices(U, R), prices(U), atol=1e-12)
    values, ascent = rows.prices_and_ascent(U, Q, R)
    np.testing.assert_allclose(values, prices(U), atol=1e-12)
    step = 1e-6 * rng.standard_normal(U.shape)
    change = np.sum((prices(U + step) - prices(U - step)) * Q, axis=1)
    np.testing.assert_allclose(change, 2 * np.sum(ascent * step, axis=1), rtol=1e-4, atol=1e-10)
    value, *gradients = rows.loss_and_gradients(U, C, b0)
    assert value == pytest.approx(np.mean(rows.loss.value(Y, outputs(U, C, b0))), rel=1e-12)
    steps = [1e-6 * rng.standard_normal(part.shape) for part in (U, C, b0)]
    ahead, behind = (
        np.mean(rows.loss.value(Y, outputs(U + s * steps[0], C + s * steps[1], b0 + s * steps[2])))
        for s in (1, -1)
    )
    slope = sum(np.vdot(one, move) for one, move in zip(gradients, steps, strict=True))
    assert ahead - behind == pytest.approx(2 * slope, rel=1e-4)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_refit_is_optimal_over_groups_of_cells(loss, n_outputs, intercept):
    """The conditions of the group lasso, a group being all weights of one filter."""
    rng, alpha = np.random.default_rng(1), 0.02
    X = rng.standard_normal((30, 4))
    Y = (np.abs(X[:, :n_outputs]) + X[:, 2:3] > 0.8).astype(float)
    if loss == "log_loss" and n_outputs == 2:
        Y = np.column_stack([Y[:, 0], 1 - Y[:, 0]])
    rows = make_rows(CELLS, X=X, Y=Y, loss=loss, intercept=intercept)
    U = rng.standard_normal((8, rows.n_columns))
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    network = Network(U, 0.1 * rng.standard_normal((8, rows.n_weights)), np.zeros(n_outputs))
    fitted = refit(rows, network, alpha, max_iter=4000, tol=1e-9)
    assert 0 < fitted.n_neurons < 8
    state = rows.evaluate(fitted)
    prices = rows.prices(U, state.residual)
    assert np.linalg.norm(prices, axis=1).max() <= alpha * (1 + 1e-6)
    directions = fitted.C / fitted.sizes[:, None]
    there = rows.prices(fitted.U, state.residual)
    np.testing.assert_allclose(there, alpha * directions, atol=1e-6 * alpha)
    if intercept:
        np.testing.assert_allclose(rows.fetch(state.residual).sum(axis=0), 0, atol=1e-8)


def test_what_knows_patterns_of_rows_is_not_for_filters():
    """Neither an exact price of rows nor the program of their patterns is that of windows."""
    rows = make_rows(CELLS)
    assert constant_network(rows).C.shape == (0, 2)
    assert make_pricing(rows, np.random.default_rng(0)).kind == "estimated"
    goals = {"tol": 1e-3, "gap_tol": 1e-2, "max_iter": 10, "max_neurons": None}
    options = choose_options(rows, **goals)
    assert not options.crossing
    assert not options.program
    with pytest.raises(ValueError, match="train them by column generation"):
        rows.dense()
