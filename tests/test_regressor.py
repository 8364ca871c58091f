"""ConvexReLURegressor."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV

from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor, alpha_max
from sklearn_convexnn.core.fit.cutting_plane import fast_dtype
from sklearn_convexnn.core.problem.alphas import SCALE_FRACTION
from sklearn_convexnn.core.problem.units import make_problem, mean_square_spread
from tests.conftest import make_case, make_rows, make_signal
from tests.golden import PROMISES


def r2(y, prediction):
    return 1 - np.mean((y - prediction) ** 2) / np.var(y)


# ---------------------------------------------------------------------------------- limits of alpha


def test_above_alpha_max_it_is_the_weighted_mean():
    case = make_case("multioutput")
    weights = np.random.default_rng(0).integers(0, 3, len(case.X))
    largest = alpha_max(case.X, case.y, sample_weight=weights)
    model = ConvexReLURegressor(alpha=2 * largest)
    model.fit(case.X, case.y, sample_weight=weights)
    mean = np.average(case.y, weights=weights, axis=0)
    np.testing.assert_allclose(model.predict(case.X), np.tile(mean, (40, 1)))
    np.testing.assert_allclose(model.intercepts_[1], mean)
    variance = np.average((case.y - mean) ** 2, weights=weights, axis=0).sum()
    assert model.objective_ == pytest.approx(variance / 2)


def test_above_alpha_max_without_intercept_it_is_zero(regression):
    model = ConvexReLURegressor(alpha=1e3, fit_intercept=False).fit(regression.X, regression.y)
    assert not model.predict(regression.X).any()
    assert model.objective_ == pytest.approx(0.5 * np.mean(regression.y**2))


def test_alpha_max_is_the_largest_dual_constraint(regression):
    # One column without intercept: the two directions are 1 and -1.
    x, y = regression.X[:, 0], regression.y
    prices = [abs(np.mean(y * np.maximum(sign * x, 0))) for sign in (1, -1)]
    largest = alpha_max(x[:, None], y, fit_intercept=False)
    assert largest == pytest.approx(max(prices), rel=1e-12)


def test_small_alpha_interpolates(regression):
    largest = alpha_max(regression.X, regression.y)
    model = ConvexReLURegressor(alpha=1e-5 * largest, tol=1e-3, max_iter=200, random_state=0)
    assert model.fit(regression.X, regression.y).score(regression.X, regression.y) > 0.9999


def test_one_feature_without_intercept_in_closed_form():
    # Positive and negative rows are two separate soft-thresholded slopes.
    x = np.array([-2.0, -1.0, 1.0, 2.0, 3.0])
    y = np.array([1.0, 0.0, 1.0, 2.0, 2.0])
    alpha = 0.1
    model = ConvexReLURegressor(alpha=alpha, fit_intercept=False, gap_tol=1e-9, random_state=0)
    model.fit(x[:, None], y)
    for sign in (1, -1):
        part = np.maximum(sign * x, 0)
        slope = max(np.mean(part * y) - alpha, 0) / np.mean(part**2)
        assert model.predict([[sign]])[0] == pytest.approx(slope, rel=1e-6)


# ------------------------------------------------------------------------------------------ targets


@pytest.mark.parametrize("value", [0.0, 3.0, -1e6, 1e-12, 0.1])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_constant_target(value, fit_intercept):
    X = make_rows(20)
    model = ConvexReLURegressor(fit_intercept=fit_intercept, random_state=0)
    model.fit(X, np.full(20, value))
    assert np.all(np.isfinite(model.predict(X)))
    if fit_intercept or value == 0:
        assert model.n_neurons_ == 0
        np.testing.assert_allclose(model.predict(make_rows(5, seed=9)), value)
        assert model.objective_ == pytest.approx(0, abs=1e-20 * (1 + value**2))


@pytest.mark.parametrize(
    "settings", [{}, {"alpha": 0.1}, {"patterns": 3}, {"patterns": "exact", "refinement": None}]
)
def test_rows_of_zeros(settings):
    """Without a bias no neuron has an output: the optimum is zero, and known to be."""
    y = np.arange(30.0)
    model = ConvexReLURegressor(fit_intercept=False, random_state=0, **settings)
    model.fit(np.zeros((30, 3)), y)
    assert model.n_neurons_ == 0
    assert model.dual_gap_ < 1e-14
    assert model.objective_ == pytest.approx(np.mean(y**2) / 2)


@pytest.mark.parametrize("scale", [1e-140, 1e-6, 1e6, 1e140])
def test_targets_of_any_size(regression, scale):
    model = ConvexReLURegressor("scale", random_state=0).fit(regression.X, scale * regression.y)
    reference = ConvexReLURegressor("scale", random_state=0).fit(regression.X, regression.y)
    difference = model.predict(regression.X) / scale - reference.predict(regression.X)
    assert np.sqrt(np.mean(difference**2)) < 0.1 * regression.y.std()
    assert model.objective_ / scale / scale == pytest.approx(
        reference.objective_, rel=PROMISES["default"]
    )


def test_targets_whose_squares_overflow_are_refused(regression):
    with pytest.raises(ValueError, match=r"overflow.*scale y"):
        ConvexReLURegressor().fit(regression.X, 1e160 * regression.y)


def test_target_far_from_zero(regression):
    model = ConvexReLURegressor("scale", random_state=0).fit(regression.X, 1e8 + regression.y)
    assert r2(regression.y, model.predict(regression.X) - 1e8) > 0.9


def test_integer_and_column_targets(regression):
    y = np.round(5 * regression.y).astype(int)
    flat = ConvexReLURegressor("scale", random_state=0).fit(regression.X, y)
    column = ConvexReLURegressor("scale", random_state=0).fit(
        regression.X, y[:, None].astype(float)
    )
    assert flat.predict(regression.X).shape == (40,)
    assert column.predict(regression.X).shape == (40, 1)
    np.testing.assert_array_equal(flat.predict(regression.X), column.predict(regression.X)[:, 0])


def test_one_constant_output_among_several(regression):
    y = np.column_stack([regression.y, np.full(40, 7.0)])
    model = ConvexReLURegressor("scale", random_state=0).fit(regression.X, y)
    np.testing.assert_allclose(model.predict(regression.X)[:, 1], 7, rtol=1e-6)


def test_float32_targets_and_rows(regression):
    X, y = regression.X.astype(np.float32), regression.y.astype(np.float32)
    model = ConvexReLURegressor("scale", random_state=0).fit(X, y)
    assert model.predict(X).dtype == np.float32
    assert model.score(X, y) > 0.9


@pytest.mark.parametrize("n", [1, 2, 3])
def test_very_few_rows(n):
    X, y = make_rows(n, 5), np.arange(n) + 1.0
    model = ConvexReLURegressor(random_state=0).fit(X, y)
    assert np.all(np.isfinite(model.predict(make_rows(4, 5, seed=1))))


# ----------------------------------------------------------------------------------- what it learns


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_planted_network_is_recovered(fit_intercept):
    rng = np.random.default_rng(3)
    W, c = rng.standard_normal((4, 3)), np.array([1.0, -1.0, 1.5])
    bias = 0.5 * rng.standard_normal(3) * fit_intercept

    def teacher(X):
        return np.maximum(X @ W + bias, 0) @ c + 2.0 * fit_intercept

    X, X_new = make_rows(250, 4, seed=1), make_rows(500, 4, seed=2)
    y = teacher(X)
    largest = alpha_max(X, y, fit_intercept=fit_intercept)
    model = ConvexReLURegressor(
        alpha=1e-3 * largest, tol=1e-4, fit_intercept=fit_intercept, random_state=0
    )
    model.fit(X, y)
    assert r2(teacher(X_new), model.predict(X_new)) > 0.99
    # The objective cannot exceed that of the teacher.
    penalty = np.linalg.norm(np.vstack([W, bias]), axis=0) @ np.abs(c)
    assert model.objective_ <= 1.01 * model.alpha_ * penalty


def test_diabetes_is_as_good_as_linear():
    # Noisy and nearly linear: the default alpha is too small for it, a larger one is not.
    X, y = load_diabetes(return_X_y=True)
    X = X / X.std(axis=0)
    train, test = slice(300), slice(300, None)
    linear = RidgeCV(alphas=np.logspace(-2, 3, 20)).fit(X[train], y[train])
    assert ConvexReLURegressor(random_state=0).fit(X[train], y[train]).score(X[test], y[test]) > 0.3
    model = ConvexReLURegressor(alpha=0.05 * alpha_max(X[train], y[train]), random_state=0)
    model.fit(X[train], y[train])
    assert model.score(X[test], y[test]) > linear.score(X[test], y[test]) - 0.03


def test_alpha_scale_is_the_documented_fraction(regression):
    fraction = f"``{SCALE_FRACTION:g} * alpha_max_ / sqrt(n)``"
    for Estimator in (ConvexReLURegressor, ConvexReLUClassifier):
        assert fraction in " ".join(Estimator.__doc__.split())
    repeated = np.vstack([regression.X, regression.X]), np.concatenate([regression.y] * 2)
    for X, y in [(regression.X, regression.y), repeated]:
        model = ConvexReLURegressor("scale", random_state=0).fit(X, y)
        expected = SCALE_FRACTION * model.alpha_max_ / np.sqrt(40)
        assert model.alpha_ == pytest.approx(expected, rel=1e-9)


def test_noise_is_not_memorised():
    X = make_rows(200)
    y = make_signal(X) + np.random.default_rng(1).standard_normal(200)
    X_new = make_rows(500, seed=5)
    model = ConvexReLURegressor(random_state=0).fit(X, y)
    assert r2(make_signal(X_new), model.predict(X_new)) > 0.5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_single_precision_only_where_it_can_tell_the_rows_apart(dtype):
    X = make_rows(50).astype(dtype)
    for rows, expected in [(X, np.float32), (X + 10, np.float32), (1e-6 * X, np.float64)]:
        problem = make_problem(rows, X[:, :1], np.ones(50), loss="squared_error", intercept=True)
        assert fast_dtype(problem.rows) is expected
        centred = problem.rows.dense() - problem.rows.weights @ problem.rows.dense()
        spread = problem.rows.weights @ np.sum(centred**2, axis=1)
        np.testing.assert_allclose(mean_square_spread(problem.rows), spread, rtol=1e-3)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("unit", [1e-6, 1e-7, 1e-8])
def test_no_certificate_is_exact_because_a_unit_is_small(unit):
    """The constant is then nearly all of the Gram matrix of the rows."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 3))
    y = X[:, 0] + np.abs(X[:, 1])
    for seed in range(4):
        model = ConvexReLURegressor(alpha=0.024 * unit, random_state=seed).fit(unit * X, y)
        assert model.certificate_ == "estimated"
        assert 1.2 * unit < model.alpha_max_ < 1.6 * unit
        # Not "little progress" because the refit of a round is loose: the constant has 0.9.
        assert model.objective_ < 0.6
