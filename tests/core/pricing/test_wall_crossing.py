"""Climbs across the walls of activation patterns end at true local maxima of the price."""

import numpy as np
import pytest

from sklearn_convexnn.core.patterns.neuron_cones import NeuronCones, crossed
from sklearn_convexnn.core.pricing import wall_crossing
from sklearn_convexnn.core.pricing.enumeration import price_by_enumeration
from sklearn_convexnn.core.pricing.plane import PlanePricing
from sklearn_convexnn.core.pricing.search import SearchPricing
from sklearn_convexnn.core.pricing.wall_crossing import CrossingPricing, cross_walls, last_digits
from sklearn_convexnn.core.problem.directions import Prices, random_starts
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.rows import Rows


def make_rows(A, n_outputs=1):
    n = len(A)
    Y = np.zeros((n, n_outputs))
    return Rows.of(A, Y, np.full(n, 1 / n), get_loss("squared_error", n_outputs), intercept=False)


def problem(seed, n=25, p=3, n_outputs=1):
    rng = np.random.default_rng(seed)
    A, R = rng.standard_normal((n, p)), rng.standard_normal((n, n_outputs))
    return A, R - R.mean(axis=0), rng


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("seed", range(10))
def test_the_best_climb_ends_at_the_largest_price(seed, n_outputs):
    A, R, rng = problem(seed, n_outputs=n_outputs)
    found = cross_walls(make_rows(A, n_outputs), R, random_starts(rng, 100, 3))
    assert found.largest == pytest.approx(price_by_enumeration(A, R), rel=1e-9)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_climbs_end_no_lower_than_they_start(n_outputs):
    A, R, rng = problem(0, n=40, p=6, n_outputs=n_outputs)
    rows = make_rows(A, n_outputs)
    for u in random_starts(rng, 30, 6):
        start = np.linalg.norm(rows.prices(u[None], R))
        found = cross_walls(rows, R, u[None])
        assert found.largest >= start
        np.testing.assert_allclose(np.linalg.norm(found.directions, axis=1), 1.0)
        np.testing.assert_allclose(
            np.linalg.norm(np.maximum(A @ found.directions.T, 0).T @ R, axis=1), found.norms
        )


def test_ends_are_local_maxima():
    A, R, rng = problem(1, n=40, p=5)
    rows = make_rows(A)
    found = cross_walls(rows, R, random_starts(rng, 50, 5))
    found = Prices(*(part[found.norms > 1e-6] for part in found))
    sign = np.sign(found.values[:, 0])
    for size in (1e-5, 1e-7):
        near = found.directions[:, None] + size * rng.standard_normal((len(sign), 200, 5))
        near /= np.linalg.norm(near, axis=2, keepdims=True)
        prices = sign[:, None] * (np.maximum(near @ A.T, 0) @ R[:, 0])
        assert np.all(prices.max(axis=1) <= found.norms * (1 + 1e-10))


@pytest.mark.parametrize("kind", ["zero", "parallel", "opposite", "repeated", "deficient"])
def test_degenerate_rows(kind):
    A, R, rng = problem(2, n=20)
    if kind == "zero":
        A[3] = 0.0
    elif kind == "parallel":
        A[5:10] = 2.0 * A[:5]
    elif kind == "opposite":
        A[5:10] = -A[:5]
    elif kind == "repeated":
        A[5:10] = A[:5]
    else:
        A[:, 2] = A[:, 0] - A[:, 1]
    found = cross_walls(make_rows(A), R, random_starts(rng, 100, 3))
    assert found.largest == pytest.approx(price_by_enumeration(A, R), rel=1e-9)


def test_crossing_a_wall_raises_the_projection():
    A, R, rng = problem(3, n=60, p=5)
    U = random_starts(rng, 40, 5)
    D, pull = A @ U.T > 0, np.broadcast_to(R, (60, 40))
    groups = NeuronCones(A, D, np.ones(40))
    before = np.linalg.norm(groups.cones.project((D * pull).T @ A, groups.owner), axis=1)
    beyond, moved = crossed(groups.cones, groups.owner, D, pull)
    assert moved.any()
    assert np.array_equal(moved, (beyond != D).any(axis=0))
    after = NeuronCones(A, beyond, np.ones(40))
    value = np.linalg.norm(after.cones.project((beyond * pull).T @ A, after.owner), axis=1)
    assert np.all(value >= before * (1 - 1e-10) - 1e-10)
    moved &= before > 1e-10
    assert np.all(value[moved] > before[moved] * (1 + 1e-10))


def test_no_starts_no_prices():
    A, R, _ = problem(0)
    assert len(cross_walls(make_rows(A), R, np.zeros((0, 3))).norms) == 0


@pytest.mark.parametrize("effort", [1, 2, 3])
def test_pricing_finds_the_largest_price(effort):
    A, R, rng = problem(4, n=30, p=4)
    network = Network(random_starts(rng, 3, 4), np.ones((3, 1)), np.zeros(1))
    pricing = CrossingPricing(np.random.default_rng(0))
    found = pricing(make_rows(A), R, network, effort=effort)
    assert found.largest == pytest.approx(price_by_enumeration(A, R), rel=1e-9)
    assert pricing.kind == "estimated"


def test_a_search_for_a_stop_ends_where_the_gap_is_refuted(monkeypatch):
    A, R, rng = problem(4, n=30, p=4)
    network = Network(random_starts(rng, 3, 4), np.ones((3, 1)), np.zeros(1))
    climbs = []

    def counted(rows, R, U, metric):
        climbs.append(len(U))
        return cross_walls(rows, R, U, metric)

    monkeypatch.setattr(wall_crossing, "cross_walls", counted)
    kappa = price_by_enumeration(A, R)
    for enough, batches in ((0.5 * kappa, 1), (1.01 * kappa, 10), (np.inf, 10)):
        climbs.clear()
        pricing = CrossingPricing(np.random.default_rng(0))
        found = pricing(make_rows(A), R, network, effort=3, enough=enough)
        assert found.largest >= min(enough, kappa * (1 - 1e-9))
        assert len(climbs) == batches


def test_proof_bounds_the_price_from_above():
    A, R, _ = problem(5, n=30, p=4)
    kappa = price_by_enumeration(A, R)
    goal = 1.001 * kappa
    upper, direction = CrossingPricing(np.random.default_rng(0)).prove(make_rows(A), R, goal)
    assert kappa <= upper <= goal * (1 + 1e-9)
    assert np.linalg.norm(direction) == pytest.approx(1.0)


def test_no_proof_where_it_takes_long():
    A, R, _ = problem(6, n=60, p=8)
    assert CrossingPricing(np.random.default_rng(0)).prove(make_rows(A), R, 0.0) is None
    A, R, _ = problem(6, n_outputs=2)
    assert CrossingPricing(np.random.default_rng(0)).prove(make_rows(A, 2), R, 0.0) is None


def test_exact_pricing_stays():
    plane, search = PlanePricing(), SearchPricing(np.random.default_rng(0))
    assert last_digits(plane) is plane
    assert isinstance(last_digits(search), CrossingPricing)
