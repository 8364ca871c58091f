"""Columns of unequal scale: one warning, which names the scaler and the columns."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_convexnn import (
    ConvexReLUClassifier,
    ConvexReLUClassifierCV,
    ConvexReLURegressor,
    DeepLinearClassifier,
    DeepLinearRegressor,
    GatedReLUClassifier,
    GatedReLURegressor,
)
from sklearn_convexnn.core.problem.column_scales import unequal_columns


def columns(*scales, n=200):
    return np.random.default_rng(0).standard_normal((n, len(scales))) * scales


def found(X, weights=None):
    return unequal_columns(X, np.ones(X.shape[0]) if weights is None else weights)


# ---------------------------------------------------------------------------------------- the rule


@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("origin", [0.0, 3.0])
def test_more_than_a_hundredfold(unit, origin):
    assert found(unit * (columns(1.0, 60.0, 30.0) + origin)) is None
    largest, smallest, ratio = found(unit * (columns(1.0, 0.2, 300.0) + origin))
    assert (largest, smallest) == (2, 1)
    assert ratio == pytest.approx(1500, rel=0.2)


def test_constant_columns_do_not_count():
    X = np.column_stack([columns(1.0, 2.0), np.zeros(200), np.full(200, 1e6), np.full(200, 0.1)])
    assert found(X) is None
    assert found(X[:, [0, 2]]) is None
    assert found(np.ones((5, 3))) is None


def test_rare_is_not_small():
    """Indicators and counts of rare things, beside standardised columns."""
    rare = np.zeros((20_000, 3))
    rare[7, 0] = 1.0
    rare[::5000, 1] = [1.0, 2.0, 1.0, 3.0]
    rare[1:, 2] = 1.0
    X = np.column_stack([columns(1.0, n=20_000), rare])
    assert X[:, 1].std() < 0.01
    assert found(X) is None
    largest, smallest, _ = found(X * [300.0, 1.0, 1.0, 1.0])
    assert largest == 0
    assert smallest in (1, 2, 3)


def test_rows_without_weight_and_sparse_rows_do_not_count():
    X = columns(1.0, 1.0)
    X[0, 0] = 1e9
    weights = np.ones(200)
    assert found(X, weights) is not None
    weights[0] = 0.0
    assert found(X, weights) is None
    assert found(sparse.csr_array(columns(1.0, 1e4))) is None


# ------------------------------------------------------------------------------------- the warning


MODELS = [
    ConvexReLURegressor(alpha=0.1, random_state=0),
    ConvexReLUClassifier(alpha=0.1, random_state=0),
    ConvexReLUClassifierCV(alphas=3, cv=2, random_state=0),
    GatedReLURegressor(patterns=5, random_state=0),
    GatedReLUClassifier(patterns=5, random_state=0),
    DeepLinearRegressor(),
    DeepLinearClassifier(),
]


def warned(model, X, y):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    return [w for w in caught if issubclass(w.category, ConvergenceWarning)]


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_every_estimator_warns_once(model):
    X = columns(1.0, 1000.0, 5.0)
    y = X[:, 0] > 0 if is_classifier(model) else X[:, 0]
    (warning,) = warned(model, X, y)
    for words in ("StandardScaler", "column 1", "column 0", "gap"):
        assert words in str(warning.message)
    assert warning.filename == __file__
    assert warned(model, X / [1, 1000, 5], y) == []


def test_one_warning_for_two_causes():
    """Rows far from zero in unequal units, and a fit that did not reach its goal."""
    X = columns(1.0, 1000.0) + [0.0, 1e6]
    (warning,) = warned(ConvexReLURegressor(alpha=1e-3, random_state=0), X, X[:, 0])
    assert "StandardScaler" in str(warning.message)
    short = GatedReLURegressor(0.01, patterns=20, max_iter=1, tol=1e-9, random_state=0)
    (warning,) = warned(short, columns(1.0, 1000.0), X[:, 0])
    assert "Increase max_iter" in str(warning.message)
    assert "StandardScaler" in str(warning.message)


def test_wine_as_it_is():
    """Proline in hundreds, hue below one: accuracy is lost, the gap is small."""
    pytest.importorskip("pandas")
    X, y = load_wine(return_X_y=True, as_frame=True)
    model = ConvexReLUClassifier(alpha="scale", random_state=0)
    (warning,) = warned(model, X, y)
    assert "'proline'" in str(warning.message)
    scaled = make_pipeline(StandardScaler(), model)
    assert warned(scaled, X, y) == []
