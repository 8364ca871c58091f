"""scikit-learn's contract, for every estimator: one list, so that no family lacks a check."""

import os
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

import sklearn_convexnn as package
from sklearn_convexnn import (
    CircularLinearRegressor,
    CircularReLUClassifier,
    CircularReLURegressor,
    ConvexCNNClassifier,
    ConvexCNNClassifierCV,
    ConvexCNNRegressor,
    ConvexCNNRegressorCV,
    ConvexReLUClassifier,
    ConvexReLUClassifierCV,
    ConvexReLURegressor,
    ConvexReLURegressorCV,
    ConvexThresholdClassifier,
    ConvexThresholdRegressor,
    DeepLinearClassifier,
    DeepLinearRegressor,
    DeepLinearRegressorCV,
    DeepReLUClassifier,
    DeepReLURegressor,
    GatedReLUClassifier,
    GatedReLURegressor,
    LinearCNNClassifier,
    LinearCNNRegressor,
    ParallelReLUClassifier,
    ParallelReLURegressor,
    QuantileSteps,
    SplineReLUClassifier,
    SplineReLURegressor,
    StepsCV,
    TailCompressor,
)

# ----------------------------------------------------------------------------------- the estimators

NARROW = {"alpha": "scale", "fit_intercept": False, "max_neurons": 3, "tol": 1e-3}
PROGRAM = {"refinement": None, "patterns": 4}
SMALL = {"alphas": 2, "eps": 0.1, "cv": 2}
# The checks train on several features.  Their largest demand is a good fit on the training rows.
SPLINE = {"n_layers": 3, "projection": "pca"}

# As scikit-learn checks its own: little work, but every way to a fit.  Defaults, which choose their
# alpha, follow below, where all is slow.
EVERY = [
    ConvexReLURegressor(0.1),
    ConvexReLUClassifier(0.1),
    # One check asks for 1000 rounds on weights a factor of 10^7 apart, where alpha="scale" is tiny.
    GatedReLUClassifier(alpha=0.01, patterns=20),
    GatedReLURegressor(patterns=20),
    # With these alphas the programs of noise stay small.
    ConvexReLUClassifier(alpha=0.02, **PROGRAM),
    ConvexReLURegressorCV(alphas=[0.3, 0.1], cv=2, tol=0.3),
    ConvexReLUClassifierCV(alphas=[0.3], cv=2, tol=0.1),
    ConvexThresholdRegressor("scale", tol=0.03),
    ConvexThresholdClassifier(0.01, directions="axis"),
    ConvexCNNRegressor(0.1, tol=0.3),
    ConvexCNNClassifier(0.1, pooling="average", padding="same", tol=0.3),
    # Held-out rows of the checks are not predicted by what may be anywhere: one alpha.
    ConvexCNNRegressorCV(alphas=[0.1], cv=2, stride=4, tol=0.3),
    ConvexCNNClassifierCV(alphas=[0.3], cv=2, pooling="average", tol=0.3),
    DeepLinearRegressor(n_layers=3, alpha=0.01),
    DeepLinearClassifier(loss="log_loss", alpha=0.01),
    DeepLinearRegressorCV(alphas=4),
    CircularLinearRegressor(),
    CircularReLURegressor(0.1, tol=0.3),
    CircularReLUClassifier(0.1, tol=0.3),
    LinearCNNRegressor(patch_size=1),
    LinearCNNClassifier(0.01, loss="log_loss", patch_size=2, padding="same"),
    SplineReLURegressor(alpha=0, skip_connection=True, **SPLINE),
    SplineReLUClassifier(alpha=0.03, loss="hinge", **SPLINE),
    DeepReLURegressor(batch_norm=True),
    DeepReLUClassifier(batch_norm=True),
    ParallelReLURegressor(0.1, hidden_units=2, tol=0.3),
    ParallelReLUClassifier(0.3, hidden_units=2, penalty="decay", tol=0.3),
    QuantileSteps(n_steps=4),
    TailCompressor(),
    StepsCV(
        ConvexReLURegressorCV(alphas=[0.3], cv=2, tol=0.3, random_state=0), weights=[0.5], n_steps=2
    ),
]
OTHER_SETTINGS = [
    ConvexReLURegressor(),
    ConvexReLURegressor(**NARROW),
    ConvexReLUClassifier(0.01),
    GatedReLURegressor(),
    GatedReLUClassifier(alpha=0.01),
    ConvexReLURegressorCV(**SMALL),
    ConvexReLUClassifierCV(**SMALL),
    StepsCV(ConvexReLUClassifierCV(random_state=0, **SMALL), weights=(0, 0.5), n_steps=3),
    StepsCV(ConvexReLURegressorCV(alphas=[0.3], cv=2, random_state=0), weights=(0, 0.5), n_steps=2),
    ConvexReLUClassifier(),
    ConvexReLUClassifier(**NARROW),
    ConvexReLURegressor("scale", loss="poisson"),
    ConvexReLURegressor(alpha=1.0, **PROGRAM),
    ConvexReLURegressor(loss="huber"),
    ConvexReLUClassifier(loss="squared_hinge"),
    ConvexReLUClassifier(alpha=0.05, loss="hinge"),
    ConvexReLURegressor(gap_tol=0.1),
    ConvexReLUClassifier(alpha=0.01, gap_tol=0.1),
    ConvexReLURegressorCV(loss="huber", **SMALL),
    ConvexReLUClassifier(alpha=0.05, loss="hinge", refinement=None, patterns=12),
    ConvexCNNRegressor(),
    ConvexCNNRegressor("scale", tol=0.1),
    ConvexCNNClassifier("scale", pooling="average", pool_grid=None, padding="same", tol=0.3),
    ConvexCNNRegressorCV(alphas=[0.01], cv=2, tol=0.1),
    ConvexCNNClassifierCV(alphas=[0.3], cv=2, tol=0.3),
    ConvexThresholdRegressor(directions="axis"),
    ConvexThresholdRegressor(),
    ConvexThresholdClassifier(),
    ConvexThresholdClassifier(directions="axis"),
    ConvexThresholdClassifier(alpha=0.01, loss="squared_hinge", representative="middle"),
    ConvexCNNClassifier(),
    ConvexCNNRegressor("scale", patch_size=[1, 2], dilation=[1, 1], padding="same"),
    ConvexCNNRegressor(0.01, gap_tol=0.1),
    ParallelReLURegressor(penalty="decay"),
    ParallelReLURegressor(0.01, hidden_units=2, tol=0.3),
    ParallelReLUClassifier(0.1, hidden_units=2, penalty="decay", tol=0.3),
    ParallelReLUClassifier(),
    ParallelReLUClassifier(0.05, loss="hinge"),
    ParallelReLURegressor("scale", loss="huber", fit_intercept=False),
    GatedReLURegressor(patterns=5, solver="clarabel"),
    DeepLinearRegressor(),
    DeepLinearRegressor(n_layers=3),
    DeepLinearRegressor(n_layers=3, penalty="layer_norm", fit_intercept=False, alpha=1e-3),
    DeepLinearClassifier(),
    DeepLinearClassifier(loss="log_loss"),
    DeepLinearClassifier(n_layers=4),
    CircularLinearRegressor(0.01, fit_intercept=False),
    CircularReLURegressor(),
    CircularReLURegressor("scale", loss="huber", fit_intercept=False),
    CircularReLUClassifier(),
    LinearCNNRegressor(0.01, patch_size=3, padding="same", fit_intercept=False),
    LinearCNNClassifier(),
    LinearCNNClassifier(loss="log_loss", pool_grid=1),
    SplineReLURegressor(alpha=1e-6, projection="pca"),
    SplineReLUClassifier(alpha=1e-4, projection="pca"),
]
FOLDS = (
    ConvexReLURegressorCV,
    ConvexReLUClassifierCV,
    ConvexCNNRegressorCV,
    ConvexCNNClassifierCV,
    StepsCV,
)
# Closed forms exist for special rows only, which the rows of most checks are not.
CLOSED_FORMS = [DeepReLURegressor(), DeepReLUClassifier(whiten=True)]
OTHER_CLOSED_FORMS = [DeepReLURegressor(whiten=True), DeepReLUClassifier()]


def pytest_generate_tests(metafunc):
    """Thousands of checks that are all slow, and take a second to name, only where asked for."""
    slow = {
        test_sklearn_check_of_other_settings: OTHER_SETTINGS,
        test_sklearn_check_of_other_closed_forms: OTHER_CLOSED_FORMS,
    }
    if metafunc.function in slow:
        estimators, asked = slow[metafunc.function], metafunc.config.option.markexpr != "not slow"
        checks = parametrize_with_checks(estimators if asked else estimators[:1])
        metafunc.parametrize(*checks.args, **checks.kwargs)


def test_no_public_estimator_is_missing():
    listed = {type(estimator) for estimator in EVERY}
    public = {getattr(package, name) for name in package.__all__}
    assert listed == {E for E in public if isinstance(E, type) and hasattr(E, "fit")}


# --------------------------------------------------------------------------------------- the checks

HARD = "ignore:.*badly conditioned:sklearn.exceptions.ConvergenceWarning"


@pytest.fixture
def no_convergence_warning(monkeypatch, request):
    """Fail even where scikit-learn's checks ignore all warnings: look at the calls."""
    caught, warn = [], warnings.warn
    estimator = request.node.callspec.params["estimator"]
    # Folds of a handful of rows are not always solved in the rounds of a path.
    folds = isinstance(estimator, FOLDS)

    def spy(message, category=None, *args, **kwargs):
        if isinstance(category, type) and issubclass(category, ConvergenceWarning):
            if folds:
                return None
            # Some of the checks have rows far from zero, or weights 10^7 apart.
            if "badly conditioned" not in str(message):
                caught.append(str(message))
        return warn(message, category, *args, **kwargs)

    monkeypatch.setattr(warnings, "warn", spy)
    yield
    assert not caught


@pytest.mark.usefixtures("no_convergence_warning")
@pytest.mark.filterwarnings(HARD)
@parametrize_with_checks(EVERY)
def test_sklearn_check(estimator, check):
    # Two outputs per row leave the class of targets for which a closed form exists.
    several = name_of(check) == "check_regressor_multioutput"
    if several and isinstance(estimator, DeepReLURegressor):
        assert_refused(estimator, check)
    else:
        check(estimator)


@pytest.mark.slow
@pytest.mark.usefixtures("no_convergence_warning")
@pytest.mark.filterwarnings(HARD)
def test_sklearn_check_of_other_settings(estimator, check):
    # This check does not heed the tag of positive targets.
    counts = getattr(estimator, "loss", None) == "poisson"
    if counts and name_of(check) == "check_regressor_multioutput":
        with pytest.raises(ValueError, match="needs targets y >= 0"):
            check(estimator)
    else:
        check(estimator)


@pytest.mark.parametrize("estimator", EVERY, ids=repr)
@pytest.mark.parametrize("check", ["check_param_validation", "check_inplace_ensure_writeable"])
def test_sklearn_check_that_is_not_in_the_suite(estimator, check):
    getattr(estimator_checks, check)(type(estimator).__name__, clone(estimator))


@pytest.mark.parametrize("estimator", EVERY, ids=repr)
def test_names_of_columns(estimator):
    pytest.importorskip("pandas")
    check = estimator_checks.check_dataframe_column_names_consistency
    check(type(estimator).__name__, clone(estimator))


def test_array_api_check_on_numpy():
    # The suite skips this check unless SCIPY_ARRAY_API is set before SciPy is imported.
    code = """
import sklearn_convexnn as package
from sklearn.utils.estimator_checks import check_array_api_input
for Estimator in (package.ConvexReLURegressor, package.ConvexReLUClassifier):
    check_array_api_input(Estimator.__name__, Estimator(0.1), array_namespace="numpy")
"""
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env=environment)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", EVERY, ids=repr)
def test_a_pickle_predicts_the_same(estimator):
    X = np.random.default_rng(0).standard_normal((20, 3))
    model = clone(estimator).fit(X, (X[:, 0] > 0).astype(int))
    copy = pickle.loads(pickle.dumps(model))
    assert hasattr(model, "predict") or hasattr(model, "transform")
    for method in ("predict", "transform"):
        if hasattr(model, method):
            np.testing.assert_array_equal(getattr(copy, method)(X), getattr(model, method)(X))


# ------------------------------------------------------------------------------------- closed forms

# The checks that end before a closed form is looked for, or have rows for one.
ANSWERED = {
    "check_all_zero_sample_weights_error",
    "check_array_api_input",
    "check_classifiers_one_label",
    "check_classifiers_one_label_sample_weights",
    "check_classifiers_regression_target",
    "check_complex_data",
    "check_decision_proba_consistency",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_estimator_sparse_tag",
    "check_estimator_tags_renamed",
    "check_estimators_empty_data_messages",
    "check_estimators_partial_fit_n_features",
    "check_estimators_unfitted",
    "check_fit1d",
    "check_fit2d_1sample",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_non_transformer_estimators_n_iter",
    "check_parameters_default_constructible",
    "check_requires_y_none",
    "check_set_params",
    "check_supervised_y_no_nan",
    "check_valid_tag_types",
}
# Ten rows of one feature lie on a line; fifteen rows of thirty columns can be whitened.
ANSWERED_AS_THEY_ARE = {"check_fit2d_1feature"}
ANSWERED_WHITENED = {"check_sample_weight_equivalence_on_dense_data"}


def name_of(check):
    return getattr(check, "func", check).__name__


def assert_refused(estimator, check, phrase="ConvexReLURegressor"):
    """The check fails, and by the refusal of its rows, which names the estimator for any rows."""
    with pytest.raises((ValueError, AssertionError)) as caught:
        check(estimator)
    chain, error = [], caught.value
    while error is not None:
        chain.append(str(error))
        error = error.__cause__ or error.__context__
    assert any(phrase in message for message in chain), chain


def check_closed_form(estimator, check):
    answered = ANSWERED | (ANSWERED_WHITENED if estimator.whiten else ANSWERED_AS_THEY_ARE)
    if name_of(check) in answered:
        check(estimator)
    else:
        assert_refused(estimator, check)


@parametrize_with_checks(CLOSED_FORMS)
def test_sklearn_check_passes_or_refuses_its_rows(estimator, check):
    check_closed_form(estimator, check)


@pytest.mark.slow
def test_sklearn_check_of_other_closed_forms(estimator, check):
    check_closed_form(estimator, check)
