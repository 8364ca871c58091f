"""Neurons as mixtures of rows: cases by hand, the non-negative least squares, the dual form."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.optimize import nnls
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier

from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor
from sklearn_convexnn.core.patterns.mixtures import best_in_cell, nearest_in_cone
from sklearn_convexnn.inspection import neuron_encodings
from tests import certificates
from tests.problems import PLANTED, patterns, whitened_rows


def regressor(U, C, b0, *, fit_intercept, alpha=1.0):
    """A regressor with the given neurons, as if it had been fitted."""
    U, C = np.asarray(U, dtype=float), np.asarray(C, dtype=float)
    model = ConvexReLURegressor(fit_intercept=fit_intercept)
    W, bias = (U[:, :-1], U[:, -1]) if fit_intercept else (U, np.zeros(len(U)))
    model.coefs_, model.intercepts_ = [W.T, C], [bias, np.asarray(b0, dtype=float)]
    model.alpha_, model.n_features_in_ = alpha, W.shape[1]
    return model


# --------------------------------------------------------------------------------- cases by hand


def test_a_neuron_that_isolates_a_row():
    """(2, 1) minus its nearest point (2, 0) in the cone of (1, 0) and (1, -1)."""
    X = np.array([[2.0, 1], [1, 0], [1, -1]])
    model = regressor([[0, 5]], [[1]], [0], fit_intercept=False)
    encodings = neuron_encodings(model, X)
    np.testing.assert_allclose(encodings.coefficients.toarray(), [[1, -2, 0]], atol=1e-14)
    np.testing.assert_allclose(encodings.directions, [[0, 1]])
    np.testing.assert_allclose(encodings.residuals, 0, atol=1e-14)
    assert encodings.active.tolist() == [1]
    assert encodings.supports[0].tolist() == [1, 0]
    assert encodings.prices is None


def test_a_neuron_with_a_free_bias_that_isolates_a_row():
    """(1, 3) minus its nearest point (1, 0) in the hull of (0, 0) and (2, 0): they sum to 0."""
    X = np.array([[0.0, 0], [2, 0], [1, 3]])
    model = regressor([[0, 2, 0]], [[1]], [0], fit_intercept=True)
    encodings = neuron_encodings(model, X, bias="free")
    np.testing.assert_allclose(encodings.coefficients.toarray(), [[-1 / 6, -1 / 6, 1 / 3]])
    np.testing.assert_allclose(encodings.directions, [[0, 1]])
    # With a penalised bias the constant is a third feature: the same neuron is (0, 1, 0).
    penalised = neuron_encodings(model, X)
    np.testing.assert_allclose(penalised.coefficients.toarray(), [[-1 / 6, -1 / 6, 1 / 3]])
    np.testing.assert_allclose(penalised.directions, [[0, 1, 0]])


def test_a_neuron_outside_the_cone_of_its_rows_has_a_residual():
    """Both rows are active, the cone is the quadrant, the nearest point to (1, -1) is (1, 0)."""
    X = np.array([[1.0, 0], [3.0, 1.0]])
    model = regressor([[2, -1]], [[1]], [0], fit_intercept=False)
    encodings = neuron_encodings(model, X)
    np.testing.assert_allclose(encodings.coefficients.toarray(), [[2 / np.sqrt(5), 0]])
    np.testing.assert_allclose(encodings.residuals, 1 / np.sqrt(5))


def test_idle_neurons_have_empty_mixtures():
    model = regressor([[0, 0], [1, 1]], [[1], [0]], [0], fit_intercept=False)
    for y in (None, [1.0, 2.0]):
        encodings = neuron_encodings(model, np.eye(2), y)
        assert encodings.coefficients.nnz == 0
        assert encodings.residuals.tolist() == [0, 0]
        assert encodings.table()["largest"].tolist() == [-1, -1]


def test_whitened_rows_are_mixed_with_their_targets():
    """The optimal neurons for X X^T = I are X^T (y)_+ and X^T (-y)_+, scaled to length one."""
    X, y = whitened_rows(np.random.default_rng(0), 5, 8), np.array([3.0, -1, 2, -2, 0.5])
    beta, n = 0.3, 5
    sizes = [np.linalg.norm(np.maximum(s * y, 0)) for s in (1, -1)]
    U = [X.T @ np.maximum(s * y, 0) / a for s, a in zip((1, -1), sizes, strict=True)]
    C = [[sizes[0] - beta], [beta - sizes[1]]]
    model = regressor(U, C, [0], fit_intercept=False, alpha=beta / n)
    encodings = neuron_encodings(model, X, y)
    expected = [np.maximum(s * y, 0) / a for s, a in zip((1, -1), sizes, strict=True)]
    np.testing.assert_allclose(encodings.coefficients.toarray(), expected, atol=1e-12)
    np.testing.assert_allclose(encodings.residuals, 0, atol=1e-12)
    np.testing.assert_allclose(encodings.prices, 1)
    # Without targets: inactive rows are orthogonal to the neuron and of no use, the same mixture.
    np.testing.assert_allclose(
        neuron_encodings(model, X).coefficients.toarray(), expected, atol=1e-7
    )


# ----------------------------------------------------------------------------------- the dual form


@pytest.mark.parametrize("problem", PLANTED, ids=repr)
def test_planted_neurons_are_encoded_exactly(problem):
    U, C, b0 = problem.neurons
    model = regressor(U, C, b0, fit_intercept=problem.intercept, alpha=problem.alpha)
    encodings = neuron_encodings(model, problem.X, problem.Y[:, 0])
    np.testing.assert_allclose(encodings.residuals, 0, atol=1e-9)
    np.testing.assert_allclose(encodings.prices, 1, rtol=1e-9)
    np.testing.assert_allclose(encodings.coefficients @ problem.A, U, atol=1e-9)
    perturbed = regressor(U + 0.01, C, b0, fit_intercept=problem.intercept, alpha=problem.alpha)
    assert neuron_encodings(perturbed, problem.X, problem.Y[:, 0]).residuals.min() > 1e-3


def one_feature(kind):
    """Rows in one feature, where networks are trained to a small exact gap in no time."""
    x = np.random.default_rng(0).uniform(-2, 2, 40)
    signal = np.sin(2 * x)
    y = {
        "regression": signal,
        "multioutput": np.column_stack([signal, np.abs(x)]),
        "binary": np.where(signal > 0.2, "yes", "no"),
        "multiclass": np.digitize(signal, [-0.5, 0.5]),
    }[kind]
    Estimator = ConvexReLUClassifier if kind in ("binary", "multiclass") else ConvexReLURegressor
    return Estimator(alpha=0.01, gap_tol=1e-3, max_iter=100, random_state=0), x[:, None], y


@pytest.mark.parametrize("kind", ["regression", "multioutput", "binary", "multiclass"])
def test_neurons_of_optimal_networks_are_their_dual_mixtures(kind):
    model, X, y = one_feature(kind)
    model.fit(X, y)
    assert model.certificate_ == "exact"
    encodings = neuron_encodings(model, X, y)
    np.testing.assert_allclose(encodings.prices, 1, atol=0.01)
    assert encodings.residuals.max() < 0.05
    mixtures = encodings.coefficients @ with_ones(X)
    np.testing.assert_allclose(np.linalg.norm(mixtures, axis=1), 1)
    np.testing.assert_allclose(
        np.linalg.norm(encodings.directions - mixtures, axis=1), encodings.residuals, atol=1e-12
    )
    model.coefs_[0] = 1.3 * model.coefs_[0]  # every neuron turns away from its best direction
    model.coefs_[1] = model.coefs_[1] / 1.3
    assert neuron_encodings(model, X, y).residuals.max() > 2 * encodings.residuals.max()


def with_ones(X):
    return np.column_stack([X, np.ones(len(X))])


def test_weights_and_class_weights_enter_the_dual_variable():
    model, X, y = one_feature("multiclass")
    weights = np.random.default_rng(0).integers(0, 3, len(y))
    model.set_params(class_weight="balanced").fit(X, y, weights)
    weighted = neuron_encodings(model, X, y, sample_weight=weights)
    np.testing.assert_allclose(weighted.prices, 1, atol=0.01)
    assert np.all(np.isin(weighted.coefficients.indices, np.flatnonzero(weights)))
    repeated = neuron_encodings(model, np.repeat(X, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(repeated.prices, weighted.prices, rtol=1e-9)
    np.testing.assert_allclose(repeated.residuals, weighted.residuals, rtol=1e-6, atol=1e-12)
    assert np.abs(neuron_encodings(model, X, y).prices - 1).max() > 0.01


@pytest.mark.parametrize("with_targets", [False, True])
def test_sparse_rows(with_targets, binary):
    X = np.where(np.abs(binary.X) < 0.5, 0, binary.X)
    y = binary.y if with_targets else None
    model = binary.Estimator(random_state=0).fit(X, binary.y)
    expected = neuron_encodings(model, X, y)
    found = neuron_encodings(model, sparse.csr_array(X), y)
    np.testing.assert_allclose(found.residuals, expected.residuals, atol=1e-10)
    np.testing.assert_allclose((found.coefficients @ X), (expected.coefficients @ X), atol=1e-9)


def test_support_is_at_most_the_number_of_columns():
    X, y = load_iris(return_X_y=True)
    model = MLPClassifier((15,), max_iter=2000, tol=0.01, random_state=0).fit(X, y)
    encodings = neuron_encodings(model, X)
    table = pd.DataFrame(encodings.table())
    assert list(table) == ["active", "support", "positive", "negative", "largest", "residual"]
    assert len(table) == 15
    assert table["support"].max() <= 5
    # A free bias asks for coefficients of sum 0; this network does not quite meet that.
    scale = np.sqrt((X**2).sum(axis=1).mean())
    assert np.all(scale * np.abs(table["positive"] + table["negative"]) <= table["residual"] + 1e-9)


# ----------------------------------------------------------------------- non-negative least squares


@pytest.mark.parametrize("n, p", [(5, 8), (40, 6), (700, 5), (300, 40)])
def test_nearest_in_cone_is_non_negative_least_squares(n, p):
    rng = np.random.default_rng(n)
    rows, target = rng.standard_normal((n, p)), rng.standard_normal(p)
    signs = rng.choice([1.0, -1.0, 0.0], n, p=[0.45, 0.45, 0.1])
    rows[:, 0] = signs * np.abs(rows[:, 0]) * 3  # a pointed cone
    target[0] = -0.5
    coefficients, residual = nearest_in_cone(target, rows, signs)
    _, distance = nnls((rows * signs[:, None]).T, target, maxiter=50 * n)
    assert np.linalg.norm(residual) == pytest.approx(distance, rel=1e-9)
    assert coefficients.min() >= 0
    assert not coefficients[signs == 0].any()
    np.testing.assert_allclose(target - (signs * coefficients) @ rows, residual, atol=1e-12)
    in_csr, _ = nearest_in_cone(target, sparse.csr_array(rows), signs)
    np.testing.assert_allclose(in_csr, coefficients, atol=1e-8)


def test_nearest_in_cone_of_nothing():
    coefficients, residual = nearest_in_cone(np.ones(2), np.zeros((3, 2)), np.ones(3))
    assert not coefficients.any()
    assert residual.tolist() == [1, 1]


def test_best_in_cell_is_the_separation_oracle():
    rng = np.random.default_rng(0)
    A, r = rng.standard_normal((8, 3)), rng.standard_normal(8)
    for pattern in patterns(A):
        _, value = certificates.best_in_cell(A, r, pattern)
        mixture, best = best_in_cell(A, r, np.where(pattern, 1.0, -1.0))
        assert np.linalg.norm(best) == pytest.approx(value, abs=1e-10)
        np.testing.assert_allclose(mixture @ A, best, atol=1e-10)


# -------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"X": np.ones((3, 3))}, "3 features"),
        ({"X": np.ones((3, 2)), "y": [1.0, 2.0]}, "3 rows and y has 2"),
        ({"X": np.ones((3, 2)), "y": np.ones((3, 2))}, "2 columns"),
        ({"X": np.ones((3, 2)), "bias": "decay"}, "bias must be"),
        ({"X": np.ones((3, 2)), "y": np.ones(3), "bias": "free"}, "leave it at 'auto'"),
        ({"X": np.ones((3, 2)), "kink_tol": -1}, "kink_tol"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    model = regressor([[1, 1]], [[1]], [0], fit_intercept=False)
    with pytest.raises(ValueError, match=message):
        neuron_encodings(model, **arguments)


def test_targets_need_a_dual_problem():
    X, y = load_iris(return_X_y=True)
    model = MLPClassifier((3,), max_iter=2000, tol=0.1, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="convex estimators of this package"):
        neuron_encodings(model, X, y)
    model = ConvexReLUClassifier(random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="other classes"):
        neuron_encodings(model, X, y % 2)
