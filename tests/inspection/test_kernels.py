"""Kernel matrices in closed form: hand-computed cases, published values, sampled directions."""

import doctest
from math import comb
from types import SimpleNamespace

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.linear_model import Lasso
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_convexnn import SplineReLURegressor
from sklearn_convexnn.core.geometry import hyperplanes
from sklearn_convexnn.core.geometry.hyperplanes import n_subsets, wedge_neurons
from sklearn_convexnn.inspection import (
    WedgeFeatures,
    _kernels,
    min_l1_solution,
    ntk_kernel,
    relu_kernel,
)
from tests.problems import sine_data


@parametrize_with_checks([WedgeFeatures(max_subsets=50, random_state=0)])
def test_sklearn_check(estimator, check):
    check(estimator)


def lasso(K, y, beta, intercept=False):
    z, b = cp.Variable(K.shape[1]), cp.Variable()
    fit = K @ z + (b if intercept else 0)
    objective = 0.5 * cp.sum_squares(fit - y) + beta * cp.norm1(z)
    return cp.Problem(cp.Minimize(objective)).solve(solver="CLARABEL")


# ------------------------------------------------------------------------------------------ splines


def test_spline_kernel_by_hand():
    K = relu_kernel([[2.0], [0.0]], [[1.0], [3.0]])
    assert K.tolist() == [[1, 0, 0, 1], [0, 0, 1, 3]]
    K = relu_kernel([[2.0], [0.0], [9.0]], [[3.0], [1.0]], n_layers=3)
    assert K[:, 4:].tolist() == [[1], [0], [2]]


def test_spline_kernel_on_a_line():
    t = np.random.default_rng(0).normal(size=7)
    on_line = np.array([1.0, 2, 3]) + t[:, None] * np.array([2.0, -1, 2])
    for n_layers in (2, 3):
        one, three = (relu_kernel(X, n_layers=n_layers) for X in (3 * t[:, None], on_line))
        assert_allclose(np.sort(one.ravel()), np.sort(three.ravel()), atol=1e-12)
    with pytest.raises(ValueError, match="wedge"):
        relu_kernel(np.random.default_rng(0).normal(size=(5, 2)))


@pytest.mark.parametrize("n_layers", [2, 3])
def test_the_lasso_of_the_spline_kernel_is_the_estimator(n_layers):
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(12, 1)), rng.normal(size=12)
    model = SplineReLURegressor(alpha=0.05, n_layers=n_layers).fit(X, y)
    total = lasso(relu_kernel(X, n_layers=n_layers), y, 12 * 0.05, intercept=True)
    assert 12 * model.objective_ == pytest.approx(total, rel=1e-6)


# ------------------------------------------------------------------------------------------- wedges


@pytest.mark.parametrize(
    "shape, norm, total",
    [
        ((6, 2), "l1", 1.154136392),
        ((8, 2), "l1", 1.687468335),
        ((8, 3), "l1", 1.384892728),
        ((4, 6), "l1", 0.317435355),
        ((6, 2), "l2", 0.992376187),
        ((8, 2), "l2", 1.681489684),
    ],
)
def test_published_values(shape, norm, total):
    X, y = sine_data(*shape)
    K = relu_kernel(X, kind="wedge", norm=norm, fit_intercept=False)
    assert lasso(K, y[:, 0], 0.1) == pytest.approx(total, rel=2e-6)


@pytest.mark.parametrize(
    "norm, beta, total",
    [("l1", 0.1, 0.32475), ("l1", 1, 1.264), ("l2", 0.1, 0.306557184), ("l2", 1, 1.108932405)],
)
def test_published_values_with_parallel_rows(norm, beta, total):
    X = np.array([[2.0, 1], [1, 2], [2, 4], [4, 2], [-1, 1]])
    y = np.array([1.0, -1, -1, 1, -1])
    K = relu_kernel(X, kind="wedge", norm=norm, fit_intercept=False)
    assert lasso(K, y, beta) == pytest.approx(total, rel=2e-6)


def test_wedge_by_hand():
    # One feature with a bias: a kink at every point.
    U, b = wedge_neurons(np.array([[1.0], [3.0]]), norm="l2", intercept=True)
    assert sorted((b / U[:, 0]).round(12)) == [-3, -1]
    # Two features without: the normals of the rows; in the plane, one point has its own direction.
    U, _ = wedge_neurons(np.array([[3.0, 4.0], [1, 0]]), norm="l2", intercept=False)
    assert_allclose(np.sort(np.abs(U), axis=0), [[0, 0.6], [0.8, 1]], atol=1e-12)
    U, _ = wedge_neurons(np.array([[3.0, 4.0]]), norm="l2", intercept=False)
    assert_allclose(np.abs(U), [[0.6, 0.8]])
    U, _ = wedge_neurons(np.array([[3.0, 4.0]]), norm="l1", intercept=False)
    assert len(U) == 3
    assert_allclose(np.abs(U).sum(axis=1), 1)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_no_direction_has_a_larger_price_under_the_l1_norm(intercept, d):
    rng = np.random.default_rng(d)
    X, r = rng.normal(size=(7, d)), rng.normal(size=7)
    if intercept:
        r -= r.mean()  # or the price of a bias is unbounded
    K = relu_kernel(X, kind="wedge", fit_intercept=intercept)
    U = rng.standard_normal((20_000, d)) * rng.integers(0, 2, (20_000, d))
    U = U[np.any(U != 0, axis=1)]
    U /= np.abs(U).sum(axis=1, keepdims=True)
    # Biases that put the kink on a data point are the best ones for a direction.
    b = -np.einsum("ij,ij->i", U, X[rng.integers(0, 7, len(U))]) if intercept else 0.0
    largest = np.abs(r @ np.maximum(X @ U.T + b, 0)).max()
    assert np.abs(r @ K).max() >= largest - 1e-12
    assert np.abs(r @ K).max() <= 1.2 * largest  # and each column is a neuron of norm 1


def test_l2_works_in_the_span_of_the_rows():
    X, y = sine_data(8, 3)  # of rank 2: in three dimensions all cross products vanish on the data
    basis = np.linalg.svd(X)[2][:2]
    values = [
        lasso(relu_kernel(A, kind="wedge", norm="l2", fit_intercept=False), y[:, 0], 0.1)
        for A in (X, X @ basis.T)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-6)
    assert values[0] < 1.3


def test_number_of_subsets():
    assert n_subsets(10, 3, norm="l1", intercept=True) == comb(13, 3)
    assert n_subsets(10, 3, norm="l2", intercept=False) == comb(10, 2)
    X = np.random.default_rng(0).normal(size=(10, 3))
    assert relu_kernel(X, kind="wedge", norm="l2").shape == (10, 2 * comb(10, 3))
    sampled = relu_kernel(X, kind="wedge", norm="l2", max_subsets=30, random_state=0)
    assert sampled.shape == (10, 60)
    again = relu_kernel(X, kind="wedge", norm="l2", max_subsets=30, random_state=0)
    np.testing.assert_array_equal(sampled, again)
    with pytest.raises(ValueError, match="max_subsets"):
        relu_kernel(np.random.default_rng(0).normal(size=(100, 8)), kind="wedge")


def test_bad_input():
    with pytest.raises(ValueError, match="kind"):
        relu_kernel([[1.0]], kind="cubic")
    with pytest.raises(ValueError, match="norm"):
        relu_kernel([[1.0]], kind="wedge", norm="l3")
    with pytest.raises(ValueError, match="n_layers"):
        relu_kernel([[1.0]], n_layers=5)
    for function in (relu_kernel, ntk_kernel):
        with pytest.raises(ValueError, match="2 features"):
            function([[1.0, 2.0]], [[1.0]])


def test_wedge_features_in_a_pipeline():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2)).astype(np.float32)
    y = np.abs(X[:, 0] - X[:, 1]) + 0.05 * rng.normal(size=60)
    model = make_pipeline(WedgeFeatures(random_state=0), Lasso(alpha=0.005, max_iter=20_000))
    assert model.fit(X, y).score(X, y) > 0.95
    wedge = model[0]
    assert wedge.transform(X).dtype == np.float32
    assert wedge.directions_.dtype == np.float32
    assert wedge.n_neurons_ == wedge.transform(X).shape[1] == len(wedge.get_feature_names_out())
    frame = relu_kernel(X, kind="wedge", max_subsets=1000, random_state=0)
    assert_allclose(wedge.transform(X), frame, atol=1e-5)


def test_wedge_features_without_any():
    assert WedgeFeatures().fit(np.zeros((3, 2))).transform(np.ones((2, 2))).shape == (2, 0)


# ------------------------------------------------------------------------------------ least l1 norm


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_min_l1_by_hand(kind):
    K = kind(np.array([[1.0, 0, 2], [0, 1.0, 2]]))
    solution = min_l1_solution(K, [2.0, 2.0], fit_intercept=False)
    assert_allclose(solution.coef, [0, 0, 1], atol=1e-12)
    assert solution.norm == pytest.approx(1)
    assert solution.intercept == 0
    assert solution.dual @ [2.0, 2.0] == pytest.approx(1)
    free = min_l1_solution(K, [2.0, 2.0])
    assert (free.norm, free.intercept) == (0, 2)


@pytest.mark.parametrize("margin", [None, 1.0, 2.5])
def test_min_l1_dual(margin):
    rng = np.random.default_rng(0)
    K = relu_kernel(rng.normal(size=(9, 1)))
    y = rng.normal(size=9) if margin is None else np.sign(rng.normal(size=9))
    solution = min_l1_solution(K, y, margin=margin)
    f = K @ solution.coef + solution.intercept
    if margin is None:
        assert_allclose(f, y, atol=1e-9)
    else:
        assert (y * f).min() == pytest.approx(margin)
        assert np.all(y * solution.dual >= -1e-12)
    assert np.abs(K.T @ solution.dual).max() <= 1 + 1e-9
    assert solution.dual.sum() == pytest.approx(0, abs=1e-9)
    assert solution.dual @ y * (margin or 1) == pytest.approx(solution.norm)
    assert solution.norm == pytest.approx(np.abs(solution.coef).sum())


def test_min_l1_is_interpolation():
    X, y = np.array([[-2.0], [-1], [0], [1], [2]]), np.array([1.0, -1, 1, 1, -1])
    assert min_l1_solution(relu_kernel(X), y).norm == pytest.approx(8)
    assert min_l1_solution(relu_kernel(X), y, margin=1).norm == pytest.approx(8)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(10, 1)), rng.normal(size=10)
    for n_layers in (2, 3):
        norm = min_l1_solution(relu_kernel(X, n_layers=n_layers), y).norm
        model = SplineReLURegressor(alpha=0, n_layers=n_layers).fit(X, y)
        assert model.penalty_ == pytest.approx(norm, rel=1e-9)


def test_min_l1_refuses():
    with pytest.raises(ValueError, match="more columns"):
        min_l1_solution([[1.0], [1.0]], [0.0, 1.0])
    with pytest.raises(ValueError, match="-1 or 1"):
        min_l1_solution([[1.0], [1.0]], [0.0, 1.0], margin=1)
    with pytest.raises(ValueError, match="positive"):
        min_l1_solution([[1.0], [1.0]], [-1.0, 1.0], margin=0)


# ---------------------------------------------------------------------------------------------- NTK


@pytest.mark.parametrize("intercept", [True, False])
def test_ntk_is_the_mean_over_random_networks(intercept):
    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(4, 3)), rng.normal(size=(3, 3))
    A, B = (np.column_stack([R, np.ones(len(R))]) if intercept else R for R in (X, Z))
    W = rng.standard_normal((400_000, A.shape[1]))
    H, G = A @ W.T, B @ W.T
    # Gradients in the output weights, and in the hidden weights (whose output weights are normal).
    mean = (np.maximum(H, 0) @ np.maximum(G, 0).T + ((H > 0) * 1.0) @ (G > 0).T * (A @ B.T)) / len(
        W
    )
    assert_allclose(ntk_kernel(X, Z, fit_intercept=intercept), mean, atol=0.02)


def test_ntk_by_hand():
    assert_allclose(ntk_kernel([[3.0, 4.0]], fit_intercept=False), [[25.0]], rtol=1e-7)
    opposite = ntk_kernel([[1.0]], [[-1.0]], fit_intercept=False)
    assert_allclose(opposite, 0, atol=1e-12)
    assert_allclose(ntk_kernel([[0.0]], [[1.0]], fit_intercept=False), 0)
    K = ntk_kernel(np.random.default_rng(0).normal(size=(20, 2)))
    assert_allclose(K, K.T)
    assert np.linalg.eigvalsh(K).min() > 0


# ------------------------------------------------------------------------------------ documentation


@pytest.mark.parametrize("public", [WedgeFeatures, min_l1_solution, ntk_kernel, relu_kernel])
def test_examples_run(public):
    runner = doctest.DocTestRunner(verbose=False)
    finder = doctest.DocTestFinder(recurse=False)
    results = [runner.run(test) for test in finder.find(public, public.__name__, globs={})]
    assert sum(result.attempted for result in results) > 0
    assert sum(result.failed for result in results) == 0


def test_hyperplanes_of_rows_without_extent():
    """Equal rows have no direction; numbers have one; blocks of subsets are put together."""
    U, b = wedge_neurons(np.ones((4, 2)), norm="l2", intercept=True)
    assert U.shape == (0, 2)
    assert b.shape == (0,)
    U, b = wedge_neurons([[1.0], [2.0]], norm="l2", intercept=False)
    np.testing.assert_array_equal(np.abs(U), [[1.0]])
    np.testing.assert_array_equal(b, [0.0])


def test_subsets_come_in_blocks(monkeypatch):
    X = np.random.default_rng(0).standard_normal((5, 2))
    expected = wedge_neurons(X, norm="l2", intercept=True)
    for block in (2, 5):  # of ten subsets: blocks of a divisor leave none over
        monkeypatch.setattr(hyperplanes, "_BLOCK", block)
        for found, one in zip(wedge_neurons(X, norm="l2", intercept=True), expected, strict=True):
            np.testing.assert_array_equal(found, one)


def test_targets_have_one_dimension_and_failures_of_the_solver_are_told(monkeypatch):
    K, y = relu_kernel([[-1.0], [0.0], [1.0]]), np.array([1.0, 0.0, 1.0])
    with pytest.raises(ValueError, match="one dimension, got 2"):
        min_l1_solution(K, y[:, None])
    failed = SimpleNamespace(status=4, message="numbers")
    monkeypatch.setattr(_kernels, "linprog", lambda *args, **kwargs: failed)
    with pytest.raises(RuntimeError, match="HiGHS did not solve the linear program: numbers"):
        min_l1_solution(K, y)
