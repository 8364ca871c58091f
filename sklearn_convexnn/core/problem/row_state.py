"""A network evaluated on the rows: its loss, its best intercept, its residual and dual values.

Outputs ``Z`` and residual ``R`` stay where the rows are; what comes here are sums over them.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from sklearn_convexnn.core.problem import kernels
from sklearn_convexnn.core.problem.certificates import Certificate

_EPS = np.finfo(float).eps
# Values of the dual that are taken in one pass in the search for a price, and passes.
_SCALES, _GRIDS = 32, 6
# The least curvature, of the most that a row can have, with which Newton's method finds a shift;
# how far else it is looked for, in working units, and how often that is halved.
_LEAST_BEND, _FARTHEST, _HALVINGS = 0.01, 2.0**60, 40


class RowState:
    """Outputs on the rows, and the network that has them, if it is known.

    Parameters
    ----------
    engine : object
        With targets and weights; see :mod:`sklearn_convexnn.core.problem.engines`.
    loss : Loss
    Z : handle of the outputs (n, C), float64
    network : Network, optional
    """

    def __init__(self, engine, loss, Z, network=None):
        self.engine, self.loss, self.Z, self.network = engine, loss, Z, network

    def _map(self, kernel, *small, keep=False):
        return self.engine.map_reduce(
            kernel, *small, width=self.engine.n_outputs, rowwise=(self.Z,), keep=keep
        )

    @cached_property
    def _losses(self):
        return tuple(float(part) for part in self._map(kernels.mean_loss, self.loss)[0])

    @property
    def mean_loss(self):
        """``F(Z)``."""
        return self._losses[0]

    @property
    def loss_size(self):
        """The part of ``F(Z)`` that gaps are relative to: all of it, but for losses that say so."""
        return self._losses[1]

    @cached_property
    def residual(self):
        """Handle of ``R_i = -w_i * gradient of the loss``."""
        return self._map(kernels.residual, self.loss, keep=True)[1]

    @cached_property
    def dual_point(self):
        """The multiples of the residual.  They are feasible if the intercept is the best one."""
        return DualPoint(self.engine, self.loss, self.residual)

    def objective(self, alpha):
        """(P) at the network."""
        return self.mean_loss + alpha * self.network.penalty()

    def size(self, alpha):
        """What gaps of the network are relative to."""
        return self.loss_size + alpha * self.network.penalty()

    def certify(self, penalty, alpha, kappa, kind):
        """The certificate of a network of this ``penalty`` whose intercept is optimal."""
        penalty = alpha * penalty
        primal, size = self.mean_loss + penalty, self.loss_size + penalty
        return self.dual_point.certify(primal, alpha, kappa, kind, size)

    def loss_on_the_way(self, change, share):
        """``F(Z + share * change)``; the change is a handle like ``Z``."""
        (value,), _ = self.engine.map_reduce(
            kernels.loss_on_the_way,
            self.loss,
            float(share),
            width=self.engine.n_outputs,
            rowwise=(self.Z, change),
        )
        return float(value)

    # ------------------------------------------------------------------ the intercept

    def of_shift(self, shift):
        """Value, gradient (C,) and second derivatives (C, C) of the loss in a shift of ``Z``."""
        value, gradient, hessian = self._map(kernels.loss_of_shift, self.loss, shift)[0]
        return float(value), gradient, hessian

    def shifted(self, shift):
        """The state of outputs ``Z + shift``, (C,)."""
        network = self.network
        if network is not None:
            network = network.with_outputs(network.C, network.b0 + shift)
        Z = self._map(kernels.shifted, shift, keep=True)[1]
        return RowState(self.engine, self.loss, Z, network)

    def best_shift(self, *, max_iter=50):
        """The shift of all outputs, shape (C,), that minimises the loss.

        Newton's method on C unknowns, of which one step is exact for the squared error.  A step
        that does not halve the gradient, or that raises the loss, is halved until the loss falls.
        In the end the gradient is zero up to rounding: values know the shift to half its digits.
        """
        shift = self._first_shift()
        value, size, step = self._newton(shift)
        for _ in range(max_iter):
            if size == 0.0:
                break
            trial, trial_size, trial_step = self._newton(shift + step)
            # Far beyond the minimum the gradient of the log-loss may be small, its curvature zero.
            if not trial_size < 0.5 * size or self._rises(value, trial, shift):
                if size <= 1e-13 or self.loss.quadratic or not self._falls(value, shift, step):
                    break
                trial, trial_size, trial_step = self._newton(shift + step)
            shift, value, size, step = shift + step, trial, trial_size, trial_step
        return shift

    def _first_shift(self):
        """Zero, or what a loss finds by which Newton's method has no curvature to go."""
        if not self.loss.finds_shift:
            return np.zeros(self.engine.n_outputs)
        if not self.engine.in_memory or self.engine.in_file:
            return self._bracketed_shift() if self.loss.flat else np.zeros(self.engine.n_outputs)
        Y, weights = self.engine.targets()
        return self.loss.shift(Y, self.engine.fetch(self.Z), weights)

    def _bracketed_shift(self):
        """The same by sums: zero where the loss bends there, or else near a zero of its gradient.

        Of losses whose outputs do not meet, for all outputs at once.
        """
        zero = np.zeros(self.engine.n_outputs)
        _, gradient, hessian = self.of_shift(zero)
        if np.all(np.diag(hessian) >= _LEAST_BEND * self.loss.smoothness()):
            return zero
        far, falls = np.where(gradient > 0, -1.0, 1.0), gradient != 0
        while np.any(falls) and np.abs(far).max() < _FARTHEST:
            falls = falls & (self.of_shift(far)[1] * np.sign(far) < 0)
            far = np.where(falls, 2.0 * far, far)
        near = zero
        for _ in range(_HALVINGS):
            middle = 0.5 * (near + far)
            falls = self.of_shift(middle)[1] * np.sign(far) < 0
            near, far = np.where(falls, middle, near), np.where(falls, far, middle)
        return np.where(gradient == 0, 0.0, far)

    def _newton(self, shift):
        """The loss at a shift, the size of its gradient and Newton's step."""
        if self.loss.quadratic:
            # Its values are not asked for: the first step ends at the minimum.
            value, gradient = 0.0, self._map(kernels.gradient_of_shift, self.loss, shift)[0][0]
            hessian = self._hessian
        else:
            value, gradient, hessian = self.of_shift(shift)
        # The multinomial log-loss is flat along equal shifts of all outputs: least squares.
        step = -np.linalg.lstsq(hessian, gradient, rcond=1e-10)[0]
        return value, np.abs(gradient).max(), step

    @cached_property
    def _hessian(self):
        return self.of_shift(np.zeros(self.engine.n_outputs))[2]

    def _mean_size(self, shift):
        return float(self._map(kernels.mean_size, shift)[0][0])

    def _rises(self, before, after, shift):
        """Whether the loss is more after a step from ``shift``, beyond rounding."""
        if after <= before + 1e-12 * abs(before) + np.finfo(float).tiny:
            return False
        # The log-loss of a row is a difference of numbers as large as its outputs.
        rounding = 8 * _EPS * self._mean_size(shift)
        return not after <= before + 1e-12 * abs(before) + rounding + np.finfo(float).tiny

    def _falls(self, value, shift, step):
        """Halve ``step``, in place, until the loss is less than ``value``; False if never."""
        least = 4 * _EPS * (1.0 + self._mean_size(shift))
        while np.abs(step).max() > least:
            if self.of_shift(shift + step)[0] < value:
                return True
            step *= 0.5
        return False


class DualPoint:
    """The dual values of the multiples of a residual ``R`` whose columns sum to zero.

    With ``rho_i = R_i / w_i`` every ``s * rho``, ``s`` from 0 to ``alpha / kappa(R)``, is feasible
    for the dual of (P) and has the value ``D(s rho)``, see
    :mod:`sklearn_convexnn.core.problem.losses`.
    """

    def __init__(self, engine, loss, R):
        self.engine, self.loss, self.R = engine, loss, R

    def _map(self, kernel, *small):
        return self.engine.map_reduce(
            kernel, *small, width=self.engine.n_outputs, rowwise=(self.R,)
        )[0]

    @cached_property
    def _parabola(self):
        return tuple(float(part) for part in self._map(kernels.dual_parabola, self.loss))

    def scales(self, limits):
        """The best ``s`` up to each of ``limits``, or a good one."""
        limits = np.minimum(self.loss.longest_scale, np.asarray(limits, dtype=np.float64))
        if not self.loss.parabolic:
            return limits
        slope, curvature = self._parabola
        return np.clip(slope / curvature, 0.0, limits) if curvature > 0 else np.zeros_like(limits)

    def values(self, limits):
        """The largest dual value, or a good one, with ``s`` up to each of ``limits``, (k,)."""
        s = self.scales(limits)
        if self.loss.quadratic:
            slope, curvature = self._parabola
            return s * (slope - 0.5 * s * curvature)
        return np.array(self._map(kernels.duals, self.loss, tuple(s.tolist())))

    def noise(self):
        """Prices that are zero up to rounding: at the constant network nothing fits better."""
        return 64 * _EPS * (self.total_size() + self.engine.statistics().largest_target)

    def total_size(self):
        """The sum of the absolute values of the residual."""
        return float(self._map(kernels.total_size)[0])

    def certify(self, primal, alpha, kappa, kind, size=None):
        """The certificate of a network of objective ``primal``, relative to ``size``."""
        dual = float(self.values([_limit(alpha, kappa)])[0])
        return Certificate(primal, dual, kappa, kind, size)

    def scale(self, alpha, kappa):
        """The multiple whose value is that of :meth:`certify`."""
        return float(self.scales([_limit(alpha, kappa)])[0])

    def allowed_price(self, primal, alpha, goal, size=None):
        """About the largest ``kappa`` with which the gap relative to ``size`` is ``goal``."""

        def allowed(prices):
            """How many of the rising ``prices`` (relative to alpha) have such gaps."""
            duals = self.values(1.0 / prices)
            gaps = [Certificate(primal, dual, 1.0, "estimated", size) for dual in duals]
            return int(np.argmax([*(gap.relative_gap > goal for gap in gaps), True]))

        # The gap does not fall as the price rises: grids find where it passes the goal.
        grid = 1.0 + 4.0 * goal * 2.0 ** np.arange(60)
        most = allowed(grid)
        if most == len(grid):
            return float(grid[-1]) * alpha
        low, high = (float(grid[most - 1]) if most else 1.0), float(grid[most])
        for _ in range(_GRIDS):
            grid = np.linspace(low, high, _SCALES + 2)
            most = allowed(grid[1:-1])
            low, high = float(grid[most]), float(grid[most + 1])
        return low * alpha


def _limit(alpha, kappa):
    """The largest multiple of a residual with the largest price ``kappa`` that is feasible."""
    return alpha / kappa if kappa > 0 else np.inf
