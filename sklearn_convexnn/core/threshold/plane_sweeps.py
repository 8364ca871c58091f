"""The best half-space in a plane of directions, exactly.

In the plane of ``u`` and ``v`` every row switches at one angle: sorted, the sums of the residual
over the rows that are on are cumulative sums, O(n log n) for all patterns of the plane.  As the
residual sums to zero a pattern and its complement have one price, and half a turn is enough.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.problem.directions import normalise

# Arcs that are no wider have no inside: the rows at both ends switch together.
_LEAST_ARC = 1e-12
# Numbers in one array of a batch of planes: what a second-level cache holds of several.
_BATCH = 1 << 15
# Rows from which on they are not sorted but put into bins of so many, on average.
_MANY_ROWS, _ROWS_PER_BIN = 1000, 8


def plane_sweep(A, R, U, V):
    """The best direction in each plane; ``u`` itself where none is better.

    Parameters
    ----------
    A : ndarray of shape (n, p)
    R : ndarray of shape (n, C), of column sums zero
    U, V : ndarrays of shape (s, p)
        ``U`` has unit rows.

    Returns
    -------
    ndarray of shape (s, p), unit rows
    ndarray of shape (s,)
        Their prices ``||sum_i R_i 1[a_i^T u > 0]||``.
    """
    V = normalise(V - np.einsum("sp,sp->s", V, U)[:, None] * U)
    size = max(1, _BATCH // len(A))
    parts = [
        _sweep(A, R, U[start : start + size], V[start : start + size])
        for start in range(0, len(U), size)
    ]
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _sweep(A, R, U, V):
    places, on = _switches(U @ A.T, V @ A.T)
    at_start = on @ R
    found, size = -np.ones(len(U)), np.linalg.norm(at_start, axis=1)
    ends = np.zeros((2, len(U)))
    planes = np.arange(len(U))
    if len(A) >= _MANY_ROWS:
        sought, found, ends = _sweep_in_bins(places, on, R, at_start)
        planes = np.flatnonzero(found < sought)
    if len(planes):
        arcs = _sweep_in_order(places[planes], on[planes], R, at_start[planes])
        found[planes], ends[:, planes] = arcs
    better = found > size * (1.0 + 1e-12)
    t = np.where(better, _between(*ends), 0.0)
    directions = normalise(np.cos(t)[:, None] * U + np.sin(t)[:, None] * V)
    return directions, np.where(better, found, size)


def _sweep_in_order(places, on, R, at_start):
    """The largest price on the arcs of every plane, and where that arc begins and ends."""
    order, places, after = _sorted(places)
    turn, squares = 1.0 - 2.0 * on, 0.0
    for r, base in zip(R.T, at_start.T, strict=True):
        sums = np.take(turn * r, order)
        np.cumsum(sums, axis=1, out=sums)
        sums += base[:, None]
        sums *= sums
        squares = squares + sums
    squares[_no_inside(places, after)] = -1.0
    each, best = np.arange(len(places)), np.argmax(squares, axis=1)
    found = np.sqrt(np.maximum(squares[each, best], 0.0))
    return found, np.stack([places[each, best], after[each, best]])


def _sweep_in_bins(places, on, R, at_start):
    """The same for many rows, of which few are sorted.

    Sums at the edges of bins take no order, and in a bin no price is larger than the mean of those
    at its edges and of the residuals within: only bins where that is more than the largest at an
    edge are looked into.  Returns that largest one beside, which there may be no arc for, as edges
    part rows that switch together.
    """
    (s, n), C = places.shape, R.shape[1]
    bins, n_bins = _bins(places)
    turned = (1.0 - 2.0 * on)[:, :, None] * R

    def summed(values):
        return np.bincount(bins, weights=values.ravel(), minlength=s * n_bins).reshape(s, n_bins)

    steps = np.stack([summed(turned[:, :, c]) for c in range(C)], axis=2)
    inside = summed(np.broadcast_to(np.linalg.norm(R, axis=1), (s, n)))
    above = np.cumsum(steps, axis=1) + at_start[:, None]
    below = above - steps
    sizes = np.linalg.norm(above, axis=2)
    sought = np.where(inside > 0, sizes, 0.0).max(axis=1)
    most = 0.5 * (np.linalg.norm(below, axis=2) + sizes + inside)
    sought *= 1.0 - 1e-12  # rounding of sums
    hopeful = (inside > 0) & (most >= sought[:, None])

    rows = np.flatnonzero(hopeful.ravel()[bins])
    rows = rows[np.lexsort((places.ravel()[rows], bins[rows]))]
    own, begin = bins[rows], places.ravel()[rows]
    prices = _prices_within(own, turned.reshape(-1, C)[rows], below.reshape(-1, C))
    end = _ends_within(own, begin, n_bins)
    prices[_no_inside(begin, end)] = -1.0
    starts = np.searchsorted(own, n_bins * np.arange(s))
    best = starts + np.array([np.argmax(part) for part in np.split(prices, starts[1:])])
    return sought, prices[best], np.stack([begin[best], end[best]])


def _bins(places):
    """The bin of every row of every plane, flat, and how many a plane has; see :func:`_edges`."""
    s, n = places.shape
    n_bins = 1 << int(n / _ROWS_PER_BIN).bit_length()
    with np.errstate(invalid="ignore"):
        parts = places / (1.0 + np.abs(places))  # in [-1, 1], in the same order
    parts[np.isinf(places)] = 1.0
    bins = np.minimum(((parts + 1.0) * (n_bins / 2)).astype(np.intp), n_bins - 1)
    bins += n_bins * np.arange(s)[:, None]
    return bins.ravel(), n_bins


def _edges(bins, n_bins):
    """The place where each of the bins ends; infinity for the last of a plane."""
    parts = 2.0 * (bins % n_bins + 1) / n_bins - 1.0
    with np.errstate(divide="ignore"):
        return parts / (1.0 - np.abs(parts))


def _prices_within(own, turned, below):
    """Prices behind rows in the order of their bins ``own``, from the sums ``below`` each bin."""
    first = np.flatnonzero(np.diff(own, prepend=-1))
    sums = np.cumsum(turned, axis=0)
    before = sums[first] - turned[first]
    lengths = np.diff(first, append=len(own))
    sums += np.repeat(below[own[first]] - before, lengths, axis=0)
    return np.linalg.norm(sums, axis=1)


def _ends_within(own, begin, n_bins):
    """Where the arcs behind such rows end: at the next row, behind the last at the bin's edge."""
    end = np.append(begin[1:], np.inf)
    last = np.flatnonzero(np.diff(own, append=-1))
    end[last] = _edges(own[last], n_bins)
    return end


def _switches(a, b):
    """Where in (0, pi] rows switch, and which are on just before the first of them.

    As minus the cotangents of the angles, which rise with them, and infinity for pi.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        places = b / a
    places[a == 0] = np.inf
    return places, (a > 0) | ((a == 0) & (b > 0))


def _sorted(places):
    """Switches of every plane in order, as flat indices; where they are, and the next ones."""
    order = np.argsort(places, axis=1)
    order += len(places.T) * np.arange(len(places))[:, None]
    places = np.take(places, order)
    return order, places, np.column_stack([places[:, 1:], np.full(len(places), np.inf)])


def _no_inside(places, after):
    """Arcs between switches at one angle, up to rounding.

    Of the angle between ``-cot`` p and q the sine is ``(q - p) / sqrt((1 + p^2) (1 + q^2))``, the
    cosine has the sign of ``1 + p q``.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        # That is ``(q - p) / (1 + p^2)`` where the two are close.
        narrow = (after - places <= 2.0 * _LEAST_ARC * (1.0 + places * places)) | np.isinf(after)
        p, q = places[narrow], after[narrow]
        sine = np.where(np.isinf(q), 1.0, (q - p) / np.hypot(1.0, q)) / np.hypot(1.0, p)
        ahead = np.where(np.isinf(q), p > 0, 1.0 + p * q > 0)
        narrow[narrow] = (sine <= _LEAST_ARC) & ahead
    return narrow


def _between(first, last):
    """The angle in the middle."""
    return 0.5 * (np.arctan2(1.0, -first) + np.arctan2(1.0, -last))


def sweep_all_planes(A, R):
    """The best half-space of rows of rank 3: ``(p,)`` and its price.

    Every cell of their arrangement has an edge, on the circle of directions orthogonal to one of
    the rows: n sweeps, each with that row on and off, meet all patterns; O(n^2 log n).  No two
    rows may be parallel.
    """
    n, rows = len(A), normalise(A)
    U, V = _orthogonal_basis(rows)
    best, direction = -1.0, np.zeros(3)
    size = max(1, _BATCH // n)
    for start in range(0, n, size):
        pivots = np.arange(start, min(start + size, n))
        a, b = U[pivots] @ rows.T, V[pivots] @ rows.T
        own = np.arange(len(pivots)), pivots
        a[own] = b[own] = 0.0
        places, on = _switches(a, b)
        on[own] = False
        order, places, after = _sorted(places)
        turn = np.where(on, -1.0, 1.0)
        turn[own] = 0.0
        turn, order = np.take(turn, order), order % n
        squares = np.zeros((2, *a.shape))
        for r in R.T:
            off = (on @ r)[:, None] + np.cumsum(turn * r[order], axis=1)
            squares[0] += off**2
            squares[1] += (off + r[pivots][:, None]) ** 2
        squares[:, _no_inside(places, after)] = -1.0
        state, k, i = np.unravel_index(int(np.argmax(squares)), squares.shape)
        if squares[state, k, i] > best:
            best = float(squares[state, k, i])
            t = _between(places[k, i], after[k, i])
            pivot = pivots[k]
            u = np.cos(t) * U[pivot] + np.sin(t) * V[pivot]
            direction = _beside(rows, u, pivot, 1.0 if state else -1.0)
    return direction, float(np.sqrt(max(best, 0.0)))


def _orthogonal_basis(rows):
    """Two unit vectors orthogonal to each of the unit rows (n, 3) and to each other."""
    axis = np.eye(3)[np.argmin(np.abs(rows), axis=1)]
    U = normalise(np.cross(rows, axis))
    return U, np.cross(rows, U)


def _beside(rows, u, pivot, side):
    """A direction next to ``u`` with the row ``pivot`` on one side, all others as they are."""
    others = np.delete(np.arange(len(rows)), pivot)
    room = np.abs(rows[others] @ u)
    room = room[room > 0]
    return normalise((u + side * 0.5 * min(1.0, room.min(initial=1.0)) * rows[pivot])[None])[0]
