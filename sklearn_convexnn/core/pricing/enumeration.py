"""The largest price exactly, where all activation patterns can be gone through.

On the closed cone of one pattern ``D`` the price is ``||G u||``, ``G = R^T D A``.  Its maximum over
the unit ball lies in the relative interior of some face of that cone, and there it is a local
maximum of ``||G u||`` over the unit sphere of the face's span.  A quadratic form on a sphere has no
local maxima but global ones, so that the maximum is at the top right singular vector of ``G``
restricted to that span (if several are tied, a smaller face has one, too).  Hence

    kappa(R) = max of ||R^T (A u)_+|| over the top singular vectors u of all faces,            (1)

for any number of outputs: a candidate that lies elsewhere is priced as what it is and does no harm.
For one output (1) equals the maximum of the non-negative least squares problems

    kappa(R) = max over patterns D and signs s of min_{l >= 0} ||A^T D s r + A^T (2 D - I) l||.

The faces are the cells of the rows restricted to intersections of hyperplanes, down to planes,
where the arcs between sorted angles have all of them.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.patterns.enumeration import (
    complement,
    count_bound,
    distinct_lines,
    halves_of_cells,
    reduce_rank,
)
from sklearn_convexnn.core.patterns.mixtures import best_in_cell
from sklearn_convexnn.core.pricing.plane import best_on_arcs
from sklearn_convexnn.core.problem.directions import normalise

# Activations of all rows for directions of one block.
_BLOCK_BYTES = 32 << 20


def n_patterns_at_most(A):
    """A bound of the number of activation patterns of rows, without enumerating them."""
    lines = distinct_lines(A)
    return count_bound(len(lines), reduce_rank(lines)[0].shape[1])


def price_by_enumeration(A, R):
    """``kappa(R) = max_{||u|| <= 1} ||R^T (A u)_+||`` by (1), up to rounding.

    Parameters
    ----------
    A : ndarray of shape (n, p)
    R : ndarray of shape (n, C)
    """
    return _largest_in_faces(A, R, 0.0)


def price_of_spike_free(A, r):
    """``kappa(r)`` for one output and spike-free rows: every ``(A u)_+`` is an ``A w >= 0``.

    So the price is linear on the one cone in which all rows are active.
    """
    prices = [best_in_cell(A, sign * r, np.ones(len(r)))[1] for sign in (1, -1)]
    return float(max(np.linalg.norm(price) for price in prices))


def _largest_in_faces(A, R, best):
    """The larger of ``best`` and the largest price of the rows, in coordinates of their own."""
    A = reduce_rank(A)[0]
    rank = A.shape[1]
    if rank == 0:
        return best
    if rank == 1:
        return max(best, _largest_price(A, R, np.array([[1.0], [-1.0]])))
    if rank == 2:
        return max(best, _largest_price(A, R, best_on_arcs(A, R, 1)))
    lines = distinct_lines(A)
    for normal in lines:
        best = max(best, _largest_in_faces(A @ complement(normal), R, best))
    for k, normal in enumerate(lines):
        best = _largest_inside(A, R, halves_of_cells(lines[:k], normal), best)
    return best


def _largest_inside(A, R, directions, best):
    """The larger of ``best`` and the tops of the cells in which the directions lie."""
    (n, rank), n_outputs = A.shape, R.shape[1]
    products = (R[:, :, None] * A[:, None, :]).reshape(n, -1)
    step = max(1, _BLOCK_BYTES // (8 * n))
    for start in range(0, len(directions), step):
        active = directions[start : start + step] @ A.T > 0
        G = (active.astype(float) @ products).reshape(-1, n_outputs, rank)
        values, vectors = np.linalg.eigh(G.transpose(0, 2, 1) @ G)
        # No price in a cell exceeds the largest singular value.
        top = vectors[values[:, -1] > best**2, :, -1]
        for block in range(0, len(top), step):
            tops = top[block : block + step]
            best = max(best, _largest_price(A, R, np.concatenate([tops, -tops])))
    return best


def _largest_price(A, R, U):
    prices = np.maximum(normalise(U) @ A.T, 0) @ R
    return float(np.linalg.norm(prices, axis=1).max(initial=0.0))
