"""Graphs of ONNX with the predictions of fitted networks, in ONNX Runtime."""

import numpy as np
import pytest

from sklearn_convexnn import (
    ConvexReLUClassifier,
    ConvexReLUClassifierCV,
    ConvexReLURegressor,
    ConvexReLURegressorCV,
    GatedReLURegressor,
    StepsCV,
)
from sklearn_convexnn.export import to_onnx
from tests.exported import (
    CLASSIFIERS,
    EVERY,
    GATED,
    LABELS,
    ROWS,
    SIGNAL,
    SMALL,
    TWO,
    WORDS,
    assert_same,
    fitted,
    new_rows,
    run,
)

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


# Types of numbers are the graph's, and graphs of one kind are made alike.
SINGLE = {
    "relu, several",
    "relu, words",
    "parallel",
    "spline, deep, skip",
    "spline, three",
    "linear",
}
SINGLE |= {"circular", "deep, normalised", "gated, three", "threshold", "steps, three"}
SINGLE |= {"convolution", "convolution, three"}


@pytest.mark.parametrize(
    "name, dtype",
    [(name, np.float64) for name in EVERY]
    + [
        pytest.param(name, np.float32, marks=[] if name in SINGLE else pytest.mark.slow)
        for name in EVERY
    ],
)
def test_every_family(name, dtype):
    """Of fits in the precision of the graph; new rows, in batches of 40 and of one."""
    model, X = fitted(name, dtype), new_rows(name, dtype)
    graph = to_onnx(model, dtype=dtype)
    for rows in (X, X[:1]):
        found = run(graph, rows)
        if not hasattr(model, "classes_"):
            assert set(found) == {"prediction"}
            assert_same(found["prediction"], model.predict(rows), dtype)
            assert found["prediction"].dtype == dtype
            continue
        np.testing.assert_array_equal(found["label"], model.predict(rows))
        if hasattr(model, "predict_proba"):
            assert set(found) == {"label", "probabilities"}
            assert_same(found["probabilities"], model.predict_proba(rows), dtype)
        else:
            assert set(found) == {"label", "scores"}
            assert_same(found["scores"], model.decision_function(rows), dtype)


@pytest.mark.parametrize("name", ["relu", "relu, several", "gated", "spline", "linear"])
def test_single_precision_of_a_double_fit(name):
    model, X = fitted(name), new_rows(name)
    found = run(to_onnx(model), X.astype(np.float32))
    assert_same(found["prediction"], model.predict(X), np.float32)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_shapes_and_types_are_declared(name):
    model, dtype = fitted(name), np.float32
    graph = to_onnx(model, dtype=dtype).graph
    (rows,) = graph.input
    shapes = [
        [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (rows, *graph.output)
    ]
    assert shapes == [[0, model.n_features_in_], [0], [0, len(model.classes_)]]  # 0: any number


# --------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize("classes", LABELS, ids=str)
def test_labels_keep_their_type(classes):
    model = ConvexReLUClassifier(alpha=0.05, random_state=0).fit(ROWS, classes[TWO])
    label = run(to_onnx(model, dtype=np.float64), ROWS)["label"]
    np.testing.assert_array_equal(label, model.predict(ROWS))
    if model.classes_.dtype.kind in "biuf":
        assert label.dtype == model.classes_.dtype
    else:
        assert type(label[0]) is type(
            classes[1].item() if classes.dtype.kind == "U" else classes[1]
        )


def test_labels_without_a_type():
    model = ConvexReLUClassifier(alpha=0.05, random_state=0).fit(ROWS, TWO)
    model.classes_ = np.array([b"no", b"yes"])
    with pytest.raises(ValueError, match="no type for class labels such as"):
        to_onnx(model)


# -------------------------------------------------------------------------- jumps and extremes


@DTYPES
def test_gates_are_compared_in_double_precision(dtype):
    """The row (1, 1, 0) is just within a gate that single precision would put it on."""
    model = GatedReLURegressor(patterns=6, fit_intercept=False, random_state=0)
    model.fit(ROWS.astype(dtype), SIGNAL)
    model.gates_ = np.zeros(model.gates_.shape)
    model.gates_[:2] = [[1.0], [1e-12 - 1.0]]
    rows = np.array([[1.0, 1.0, 0.0], [1.0, 1.1, 0.0]], dtype=dtype)
    expected = model.predict(rows)
    assert expected[0] != 0.0
    assert expected[1] == 0.0
    assert_same(run(to_onnx(model, dtype=dtype), rows)["prediction"], expected, dtype)


@pytest.mark.parametrize("name", [name for name in GATED if "constant" not in name])
def test_gates_that_are_open_matter(name):
    """Else the tests above would say little of gates."""
    model, X = fitted(name), new_rows(name)
    ungated = X @ model.coefs_[0] + model.intercepts_[0]
    share = np.mean(model.hidden_activations(X) != ungated)
    assert 0.1 < share < 0.9


@DTYPES
@pytest.mark.parametrize("weight", [0.0, 0.4])
def test_steps(dtype, weight):
    X = ROWS.astype(dtype)
    model = StepsCV(ConvexReLURegressorCV(**SMALL), weights=[weight]).fit(X, SIGNAL)
    rows = new_rows("relu", dtype)
    found = run(to_onnx(model, dtype=dtype), rows)["prediction"]
    assert_same(found, model.predict(rows), dtype)


def test_steps_of_a_classifier():
    model = StepsCV(ConvexReLUClassifierCV(**SMALL), weights=[0.4]).fit(ROWS, WORDS[TWO])
    found = run(to_onnx(model, dtype=np.float64), ROWS)
    np.testing.assert_array_equal(found["label"], model.predict(ROWS))
    assert_same(found["probabilities"], model.predict_proba(ROWS), np.float64)


def test_thresholds_are_compared_in_double_precision():
    """A threshold just below 1, where single precision would put it on 1 and the step aside."""
    X = ROWS.copy()
    X[:, 2] = np.repeat([0.0, 1.0 - 1e-9, 1.0], 20)
    model = StepsCV(ConvexReLURegressorCV(**SMALL), weights=[0.5], n_steps=3)
    model.fit(X, SIGNAL + (X[:, 2] == 1))
    assert np.any((model.steps_.thresholds_[2] < 1) & (model.steps_.thresholds_[2] > 1 - 1e-9))
    rows = X[-20:].astype(np.float32)
    found = run(to_onnx(model), rows)["prediction"]
    assert_same(found, model.predict(rows), np.float32)


def test_weights_beyond_single_precision():
    model = ConvexReLURegressor(alpha=0.1, random_state=0).fit(ROWS, SIGNAL)
    model.intercepts_[1] = np.array([1e39])
    with pytest.raises(ValueError, match="too large for float32"):
        to_onnx(model)
    found = run(to_onnx(model, dtype=np.float64), ROWS)["prediction"]
    np.testing.assert_allclose(found, 1e39)


def test_sigmoids_far_from_zero():
    """One against the rest where every class is unlikely: sigmoids alone would be 0 / 0."""
    model, X = fitted("spline, three"), 300.0 * new_rows("spline, three")
    assert np.abs(model.decision_function(X)).max() > 800
    found = run(to_onnx(model, dtype=np.float64), X)["probabilities"]
    assert_same(found, model.predict_proba(X), np.float64)


# ------------------------------------------------------------------------------------ the graph


def test_it_says_who_made_it_and_runs_on_old_runtimes():
    graph = to_onnx(fitted("relu"))
    assert graph.producer_name == "sklearn_convexnn"
    assert [opset.version for opset in graph.opset_import] == [13]
    assert graph.ir_version == 7


@pytest.mark.parametrize("dtype", [np.int64, np.float16, "float128"])
def test_other_types_are_refused(dtype):
    with pytest.raises(ValueError, match="dtype must be"):
        to_onnx(fitted("relu"), dtype=dtype)


def test_types_by_name():
    assert to_onnx(fitted("relu"), dtype="float64").graph.input[0].type.tensor_type.elem_type == 11


def test_it_is_small():
    """Four bytes a weight and little else."""
    model = fitted("relu")
    n_weights = sum(part.size for part in (*model.coefs_, *model.intercepts_))
    assert to_onnx(model).ByteSize() < 4 * n_weights + 600
