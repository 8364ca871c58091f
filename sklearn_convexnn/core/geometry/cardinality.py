"""How few neurons can produce given outputs on given rows: proven bounds.

For rows ``a_i`` and outputs ``Z`` (n, K) let ``m*`` be the smallest number of neurons with

    Z = sum_j (A u_j)_+ c_j^T + 1 b0^T

where ``b0`` is free, or zero.  Finding it is combinatorial; each function here proves a bound.
Outputs are known up to ``noise``, and what counts as zero is always chosen such that rounding can
only weaken a lower bound.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from sklearn_convexnn.core.patterns.mixtures import nearest_in_cone

# What is below this fraction of the terms that add up to an output is taken for rounding.
NOISE = 1e-9
# The linear programs are solved to about this accuracy, relative to the outputs.
_LP_NOISE = 1e-6


def rank(M, noise=None):
    """The smallest rank of a matrix whose entries differ from those of ``M`` by at most ``noise``.

    Without a noise level ``NOISE`` times the largest entry is taken.
    """
    if noise is None:
        noise = NOISE * np.abs(M).max(initial=0.0)
    # Singular values move by no more than the Frobenius norm of the change.
    return int(np.sum(np.linalg.svd(M, compute_uv=False) > noise * np.sqrt(M.size)))


def rank_bound(Z, intercept, noise=0.0):
    """A lower bound of ``m*`` for any rows, from the factorisation ``Z = H C`` with ``H >= 0``.

    ``m* >= rank(Z)``; with a free ``b0`` the rank of the centred outputs.  Without it, ``m* =
    rank(Z) = r`` would mean linearly independent ``c_j`` and hence a vector ``s`` with ``c_j^T s =
    1`` for all j, so that ``Z s = H 1`` is positive wherever a row of ``Z`` is not zero: if the
    rows of ``Z`` positively span their span, there is no such ``s`` and ``m* >= r + 1``.
    """
    noise = max(noise, NOISE * np.abs(Z).max())
    if intercept:
        return rank(Z - Z.mean(axis=0), 2 * noise)
    r = rank(Z, noise)
    return r + int(r > 0 and _spans_positively(Z, r, noise))


def _spans_positively(Z, r, noise):
    """Whether every vector in the span of the rows of ``Z`` is a non-negative combination."""
    # Rows far from zero only: their directions are known.
    Z = Z[np.linalg.norm(Z, axis=1) > 1e3 * noise]
    if len(Z) <= r:
        return False
    basis = np.linalg.svd(Z, full_matrices=False)[2][:r]
    rows = Z @ basis.T
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for direction in (*np.eye(r), *-np.eye(r)):
        coefficients, residual = nearest_in_cone(direction, rows, np.ones(len(rows)))
        # Huge coefficients would mean that rounding decides.
        if np.linalg.norm(residual) > NOISE or coefficients.max() > 1e6:
            return False
    return True


def sufficient_for_independent_rows(Z, intercept, noise=0.0):
    """``m*`` where the rows, with their constant if there is one, are linearly independent.

    Every non-negative vector is then an activation.  With a free ``b0`` one has ``m* = rank`` of
    the centred outputs: any direction shifted far enough makes all rows of ``Z - 1 b0^T`` lie in an
    open half-space, where they can be enclosed in a cone of ``r`` rays.  Without it ``r`` or ``r +
    1``, and the larger one is returned where it is not clear that ``r`` will do.
    """
    noise = max(noise, NOISE * np.abs(Z).max())
    r = rank_bound(Z, True, noise) if intercept else rank(Z, noise)
    if intercept or r == 0:
        return r
    if r == 1:
        s = Z @ np.linalg.svd(Z, full_matrices=False)[2][0]
        return 1 if s.min() >= -noise or s.max() <= noise else 2
    return r + 1


def one_neuron_suffices(A, Z, intercept, noise=0.0):
    """Whether one neuron may give outputs ``Z`` of rank one; False only if none can.

    ``Z = s v^T + 1 m^T``, and one of ``t = s`` and ``t = -s`` has to be ``b + (A u)_+``: either all
    rows are active, or ``b`` is the smallest value, at the rows that are not.
    """
    base = Z.mean(axis=0) if intercept else np.zeros(Z.shape[1])
    s = (Z - base) @ np.linalg.svd(Z - base, full_matrices=False)[2][0]
    noise = max(noise * np.sqrt(Z.shape[1]), NOISE * np.abs(s).max())
    limit = _LP_NOISE / NOISE * noise
    everywhere = np.ones(len(s), dtype=bool)
    constant = np.ones((len(s), 1))
    if intercept and _least_violation(np.hstack([A, constant]), s, everywhere, limit) <= limit:
        return True
    for t in (s, -s):
        low = t.min() if intercept else 0.0
        if t.min() >= low - noise:
            active = t > low + noise
            if not active.any() or _least_violation(A, t - low, active, limit) <= limit:
                return True
    return False


def _least_violation(A, t, active, limit):
    """Least ``e`` with ``|a_i^T u - t_i| <= e`` on active rows and ``a_i^T u <= e`` on the others.

    A lower bound of it if that is above ``limit`` already.
    """
    solution = np.linalg.lstsq(A[active], t[active])[0]
    # The largest deviation is at least the root mean square one.
    violation = np.sqrt(np.mean((A[active] @ solution - t[active]) ** 2))
    if violation > limit:
        return violation
    n, p = A.shape
    upper, lower = np.hstack([A, -np.ones((n, 1))]), np.hstack([-A, -np.ones((n, 1))])[active]
    result = linprog(
        np.append(np.zeros(p), 1.0),
        A_ub=np.vstack([upper, lower]),
        b_ub=np.concatenate([np.where(active, t, 0.0), -t[active]]),
        bounds=[*[(None, None)] * p, (0, None)],
    )
    return result.fun if result.status == 0 else 0.0


def kink_bound(positions, Z, noise=0.0):
    """A lower bound of ``m*`` for rows on a line, where every neuron has at most one kink.

    If the output at ``t_i`` lies above (below) the chord of its neighbours there must be a downward
    (upward) kink between the neighbours.  The open intervals ``(t_{i-1}, t_{i+1})`` of points of
    one sign can share a kink only if the points are next to each other, so that a run of k of them
    needs k / 2 kinks, rounded up; kinks of different signs are different ones.

    For one output so many kinks also suffice (for each pair of points in a run the chords on either
    side are prolonged until they meet), and with biases and a free ``b0`` one neuron more gives any
    slope: ``kink_bound <= m* <= kink_bound + 1``.
    """
    order = np.argsort(positions, kind="stable")
    t, Z = positions[order], Z[order]
    # Of points too close to be told apart one is kept: fewer points need no more neurons.
    different = np.diff(t, prepend=-np.inf) > 1e-12 * (t[-1] - t[0])
    t, Z = t[different], Z[different]
    if len(t) < 3:
        return 0
    weight = ((t[1:-1] - t[:-2]) / (t[2:] - t[:-2]))[:, None]
    deviation = Z[1:-1] - (1 - weight) * Z[:-2] - weight * Z[2:]
    noise = max(2 * noise, NOISE * np.abs(Z).max())
    signs = np.where(np.abs(deviation) > noise, np.sign(deviation), 0.0)
    by_output = [_runs(column > 0) + _runs(column < 0) for column in signs.T]
    return max([_runs(signs.any(axis=1)), *by_output])


def _runs(marked):
    """Sum of ``ceil(k / 2)`` over runs of ``k`` marked places."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(int), [0]])))
    lengths = edges[1::2] - edges[0::2]
    return int(np.sum((lengths + 1) // 2))


def positions_on_line(X):
    """Positions of rows along a line through them, or None if they are not on one."""
    centred = X - X.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    if len(sizes) > 1 and sizes[1] > 1e-13 * max(sizes[0], np.abs(X).max()):
        return None
    return centred @ directions[0]
