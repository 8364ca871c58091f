"""The Poisson loss: its objective, its units, extreme counts, and the estimators that take it."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import mean_poisson_deviance

from sklearn_convexnn import ConvexReLURegressor, ConvexReLURegressorCV, alpha_max, convexnn_path
from sklearn_convexnn.inspection import optimality_report, prune
from tests.conftest import make_rows, make_signal


def counts(n=60, outputs=1, scale=3.0, seed=0):
    X = make_rows(n, 3, seed)
    rng = np.random.default_rng(seed)
    means = scale * np.exp(np.column_stack([make_signal(X), 0.5 * X[:, 2]]))
    Y = rng.poisson(means) * 1.0
    return X, (Y[:, 0] if outputs == 1 else Y)


def poisson(**parameters):
    return ConvexReLURegressor(loss="poisson", random_state=0, **parameters)


# -------------------------------------------------------------------------------------- the problem


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("parameters", [{}, {"refinement": None, "patterns": 20}])
def test_objective_is_half_the_mean_deviance_and_the_decay(outputs, intercept, parameters):
    X, y = counts(outputs=outputs)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    model = poisson(alpha=0.05, fit_intercept=intercept, **parameters)
    model.fit(X, y, sample_weight=weights)
    assert model.out_activation_ == "exp"
    Y, P = y.reshape(len(y), -1), model.predict(X).reshape(len(y), -1)
    deviance = sum(
        mean_poisson_deviance(one, p, sample_weight=weights)
        for one, p in zip(Y.T, P.T, strict=True)
    )
    decay = 0.5 * sum((part**2).sum() for part in (*model.coefs_, model.intercepts_[0]))
    assert model.objective_ == pytest.approx(0.5 * deviance + 0.05 * decay, rel=1e-9)


def test_the_constant_predicts_the_mean():
    X, y = counts()
    largest = alpha_max(X, y, loss="poisson")
    model = poisson(alpha=1.01 * largest).fit(X, y)
    assert model.n_neurons_ == 0
    np.testing.assert_allclose(model.predict(X), y.mean(), rtol=1e-12)
    assert poisson(alpha=0.9 * largest).fit(X, y).n_neurons_ > 0


@pytest.fixture(scope="module")
def tight():
    X, y = counts()
    return X, y, poisson(alpha=0.05, gap_tol=1e-6).fit(X, y)


@pytest.mark.parametrize("factor", [1e-8, pytest.param(1e6, marks=pytest.mark.slow)])
def test_units_of_the_counts(tight, factor):
    """``y -> a y`` with ``alpha -> a alpha``: predictions are multiplied, objectives too."""
    X, y, model = tight
    other = poisson(alpha=0.05 * factor, gap_tol=1e-6).fit(X, factor * y)
    assert other.objective_ == pytest.approx(factor * model.objective_, rel=1e-6)
    np.testing.assert_allclose(other.predict(X), factor * model.predict(X), rtol=2e-2)


def test_weights_are_repetitions_and_order_is_of_no_consequence():
    X, y = counts()
    repeats = np.random.default_rng(0).integers(0, 4, len(y))
    order = np.random.default_rng(1).permutation(repeats.sum())
    weighted = poisson(alpha=0.05).fit(X, y, sample_weight=repeats)
    repeated = poisson(alpha=0.05).fit(
        np.repeat(X, repeats, 0)[order], np.repeat(y, repeats)[order]
    )
    np.testing.assert_array_equal(weighted.predict(X), repeated.predict(X))


# ----------------------------------------------------------------------------------- extreme values


def test_counts_of_very_different_sizes():
    """Zeros beside a million: no overflow (warnings are errors), and a gap that is reached."""
    X = make_rows(80, 2)
    y = np.floor(np.exp(7.0 + 3.5 * X[:, 0]))
    y[np.argmax(X[:, 0])] = 1e6
    y[:5] = 0.0
    model = poisson(alpha=1e-3 * alpha_max(X, y, loss="poisson"), gap_tol=1e-3).fit(X, y)
    assert model.dual_gap_ <= 1e-3
    assert np.isfinite(model.predict(X)).all()
    constant = mean_poisson_deviance(y, np.full(80, y.mean()))
    assert mean_poisson_deviance(y, model.predict(X)) < 0.2 * constant


@pytest.mark.parametrize("intercept", [True, False])
def test_nearly_all_targets_are_zero(intercept):
    X, _ = counts()
    y = np.zeros(60)
    y[0] = 1.0
    model = poisson(fit_intercept=intercept).fit(X, y)
    assert np.isfinite(model.objective_)
    assert np.all(model.predict(X) >= 0)


def test_float32():
    X, y = counts()
    double = poisson(alpha=0.05).fit(X, y)
    single = poisson(alpha=0.05).fit(X.astype(np.float32), y.astype(np.float32))
    assert single.coefs_[0].dtype == single.predict(X.astype(np.float32)).dtype == np.float32
    assert single.objective_ == pytest.approx(double.objective_, rel=2e-2)


# ----------------------------------------------------------------------------- path, CV, inspection


def test_path():
    X, y = counts()
    path = convexnn_path(X, y, loss="poisson", alphas=5, eps=0.05, random_state=0)
    assert path.n_neurons[0] == 0 < path.n_neurons[-1]
    assert np.all(np.diff(path.objectives) < 0)
    model = poisson(alpha=path.alphas[-1], gap_tol=1e-3).fit(X, y)
    assert model.objective_ <= path.objectives[-1] * (1 + 1e-9)
    assert path.objectives[-1] <= model.objective_ * 1.1


@pytest.mark.parametrize("outputs", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_cross_validation(outputs):
    X, y = counts(150, outputs)
    model = ConvexReLURegressorCV(loss="poisson", alphas=4, eps=0.03, cv=3, random_state=0)
    model.fit(X, y)
    assert model.best_score_ < 0  # minus half the deviance
    Y, P = y.reshape(150, -1), model.predict(X).reshape(150, -1)
    linear = PoissonRegressor(alpha=1e-3).fit(X, Y[:, 0])
    ours, theirs = (mean_poisson_deviance(Y[:, 0], p) for p in (P[:, 0], linear.predict(X)))
    assert ours < 0.7 * theirs
    scored = ConvexReLURegressorCV(
        loss="poisson", alphas=2, cv=2, scoring="neg_mean_absolute_error", random_state=0
    )
    assert scored.fit(X, y).best_score_ < 0


def test_default_score_is_minus_half_the_deviance_of_the_held_out_rows():
    X, y = counts(60)
    train, test = np.arange(40), np.arange(40, 60)
    settings = {"alphas": [0.1], "cv": [(train, test)], "random_state": 0}
    model = ConvexReLURegressorCV(loss="poisson", **settings).fit(X, y)
    fold = poisson(alpha=0.1).fit(X[train], y[train])
    expected = -0.5 * mean_poisson_deviance(y[test], fold.predict(X[test]))
    assert model.best_score_ == pytest.approx(expected, rel=0.05)


def test_inspection_sees_the_same_objective():
    X, y = counts(40)
    model = poisson(alpha=0.05, gap_tol=1e-4).fit(X, y)
    report = optimality_report(model, X, y, method="estimated")
    assert report.objective == pytest.approx(model.objective_, rel=1e-9)
    assert report.relative_gap < 1e-3
    assert prune(model, X, y, tolerance=0.05).objective_ <= 1.05 * model.objective_ * (1 + 1e-9)
    same = prune(model, X)
    np.testing.assert_allclose(same.predict(X), model.predict(X), rtol=1e-5)


def test_pickle_clone_and_another_loss():
    X, y = counts()
    model = poisson(alpha=0.05).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert clone(model).loss == "poisson"
    other = clone(model).set_params(loss="squared_error")
    # What was fitted decides, not what the parameters have been set to since.
    model.set_params(loss="squared_error")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert other.fit(X, y).out_activation_ == "identity"


@pytest.mark.parametrize("Estimator", [ConvexReLURegressor, ConvexReLURegressorCV])
def test_targets_that_are_not_legal(Estimator):
    X, y = counts(outputs=2)
    model = Estimator(loss="poisson")
    assert model.__sklearn_tags__().target_tags.positive_only
    assert not Estimator().__sklearn_tags__().target_tags.positive_only
    with pytest.raises(ValueError, match="some are negative"):
        model.fit(X, y - 10.0)
    y[:, 1] = 0.0
    with pytest.raises(ValueError, match="are zero"):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")
