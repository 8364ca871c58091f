"""A refit ends at the group lasso of the output weights."""

import cvxpy as cp
import numpy as np
import pytest
from scipy import sparse

from sklearn_convexnn.core.column_generation.refit import refit
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.rows import Rows
from tests.small_networks import (
    ALPHA,
    each_intercept,
    each_loss,
    make_network,
    make_rows,
    objective,
)


def group_lasso(rows, U, b0):
    """Optimal value and weights over fixed directions, by CVXPY."""
    A, (n, n_outputs) = np.maximum(rows.dense() @ U.T, 0), rows.Y.shape
    C = cp.Variable((len(U), n_outputs))
    offset = cp.Variable((1, n_outputs)) if rows.intercept else b0[None]
    Z, w = A @ C + np.ones((n, 1)) @ offset, rows.weights
    if rows.loss.name == "squared_error":
        loss = 0.5 * cp.sum(cp.multiply(w, cp.sum(cp.square(Z - rows.Y), axis=1)))
    elif n_outputs == 1:
        loss = w @ cp.logistic(Z[:, 0]) - (w * rows.Y[:, 0]) @ Z[:, 0]
    else:
        loss = w @ cp.log_sum_exp(Z, axis=1) - cp.sum(cp.multiply(w[:, None] * rows.Y, Z))
    program = cp.Problem(cp.Minimize(loss + ALPHA * cp.sum(cp.norm(C, 2, axis=1))))
    precise = {"tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11, "tol_feas": 1e-11}
    program.solve(solver="CLARABEL", **precise)
    return program.value, C.value


@each_intercept
@each_loss
def test_refit_is_the_group_lasso(loss, n_outputs, intercept):
    """The optimal value to 1e-6, and zeros that are exact: the neuron is gone."""
    rows = make_rows(loss, n_outputs, intercept)
    network = make_network(rows, n_neurons=15)
    value, C = group_lasso(rows, network.U, network.b0)
    fitted = refit(rows, network, ALPHA, max_iter=5000, tol=1e-7)
    np.testing.assert_allclose(objective(rows, fitted), value, rtol=1e-6)
    assert fitted.sizes.min() > 0
    support = np.linalg.norm(C, axis=1) > 1e-5
    assert 0 < support.sum() < 15, "a test without zeros would say little"
    np.testing.assert_array_equal(fitted.U, network.U[support])
    np.testing.assert_allclose(fitted.C, C[support], atol=1e-4)


def test_refit_without_intercept_keeps_the_given_one():
    """Rows without intercept, but outputs that start elsewhere than at zero."""
    rows = make_rows("squared_error", 1, False)
    network = make_network(rows).with_outputs(np.ones((8, 1)), np.array([0.4]))
    fitted = refit(rows, network, ALPHA, max_iter=5000, tol=1e-7)
    np.testing.assert_array_equal(fitted.b0, [0.4])
    value, _ = group_lasso(rows, network.U, network.b0)
    np.testing.assert_allclose(objective(rows, fitted), value, rtol=1e-6)


@pytest.mark.parametrize("max_iter", [1, 3, 10, 100])
@each_intercept
@each_loss
def test_refit_never_raises_the_objective(loss, n_outputs, intercept, max_iter):
    """However early it stops, from a poor and from its own optimum."""
    rows = make_rows(loss, n_outputs, intercept)
    optimum = refit(rows, make_network(rows), ALPHA, max_iter=5000, tol=1e-9)
    for seed in range(3):
        for network in (make_network(rows, seed=seed), optimum):
            fitted = refit(rows, network, ALPHA, max_iter=max_iter)
            assert objective(rows, fitted) <= objective(rows, network) * (1 + 1e-12)


@pytest.mark.parametrize("make_input", [np.asarray, sparse.csr_array], ids=["dense", "CSR"])
@pytest.mark.parametrize("n_outputs", [1, 3])
@each_intercept
def test_refit_without_memory_gives_the_same(n_outputs, intercept, make_input):
    """Activations computed again in every iteration, or kept: the same iterates of FISTA."""
    rows = make_rows("log_loss", n_outputs, intercept)
    X, Y, weights = make_input(rows.X), rows.Y, rows.weights
    rows = Rows.of(X, Y, weights, rows.loss, intercept=intercept)
    network = make_network(rows)
    kept, computed = (
        refit(rows, network, ALPHA, max_iter=40, newton=False, memory=memory)
        for memory in (1 << 20, 0)
    )
    for one, other in zip(vars(kept).values(), vars(computed).values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@each_loss
def test_refit_in_single_precision(loss, n_outputs):
    """Products in float32: the same optimum to half the digits."""
    rows = make_rows(loss, n_outputs, True)
    network = make_network(rows)
    double, single = (
        refit(rows.with_dtype(dtype), network, ALPHA, max_iter=500)
        for dtype in (np.float64, np.float32)
    )
    np.testing.assert_allclose(objective(rows, single), objective(rows, double), rtol=1e-5)


@each_loss
def test_refit_drops_neurons_that_are_never_active(loss, n_outputs):
    """They cost and do nothing; no division by their zero norm."""
    rows = make_rows(loss, n_outputs, True)
    network = make_network(rows)
    network.U[3] = [0, 0, 0, -1]  # only the constant, with a negative sign
    fitted = refit(rows, network, ALPHA, max_iter=300)
    assert 0 < fitted.n_neurons < 8
    assert np.all(fitted.U[:, 3] > -1)
    assert np.isfinite(fitted.C).all()


@each_loss
def test_refit_to_nothing_under_a_large_penalty(loss, n_outputs):
    """A penalty above the largest price leaves the best constant."""
    rows = make_rows(loss, n_outputs, True)
    fitted = refit(rows, make_network(rows), 100.0, max_iter=2000, tol=1e-8)
    assert fitted.n_neurons == 0
    gradient = rows.loss.gradient(rows.Y, np.broadcast_to(fitted.b0, rows.Y.shape))
    np.testing.assert_allclose(rows.weights @ gradient, 0, atol=1e-4)


def test_refit_leaves_what_is_constant_to_the_intercept():
    """The variance of such a neuron is lost to rounding: no division by it."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((40, 2)) + 1e9, rng.standard_normal((40, 1))
    rows = Rows.of(X, Y, np.full(40, 1 / 40), get_loss("squared_error", 1), intercept=True)
    network = Network(np.array([[0.0, 0.0, 1.0]]), np.array([[0.3]]), np.zeros(1))
    refitted = refit(rows, network, 1e-5, max_iter=100)
    assert refitted.n_neurons == 0
    np.testing.assert_allclose(refitted.b0, Y.mean(axis=0), rtol=1e-12)


def test_refit_of_no_neurons_is_the_same_network():
    rows = make_rows("squared_error", 1, True)
    network = Network.constant([0.5], rows.n_columns)
    assert refit(rows, network, ALPHA, max_iter=10) is network
