"""Linear filters with a weight for each position: a nuclear norm of patches."""

import numpy as np
import pytest

from sklearn_convexnn._images import windows_of
from sklearn_convexnn.core.deep import linear_convolution
from sklearn_convexnn.core.deep.linear_convolution import CellPatches, make_linear_convolution
from tests.conftest import make_rows

PLAIN = {"image_shape": None, "stride": 1, "dilation": 1, "padding": 0, "pool_grid": None}


def windows(shape, patch_size, **settings):
    return windows_of(shape, patch_size=patch_size, **(PLAIN | settings))


def problem(X, Y, windows, weights=None, loss="squared_error", intercept=True):
    weights = np.ones(len(X)) if weights is None else weights
    return make_linear_convolution(X, Y, weights, windows=windows, loss=loss, intercept=intercept)


@pytest.mark.parametrize("alpha, value", [(0.01, 0.039489565), (0.05, 0.080183564)])
def test_the_program_of_a_weight_for_each_position(alpha, value):
    """The values that tests/core/problem/test_convolutional_programs.py finds in two ways."""
    k = np.arange(1, 21)
    X, Y = np.sin(k * k).reshape(5, 4), np.cos(np.arange(1.0, 6))[:, None]
    small = problem(X, Y, windows((4,), 2), intercept=False)
    solution = small.solve(alpha, tol=1e-10, max_iter=20)
    assert solution.certificate.primal == pytest.approx(value, abs=1e-9)
    assert 0 <= solution.certificate.relative_gap <= 1e-10


@pytest.mark.parametrize("settings", [{}, {"pool_grid": [1, (2, 2)], "padding": "same"}])
def test_patches_are_those_of_the_windows(settings):
    seen = windows((4, 5, 2), (3, 2), **settings)
    patches, X = CellPatches(seen), make_rows(3, 40)
    rows = np.hstack([X, np.zeros((3, 1))])
    expected = np.stack([rows[:, seen.index[0][:, c]].mean(axis=2) for c in seen.positions], axis=2)
    np.testing.assert_allclose(patches.of_rows(X), expected.transpose(1, 0, 2), atol=1e-14)
    np.testing.assert_allclose(
        patches.gathered(X.T).reshape(patches.n_weights, -1, 3), expected.transpose(1, 2, 0)
    )
    filters = make_rows(2, patches.n_weights)
    features = np.einsum("mh,nhg->nmg", filters, expected).reshape(3, -1)
    np.testing.assert_allclose(X @ patches.columns(filters).toarray(), features, atol=1e-13)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.parametrize("n_rows", [12, 60])
@pytest.mark.parametrize("many", [5, 1000])
@pytest.mark.parametrize("pool_grid", [None, 2])
def test_agrees_with_a_conic_solver(loss, n_rows, pool_grid, many, monkeypatch):
    monkeypatch.setattr(linear_convolution, "_MANY_CELLS", many - 1)
    cp = pytest.importorskip("cvxpy")
    X, labels = make_rows(n_rows, 14), np.arange(n_rows) % 3
    X = X + np.outer(labels, np.linspace(-0.4, 0.4, 14))
    Y = np.eye(3)[labels]
    weights = np.random.default_rng(0).uniform(0.5, 2.0, n_rows)
    seen = windows((7, 2), (3,), pool_grid=pool_grid)
    network = problem(X, Y, seen, weights, loss)
    alpha = 0.05 * network.alpha_max()
    solution = network.solve(alpha, tol=1e-8, max_iter=50)
    assert 0 <= solution.certificate.relative_gap <= 1e-8

    patches = CellPatches(seen)
    Z, b = cp.Variable((patches.n_weights, patches.n_cells * 3)), cp.Variable(3)
    flat = cp.reshape(Z, (patches.n_weights * patches.n_cells, 3), order="C")
    out = X @ (patches.matrix.T.toarray() @ flat) + np.ones((n_rows, 1)) @ b[None, :]
    if loss == "squared_error":
        losses = 0.5 * cp.sum(cp.square(Y - out), axis=1)
    else:
        losses = cp.log_sum_exp(out, axis=1) - cp.sum(cp.multiply(Y, out), axis=1)
    objective = weights / weights.sum() @ losses + alpha * cp.normNuc(Z)
    cp.Problem(cp.Minimize(objective)).solve(solver="CLARABEL")
    assert solution.certificate.primal == pytest.approx(objective.value, rel=1e-6)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_the_network_has_the_objective(loss):
    """In the units of the data: balanced, orthogonal filters and their outputs."""
    X, Y = 3 + 2 * make_rows(30, 24), np.eye(2)[np.arange(30) % 2]
    seen = windows((4, 6), 2, padding="same", pool_grid=(2, 3))
    network = problem(X, Y, seen, loss=loss)
    alpha = 0.1 * network.alpha_max()
    solution = network.solve(alpha, tol=1e-9, max_iter=50)
    found, n_cells = solution.network, seen.n_cells
    gram = found.filters @ found.filters.T
    np.testing.assert_allclose(gram, np.diag(found.sizes), atol=1e-9 * found.sizes[0])
    np.testing.assert_allclose(found.weights @ found.weights.T, gram, atol=1e-9 * found.sizes[0])
    features = X @ CellPatches(seen).columns(found.filters)
    Z = features @ found.weights.reshape(-1, 2) + found.intercept
    assert features.shape == (30, len(found.sizes) * n_cells)
    np.testing.assert_allclose(Z, X @ found.coef + found.intercept, atol=1e-9)
    losses = network._loss().value(Y, Z)
    decay = (np.sum(found.filters**2) + np.sum(found.weights**2)) / 2
    assert losses.mean() + alpha * decay == pytest.approx(solution.certificate.primal, rel=1e-9)


def test_zero_from_the_largest_alpha_on():
    for loss in ("squared_error", "log_loss"):
        network = problem(
            make_rows(30, 8), np.eye(3)[np.arange(30) % 3], windows((8,), 3), loss=loss
        )
        for fraction, least, most in [(1.001, 0, 0), (0.99, 1, 3)]:
            alpha = fraction * network.alpha_max()
            rank = len(network.solve(alpha, tol=1e-9, max_iter=50).network.sizes)
            assert least <= rank <= most


def test_a_path_goes_on_from_where_it_was():
    X = make_rows(50, 20)
    network = problem(X, X[:, 3:4] * X[:, 4:5] + X[:, :1], windows((20,), 4))
    end = None
    for fraction in (0.5, 0.1, 0.02):
        alpha = fraction * network.alpha_max()
        warm = network.solve(alpha, tol=1e-8, max_iter=50, start=end, confirm=False)
        cold = network.solve(alpha, tol=1e-8, max_iter=50)
        assert warm.certificate.primal == pytest.approx(cold.certificate.primal, rel=1e-8)
        end = warm.end
