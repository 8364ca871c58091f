r"""The complete arrangement: networks whose neurons could be any 0/1 functions of the rows.

With all :math:`2^n` patterns as columns the program is, for one output, ::

    min_z  sum_i w_i loss(y_i, z_i) + alpha (max z - min z) ,

since a function is a sum of its level sets and every column spans a range of one.  Its solution is
``z_i = clip(t_i, lo, hi)``, with ``t_i`` the best output of row i alone, and at each level the
slopes of the rows beyond it sum to alpha.  Deep threshold networks wide enough to shatter the rows
train to this: they memorise winsorised targets.  As patterns of half-spaces are some of all, the
optimal value is a lower bound for every two-layer threshold network, and its dual variable shows
it: ``sum_{i in S} R_i <= 1/2 ||R||_1`` for all sets S where the sum of all is zero.  Equal rows are
one row here: no function tells them apart.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sklearn_convexnn.core.problem.row_state import DualPoint

# Doublings on the way to a level, and halvings of intervals.
_DOUBLINGS, _HALVINGS = 200, 100


class Complete(NamedTuple):
    """The lower bound, and the outputs (n,) that have it where they are known."""

    bound: float
    outputs: np.ndarray | None


def complete_arrangement(engine, loss, group, alpha, residual):
    """A proven lower bound of the objective for ``alpha``.

    Parameters
    ----------
    engine : NumpyEngine
    loss : Loss
    group : ndarray of shape (n,)
        The number of each row among the different ones.
    alpha : float
    residual : ndarray of shape (n, C)
        Of a network with its best intercept, whose multiples are dual variables: what the bound
        rests on for several outputs, for which there is no formula.
    """
    point, kappa = DualPoint(engine, loss, residual), _half_size(residual, group)
    bound, outputs = float(point.values([_limit(alpha, kappa)])[0]), None
    if residual.shape[1] == 1:
        outputs, R = _Levels(engine, loss, group, alpha).solved()
        kappa = _half_size(R, group)
        other = float(DualPoint(engine, loss, R).values([_limit(alpha, kappa)])[0])
        bound = max(bound, other)
    return Complete(bound, outputs)


def _limit(alpha, kappa):
    return alpha / kappa if kappa > 0 else np.inf


def _sums(values, group):
    return np.bincount(group, weights=values)


def _half_size(R, group):
    """At least ``||sum_{i in S} R_i||`` for every set S of different rows; of one output the most.

    Exactly the larger of two sums for one output, so that rounding of the total does not matter.
    """
    R = np.column_stack([_sums(column, group) for column in R.T])
    if R.shape[1] == 1:
        return float(max(np.maximum(R, 0).sum(), np.maximum(-R, 0).sum()))
    return float(0.5 * np.linalg.norm(R, axis=1).sum() + np.linalg.norm(R.sum(axis=0)))


class _Levels:
    """The two levels of one output, and the outputs between them."""

    def __init__(self, engine, loss, group, alpha):
        self.Y, self.weights, self.loss = engine.Y, engine.weights, loss
        self.group, self.alpha = group, alpha

    def _slopes(self, t):
        """Derivatives of the losses of the different rows, all at ``t``, or each at its own."""
        Z = np.full(self.Y.shape, t) if np.ndim(t) == 0 else t[self.group][:, None]
        return _sums(self.weights * self.loss.gradient(self.Y, Z)[:, 0], self.group)

    def _beyond(self, t, side):
        """The slopes with which the rows above (or below) pull at a level."""
        return float(np.maximum(-side * self._slopes(t), 0.0).sum())

    def _level(self, constant, side):
        """Where the rows beyond pull with alpha; None where they do not at the constant."""
        if self._beyond(constant, side) <= self.alpha:
            return None
        near, step = constant, 1.0
        for _ in range(_DOUBLINGS):
            far = near + side * step
            if self._beyond(far, side) <= self.alpha:
                break
            near, step = far, 2.0 * step
        for _ in range(_HALVINGS):
            middle = 0.5 * (near + far)
            if middle in (near, far):
                break
            if self._beyond(middle, side) > self.alpha:
                near = middle
            else:
                far = middle
        return far

    def solved(self):
        """Outputs (n,) and the dual variable (n, 1)."""
        constant = float(self.loss.constant(self.Y, self.weights)[0])
        high, low = self._level(constant, 1.0), self._level(constant, -1.0)
        n = len(self.Y)
        if high is None or low is None:
            outputs = np.full(n, constant)
        else:
            outputs = self._between(low, high)[self.group]
        R = -self.weights[:, None] * self.loss.gradient(self.Y, outputs[:, None])
        # Both sides pull alike, up to rounding; the intercept asks for it to the last digit.
        merged = _sums(R[:, 0], self.group)
        up, down = np.maximum(merged, 0).sum(), np.maximum(-merged, 0).sum()
        if up > 0 and down > 0:
            share = np.where(merged > 0, min(1.0, down / up), min(1.0, up / down))
            R = R * share[self.group][:, None]
        return outputs, R

    def _between(self, low, high):
        """The best output of each of the different rows in an interval."""
        count = int(self.group.max()) + 1
        left, right = np.full(count, low), np.full(count, high)
        for _ in range(_HALVINGS):
            middle = 0.5 * (left + right)
            rising = self._slopes(middle) > 0
            left, right = np.where(rising, left, middle), np.where(rising, middle, right)
            if np.all(right - left <= 4 * np.finfo(float).eps * np.maximum(abs(left), abs(right))):
                break
        # The ends are exact: rows beyond them are at them.
        slope_low, slope_high = self._slopes(low), self._slopes(high)
        inside = 0.5 * (left + right)
        return np.where(slope_low >= 0, low, np.where(slope_high <= 0, high, inside))
