"""Arrangements of lines in a square: the convex cells on which a two-layer network is affine.

The neurons' lines ``a_j^T p + b_j = 0`` cut the plane into convex cells, and on each of them every
output of the network is an affine function.  The cells are found by cutting the unit square with
one line after the other.  They share their vertices: a vertex has one number, and whether it lies
on the left or on the right of a line, or on it, is decided once and not once per cell.  That makes
the result a tiling whatever the rounding does, for parallel, repeated and concurrent lines as well:
what a line takes from one cell it gives to the two that come out of it.

The same cut, at the values of a continuous function that is affine on every cell, gives its exact
zero set; :func:`largest_score` uses it to find where each of several functions is the largest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

# A vertex is on a line if it is closer to it than this, for a square of side 1.  Vertices are known
# to a few roundings (2e-16); a cell thinner than this is taken for a line.
SNAP = 1e-12

# Signs of all neurons in all cells, or activations at all vertices, held at once.
_BLOCK_BYTES = 64 << 20


class Cut(NamedTuple):
    """What :meth:`Cells.cut` did: new cells, and how they come from the old ones."""

    cells: Cells
    parent: np.ndarray  # (n_new_cells,), number of the old cell
    side: np.ndarray  # (n_new_cells,), 1 or -1; 0 where the function is zero on a whole cell
    ends: np.ndarray  # (n_new_vertices, 2), the edge on which a new vertex lies
    weight: np.ndarray  # (n_new_vertices,), where on that edge

    def extended(self, values):
        """Values at all vertices from those at the old ones, for functions affine on the edges."""
        first, second = values[self.ends[:, 0]], values[self.ends[:, 1]]
        weight = self.weight.reshape(-1, *(1,) * (values.ndim - 1))
        return np.concatenate([values, first + weight * (second - first)])


@dataclass(frozen=True)
class Cells:
    """Convex polygons with common vertices.

    Parameters
    ----------
    points : ndarray of shape (n_vertices, 2)
    loop : ndarray of int
        Vertex numbers of all cells, one cell after the other, each counterclockwise.
    start : ndarray of shape (n_cells + 1,)
        Where each cell begins in ``loop``.
    """

    points: np.ndarray
    loop: np.ndarray
    start: np.ndarray

    @classmethod
    def unit_square(cls):
        corners = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        return cls(corners, np.arange(4), np.array([0, 4]))

    @property
    def n_cells(self):
        return len(self.start) - 1

    @property
    def sizes(self):
        """Number of vertices of each cell."""
        return np.diff(self.start)

    def polygons(self):
        """The corners of each cell, as a list of arrays."""
        return np.split(self.points[self.loop], self.start[1:-1])

    def following(self):
        """For every place in ``loop`` the vertex that comes next in its cell."""
        return self.loop[_next_place(self.start)]

    def centres(self):
        """The mean of the corners of each cell, a point inside it."""
        sums = np.add.reduceat(self.points[self.loop], self.start[:-1], axis=0)
        return sums / self.sizes[:, None]

    def areas(self):
        """Area of each cell."""
        # Relative to a corner of its own a small cell keeps its digits.
        origin = np.repeat(self.points[self.loop[self.start[:-1]]], self.sizes, axis=0)
        here, there = self.points[self.loop] - origin, self.points[self.following()] - origin
        cross = here[:, 0] * there[:, 1] - here[:, 1] * there[:, 0]
        return 0.5 * np.add.reduceat(cross, self.start[:-1])

    def cut(self, values, tolerance=0.0):
        """Cut along the zero set of a function that is affine on every cell.

        ``values`` are those at the vertices; up to ``tolerance`` they count as zero.  Cells on
        which the function has one sign are kept; the others make two cells each.
        """
        sign = (values > tolerance).astype(np.int8) - (values < -tolerance).astype(np.int8)
        at_corners = sign[self.loop]
        highest = np.maximum.reduceat(at_corners, self.start[:-1])
        lowest = np.minimum.reduceat(at_corners, self.start[:-1])
        mixed = (highest > 0) & (lowest < 0)
        if not mixed.any():
            nothing = np.zeros((0, 2), dtype=self.loop.dtype), np.zeros(0)
            return Cut(self, np.arange(self.n_cells), highest + lowest, *nothing)
        in_mixed = np.repeat(mixed, self.sizes)
        here, there = self.loop[in_mixed], self.following()[in_mixed]
        begin = np.concatenate([[0], np.cumsum(self.sizes[mixed])])

        # One new vertex for each edge with a change of sign, however many cells it belongs to.
        crosses = sign[here] * sign[there] < 0
        edges = np.sort(np.column_stack([here[crosses], there[crosses]]), axis=1)
        n_old = len(self.points)
        keys, number = np.unique(edges[:, 0] * n_old + edges[:, 1], return_inverse=True)
        ends = np.column_stack(np.divmod(keys, n_old))
        weight = values[ends[:, 0]] / (values[ends[:, 0]] - values[ends[:, 1]])
        first, second = self.points[ends[:, 0]], self.points[ends[:, 1]]
        points = np.concatenate([self.points, first + weight[:, None] * (second - first)])

        loops, sizes = [self.loop[~in_mixed]], [self.sizes[~mixed]]
        for side in (1, -1):
            # Sutherland and Hodgman: keep the corners on this side and what lies on the line.
            keep = side * sign[here] >= 0
            count = keep.astype(np.intp) + crosses
            place = np.cumsum(count) - count
            loop = np.empty(count.sum(), dtype=self.loop.dtype)
            loop[place[keep]] = here[keep]
            loop[(place + keep)[crosses]] = n_old + number
            loops.append(loop)
            sizes.append(np.add.reduceat(count, begin[:-1]))
        old, halves = np.flatnonzero(~mixed), np.flatnonzero(mixed)
        ones = np.ones(len(halves), dtype=np.int8)
        start = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
        return Cut(
            Cells(points, np.concatenate(loops), start),
            np.concatenate([old, halves, halves]),
            np.concatenate([(highest + lowest)[old], ones, -ones]),
            ends,
            weight,
        )


def _next_place(start):
    """The place after each place of a loop, the first one after the last of every cell."""
    after = np.arange(1, start[-1] + 1)
    after[start[1:] - 1] = start[:-1]
    return after


def arrange(normals, offsets):
    """Cells of the lines ``normals @ p + offsets = 0`` in the unit square."""
    cells = Cells.unit_square()
    for normal, offset in zip(normals, offsets, strict=True):
        length = np.linalg.norm(normal)
        cells = cells.cut(cells.points @ normal + offset, SNAP * length).cells
    return cells


def largest_score(cells, scores, tolerance):
    """Cells on which one score is the largest throughout, and which one it is.

    Classes are taken in one after the other: the next one gets the part of the plane on which its
    score exceeds the largest so far, a function that is affine on every cell.  Scores that differ
    by no more than ``tolerance`` tie, and ties go to the first class, as in ``argmax``.

    Parameters
    ----------
    cells : Cells
    scores : ndarray of shape (n_vertices, n_classes)
        At the vertices; affine on every cell.
    tolerance : float

    Returns
    -------
    cells : Cells
    label : ndarray of shape (n_cells,)
    """
    label = np.zeros(cells.n_cells, dtype=np.intp)
    best = scores[:, 0]
    for k in range(1, scores.shape[1]):
        cut = cells.cut(scores[:, k] - best, tolerance)
        scores, best = cut.extended(scores), cut.extended(best)
        best = np.maximum(best, scores[:, k])
        cells, label = cut.cells, np.where(cut.side > 0, k, label[cut.parent])
    return cells, label


def clip_lines(normals, offsets):
    """Where lines cross the unit square: segments (k, 2, 2) and the numbers of their lines (k,)."""
    corners = Cells.unit_square().points
    values = normals @ corners.T + offsets[:, None]
    # A line along a side of the square does not cut it.
    crosses = np.flatnonzero((values.min(axis=1) < 0) & (values.max(axis=1) > 0))
    segments = np.empty((len(crosses), 2, 2))
    for row, j in enumerate(crosses):
        ends = []
        for here, there in zip(range(4), (1, 2, 3, 0), strict=True):
            one, other = values[j, here], values[j, there]
            if one == 0.0:
                ends.append(corners[here])
            elif one * other < 0:
                ends.append(corners[here] + one / (one - other) * (corners[there] - corners[here]))
        segments[row] = ends
    return segments, crosses


# ------------------------------------------------------------------- networks on the unit square


def in_blocks(function, points, width):
    """``function`` of blocks of points, joined; ``width`` numbers per point are held at once."""
    step = max(1, _BLOCK_BYTES // (8 * max(1, width)))
    blocks = [function(points[i : i + step]) for i in range(0, max(1, len(points)), step)]
    return np.concatenate(blocks)


def affine_pieces(points, W, bias, C, b0):
    """Gradient (N, K, 2) and constant (N, K) of the network at points inside cells."""

    def pieces(block):
        active = (block @ W + bias > 0).astype(float)
        products = (W[:, :, None] * C).transpose(1, 2, 0).reshape(len(bias), -1)
        gradients = (active @ products).reshape(len(block), C.shape[1], len(W))
        constants = active @ (bias[:, None] * C) + b0
        return np.concatenate([gradients, constants[:, :, None]], axis=2)

    both = in_blocks(pieces, points, W.shape[1])
    return both[:, :, :-1], both[:, :, -1]
