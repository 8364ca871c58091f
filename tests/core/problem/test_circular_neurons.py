"""ReLUs behind a circular layer: the norm of a direction, its derivatives, and their price."""

import numpy as np
import pytest

from sklearn_convexnn.core.pricing.circular import CircularPricing
from sklearn_convexnn.core.problem.circular_neurons import CircularReLU
from sklearn_convexnn.core.problem.constant import constant_network, constant_residual
from sklearn_convexnn.core.problem.frequencies import factors
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.rows import Rows
from tests.conftest import make_rows

SHAPES = [(1,), (2,), (7,), (3, 4)]


def norms(W, shape):
    """By the definition, the bias behind the weights."""
    d = int(np.prod(shape))
    spectrum = np.fft.fftn(W[:, :d].reshape(-1, *shape), axes=range(1, 1 + len(shape)))
    return np.abs(spectrum).reshape(len(W), d).sum(axis=1) / d + np.abs(W[:, d:]).sum(axis=1)


@pytest.mark.parametrize("bias", [0, 1])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_length_of_a_direction_is_the_norm_of_its_weights(shape, bias):
    neurons, p = CircularReLU(shape), int(np.prod(shape)) + bias
    U = make_rows(5, p)
    U[0, neurons.groups(p)[-1] :] = 0.0  # a direction without the last frequency or the bias
    W = neurons.units(U)
    np.testing.assert_allclose(norms(W, shape), np.linalg.norm(U, axis=1))
    # The root of what rounding leaves of no length.
    np.testing.assert_allclose(neurons.of_units(W), U, atol=1e-6)
    np.testing.assert_allclose(neurons.units(3 * U), 3 * W)
    assert not neurons.units(np.zeros((1, p))).any()
    assert not neurons.of_units(np.zeros((1, p))).any()
    assert not neurons.pull_units(np.zeros((1, p)), np.zeros((1, p))).any()
    G, move, step = make_rows(5, p, seed=1), make_rows(5, p, seed=2), 1e-6
    change = (neurons.units(U + step * move) - neurons.units(U - step * move)) / (2 * step)
    slopes = np.sum(neurons.pull_units(U, G) * move, axis=1)
    np.testing.assert_allclose(slopes[1:], np.sum(change * G, axis=1)[1:], atol=1e-7)


def test_factors_are_convolved_to_the_weights_and_as_long_as_they_cost():
    shape, V = (3, 4), make_rows(4, 12)
    first, second = factors(V, shape)
    spectra = (np.fft.fftn(one, axes=(1, 2)) for one in (first, second))
    product = np.fft.ifftn(np.prod(list(spectra), axis=0), axes=(1, 2)).real
    np.testing.assert_allclose(product.reshape(4, -1), V, atol=1e-12)
    for one in (first, second):
        np.testing.assert_allclose(np.sum(one**2, axis=(1, 2)), norms(V, shape))


@pytest.mark.parametrize("intercept", [False, True])
def test_search_finds_prices_above_dense_sampling(intercept):
    n, d = 12, 3
    rows = Rows.of(
        make_rows(n, d),
        make_rows(n, 1, seed=1),
        np.full(n, 1 / n),
        get_loss("squared_error", 1),
        intercept=intercept,
        neurons=CircularReLU((d,)),
    )
    network = constant_network(rows)
    R = constant_residual(rows, network)
    found = CircularPricing(np.random.default_rng(0))(rows, R, network, effort=2)
    U = np.random.default_rng(1).standard_normal((200_000, d + intercept))
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    sampled = np.linalg.norm(rows.prices(U, R), axis=1).max()
    assert sampled * (1 - 1e-12) <= found.largest <= sampled * (1 + 1e-2)
