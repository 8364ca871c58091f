"""Columns with thresholds beside them: a prior under which a network may be rough.

Column ``z_j`` of standard deviation ``s_j`` is followed by the steps ::

    weight * s_j / sqrt(k_j) * (1[z_j > t_l] - p_l) / sqrt(p_l (1 - p_l)) ,    l = 1 .. k_j ,

``p_l`` the share of rows above ``t_l``.  They have the mean 0 and, together, ``weight^2`` times the
variance of the column: what weight decay asks for a jump, relative to a slope.  The encoding is
fixed before the training, whose program it leaves as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Steps(NamedTuple):
    """The thresholds of one column, ascending, with the shares above them and their heights."""

    thresholds: np.ndarray  # (k,)
    shares: np.ndarray  # (k,)
    heights: np.ndarray  # (k,)

    def table(self):
        """What a row becomes, (k + 1, k): line b for rows above b of the thresholds."""
        above = np.tri(len(self.thresholds) + 1, len(self.thresholds), -1)
        return self.heights * (above - self.shares)


NO_STEPS = Steps(np.zeros(0), np.zeros(0), np.zeros(0))


def quantile_steps(x, weights, n_steps, weight):
    """The Steps of a column: at most ``n_steps`` of them, none where it has two values at most.

    Thresholds are in the middle between distinct values, which rounding cannot cross, where the
    share of rows below is nearest to ``l / (n_steps + 1)``.  Nearest, and not the first to exceed
    it: a column has the same steps as its negative, wherever it has a value that many rows share.
    """
    values, index = np.unique(x, return_inverse=True)
    if len(values) < 3 or weight == 0:
        return NO_STEPS
    # From here on a row of weight 2 and the same row twice are the same numbers, to the last bit.
    mass = np.bincount(index, weights=weights)
    mass /= mass.sum()
    below = np.cumsum(mass)[:-1]
    levels = np.arange(1, n_steps + 1) / (n_steps + 1)
    last = len(below) - 1
    right = np.minimum(np.searchsorted(below, levels), last)
    left = np.maximum(right - 1, 0)
    nearer = levels - below[left] < below[right] - levels
    chosen = np.unique(np.where(nearer, left, right))
    low, high = values[chosen].astype(np.float64), values[chosen + 1].astype(np.float64)
    middle = 0.5 * low + 0.5 * high
    thresholds = np.where((low <= middle) & (middle < high), middle, low)
    shares = 1.0 - below[chosen]
    spread = np.sqrt(len(chosen) * shares * (1.0 - shares))
    return Steps(thresholds, shares, weight * _deviation(values, mass) / spread)


def _deviation(values, mass):
    values = values.astype(np.float64)
    size = np.abs(values).max()  # squares of extreme units would not be numbers
    values = values / size
    values = values - mass @ values
    return size * np.sqrt(mass @ (values * values))


def sums_by_column(values, steps):
    """Numbers of encoded columns, (d + k,), added up for the columns they come from, (d,)."""
    origin = np.repeat(np.arange(len(steps)), [len(one.thresholds) for one in steps])
    own, of_steps = np.split(values, [len(steps)])
    return own + np.bincount(origin, weights=of_steps, minlength=len(steps))


def with_steps(X, steps):
    """The columns of ``X`` (n, d), then their steps, in the dtype of ``X``."""
    n, d = X.shape
    encoded = np.empty((n, d + sum(len(one.thresholds) for one in steps)), X.dtype)
    encoded[:, :d] = X
    end = d
    for j, one in enumerate(steps):
        start, end = end, end + len(one.thresholds)
        # How many thresholds are strictly below, in their own precision.
        bins = np.searchsorted(one.thresholds, X[:, j].astype(np.float64))
        encoded[:, start:end] = one.table().astype(X.dtype)[bins]
    return encoded
