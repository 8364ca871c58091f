"""The hinge loss on a line: proximal steps in the dual, each a smooth problem.

``(1 - z)_+`` for the second class, ``(1 + z)_+`` for the first.  With it the training problem of
:mod:`sklearn_convexnn.core.spline_solver` is a linear program.  Its solutions press whole stretches
of points onto the margin, whose dual variables are then anything but unique: hard for a simplex
method.  The method of multipliers adds a proximal term to the dual,

    max_{0 <= p <= 1}  p m - width / 2 (p - c)^2      instead of    (m)_+ = max_{0 <= p <= 1} p m

for the margin violation m of every point.  That is smooth in m: Newton's method applies; and the
centres c, moved to the present p every few rounds, make the smoothing vanish in the limit.  The
certificate is that of the hinge itself.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.losses import Loss

# Rounds between two moves of the centres, at most.
_LONGEST = 40


class Hinge(Loss):
    """``y (1 - z)_+ + (1 - y) (1 + z)_+`` for one output and ``y`` in [0, 1]."""

    name = "hinge"

    def value(self, Y, Z):
        return (Y * np.maximum(1.0 - Z, 0.0) + (1.0 - Y) * np.maximum(1.0 + Z, 0.0)).sum(axis=1)

    def dual(self, Y, rho):
        # inf over z of the loss plus rho z is attained at a kink, z = 1 or z = -1.
        inside = (rho <= Y + 1e-12) & (rho >= Y - 1.0 - 1e-12)
        value = np.minimum(2.0 * Y - rho, 2.0 * (1.0 - Y) + rho)
        return np.where(inside, value, -np.inf).sum(axis=1)

    def constant(self, Y, weights):
        return np.where(weights @ Y >= 0.5 * weights.sum(), 1.0, -1.0)


class ProximalHinge(Hinge):
    """The hinge with a proximal term in its dual; see above.  Holds the centres."""

    name = "proximal hinge"
    # Some curvature everywhere keeps Newton's steps short where the loss is linear.
    least_damping = 1e-5

    def __init__(self, width=0.1):
        self.width = width
        self.centres, self.accuracy, self.waited = (0.0, 0.0), np.inf, 0
        self.exact = Hinge()

    def _multipliers(self, Z):
        """Of the second and of the first class."""
        return tuple(
            np.clip(c + m / self.width, 0.0, 1.0)
            for c, m in zip(self.centres, (1.0 - Z, 1.0 + Z), strict=True)
        )

    def value_and_gradient(self, Y, Z):
        up, down = self._multipliers(Z)
        value = Y * (up * (1.0 - Z) - 0.5 * self.width * (up - self.centres[0]) ** 2)
        value += (1.0 - Y) * (down * (1.0 + Z) - 0.5 * self.width * (down - self.centres[1]) ** 2)
        return value.sum(axis=1), (1.0 - Y) * down - Y * up

    def value(self, Y, Z):
        return self.value_and_gradient(Y, Z)[0]

    def gradient(self, Y, Z):
        return self.value_and_gradient(Y, Z)[1]

    def hessian(self, Y, Z):
        up, down = self._multipliers(Z)
        bent = Y * ((up > 0) & (up < 1)) + (1.0 - Y) * ((down > 0) & (down < 1))
        return bent[:, :, None] / self.width

    def smoothness(self):
        return 1.0 / self.width

    def settled(self, promised, gap):
        """Whether the smooth problem is solved well enough to move the centres.

        ``promised`` is the decrease that the model of the last step promised.  Ever more accurate
        solutions are asked for, or centres could go in circles.
        """
        self.waited += 1
        if promised > min(self.accuracy, 0.05 * gap) and self.waited < _LONGEST:
            return False
        self.accuracy, self.waited = 0.7 * min(self.accuracy, 0.05 * gap), 0
        return True

    def recentre(self, Z):
        """Move the centres to the present multipliers."""
        self.centres = self._multipliers(Z)
