"""Pricing against brute force: never above the largest price, up to it where that is claimed."""

import numpy as np
import pytest

from sklearn_convexnn.core.pricing.plane import PlanePricing, plane_basis
from sklearn_convexnn.core.pricing.search import FINE_WIDTHS, SearchPricing, local_ascent, sharpen
from sklearn_convexnn.core.problem.directions import Prices, joined, random_starts, select_diverse
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.rows import Rows
from tests.certificates import largest_price, price, residual
from tests.problems import ENUMERATED, PLANTED, Known, finite_program, loss_gradient


def make_rows(X, n_outputs, intercept=False, **settings):
    n = len(X)
    loss = get_loss("squared_error", n_outputs)
    return Rows.of(
        X, np.zeros((n, n_outputs)), np.full(n, 1 / n), loss, intercept=intercept, **settings
    )


def make_residual(rng, n, n_outputs, intercept=False):
    """Any residual; with an intercept its columns sum to zero."""
    R = rng.standard_normal((n, n_outputs))
    return R - intercept * R.mean(axis=0)


def no_network(rows):
    return Network.constant(np.zeros(rows.n_outputs), rows.n_columns)


def assert_consistent(rows, R, prices):
    """Unit directions, best first, with the prices that they have."""
    np.testing.assert_allclose(np.linalg.norm(prices.directions, axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(prices.values, rows.prices(prices.directions, R), atol=1e-12)
    np.testing.assert_allclose(prices.norms, np.linalg.norm(prices.values, axis=1), atol=1e-12)
    assert np.all(np.diff(prices.norms) <= 0)
    assert prices.largest == prices.norms[0]


# ------------------------------------------------------------------------------- one or two columns


def brute_force(A, R):
    """The largest price over a fine grid of angles and all kinks."""
    kinks = np.arctan2(A[:, 1], A[:, 0])
    angles = [np.linspace(0, 2 * np.pi, 20_001), kinks + np.pi / 2, kinks - np.pi / 2]
    angles = np.concatenate(angles)
    return price(A, R, np.column_stack([np.cos(angles), np.sin(angles)])).max()


plane_rows = {
    "generic": lambda rng, n: rng.standard_normal((n, 2)),
    "repeated": lambda rng, n: rng.standard_normal((n, 2))[rng.integers(0, n // 2, n)],
    "integers": lambda rng, n: rng.integers(-2, 3, (n, 2)).astype(float),
    "with zero rows": lambda rng, n: rng.standard_normal((n, 2)) * (rng.random((n, 1)) < 0.6),
    "on two lines": lambda rng, n: (
        rng.standard_normal((n, 1)) * rng.standard_normal((2, 2))[rng.integers(0, 2, n)]
    ),
    "on one line": lambda rng, n: rng.standard_normal((n, 1)) * rng.standard_normal(2),
    "on the axes": lambda rng, n: rng.standard_normal((n, 1)) * np.eye(2)[rng.integers(0, 2, n)],
    "a single row": lambda rng, n: rng.standard_normal((1, 2)),
}


@pytest.mark.parametrize("unit", [1.0, 1e-7, 1e-12, 1e-200, 1e200])
@pytest.mark.parametrize("mean", [0.0, 1e8])
def test_a_plane_is_one_up_to_the_rounding_of_every_column(unit, mean):
    """Neither a small unit nor a large mean makes a feature disappear from an exact price."""
    rng = np.random.default_rng(0)
    t, noise = rng.standard_normal((40, 2)), rng.standard_normal(40)
    for intercept in (False, True):
        # Columns 0 and 1 are on a line if the constant spans the plane, else in a plane.
        flat = np.column_stack([t[:, 0], 1.0 - 2 * t[:, 0] if intercept else t[:, 1], t[:, 0]])
        basis = plane_basis(make_rows(flat * [1.0, 1.0, unit], 1, intercept))
        assert basis is not None
        assert basis.shape == (3 + intercept, 2)
        np.testing.assert_allclose(basis.T @ basis, np.eye(2), atol=1e-14)
        full = np.column_stack([t, noise]) + mean
        assert plane_basis(make_rows(full * [1.0, 1.0, unit], 1, intercept)) is None


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("kind", plane_rows)
def test_plane_pricing_is_exact(kind, n_outputs):
    """No direction on a fine grid or on a kink has a higher price; many draws."""
    for seed in range(25):
        rng = np.random.default_rng(seed)
        X = plane_rows[kind](rng, int(rng.integers(2, 9)))
        rows, R = make_rows(X, n_outputs), make_residual(rng, len(X), n_outputs)
        prices = PlanePricing()(rows, R, None, effort=0)
        assert_consistent(rows, R, prices)
        found, expected = prices.largest, brute_force(X, R)
        assert expected * (1 - 1e-12) <= found <= expected * (1 + 1e-6), f"seed {seed}"


@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_plane_pricing_of_one_feature_and_intercept(n_outputs, repeated):
    """One feature with its constant; with one output also against all patterns."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        X = rng.integers(-2, 3, (8, 1)).astype(float) if repeated else rng.standard_normal((8, 1))
        rows = make_rows(X, n_outputs, intercept=True, scale=0.3)
        R = make_residual(rng, 8, n_outputs, intercept=True)
        found = PlanePricing()(rows, R, None, effort=0).largest
        expected = brute_force(rows.dense(), R)
        assert expected * (1 - 1e-12) <= found <= expected * (1 + 1e-6)
        if n_outputs == 1:
            np.testing.assert_allclose(found, largest_price(rows.dense(), R), rtol=1e-10)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_plane_pricing_of_one_column(n_outputs):
    """Two directions: +1 and -1."""
    rng = np.random.default_rng(0)
    X, R = rng.standard_normal((7, 1)), make_residual(rng, 7, n_outputs)
    rows = make_rows(X, n_outputs)
    prices = PlanePricing()(rows, R, None, effort=0)
    assert_consistent(rows, R, prices)
    np.testing.assert_allclose(prices.norms, np.sort(price(X, R, np.array([[1.0], [-1]])))[::-1])


def test_plane_pricing_keeps_the_best():
    """``n_kept`` cuts the list, not its top."""
    rng = np.random.default_rng(0)
    rows, R = make_rows(rng.standard_normal((20, 2)), 2), make_residual(rng, 20, 2)
    everything, few = (PlanePricing(n_kept=n)(rows, R, None, effort=0) for n in (1000, 5))
    assert len(few.norms) == 5
    assert len(everything.norms) > 40
    np.testing.assert_allclose(few.norms, everything.norms[:5], rtol=1e-12)


# ------------------------------------------------------------------------------------------- search


@pytest.mark.parametrize("effort", [0, 1, 3])
@pytest.mark.parametrize("n, p, n_outputs", [(9, 3, 1), (7, 4, 1), (8, 3, 3)])
def test_search_never_exceeds_the_largest_price(n, p, n_outputs, effort):
    """Its prices belong to unit directions, so it bounds ``kappa(R)`` from below."""
    rng = np.random.default_rng(n)
    rows, R = make_rows(rng.standard_normal((n, p)), n_outputs), make_residual(rng, n, n_outputs)
    prices = SearchPricing(np.random.default_rng(0))(rows, R, no_network(rows), effort=effort)
    assert_consistent(rows, R, prices)
    exact = largest_price(rows.dense(), R)
    assert prices.largest <= exact * (1 + 1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n, p, n_outputs", [(9, 3, 1), (7, 4, 1), (8, 3, 3)])
def test_search_finds_the_largest_price_of_any_residual(n, p, n_outputs, seed):
    """The thorough search reaches ``kappa(R)`` to 1e-6 on a few rows."""
    rng = np.random.default_rng(seed)
    rows, R = make_rows(rng.standard_normal((n, p)), n_outputs), make_residual(rng, n, n_outputs)
    exact = largest_price(rows.dense(), R)
    found = SearchPricing(np.random.default_rng(0))(rows, R, no_network(rows), effort=3).largest
    assert found >= exact * (1 - 1e-6)


@pytest.mark.parametrize("problem", [k for k in PLANTED if k.A.shape[1] > 2], ids=str)
def test_search_finds_planted_neurons(problem):
    """The residual at a planted optimum: the planted directions are the maximisers, at alpha."""
    U, C, b0 = problem.neurons
    rows, R = problem.rows(), residual(problem, Network(U, C, b0))
    prices = SearchPricing(np.random.default_rng(0))(rows, R, no_network(rows), effort=3)
    np.testing.assert_allclose(prices.largest, problem.alpha, rtol=1e-6)
    best = prices.directions[prices.norms >= problem.alpha * (1 - 1e-4)]
    assert np.all(np.max(U @ best.T, axis=1) > 1 - 1e-4)


def _optimal_residual(problem):
    """``R`` at the outputs of the finite program, where every maximiser sits on kinks."""
    Z = finite_program(problem)[1]
    gradient = loss_gradient(problem.loss, problem.Y, Z, problem.thresholds)
    return -problem.weights[:, None] * gradient


@pytest.mark.parametrize("problem", [k for k in ENUMERATED if k.A.shape[1] == 3], ids=str)
def test_search_finds_the_largest_price_at_an_optimum(problem: Known):
    """There ``kappa(R) = alpha``; what the search misses makes an estimated gap too small."""
    rows, R = problem.rows(), _optimal_residual(problem)
    exact = largest_price(problem.A, R)
    np.testing.assert_allclose(exact, problem.alpha, rtol=1e-4)
    found = SearchPricing(np.random.default_rng(0))(rows, R, no_network(rows), effort=3).largest
    assert found >= exact * (1 - 1e-6)


def test_search_starts_from_the_present_neurons():
    """A direction that no random start finds is found from the network that has it."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 20))
    rows, R = make_rows(X, 1), make_residual(rng, 60, 1)
    best = SearchPricing(np.random.default_rng(1))(rows, R, no_network(rows), effort=3)
    network = Network(best.directions[:1], np.ones((1, 1)), np.zeros(1))
    few = SearchPricing(np.random.default_rng(0))
    few.ascents = (1, 1, 1, 1)
    assert few(rows, R, no_network(rows), effort=0).largest < best.largest
    assert few(rows, R, network, effort=0).largest >= best.largest * (1 - 1e-12)


def test_search_is_deterministic():
    """The same generator state gives the same arrays, and another one others."""
    rng = np.random.default_rng(0)
    rows, R = make_rows(rng.standard_normal((30, 5)), 2), make_residual(rng, 30, 2)

    def run(seed):
        return SearchPricing(np.random.default_rng(seed))(rows, R, no_network(rows), effort=1)

    for one, other in zip(run(0), run(0), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(run(0).directions, run(1).directions)


@pytest.mark.parametrize(
    "make_pricing", [PlanePricing, lambda: SearchPricing(np.random.default_rng(0))]
)
def test_seeds_are_diverse(make_pricing):
    """Directions to begin with: unit, priced, and no two close."""
    rng = np.random.default_rng(0)
    rows, R = make_rows(rng.standard_normal((40, 2)), 1), make_residual(rng, 40, 1)
    seeds = make_pricing().seeds(rows, R, 6)
    assert_consistent(rows, R, seeds)
    assert 1 < len(seeds.norms) <= 6
    cosines = seeds.directions @ seeds.directions.T
    assert np.max(cosines - 2 * np.eye(len(cosines))) < 0.9


# ---------------------------------------------------------------------------------------- the steps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_ascent_and_sharpening_never_lower_a_price(seed, n_outputs, dtype):
    """Every start keeps its place or rises (sorted lists compare like their members)."""
    rng = np.random.default_rng(seed)
    rows = make_rows(rng.standard_normal((40, 6)), n_outputs, dtype=dtype)
    R = make_residual(rng, 40, n_outputs)
    U = random_starts(rng, 30, 6)
    start = np.sort(np.linalg.norm(rows.prices(U, R), axis=1))[::-1]
    climbed = local_ascent(rows, R, U.copy(), sweeps=8)
    assert np.all(climbed.norms >= start)
    assert climbed.largest > start[0]
    before = Prices(*(part.copy() for part in climbed))
    sharp = sharpen(rows, R, climbed, widths=FINE_WIDTHS)
    assert np.all(sharp.norms >= climbed.norms)
    assert sharp.norms.sum() > climbed.norms.sum()
    for one, other in zip(before, climbed, strict=True):
        np.testing.assert_array_equal(one, other)  # its input is left alone
    if dtype == np.float64:
        assert_consistent(rows, R, sharp)


def test_a_full_step_is_optimal_for_positive_residuals():
    """If every row is active and R >= 0 the price is linear: one step ends at the maximum."""
    rng = np.random.default_rng(0)
    X, R = rng.uniform(0.5, 1, (20, 4)), rng.uniform(0, 1, (20, 1))
    found = local_ascent(make_rows(X, 1), R, np.ones((1, 4)), sweeps=1)
    np.testing.assert_allclose(found.largest, np.linalg.norm(X.T @ R), rtol=1e-12)


def test_a_residual_of_zero_has_no_price():
    """Neither ascent nor sharpening divide by zero."""
    rng = np.random.default_rng(0)
    rows = make_rows(rng.standard_normal((10, 3)), 2)
    pricing = SearchPricing(rng)
    assert pricing(rows, np.zeros((10, 2)), no_network(rows), effort=1).largest == 0
    assert (
        PlanePricing()(make_rows(rows.X[:, :2], 2), np.zeros((10, 2)), None, effort=0).largest == 0
    )


def test_select_diverse():
    """Greedy from the best on; what is close to something chosen, or too cheap, is left out."""
    angles = np.array([0.0, 0.05, 1.0, 1.02, 2.0, 3.0])
    U = np.column_stack([np.cos(angles), np.sin(angles)])
    norms = np.array([6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    prices = Prices(U, norms[:, None], norms)
    np.testing.assert_array_equal(select_diverse(prices, 10).norms, [6, 4, 2, 1])
    np.testing.assert_array_equal(select_diverse(prices, 2).norms, [6, 4])
    np.testing.assert_array_equal(select_diverse(prices, 10, above=2.0).norms, [6, 4])
    np.testing.assert_array_equal(select_diverse(prices, 10, max_cosine=1.0).norms, norms)
    nothing = select_diverse(prices, 10, above=6.0)
    assert nothing.directions.shape == (0, 2)
    assert nothing.largest == 0.0


def test_joined_sorts_stably():
    """Ties keep their order: the result does not depend on the sorting algorithm."""
    one = Prices(np.array([[1.0], [2]]), np.array([[3.0], [1]]), np.array([3.0, 1]))
    two = Prices(np.array([[3.0], [4]]), np.array([[3.0], [2]]), np.array([3.0, 2]))
    both = joined(one, two)
    np.testing.assert_array_equal(both.norms, [3, 3, 2, 1])
    np.testing.assert_array_equal(both.directions[:, 0], [1, 3, 4, 2])
