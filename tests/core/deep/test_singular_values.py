"""Scalar minimisation, the Schatten penalty and the layers that attain it."""

import numpy as np
import pytest

from sklearn_convexnn.core.deep.singular_values import (
    balanced_layers,
    factored_svd,
    power_penalty,
    shrink,
)


@pytest.mark.parametrize("n_layers", [2, 3, 4, 7, 20])
@pytest.mark.parametrize("amount", [1e-3, 0.1, 1.0, 5.0])
def test_shrink_is_the_minimum(n_layers, amount):
    t = np.concatenate([np.linspace(0, 4, 41), [50.0]])

    def value(s):
        return 0.5 * (s - t) ** 2 + amount * 0.5 * n_layers * s ** (2.0 / n_layers)

    best = value(shrink(t, amount, n_layers))
    others = value(np.concatenate([[0.0], np.geomspace(1e-9, 60, 20001)])[:, None])
    assert np.all(best <= others + 1e-12 * (1 + t**2))


def test_shrink_is_stationary_where_it_is_not_zero():
    t = np.linspace(0, 5, 101)
    for n_layers in (2, 3, 5):
        s = shrink(t, 0.4, n_layers)
        kept = s > 0
        assert kept.any()
        assert not kept.all()
        np.testing.assert_allclose(
            s[kept] - t[kept] + 0.4 * s[kept] ** (2 / n_layers - 1), 0, atol=1e-13
        )


@pytest.mark.parametrize("n_layers", [2, 3, 5])
@pytest.mark.parametrize("width", [None, 4])
def test_layers_have_the_product_and_the_least_decay(n_layers, width):
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.standard_normal((d, 2)))[0] for d in (6, 3))
    sizes = np.array([2.0, 0.3])
    layers = balanced_layers(left, sizes, right, n_layers, width)
    m = width or 2
    assert [W.shape for W in layers] == [(6, m), *[(m, m)] * (n_layers - 2), (m, 3)]
    product = np.linalg.multi_dot(layers) if n_layers > 1 else layers[0]
    np.testing.assert_allclose(product, (left * sizes) @ right.T, atol=1e-14)
    decay = 0.5 * sum(np.sum(W**2) for W in layers)
    assert decay == pytest.approx(power_penalty(sizes, n_layers), rel=1e-13)


@pytest.mark.parametrize("r", [0, 1, 3, 5])
def test_factored_svd(r):
    rng = np.random.default_rng(r)
    U, V = rng.standard_normal((7, r)), rng.standard_normal((3, r))
    P, sizes, Q = factored_svd(U, V)
    np.testing.assert_allclose((P * sizes) @ Q.T, U @ V.T, atol=1e-13)
    assert len(sizes) == min(r, 3)
