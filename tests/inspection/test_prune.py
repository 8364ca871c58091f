"""Pruned estimators: fewer neurons, attributes that tell the truth, the given one left alone."""

import pickle
from copy import deepcopy

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from sklearn_convexnn import (
    ConvexReLUClassifier,
    ConvexReLUClassifierCV,
    ConvexReLURegressor,
    ConvexReLURegressorCV,
    GatedReLURegressor,
    SplineReLURegressor,
)
from sklearn_convexnn.inspection import optimality_report, prune
from tests.conftest import make_case, make_rows, make_signal


def fitted(case, **settings):
    settings = {"alpha": 2e-3, "random_state": 0} | settings
    return case.Estimator(**settings).fit(case.X, case.y)


def with_pieces(model, n_pieces=3):
    """A wider estimator: every neuron split into parallel ones of different sizes."""
    wide = deepcopy(model)
    (W, C), (bias, b0) = model.coefs_, model.intercepts_
    shares = np.random.default_rng(0).dirichlet(np.ones(n_pieces), W.shape[1]).T.ravel()
    roots = np.sqrt(shares).astype(W.dtype)
    wide.coefs_ = [np.tile(W, n_pieces) * roots, np.tile(C, (n_pieces, 1)) * roots[:, None]]
    wide.intercepts_ = [np.tile(bias, n_pieces) * roots, b0]
    wide.n_neurons_ *= n_pieces
    return wide


def weights_of(model):
    return [*model.coefs_, *model.intercepts_]


def state_of(model):
    return pickle.dumps(vars(model))


def assert_honest(model, X, y, **settings):
    """Shapes fit each other; objective and penalty belong to the weights; neurons are balanced."""
    (W, C), (bias, b0) = model.coefs_, model.intercepts_
    assert W.shape == (model.n_features_in_, model.n_neurons_)
    assert C.shape == (model.n_neurons_, model.n_outputs_)
    assert bias.shape == (model.n_neurons_,)
    assert b0.shape == (model.n_outputs_,)
    lengths = np.linalg.norm(np.vstack([W, bias]), axis=0)
    np.testing.assert_allclose(lengths, np.linalg.norm(C, axis=1), rtol=1e-5)
    report = optimality_report(model, X, y, method="estimated", **settings)
    np.testing.assert_allclose(model.objective_, report.objective, rtol=1e-8)
    np.testing.assert_allclose(model.dual_gap_, model.dual_gap_abs_ / model.objective_)


# ------------------------------------------------------------------------------------------- exact


@pytest.mark.parametrize("with_targets", [True, False])
def test_exact(case, with_targets):
    model = fitted(case)
    wide = with_pieces(model)
    before = state_of(wide)
    pruned = prune(wide, case.X, case.y if with_targets else None)
    assert state_of(wide) == before
    assert type(pruned) is type(model)
    assert pruned.get_params() == model.get_params()
    assert pruned.n_neurons_ <= model.n_neurons_
    np.testing.assert_allclose(pruned._outputs(case.X), wide._outputs(case.X), atol=1e-10)
    assert pruned.objective_ <= model.objective_ * (1 + 1e-12)
    assert pruned.dual_gap_abs_ <= model.dual_gap_abs_ + 1e-12 * model.objective_
    assert_honest(pruned, case.X, case.y)
    # What the fit has proven or estimated about the data stays.
    bound, same = (m.objective_ - m.dual_gap_abs_ for m in (model, pruned))
    np.testing.assert_allclose(bound, same)
    assert pruned.certificate_ == model.certificate_
    again = prune(pruned, case.X)
    for part, other in zip(weights_of(pruned), weights_of(again), strict=True):
        np.testing.assert_array_equal(part, other)


@pytest.mark.parametrize("with_targets", [True, False])
def test_the_penalty_that_is_saved_leaves_objective_and_gap(with_targets):
    """Whitened rows: the optimum is one neuron. Its parts in one cone cost a known amount more."""
    X, y, alpha = np.eye(3), np.array([3.0, 2.0, 1.0]), 0.01
    length, beta = np.linalg.norm(y), 3 * alpha
    v = (1 - beta / length) * y
    optimum = (0.5 * beta**2 + beta * (length - beta)) / 3
    detour = alpha * (v.sum() - np.linalg.norm(v))
    model = ConvexReLURegressor(alpha=alpha, fit_intercept=False, random_state=0).fit(X, y)
    model.coefs_, model.intercepts_[0] = [np.diag(np.sqrt(v)), np.sqrt(v)[:, None]], np.zeros(3)
    model.n_neurons_, model.objective_, model.dual_gap_abs_ = 3, optimum + detour, detour + 1e-6
    pruned = prune(model, X, y if with_targets else None)
    np.testing.assert_allclose(pruned.coefs_[0] * pruned.coefs_[1], v[:, None])
    np.testing.assert_allclose(pruned.objective_, optimum)
    np.testing.assert_allclose(pruned.dual_gap_abs_, 1e-6)
    np.testing.assert_allclose(pruned.dual_gap_, 1e-6 / optimum)


def test_no_neurons():
    X = make_rows(10, 2)
    model = ConvexReLURegressor(random_state=0).fit(X, np.full(10, 7.0))
    assert model.n_neurons_ == 0
    for settings in ({}, {"tolerance": 0.1}):
        pruned = prune(model, X, np.full(10, 7.0), **settings)
        np.testing.assert_array_equal(pruned.predict(X), model.predict(X))


# ------------------------------------------------------------------------------------- approximate


@pytest.mark.parametrize("tolerance", [1e-3, 0.05])
def test_approximate(case, tolerance):
    model = fitted(case)
    before = state_of(model)
    pruned = prune(model, case.X, case.y, tolerance=tolerance)
    assert state_of(model) == before
    assert pruned.n_neurons_ < model.n_neurons_
    assert pruned.objective_ <= model.objective_ * (1 + tolerance) * (1 + 1e-12)
    assert_honest(pruned, case.X, case.y)
    rise = pruned.objective_ - model.objective_
    np.testing.assert_allclose(pruned.dual_gap_abs_, max(model.dual_gap_abs_ + rise, 0))
    assert pruned.predict(case.X).shape == case.y.shape


def test_weights_and_class_weights():
    case = make_case("binary", n=60)
    weight = np.random.default_rng(0).uniform(0.2, 2, 60)
    weight[:5] = 0
    model = ConvexReLUClassifier(alpha=2e-4, class_weight="balanced", random_state=0)
    model.fit(case.X, case.y, weight)
    pruned = prune(model, case.X, case.y, weight, tolerance=0.1)
    assert pruned.n_neurons_ < model.n_neurons_
    assert pruned.objective_ <= 1.1 * model.objective_
    assert_honest(pruned, case.X, case.y, sample_weight=weight)
    with pytest.raises(ValueError, match="Pass the data of the fit"):
        prune(model, case.X, case.y, tolerance=0.02)


def test_rows_of_weight_zero_are_no_rows():
    """Their outputs need not be kept."""
    X = make_rows(40, 2)
    model = with_pieces(ConvexReLURegressor(alpha=1e-3, random_state=0).fit(X, make_signal(X)))
    few = np.arange(40) < 3
    pruned = prune(model, X, sample_weight=few.astype(float))
    assert pruned.n_neurons_ <= 2
    np.testing.assert_allclose(pruned.predict(X[few]), model.predict(X[few]), atol=1e-9)


@pytest.mark.parametrize("Estimator", [ConvexReLURegressorCV, ConvexReLUClassifierCV])
def test_cross_validated_estimators(Estimator):
    kind = "regression" if Estimator is ConvexReLURegressorCV else "binary"
    case = make_case(kind)
    model = Estimator(alphas=[2e-3], cv=2, random_state=0).fit(case.X, case.y)
    pruned = prune(model, case.X, case.y, tolerance=0.05)
    assert pruned.n_neurons_ < model.n_neurons_
    assert pruned.alpha_ == model.alpha_
    np.testing.assert_array_equal(pruned.score_path_, model.score_path_)
    assert_honest(pruned, case.X, case.y)
    assert prune(with_pieces(model), case.X).n_neurons_ <= model.n_neurons_


# ------------------------------------------------------------------------ as users have their data


def test_single_precision(case):
    X = case.X.astype(np.float32)
    model = case.Estimator(alpha=2e-3, random_state=0).fit(X, case.y)
    exact = prune(with_pieces(model), X, case.y)
    approximate = prune(model, X, case.y, tolerance=0.05)
    assert exact.n_neurons_ <= model.n_neurons_
    assert approximate.n_neurons_ < model.n_neurons_
    for pruned in (exact, approximate):
        assert {part.dtype for part in weights_of(pruned)} == {np.dtype(np.float32)}
        assert_honest(pruned, X, case.y)
    np.testing.assert_allclose(exact._outputs(X), model._outputs(X), atol=1e-4)


def test_frames_and_sparse_rows(simple_case):
    case = simple_case
    frame = pytest.importorskip("pandas").DataFrame(case.X, columns=["a", "b", "c"])
    model = case.Estimator(alpha=2e-3, random_state=0).fit(frame, case.y)
    pruned = prune(model, frame, case.y, tolerance=0.01)
    assert pruned.feature_names_in_.tolist() == ["a", "b", "c"]
    of_sparse = prune(model, sparse.csr_array(case.X), case.y, tolerance=0.01)
    assert of_sparse.n_neurons_ == pruned.n_neurons_
    np.testing.assert_allclose(of_sparse.objective_, pruned.objective_, rtol=1e-6)
    assert prune(with_pieces(model), sparse.csr_matrix(case.X)).n_neurons_ <= model.n_neurons_


def test_no_intercept(regression):
    model = fitted(regression, fit_intercept=False)
    pruned = prune(model, regression.X, regression.y, tolerance=0.05)
    assert pruned.n_neurons_ < model.n_neurons_
    assert not pruned.intercepts_[0].any()
    assert not pruned.intercepts_[1].any()
    assert_honest(pruned, regression.X, regression.y)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_targets_in_any_unit(regression, unit):
    X, y = regression.X, unit * (1000 + regression.y)
    model = ConvexReLURegressor(random_state=0).fit(X, y)
    pruned = prune(model, X, y, tolerance=0.02)
    assert 0 < pruned.n_neurons_ < model.n_neurons_
    assert pruned.objective_ <= 1.02 * model.objective_
    assert_honest(pruned, X, y)


@pytest.mark.parametrize("unit", [1e-150, 1e150])
def test_rows_in_extreme_units(simple_case, unit):
    case = simple_case
    model = case.Estimator(random_state=0).fit(unit * case.X, case.y)
    for tolerance in (0.0, 0.05):
        pruned = prune(model, unit * case.X, case.y, tolerance=tolerance)
        assert pruned.n_neurons_ <= model.n_neurons_
        assert pruned.objective_ <= (1 + tolerance) * model.objective_ * (1 + 1e-12)


@pytest.mark.filterwarnings("ignore:.*badly conditioned:sklearn.exceptions.ConvergenceWarning")
def test_rows_far_from_zero(simple_case):
    X, y = simple_case.X + 1e4, simple_case.y
    model = simple_case.Estimator(alpha=1e-3, random_state=0).fit(X, y)
    pruned = prune(with_pieces(model), X, y)
    assert pruned.n_neurons_ <= model.n_neurons_
    size = np.abs(model._outputs(X)).max()
    np.testing.assert_allclose(pruned._outputs(X), model._outputs(X), atol=1e-7 * size)


def test_the_result_is_an_estimator(binary):
    pruned = prune(fitted(binary), binary.X, binary.y, tolerance=0.05)
    copy = pickle.loads(pickle.dumps(pruned))
    np.testing.assert_array_equal(copy.predict_proba(binary.X), pruned.predict_proba(binary.X))
    assert not hasattr(clone(pruned), "coefs_")
    going_on = pruned.set_params(warm_start=True).fit(binary.X, binary.y)
    assert going_on.objective_ <= copy.objective_ * (1 + 1e-9)


# --------------------------------------------------------------------------------------- wrong use


@pytest.mark.parametrize("tolerance", [-0.1, np.nan, np.inf, "1"])
def test_bad_tolerance(regression, tolerance):
    with pytest.raises(ValueError, match="tolerance must be a number from 0 on"):
        prune(fitted(regression), regression.X, regression.y, tolerance=tolerance)


def test_a_rise_needs_targets(regression):
    with pytest.raises(ValueError, match="pass y, or tolerance=0"):
        prune(fitted(regression), regression.X, tolerance=0.01)


def test_other_data(regression, binary):
    with pytest.raises(ValueError, match="Pass the data of the fit"):
        prune(fitted(regression), regression.X, regression.y + 1, tolerance=0.01)
    with pytest.raises(ValueError, match="Pass the data of the fit"):
        prune(fitted(regression), regression.X[:20], regression.y[:20])
    with pytest.raises(ValueError, match="2 features; the network was fitted to 3"):
        prune(fitted(regression), regression.X[:, :2])
    with pytest.raises(ValueError, match="40 rows and y has 39"):
        prune(fitted(regression), regression.X, regression.y[1:])
    with pytest.raises(ValueError, match="other classes"):
        prune(fitted(binary), binary.X, np.where(binary.y == "yes", 1, 0))


def test_other_estimators(regression):
    X, y = regression.X, regression.y
    pipeline = make_pipeline(StandardScaler(), ConvexReLURegressor(alpha=0.01)).fit(X, y)
    with pytest.raises(ValueError, match=r"pipeline\[-1\]"):
        prune(pipeline, X)
    with pytest.raises(ValueError, match="has no coefs_"):
        prune(LinearRegression().fit(X, y), X)
    perceptron = MLPRegressor(hidden_layer_sizes=3, solver="lbfgs", tol=1e9).fit(X, y)
    spline = SplineReLURegressor().fit(X[:, :1], y)
    for other, rows in ((perceptron, X), (spline, X[:, :1])):
        with pytest.raises(ValueError, match="cannot be pruned"):
            prune(other, rows)


@pytest.mark.parametrize("settings", [{}, {"refinement": None, "patterns": 60}])
def test_exact_pruning_of_a_fit_leaves_independent_activations(settings):
    X, y = load_diabetes(return_X_y=True)
    X, y = scale(X[:80, :4]), scale(y[:80])
    given = ConvexReLURegressor(alpha=1e-3, random_state=0, **settings).fit(X, y)
    minimal = prune(given, X)
    assert minimal.n_neurons_ <= given.n_neurons_
    np.testing.assert_allclose(minimal.predict(X), given.predict(X), atol=1e-7)
    assert minimal.objective_ <= given.objective_ * (1 + 1e-10)
    H = minimal.hidden_activations(X)
    H = np.column_stack([np.ones(len(H)), H])
    singular = np.linalg.svd(H / np.linalg.norm(H, axis=0), compute_uv=False)
    assert singular[-1] > 1e-10


def test_gated_networks_are_not_pruned():
    X, y = load_diabetes(return_X_y=True)
    model = GatedReLURegressor(patterns=20, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"gated network.*to_relu\(X\)"):
        prune(model, X)
