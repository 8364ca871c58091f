"""Fitted networks of every family, for the tests of their export."""

from functools import cache
from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from sklearn_convexnn import (
    CircularLinearRegressor,
    CircularReLURegressor,
    ConvexCNNClassifier,
    ConvexCNNRegressor,
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
    SplineReLUClassifier,
    SplineReLURegressor,
)
from tests.conftest import make_rows, make_signal

ROWS, LINE, WIDE = make_rows(60), make_rows(60, 1), make_rows(12, 20)
SIGNAL = make_signal(ROWS)
WAVE = np.sin(3 * LINE[:, 0])
IMAGES = make_rows(60, 16)
EDGES = IMAGES[:, 5] * (IMAGES[:, 6] > 0)
TWO, THREE = (SIGNAL > 0.3).astype(int), np.digitize(SIGNAL, [0.0, 0.8])
WORDS = np.array(["low", "middle", "hi|gh"])
SMALL = {"alphas": 3, "eps": 0.05, "cv": 2, "random_state": 0}
SEED = {"random_state": 0}
QUICK = {"alpha": 0.01, "random_state": 0}
WINDOWS = {"image_shape": (4, 4), "patch_size": 2}


class Case(NamedTuple):
    """An estimator with its training rows and targets."""

    estimator: object
    X: np.ndarray
    y: np.ndarray


REGRESSORS = {
    "relu": Case(ConvexReLURegressor(**QUICK), ROWS, SIGNAL),
    "relu, no intercept": Case(ConvexReLURegressor(fit_intercept=False, **QUICK), ROWS, SIGNAL),
    "relu, several": Case(ConvexReLURegressor(**QUICK), ROWS, np.column_stack([SIGNAL, TWO])),
    "relu, poisson": Case(ConvexReLURegressor(loss="poisson", **QUICK), ROWS, np.exp(SIGNAL)),
    "relu, huber": Case(ConvexReLURegressor(loss="huber", **QUICK), ROWS, SIGNAL),
    "relu, constant": Case(ConvexReLURegressor(alpha=1e3, **SEED), ROWS, SIGNAL),
    "relu, CV": Case(ConvexReLURegressorCV(**SMALL), ROWS, SIGNAL),
    "parallel": Case(ParallelReLURegressor(**QUICK), ROWS, SIGNAL),
    "parallel, several": Case(
        ParallelReLURegressor(hidden_units=3, penalty="decay", **QUICK),
        ROWS,
        np.column_stack([SIGNAL, TWO]),
    ),
    "parallel, constant": Case(ParallelReLURegressor(alpha=1e3, **SEED), ROWS, SIGNAL),
    "spline": Case(SplineReLURegressor(1e-4), LINE, WAVE),
    "spline, deep": Case(SplineReLURegressor(1e-4, n_layers=4), LINE, WAVE),
    "spline, skip": Case(
        SplineReLURegressor(1e-3, skip_connection=True), LINE, WAVE + 2 * LINE.T[0]
    ),
    "spline, deep, skip": Case(
        SplineReLURegressor(1e-3, n_layers=3, skip_connection=True), LINE, WAVE - LINE.T[0]
    ),
    "spline, several": Case(
        SplineReLURegressor(1e-3, skip_connection=True), LINE, np.column_stack([WAVE, LINE[:, 0]])
    ),
    "spline, constant": Case(SplineReLURegressor(1e3, n_layers=3), LINE, WAVE),
    "spline, straight": Case(SplineReLURegressor(1e3, skip_connection=True), LINE, WAVE),
    "linear": Case(DeepLinearRegressor(alpha=1e-2, n_layers=3), ROWS, SIGNAL),
    "linear, several": Case(DeepLinearRegressor(), ROWS, np.column_stack([SIGNAL, TWO])),
    "linear, wide": Case(DeepLinearRegressor(alpha=1e-2, hidden_width=4), ROWS, SIGNAL),
    "linear, constant": Case(DeepLinearRegressor(alpha=1e3, n_layers=4), ROWS, SIGNAL),
    "linear, CV": Case(DeepLinearRegressorCV(alphas=4), ROWS, SIGNAL),
    "circular": Case(CircularLinearRegressor(1e-2), ROWS, SIGNAL),
    "circular, several": Case(CircularLinearRegressor(1e-2), ROWS, np.column_stack([SIGNAL, TWO])),
    "circular, constant": Case(CircularLinearRegressor(1e3), ROWS, SIGNAL),
    "circular, ReLU": Case(CircularReLURegressor(**QUICK), ROWS, SIGNAL),
    "filters": Case(LinearCNNRegressor(1e-2, patch_size=2), ROWS, np.column_stack([SIGNAL, TWO])),
    "filters, constant": Case(LinearCNNRegressor(1e3), ROWS, SIGNAL),
    "deep, normalised": Case(DeepReLURegressor(batch_norm=True, **SEED), ROWS, SIGNAL),
    "deep, constant": Case(DeepReLURegressor(alpha=1e3, batch_norm=True, **SEED), ROWS, SIGNAL),
    "deep, whitened": Case(DeepReLURegressor(n_layers=4, whiten=True, **SEED), WIDE, SIGNAL[:12]),
}
# Perceptrons have probabilities, and of more than two classes those of softmax.
CLASSIFIERS = {
    "relu, two": Case(ConvexReLUClassifier(calibrate=True, **SEED), ROWS, TWO),
    "relu, three": Case(ConvexReLUClassifier(calibrate=True, **SEED), ROWS, THREE * 10),
    "relu, words": Case(ConvexReLUClassifier(**QUICK), ROWS, WORDS[THREE]),
    "relu, truth": Case(ConvexReLUClassifier(**QUICK), ROWS, TWO > 0),
    "relu, one class likely": Case(ConvexReLUClassifier(alpha=1e3), ROWS, WORDS[TWO]),
    "relu, CV, words": Case(ConvexReLUClassifierCV(**SMALL), ROWS, WORDS[TWO]),
    "parallel, words": Case(ParallelReLUClassifier(**QUICK), ROWS, WORDS[THREE]),
    "spline, two": Case(SplineReLUClassifier(1e-3, skip_connection=True), LINE, WAVE > 0),
    "linear, log-loss": Case(DeepLinearClassifier(loss="log_loss"), ROWS, THREE),
    "filters, log-loss": Case(LinearCNNClassifier(0.01, loss="log_loss"), ROWS, WORDS[TWO]),
}
NO_PERCEPTRONS = {
    "relu, squared hinge": Case(ConvexReLUClassifier(loss="squared_hinge", **QUICK), ROWS, THREE),
    "relu, hinge": Case(ConvexReLUClassifier(loss="hinge", alpha=0.05, **SEED), ROWS, WORDS[TWO]),
    "spline, three": Case(SplineReLUClassifier(1e-4), LINE, WORDS[np.digitize(WAVE, [-0.4, 0.4])]),
    "linear, squared error": Case(DeepLinearClassifier(), ROWS, TWO),
    "deep, two": Case(DeepReLUClassifier(batch_norm=True, **SEED), ROWS, WORDS[TWO]),
    "deep, three": Case(DeepReLUClassifier(batch_norm=True, n_layers=3, **SEED), ROWS, THREE),
}
GATED = {
    "gated": Case(GatedReLURegressor(patterns=12, **SEED), ROWS, SIGNAL),
    "gated, no intercept": Case(
        GatedReLURegressor(patterns=12, fit_intercept=False, **SEED), ROWS, SIGNAL
    ),
    "gated, constant": Case(GatedReLURegressor(alpha=1e3, patterns=12), ROWS, SIGNAL),
    "gated, two": Case(GatedReLUClassifier(patterns=12, **SEED), ROWS, WORDS[TWO]),
    "gated, three": Case(GatedReLUClassifier(patterns=12, **SEED), ROWS, THREE),
}
THRESHOLD = {
    "threshold": Case(ConvexThresholdRegressor(**QUICK), ROWS, SIGNAL),
    "threshold, constant": Case(ConvexThresholdRegressor(alpha=1e3), ROWS, SIGNAL),
    "threshold, two": Case(ConvexThresholdClassifier(**QUICK), ROWS, WORDS[TWO]),
    "steps, three": Case(ConvexThresholdClassifier(directions="axis", **QUICK), ROWS, THREE),
}
CONVOLUTIONS = {
    "convolution": Case(ConvexCNNRegressor(**WINDOWS, **QUICK), IMAGES, EDGES),
    "convolution, constant": Case(
        ConvexCNNRegressor(1e3, pool_grid=2, **WINDOWS), IMAGES, np.column_stack([EDGES, SIGNAL])
    ),
    "convolution, means in uneven cells": Case(
        ConvexCNNRegressor(pooling="average", pool_grid=2, **WINDOWS, **QUICK), IMAGES, EDGES
    ),
    "convolution, beyond the border": Case(
        ConvexCNNRegressor(padding=1, stride=2, pool_grid=(2, 1), **WINDOWS, **QUICK), IMAGES, EDGES
    ),
    "convolution, several windows and grids": Case(
        ConvexCNNRegressor(
            image_shape=(4, 2, 2), patch_size=[(3, 1), (2, 2)], pool_grid=[1, (2, 1)], **QUICK
        ),
        IMAGES,
        np.column_stack([EDGES, SIGNAL]),
    ),
    "convolution, three": Case(
        ConvexCNNClassifier(image_shape=(16,), dilation=[1, 2], padding="same", **QUICK),
        IMAGES,
        WORDS[np.digitize(EDGES, [-0.3, 0.3])],
    ),
}
EVERY = REGRESSORS | CLASSIFIERS | NO_PERCEPTRONS | GATED | THRESHOLD | CONVOLUTIONS
# What becomes layers of PyTorch.
CONTINUOUS = [name for name in EVERY if name not in GATED | THRESHOLD]

# Two labels of every type.
LABELS = [
    np.array([-3, 7]),
    np.array([1, 2], dtype=np.uint8),
    np.array([False, True]),
    np.array([1.0, 4.0]),
    np.array(["no", "naïve"]),
    np.array(["no", "yes"], dtype=object),
]


@cache
def fitted(name, dtype=np.float64):
    """A fitted estimator: the same one for every test."""
    case = EVERY[name]
    return clone(case.estimator).fit(case.X.astype(dtype), case.y)


def new_rows(name, dtype=np.float64):
    """Rows within those of the fit and beyond them."""
    X = EVERY[name].X
    return (1.5 * make_rows(40, X.shape[1], seed=7)).astype(dtype)


def tolerances(dtype):
    """Rounding of sums that cancel, relative to the largest outputs."""
    return {"rtol": 0, "atol": 1e-12 if dtype == np.float64 else 3e-5}


def assert_same(found, expected, dtype):
    """Equal shapes, and values up to the rounding of this precision."""
    assert found.shape == expected.shape
    size = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(found / size, expected / size, **tolerances(dtype))


def run(graph, X):
    """Outputs of a graph of ONNX by their names."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"X": X}), strict=True))
