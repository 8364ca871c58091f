"""The duality gap of a network: how far its objective can be from the global optimum of (P).

With ``R_i = w_i rho_i``, ``rho_i = -gradient of loss(y_i, .)`` at the network's output, every ``s *
rho`` with ``s * kappa(R) <= alpha`` is feasible for the dual of (P), so that ``objective - D(s
rho)`` bounds the distance to the optimum over networks of *any* width.  The bound is as good as the
value used for ``kappa``; its kind says how that value was obtained:

``exact``       the maximum over all directions, found by enumeration or in closed form;
``proven``      a proven upper bound of it: the gap is a bound, perhaps a loose one;
``estimated``   the best of many local searches, a lower bound of it: the gap is an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Certificate:
    """Primal and dual value of a network, and how ``kappa`` was obtained."""

    primal: float
    dual: float
    kappa: float
    kind: str

    @property
    def gap(self):
        """``primal - dual``, in units of the objective; never below zero by rounding."""
        return max(self.primal - self.dual, 0.0)

    @property
    def relative_gap(self):
        """``gap / primal``; 0 for an objective that is zero up to the square of rounding."""
        return self.gap / self.primal if self.primal > np.finfo(float).eps ** 2 else 0.0


def certify(rows, Z, penalty, alpha, kappa, kind):
    """The certificate of a network with outputs ``Z`` whose intercept is optimal.

    Optimality of the intercept means that ``sum_i R_i = 0``, the dual constraint that belongs to
    it; :func:`optimal_intercept` provides it.
    """
    loss, Y, weights = rows.loss, rows.Y, rows.weights
    primal = float(weights @ loss.value(Y, Z)) + alpha * penalty
    rho = -loss.gradient(Y, Z)
    limit = alpha / kappa if kappa > 0 else np.inf
    scale = loss.best_scale(Y, rho, weights, limit)
    dual = float(weights @ loss.dual(Y, scale * rho))
    return Certificate(primal, dual, kappa, kind)


def allowed_price(rows, Z, penalty, alpha, goal):
    """About the largest ``kappa`` with which the relative gap of :func:`certify` is ``goal``."""
    low, high = 1.0, 1.0 + 4.0 * goal
    for _ in range(60):
        if certify(rows, Z, penalty, alpha, high * alpha, "estimated").relative_gap > goal:
            break
        low, high = high, 1.0 + 2.0 * (high - 1.0)
    for _ in range(30):
        middle = 0.5 * (low + high)
        if certify(rows, Z, penalty, alpha, middle * alpha, "estimated").relative_gap > goal:
            high = middle
        else:
            low = middle
    return low * alpha


def optimal_intercept(rows, Z, *, max_iter=50):
    """The shift of all outputs, shape (C,), that minimises the loss at outputs ``Z + shift``.

    Newton's method on C unknowns; one step is exact for the squared error.  A step that does not
    halve the gradient, or that raises the loss, is halved until the loss falls.  In the end the
    gradient is zero up to rounding: values know the shift to half its digits only.
    """
    loss, Y, weights = rows.loss, rows.Y, rows.weights

    def gradient_and_step(shift):
        gradient = weights @ loss.gradient(Y, Z + shift)
        hessian = loss.mean_hessian(Y, Z + shift, weights)
        # The multinomial log-loss is flat along equal shifts of all outputs: least squares.
        return np.abs(gradient).max(), -np.linalg.lstsq(hessian, gradient, rcond=1e-10)[0]

    shift = np.zeros(Z.shape[1])
    size, step = gradient_and_step(shift)
    for _ in range(max_iter):
        if size == 0.0:
            break
        trial_size, trial_step = gradient_and_step(shift + step)
        # Far beyond the minimum the gradient of the log-loss may be small, and its curvature zero.
        if not trial_size < 0.5 * size or _rises(rows, Z + shift, step):
            if size <= 1e-13 or not _falls(rows, Z + shift, step):
                break
            trial_size, trial_step = gradient_and_step(shift + step)
        shift, size, step = shift + step, trial_size, trial_step
    return shift


def _rises(rows, Z, step):
    """Whether the loss at ``Z + step`` is more than at ``Z``, beyond rounding."""
    before, after = (rows.weights @ rows.loss.value(rows.Y, part) for part in (Z, Z + step))
    # The log-loss of a row is a difference of numbers as large as its outputs.
    rounding = 8 * np.finfo(float).eps * float((rows.weights @ np.abs(Z)).sum())
    return not after <= before * (1 + 1e-12) + rounding + np.finfo(float).tiny


def _falls(rows, Z, step):
    """Halve ``step``, in place, until the loss at ``Z + step`` is less; False if it never is."""
    value = rows.weights @ rows.loss.value(rows.Y, Z)
    while np.abs(step).max() > 4 * np.finfo(float).eps * (1.0 + np.abs(Z).max()):
        if rows.weights @ rows.loss.value(rows.Y, Z + step) < value:
            return True
        step *= 0.5
    return False
