"""The lasso in frequencies: values of CVXPY and of the references, gaps, the network it is."""

import numpy as np
import pytest

from sklearn_convexnn.core.deep.circular import make_circular
from sklearn_convexnn.core.deep.group_norms import GroupLeastSquares, solve_group_norms
from sklearn_convexnn.core.problem.frequencies import Frequencies
from sklearn_convexnn.core.problem.solution import Status
from tests.core.problem.test_convolutional_programs import signals

CONFIRMED = {"tol": 1e-10, "max_iter": 100}


def problem_of(shape, n_outputs, *, n=60, intercept=True, seed=0):
    rng = np.random.default_rng(seed)
    d = int(np.prod(shape))
    X = rng.standard_normal((n, d)).cumsum(axis=1) / np.sqrt(d) + 1.0
    Y = X @ rng.standard_normal((d, n_outputs)) + rng.standard_normal((n, n_outputs))
    weights = rng.random(n)
    weights /= weights.sum()
    return X, Y, weights, make_circular(X, Y, weights, shape=shape, intercept=intercept)


def objective(X, Y, weights, coef, shift, alpha, shape):
    R = Y - X @ coef - shift
    axes = range(len(shape))
    spectrum = np.fft.fftn(coef.reshape(*shape, -1), axes=axes, norm="ortho")
    penalty = np.linalg.norm(spectrum, axis=-1).sum() / np.sqrt(X.shape[1])
    return 0.5 * weights @ np.sum(R**2, axis=1) + alpha * penalty


@pytest.mark.parametrize("alpha, value", [(0.01, 0.039462707), (0.05, 0.080080651)])
def test_reference_values(alpha, value):
    X, y = signals(5, 4)
    problem = make_circular(X, y[:, None], np.full(5, 0.2), shape=(4,), intercept=False)
    solution = problem.solve(alpha, **CONFIRMED)
    assert solution.status is Status.GAP
    assert solution.certificate.primal == pytest.approx(value, abs=1e-9)
    assert solution.certificate.relative_gap <= 1e-10


@pytest.mark.parametrize("shape, n_outputs", [((9,), 1), ((8,), 3), ((3, 4), 2), ((1,), 1)])
def test_cvxpy(shape, n_outputs):
    cp = pytest.importorskip("cvxpy")
    X, Y, weights, problem = problem_of(shape, n_outputs)
    alpha = 0.05 * problem.alpha_max()
    Z, b = cp.Variable((X.shape[1], n_outputs)), cp.Variable((1, n_outputs))
    d = X.shape[1]
    F = np.fft.fftn(np.eye(d).reshape(d, *shape), axes=range(1, len(shape) + 1))
    F = F.reshape(d, d) / np.sqrt(d)
    lengths = cp.norm(cp.hstack([F.real @ Z, F.imag @ Z]), 2, axis=1)
    error = cp.multiply(np.sqrt(weights)[:, None], Y - X @ Z - np.ones((len(X), 1)) @ b)
    program = cp.Minimize(0.5 * cp.sum_squares(error) + alpha / np.sqrt(d) * cp.sum(lengths))
    expected = cp.Problem(program).solve(solver="CLARABEL", tol_gap_rel=1e-9, tol_gap_abs=1e-9)
    solution = problem.solve(alpha, **CONFIRMED)
    assert solution.certificate.primal == pytest.approx(expected, rel=1e-7)
    found = solution.network
    value = objective(X, Y, weights, found.coef, found.intercept, alpha, shape)
    assert value == pytest.approx(solution.certificate.primal, rel=1e-12)


@pytest.mark.parametrize("fraction", [0.5, 1e-2, 1e-5])
@pytest.mark.parametrize("shape, n_outputs, n", [((6, 7), 4, 30), ((40,), 1, 200)])
def test_gaps_are_bounds_from_the_rows(shape, n_outputs, n, fraction):
    X, Y, weights, problem = problem_of(shape, n_outputs, n=n)
    alpha = fraction * problem.alpha_max()
    solution = problem.solve(alpha, tol=1e-8, max_iter=100)
    assert solution.status is Status.GAP
    # The dual value of the residual, by hand.
    network = solution.network
    R = weights[:, None] * (Y - X @ network.coef - network.intercept)
    price = np.linalg.norm(
        np.fft.fftn((X.T @ R).reshape(*shape, -1), axes=range(len(shape)), norm="ortho"), axis=-1
    ).max() * np.sqrt(X.shape[1])
    assert price <= alpha * (1 + 1e-3)


@pytest.mark.parametrize("shape", [(1,), (5,), (8,), (3, 4), (4, 4), (2, 3, 4)])
def test_waves_are_an_orthonormal_basis(shape):
    waves = Frequencies(shape)
    d = int(np.prod(shape))
    np.testing.assert_allclose(waves.basis @ waves.basis.T, np.eye(d), atol=1e-12)
    assert waves.counts.sum() == d
    np.testing.assert_array_equal(np.bincount(waves.group), waves.counts)


def test_filters_and_weights_are_the_network_at_its_penalty():
    X, _, _, problem = problem_of((3, 4), 2)
    network = problem.solve(1e-3 * problem.alpha_max(), **CONFIRMED).network
    filters, weights = network.layers((3, 4))
    assert len(filters) > 2
    images = X.reshape(-1, 3, 4)
    outputs = np.zeros((len(X), 2))
    for u, c in zip(filters, weights, strict=True):
        seen = sum(
            u[a, b] * np.roll(images, (-a, -b), axis=(1, 2)) for a in range(3) for b in range(4)
        )
        outputs += np.einsum("nab,abc->nc", seen, c)
    np.testing.assert_allclose(outputs, X @ network.coef, atol=1e-10)
    decay = 0.5 * (np.sum(filters**2) + np.sum(weights**2))
    assert decay == pytest.approx(network.sizes.sum(), rel=1e-10)
    # Balanced, one by one.
    sizes = [np.sum(part.reshape(len(filters), -1) ** 2, axis=1) for part in (filters, weights)]
    np.testing.assert_allclose(sizes[0], sizes[1], rtol=1e-10)


def test_stationary_rows_are_solved_by_the_first_guess():
    signal = np.random.default_rng(0).standard_normal(9)
    X = np.array([np.roll(signal, k) for k in range(9)])
    y = X @ np.cos(2 * np.pi * 2 * np.arange(9) / 9) + np.arange(9) % 3
    problem = make_circular(X, y[:, None], np.full(9, 1 / 9), shape=(9,), intercept=True)
    solution = problem.solve(0.1 * problem.alpha_max(), tol=1e-12, max_iter=1)
    assert solution.status is Status.GAP
    assert solution.certificate.relative_gap <= 1e-12


def test_from_alpha_max_on_the_network_is_constant():
    *_, problem = problem_of((8,), 2)
    above, below = (problem.solve(f * problem.alpha_max(), **CONFIRMED) for f in (1.0001, 0.999))
    assert len(above.network.sizes) == 0
    assert above.certificate.relative_gap < 1e-10
    assert len(below.network.sizes) == 1


def test_equal_groups_share():
    """Where two groups do the same, the Hessian is singular and the value still the optimum."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((30, 4))
    A = np.hstack([A, A])
    y = A[:, :1] + 0.1 * rng.standard_normal((30, 1))
    group = np.repeat(np.arange(4), 2)
    twice = GroupLeastSquares(A.T @ A, A.T @ y, 0.5 * np.sum(y**2), group, np.ones(4))
    once = GroupLeastSquares(
        A[:, :4].T @ A[:, :4], A[:, :4].T @ y, 0.5 * np.sum(y**2), group[:4], np.ones(2)
    )
    points = [solve_group_norms(one, 0.5, tol=1e-9, max_iter=100) for one in (twice, once)]
    assert points[0].primal == pytest.approx(points[1].primal, rel=1e-8)
    assert all(point.primal - point.dual <= 1e-9 * point.primal for point in points)
