"""Inside pipelines, searches, meta-estimators, pickles and data frames; and against baselines."""

import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, make_friedman1
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import BaggingClassifier, BaggingRegressor
from sklearn.inspection import permutation_importance
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_validate,
    train_test_split,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr
from sklearn.utils._testing import create_memmap_backed_data

from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor


def outputs(model, X):
    return getattr(model, "predict_proba", model.predict)(X)


# ---------------------------------------------------------------------------------- model selection


def test_pipeline(simple_case):
    X = 100 * simple_case.X + 7
    pipeline = make_pipeline(StandardScaler(), simple_case.Estimator("scale", random_state=0))
    pipeline.fit(X, simple_case.y)
    alone = simple_case.Estimator("scale", random_state=0)
    alone.fit(StandardScaler().fit_transform(X), simple_case.y)
    scaled = pipeline[0].transform(X)
    np.testing.assert_array_equal(outputs(pipeline, X), outputs(alone, scaled))


def test_grid_search_in_parallel(simple_case):
    prefix = type(simple_case.Estimator()).__name__.lower()
    pipeline = make_pipeline(StandardScaler(), simple_case.Estimator("scale", random_state=0))
    grid = {f"{prefix}__alpha": [0.01, 0.05, 10.0]}
    searches = [
        GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs).fit(simple_case.X, simple_case.y)
        for n_jobs in (1, 2)
    ]
    np.testing.assert_array_equal(*(s.cv_results_["mean_test_score"] for s in searches))
    assert searches[0].best_params_[f"{prefix}__alpha"] < 10
    assert searches[0].best_score_ > searches[0].cv_results_["mean_test_score"][-1]


def test_routing_of_sample_weight(simple_case):
    weights = np.random.default_rng(0).uniform(0.1, 3, len(simple_case.X))
    with config_context(enable_metadata_routing=True):
        model = simple_case.Estimator("scale", random_state=0)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        options = {"cv": 3, "return_estimator": True}
        results = cross_validate(
            model, simple_case.X, simple_case.y, params={"sample_weight": weights}, **options
        )
        plain = cross_validate(clone(model), simple_case.X, simple_case.y, **options)
    assert np.any(results["test_score"] != plain["test_score"])
    for with_weights, without in zip(results["estimator"], plain["estimator"], strict=True):
        assert with_weights.objective_ != without.objective_


def test_clone_keeps_parameters_only(simple_case):
    parameters = {"alpha": 0.03, "max_neurons": 5, "fit_intercept": False, "random_state": 3}
    model = simple_case.Estimator(**parameters).fit(simple_case.X, simple_case.y)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert not hasattr(copy, "coefs_")
    np.testing.assert_array_equal(
        outputs(copy.fit(simple_case.X, simple_case.y), simple_case.X),
        outputs(model, simple_case.X),
    )


def test_representations(simple_case):
    model = simple_case.Estimator(alpha=0.5, random_state=0)
    assert repr(model) == f"{type(model).__name__}(alpha=0.5, random_state=0)"
    for estimator in (model, clone(model).fit(simple_case.X, simple_case.y)):
        assert type(model).__name__ in estimator_html_repr(estimator)


# -------------------------------------------------------------------------------------- persistence


def test_pickle(case):
    model = case.Estimator("scale", random_state=0).fit(case.X, case.y)
    for protocol in (2, pickle.HIGHEST_PROTOCOL):
        copy = pickle.loads(pickle.dumps(model, protocol))
        np.testing.assert_array_equal(outputs(copy, case.X), outputs(model, case.X))
        assert copy.history_.keys() == model.history_.keys()
    # A fitted model is its layers: nothing of the size of the data is kept.
    large = case.Estimator(model.alpha_, random_state=0)
    large.fit(np.tile(case.X, (50, 1)), np.concatenate([case.y] * 50))
    assert len(pickle.dumps(large)) < 2 * len(pickle.dumps(model))


def test_warm_start_after_pickle(simple_case):
    model = simple_case.Estimator("scale", warm_start=True, random_state=0)
    copy = pickle.loads(pickle.dumps(model.fit(simple_case.X, simple_case.y)))
    objective = copy.objective_
    assert copy.fit(simple_case.X, simple_case.y).objective_ <= objective * (1 + 1e-12)


def test_skops(case):
    io = pytest.importorskip("skops.io")
    model = case.Estimator("scale", random_state=0).fit(case.X, case.y)
    data = io.dumps(model)
    untrusted = io.get_untrusted_types(data=data)
    # Nothing but the class of the estimator itself is asked for.
    assert untrusted == [f"{case.Estimator.__module__}.{case.Estimator.__name__}"]
    copy = io.loads(data, trusted=untrusted)
    np.testing.assert_array_equal(outputs(copy, case.X), outputs(model, case.X))


# -------------------------------------------------------------------------------------- data frames


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(case, library):
    frames = pytest.importorskip(library)
    columns = ["height", "width", "depth"]
    X = frames.DataFrame({name: case.X[:, j] for j, name in enumerate(columns)})
    if case.y.ndim == 2:
        y = frames.DataFrame({f"y{j}": case.y[:, j] for j in range(2)})
    else:
        y = frames.Series(case.y.tolist())
    model = case.Estimator("scale", random_state=0).fit(X, y)
    reference = case.Estimator("scale", random_state=0).fit(case.X, case.y)
    assert list(model.feature_names_in_) == columns
    np.testing.assert_array_equal(outputs(model, X), outputs(reference, case.X))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X[columns[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(case.X)


def test_pandas_weights_with_another_index(simple_case):
    pd = pytest.importorskip("pandas")
    index = np.arange(len(simple_case.X))[::-1]
    weights = np.random.default_rng(0).uniform(size=len(index))
    frame = pd.DataFrame(simple_case.X, index=index, columns=list("abc"))
    y, w = pd.Series(simple_case.y, index=index), pd.Series(weights, index=index + 5)
    model = simple_case.Estimator("scale", random_state=0).fit(frame, y, sample_weight=w)
    reference = simple_case.Estimator("scale", random_state=0)
    reference.fit(simple_case.X, simple_case.y, sample_weight=weights)
    np.testing.assert_array_equal(outputs(model, frame), outputs(reference, simple_case.X))


def test_categorical_pandas_labels(binary):
    pd = pytest.importorskip("pandas")
    y = pd.Series(pd.Categorical(binary.y, categories=["yes", "no", "never"]))
    model = ConvexReLUClassifier("scale", random_state=0).fit(binary.X, y)
    assert list(model.classes_) == ["no", "yes"]


def test_read_only_memory_map(simple_case):
    X, y, weights = create_memmap_backed_data(
        [simple_case.X, simple_case.y, np.ones(len(simple_case.X))]
    )
    model = simple_case.Estimator("scale", random_state=0).fit(X, y, sample_weight=weights)
    reference = simple_case.Estimator("scale", random_state=0).fit(simple_case.X, simple_case.y)
    np.testing.assert_array_equal(outputs(model, X), outputs(reference, simple_case.X))


def test_set_output_is_for_transformers(simple_case):
    assert not hasattr(simple_case.Estimator(), "set_output")
    pytest.importorskip("pandas")
    pipeline = make_pipeline(StandardScaler(), simple_case.Estimator("scale", random_state=0))
    pipeline.set_output(transform="pandas").fit(simple_case.X, simple_case.y)
    assert isinstance(pipeline.predict(simple_case.X), np.ndarray)
    assert list(pipeline[-1].feature_names_in_) == ["x0", "x1", "x2"]


# ---------------------------------------------------------------------------------- meta-estimators


def test_calibration(binary):
    model = CalibratedClassifierCV(ConvexReLUClassifier(random_state=0), cv=3)
    assert model.fit(binary.X, binary.y).score(binary.X, binary.y) > 0.8


def test_one_versus_rest(multiclass):
    model = OneVsRestClassifier(ConvexReLUClassifier("scale", random_state=0))
    assert model.fit(multiclass.X, multiclass.y).score(multiclass.X, multiclass.y) > 0.9
    assert len(model.estimators_) == 3


def test_multioutput_wrappers(regression, binary):
    targets = np.column_stack([regression.y, regression.X[:, 0]])
    model = MultiOutputRegressor(ConvexReLURegressor("scale", random_state=0)).fit(
        regression.X, targets
    )
    assert model.score(regression.X, targets) > 0.9
    labels = np.column_stack([binary.y == "yes", binary.X[:, 0] > 0])
    for Wrapper in (MultiOutputClassifier, ClassifierChain):
        model = Wrapper(ConvexReLUClassifier("scale", random_state=0)).fit(binary.X, labels)
        assert np.mean(model.predict(binary.X) == labels) > 0.9


def test_bagging_uses_weights(simple_case):
    Bagging = BaggingClassifier if is_classifier(simple_case.Estimator()) else BaggingRegressor
    model = Bagging(simple_case.Estimator("scale"), n_estimators=3, random_state=0)
    assert model.fit(simple_case.X, simple_case.y).score(simple_case.X, simple_case.y) > 0.8


def test_transformed_target(regression):
    model = TransformedTargetRegressor(
        ConvexReLURegressor("scale", random_state=0),
        func=np.exp,
        inverse_func=np.log,
        check_inverse=False,
    )
    y = regression.y / 10
    prediction = model.fit(regression.X, y).predict(regression.X)
    assert np.corrcoef(prediction, y)[0, 1] > 0.9


def test_permutation_importance_finds_the_noise_column(simple_case):
    model = simple_case.Estimator("scale", random_state=0).fit(simple_case.X, simple_case.y)
    found = permutation_importance(model, simple_case.X, simple_case.y, random_state=0)
    assert found.importances_mean.argmin() == 2  # the target does not depend on it


def test_cross_val_predict(binary):
    model = ConvexReLUClassifier(random_state=0)
    proba = cross_val_predict(model, binary.X, binary.y, cv=3, method="predict_proba")
    np.testing.assert_allclose(proba.sum(axis=1), 1)


# ------------------------------------------------------------------------------------ it does learn


@pytest.mark.parametrize(
    "load, size, at_least",
    [(load_iris, 150, 0.92), (load_breast_cancer, 569, 0.94), (load_digits, 500, 0.90)],
)
def test_better_than_chance_on_real_data(load, size, at_least):
    X, y = load(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, train_size=2 * size // 3, random_state=0)
    model = make_pipeline(StandardScaler(), ConvexReLUClassifier(random_state=0)).fit(X, y)
    assert model.score(X_test, y_test) > at_least
    assert model.score(X_test, y_test) > DummyClassifier().fit(X, y).score(X_test, y_test) + 0.2


def test_better_than_ridge_on_a_nonlinear_signal():
    X, y = make_friedman1(500, n_features=8, noise=0.5, random_state=0)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    scores = [
        make_pipeline(StandardScaler(), model).fit(X, y).score(X_test, y_test)
        for model in (ConvexReLURegressor(random_state=0), RidgeCV())
    ]
    assert scores[0] > scores[1] + 0.1
    assert scores[0] > 0.9
