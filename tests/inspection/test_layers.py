"""Rank, alignment and balance of layers."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge

from sklearn_convexnn import DeepLinearRegressor
from sklearn_convexnn.inspection import layer_alignment
from tests.linear_problems import linear_data


def test_deep_linear_networks_are_aligned_and_balanced():
    model = DeepLinearRegressor(4, 0.05).fit(*linear_data())
    result = layer_alignment(model)
    assert list(result.ranks) == [model.rank_] * 4
    np.testing.assert_allclose(result.alignment, 1.0, rtol=1e-12)
    np.testing.assert_allclose(result.balance, 0.0, atol=1e-12)
    for values in result.singular_values:
        np.testing.assert_allclose(values, model.singular_values_**0.25)


def test_alignment_does_not_depend_on_the_basis_of_the_hidden_layers():
    rng = np.random.default_rng(0)
    layers = DeepLinearRegressor(3, 0.05).fit(*linear_data()).coefs_
    m = layers[0].shape[1]
    Q1, Q2 = (np.linalg.qr(rng.standard_normal((m, m)))[0] for _ in range(2))
    turned = layer_alignment([layers[0] @ Q1, Q1.T @ layers[1] @ Q2, Q2.T @ layers[2]])
    np.testing.assert_allclose(turned.alignment, 1.0, rtol=1e-12)
    np.testing.assert_allclose(turned.balance, 0.0, atol=1e-12)


def test_known_values():
    # The output directions of the first layer are the input directions of the second, swapped.
    before, after = np.diag([2.0, 1.0]), np.diag([1.0, 3.0])
    result = layer_alignment([before, after])
    assert result.alignment[0] == pytest.approx((2 * 1 + 1 * 3) / (2 * 3 + 1 * 1))
    norms = np.linalg.norm([4.0, 1.0]), np.linalg.norm([1.0, 9.0])
    assert result.balance[0] == pytest.approx(np.linalg.norm([3.0, 8.0]) / sum(norms))
    orthogonal = layer_alignment([np.array([[1.0, 0.0]]), np.array([[0.0], [1.0]])])
    assert orthogonal.alignment[0] == 0.0
    assert list(layer_alignment([np.diag([1.0, 1e-3]), np.eye(2)], rank_tol=0.01).ranks) == [1, 2]


def test_empty_and_zero_layers():
    result = layer_alignment([np.zeros((3, 0)), np.zeros((0, 2))])
    assert (list(result.ranks), result.alignment[0], result.balance[0]) == ([0, 0], 1.0, 0.0)


@pytest.mark.parametrize(
    "layers, match",
    [
        ([], "list of matrices"),
        ([np.zeros(3)], "list of matrices"),
        ([np.zeros((2, 3)), np.zeros((4, 1))], "3 outputs is followed by one with 4"),
    ],
)
def test_layers_that_are_refused(layers, match):
    with pytest.raises(ValueError, match=match):
        layer_alignment(layers)


def test_fitted_models_without_layers_are_told_what_is_taken():
    model = Ridge().fit(np.eye(3), np.arange(3))
    with pytest.raises(ValueError, match=r"Ridge has no coefs_.*MLPClassifier"):
        layer_alignment(model)
    with pytest.raises(NotFittedError):
        layer_alignment(DeepLinearRegressor())
