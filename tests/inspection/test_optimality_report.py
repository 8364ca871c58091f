"""Reports of optimality: what they call proven is true, on problems whose optimum is known."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from sklearn_convexnn import (
    ConvexReLUClassifier,
    ConvexReLURegressor,
    ConvexReLURegressorCV,
)
from sklearn_convexnn.core.problem.losses import losses_for
from sklearn_convexnn.inspection import optimality_report
from tests.problems import EPSILON, ZOO, Known, whitened_rows

# Problems of one output whose targets the estimators take as they are.
SCALAR = [k for k in ZOO if k.Y.shape[1] == 1 and (k.loss == "squared_error" or k.alpha < 0.2)]


def fitted(problem: Known, **settings):
    """An estimator of a known problem; by default stopped early, so that there is a gap."""
    regression = problem.loss in losses_for("regression")
    kind = ConvexReLURegressor if regression else ConvexReLUClassifier
    settings = {"tol": 0.1, "max_iter": 2, "loss": problem.loss, **settings}
    if problem.loss == "huber":
        settings["epsilon"] = EPSILON
    model = kind(alpha=problem.alpha, fit_intercept=problem.intercept, random_state=0, **settings)
    y = problem.Y[:, 0] if problem.Y.shape[1] == 1 else problem.Y
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(problem.X, y, sample_weight=problem.weights)
    return model, y


@pytest.mark.parametrize("problem", SCALAR, ids=str)
def test_lower_bounds_never_exceed_the_optimum(problem: Known):
    """Exact and relaxed bounds, of an unfinished fit; the exact gap is never the larger one."""
    model, y = fitted(problem)
    arguments = (model, problem.X, y)
    optimum = problem.optimum()
    rounding = 2e-8 * max(1.0, abs(optimum))  # of the tables and the reference solver
    exact = optimality_report(*arguments, method="exact", sample_weight=problem.weights)
    relaxed = optimality_report(
        *arguments, method="proven", sample_weight=problem.weights, max_nodes=3000
    )
    for report in (exact, relaxed):
        assert report.lower_bound <= optimum + rounding
        assert report.objective >= optimum - rounding
        assert report.price_found <= report.price * (1 + 1e-9)
        np.testing.assert_allclose(report.objective, model.objective_, rtol=1e-9, atol=1e-12)
    assert exact.kind == "exact"
    assert relaxed.kind == "proven"
    assert relaxed.gap >= exact.gap - rounding


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_random_networks_in_the_plane(loss):
    """Random weights, far from optimal: dual <= optimum <= primal against a tight fit."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X, alpha = rng.standard_normal((8, 2)), 10.0 ** rng.uniform(-3, -1)
        if loss == "squared_error":
            model, y = ConvexReLURegressor(), rng.standard_normal(8)
        else:
            model, y = ConvexReLUClassifier(), np.arange(8) % 2
        settings = {"alpha": alpha, "fit_intercept": False, "random_state": 0}
        model.set_params(**settings, gap_tol=1e-3, max_iter=100).fit(X, y)
        best, rest = model.objective_, model.dual_gap_abs_
        assert model.certificate_ == "exact"
        for noise in (0.001, 0.01, 0.1, 1.0):
            for part in model.coefs_:
                part += noise * rng.standard_normal(part.shape)
            for method in ("exact", "proven"):
                report = optimality_report(model, X, y, method=method, max_nodes=300)
                assert report.lower_bound <= best * (1 + 1e-9)
                assert report.objective >= (best - rest) * (1 - 1e-9)


def test_spike_free_rows_and_the_program_of_two_neurons():
    """No enumeration of 2^40 patterns; the optimum is that of two neurons active on all rows."""
    import cvxpy as cp

    rng = np.random.default_rng(0)
    X, y = whitened_rows(rng, 40, 50), rng.standard_normal(40)
    alpha = 0.01
    model = ConvexReLURegressor(
        alpha=alpha, fit_intercept=False, gap_tol=1e-6, max_iter=100, random_state=0
    ).fit(X, y)
    report = optimality_report(model, X, y)
    assert report.kind == "exact"
    assert "spike-free" in report.reason
    assert report.relative_gap < 1e-5
    u, v = cp.Variable(50), cp.Variable(50)
    objective = cp.sum_squares(X @ (u - v) - y) / 80 + alpha * (cp.norm(u) + cp.norm(v))
    value = cp.Problem(cp.Minimize(objective), [X @ u >= 0, X @ v >= 0]).solve(solver="CLARABEL")
    np.testing.assert_allclose(report.objective, value, rtol=1e-5)
    assert report.lower_bound <= value * (1 + 1e-7)


def test_several_outputs_exactly_and_relaxed():
    """Enumeration is exact for three classes; the relaxation is proven, but looser."""
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X[::5, 2:])
    y = y[::5]
    model = ConvexReLUClassifier(alpha=0.02, gap_tol=1e-4, random_state=0).fit(X, y)
    exact = optimality_report(model, X, y, method="exact")
    relaxed = optimality_report(model, X, y, method="proven", max_nodes=20_000)
    searched = optimality_report(model, X, y, method="estimated")
    assert (exact.kind, relaxed.kind, searched.kind) == ("exact", "proven", "estimated")
    assert searched.price <= exact.price <= relaxed.price <= np.sqrt(3) * exact.price * 1.01
    assert exact.relative_gap < 1e-3
    assert relaxed.lower_bound <= exact.lower_bound
    assert "one by one" in relaxed.reason or "spectral" in relaxed.reason


def test_class_weights_and_sample_weights_are_those_of_the_fit():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((40, 2))
    y = (X[:, 0] + 0.3 * rng.standard_normal(40) > 0.5).astype(int)
    weights = rng.integers(0, 3, 40)
    model = ConvexReLUClassifier(
        alpha=0.02, class_weight="balanced", gap_tol=1e-4, max_iter=100, random_state=0
    ).fit(X, y, sample_weight=weights)
    report = optimality_report(model, X, y, sample_weight=weights)
    np.testing.assert_allclose(report.objective, model.objective_, rtol=1e-9)
    assert report.relative_gap < 5e-3
    repeated = optimality_report(model, np.repeat(X, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(repeated.gap, report.gap, rtol=1e-3, atol=1e-9)


def test_estimators_that_choose_alpha_and_single_precision():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 2)).astype(np.float32)
    y = np.abs(X[:, 0])
    model = ConvexReLURegressorCV(cv=3, alphas=3, random_state=0).fit(X, y)
    report = optimality_report(model, X, y)
    assert report.alpha == model.alpha_
    assert report.kind == "exact"
    np.testing.assert_allclose(report.objective, model.objective_, rtol=1e-4)


def test_many_rows_of_rank_four_by_branch_and_bound():
    """Too many patterns to enumerate; proven to the tolerance all the same."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 3))
    y = np.sin(2 * X[:, 0]) + X[:, 1] * (X[:, 2] > 0)
    model = ConvexReLURegressor(alpha=0.02, gap_tol=1e-3, random_state=0).fit(X, y)
    report = optimality_report(model, X, y, tol=5e-3)
    assert report.kind == "proven"
    assert report.relative_gap <= 5e-3 * (1 + 1e-6)
    assert "branch and bound" in report.reason
    assert report.estimated_relative_gap <= report.relative_gap
    with pytest.raises(ValueError, match='use method="proven"'):
        optimality_report(model, X, y, method="exact")


def test_table():
    X = np.random.default_rng(0).standard_normal((20, 1))
    model = ConvexReLURegressor(alpha=0.01, random_state=0).fit(X, X[:, 0] ** 2)
    text = str(optimality_report(model, X, X[:, 0] ** 2))
    assert "relative gap" in text
    assert "a bound: no network of any width" in text
    text = str(optimality_report(model, X, X[:, 0] ** 2, method="estimated"))
    assert "an estimate and not a bound" in text


def test_constant_network():
    X = np.random.default_rng(0).standard_normal((20, 2))
    model = ConvexReLURegressor(alpha=100.0, random_state=0).fit(X, X[:, 0])
    report = optimality_report(model, X, X[:, 0])
    assert report.relative_gap <= 1e-12


@pytest.mark.parametrize("method", ["exact", "proven"])
def test_nothing_to_fit(method):
    X = np.random.default_rng(0).standard_normal((10, 2))
    model = ConvexReLURegressor(alpha=1.0, random_state=0).fit(X, np.zeros(10))
    report = optimality_report(model, X, np.zeros(10), method=method)
    assert report.objective == report.gap == report.relative_gap == 0


def test_bad_input():
    X = np.random.default_rng(0).standard_normal((20, 2))
    model = ConvexReLURegressor(alpha=0.1, random_state=0).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="method must be one of"):
        optimality_report(model, X, X[:, 0], method="sampled")
    with pytest.raises(ValueError, match="fitted to 2"):
        optimality_report(model, X[:, :1], X[:, 0])
    with pytest.raises(ValueError, match="X has 20 rows and y has 3"):
        optimality_report(model, X, X[:3, 0])
    other = MLPRegressor(hidden_layer_sizes=2, max_iter=2000, solver="lbfgs").fit(X, X[:, 0])
    with pytest.raises(ValueError, match="pass a two-layer ReLU estimator of this package"):
        optimality_report(other, X, X[:, 0])
