"""The estimators for rows on a line, and what they report."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from sklearn_convexnn import SplineReLUClassifier, SplineReLURegressor

ESTIMATORS = [SplineReLURegressor, SplineReLUClassifier]

# ----------------------------------------------------------------------------------------- the data


def curve(n=60, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, (n, 1))
    return X, np.sin(3 * X[:, 0]) + 0.2 * rng.normal(size=n)


def classes(n=80, seed=0):
    X, y = curve(n, seed)
    return X, np.array(["no", "yes"])[(y + 0.3 * np.random.default_rng(9).normal(size=n) > 0) * 1]


def case(Estimator):
    return curve() if Estimator is SplineReLURegressor else classes()


def outputs(model, X):
    """The network's outputs from its layers."""
    H = X
    for W, b in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        H = np.maximum(H @ W + b, 0)
    return H @ model.coefs_[-1] + model.intercepts_[-1] + X @ model.skip_coef_


# ------------------------------------------------------------------------------- the fitted network


@pytest.mark.parametrize("Estimator", ESTIMATORS)
@pytest.mark.parametrize("n_layers", [2, 3, 4])
@pytest.mark.parametrize("skip", [True, False])
def test_layers_are_the_predictions(Estimator, n_layers, skip):
    X, y = case(Estimator)
    model = Estimator(n_layers=n_layers, skip_connection=skip).fit(X, y)
    grid = np.linspace(-4, 4, 101)[:, None]
    predicted = getattr(model, "decision_function", model.predict)(grid)
    np.testing.assert_allclose(outputs(model, grid)[:, 0], predicted, atol=1e-9)
    m = model.n_neurons_
    assert m > 0
    assert [W.shape for W in model.coefs_] == [(1, m)] + [(m, m)] * (n_layers - 2) + [(m, 1)]
    assert all(sparse.issparse(W) for W in model.coefs_[1:-1])
    assert model.n_layers_ == n_layers + 1
    assert len(model.slopes_) == len(model.knots_) + 1
    assert np.all(np.isin(model.knots_, X))
    sizes = np.abs(model.coefs_[0][0])
    assert model.penalty_ == pytest.approx((sizes**n_layers).sum())
    assert skip or not model.skip_coef_.any()


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_objective_is_the_documented_formula(Estimator):
    X, y = case(Estimator)
    weights = np.random.default_rng(1).integers(0, 4, len(X))
    model = Estimator(alpha=0.01).fit(X, y, sample_weight=weights)
    f = outputs(model, X)[:, 0]
    if Estimator is SplineReLURegressor:
        losses = 0.5 * (y - f) ** 2
    else:
        losses = np.logaddexp(0, f) - (y == "yes") * f
    objective = np.average(losses, weights=weights) + 0.01 * model.penalty_
    assert model.objective_ == pytest.approx(objective, rel=1e-9)
    assert model.dual_gap_abs_ == pytest.approx(model.dual_gap_ * model.objective_)
    assert model.dual_gap_ <= model.tol
    assert model.certificate_ == "exact"


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_several_features_on_a_line_are_one(Estimator):
    X, y = case(Estimator)
    step, origin = np.array([3.0, -4.0, 12.0]), np.array([1.0, 5.0, -2.0])
    on_line = origin + X * step
    one = Estimator(alpha=0.01 * 13).fit(13 * X, y)
    several = Estimator(alpha=0.01 * 13).fit(on_line, y)
    assert several.objective_ == pytest.approx(one.objective_, rel=1e-8)
    np.testing.assert_allclose(np.abs(several.direction_), np.abs(step) / 13, rtol=1e-12)
    np.testing.assert_array_equal(several.predict(on_line)[:5].shape, (5,))
    np.testing.assert_allclose(outputs(several, on_line), outputs(one, 13 * X), atol=1e-4)
    assert np.linalg.norm(several.coefs_[0], axis=0) == pytest.approx(
        np.abs(several.coefs_[1][:, 0])
    )


def test_rows_off_the_line_are_refused():
    X = np.column_stack([curve()[0][:, 0], np.arange(60.0)])
    with pytest.raises(ValueError, match="projection='pca'"):
        SplineReLURegressor().fit(X, curve()[1])
    model = SplineReLURegressor(projection="pca").fit(X, curve()[1])
    assert abs(model.direction_[1]) > 0.99


def test_zero_weights_leave_rows_out_even_off_the_line():
    X, y = curve()
    X = np.column_stack([X, 2 * X])
    X[0] = [5.0, -3.0]
    weights = np.ones(60)
    weights[0] = 0
    model = SplineReLURegressor().fit(X, y, sample_weight=weights)
    other = SplineReLURegressor().fit(X[1:], y[1:])
    np.testing.assert_array_equal(model.predict(X), other.predict(X))


def test_several_outputs_have_networks_of_their_own():
    X, y = curve()
    Y = np.column_stack([y, 10 * np.cos(X[:, 0]), np.ones(60)])
    model = SplineReLURegressor(alpha=0.01).fit(X, Y)
    singles = [SplineReLURegressor(alpha=0.01).fit(X, column) for column in Y.T]
    assert model.objective_ == pytest.approx(sum(m.objective_ for m in singles))
    assert model.n_neurons_ == sum(m.n_neurons_ for m in singles)
    for column, single in zip(model.predict(X).T, singles, strict=True):
        np.testing.assert_array_equal(column, single.predict(X))
    np.testing.assert_allclose(outputs(model, X), model.predict(X), atol=1e-9)
    assert [len(k) for k in model.knots_] == [len(m.knots_) for m in singles]
    assert len(model.knots_[2]) == 0


def test_interpolation_goes_through_the_means():
    X = np.array([[0.0], [0.0], [1.0], [3.0]])
    model = SplineReLURegressor(alpha=0).fit(X, [1.0, 3.0, 4.0, 4.0])
    np.testing.assert_allclose(model.predict([[0.0], [1.0], [2.0], [3.0]]), [2, 4, 4, 4])
    assert model.penalty_ == 2.0
    assert model.objective_ == pytest.approx(0.25)  # the variance at 0
    assert model.dual_gap_ == 0
    assert model.knots_.tolist() == [1.0]
    assert model.slopes_.tolist() == [2.0, 0.0]


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_classes(loss):
    X, y = load_iris(return_X_y=True)
    model = SplineReLUClassifier(alpha=1e-3, loss=loss).fit(X[:, [2]], y)
    assert model.score(X[:, [2]], y) > 0.94
    assert model.n_outputs_ == 3
    assert model.decision_function(X[:, [2]]).shape == (150, 3)
    if loss == "log_loss":
        np.testing.assert_allclose(model.predict_proba(X[:, [2]]).sum(axis=1), 1, rtol=1e-12)
    else:
        assert not hasattr(model, "predict_proba")
        with pytest.raises(AttributeError, match="predict_log_proba"):
            model.predict_log_proba(X[:, [2]])


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_class_weight_is_sample_weight(loss):
    X, y = classes()
    one = SplineReLUClassifier(0.01, loss=loss, class_weight={"no": 3, "yes": 1}).fit(X, y)
    two = SplineReLUClassifier(0.01, loss=loss).fit(X, y, sample_weight=np.where(y == "no", 3, 1))
    np.testing.assert_array_equal(one.decision_function(X), two.decision_function(X))


def test_a_free_line_needs_overlapping_classes():
    X, y = np.arange(6.0)[:, None], [0, 0, 0, 1, 1, 1]
    with pytest.raises(ValueError, match="skip_connection=False"):
        SplineReLUClassifier(skip_connection=True).fit(X, y)
    assert SplineReLUClassifier(skip_connection=True, loss="hinge").fit(X, y).objective_ < 1e-6
    assert SplineReLUClassifier().fit(X, y).score(X, y) == 1


@pytest.mark.parametrize("alpha", [np.inf, np.nan])
@pytest.mark.parametrize("Estimator", [SplineReLURegressor, SplineReLUClassifier])
def test_alpha_is_finite(Estimator, alpha):
    X, y = np.arange(4.0)[:, None], [0, 1, 1, 0]
    with pytest.raises(ValueError, match=r"alpha.* must be"):
        Estimator(alpha=alpha).fit(X, y)


def test_alpha_zero_is_for_the_squared_error():
    X, y = classes()
    with pytest.raises(ValueError, match="squared_error"):
        SplineReLUClassifier(alpha=0).fit(X, y)


def test_too_few_rounds_warn():
    X, y = curve()
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        model = SplineReLURegressor(1e-3, max_iter=1).fit(X, y)
    assert model.n_iter_ == 1
    assert model.dual_gap_ > model.tol


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_alpha_max(Estimator):
    X, y = case(Estimator)
    largest = Estimator().fit(X, y).alpha_max_
    assert Estimator(alpha=1.0001 * largest).fit(X, y).n_neurons_ == 0
    assert Estimator(alpha=0.99 * largest).fit(X, y).n_neurons_ > 0
    scaled = Estimator().fit(X, y).alpha_
    assert scaled == pytest.approx(0.1 * largest / np.sqrt(len(X)))


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_single_precision_and_pickle(Estimator):
    X, y = case(Estimator)
    model = Estimator().fit(X.astype(np.float32), y)
    arrays = [*model.coefs_, *model.intercepts_, model.skip_coef_, model.direction_]
    assert {a.dtype for a in arrays} == {np.dtype("float32")}
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
