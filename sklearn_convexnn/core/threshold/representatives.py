"""Weights of a pattern: any point of its cell has the same outputs on the rows; others differ."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

# Rows, those nearest to the plane, that the widest margin is found from.
_MOST_ROWS = 2000
# The constant, relative to standardised columns: a large one keeps the bias out of the margin.
_CONSTANT = 10.0


def middle_bias(h, on, bias):
    """The bias with which the products ``h`` of the two sides are equally far from zero."""
    if on.all() or not on.any():
        return bias
    low, high = h[~on].max(), h[on].min()
    if not low < high:  # rounding, in the precision of the products
        return bias
    middle = low / 2 + high / 2
    return -(middle if low <= middle < high else low)


def widest(A, on, u):
    """The direction with the largest margin for a pattern, or ``u`` where that is not found.

    The point nearest to zero in the convex hull of the signed rows, from non-negative least
    squares; the last column of ``A`` is the constant.
    """
    signed = np.where(on, 1.0, -1.0)[:, None] * A
    signed[:, -1] *= _CONSTANT
    near = np.argsort(np.abs(A @ u), kind="stable")[:_MOST_ROWS]
    system = np.vstack([signed[near].T, np.ones(len(near))])
    target = np.append(np.zeros(A.shape[1]), 1.0)
    try:
        shares, _ = nnls(system, target)
    except RuntimeError:  # its iterations were used up
        return u
    found = signed[near].T @ shares
    length = np.linalg.norm(found)
    if length == 0.0:
        return u
    found = found / length
    found[-1] *= _CONSTANT
    return found if np.array_equal(A @ found > 0, on) else u
