"""The squared error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sklearn_convexnn.core.problem.losses.loss import (
    Loss,
    Standardised,
    identity,
    namespace,
    row_products,
)

# Squares of targets and their sums must be finite.
LARGEST_TARGET = 1e150


class SquaredError(Loss):
    """``1/2 * ||y - z||^2``."""

    name = "squared_error"
    quadratic = constant_of_mean = parabolic = True
    longest_scale = np.inf
    separable = True
    score = "r2"

    def value(self, Y, Z):
        D = Z - Y
        return 0.5 * row_products(D, D)

    def gradient(self, Y, Z):
        return Z - Y

    def value_and_gradient(self, Y, Z):
        D = Z - Y
        return 0.5 * row_products(D, D), D

    def hessian(self, Y, Z):
        n, C = Z.shape
        return namespace(Z).broadcast_to(identity(Z), (n, C, C))

    def smoothness(self):
        return 1.0

    def dual(self, Y, rho):
        # loss*(y, q) = 1/2 ||q||^2 + <q, y> at q = -rho
        return row_products(rho, Y - 0.5 * rho)

    def outputs(self, Y, rho):
        return Y - rho

    def constant(self, Y, weights):
        return weights @ Y

    def dual_parabola(self, Y, R, rho):
        xp = namespace(R)
        return xp.sum(R * Y), xp.sum(R * rho)

    def standardise(self, Y, weights, intercept):
        """Mean zero (with an intercept) and mean square one, over all outputs."""
        shift = weights @ Y if intercept else np.zeros(Y.shape[1])
        size = np.abs(Y - shift).max()
        check_size(size)
        if is_rounding(size, np.abs(Y).max()):  # no scale and no residual
            units = Standardised(self, Y, shift, constant=True)
        else:
            scale = float(size * np.sqrt(weights @ np.sum(((Y - shift) / size) ** 2, axis=1)))
            units = Standardised(self, Y, shift, scale, scale)
        return replace(units, Y=self.working_targets(Y, units))

    def working_targets(self, Y, units):
        return np.zeros_like(Y) if units.constant else (Y - units.z_shift) / units.z_scale

    def conic(self, cp, Y, weights, z):
        root = np.sqrt(weights)
        return sum(
            0.5 * cp.sum_squares(cp.multiply(root, one - Y[:, c])) for c, one in enumerate(z)
        )


def check_size(size):
    """Refuse targets of which squares overflow."""
    if size > LARGEST_TARGET:
        raise ValueError(
            f"Targets up to {size:.1e} overflow when squared: scale y to a size below "
            f"{LARGEST_TARGET:g}."
        )


def is_rounding(size, largest):
    """Whether deviations of this size from a constant are rounding of targets up to another."""
    return size <= 8 * np.finfo(float).eps * largest
