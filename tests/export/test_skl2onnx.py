"""Pipelines with our estimators, converted by skl2onnx, in ONNX Runtime."""

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_convexnn import (
    ConvexReLUClassifier,
    ConvexReLUClassifierCV,
    ConvexReLURegressor,
    ConvexReLURegressorCV,
    QuantileSteps,
    StepsCV,
    TailCompressor,
    tabular_pipeline,
)
from sklearn_convexnn.export import register_skl2onnx
from tests.exported import (
    EVERY,
    ROWS,
    SIGNAL,
    SMALL,
    THREE,
    TWO,
    WORDS,
    assert_same,
    fitted,
    new_rows,
    run,
)

skl2onnx = pytest.importorskip("skl2onnx")
runtime = pytest.importorskip("onnxruntime")

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])
NETWORK = {"alpha": 0.05, "random_state": 0}


@pytest.fixture(autouse=True)
def registered():
    register_skl2onnx()  # more than once does no harm


def converted(model, X, **options):
    return skl2onnx.to_onnx(model, X[:1], options=options or None)


@DTYPES
@pytest.mark.parametrize("name", EVERY)
def test_every_family(name, dtype):
    model, X = fitted(name, dtype), new_rows(name, dtype)
    if not hasattr(model, "classes_"):
        found = run(converted(model, X), X)
        expected = model.predict(X)
        assert_same(found["variable"], expected.reshape(len(X), -1), dtype)
        return
    found = run(converted(model, X, zipmap=False), X)
    np.testing.assert_array_equal(found["label"], model.predict(X))
    assert_same(found["probabilities"], of_each_class(model, X), dtype)


def of_each_class(model, X):
    if hasattr(model, "predict_proba"):
        return model.predict_proba(X)
    scores = model.decision_function(X)
    return np.column_stack([-scores, scores]) if scores.ndim == 1 else scores


@DTYPES
@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_a_pipeline(dtype, weight):
    network = ConvexReLURegressor(**NETWORK)
    model = make_pipeline(StandardScaler(), QuantileSteps(weight=weight), network)
    model.fit(ROWS, np.column_stack([SIGNAL, TWO]))
    X = new_rows("relu", dtype)
    found = run(converted(model, X), X)["variable"]
    assert_same(found, model.predict(X.astype(np.float64)), dtype)


@DTYPES
@pytest.mark.parametrize("classes", [THREE, WORDS[THREE], WORDS[TWO], TWO > 0], ids=str)
def test_a_pipeline_of_a_classifier(dtype, classes):
    network = ConvexReLUClassifier(**NETWORK)
    model = make_pipeline(StandardScaler(), QuantileSteps(), network).fit(ROWS, classes)
    X = new_rows("relu", dtype)
    found = run(converted(model, X, zipmap=False), X)
    np.testing.assert_array_equal(found["label"], model.predict(X))
    assert_same(found["probabilities"], model.predict_proba(X.astype(np.float64)), dtype)


@DTYPES
def test_steps_alone(dtype):
    """Their thresholds and heights are those of the transformer, to the last bit."""
    model = QuantileSteps(n_steps=5).fit(ROWS)
    X = np.vstack([ROWS, new_rows("relu")]).astype(dtype)
    (found,) = run(converted(model, X), X).values()
    np.testing.assert_array_equal(found, model.transform(X))


@DTYPES
@pytest.mark.parametrize("start", [0.5, np.inf])
def test_tails_alone(dtype, start):
    model = TailCompressor(start=start).fit(ROWS)
    X = (20 * new_rows("relu")).astype(dtype)
    (found,) = run(converted(model, X), X).values()
    assert found.dtype == dtype
    np.testing.assert_allclose(found, model.transform(X), rtol=8 * np.finfo(dtype).eps)


def test_integers_become_numbers():
    X = np.round(3 * ROWS).astype(np.int64)
    model = ConvexReLURegressor(**NETWORK).fit(X, SIGNAL)
    assert_same(run(converted(model, X), X)["variable"][:, 0], model.predict(X), np.float32)


def test_columns_of_words():
    frame = pytest.importorskip("pandas").DataFrame({"size": SIGNAL, "town": WORDS[THREE]})
    columns = make_column_transformer(
        (StandardScaler(), ["size"]), (OneHotEncoder(sparse_output=False), ["town"])
    )
    model = make_pipeline(columns, ConvexReLURegressor(**NETWORK)).fit(frame, SIGNAL**2)
    kinds = skl2onnx.common.data_types
    types = [
        ("size", kinds.FloatTensorType([None, 1])),
        ("town", kinds.StringTensorType([None, 1])),
    ]
    graph = skl2onnx.convert_sklearn(model, initial_types=types)
    session = runtime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    rows = {"size": frame[["size"]].to_numpy(np.float32), "town": frame[["town"]].to_numpy(object)}
    assert_same(session.run(None, rows)[0][:, 0], model.predict(frame), np.float32)


def test_the_numeric_part_of_a_tabular_pipeline():
    pytest.importorskip("skrub")
    frame = pytest.importorskip("pandas").DataFrame({"size": SIGNAL, "town": WORDS[THREE]})
    frame.loc[::7, "size"] = np.nan
    model = tabular_pipeline(ConvexReLURegressorCV(**SMALL), weights=[0.0, 0.4])
    model.fit(frame, SIGNAL)
    X = np.asarray(model[:2].transform(frame), dtype=np.float32)  # as skrub makes them
    found = run(converted(model[2:], X), X)["variable"][:, 0]
    assert_same(found, model.predict(frame), np.float32)


# ------------------------------------------------------------------------------------- StepsCV


@DTYPES
def test_steps_by_cross_validation(dtype):
    search = StepsCV(ConvexReLURegressorCV(**SMALL), weights=[0.4])
    model = make_pipeline(StandardScaler(), search).fit(ROWS, SIGNAL)
    X = new_rows("relu", dtype)
    found = run(converted(model, X), X)["variable"][:, 0]
    assert_same(found, model.predict(X.astype(np.float64)), dtype)


def test_steps_before_any_search():
    search = GridSearchCV(ConvexReLURegressor(random_state=0), {"alpha": [0.02, 0.1]}, cv=2)
    model = StepsCV(search, weights=[0.4]).fit(ROWS, SIGNAL)
    found = run(converted(model, ROWS), ROWS)["variable"][:, 0]
    assert_same(found, model.predict(ROWS), np.float64)


@pytest.mark.parametrize("in_a_pipeline", [False, True])
def test_options_pass_through_the_steps(in_a_pipeline):
    search = StepsCV(ConvexReLUClassifierCV(**SMALL), weights=[0.4])
    model = make_pipeline(StandardScaler(), search) if in_a_pipeline else search
    model.fit(ROWS, WORDS[TWO])
    found = run(converted(model, ROWS, zipmap=False), ROWS)
    np.testing.assert_array_equal(found["label"], model.predict(ROWS))
    assert_same(found["probabilities"], model.predict_proba(ROWS), np.float64)
    last = model[-1] if in_a_pipeline else model
    by_class = skl2onnx.to_onnx(model, ROWS[:1], options={type(last.estimator_): {"zipmap": False}})
    assert [output.name for output in by_class.graph.output] == ["label", "probabilities"]
    single = ROWS.astype(np.float32)
    dictionaries = run(converted(model, single), single)["output_probability"]
    assert set(dictionaries[0]) == {"low", "middle"}


# ------------------------------------------------------------------------------------- options


def test_dictionaries_of_probabilities_by_default():
    model = fitted("relu, words")
    single = ROWS.astype(np.float32)
    found = run(converted(model, single), single)["output_probability"]
    values = np.array([[row[label] for label in model.classes_] for row in found])
    assert_same(values, model.predict_proba(ROWS), np.float32)


def test_a_column_for_each_class():
    model = fitted("relu, three")
    found = run(converted(model, ROWS, zipmap="columns"), ROWS)
    for k, label in enumerate(model.classes_):
        assert_same(found[f"i{label}"], model.predict_proba(ROWS)[:, k], np.float64)


@pytest.mark.parametrize("name", ["relu, two", "relu, three"])
def test_scores_in_place_of_probabilities(name):
    """Divided by the temperature, as probabilities are those of the softmax of them."""
    model = fitted(name)
    scores = model.decision_function(ROWS) / model.temperature_
    expected = np.column_stack([-scores, scores]) if scores.ndim == 1 else scores
    found = run(converted(model, ROWS, zipmap=False, raw_scores=True), ROWS)["probabilities"]
    assert_same(found, expected, np.float64)


def test_numbers_in_place_of_labels():
    model = fitted("relu, words")
    found = run(converted(model, ROWS, zipmap=False, nocl=True), ROWS)["label"]
    np.testing.assert_array_equal(model.classes_[found], model.predict(ROWS))


def test_labels_as_an_output():
    model = fitted("relu, words")
    found = run(converted(model, ROWS, zipmap=False, output_class_labels=True), ROWS)
    np.testing.assert_array_equal(found["class_labels"], model.classes_)
