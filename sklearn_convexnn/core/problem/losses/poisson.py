r"""The Poisson loss with logarithmic link: half the deviance of counts ``y`` of mean ``exp(z)``.

    loss(y, z) = exp(z) - y z + (y log y - y) >= 0,      zero at z = log y,

as in scikit-learn's PoissonRegressor.  Counts in other units, ``y / a``, have outputs ``z - log a``
and losses divided by ``a``: working units have a mean count of one.  Without an intercept outputs
cannot be shifted, and the shift becomes part of the loss, ``loss(y, z - log_unit)``.

The curvature ``exp(z)`` has no bound: refits find their steps by backtracking.  Beyond
``z = LARGEST_OUTPUT``, 1e30 times the mean count, the loss goes on as its tangent, so that trial
steps overflow in no precision; a network of which that were the optimum would need rows of weight
1e-30.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import xlogy

from sklearn_convexnn.core.problem.losses.loss import (
    EPS,
    SeparableLoss,
    Standardised,
    entropy_term,
    namespace,
    where_inside,
)

LARGEST_OUTPUT = 70.0
_LEAST_MEAN = 1e-300


class Poisson(SeparableLoss):
    """Half the Poisson deviance of every output; see above."""

    name = "poisson"
    constant_of_mean = finds_shift = True
    prediction = "exp"
    positive_targets = True

    def __init__(self, log_unit=0.0):
        self.log_unit = log_unit

    def _mean(self, Z):
        """``z``, the mean ``exp(z)`` and the value of its integral, with the tangent far out."""
        xp = namespace(Z)
        Z = Z - self.log_unit if self.log_unit else Z
        near = xp.clip(Z, -xp.inf, LARGEST_OUTPUT)
        mean = xp.exp(near)
        return xp, Z, mean, mean * (1.0 + (Z - near))

    def value_and_gradient(self, Y, Z):
        xp, Z, mean, integral = self._mean(Z)
        return xp.sum(integral - Y * Z + (entropy_term(Y) - Y), axis=1), mean - Y

    def second_derivative(self, Y, Z):
        xp, Z, mean, _ = self._mean(Z)
        return xp.where(Z <= LARGEST_OUTPUT, mean, xp.zeros_like(mean))

    def smoothness(self):
        return np.inf

    def dual(self, Y, rho):
        mean, xp, largest = Y - rho, namespace(rho), float(np.exp(LARGEST_OUTPUT))
        least = -64 * EPS * (xp.abs(Y) + xp.abs(rho))
        inside = xp.all((mean >= least) & (mean <= largest), axis=1)
        mean = xp.clip(mean, 0.0, largest)
        values = (entropy_term(Y) - Y) - (entropy_term(mean) - mean) + self.log_unit * rho
        return where_inside(inside, xp.sum(values, axis=1))

    def outputs(self, Y, rho):
        return np.log(np.clip(Y - rho, _LEAST_MEAN, np.exp(LARGEST_OUTPUT))) + self.log_unit

    def constant(self, Y, weights):
        return np.log(weights @ Y / weights.sum()) + self.log_unit

    def shift(self, Y, Z, weights):
        """In closed form: the mean prediction becomes the mean count."""
        largest = Z.max(axis=0)
        total = np.exp(largest - self.log_unit) * (weights @ np.exp(Z - largest))
        return np.log(weights @ Y) - np.log(total)

    def _check_targets(self, Y, weights):
        if np.any(Y < 0):
            raise ValueError(
                "loss='poisson' needs targets y >= 0, and some are negative: use another loss, or "
                "shift y."
            )
        if np.any(weights @ Y <= 0):
            raise ValueError(
                "loss='poisson' needs a positive target in every output, and in one all of the "
                "targets (with a positive weight) are zero: the best prediction would be zero, "
                "whose logarithm is infinite."
            )

    def standardise(self, Y, weights, intercept):
        """Counts of mean one over all outputs."""
        self._check_targets(Y, weights)
        largest = Y.max()
        unit = float(largest * np.mean(weights @ (Y / largest)))
        shift = np.full(Y.shape[1], np.log(unit) if intercept else 0.0)
        loss = self if intercept else Poisson(np.log(unit))
        units = Standardised(loss, Y, shift, residual_unit=unit)
        return replace(units, Y=self.working_targets(Y, units))

    def working_targets(self, Y, units):
        return Y / units.residual_unit

    def conic(self, cp, Y, weights, z):
        total = 0.0
        for c, one in enumerate(z):
            y, one = Y[:, c], one - self.log_unit
            total += cp.sum(cp.multiply(weights, cp.exp(one) - cp.multiply(y, one)))
            total += weights @ (xlogy(y, y) - y)
        return total
