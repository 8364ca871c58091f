"""Activation patterns: which rows a direction switches on, and how all of them are enumerated.

The hyperplanes ``x_i^T u = 0`` cut the space of directions into open convex cones, the cells of a
central arrangement; on each of them the pattern ``x_i^T u > 0`` is constant.  Rows of rank r in
general position have

    P(n, r) = 2 sum_{k < r} C(n - 1, k)                                                        (1)

patterns, any others fewer.  All are found by recursion over the rank.  Put the hyperplanes in one
after the other: a cell of the complete arrangement has a last hyperplane among its facets, say k,
and no later one bounds it, so that it is one of the two halves into which hyperplane k cut a cell
of the earlier ones.  Those cut cells are the cells of the earlier rows *restricted to* hyperplane
k, an arrangement of rank r - 1.  Rank 2 is sorted by angles.  Compared with linear programs, one
for each cell and row, this takes a few array operations for each set of r - 2 rows, and every cell
comes with a point well inside it.
"""

from __future__ import annotations

from math import comb
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from sklearn_convexnn.core.problem.directions import normalise

# Unit rows closer than this (or to the negative of one another) are parallel, and singular values
# below this fraction of the largest are none.
_PARALLEL = 1e-10
_RANK = 1e-10
# A unit direction this near to a hyperplane is on it, up to the rounding of a few products.
_ON_HYPERPLANE = 64 * np.finfo(float).eps


class Patterns(NamedTuple):
    """Activation patterns with one direction (gate) for each.

    ``active[i, j]`` is ``x_i^T gates[:, j] > 0``; no two columns of ``active`` are equal.
    """

    gates: np.ndarray  # (p, P)
    active: np.ndarray  # (n, P) of bool

    @property
    def n_patterns(self):
        return self.gates.shape[1]

    def without_idle(self):
        """Without the pattern in which no row is active."""
        kept = self.active.any(axis=0)
        return Patterns(self.gates[:, kept], self.active[:, kept])


def from_directions(X, gates):
    """The different patterns of given directions, in the order of their first appearance.

    Parameters
    ----------
    X : ndarray or CSR array of shape (n, p)
    gates : ndarray of shape (p, P)

    Returns
    -------
    Patterns
    """
    gates = np.asarray(gates, dtype=np.float64)
    return distinct(gates, np.asarray(X @ gates > 0))


def distinct(gates, active):
    """Gates with the patterns ``active`` (n, P), of those with equal ones the first."""
    first = _first_of_equals(np.packbits(active, axis=0).T)
    return Patterns(gates[:, first], active[:, first])


def sample(X, n_patterns, rng):
    """The different patterns of ``n_patterns`` random directions, uniform on the sphere.

    The directions do not depend on the rows, so that repeated rows and another order of the rows
    give the same gates, and more of them begin with the same ones.
    """
    directions = rng.standard_normal((n_patterns, X.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return from_directions(X, directions.T)


def count_bound(n_rows, rank):
    """The number (1) of patterns of rows in general position, an upper bound for any others."""
    if n_rows == 0 or rank == 0:
        return 1
    return 2 * sum(comb(n_rows - 1, k) for k in range(rank))


def enumerate_patterns(X, max_patterns=100_000):
    """All activation patterns of rows of any rank.

    Directions on a hyperplane ``x_i^T u = 0`` are left out: the closures of the open cells cover
    the space, which is all that a ReLU needs.  Zero rows are never active.  Rows are told from
    parallel ones, and the rank from a smaller one, up to a relative 1e-10.

    Parameters
    ----------
    X : ndarray or CSR array of shape (n, p)
    max_patterns : int
        Refuse to begin where the bound (1) on their number is larger.

    Returns
    -------
    Patterns
        With unit gates in the span of the rows.

    Raises
    ------
    ValueError
        If there may be more than ``max_patterns`` patterns.
    """
    lines = distinct_lines(X)
    reduced, basis = reduce_rank(lines)
    n, rank = reduced.shape
    bound = count_bound(n, rank)
    if bound > max_patterns:
        raise ValueError(
            f"{n} distinct rows of rank {rank} may have {_readable(bound)} activation patterns, "
            f"more than max_patterns={max_patterns}: sample patterns, raise max_patterns, or "
            "reduce the number of features."
        )
    directions = _cell_directions(reduced)
    return from_directions(X, normalise(directions @ basis.T).T)


def distinct_lines(X, tolerance=_PARALLEL):
    """Unit rows, one for each set of parallel rows of either direction; none for zero rows."""
    rows = X.toarray() if sparse.issparse(X) else np.asarray(X)
    rows = rows.astype(np.float64)
    largest = np.abs(rows).max(axis=1, initial=0.0)
    # Dividing by the largest entry first: squares of extreme entries would over- or underflow.
    rows, largest = rows[largest > 0], largest[largest > 0]
    if not len(rows):
        return rows
    rows = normalise(rows / largest[:, None])
    n = len(rows)
    pairs = cKDTree(np.concatenate([rows, -rows])).query_pairs(tolerance, output_type="ndarray") % n
    if not len(pairs):
        return rows
    links = sparse.coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, group = connected_components(links, directed=False)
    return rows[np.sort(np.unique(group, return_index=True)[1])]


def reduce_rank(rows, tolerance=_RANK):
    """Coordinates (n, r) of rows in an orthonormal basis (p, r) of their span."""
    if not len(rows):
        return np.zeros((0, 0)), np.zeros((rows.shape[1], 0))
    _, sizes, basis = np.linalg.svd(rows, full_matrices=False)
    basis = basis[sizes > tolerance * sizes[0]].T
    return rows @ basis, basis


# ---------------------------------------------------------------------------------- the recursion


def _cell_directions(A):
    """A direction inside every cell of rows (n, r) of full rank, none parallel; with repeats."""
    n, rank = A.shape
    if n == rank:
        # Independent rows have all patterns: A u = s for all signs s.
        signs = 1.0 - 2.0 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
        return normalise(np.linalg.solve(A, signs.T).T)
    if rank == 2:
        return _arc_middles(A)
    directions = np.concatenate([halves_of_cells(A[:k], A[k]) for k in range(n)])
    # A half that a later hyperplane cuts is no cell.  Where its direction lies on that hyperplane
    # rounding would decide on which side, or on none; the cells beside it have other directions.
    return directions[np.abs(directions @ A.T).min(axis=1) > _ON_HYPERPLANE]


def halves_of_cells(earlier, normal):
    """Directions inside the halves of all cells of the earlier rows that one hyperplane cuts."""
    tangent = complement(normal)
    reduced, basis = reduce_rank(distinct_lines(earlier @ tangent))
    within = _cell_directions(reduced) @ basis.T @ tangent.T
    return _off_both_sides(earlier, normal, within)


def _off_both_sides(earlier, normal, directions):
    """Step off a hyperplane to both sides, half of the way to the nearest of the earlier ones."""
    distances = np.abs(directions @ earlier.T)
    slopes = np.abs(earlier @ normal)
    with np.errstate(over="ignore"):
        # A hyperplane along the normal is never met, wherever the direction is.
        reach = np.divide(distances, slopes, out=np.full_like(distances, np.inf), where=slopes > 0)
    step = 0.5 * np.min(reach, axis=1, initial=1.0)
    step = step[:, None] * normal
    return normalise(np.concatenate([directions + step, directions - step]))


def _arc_middles(A):
    """The middle of every arc into which rows (n, 2) cut the circle."""
    angle = np.mod(np.arctan2(A[:, 1], A[:, 0]) + 0.5 * np.pi, np.pi)
    borders = np.sort(np.concatenate([angle, angle + np.pi]))
    middle = borders + 0.5 * np.diff(borders, append=borders[0] + 2 * np.pi)
    return np.column_stack([np.cos(middle), np.sin(middle)])


def complement(normal):
    """An orthonormal basis (r, r - 1) of the hyperplane with a unit normal, by one reflection."""
    # The Householder reflection that takes the normal to a multiple of the first axis.
    vector = normal.copy()
    vector[0] += np.copysign(1.0, normal[0])
    reflection = np.eye(len(normal)) - np.outer(vector, vector) * (2.0 / (vector @ vector))
    return reflection[:, 1:]


def _first_of_equals(packed):
    """Numbers of the rows of bytes that no earlier row equals, in order."""
    if packed.shape[1] == 0:
        return np.arange(min(1, len(packed)))
    keys = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1])))[:, 0]
    return np.sort(np.unique(keys, return_index=True)[1])


def _readable(number):
    return f"{number}" if number < 10**7 else f"{number:.2e}"
