"""The Huber loss: its scale, its invariances, and fits among gross outliers."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sklearn_convexnn import ConvexReLURegressor, ConvexReLURegressorCV, alpha_max, convexnn_path
from sklearn_convexnn.core.problem.losses.huber import robust_scale, weighted_median
from sklearn_convexnn.core.problem.units import make_problem
from sklearn_convexnn.inspection import optimality_report, prune
from tests.conftest import make_case
from tests.problems import loss_values
from tests.problems import robust_scale as independent_scale


def spoiled(n=40, share=0.1, size=30.0, kind="regression"):
    """A case of which some targets are far off, and the targets as they were."""
    case = make_case(kind, n=n)
    rng = np.random.default_rng(1)
    y = case.y.copy()
    off = rng.random(n) < share
    y[off] += size * rng.standard_normal(y[off].shape)
    return case.X, y, case.y


def huber(**parameters):
    return ConvexReLURegressor(loss="huber", random_state=0, **parameters)


# ---------------------------------------------------------------------------------------- the scale


@pytest.mark.parametrize("n", [1, 2, 7, 30])
@pytest.mark.parametrize("intercept", [True, False])
def test_scale_against_its_definition(n, intercept):
    """Medians as minimisers of sums of distances, found by trying every value."""
    rng = np.random.default_rng(n)
    Y, weights = rng.standard_cauchy((n, 2)), rng.uniform(0.1, 1.0, n)
    centre = weighted_median(Y, weights) if intercept else np.zeros(2)
    expected = independent_scale(Y, weights, intercept)
    if n > 2 or not intercept:  # else more than half of the weight is on the median
        np.testing.assert_allclose(robust_scale(Y, centre, weights), expected, rtol=1e-12)


def test_median_of_weights_is_that_of_repetitions():
    rng = np.random.default_rng(0)
    Y, counts = rng.integers(0, 9, (21, 3)) * 1.0, rng.integers(1, 5, 21)
    expected = np.median(np.repeat(Y, counts, axis=0), axis=0)
    np.testing.assert_array_equal(weighted_median(Y, counts * 1.0), expected)
    np.testing.assert_array_equal(weighted_median(-Y, counts * 1.0), -expected)
    np.testing.assert_array_equal(weighted_median(Y, np.full(21, 1 / 21)), np.median(Y, axis=0))


def test_scale_where_most_targets_are_equal():
    """Then the mean deviation; where all are equal there is nothing to fit."""
    X, _, _ = spoiled()
    y = np.zeros(40)
    y[:8] = np.arange(1, 9.0)
    model = huber(alpha=0.01).fit(X, y)
    assert model.scale_ == pytest.approx(np.sqrt(np.pi / 2) * y.mean())
    model = huber(alpha=0.01).fit(X, np.full(40, 3.0))
    np.testing.assert_allclose(model.predict(X), 3.0)
    assert model.objective_ == 0.0


def test_scale_is_that_of_normal_targets():
    y = 3.0 * np.random.default_rng(0).standard_normal(20_000) + 100.0
    problem = make_problem(y[:, None], y[:, None], np.ones(len(y)), loss="huber", intercept=True)
    assert problem.spread == pytest.approx(3.0, rel=0.02)


# -------------------------------------------------------------------------------------- the problem


@pytest.mark.parametrize("kind", ["regression", "multioutput"])
@pytest.mark.parametrize("parameters", [{}, {"refinement": None, "patterns": 20}])
def test_objective_is_the_stated_formula(kind, parameters, outputs_of):
    X, y, _ = spoiled(kind=kind)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    model = huber(alpha=0.01, epsilon=1.1, **parameters).fit(X, y, sample_weight=weights)
    Y = y.reshape(len(y), -1)
    shares = weights / weights.sum()
    np.testing.assert_allclose(model.scale_, independent_scale(Y, shares, True), rtol=1e-12)
    losses = loss_values("huber", Y, outputs_of(model, X), 1.1 * model.scale_)
    decay = 0.5 * sum((part**2).sum() for part in (*model.coefs_, model.intercepts_[0]))
    assert model.objective_ == pytest.approx(shares @ losses + 0.01 * decay, rel=1e-9)


def test_a_large_epsilon_is_the_squared_error():
    """The same alpha, the same objective, the same network up to the accuracy of the solve."""
    case = make_case("regression")
    settings = {"alpha": 0.01, "gap_tol": 1e-6, "random_state": 0}
    squared = ConvexReLURegressor(**settings).fit(case.X, case.y)
    model = ConvexReLURegressor(loss="huber", epsilon=1e6, **settings).fit(case.X, case.y)
    assert model.objective_ == pytest.approx(squared.objective_, rel=1e-6)
    assert model.alpha_max_ == pytest.approx(squared.alpha_max_, rel=1e-3)


@pytest.fixture(scope="module")
def tight():
    X, y, _ = spoiled()
    return X, y, huber(alpha=0.02, gap_tol=1e-6).fit(X, y)


@pytest.mark.parametrize(
    "factor, shift", [(1e-6, 0.0), pytest.param(1e5, -3e5, marks=pytest.mark.slow), (-2.0, 7.0)]
)
def test_units_of_the_targets(tight, factor, shift):
    """``y -> a y + b`` with ``alpha -> |a| alpha``: the network goes the same way."""
    X, y, model = tight
    other = huber(alpha=0.02 * abs(factor), gap_tol=1e-6).fit(X, factor * y + shift)
    assert other.objective_ == pytest.approx(factor**2 * model.objective_, rel=1e-6)
    predicted = (other.predict(X) - shift) / factor
    np.testing.assert_allclose(predicted, model.predict(X), atol=2e-2 * np.ptp(model.predict(X)))


def test_weights_are_repetitions_and_order_is_of_no_consequence():
    X, y, _ = spoiled()
    counts = np.random.default_rng(0).integers(0, 4, len(y))
    order = np.random.default_rng(1).permutation(counts.sum())
    weighted = huber(alpha=0.02).fit(X, y, sample_weight=counts)
    repeated = huber(alpha=0.02).fit(np.repeat(X, counts, 0)[order], np.repeat(y, counts)[order])
    np.testing.assert_array_equal(weighted.predict(X), repeated.predict(X))
    np.testing.assert_array_equal(weighted.scale_, repeated.scale_)


# ----------------------------------------------------------------------------------------- outliers


@pytest.mark.parametrize("size", [1e2, 1e6, 1e12])
def test_gross_outliers_change_little(size):
    """At the alpha at which a single row has no pull the fit ignores them, whatever their size."""
    X, y, clean = spoiled(n=200, share=0.05, size=1.0)
    off = y != clean
    y[off] = clean[off] + size * np.where(np.arange(off.sum()) % 2, 1.0, -1.0)
    alpha = 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        robust = huber(alpha=alpha).fit(X, y)
    reference = huber(alpha=alpha).fit(X[~off], clean[~off])
    assert robust.score(X, clean) > reference.score(X, clean) - 0.1
    squared = ConvexReLURegressor(alpha=alpha, random_state=0).fit(X, y)
    assert squared.score(X, clean) < 0
    assert np.isfinite(robust.objective_)
    assert robust.objective_ > 1e-3 * size  # outliers are counted in the objective


def test_float32():
    X, y, _ = spoiled()
    double = huber(alpha=0.02).fit(X, y)
    single = huber(alpha=0.02).fit(X.astype(np.float32), y.astype(np.float32))
    assert single.coefs_[0].dtype == np.float32
    assert single.predict(X.astype(np.float32)).dtype == np.float32
    assert single.objective_ == pytest.approx(double.objective_, rel=2e-2)


# ----------------------------------------------------------------------------- path, CV, inspection


def test_path_and_alpha_max():
    X, y, _ = spoiled()
    largest = alpha_max(X, y, loss="huber", epsilon=1.5)
    path = convexnn_path(X, y, loss="huber", epsilon=1.5, alphas=5, eps=0.05, random_state=0)
    assert path.alpha_max == pytest.approx(largest, rel=1e-6)
    assert path.n_neurons[0] == 0 < path.n_neurons[-1]
    assert np.all(np.diff(path.objectives) < 0)
    model = huber(alpha=path.alphas[-1], epsilon=1.5, gap_tol=1e-3).fit(X, y)
    assert model.objective_ <= path.objectives[-1] * (1 + 1e-9)
    assert path.objectives[-1] <= model.objective_ * 1.1


def test_cross_validation_is_not_misled_by_outliers():
    X, y, clean = spoiled(n=150, share=0.06, size=300.0)
    settings = {"alphas": 8, "eps": 1e-2, "random_state": 0}
    robust = ConvexReLURegressorCV(loss="huber", **settings).fit(X, y)
    squared = ConvexReLURegressorCV(**settings).fit(X, y)
    assert robust.score(X, clean) > 0.7 > 0.3 > squared.score(X, clean)
    assert robust.best_score_ < 0  # minus the loss
    assert robust.score_path_.mean(axis=1).max() >= robust.best_score_
    assert hasattr(robust, "scale_")
    assert not hasattr(squared, "scale_")


def test_inspection_sees_the_same_objective():
    X, y, _ = spoiled(n=30)
    model = huber(alpha=0.02, epsilon=1.2, gap_tol=1e-4).fit(X, y)
    report = optimality_report(model, X, y, method="estimated")
    assert report.objective == pytest.approx(model.objective_, rel=1e-9)
    assert report.lower_bound <= model.objective_ * (1 + 1e-9)
    assert report.relative_gap < 1e-3
    smaller = prune(model, X, y, tolerance=0.05)
    assert smaller.objective_ <= model.objective_ * 1.05 * (1 + 1e-9)


def test_pickle_clone_and_the_scale_of_another_loss():
    X, y, _ = spoiled()
    model = huber(alpha=0.02, epsilon=1.7).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert clone(model).epsilon == 1.7
    model.set_params(loss="squared_error").fit(X, y)
    assert not hasattr(model, "scale_")


def test_refused():
    X, y, _ = spoiled()
    for epsilon in (0, -1.0, "auto"):
        with pytest.raises(ValueError, match="'epsilon' parameter"):
            huber(epsilon=epsilon).fit(X, y)
        with pytest.raises(ValueError, match="'epsilon' parameter"):
            alpha_max(X, y, loss="huber", epsilon=epsilon)
    with pytest.raises(ValueError, match="overflow"):
        huber().fit(X, np.where(np.arange(40) == 3, 1e200, y))
