"""Importances of inputs, and scikit-learn's selectors of features that use them."""

import numpy as np
import pytest
from sklearn.base import is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import RFE, SelectFromModel

from sklearn_convexnn import (
    ConvexReLUClassifier,
    ConvexReLUClassifierCV,
    ConvexReLURegressor,
    ConvexReLURegressorCV,
    DeepLinearClassifier,
    DeepLinearRegressor,
    DeepLinearRegressorCV,
    GatedReLUClassifier,
    GatedReLURegressor,
)

MODELS = [
    ConvexReLURegressor(alpha=0.02, random_state=0),
    ConvexReLUClassifier(alpha=0.01, random_state=0),
    ConvexReLURegressorCV(alphas=4, cv=2, random_state=0),
    ConvexReLUClassifierCV(alphas=4, cv=2, random_state=0),
    GatedReLURegressor(alpha=0.05, patterns=20, random_state=0),
    GatedReLUClassifier(alpha=0.01, patterns=20, random_state=0),
    DeepLinearRegressor(alpha=0.1),
    DeepLinearRegressor(n_layers=3, alpha=0.1),
    DeepLinearClassifier(alpha=0.05),
    DeepLinearRegressorCV(alphas=5, random_state=0),
]


def data(model, n=120):
    """Rows of six standardised columns, of which the targets know the second and the fifth."""
    X = np.random.default_rng(0).standard_normal((n, 6))
    y = np.maximum(X[:, 1], 0) + X[:, 1] - 2 * X[:, 4]
    return X, (y > 0).astype(int) if is_classifier(model) else y


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_shares_find_the_inputs_that_matter(model):
    X, y = data(model)
    found = model.fit(X, y).feature_importances_
    assert found.shape == (6,)
    assert found.sum() == pytest.approx(1.0)
    assert set(np.argsort(found)[-2:]) == {1, 4}


@pytest.mark.parametrize("model", MODELS[:6], ids=repr)
def test_it_is_the_documented_formula(model):
    model.fit(*data(model))
    first, last = model.coefs_
    sizes = [
        sum(abs(u) * np.linalg.norm(c) for u, c in zip(row, last, strict=True)) for row in first
    ]
    np.testing.assert_allclose(model.feature_importances_, sizes / np.sum(sizes))


def test_one_neuron_has_the_shares_of_its_weights():
    X, y = data(ConvexReLURegressor())
    model = ConvexReLURegressor(0.02, fit_intercept=False, max_neurons=1, random_state=0).fit(X, y)
    weights = np.abs(model.coefs_[0][:, 0])
    expected = weights / weights.sum()
    np.testing.assert_allclose(model.feature_importances_, expected)


@pytest.mark.parametrize("model", [MODELS[0], MODELS[4], MODELS[6]], ids=repr)
def test_units_are_those_of_the_columns(model):
    """A column a thousand times as large needs weights a thousand times smaller."""
    X, y = data(model)
    before = model.fit(X, y).feature_importances_
    after = model.fit(X * np.array([1, 30, 1, 1, 1, 1]), y).feature_importances_
    assert after[1] < 0.3 * before[1]


@pytest.mark.parametrize("Model", [ConvexReLURegressor, GatedReLURegressor, DeepLinearRegressor])
def test_a_constant_network_has_none(Model):
    X, y = data(Model())
    np.testing.assert_array_equal(Model(alpha=1e3).fit(X, y).feature_importances_, np.zeros(6))


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_there_are_none_before_the_fit(model):
    other = type(model)()
    assert not hasattr(other, "feature_importances_")
    with pytest.raises(NotFittedError):
        _ = other.feature_importances_


@pytest.mark.parametrize("model", [MODELS[0], MODELS[1], MODELS[4], MODELS[6]], ids=repr)
def test_selectors(model):
    X, y = data(model)
    chosen = SelectFromModel(model).fit(X, y)
    np.testing.assert_array_equal(np.flatnonzero(chosen.get_support()), [1, 4])
    wrapped = RFE(model, n_features_to_select=2).fit(X, y)
    np.testing.assert_array_equal(np.flatnonzero(wrapped.get_support()), [1, 4])
    assert wrapped.score(X, y) > 0.9
