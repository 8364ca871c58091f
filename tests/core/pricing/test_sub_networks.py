"""Prices of sub-networks beside those of the exact programs over all pairs of patterns."""

import numpy as np
import pytest

from sklearn_convexnn.core.fit.cutting_plane import make_pricing
from sklearn_convexnn.core.pricing.sub_networks import SubNetworkPricing
from sklearn_convexnn.core.problem.constant import constant_network
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.rows import Rows
from sklearn_convexnn.core.problem.sub_networks import SubNetworks
from tests.parallel_program import BOTH, LINE, PLANE, largest_price


def make_rows(X, Y, n_units, penalty, intercept=False):
    Y = Y.reshape(len(X), -1)
    loss, weights = get_loss("squared_error", Y.shape[1]), np.full(len(X), 1 / len(X))
    neurons = SubNetworks(n_units, penalty)
    return Rows.of(X, Y, weights, loss, intercept=intercept, neurons=neurons)


def priced(rows, R, effort, seed=0):
    pricing = make_pricing(rows, np.random.default_rng(seed))
    assert isinstance(pricing, SubNetworkPricing)
    assert pricing.kind == "estimated"
    return pricing(rows, R, constant_network(rows), effort=effort)


@pytest.mark.parametrize("problem", [PLANE, LINE], ids=["plane", "line"])
@pytest.mark.parametrize("n_units, penalty, signs", [(2, "path", BOTH), (4, "decay", None)])
def test_the_largest_price(problem, n_units, penalty, signs):
    X, y = problem
    exact = largest_price(X, y / len(y), signs)
    rows = make_rows(X, y, n_units, penalty)
    found = [priced(rows, y[:, None] / len(y), effort).largest for effort in range(4)]
    # Never more than there is, up to the solver's tolerance, and all of it but for the kinks.
    assert max(found) <= exact * (1 + 1e-6)
    np.testing.assert_array_less(exact * (1 - np.array([0.1, 1e-2, 1e-3, 1e-4])), found)


@pytest.mark.parametrize("penalty", ["path", "decay"])
def test_climbs_end_above_the_ascent_they_start_from(penalty):
    rng = np.random.default_rng(0)
    X, R = rng.standard_normal((40, 4)), rng.standard_normal((40, 3))
    R -= R.mean(axis=0)
    rows = make_rows(X, R, 3, penalty, intercept=True)
    prices = [priced(rows, R, effort) for effort in range(4)]
    for found in prices:
        np.testing.assert_allclose(np.linalg.norm(found.directions, axis=1), 1.0)
        values = rows.prices(found.directions, R)
        np.testing.assert_allclose(found.values, values, atol=1e-12)
        np.testing.assert_allclose(found.norms, np.linalg.norm(values, axis=1))
        assert np.all(np.diff(found.norms) <= 0)
    assert prices[3].largest >= prices[1].largest * (1 - 1e-3) >= prices[0].largest * (1 - 0.02)
