"""Few rows: the largest price is that of all patterns, in any units, and fits are told so."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor, alpha_max
from sklearn_convexnn.core.pricing.all_patterns import PatternPricing
from sklearn_convexnn.core.pricing.search import SearchPricing
from sklearn_convexnn.core.problem.directions import random_starts
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.metric import Metric
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.rows import Rows
from tests.certificates import best_in_cell, largest_price
from tests.conftest import make_rows, make_signal
from tests.problems import patterns

LIMIT = 10_000


def rows_of(A, n_outputs=1):
    """Rows without a constant of their own."""
    loss, n = get_loss("squared_error", n_outputs), len(A)
    return Rows.of(A, np.zeros((n, n_outputs)), np.full(n, 1 / n), loss, intercept=False)


def pricing_of(rows):
    return PatternPricing.of(rows, Metric.of(rows), LIMIT)


def no_network(rows):
    return Network.constant(np.zeros(rows.n_outputs), rows.n_columns)


KINDS = {
    "9 x 3": lambda rng: rng.standard_normal((9, 3)),
    "7 x 4": lambda rng: rng.standard_normal((7, 4)),
    "more columns than rows": lambda rng: rng.standard_normal((4, 7)),
    "integers": lambda rng: rng.integers(-2, 3, (12, 3)).astype(float),
    "repeated": lambda rng: rng.standard_normal((6, 3))[rng.integers(0, 6, 12)],
    "parallel and zero rows": lambda rng: (
        rng.standard_normal((5, 3))[rng.integers(0, 5, 12)] * rng.integers(-1, 2, (12, 1))
    ),
    "equal columns": lambda rng: rng.standard_normal((9, 3))[:, [0, 1, 2, 0]],
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_price(kind, seed):
    """From scratch and from a network, whose prices only leave out what is smaller."""
    rng = np.random.default_rng(seed)
    A = KINDS[kind](rng)
    rows, R = rows_of(A), rng.standard_normal((len(A), 1))
    pricing, expected = pricing_of(rows), largest_price(A, R)
    U = random_starts(rng, 3, A.shape[1])
    for network in (no_network(rows), Network(U, np.ones((3, 1)), np.zeros(1))):
        for residual in (R, -R, R):  # the walls of the search before are no more than a start
            found = pricing(rows, residual, network, effort=1)
            np.testing.assert_allclose(found.norms[0], expected, rtol=1e-10)
            np.testing.assert_allclose(
                np.linalg.norm(rows.prices(found.directions, residual), axis=1),
                found.norms,
                rtol=1e-10,
            )


@pytest.mark.parametrize("offset", [1e2, 1e4])
@pytest.mark.parametrize("unit", [1.0, 1e-3])
@pytest.mark.parametrize("seed", range(2))
def test_the_largest_price_in_awkward_units(offset, unit, seed):
    """Patterns are those of the standardised rows; the norm of directions is that of the data."""
    rng = np.random.default_rng(seed)
    Z, ones = rng.standard_normal((8, 2)), np.ones((8, 1))
    A = np.hstack([Z * [1.0, unit] + offset, ones])
    R = rng.standard_normal((8, 1))
    R -= R.mean(axis=0)
    cells = patterns(np.hstack([Z, ones]))
    expected = max(best_in_cell(A, s * R[:, 0], cell)[1] for s in (1, -1) for cell in cells)
    rows = rows_of(A)
    pricing = pricing_of(rows)
    assert not pricing.metric.trivial
    found = pricing(rows, R, no_network(rows), effort=1)
    np.testing.assert_allclose(found.largest, expected, rtol=1e-5)
    search = SearchPricing(np.random.default_rng(0), metric=pricing.metric)
    overlooked = search(rows, R, no_network(rows), effort=3).largest
    assert overlooked <= found.largest * (1 + 1e-9)


def test_maxima_are_local_ones():
    """No direction close to one of those that are returned has a larger price."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((12, 3))
    rows, R = rows_of(A), rng.standard_normal((12, 1))
    found = pricing_of(rows)(rows, R, no_network(rows), effort=1)
    assert 2 <= len(found.norms) < len(patterns(A))
    for u, norm in zip(found.directions, found.norms, strict=True):
        near = u + 1e-4 * rng.standard_normal((200, 3))
        near /= np.linalg.norm(near, axis=1, keepdims=True)
        assert np.abs(rows.prices(near, R)).max() <= norm * (1 + 1e-10)


def test_who_is_left_to_the_search():
    A = np.random.default_rng(0).standard_normal((10, 3))
    rows = rows_of(A)
    pricing = pricing_of(rows)
    assert pricing.work == 92  # 2 (1 + 9 + 36), found in one turn
    metric = pricing.metric
    assert PatternPricing.of(rows, metric, 91) is None
    assert PatternPricing.of(rows, metric, 92) is not None
    assert PatternPricing.of(rows_of(A, n_outputs=2), metric, LIMIT) is None
    assert PatternPricing.of(rows_of(make_rows(400)), metric, LIMIT) is None
    assert PatternPricing.of(rows_of(np.eye(3, 300)), metric, LIMIT) is None


@pytest.mark.parametrize("offset", [0.0, 30.0, 1000.0])
@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))]
)
@pytest.mark.parametrize("Estimator", [ConvexReLURegressor, ConvexReLUClassifier])
def test_fits_of_few_rows_have_exact_gaps(Estimator, offset, seed):
    """A default fit is told its distance to the optimum, however far it is from it."""
    X = make_rows(8, 2, seed) + offset
    y = make_signal(X - offset)
    loss = "squared_error" if Estimator is ConvexReLURegressor else "log_loss"
    y = y if Estimator is ConvexReLURegressor else y > np.median(y)
    alpha = 0.01 * alpha_max(X, y, loss=loss)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # rightly, far from zero
        model = Estimator(alpha=alpha, random_state=0).fit(X, y)
    close = Estimator(alpha=alpha, gap_tol=1e-4, random_state=0).fit(X, y)
    assert model.certificate_ == close.certificate_ == "exact"
    assert model.objective_ - model.dual_gap_abs_ <= close.objective_ * (1 + 1e-9)
    assert close.dual_gap_ <= 1e-4
