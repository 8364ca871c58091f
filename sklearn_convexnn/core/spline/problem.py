"""Networks on a line: rows that are numbers ``t``, biases without weight decay.

The function is a linear spline, and only its slopes matter to the penalty.  Between consecutive
data points ``t_1 < ... < t_N`` it may be taken linear (kinks at data points), with slopes ``s_1,
..., s_{N-1}`` and jumps ``m_j = s_j - s_{j-1}`` at the interior points.  The least weight decay of
a network with these values is, with ``P`` and ``M`` the sums of the positive and negative parts of
the jumps (math: the minimum over all ways to write the spline as hinges or ramps), ::

    2 layers             max(P + M, P + s_1, M - s_1)
    2 layers, free skip  P + M
    3 and more           max(P + (s_1)_+, M + (-s_1)_+) = (|s_1| + P + M + |s_{N-1}|) / 2
    3 and more, skip     max(P, M)

Dually, with a residual ``r`` of sum 0 and its prices ``g(t) = sum_i r_i (t_i - t)_+`` (so that
``g(t_1) = q = sum_i r_i t_i`` and ``g(t_N) = 0``), ``alpha`` bounds

    2 layers             |g|  and  |g - q|
    2 layers, free skip  |g|,            q = 0
    3 and more           max g - min g
    3 and more, skip     max g - min g,  q = 0

``g`` is linear between data points, so that its extremes are found exactly in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# ------------------------------------------------------------------------------------- the penalty


@dataclass(frozen=True)
class Penalty:
    """A penalty of the jumps of the slope, as a maximum of finitely many linear forms.

    With the slope continued by zero outside the data, every knot has a jump; the first is ``s_1``
    and the last ``-s_{N-1}``.  Form k gives the weight ``up[k]`` to positive, ``-down[k]`` to
    negative jumps at the inner knots.  The outer knots are like the inner ones if ``ends`` is true;
    else the first has the weight ``tilt[k]`` and the last has none.
    """

    up: tuple
    down: tuple
    tilt: tuple
    ends: bool
    skip: bool
    ramps: bool

    @classmethod
    def of(cls, n_layers, skip):
        """That of networks with so many layers of weights, with or without a free linear part."""
        if n_layers == 2:
            if skip:
                return cls((1.0,), (1.0,), (0.0,), False, True, False)
            return cls((0.0, 1.0, 1.0), (1.0, 1.0, 0.0), (-1.0, 0.0, 1.0), False, False, False)
        if skip:
            return cls((0.0, 1.0), (1.0, 0.0), (0.0, 0.0), False, True, True)
        return cls((0.5,), (0.5,), (0.0,), True, False, True)

    @property
    def n_forms(self):
        return len(self.up)

    def weights(self, signs, form):
        """The weight of every jump in one form, for knots whose jumps have these signs."""
        weights = np.where(signs > 0, self.up[form], np.where(signs < 0, -self.down[form], 0.0))
        if not self.ends:
            weights[0], weights[-1] = self.tilt[form], 0.0
        return weights

    def value(self, u, values):
        """The penalty of the spline with these values at the knots ``u``."""
        jumps = slope_jumps(u, values)
        signs = np.sign(jumps)
        return max(float(self.weights(signs, k) @ jumps) for k in range(self.n_forms))

    def kappa(self, g):
        """The smallest ``alpha`` for which prices ``g`` at all data points are feasible."""
        high, low, q = g.max(), g.min(), g[0]
        if self.ramps:
            return float(high - low)
        if self.skip:
            return float(max(high, -low))
        return float(max(high, -low, high - q, q - low))


def slope_jumps(u, values):
    """Jumps of the slope at the knots, the slope outside being zero."""
    slopes = np.diff(values) / np.diff(u)
    return np.diff(slopes, prepend=0.0, append=0.0)


def prices(t, r):
    """``g(t_j) = sum_i r_i (t_i - t_j)_+`` for all j, in one pass; t sorted, sum of r zero.

    Two cumulative sums.  They run in extended precision where the machine has it: the prices are
    differences of large sums, to be compared with a small ``alpha``.
    """
    tail = np.cumsum(r[:0:-1], dtype=np.longdouble)[::-1]
    g = np.zeros(len(t))
    g[:-1] = np.cumsum((tail * np.diff(t))[::-1])[::-1]
    return g


# ---------------------------------------------------------------------------------- rows on a line


@dataclass(frozen=True)
class LineProblem:
    """Distinct sorted points in working units and the way back.

    ``t = (x - x_shift) / x_scale`` lies in [-1, 1]; a real target is ``(y - y_shift) / y_scale``.
    ``x`` are the positions as they were given.
    Points with the same ``t`` are one point with their weighted mean target: for a loss that is,
    up to a constant, affine in the target this is exact, and ``within`` is that constant.
    """

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    within: float
    x_shift: float
    x_scale: float
    y_shift: float
    y_scale: float

    @property
    def n_points(self):
        return len(self.t)

    def positions(self, t):
        """The given positions of some of the points."""
        return self.x[np.searchsorted(self.t, t)]

    @property
    def alpha_unit(self):
        """Working alpha = alpha / alpha_unit."""
        return self.y_scale * self.x_scale

    @property
    def objective_unit(self):
        """Objective = working objective * objective_unit."""
        return self.y_scale**2


def make_line_problem(x, y, weights, *, standardise):
    """Sort, merge and scale.

    Parameters
    ----------
    x, y, weights : ndarrays of shape (n,)
        Weights are non-negative and not all zero.
    standardise : bool
        Whether targets are real and may be shifted and scaled.
    """
    if np.any(weights == 0):
        x, y, weights = x[weights > 0], y[weights > 0], weights[weights > 0]
    # A row with weight 2 and the same row given twice become the same arrays, bit by bit.
    order = np.lexsort((y, x))
    x, y, weights = x[order], y[order], weights[order]
    first = np.flatnonzero(np.concatenate([[True], (np.diff(x) != 0) | (np.diff(y) != 0)]))
    weights = np.add.reduceat(weights, first)
    x, y, weights = x[first], y[first], weights / weights.sum()
    # Halves first: the difference of two representable numbers may overflow.
    x_scale = 0.5 * x[-1] - 0.5 * x[0]
    x_shift = x[0] + x_scale
    t = (x - x_shift) / x_scale if x_scale > 0 else np.zeros_like(x)
    first = np.flatnonzero(np.concatenate([[True], t[1:] > t[:-1]]))
    x_scale = float(x_scale) if len(first) > 1 else 1.0
    mass = np.add.reduceat(weights, first)
    y_shift, y_scale = (_location_and_scale(y, weights)) if standardise else (0.0, 1.0)
    y = (y - y_shift) / y_scale
    mean = np.add.reduceat(weights * y, first) / mass
    counts = np.diff(first, append=len(t))
    # Points that occur once miss their mean by rounding.
    missed = np.where(np.repeat(counts, counts) > 1, y - np.repeat(mean, counts), 0.0)
    within = 0.5 * float(weights @ missed**2) if standardise else 0.0
    return LineProblem(
        t[first], x[first], mean, mass, within, float(x_shift), x_scale, y_shift, y_scale
    )


def _location_and_scale(y, weights):
    largest = np.abs(y).max()
    if largest > 1e150:
        raise ValueError(
            f"Targets up to {largest:.1e} overflow when squared: scale y to a size below 1e+150."
        )
    shift = float(weights @ y)
    size = np.abs(y - shift).max()
    if size <= 8 * np.finfo(float).eps * largest:
        return shift, 1.0
    return shift, float(size * np.sqrt(weights @ ((y - shift) / size) ** 2))


# -------------------------------------------------------------------------------------- the result


@dataclass(frozen=True)
class Spline:
    """Values at knots; linear between them.  The first and the last knot are the outer points."""

    u: np.ndarray
    values: np.ndarray

    @property
    def n_kinks(self):
        """Number of knots between the outer points."""
        return max(len(self.u) - 2, 0)

    def __call__(self, t):
        """Values between the outer knots."""
        return np.interp(t, self.u, self.values)

    def extended(self, t, left, right):
        """Values everywhere, with these slopes outside the outer knots."""
        below, above = np.minimum(t - self.u[0], 0.0), np.maximum(t - self.u[-1], 0.0)
        return self(t) + left * below + right * above

    def penalty(self, penalty):
        """The least penalty of a network with these values."""
        return penalty.value(self.u, self.values) if len(self.u) > 1 else 0.0

    def in_units_of(self, problem):
        """The same function of ``x`` with values ``y``."""
        return Spline(problem.positions(self.u), problem.y_shift + problem.y_scale * self.values)
