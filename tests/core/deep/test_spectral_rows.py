"""The reduction of rows to spectral coordinates: the same least squares, whatever the rows."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_convexnn.core.deep.spectral_rows import make_rows, reduce
from tests.linear_problems import linear_data

SHAPES = [(30, 5, 3), (6, 9, 3), (30, 4, 7), (5, 12, 8), (20, 3, 1)]


def direct(X, Y, weights, W, intercept):
    """f(W) in the units of the data, with the best intercept."""
    w = weights / weights.sum()
    R = Y - X @ W
    R = R - w @ R if intercept else R
    return 0.5 * w @ np.sum(R**2, axis=1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_the_loss_is_that_of_the_rows(shape, intercept, container):
    X, Y = linear_data(*shape)
    weights = np.random.default_rng(1).uniform(0.0, 2.0, len(X))
    rows = make_rows(container(X), Y, weights, intercept=intercept)
    reduction = reduce(rows)
    B = np.random.default_rng(2).standard_normal(reduction.quadratic.M.shape)
    W = reduction.left @ B @ reduction.right.T
    expected = direct(X, Y, weights, W * rows.x_scale * rows.y_scale, intercept) / rows.y_scale**2
    assert reduction.quadratic.value(B) == pytest.approx(expected, rel=1e-9)
    loss, G, inner = rows.residual_statistics(W)
    assert loss == pytest.approx(expected, rel=1e-10)
    gradient = -reduction.left.T @ G @ reduction.right
    np.testing.assert_allclose(reduction.quadratic.gradient(B), gradient, atol=1e-9)
    # <R, Y> = ||R||^2 + <R, X W>
    assert inner == pytest.approx(2 * loss + np.vdot(G, W), rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_maps_are_orthonormal_and_the_curvature_is_positive(shape):
    reduction = reduce(make_rows(*linear_data(*shape), np.ones(shape[0]), intercept=True))
    for basis in (reduction.left, reduction.right):
        np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-10)
    assert np.all(reduction.quadratic.s > 0)
    assert reduction.quadratic.energy == pytest.approx(0.5)


def test_working_units_do_not_depend_on_the_units_of_the_data():
    X, Y = linear_data()
    reference = reduce(make_rows(X, Y, np.ones(30), intercept=True)).quadratic
    for a, b, c in [(1e-150, 1e100, 0.0), (1e100, 1e-100, 0.0), (1.0, 1.0, 1e6)]:
        scaled = reduce(make_rows(a * (X + c), b * Y, np.ones(30), intercept=True)).quadratic
        np.testing.assert_allclose(scaled.s, reference.s, rtol=1e-7)


def test_float32_rows_far_from_zero_are_centred_in_double_precision():
    rng = np.random.default_rng(0)
    X = (rng.integers(-8, 8, size=(50, 3)) + 4096.0).astype(np.float32)  # exact in float32
    Y = X.astype(float) @ [[1.0], [2.0], [3.0]]
    reduction = reduce(make_rows(X, Y, np.ones(50), intercept=True))
    assert reduction.quadratic.smallest <= 1e-12


def test_targets_that_overflow_are_refused():
    with pytest.raises(ValueError, match="overflow"):
        make_rows(np.eye(3), np.array([[1e200], [0.0], [1.0]]), np.ones(3), intercept=True)


def test_dependent_columns_and_targets_are_left_out():
    X, Y = linear_data(30, 4, 2)
    reduction = reduce(
        make_rows(np.hstack([X, X[:, :1]]), np.hstack([Y, Y[:, :1]]), np.ones(30), intercept=True)
    )
    assert reduction.left.shape == (5, 4)
    assert reduction.right.shape == (3, 2)
