"""Perceptrons of scikit-learn with the predictions of fitted networks."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline

from sklearn_convexnn import (
    ConvexReLUClassifier,
    ConvexReLURegressor,
    ConvexReLURegressorCV,
    StepsCV,
)
from sklearn_convexnn.export import to_mlp
from tests.exported import (
    CLASSIFIERS,
    EVERY,
    GATED,
    LABELS,
    NO_PERCEPTRONS,
    REGRESSORS,
    ROWS,
    SIGNAL,
    SMALL,
    TWO,
    assert_same,
    fitted,
    new_rows,
)

PRECISIONS = pytest.mark.parametrize("dtype", [np.float64, np.float32])


@PRECISIONS
@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors(name, dtype):
    model, X = fitted(name, dtype), new_rows(name, dtype)
    mlp = to_mlp(model)
    assert type(mlp) is MLPRegressor
    assert {part.dtype for part in (*mlp.coefs_, *mlp.intercepts_)} == {np.dtype(dtype)}
    assert_same(mlp.predict(X), model.predict(X), dtype)


@PRECISIONS
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(name, dtype):
    model, X = fitted(name, dtype), new_rows(name, dtype)
    mlp = to_mlp(model)
    assert type(mlp) is MLPClassifier
    assert_same(mlp.predict_proba(X), model.predict_proba(X), dtype)
    assert mlp.predict(X).dtype == model.predict(X).dtype
    np.testing.assert_array_equal(mlp.predict(X), model.predict(X))
    np.testing.assert_array_equal(mlp.classes_, model.classes_)
    assert mlp.score(X, model.predict(X)) == 1.0


@pytest.mark.parametrize("classes", LABELS, ids=str)
def test_labels_keep_their_type(classes):
    model = ConvexReLUClassifier(alpha=0.05, random_state=0).fit(ROWS, classes[TWO])
    mlp = to_mlp(model)
    label = mlp.predict(ROWS)
    np.testing.assert_array_equal(label, model.predict(ROWS))
    assert label.dtype == model.predict(ROWS).dtype
    before = mlp.score(ROWS, classes[TWO])
    mlp.set_params(warm_start=True, alpha=len(ROWS) * model.alpha_, max_iter=2000)
    assert mlp.fit(ROWS, classes[TWO]).score(ROWS, classes[TWO]) > before - 0.05


def test_the_temperature_is_taken_in():
    for name in ("relu, two", "relu, three"):
        assert fitted(name).temperature_ != pytest.approx(1.0, abs=0.01)


def test_depth_and_widths_are_those_of_the_network():
    deep = to_mlp(fitted("spline, deep"))
    assert deep.hidden_layer_sizes == (fitted("spline, deep").n_neurons_,) * 3
    assert deep.n_layers_ == fitted("spline, deep").n_layers_
    skip = fitted("spline, deep, skip")
    assert to_mlp(skip).hidden_layer_sizes == (skip.n_neurons_ + 2,) * 2
    assert to_mlp(fitted("relu, constant")).hidden_layer_sizes == (1,)
    assert to_mlp(fitted("linear, constant")).hidden_layer_sizes == (1, 1, 1)
    assert to_mlp(fitted("linear, wide")).activation == "identity"


@pytest.mark.parametrize("name", ["relu", "spline, deep", "deep, normalised", "relu, words"])
def test_it_is_an_estimator_like_others(name):
    model, X = fitted(name), new_rows(name)
    mlp = to_mlp(model)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(mlp)).predict(X), mlp.predict(X))
    assert clone(mlp).get_params() == mlp.get_params()
    assert not hasattr(clone(mlp), "coefs_")
    assert mlp.score(X, model.predict(X)) == pytest.approx(1.0)
    assert f"hidden_layer_sizes={mlp.hidden_layer_sizes}" in repr(mlp)
    before = model.predict(X).copy()
    for part in (*mlp.coefs_, *mlp.intercepts_):
        part += 1.0
    np.testing.assert_array_equal(model.predict(X), before)


def test_it_knows_the_names_of_the_features():
    frame = pytest.importorskip("pandas").DataFrame(ROWS, columns=["a", "b", "c"])
    model = ConvexReLURegressor(alpha=0.05, random_state=0).fit(frame, SIGNAL)
    mlp = to_mlp(model)
    np.testing.assert_array_equal(mlp.feature_names_in_, ["a", "b", "c"])
    assert_same(mlp.predict(frame), model.predict(frame), np.float64)


# ------------------------------------------------------------------------------ more training


def test_training_goes_on():
    """By L-BFGS from the network, with the weight decay of the fit on what both decay."""
    model = ConvexReLURegressor(alpha=1e-3, max_neurons=4, random_state=0)
    model.fit(ROWS, SIGNAL)
    mlp = to_mlp(model).set_params(warm_start=True, alpha=len(ROWS) * model.alpha_, max_iter=500)

    def objective(perceptron):
        decay = sum(np.sum(W**2) for W in perceptron.coefs_)
        loss = np.mean((perceptron.predict(ROWS) - SIGNAL) ** 2)
        return 0.5 * loss + 0.5 * model.alpha_ * decay

    before = objective(mlp)
    mlp.fit(ROWS, SIGNAL)
    assert objective(mlp) < before
    assert mlp.loss_ == pytest.approx(objective(mlp), rel=1e-6)
    assert mlp.n_iter_ > 0


@pytest.mark.parametrize("name", ["relu", "relu, several", "relu, words", "relu, poisson"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_stochastic_solvers_go_on(name, solver):
    model = fitted(name)
    mlp = to_mlp(model).set_params(solver=solver, learning_rate_init=1e-6)
    _, X, y = EVERY[name]
    before = mlp.score(X, y)
    for _ in range(3):
        mlp.partial_fit(X, y)
    assert len(mlp.loss_curve_) == 3
    assert mlp.score(X, y) == pytest.approx(before, abs=1e-3)


# ------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("name", NO_PERCEPTRONS)
def test_other_probabilities_are_refused(name):
    with pytest.raises(ValueError, match=r"probabilities.*to_onnx"):
        to_mlp(fitted(name))


@pytest.mark.parametrize("name", GATED)
def test_gates_are_refused(name):
    with pytest.raises(ValueError, match=r"jumps at its gates.*to_relu\(X\)"):
        to_mlp(fitted(name))


def test_the_way_out_of_gates():
    model = fitted("gated, two")
    mlp = to_mlp(model.to_relu(ROWS))
    np.testing.assert_array_equal(mlp.predict(ROWS), model.predict(ROWS))


@pytest.mark.parametrize(
    "name, reason", [("convolution, three", "pooled in cells"), ("threshold, two", "are 0 or 1")]
)
def test_neurons_that_no_perceptron_has(name, reason):
    with pytest.raises(TypeError, match=f"{reason}.*to_onnx"):
        to_mlp(fitted(name))


def test_a_column_of_targets_is_refused():
    model = ConvexReLURegressor(alpha=0.1, random_state=0).fit(ROWS, SIGNAL[:, None])
    with pytest.raises(ValueError, match="one dimension"):
        to_mlp(model)


def test_what_is_no_network():
    steps = StepsCV(ConvexReLURegressorCV(**SMALL), weights=[0.3]).fit(ROWS, SIGNAL)
    with pytest.raises(TypeError, match=r"StepsCV.*estimator_"):
        to_mlp(steps)
    assert_same(
        to_mlp(steps.estimator_).predict(steps.steps_.transform(ROWS)),
        steps.predict(ROWS),
        np.float64,
    )
    with pytest.raises(TypeError, match=r"pipeline\[-1\]"):
        to_mlp(make_pipeline(fitted("relu")))
    with pytest.raises(TypeError, match="MLPRegressor is not"):
        to_mlp(MLPRegressor())
    with pytest.raises(ValueError, match="not fitted"):
        to_mlp(ConvexReLURegressor())
