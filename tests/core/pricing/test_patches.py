"""Prices of convolutions: climbs across the walls of pooled patches, planes, proofs."""

import numpy as np
import pytest

from sklearn_convexnn.core.fit.cutting_plane import make_pricing
from sklearn_convexnn.core.pricing.patch_table import PatchTable
from sklearn_convexnn.core.pricing.patches import PatchPricing
from sklearn_convexnn.core.pricing.pooled_proofs import plane_of, price_in_plane
from sklearn_convexnn.core.pricing.pooled_walls import cross_pooled_walls
from sklearn_convexnn.core.problem.constant import constant_network
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.patches import Convolution
from sklearn_convexnn.core.problem.rows import Rows
from sklearn_convexnn.core.problem.windows import Windows


def make_rows(pooling, grid=1, n_outputs=1, *, n=12, length=6, sizes=(3,), intercept=True, seed=0):
    rng = np.random.default_rng(seed)
    X, R = rng.standard_normal((n, length)), rng.standard_normal((n, n_outputs))
    settings = {"strides": (1,), "padding": (0,), "grids": [(k,) for k in np.atleast_1d(grid)]}
    windows = Windows.of((length,), 1, [(k,) for k in sizes], [(1,)] * len(sizes), **settings)
    loss, weights = get_loss("squared_error", n_outputs), np.full(n, 1 / n)
    neurons = Convolution(windows, pooling)
    rows = Rows.of(X, np.zeros((n, n_outputs)), weights, loss, intercept=intercept, neurons=neurons)
    return rows, R


def best(rows, R, U):
    return np.linalg.norm(rows.prices(U, R), axis=1).max()


def unit(rng, count, p):
    U = rng.standard_normal((count, p))
    return U / np.linalg.norm(U, axis=1, keepdims=True)


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("grid, n_outputs", [(1, 1), ((1, 2), 1), (1, 3), (2, 2)])
def test_climbs_end_above_dense_sampling(pooling, grid, n_outputs):
    rows, R = make_rows(pooling, grid, n_outputs)
    rng = np.random.default_rng(1)
    sampled = best(rows, R, unit(rng, 100_000, rows.n_columns))
    starts = unit(rng, 20, rows.n_columns)
    ends = cross_pooled_walls(PatchTable(rows, 0), R, starts)
    np.testing.assert_allclose(np.linalg.norm(ends, axis=1), 1, rtol=1e-12)
    before = np.linalg.norm(rows.prices(starts, R), axis=1)
    after = np.linalg.norm(rows.prices(ends, R), axis=1)
    assert np.all(after >= before * (1 - 1e-12))
    pricing = make_pricing(rows, rng)
    assert pricing(rows, R, constant_network(rows), effort=3).largest >= sampled


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("grid, n_outputs", [(1, 1), (2, 1), (1, 3)])
def test_the_end_of_a_climb_is_a_local_maximum(pooling, grid, n_outputs):
    rows, R = make_rows(pooling, grid, n_outputs)
    rng = np.random.default_rng(2)
    ends = cross_pooled_walls(PatchTable(rows, 0), R, unit(rng, 5, rows.n_columns))
    for end in ends:
        value = best(rows, R, end[None])
        for size in (1e-3, 1e-5):
            near = end + size * unit(rng, 2000, rows.n_columns)
            near /= np.linalg.norm(near, axis=1, keepdims=True)
            assert best(rows, R, near) <= value * (1 + 1e-12)


def test_blocks_of_rows_change_nothing(monkeypatch):
    rows, R = make_rows("max", 2, 2)
    starts = unit(np.random.default_rng(3), 6, rows.n_columns)
    whole = cross_pooled_walls(PatchTable(rows, 0), R, starts)
    monkeypatch.setattr("sklearn_convexnn.core.pricing.patch_table._KEPT_BYTES", 0)
    monkeypatch.setattr("sklearn_convexnn.core.pricing.patch_table._BLOCK_BYTES", 2000)
    parts = cross_pooled_walls(PatchTable(rows, 0), R, starts)
    np.testing.assert_allclose(best(rows, R, parts), best(rows, R, whole), rtol=1e-9)


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("grid, n_outputs", [(1, 1), (2, 2), ((1, 2), 1)])
@pytest.mark.parametrize("sizes, intercept", [((2,), False), ((1,), True)])
def test_exact_in_a_plane(pooling, grid, n_outputs, sizes, intercept):
    rows, R = make_rows(pooling, grid, n_outputs, sizes=sizes, intercept=intercept)
    pricing = make_pricing(rows, np.random.default_rng(0))
    assert pricing.kind == "exact"
    angles = np.linspace(0, 2 * np.pi, 200_001)
    sampled = best(rows, R, np.column_stack([np.cos(angles), np.sin(angles)]))
    found = pricing(rows, R, constant_network(rows), effort=0).largest
    assert sampled <= found <= sampled * (1 + 1e-5)


def test_patches_in_a_plane_of_a_larger_space():
    """Signals of one shape, shifted and scaled: windows of three with rank two."""
    t = np.arange(7)
    X = np.array([a * np.sin(0.7 * t + b) for a, b in np.random.default_rng(0).random((9, 2))])
    rows, R = make_rows("max", n=9, length=7, intercept=False)
    windows, loss = rows.neurons, rows.loss
    settings = {"intercept": False, "neurons": windows}
    rows = Rows.of(X, np.zeros((9, 1)), np.full(9, 1 / 9), loss, **settings)
    table = PatchTable(rows, 0)
    basis = plane_of(table)
    assert basis.shape == (3, 2)
    found = best(rows, R, table.embedded(price_in_plane(table, R, basis)))
    sampled = best(rows, R, unit(np.random.default_rng(1), 50_000, 3))
    assert sampled <= found
    assert plane_of(PatchTable(make_rows("max")[0], 0)) is None


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("sizes", [(3,), (2, 3)])
def test_a_proof_bounds_the_price(pooling, sizes):
    rows, R = make_rows(pooling, sizes=sizes)
    pricing = make_pricing(rows, np.random.default_rng(0))
    assert pricing.kind == "estimated"
    found = pricing(rows, R, constant_network(rows), effort=3).largest
    upper, direction = pricing.prove(rows, R, 0.0)
    # Means have a kink for every patch: the cones of a proof are used up before it is closed.
    close = 2e-6 if pooling == "max" else 2e-3
    assert found <= upper <= found * (1 + close)
    assert best(rows, R, direction[None]) == pytest.approx(found, rel=1e-6)
    assert pricing.prove(rows, R, 2 * found)[0] <= 2 * found * (1 + 1e-9)


def test_what_is_not_proven():
    for settings in ({"n_outputs": 2}, {"grid": 2}, {"length": 12, "sizes": (9,)}):
        rows, R = make_rows("max", **settings)
        assert make_pricing(rows, np.random.default_rng(0)).prove(rows, R, 0.0) is None


def test_equal_patches_are_one_row_of_a_proof():
    rows, _ = make_rows("average", n=4)
    X = np.zeros((4, 6))
    X[:, 2] = 1.0
    settings = {"intercept": True, "neurons": rows.neurons}
    rows = Rows.of(X, rows.Y, rows.weights, rows.loss, **settings)
    flat, of_patch = PatchTable(rows, 0).flat()
    assert flat.n_rows == 4  # one in the first, second or third place, or none
    A = PatchTable(rows, 0).patches(slice(0, 4)).reshape(-1, 4)
    np.testing.assert_array_equal(flat.dense()[of_patch], A)


@pytest.mark.parametrize("effort", [0, 1, 2, 3])
def test_prices_are_those_of_their_directions(effort):
    rows, R = make_rows("max", 2, 2, sizes=(2, 3))
    pricing = make_pricing(rows, np.random.default_rng(0))
    assert isinstance(pricing, PatchPricing)
    found = pricing(rows, R, constant_network(rows), effort=effort)
    np.testing.assert_allclose(found.values, rows.prices(found.directions, R), rtol=1e-9)
    assert np.all(np.diff(found.norms) <= 0)
    # Every filter has one window.
    blocks = np.array([np.any(found.directions[:, b] != 0, axis=1) for b in rows.neurons.blocks])
    assert np.all(blocks.sum(axis=0) == 1)
    assert blocks.any(axis=1).all()


def test_a_light_search_of_many_patches_takes_few_passes(monkeypatch):
    """Climbs that are not ended are directions all the same, and no worse than their starts."""
    rows, R = make_rows("max", n=40, length=20)
    monkeypatch.setattr("sklearn_convexnn.core.pricing.patches._MANY", 0)
    pricing = make_pricing(rows, np.random.default_rng(0))
    found = pricing(rows, R, constant_network(rows), effort=1)
    light = make_pricing(rows, np.random.default_rng(0))(rows, R, constant_network(rows), effort=0)
    np.testing.assert_allclose(found.values, rows.prices(found.directions, R), rtol=1e-9)
    assert found.largest >= 0.99 * light.largest
    starts = unit(np.random.default_rng(1), 6, rows.n_columns)
    ends = cross_pooled_walls(pricing.tables[0], R, starts, turns=1, sweeps=1)
    before, after = (np.linalg.norm(rows.prices(U, R), axis=1) for U in (starts, ends))
    assert np.all(after >= before * (1 - 1e-12))
