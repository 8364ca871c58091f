"""Cells of line arrangements: they tile the square, whatever the lines are, and merge exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_convexnn.core.geometry.planar_cells import (
    Cells,
    affine_pieces,
    arrange,
    clip_lines,
    largest_score,
)
from sklearn_convexnn.core.geometry.regions import merge, ring_area


def random_lines(m, seed=0):
    """Lines in general position through the middle of the square."""
    rng = np.random.default_rng(seed)
    angle, through = rng.uniform(0, np.pi, m), rng.uniform(0.3, 0.7, (m, 2))
    normals = np.column_stack([np.cos(angle), np.sin(angle)])
    return normals, -(normals * through).sum(axis=1)


def n_crossings(normals, offsets):
    """How many pairs of lines meet inside the square."""
    count = 0
    for i in range(len(normals)):
        for j in range(i):
            point = np.linalg.solve(normals[[i, j]], -offsets[[i, j]])
            count += bool(np.all((point > 0) & (point < 1)))
    return count


def assert_tiles(cells, n_points=0):
    """Positive areas that sum to 1, and every inner edge belongs to two cells."""
    areas = cells.areas()
    assert abs(areas.sum() - 1) < 1e-13
    assert areas.min() > -1e-15
    edges = np.column_stack([cells.loop, cells.following()])
    known = {tuple(edge) for edge in edges.tolist()}
    assert len(known) == len(edges)
    for a, b in known:
        ends = cells.points[[a, b]]
        outside = any((ends[:, axis] == side).all() for axis in (0, 1) for side in (0.0, 1.0))
        assert ((b, a) in known) != outside


def test_one_line():
    cells = arrange(np.array([[1.0, 0.0]]), np.array([-0.25]))
    areas = sorted(cells.areas().tolist())
    assert areas == [0.25, 0.75]
    assert sorted(map(len, cells.polygons())) == [4, 4]


@pytest.mark.parametrize("m", [1, 2, 5, 30])
def test_number_of_cells(m):
    """1 + lines + crossings in the square, for lines in general position."""
    lines = random_lines(m)
    cells = arrange(*lines)
    assert cells.n_cells == 1 + m + n_crossings(*lines)
    assert_tiles(cells)


def test_every_cell_is_on_one_side_of_every_line():
    normals, offsets = random_lines(25, seed=1)
    cells = arrange(normals, offsets)
    sides = cells.points @ normals.T + offsets
    for corners in np.split(cells.loop, cells.start[1:-1]):
        assert np.all((sides[corners].min(axis=0) > -1e-11) | (sides[corners].max(axis=0) < 1e-11))


@pytest.mark.parametrize(
    "lines, n_cells",
    [
        ("repeated", 4),
        ("reversed", 2),
        ("parallel", 4),
        ("concurrent", 12),
        ("nearly concurrent", None),
        ("through corners", 4),
        ("along the sides", 1),
        ("outside", 1),
        ("no line", 1),
    ],
)
def test_special_positions(lines, n_cells):
    angle = np.pi * np.arange(6) / 6 + 0.1
    star = np.column_stack([np.cos(angle), np.sin(angle)])
    shifts = 1e-11 * np.random.default_rng(0).standard_normal(6)
    normals, offsets = {
        "repeated": ([[3, 4], [6, 8], [0.3, 0.4], [4, 3]], [-3.5, -7, -0.35, -3.5]),
        "reversed": ([[1, 1], [-1, -1]], [-0.7, 0.7]),
        "parallel": ([[1, 2]] * 3, [-0.5, -0.6, -1.3]),
        "concurrent": (star, -star @ [0.4, 0.6]),
        "nearly concurrent": (star, -star @ [0.4, 0.6] + shifts),
        "through corners": ([[1, -1], [1, 1]], [0, -1]),
        "along the sides": ([[1, 0], [0, 1], [1, 0], [0, 1]], [0, 0, -1, -1]),
        "outside": ([[1, 1], [1, 0]], [1, 5]),
        "no line": ([[0, 0], [0, 0]], [0, 1]),
    }[lines]
    cells = arrange(np.array(normals, dtype=float), np.array(offsets, dtype=float))
    assert n_cells is None or cells.n_cells == n_cells
    assert_tiles(cells)


@given(
    st.lists(st.tuples(*[st.integers(-4, 4)] * 3), max_size=14), st.sampled_from([0, 1e-13, 1e-9])
)
def test_lines_of_small_integers_always_tile(lines, noise):
    """Rich in parallel, repeated and concurrent lines, exactly or up to a perturbation."""
    lines = np.array(lines, dtype=float).reshape(-1, 3)
    lines += noise * np.random.default_rng(0).standard_normal(lines.shape)
    cells = arrange(lines[:, :2], lines[:, 2] / 2)
    assert_tiles(cells)


def test_cut_gives_the_zero_set_of_an_affine_function():
    cells = arrange(*random_lines(10))
    values = cells.points @ [2.0, 1.0] - 1.5
    cut = cells.cut(values, 1e-12)
    extended = cut.extended(values)
    np.testing.assert_allclose(extended, cut.cells.points @ [2.0, 1.0] - 1.5, atol=1e-14)
    # {2x + y > 3/2} in the square is a trapezium between x = 3/4 and x = 1/4.
    assert cut.cells.areas()[cut.side > 0].sum() == pytest.approx(0.5, abs=1e-13)
    assert cut.cells.areas()[cut.side < 0].sum() == pytest.approx(0.5, abs=1e-13)
    np.testing.assert_array_equal(np.unique(cut.parent), np.arange(cells.n_cells))


def test_largest_of_three_scores():
    """max(0, x - 1/2, y - 1/2): a square and two trapezia."""
    cells = Cells.unit_square()
    x, y = cells.points.T
    scores = np.column_stack([0 * x, x - 0.5, y - 0.5])
    cells, label = largest_score(cells, scores, 1e-12)
    areas = np.bincount(label, weights=cells.areas())
    np.testing.assert_allclose(areas, [0.25, 0.375, 0.375], atol=1e-15)
    assert_tiles(cells)


def test_ties_go_to_the_first_class():
    cells = arrange(*random_lines(4))
    _, label = largest_score(cells, np.zeros((len(cells.points), 3)), 0.0)
    assert not label.any()
    scores = np.column_stack([-np.ones(len(cells.points)), *np.zeros((2, len(cells.points)))])
    _, label = largest_score(cells, scores, 0.0)
    assert np.all(label == 1)


def test_clip_lines():
    segments, numbers = clip_lines(
        np.array([[1.0, 0], [1, -1], [1, 1], [0, 1]]), np.array([-0.25, 0, 3, 0])
    )
    np.testing.assert_array_equal(numbers, [0, 1])
    np.testing.assert_allclose(np.sort(segments[0], axis=0), [[0.25, 0], [0.25, 1]])
    np.testing.assert_allclose(np.sort(segments[1], axis=0), [[0, 0], [1, 1]])


def test_affine_pieces_reproduce_the_network():
    rng = np.random.default_rng(0)
    normals, offsets = random_lines(12)
    C, b0 = rng.standard_normal((12, 3)), rng.standard_normal(3)
    cells = arrange(normals, offsets)
    gradients, constants = affine_pieces(cells.centres(), normals.T, offsets, C, b0)
    for i, corners in enumerate(cells.polygons()):
        expected = np.maximum(corners @ normals.T + offsets, 0) @ C + b0
        np.testing.assert_allclose(corners @ gradients[i].T + constants[i], expected, atol=1e-12)


# --------------------------------------------------------------------------------------- merging


def grid(n):
    """The n x n chessboard of cells."""
    steps = np.arange(1, n) / n
    return arrange(np.repeat(np.eye(2), n - 1, axis=0), -np.tile(steps, 2))


def label_by_centre(cells, function):
    return function(cells.centres()).astype(int)


def test_merge_joins_everything_of_one_label():
    cells = arrange(*random_lines(20))
    merged = merge(cells, np.zeros(cells.n_cells, dtype=int))
    assert merged.labels == [0]
    assert len(merged.borders) == 0
    (ring,) = merged.rings[0]
    assert sorted(map(tuple, ring.tolist())) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_merge_finds_holes():
    """A square with a square hole: the hole is a ring in the opposite sense."""
    cells = grid(4)
    label = label_by_centre(cells, lambda p: np.abs(p - 0.5).max(axis=1) < 0.25)
    merged = merge(cells, label)
    by_label = dict(zip(merged.labels, merged.rings, strict=True))
    assert [ring_area(ring) for ring in by_label[0]] == [1.0, -0.25]
    assert [ring_area(ring) for ring in by_label[1]] == [0.25]
    assert all(len(ring) == 4 for rings in merged.rings for ring in rings)
    assert np.linalg.norm(merged.borders[:, 1] - merged.borders[:, 0], axis=1).sum() == 2.0


@pytest.mark.parametrize("n", [2, 5])
def test_merge_separates_regions_that_touch_in_a_corner(n):
    cells = grid(n)
    label = label_by_centre(cells, lambda p: np.floor(n * p).sum(axis=1) % 2)
    merged = merge(cells, label)
    assert len(merged.labels) == n * n
    for rings in merged.rings:
        assert [ring_area(ring) for ring in rings] == [pytest.approx(1 / n**2)]


def test_merge_of_a_region_that_touches_itself():
    """A ring of cells that closes in one corner only encloses the other label."""
    cells = grid(3)
    inside = {(0, 0), (1, 0), (2, 0), (0, 1), (0, 2), (1, 2), (2, 1)}
    label = label_by_centre(
        cells, lambda p: np.array([tuple(q) in inside for q in np.floor(3 * p).astype(int)])
    )
    merged = merge(cells, label)
    areas = sorted((k, sum(map(ring_area, rings))) for k, rings in zip(*merged[:2], strict=True))
    np.testing.assert_allclose(areas, [[0, 1 / 9], [0, 1 / 9], [1, 7 / 9]], atol=1e-15)


@pytest.mark.parametrize("seed", range(3))
def test_merged_areas_are_those_of_the_cells(seed):
    cells = arrange(*random_lines(25, seed))
    label = np.random.default_rng(seed).integers(0, 3, cells.n_cells)
    merged = merge(cells, label)
    areas = np.zeros(3)
    for k, rings in zip(merged.labels, merged.rings, strict=True):
        assert ring_area(rings[0]) > 0
        assert all(ring_area(ring) < 0 for ring in rings[1:])
        areas[k] += sum(map(ring_area, rings))
    np.testing.assert_allclose(areas, np.bincount(label, weights=cells.areas()), atol=1e-13)
