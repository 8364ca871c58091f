r"""Nuclear norm regularisation of a general loss: two linear layers with, say, the log-loss.

    (L)  min_{W, b}  sum_i w_i loss(y_i, W^T x_i + b) + alpha ||W||_*

with the dual constraint ``||X^T diag(w) rho||_2 <= alpha``.  As in column generation for ReLU
networks, the singular vectors that violate it become neurons of ``W = U V^T``, and all neurons
descend together on the smooth form ``alpha/2 (||U||^2 + ||V||^2)`` of the penalty, by quasi-Newton
steps in coordinates that are scaled by the curvature of the loss along the eigenvectors of
``X^T X``.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from scipy import optimize

from sklearn_convexnn.core.deep.polish import newton_polish
from sklearn_convexnn.core.deep.singular_values import factored_svd
from sklearn_convexnn.core.problem.certificates import Certificate
from sklearn_convexnn.core.problem.engines.in_memory import NumpyEngine
from sklearn_convexnn.core.problem.row_state import RowState

# Quasi-Newton steps of a round, Newton steps after them, and inner iterations of one.
_DESCENT_STEPS = 300
_NEWTON_STEPS = 4
_MINRES_STEPS = 60
# Without polish a round ends at a step that lowers the objective by this fraction of ``tol``: gaps
# are linear in errors of the gradient, objectives quadratic.
_LIGHT = 1e-6


class LowRank(NamedTuple):
    """A point of (L), ``W = P diag(sizes) Q^T`` in working units.

    ``b`` are the outputs of a row at the mean; ``end`` is where another alpha may start.
    """

    P: np.ndarray
    sizes: np.ndarray
    Q: np.ndarray
    b: np.ndarray
    certificate: Certificate
    n_iter: int
    end: tuple


class Spectrum(NamedTuple):
    """How large ``<X, W>`` is for ``W`` of unit length, about ``s_a t_b`` in coordinates (a, b).

    ``s`` (r,) and ``left`` (d, r) are the eigenvalues and eigenvectors of ``X^T X``; ``columns``
    are ``t``, of the columns of ``W``.
    """

    s: np.ndarray
    left: np.ndarray
    columns: np.ndarray | float = 1.0


def solve_low_rank(
    rows, spectrum, loss, alpha, *, intercept, tol, max_iter, start=None, polish=True
):
    """Minimise (L) to a relative duality gap of ``tol``.

    Parameters
    ----------
    rows : LinearRows, or what has products with a ``W`` of another shape
        With targets in the units of the loss (``y_mean`` 0, ``y_scale`` 1).
    spectrum : Spectrum
    loss : Loss
    alpha : float, positive, in working units
    intercept : bool
    tol : float
    max_iter : int
        Rounds at most.
    start : optional
        The ``end`` of a solution of the same problem for another alpha.
    polish : bool
        Whether rounds go on to the last digits, or not much further than to ``tol``.

    Returns
    -------
    LowRank
    """
    program = _Program(rows, spectrum, loss, alpha, intercept)
    accuracy = None if polish else _LIGHT * tol
    best = program.point(*(start or program.nothing()))
    n_iter = 0
    while n_iter < max_iter and best.certificate.relative_gap > tol:
        n_iter += 1
        point = program.point(*program.descend(best, *program.extend(best), accuracy))
        progress = best.certificate.primal - point.certificate.primal
        better_gap = point.certificate.gap < best.certificate.gap
        if progress < 0 and not better_gap:
            break
        best = point
        if progress <= 1e-15 * point.certificate.primal and not better_gap:
            break
    P, sizes, Q = factored_svd(spectrum.left @ best.U, best.V)
    end = best.U, best.V, best.b
    return LowRank(P, sizes, Q, best.b, best.certificate, max(1, n_iter), end)


def constant_gradient(rows, loss, *, intercept):
    """``X^T diag(w) R`` at the best constant: its largest singular value is ``alpha_max``."""
    return rows.adjoint(_state(_targets(rows), loss, np.zeros_like(rows.Y), intercept)[0].residual)


def _targets(rows):
    """An engine that knows the targets and weights of LinearRows, and no features."""
    return NumpyEngine(None, rows.Y, rows.weights)


def _state(targets, loss, Z, intercept):
    """The RowState of outputs ``Z`` with their best shift, and the shift."""
    state = RowState(targets, loss, Z)
    shift = state.best_shift() if intercept else np.zeros(Z.shape[1])
    return state.shifted(shift), shift


class _Program:
    """(L) in spectral coordinates: ``W = left @ U @ V.T``."""

    def __init__(self, rows, spectrum, loss, alpha, intercept):
        self.rows, (self.s, self.left, columns) = rows, spectrum
        self.t = np.broadcast_to(columns, rows.shape[1])[:, None]
        self.loss, self.alpha, self.intercept = loss, alpha, intercept
        self.K = rows.Y.shape[1]
        self.targets = _targets(rows)
        # The value of the loss at the best constant sets the scale of everything else.
        self.unit = _state(self.targets, loss, np.zeros_like(rows.Y), intercept)[0].mean_loss

    def nothing(self):
        """The network without neurons."""
        return np.zeros((len(self.s), 0)), np.zeros((self.rows.shape[1], 0)), np.zeros(self.K)

    def outputs(self, U, V, b):
        return self.rows.product(self.left @ U @ V.T) + b

    def point(self, U, V, b):
        """A balanced network with its best intercept, its gradient and its certificate."""
        P, sizes, Q = factored_svd(U, V)
        root = np.sqrt(sizes)
        U, V = P * root, Q * root
        state, shift = _state(self.targets, self.loss, self.outputs(U, V, b), self.intercept)
        b = b + shift
        R = state.residual
        G = self.rows.adjoint(R)
        kappa = float(np.linalg.norm(G, 2)) if G.size else 0.0
        certificate = state.certify(float(sizes.sum()), self.alpha, kappa, "exact")
        # Rounding, and what the intercept leaves of the dual constraint that belongs to it.
        left_over = float(np.abs(R.sum(axis=0)) @ np.abs(b)) if self.intercept else 0.0
        slack = left_over + 8 * np.finfo(float).eps * certificate.primal
        dual = min(certificate.dual, certificate.primal) - slack
        # Of rows that are on their sides little is left of the curvature at the best constant.
        hessian = state.of_shift(np.zeros(self.K))[2]
        return SimpleNamespace(
            U=U,
            V=V,
            b=b,
            G=self.left.T @ G,
            curvature=max(float(np.linalg.norm(hessian, 2)), 1e-300),
            certificate=replace(certificate, dual=dual),
        )

    def extend(self, point):
        """The network with the neurons whose dual constraint is violated, at a small size."""
        P, t, Qt = np.linalg.svd(point.G, full_matrices=False)
        new = t > self.alpha
        curvature = point.curvature * np.einsum("ij,i,ij->j", P, self.s, P)[new]
        root = np.sqrt((t[new] - self.alpha) / np.maximum(curvature, 1e-300))
        U, V = np.hstack([point.U, P[:, new] * root]), np.hstack([point.V, Qt[new].T * root])
        return U, V

    def descend(self, point, U, V, accuracy=None):
        """Quasi-Newton descent in both layers and the intercept.

        Until a step lowers the objective by less than ``accuracy`` of it; without one to the last
        digits.
        """
        if U.shape[1] == 0:
            return U, V, point.b
        # Curvature of the loss along a row of U, for neurons of the present sizes.
        phi = np.maximum(np.sum(self.t * V**2, axis=0), 1e-300)
        curvature = point.curvature
        scale = 1.0 / np.sqrt(curvature * self.s[:, None] * phi + self.alpha)
        psi = np.sum(self.s[:, None] * U**2, axis=0)
        scale_V = 1.0 / np.sqrt(curvature * self.t * psi + self.alpha)
        scale_b = 1.0 / np.sqrt(curvature)
        cuts = np.cumsum([U.size, V.size])

        def unpack(x):
            u, v, b = np.split(x, cuts)
            return u.reshape(U.shape) * scale, v.reshape(V.shape) * scale_V, b * scale_b

        def value_and_gradient(x):
            u, v, b = unpack(x)
            values, R = self.loss.value_and_gradient(self.rows.Y, self.outputs(u, v, b))
            R = self.rows.weights[:, None] * R
            G = self.left.T @ self.rows.adjoint(R)
            value = self.rows.weights @ values + 0.5 * self.alpha * (np.vdot(u, u) + np.vdot(v, v))
            parts = (
                ((G @ v + self.alpha * u) * scale).ravel(),
                ((G.T @ u + self.alpha * v) * scale_V).ravel(),
                R.sum(axis=0) * scale_b if self.intercept else np.zeros(self.K),
            )
            return float(value) / self.unit, np.concatenate(parts) / self.unit

        start = np.concatenate([(U / scale).ravel(), (V / scale_V).ravel(), point.b / scale_b])
        limits = {"maxiter": _DESCENT_STEPS, "maxcor": 20, "ftol": accuracy or 1e-15, "gtol": 1e-12}
        result = optimize.minimize(
            value_and_gradient, start, jac=True, method="L-BFGS-B", options=limits
        )
        if accuracy is not None:
            return unpack(result.x)
        x = newton_polish(
            lambda x: value_and_gradient(x)[1], result.x, steps=_NEWTON_STEPS, inner=_MINRES_STEPS
        )
        return unpack(x)
