"""The largest price: exact values, and upper bounds that are never below them."""

import numpy as np
import pytest

from sklearn_convexnn.core.patterns.spike_free import is_spike_free
from sklearn_convexnn.core.pricing import branch_and_bound, upper_bounds
from sklearn_convexnn.core.pricing.branch_and_bound import bound_price
from sklearn_convexnn.core.pricing.enumeration import (
    n_patterns_at_most,
    price_by_enumeration,
    price_of_spike_free,
)
from sklearn_convexnn.core.pricing.upper_bounds import (
    lagrangian_bound,
    semidefinite_bound,
    spectral_bound,
)
from tests.certificates import largest_price
from tests.problems import whitened_rows


def random_rows(seed):
    """Small rows and a residual of one output: generic, integer, rank-deficient, in odd units."""
    rng = np.random.default_rng(seed)
    n, p = rng.integers(2, 10), rng.integers(1, 5)
    A = rng.standard_normal((n, p))
    kind = seed % 4
    if kind == 1:
        A = rng.integers(-2, 3, (n, p)).astype(float)
        A[0, 0] = 1.0
    elif kind == 2:
        A = A[:, :1] @ rng.standard_normal((1, p)) + A[:, -1:] @ rng.standard_normal((1, p))
    elif kind == 3:
        A[:, -1] = 1.0
    r = rng.standard_normal(n)
    if seed % 3 == 0:
        r -= r.mean()
    if seed % 5 == 0:
        r = np.abs(r)
    return A * 10.0 ** rng.integers(-6, 7), r * 10.0 ** rng.integers(-6, 7)


def noise(A, r):
    """What counts as a price of zero."""
    return 1e-14 * np.abs(r) @ np.linalg.norm(A, axis=1)


@pytest.mark.parametrize("start", range(0, 120, 20))
def test_enumeration_agrees_with_least_squares_in_every_cell(start):
    for seed in range(start, start + 20):
        A, r = random_rows(seed)
        expected = largest_price(A, r[:, None])
        found = price_by_enumeration(A, r[:, None])
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=noise(A, r))


@pytest.mark.parametrize("seed", range(8))
def test_enumeration_for_several_outputs(seed):
    """Against alternating maximisation and a dense cover of directions."""
    rng = np.random.default_rng(seed)
    n, p = 7, 2 + seed % 2
    A, R = rng.standard_normal((n, p)), rng.standard_normal((n, 2 + seed % 3))
    found = price_by_enumeration(A, R)
    U = rng.standard_normal((200_000, p))
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    cover = np.linalg.norm(np.maximum(U @ A.T, 0) @ R, axis=1).max()
    assert found >= cover
    assert found >= largest_price(A, R) * (1 - 1e-12)
    np.testing.assert_allclose(found, cover, rtol=2e-2 if p == 3 else 1e-6)


@pytest.mark.parametrize(
    "start", [0, 40, *(pytest.param(at, marks=pytest.mark.slow) for at in range(80, 240, 40))]
)
def test_upper_bounds_are_never_below_the_largest_price(start):
    """Spectral, Lagrangian with arbitrary multipliers, and branch and bound cut short at will."""
    for seed in range(start, start + 40):
        A, r = random_rows(seed)
        rng = np.random.default_rng(seed)
        exact = largest_price(A, r[:, None])
        safe = exact * (1 - 1e-12) - noise(A, r)
        assert spectral_bound(A, r[:, None]) >= safe
        multipliers = rng.lognormal(0, 3, len(r)), 3 * rng.standard_normal(len(r))
        assert max(lagrangian_bound(A, s * r, *multipliers) for s in (1, -1)) >= safe
        for max_nodes in (1, 50, 500):
            found = bound_price(A, r, goal=0.0, max_nodes=max_nodes)
            assert found.lower <= exact * (1 + 1e-9) + noise(A, r)
            assert found.upper >= safe


@pytest.mark.parametrize("start", range(0, 60, 20))
def test_semidefinite_bound(start):
    """Never below the largest price, and nearly never above the spectral bound."""
    for seed in range(start, start + 20):
        A, r = random_rows(seed)
        exact = largest_price(A, r[:, None])
        bound = semidefinite_bound(A, r)
        assert bound >= exact * (1 - 1e-12) - noise(A, r)
        assert bound <= spectral_bound(A, r[:, None]) * (1 + 1e-4)


@pytest.mark.parametrize("size", [1e-150, 1.0, 1e150])
@pytest.mark.parametrize("rest", [0.0, 1e-300, 1e-17, 1e-15, 1e-8])
def test_a_linear_term_lost_beside_the_eigenvalues(rest, size):
    """``A^T r`` is rounding or nothing: the bound is the spectral one, not infinite."""
    A, r = np.ones((3, 1)), size * np.array([1.0, -1.0, rest])
    bound = lagrangian_bound(A, r, np.ones(3), np.zeros(3))
    np.testing.assert_allclose(bound, spectral_bound(A, r[:, None]), rtol=1e-8)
    assert bound >= spectral_bound(A, r[:, None]) * (1 - 1e-12)


def test_a_solver_that_fails_costs_the_semidefinite_bound_nothing(monkeypatch):
    monkeypatch.setattr(upper_bounds, "_solve_semidefinite", lambda *args: None)
    for seed in range(20):
        A, r = random_rows(seed)
        bound = semidefinite_bound(A, r)
        assert bound >= largest_price(A, r[:, None]) * (1 - 1e-12) - noise(A, r)
        linear, positive = np.linalg.norm(A.T @ r), [np.maximum(s * r, 0) for s in (1, -1)]
        spread = [np.linalg.norm(A * np.sqrt(q)[:, None], 2) * np.sqrt(q.sum()) for q in positive]
        assert bound <= 0.5 * (linear + max(spread)) * (1 + 1e-10) + noise(A, r)


def test_semidefinite_bound_is_the_relaxation_over_matrices():
    """The primal of the relaxation, written with the lifted matrix, has the same value."""
    import cvxpy as cp

    for seed in (3, 7, 11):
        rng = np.random.default_rng(seed)
        A, r = rng.standard_normal((8, 3)), rng.standard_normal(8)
        values = []
        for q in (r, -r):
            M = cp.Variable((4, 4), PSD=True)  # [[1, u^T], [u, U]]
            t = cp.Variable(8)
            constraints = [M[0, 0] == 1, cp.trace(M[1:, 1:]) <= 1]
            for i in range(8):
                if q[i] > 0:
                    lifted = cp.sum(cp.multiply(np.outer(A[i], A[i]), M[1:, 1:]))
                    constraints.append(t[i] <= cp.sqrt(lifted))
                else:
                    constraints.append(t[i] >= cp.abs(A[i] @ M[0, 1:]))
            objective = 0.5 * (A.T @ q) @ M[0, 1:] + 0.5 * q @ t
            values.append(cp.Problem(cp.Maximize(objective), constraints).solve(solver="CLARABEL"))
        np.testing.assert_allclose(semidefinite_bound(A, r), max(values), rtol=1e-5)


@pytest.mark.parametrize(
    "n, p", [(40, 2), (40, 3), (25, 4), pytest.param(40, 4, marks=pytest.mark.slow)]
)
def test_branch_and_bound_closes_the_gap(n, p):
    rng = np.random.default_rng(n)
    A, r = rng.standard_normal((n, p)), rng.standard_normal(n)
    found = bound_price(A, r, goal=0.0)
    assert found.finished
    assert found.upper <= found.lower * (1 + 2e-6)
    assert abs(r @ np.maximum(A @ found.direction, 0)) == pytest.approx(found.lower)
    np.testing.assert_allclose(found.lower, largest_price(A, r[:, None]), rtol=2e-6)


def test_branch_and_bound_stops_at_its_goal_and_limits():
    rng = np.random.default_rng(0)
    A, r = rng.standard_normal((50, 4)), rng.standard_normal(50)
    exact = bound_price(A, r, goal=0.0).upper
    easy = bound_price(A, r, goal=1.2 * exact)
    assert easy.finished
    assert exact <= easy.upper <= 1.2 * exact * (1 + 1e-9)
    short = bound_price(A, r, goal=0.0, max_nodes=100)
    assert not short.finished
    assert short.upper > exact
    assert not bound_price(A, r, goal=0.0, time_limit=0.0).finished


def test_spike_free_rows():
    """One non-negative least squares problem instead of 2^n."""
    rng = np.random.default_rng(0)
    A, r = whitened_rows(rng, 6, 8), rng.standard_normal(6)
    assert is_spike_free(A)
    expected = max(np.linalg.norm(np.maximum(s * r, 0)) for s in (1, -1))
    np.testing.assert_allclose(price_of_spike_free(A, r), expected, rtol=1e-12)
    np.testing.assert_allclose(price_by_enumeration(A, r[:, None]), expected, rtol=1e-9)


def test_number_of_patterns_before_enumeration():
    A = np.random.default_rng(0).standard_normal((30, 3))
    assert n_patterns_at_most(A) == 2 * (1 + 29 + 29 * 28 // 2)
    assert n_patterns_at_most(np.repeat(A, 3, axis=0)) == n_patterns_at_most(A)


def test_all_rows_zero():
    A, r = np.zeros((3, 2)), np.ones(3)
    assert price_by_enumeration(A, r[:, None]) == 0
    assert spectral_bound(A, r[:, None]) == 0
    assert semidefinite_bound(A, r) == 0
    assert bound_price(A, r, goal=0.0).upper == 0


def test_cones_are_divided_in_batches(monkeypatch):
    """Depth first or all at once: the same price."""
    rng = np.random.default_rng(1)
    A, r = rng.standard_normal((25, 3)), rng.standard_normal(25)
    expected = bound_price(A, r, goal=0.0)
    monkeypatch.setattr(branch_and_bound, "_BATCH", 4)
    found = bound_price(A, r, goal=0.0)
    assert found.finished
    np.testing.assert_allclose(found.lower, expected.lower, rtol=4e-6)
