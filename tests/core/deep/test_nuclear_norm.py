"""Two linear layers: the certified optimum of least squares with a nuclear norm."""

import numpy as np
import pytest

from sklearn_convexnn.core.deep import nuclear_norm
from sklearn_convexnn.core.deep.nuclear_norm import (
    _hessian,
    _value_and_gradient,
    evaluate,
    solve_nuclear,
)
from sklearn_convexnn.core.deep.spectral_rows import Quadratic
from tests.linear_problems import linear_data, nuclear_optimum, quadratic_of

CASES = {
    "tall": {"n": 30, "d": 5, "K": 3},
    "wide": {"n": 6, "d": 9, "K": 4},
    "one output": {"n": 20, "d": 4, "K": 1},
    "many outputs": {"n": 25, "d": 3, "K": 8},
    "ill-conditioned": {"n": 40, "d": 8, "K": 4, "condition": 1e8},
}


def optimum_of(quadratic, alpha):
    """The same reduced problem, by a conic solver: S^(1/2) B against S^(-1/2) M."""
    root = np.sqrt(quadratic.s)
    X, Y = np.diag(root), quadratic.M / root[:, None]
    value = nuclear_optimum(X, Y, np.ones(len(X)), alpha / len(X), intercept=False) * len(X)
    return value + quadratic.smallest


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("fraction", [0.5, 0.03])
def test_agrees_with_a_conic_solver(name, fraction):
    quadratic = quadratic_of(*linear_data(**CASES[name]))
    alpha = fraction * np.linalg.norm(quadratic.M, 2)
    point = solve_nuclear(quadratic, alpha, tol=1e-9, max_iter=50)
    assert point.relative_gap <= 1e-9
    assert point.primal == pytest.approx(optimum_of(quadratic, alpha), rel=1e-7)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("fraction", [0.9, 0.3, 1e-2, 1e-4])
def test_closes_the_gap_to_the_digits_of_the_arithmetic(name, fraction):
    quadratic = quadratic_of(*linear_data(**CASES[name]))
    alpha = fraction * np.linalg.norm(quadratic.M, 2)
    point = solve_nuclear(quadratic, alpha, tol=1e-11, max_iter=50)
    assert 0 <= point.relative_gap <= 1e-11
    # Optimality: kappa = alpha on the range of B, below elsewhere.
    G = -quadratic.gradient(point.B)
    np.testing.assert_allclose(point.P.T @ G @ point.Q, alpha * np.eye(len(point.sizes)), atol=1e-8)
    assert point.kappa <= alpha * (1 + 1e-8)


def test_every_point_gives_a_true_lower_bound():
    quadratic = quadratic_of(*linear_data())
    alpha = 0.1 * np.linalg.norm(quadratic.M, 2)
    optimum = solve_nuclear(quadratic, alpha, tol=1e-12, max_iter=50).primal
    rng = np.random.default_rng(0)
    for size in np.geomspace(1e-3, 10, 30):
        P, s, Qt = np.linalg.svd(size * rng.standard_normal((5, 3)), full_matrices=False)
        point = evaluate(quadratic, alpha, P, s, Qt.T)
        assert point.dual <= optimum * (1 + 1e-12)
        assert point.primal >= optimum * (1 - 1e-12)


def test_zero_above_the_largest_alpha_and_not_below():
    quadratic = quadratic_of(*linear_data())
    largest = np.linalg.norm(quadratic.M, 2)
    assert len(solve_nuclear(quadratic, largest * 1.0001, tol=1e-9, max_iter=50).sizes) == 0
    assert len(solve_nuclear(quadratic, largest * 0.9999, tol=1e-12, max_iter=50).sizes) == 1


def test_whitened_rows_shrink_the_singular_values_of_the_correlation():
    rng = np.random.default_rng(0)
    M = rng.standard_normal((6, 4))
    quadratic = Quadratic(np.full(6, 0.25), M, energy=100.0)
    point = solve_nuclear(quadratic, 0.5, tol=1e-10, max_iter=50)
    t = np.linalg.svd(M, compute_uv=False)
    np.testing.assert_allclose(point.sizes, np.maximum(t - 0.5, 0)[: len(point.sizes)] / 0.25)
    assert point.relative_gap <= 1e-13


def test_a_warm_start_changes_nothing_but_the_work():
    quadratic = quadratic_of(*linear_data(condition=1e3))
    largest = np.linalg.norm(quadratic.M, 2)
    start = solve_nuclear(quadratic, 0.1 * largest, tol=1e-10, max_iter=50)
    warm = solve_nuclear(quadratic, 0.05 * largest, tol=1e-10, max_iter=50, start=start)
    cold = solve_nuclear(quadratic, 0.05 * largest, tol=1e-10, max_iter=50)
    np.testing.assert_allclose(warm.B, cold.B, atol=1e-7)


def test_derivatives():
    quadratic = quadratic_of(*linear_data())
    rng = np.random.default_rng(0)
    V, direction = rng.standard_normal((2, 3, 2))
    args, h = (quadratic, 0.1, V.shape), 1e-6

    def at(step):
        return _value_and_gradient((V + step * direction).ravel(), *args)

    (upper, g_upper), (lower, g_lower) = at(h), at(-h)
    assert (upper - lower) / (2 * h) == pytest.approx(at(0)[1] @ direction.ravel(), rel=1e-8)
    product = _hessian(quadratic, 0.1, V)(direction.ravel())
    np.testing.assert_allclose((g_upper - g_lower) / (2 * h), product, rtol=1e-6, atol=1e-9)


def test_one_output_above_the_largest_alpha_is_zero():
    quadratic = quadratic_of(*linear_data(**CASES["one output"]))
    point = solve_nuclear(quadratic, 1.1 * np.linalg.norm(quadratic.M), tol=1e-9, max_iter=5)
    assert not point.sizes.any()
    assert point.relative_gap <= 1e-9


def test_newton_steps_of_products_alone(monkeypatch):
    """Too many weights for a matrix: MINRES on products with the Hessian."""
    quadratic = quadratic_of(*linear_data(**CASES["tall"]))
    alpha = 0.03 * np.linalg.norm(quadratic.M, 2)
    expected = solve_nuclear(quadratic, alpha, tol=1e-12, max_iter=50)
    monkeypatch.setattr(nuclear_norm, "_DENSE_NEWTON", 0)
    found = solve_nuclear(quadratic, alpha, tol=1e-12, max_iter=50)
    assert found.primal == pytest.approx(expected.primal, rel=1e-10)
