"""Pricing with a sample: its prices are those of all rows, and about those of a full search."""

import numpy as np
import pytest

from sklearn_convexnn._images import windows_of
from sklearn_convexnn.core.pricing import screened
from sklearn_convexnn.core.pricing.patches import convolution_pricing
from sklearn_convexnn.core.pricing.screened import ScreenedPricing
from sklearn_convexnn.core.pricing.search import SearchPricing
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.patches import Convolution
from sklearn_convexnn.core.problem.rows import Rows
from tests.core.pricing.test_search import (
    assert_consistent,
    make_residual,
    make_rows,
    no_network,
)


@pytest.fixture
def few(monkeypatch):
    """Samples of a quarter of few rows."""
    monkeypatch.setattr(screened, "LEAST_ROWS", 2000)


def planted(n_outputs, n=4000):
    """Rows with a residual that one direction explains in part."""
    rng = np.random.default_rng(n_outputs)
    X = rng.standard_normal((n, 6)).astype(np.float32)
    signal = np.maximum(X @ rng.standard_normal(6), 0)[:, None]
    R = (signal * rng.standard_normal(n_outputs) + rng.standard_normal((n, n_outputs))) / n
    return X, R - R.mean(axis=0)


@pytest.mark.parametrize("effort", [0, 1, 2])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_prices_of_all_rows(few, n_outputs, effort):
    X, R = planted(n_outputs)
    rows = make_rows(X.astype(float), n_outputs, intercept=True)
    search = SearchPricing(np.random.default_rng(0))
    prices = ScreenedPricing(search)(rows, R, no_network(rows), effort=effort)
    assert_consistent(rows, R, prices)
    full = SearchPricing(np.random.default_rng(0))(rows, R, no_network(rows), effort=2)
    assert prices.largest >= 0.97 * full.largest


def test_order_of_rows_does_not_matter(few):
    X, R = planted(1)
    order = np.random.default_rng(5).permutation(len(X))
    largest = []
    for rows, residual in ((make_rows(X, 1), R), (make_rows(X[order], 1), R[order])):
        pricing = ScreenedPricing(SearchPricing(np.random.default_rng(0)))
        largest.append(pricing(rows, residual, no_network(rows), effort=0).largest)
    assert largest[1] == pytest.approx(largest[0], rel=1e-4)


def test_passes_over_all_rows(few):
    """Only a few of the climbs are on all rows, and no random start."""
    X, R = planted(1)
    rows = make_rows(X, 1)
    ScreenedPricing(SearchPricing(np.random.default_rng(0)))(rows, R, no_network(rows), effort=0)
    assert rows.engine.passes <= ScreenedPricing.sweeps[0] + 2


def test_few_rows_are_searched_themselves():
    rng = np.random.default_rng(3)
    rows, R = make_rows(rng.standard_normal((50, 3)), 1), make_residual(rng, 50, 1)
    found = [
        pricing(rows, R, no_network(rows), effort=1).norms
        for pricing in (
            SearchPricing(np.random.default_rng(0)),
            ScreenedPricing(SearchPricing(np.random.default_rng(0))),
        )
    ]
    np.testing.assert_array_equal(*found)


def test_images():
    """From fewer rows on, for a pass over one is a pass over all its positions."""
    rng, n = np.random.default_rng(0), screened.LEAST_IMAGES
    X = rng.standard_normal((n, 16)).astype(np.float32)
    R = ((X[:, :2] + X[:, 4:6]).sum(axis=1).clip(0) + rng.standard_normal(n))[:, None] / n
    R -= R.mean()
    settings = {"stride": 1, "dilation": 1, "padding": 0, "pool_grid": 1}
    neurons = Convolution(windows_of((4, 4), image_shape=None, patch_size=2, **settings), "max")
    weights, loss = np.full(n, 1 / n), get_loss("squared_error", 1)
    rows = Rows.of(X, np.zeros((n, 1)), weights, loss, intercept=True, neurons=neurons)
    pricing = convolution_pricing(rows, np.random.default_rng(0), np.float32)
    assert isinstance(pricing, ScreenedPricing)
    prices = pricing(rows, R, no_network(rows), effort=0)
    assert rows.engine.passes <= ScreenedPricing.sweeps[0] + 2
    assert prices.largest >= 0.97 * pricing.search(rows, R, no_network(rows), effort=1).largest
