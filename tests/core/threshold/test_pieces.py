"""The taut string, the lasso, the sweeps of planes and the weights of a pattern."""

import cvxpy as cp
import numpy as np
import pytest

from sklearn_convexnn.core.patterns.enumeration import enumerate_patterns
from sklearn_convexnn.core.problem.directions import normalise
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.threshold import half_spaces, plane_sweeps
from sklearn_convexnn.core.threshold.half_spaces import HalfSpaceSearch
from sklearn_convexnn.core.threshold.lasso import lasso
from sklearn_convexnn.core.threshold.plane_sweeps import plane_sweep, sweep_all_planes
from sklearn_convexnn.core.threshold.representatives import middle_bias, widest
from sklearn_convexnn.core.threshold.total_variation import denoised

CLARABEL = {"solver": "CLARABEL", "tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11}


@pytest.mark.parametrize("n", [1, 2, 3, 40])
@pytest.mark.parametrize("alpha", [1e-4, 0.01, 0.3])
def test_the_taut_string_is_the_minimum(n, alpha):
    rng = np.random.default_rng(n)
    y, weights = rng.standard_normal(n), rng.random(n) + 0.1
    weights /= weights.sum()
    f = cp.Variable(n)
    fit = 0.5 * cp.sum(cp.multiply(weights, cp.square(f - y)))
    variation = cp.norm1(cp.diff(f)) if n > 1 else 0.0
    least = cp.Problem(cp.Minimize(fit + alpha * variation)).solve(**CLARABEL)
    found = denoised(y, weights, alpha)
    value = 0.5 * weights @ (found - y) ** 2 + alpha * np.abs(np.diff(found)).sum()
    assert value == pytest.approx(least, abs=1e-9)
    assert weights @ found == pytest.approx(weights @ y)


@pytest.mark.parametrize("rows, columns", [(30, 10), (200, 60), (25, 80)])
@pytest.mark.parametrize("alpha", [0.1, 1e-3])
def test_the_lasso_meets_its_optimality_conditions(rows, columns, alpha):
    rng = np.random.default_rng(columns)
    A = (rng.random((rows, columns)) > 0.5).astype(float)
    A[:, 1] = A[:, 0]  # equal columns, and more columns than rows
    y = rng.standard_normal(rows)
    gram, cross = A.T @ A / rows, A.T @ y / rows
    for start in (np.zeros(columns), rng.standard_normal(columns)):
        c = lasso(gram, cross, alpha, start)
        slope = gram @ c - cross
        assert np.abs(slope).max() <= alpha * (1 + 1e-6)
        assert np.allclose(slope[c != 0], -alpha * np.sign(c[c != 0]), rtol=1e-6)


def brute_force(A, R):
    """The largest price over all patterns."""
    active = enumerate_patterns(A).active.astype(float)
    return np.linalg.norm(active.T @ R, axis=1).max()


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_all_planes_of_rank_three_have_all_patterns(n_outputs):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        A = np.column_stack([rng.standard_normal((25, 2)), np.ones(25)])
        A[5:8, 0] = A[4, 0]  # rows on a line with each other
        R = rng.standard_normal((25, n_outputs))
        R -= R.mean(axis=0)
        u, largest = sweep_all_planes(A, R)
        assert largest == pytest.approx(brute_force(A, R), rel=1e-12)
        assert np.linalg.norm(R.T @ (A @ u > 0)) == pytest.approx(largest, rel=1e-12)


def test_all_planes_of_a_grid():
    """Many rows on every line, and switches that rounding puts beside the ends of a sweep."""
    x, y = np.meshgrid([1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0], indexing="ij")
    A = np.column_stack([x.ravel(), y.ravel(), np.ones(x.size)])
    for seed in range(6):
        R = np.random.default_rng(seed).integers(-3, 4, (len(A), 1)).astype(float)
        R -= R.mean(axis=0)
        u, largest = sweep_all_planes(A, R)
        assert largest == pytest.approx(brute_force(A, R), rel=1e-12)
        assert abs((A @ u > 0) @ R) == pytest.approx(largest, rel=1e-12)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_a_sweep_finds_the_best_pattern_of_its_plane(n_outputs):
    rng = np.random.default_rng(0)
    A = rng.standard_normal((40, 5))
    A[20:] = A[:20]  # equal rows are never parted
    R = rng.standard_normal((40, n_outputs))
    R -= R.mean(axis=0)
    U, V = normalise(rng.standard_normal((2, 6, 5)).reshape(12, 5)).reshape(2, 6, 5)
    found, values = plane_sweep(A, R, U, V)
    angles = np.linspace(0, np.pi, 20_001)
    for u, v, best, value in zip(U, V, found, values, strict=True):
        v = v - (v @ u) * u
        directions = np.outer(np.cos(angles), u) + np.outer(np.sin(angles), v / np.linalg.norm(v))
        dense = np.linalg.norm((A @ directions.T > 0).T.astype(float) @ R, axis=1).max()
        assert value >= dense * (1 - 1e-12)
        assert np.linalg.norm(R.T @ (A @ best > 0)) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_sweeps_in_bins_find_what_sorting_finds(n_outputs, grid, monkeypatch):
    """Also of rows on a grid, many of which switch together."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((700, 3))
    A = np.column_stack([np.round(X) if grid else X, np.ones(len(X))])
    R = rng.standard_normal((700, n_outputs)) + (X[:, :1] > 0.3)
    R -= R.mean(axis=0)
    U, V = normalise(rng.standard_normal((20, 4))), np.eye(4)[rng.integers(0, 4, 20)]
    _, ordered = plane_sweep(A, R, U, V)
    monkeypatch.setattr(plane_sweeps, "_MANY_ROWS", 100)
    found, values = plane_sweep(A, R, U, V)
    np.testing.assert_allclose(values, ordered, rtol=1e-12)
    on = (A @ found.T > 0).T.astype(float)
    np.testing.assert_allclose(np.linalg.norm(on @ R, axis=1), values, rtol=1e-9)


def test_the_widest_half_space_holds_the_same_rows():
    rng = np.random.default_rng(1)
    A = np.column_stack([rng.standard_normal((60, 3)), np.ones(60)])
    for u in normalise(rng.standard_normal((8, 4))):
        on = A @ u > 0
        wide = widest(A, on, u)
        assert np.array_equal(A @ wide > 0, on)

        def margin(w, on=on):
            return np.min(np.where(on, 1, -1) * (A @ w)) / np.linalg.norm(w[:-1])

        assert margin(wide) >= margin(u) * (1 - 1e-9)


def test_the_middle_bias_is_between_the_sides_also_next_to_each_other():
    h, on = np.array([0.0, 1.0, 3.0]), np.array([False, False, True])
    assert middle_bias(h, on, 7.0) == -2.0
    close = np.array([1.0, np.nextafter(1.0, 2.0)])
    bias = middle_bias(close, np.array([False, True]), 7.0)
    assert np.array_equal(close + bias > 0, [False, True])
    assert middle_bias(h, np.array([True, True, True]), 7.0) == 7.0


def test_planes_in_batches_are_the_same_planes(monkeypatch):
    rng = np.random.default_rng(0)
    A, R = rng.standard_normal((50, 4)), rng.standard_normal((50, 2))
    U, V = normalise(rng.standard_normal((9, 4))), rng.standard_normal((9, 4))
    A[:5] = 0.0  # switches nowhere
    together = plane_sweep(A, R - R.mean(axis=0), U, V)
    monkeypatch.setattr(plane_sweeps, "_BATCH", 100)
    for one, other in zip(plane_sweep(A, R - R.mean(axis=0), U, V), together, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_climbs_of_many_rows_read_a_part(monkeypatch):
    """Prices are those of all rows, and nearly as large as without."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 3))
    A = np.column_stack([X, np.ones(len(X))])
    R = (X @ rng.standard_normal(3) > 0.3)[:, None] + 0.2 * rng.standard_normal((600, 1))
    R -= R.mean(axis=0)
    network = Network(np.zeros((0, 4)), np.zeros((0, 1)), np.zeros(1))
    whole = HalfSpaceSearch(A, np.random.default_rng(0))(None, R, network, effort=0)
    monkeypatch.setattr(half_spaces, "_MOST_CLIMBED", 150)
    part = HalfSpaceSearch(A, np.random.default_rng(0))(None, R, network, effort=0)
    on = (A @ part.directions.T > 0).T.astype(float)
    np.testing.assert_allclose(np.abs(on @ R), np.abs(part.values), rtol=1e-9)
    assert part.largest >= 0.97 * whole.largest


def test_a_lasso_of_nothing_is_zero():
    np.testing.assert_array_equal(lasso(np.zeros((3, 3)), np.zeros(3), 0.1, np.ones(3)), 0.0)


def test_a_pattern_without_another_side_keeps_its_weights():
    """No bias lies between rows of one side, and no margin is positive round zero."""
    assert middle_bias(np.array([1.0, 2.0]), np.array([True, True]), 0.7) == 0.7
    assert middle_bias(np.array([1.0, 1.0]), np.array([True, False]), 0.7) == 0.7
    A, u = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([0.6, 0.8])
    assert widest(A, np.array([True, True]), u) is u
