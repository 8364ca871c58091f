r"""Huber's loss, with thresholds in units of a robust scale of the targets.

In the units of the data, for output c,

    H_c(r) = r^2 / 2  for |r| <= t_c,   t_c |r| - t_c^2 / 2  beyond;     t_c = epsilon * s_c ,

summed over outputs.  The *spread* ``s_c`` is 1.4826 times the weighted median of ``|y - m|`` about
the weighted median ``m`` of the targets of output c (about zero without an intercept): of normal
targets their standard deviation.  Where more than half of the targets are one number, it is
``sqrt(pi / 2)`` times their mean absolute deviation from it.  It is found once, before the fit, so
that the problem stays convex with a fixed objective; Huber's joint estimate of the scale of the
*residuals* (as in scikit-learn's HuberRegressor) would make the loss change with the network.

Gross outliers have huge losses, of which no network can change more than a little.  Working units
subtract from the loss of row i the constant ``t (|y - m| - reach)_+``, without which values would
lose their digits to them, and gaps are relative to a size in which no row counts more than
``4 t^2``: relative to the plain objective every network would be optimal.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sklearn_convexnn.core.problem.losses.loss import (
    EPS,
    SeparableLoss,
    Standardised,
    beside,
    namespace,
    numbers,
    root_of_ramps,
    where_inside,
)
from sklearn_convexnn.core.problem.losses.squared_error import check_size, is_rounding

# Normal numbers have this standard deviation in units of the median, and of the mean, of their
# absolute values.
_OF_MEDIAN, _OF_MEAN = 1.482602218505602, np.sqrt(0.5 * np.pi)
# Deviations of targets from the median, in thresholds, beyond which their losses are counted from
# there.
_REACH = 4.0


class Huber(SeparableLoss):
    """Huber's loss of each output with its own threshold.

    Parameters
    ----------
    thresholds : ndarray of shape (C,)
    epsilon : float
        What :meth:`standardise` multiplies the spread with.
    reach : ndarray of shape (C,)
        Sizes of targets beyond which their losses are counted from there; infinite in the units of
        the data.
    """

    name = "huber"
    flat = finds_shift = parabolic = True

    def __init__(self, thresholds, *, epsilon=1.0, reach=None):
        self.thresholds = np.asarray(thresholds, dtype=np.float64)
        self.epsilon = epsilon
        self.reach = np.full(len(self.thresholds), np.inf) if reach is None else reach

    @classmethod
    def of_spread(cls, n_outputs, epsilon=1.35, spread=1.0):
        """The loss for targets of that spread, in the units of the data."""
        return cls(np.broadcast_to(epsilon * np.asarray(spread), (n_outputs,)), epsilon=epsilon)

    def _parts(self, Y, Z):
        """The nearest targets within reach, what is beyond, and the gradient."""
        xp, t, reach = namespace(Z), beside(self.thresholds, Z), beside(self.reach, Z)
        within = xp.clip(Y, -reach, reach)
        beyond = Y - within
        return xp, t, within, beyond, xp.clip((Z - within) - beyond, -t, t)

    def value_and_gradient(self, Y, Z):
        xp, t, within, beyond, G = self._parts(Y, Z)
        # G r - G^2 / 2 for the residual r; what is beyond reach cancels exactly where G = -+t.
        values = G * ((Z - within) - 0.5 * G) - (G * beyond + t * xp.abs(beyond))
        return xp.sum(values, axis=1), G

    def second_derivative(self, Y, Z):
        return numbers(namespace(Z).abs(Z - Y) < beside(self.thresholds, Z), Y)

    def smoothness(self):
        return 1.0

    def dual(self, Y, rho):
        xp, t, reach = namespace(rho), beside(self.thresholds, rho), beside(self.reach, rho)
        within = xp.clip(Y, -reach, reach)
        beyond = Y - within
        inside = xp.all(xp.abs(rho) <= t * (1 + 64 * EPS), axis=1)
        rho = xp.clip(rho, -t, t)
        values = rho * (within - 0.5 * rho) + (rho * beyond - t * xp.abs(beyond))
        return where_inside(inside, xp.sum(values, axis=1))

    def outputs(self, Y, rho):
        return Y - np.clip(rho, -self.thresholds, self.thresholds)

    def constant(self, Y, weights):
        return self.shift(Y, np.zeros_like(Y), weights)

    def shift(self, Y, Z, weights):
        """The zero of the piecewise linear derivative: Newton's method has no curvature to go by
        where most residuals are beyond the threshold.
        """
        parts = zip(self.thresholds, (Y - Z).T, strict=True)
        total = weights.sum()
        return np.array(
            [root_of_ramps(r - t, 2.0 * t, 2.0 * t * weights, -t * total) for t, r in parts]
        )

    def dual_parabola(self, Y, R, rho):
        # As for the squared error; what is beyond reach does not depend on s.
        xp = namespace(R)
        return xp.sum(R * Y), xp.sum(R * rho)

    def sizes(self, Y, losses):
        xp, sizes = namespace(Y), namespace(Y).abs(Y)
        within = xp.minimum(sizes, beside(self.reach, Y))
        offset = xp.sum(beside(self.thresholds, Y) * (sizes - within), axis=1)
        return xp.clip(losses + offset, 0.0, float(_REACH * (self.thresholds**2).sum()))

    def of_output(self, c):
        return Huber(self.thresholds[[c]], epsilon=self.epsilon, reach=self.reach[[c]])

    def standardise(self, Y, weights, intercept):
        """Median zero (with an intercept) and, over all outputs, a mean square spread of one."""
        shift = weighted_median(Y, weights) if intercept else np.zeros(Y.shape[1])
        deviations = np.abs(Y - shift)
        units = self._units(
            shift, robust_scale(Y, shift, weights), deviations.max(), np.abs(Y).max()
        )
        Y = self.working_targets(Y, units)
        return replace(units, Y=Y, offset=float(weights @ units.loss.offsets(Y)) * units.z_scale**2)

    def standardise_facts(self, facts, intercept):
        """The same, without targets, with medians that are found by sums."""
        shift = facts.medians() if intercept else np.zeros(len(facts.mean))
        spread = _spread_of(facts.medians(shift), facts.average(_deviations, shift), shift)
        ends = np.array([facts.least, facts.most])
        units = self._units(shift, spread, np.abs(ends - shift).max(), np.abs(ends).max())
        offset = facts.average(_offsets, self, units)
        return replace(units, offset=float(offset) * units.z_scale**2)

    def _units(self, shift, spread, size, largest):
        """For these medians and spreads, the largest deviation and the largest target."""
        check_size(size)
        constant = is_rounding(size, largest)
        spread = np.where(spread > 0, spread, 1.0)  # an output without residuals
        scale = 1.0 if constant else float(np.sqrt(np.mean(spread**2)))
        thresholds = self.epsilon * (spread / scale)
        loss = Huber(thresholds, epsilon=self.epsilon, reach=_REACH * thresholds)
        return Standardised(
            loss, shift[None], shift, scale, scale, spread=spread, constant=constant
        )

    def working_targets(self, Y, units):
        return np.zeros_like(Y) if units.constant else (Y - units.z_shift) / units.z_scale

    def offsets(self, Y):
        """What is subtracted from the losses of rows beyond reach, (n,)."""
        return (self.thresholds * np.maximum(np.abs(Y) - self.reach, 0.0)).sum(axis=1)

    def conic(self, cp, Y, weights, z):
        total = 0.0
        for c, (one, t) in enumerate(zip(z, self.thresholds, strict=True)):
            y = Y[:, c]
            # CVXPY's huber is r^2 up to M and 2 M |r| - M^2 beyond.
            total += 0.5 * cp.sum(cp.multiply(weights, cp.huber(one - y, float(t))))
            total -= t * weights @ np.maximum(np.abs(y) - self.reach[c], 0.0)
        return total


def weighted_median(Y, weights):
    """Of every column: the middle between the smallest and the largest that halve the weight."""
    order = np.argsort(Y, axis=0, kind="stable")
    sorted_ = np.take_along_axis(Y, order, axis=0)
    below = np.cumsum(weights[order], axis=0)
    half = 0.5 * below[-1]
    slack = 1e-12 * half
    columns = np.arange(Y.shape[1])
    low = sorted_[(below < half - slack).sum(axis=0), columns]
    high = sorted_[np.minimum((below <= half + slack).sum(axis=0), len(Y) - 1), columns]
    return low + 0.5 * (high - low)


def robust_scale(Y, centre, weights):
    """The spread of every column about its ``centre``; zero for a constant column."""
    deviations = _deviations(Y, centre)
    mean = (weights @ deviations) / weights.sum()
    return _spread_of(weighted_median(deviations, weights), mean, centre)


def _deviations(Y, centre):
    return np.abs(Y - centre)


def _offsets(Y, loss, units):
    return units.loss.offsets(loss.working_targets(Y, units))


def _spread_of(median, mean, centre):
    """From the median and the mean of the absolute deviations."""
    median, mean = _OF_MEDIAN * median, _OF_MEAN * mean
    # Deviations that are rounding of the centre are none.
    noise = 8 * EPS * np.abs(centre)
    scale = np.where(median > noise, median, mean)
    return np.where(scale > noise, scale, 0.0)
