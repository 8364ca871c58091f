"""Rows far from zero and extreme weights: a warning where the fit stops far from the optimum."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor
from sklearn_convexnn.core.problem.units import make_problem, obstacle
from tests.conftest import make_rows, make_signal


def obstacle_at(X, weights=None):
    n = X.shape[0]
    weights = np.ones(n) if weights is None else weights
    problem = make_problem(X, np.zeros((n, 1)), weights, loss="squared_error", intercept=True)
    return obstacle(problem.rows)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_what_is_an_obstacle(unit):
    X = make_rows(50, 4)
    assert obstacle_at(X + 2) is None
    assert "standardise" in obstacle_at(unit * (X + 100))
    weights = np.geomspace(1, 100, 50)
    assert obstacle_at(X, unit * weights) is None
    assert "weights" in obstacle_at(X, unit * weights**3)


def test_far_rows_are_warned_about():
    X, signal = make_rows(100, 3), make_signal(make_rows(100, 3))
    with pytest.warns(ConvergenceWarning, match="standardise"):
        ConvexReLURegressor(alpha=1e-3, random_state=0).fit(X + 1e5, signal)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ConvexReLURegressor(alpha=1e-3, random_state=0).fit(X, signal)


def test_extreme_class_weights_are_warned_about():
    X, y = load_breast_cancer(return_X_y=True)
    model = ConvexReLUClassifier("scale", class_weight={0: 1e6, 1: 1}, random_state=0)
    with pytest.warns(ConvergenceWarning, match="class weights"):
        model.fit(scale(X), y)
    assert model.dual_gap_ > 0.1
