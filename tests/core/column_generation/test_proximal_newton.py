"""Proximal Newton refits: the optimum of the group lasso, and never uphill on the way."""

import numpy as np
import pytest
from scipy.optimize import minimize

from sklearn_convexnn.core.column_generation.proximal_newton import (
    _bound_of_eigenvalues,
    proximal_newton,
)
from sklearn_convexnn.core.column_generation.refit import refit
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.output_layer import OutputLayer
from sklearn_convexnn.core.problem.rows import Rows

LOSSES = [
    ("log_loss", 1),
    ("log_loss", 4),
    ("poisson", 1),
    ("poisson", 2),
    ("squared_hinge", 1),
    ("squared_hinge", 3),
    ("huber", 2),
]
each_loss = pytest.mark.parametrize("loss, n_outputs", LOSSES)
each_intercept = pytest.mark.parametrize("intercept", [False, True], ids=["no b0", "b0"])
ALPHA, MEMORY = 0.01, 1 << 20


def make_rows(loss, n_outputs, intercept=True, *, n=60, seed=0, weights=None):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 3))
    if loss in ("poisson", "huber"):
        Y = rng.poisson(np.exp(0.5 * np.abs(X[:, :n_outputs]))).astype(float)
    else:
        classes = rng.integers(max(n_outputs, 2), size=n)
        classes = np.where(X[:, 0] > 0.3, 0, classes)
        Y = np.eye(n_outputs)[classes] if n_outputs > 1 else classes[:, None].astype(float)
    weights = rng.uniform(0.5, 1.5, n) if weights is None else weights
    return Rows.of(X, Y, weights / weights.sum(), get_loss(loss, n_outputs), intercept=intercept)


def make_network(rows, m=12, seed=1):
    rng = np.random.default_rng(seed)
    U = rng.standard_normal((m, rows.n_columns))
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    C = 0.2 * rng.standard_normal((m, rows.n_outputs))
    return Network(U, C, 0.1 * rng.standard_normal(rows.n_outputs) * rows.intercept)


def objective(rows, network, alpha=ALPHA):
    return rows.evaluate(network).objective(alpha)


def in_weight_decay(rows, network, alpha=ALPHA):
    """The least objective over fixed directions, as weight decay of two factors, by L-BFGS.

    ``||c|| = min (t^2 + ||c / t||^2) / 2`` makes the penalty smooth; here with all weights free of
    the face that any other method finds.
    """
    A = rows.fetch(rows.with_dtype(np.float64).hidden(network.U))
    (m, K), free = network.C.shape, rows.intercept

    def value_and_gradient(theta):
        t, D = theta[:m, None], theta[m : m + m * K].reshape(m, K)
        b0 = theta[m + m * K :] if free else network.b0
        losses, E = rows.loss.value_and_gradient(rows.Y, A @ (t * D) + b0)
        E = rows.weights[:, None] * E
        G = A.T @ E
        parts = [(G * D).sum(axis=1) + alpha * t[:, 0], (t * G + alpha * D).ravel()]
        parts += [E.sum(axis=0)] if free else []
        value = rows.weights @ losses + 0.5 * alpha * (theta[: m + m * K] ** 2).sum()
        return value, np.concatenate(parts)

    rng = np.random.default_rng(0)
    start = [np.ones(m), 0.1 * rng.standard_normal(m * K), network.b0 if free else []]
    options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-16, "gtol": 1e-11, "maxcor": 50}
    found = minimize(
        value_and_gradient, np.concatenate(start), jac=True, method="L-BFGS-B", options=options
    )
    return found.fun


@each_intercept
@each_loss
def test_it_ends_at_the_group_lasso(loss, n_outputs, intercept):
    """The optimum of a solver that knows no faces, to 1e-8, and its optimality conditions."""
    rows = make_rows(loss, n_outputs, intercept)
    network = make_network(rows)
    layer = OutputLayer(rows, network.U, MEMORY)
    C, b0, off = proximal_newton(layer, network.C, network.b0, ALPHA, max_steps=400, tol=1e-7)
    assert off <= 1e-2
    fitted = network.with_outputs(C, b0)
    assert 0 < (fitted.sizes > 0).sum() < len(C), "a test without zeros would say little"
    best = in_weight_decay(rows, network)
    # Beside exact curvatures, bounds of them go the last digits slowly: Newton's method on the
    # face does.
    np.testing.assert_allclose(objective(rows, fitted), best, rtol=1e-7)
    thorough = refit(rows, network, ALPHA, max_iter=4000, tol=1e-7)
    np.testing.assert_allclose(objective(rows, thorough), best, rtol=1e-8)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@each_intercept
@each_loss
def test_no_step_raises_the_objective(loss, n_outputs, intercept, dtype):
    """From poor weights and from extreme ones, where the parabola says nothing."""
    rows = make_rows(loss, n_outputs, intercept)
    layer = OutputLayer(rows.with_dtype(dtype), make_network(rows).U, MEMORY)
    for size in (0.0, 1.0, 30.0):
        network = make_network(rows)
        network = network.with_outputs(size * network.C, network.b0)
        values = [objective(rows, network)]
        for _ in range(6):
            C, b0, _ = proximal_newton(layer, network.C, network.b0, ALPHA, max_steps=1, tol=1e-12)
            network = network.with_outputs(C, b0)
            values.append(objective(rows, network))
        rounding = 0.0 if dtype is np.float64 else 1e-6
        assert np.all(np.diff(values) <= 1e-13 + rounding * np.abs(values[:-1]))
        assert values[-1] < values[0]


@each_loss
def test_weights_are_repetitions(loss, n_outputs):
    """A row of weight two is the row given twice."""
    times = np.random.default_rng(3).integers(1, 4, size=60)
    weighted = make_rows(loss, n_outputs, weights=times.astype(float))
    index = np.repeat(np.arange(60), times)
    repeated = Rows.of(
        weighted.X[index],
        weighted.Y[index],
        np.full(len(index), 1 / len(index)),
        weighted.loss,
        intercept=True,
    )
    network = make_network(weighted)
    one, other = (
        refit(rows, network, ALPHA, max_iter=2000, tol=1e-9) for rows in (weighted, repeated)
    )
    np.testing.assert_array_equal(one.U, other.U)
    np.testing.assert_allclose(objective(weighted, one), objective(repeated, other), rtol=1e-10)


@pytest.mark.parametrize("newton", [False, True])
@each_loss
def test_equal_neurons_share_what_one_has(loss, n_outputs, newton):
    """Twins make every parabola singular; the objective is that of one of each."""
    rows = make_rows(loss, n_outputs)
    network = make_network(rows)
    twins = network.extended(network.U, 0.5 * network.C)
    one, two = (
        refit(rows, network, ALPHA, max_iter=4000, tol=1e-8, newton=newton)
        for network in (network, twins)
    )
    np.testing.assert_allclose(objective(rows, two), objective(rows, one), rtol=1e-8)


@pytest.mark.parametrize("n_outputs", [1, 4])
def test_separable_labels(n_outputs):
    """With next to no penalty probabilities go to one and all curvature to nothing."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 3))
    classes = np.argmax(np.column_stack([X, np.zeros(50)])[:, : max(n_outputs, 2)], axis=1)
    Y = np.eye(n_outputs)[classes] if n_outputs > 1 else classes[:, None].astype(float)
    rows = Rows.of(X, Y, np.full(50, 0.02), get_loss("log_loss", n_outputs), intercept=True)
    network = make_network(rows, m=40)
    for alpha in (1e-3, 1e-6):
        fitted = refit(rows, network, alpha, max_iter=400, newton=False)
        assert np.isfinite(fitted.C).all()
        assert objective(rows, fitted, alpha) < objective(rows, network, alpha)
        network = fitted
    assert rows.evaluate(network).mean_loss < 1e-2


@each_loss
def test_outputs_that_no_neuron_needs(loss, n_outputs):
    """From zero weights, and under a penalty that leaves nothing but the intercept."""
    rows = make_rows(loss, n_outputs)
    network = make_network(rows)
    network = network.with_outputs(np.zeros_like(network.C), network.b0)
    assert refit(rows, network, ALPHA, max_iter=400).n_neurons > 0
    constant = refit(rows, network, 100.0, max_iter=400, tol=1e-8)
    assert constant.n_neurons == 0
    gradient = rows.loss.gradient(rows.Y, np.broadcast_to(constant.b0, rows.Y.shape))
    np.testing.assert_allclose(rows.weights @ gradient, 0, atol=1e-5)


@each_loss
def test_the_majorant_is_at_least_the_second_derivative(loss, n_outputs):
    """Row by row: what is left is positive semidefinite, and zero where outputs do not meet."""
    rows = make_rows(loss, n_outputs)
    Z = 3.0 * np.random.default_rng(0).standard_normal(rows.Y.shape)
    hessian = rows.loss.hessian(rows.Y, Z)
    rest = rows.loss.majorant(rows.Y, Z)[:, :, None] * np.eye(n_outputs) - hessian
    assert np.linalg.eigvalsh(rest).min() >= -1e-14
    if rows.loss.separable:
        np.testing.assert_allclose(rest, 0, atol=1e-15)


@pytest.mark.parametrize("intercept", [False, True], ids=["no b0", "b0"])
@pytest.mark.parametrize("n_outputs", [1, 4])
def test_the_moments_are_those_of_all_rows_up_to_some_percent(n_outputs, intercept):
    """Rows that are decided are left out; the others make up for them."""
    rows = make_rows("log_loss", n_outputs, intercept, n=300)
    network = make_network(rows)
    C = 6.0 * network.C
    A = rows.fetch(rows.hidden(network.U))
    H = rows.weights[:, None] * rows.loss.majorant(rows.Y, A @ C + network.b0)
    total, edge, gram = OutputLayer(rows, network.U, MEMORY).majorant(C, network.b0)
    np.testing.assert_allclose(total, H.sum(axis=0), rtol=1e-12)
    assert np.any(0.02 * H.mean(axis=0) > H), "a test without such rows would say little"
    for c in range(n_outputs):
        expected = A.T @ (H[:, [c]] * A)
        assert np.linalg.norm(gram[c] - expected, 2) <= 0.1 * np.linalg.norm(expected, 2)
        np.testing.assert_allclose(edge[c], H[:, c] @ A, atol=0.1 * np.abs(H[:, c] @ A).max())


@pytest.mark.parametrize("seed", range(5))
def test_the_bound_of_eigenvalues(seed):
    """Never below the largest of any of the matrices, and within a third of it."""
    rng = np.random.default_rng(seed)
    roots = rng.standard_normal((3, 8, 20)) * 10.0 ** rng.integers(-8, 8)
    matrices = roots @ roots.transpose(0, 2, 1)
    largest = np.linalg.eigvalsh(matrices).max()
    assert largest <= _bound_of_eigenvalues(matrices) <= 1.3 * largest
    assert _bound_of_eigenvalues(np.zeros((2, 3, 3))) > 0
