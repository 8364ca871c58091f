"""The hinge losses of margins: with its kink, with that kink rounded, and squared.

For ``y`` in [0, 1] (a merged row may hold both classes) they are ``y h(z) + (1 - y) h(-z)`` with
``h`` a function of the margin, summed over outputs: with several classes, one against the rest.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.problem.losses.loss import (
    EPS,
    SeparableLoss,
    namespace,
    numbers,
    root_of_ramps,
    where_inside,
)


class Hinge(SeparableLoss):
    """``h(z) = (1 - z)_+``.

    It has kinks: conic solvers take it as it is (:mod:`sklearn_convexnn.core.programs.conic`), and
    the cutting plane by way of :meth:`smoothed`.
    """

    name = "hinge"
    smooth = False
    flat = constant_of_mean = True

    def value(self, Y, Z):
        xp = namespace(Z)
        losses = Y * xp.clip(1.0 - Z, 0.0, xp.inf) + (1.0 - Y) * xp.clip(1.0 + Z, 0.0, xp.inf)
        return xp.sum(losses, axis=1)

    def gradient(self, Y, Z):
        """One of its subgradients."""
        return (1.0 - Y) * numbers(Z > -1.0, Z) - Y * numbers(Z < 1.0, Z)

    def dual(self, Y, rho):
        # inf over z of the loss plus rho z is attained at a kink, z = 1 or z = -1.
        xp = namespace(rho)
        inside = xp.all((rho <= Y + 1e-12) & (rho >= Y - 1.0 - 1e-12), axis=1)
        value = xp.minimum(2.0 * Y - rho, 2.0 * (1.0 - Y) + rho)
        return where_inside(inside, xp.sum(value, axis=1))

    def constant(self, Y, weights):
        # Any number between -1 and 1 for classes of equal weight.
        return np.where(weights @ Y >= 0.5 * weights.sum(), 1.0, -1.0)

    def constant_residual(self, Y, weights, intercept):
        """Not unique; this one makes alpha_max an upper bound."""
        return self.nearest_dual(Y, weights, weights[:, None] * (2.0 * Y - 1.0), intercept)

    def balance(self, mean):
        """Factors (2, C) of both classes, of this ``mean``, with which they weigh the same."""
        totals = np.array([1.0 - mean, mean])
        return np.divide(totals.min(axis=0), totals, out=np.ones_like(totals), where=totals > 0)

    def balanced_residual(self, Y, weights, factors):
        """:meth:`constant_residual` of rows of one class each."""
        return weights[:, None] * (Y * factors[1] - (1.0 - Y) * factors[0])

    def nearest_dual(self, Y, weights, R, intercept):
        """The nearest residual in the domain of the dual: a solver leaves it by its tolerance."""
        signs = 2.0 * Y - 1.0
        share = np.clip(signs * R, 0.0, weights[:, None])
        if intercept:
            # 1^T R = 0: both classes weigh the same.
            totals = {sign: np.where(signs == sign, share, 0.0).sum(axis=0) for sign in (1.0, -1.0)}
            least = np.minimum(totals[1.0], totals[-1.0])
            for sign, total in totals.items():
                factor = np.divide(least, total, out=np.ones_like(total), where=total > 0)
                share = np.where(signs == sign, share * factor, share)
        return signs * share

    def smoothed(self, width):
        """The hinge with a parabola of that width in place of its kink."""
        return RoundedHinge(width)

    def conic(self, cp, Y, weights, z):
        return sum(
            cp.sum(cp.multiply(weights, cp.pos(1 - cp.multiply(2 * Y[:, c] - 1, one))))
            for c, one in enumerate(z)
        )


class RoundedHinge(SeparableLoss):
    """``h(z) = p m - width/2 p^2`` with ``m = 1 - z`` and ``p = clip(m / width, 0, 1)``.

    Below the hinge by at most ``width / 2``.  Its residuals are feasible for the dual of the hinge,
    and worth more there: a network that is optimal for it has a gap for the hinge of at most
    ``width / 4`` times the weight of the rows with ``0 < p < 1``.
    """

    name = "rounded hinge"
    flat = finds_shift = True
    exact = Hinge()

    def __init__(self, width):
        self.width = width

    def _shares(self, xp, Z):
        """Of the second and of the first class."""
        scale = 1.0 / self.width
        return xp.clip(scale * (1.0 - Z), 0.0, 1.0), xp.clip(scale * (1.0 + Z), 0.0, 1.0)

    def value_and_gradient(self, Y, Z):
        xp = namespace(Z)
        up, down = self._shares(xp, Z)
        half = 0.5 * self.width
        value = Y * up * (1.0 - Z - half * up) + (1.0 - Y) * down * (1.0 + Z - half * down)
        return xp.sum(value, axis=1), (1.0 - Y) * down - Y * up

    def second_derivative(self, Y, Z):
        up, down = self._shares(namespace(Z), Z)
        bent = Y * numbers((up > 0) & (up < 1), Y) + (1.0 - Y) * numbers((down > 0) & (down < 1), Y)
        return bent / self.width

    def smoothness(self):
        return 1.0 / self.width

    def dual(self, Y, rho):
        # For y = 1: rho - width/2 rho^2 on [0, 1]; for y = 0 the same of -rho.
        xp, share = namespace(rho), (2.0 * Y - 1.0) * rho
        slack = 64 * EPS
        inside = xp.all((share >= -slack) & (share <= 1.0 + slack), axis=1)
        share = xp.clip(share, 0.0, 1.0)
        value = share * (1.0 - 0.5 * self.width * share)
        return where_inside(inside, xp.sum(value, axis=1))

    def outputs(self, Y, rho):
        signs = 2.0 * Y - 1.0
        return signs * (1.0 - self.width * np.clip(signs * rho, 0.0, 1.0))

    def constant(self, Y, weights):
        return self.shift(Y, np.zeros_like(Y), weights)

    def shift(self, Y, Z, weights):
        """As for Huber's loss, the zero of a sum of ramps."""
        found = []
        for y, z in zip(Y.T, Z.T, strict=True):
            # A row of the second class goes from -1 to 0 before z = 1, of the first from 0 to 1
            # behind z = -1.
            start = np.where(y > 0.5, 1.0 - self.width, -1.0) - z
            found.append(root_of_ramps(start, self.width, weights, -(weights @ (y > 0.5))))
        return np.array(found)


class SquaredHinge(SeparableLoss):
    """``h(z) = (1 - z)_+^2``."""

    name = "squared_hinge"
    flat = constant_of_mean = parabolic = True
    longest_scale = np.inf

    def value_and_gradient(self, Y, Z):
        xp = namespace(Z)
        signs = 2.0 * Y - 1.0
        violation = xp.clip(1.0 - signs * Z, 0.0, xp.inf)
        return xp.sum(violation * violation, axis=1), -2.0 * signs * violation

    def second_derivative(self, Y, Z):
        return 2.0 * numbers((2.0 * Y - 1.0) * Z < 1.0, Y)

    def smoothness(self):
        return 2.0

    def dual(self, Y, rho):
        # share - share^2 / 4 for a share of the sign of its class.
        xp, share = namespace(rho), (2.0 * Y - 1.0) * rho
        inside = xp.all(share >= -64 * EPS * (1.0 + xp.abs(rho)), axis=1)
        share = xp.clip(share, 0.0, xp.inf)
        return where_inside(inside, xp.sum(share * (1.0 - 0.25 * share), axis=1))

    def outputs(self, Y, rho):
        signs = 2.0 * Y - 1.0
        return signs * (1.0 - 0.5 * np.maximum(signs * rho, 0.0))

    def constant(self, Y, weights):
        return weights @ (2.0 * Y - 1.0) / weights.sum()

    def dual_parabola(self, Y, R, rho):
        # The sum of share - share^2 / 4.
        xp, signs = namespace(R), 2.0 * Y - 1.0
        return xp.sum(signs * R), 0.5 * xp.sum(signs * R * signs * rho)

    def conic(self, cp, Y, weights, z):
        return sum(
            cp.sum(cp.multiply(weights, cp.square(cp.pos(1 - cp.multiply(2 * Y[:, c] - 1, one)))))
            for c, one in enumerate(z)
        )
