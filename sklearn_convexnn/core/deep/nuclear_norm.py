r"""Least squares with a nuclear norm: the convex program of two linear layers.

    (N)  min_B  f(B) + alpha ||B||_* ,      dual constraint  ||M - S B||_2 <= alpha

for the quadratic ``f`` of :mod:`sklearn_convexnn.core.deep.spectral_rows`.  The singular vectors of
the gradient that violate the dual constraint are the neurons to add (pricing is exact here: one
singular value decomposition), as in column generation for ReLU networks.

With ``B = U V^T`` the penalty is ``alpha/2 (||U||^2 + ||V||^2)`` at its least.  ``S`` is diagonal,
so that the best ``U`` for given ``V`` is a ridge regression in closed form, and

    h(V) = min_U f(U V^T) + alpha/2 (||U||^2 + ||V||^2)

is a smooth function of ``K r`` numbers, whose conditioning hardly depends on that of ``X``: quasi-
Newton steps, then Newton's method.  Proximal gradient steps on ``B`` instead need a number of
decompositions that grows with the condition number of ``S``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize
from scipy.sparse.linalg import LinearOperator, minres

from sklearn_convexnn.core.deep.concave_power import group_node
from sklearn_convexnn.core.deep.singular_values import factored_svd

_EPS = np.finfo(float).eps
# Neurons added at once at most where there are few, and Newton steps after a quasi-Newton descent.
_NEW_NEURONS = 512
_NEWTON_STEPS = 12
# Up to this many unknowns the Hessian is formed.
_DENSE_NEWTON = 256


@dataclass(frozen=True)
class NuclearPoint:
    """``B = P diag(sizes) Q^T`` with the value of (N) and a proven lower bound of its optimum."""

    P: np.ndarray
    sizes: np.ndarray
    Q: np.ndarray
    alpha: float
    primal: float
    dual: float
    kappa: float
    n_iter: int

    @property
    def B(self):
        return (self.P * self.sizes) @ self.Q.T

    @property
    def relative_gap(self):
        return (self.primal - self.dual) / self.primal if self.primal > 0 else 0.0


def solve_nuclear(quadratic, alpha, *, tol, max_iter, start=None):
    """Minimise (N) to a relative duality gap of ``tol``.

    Parameters
    ----------
    quadratic : Quadratic
    alpha : float, positive
    tol : float
    max_iter : int
        Rounds of pricing and refitting at most.
    start : NuclearPoint, optional
        A point of the same problem for another ``alpha``.

    Returns
    -------
    NuclearPoint
        The best point that was met.
    """
    empty = np.zeros((len(quadratic.s), 0)), np.zeros(0), np.zeros((quadratic.M.shape[1], 0))
    P, sizes, Q = empty if start is None else (start.P, start.sizes, start.Q)
    best = evaluate(quadratic, alpha, P, sizes, Q, 0)
    exact = _closed_form(quadratic, alpha)
    if exact is not None and exact.primal <= best.primal:
        best = exact
    lower = best.dual
    for n_iter in range(1, max_iter + 1):
        if best.primal - lower <= tol * best.primal:
            break
        V = _descend(quadratic, alpha, _extend(quadratic, alpha, best))
        point = _point(quadratic, alpha, V, n_iter)
        if point.relative_gap > tol:
            polished = _point(quadratic, alpha, _newton(quadratic, alpha, V, tol), n_iter)
            point = polished if polished.relative_gap < point.relative_gap else point
        lower = max(lower, point.dual)
        progress = best.primal - point.primal
        if progress >= 0:
            best = point
        if progress <= _EPS * best.primal and point.relative_gap >= best.relative_gap:
            break
    return _with(best, dual=lower, n_iter=max(1, best.n_iter))


def _with(point, **changes):
    return NuclearPoint(**{**point.__dict__, **changes})


def evaluate(quadratic, alpha, P, sizes, Q, n_iter=1):
    """Value and duality gap at a point, from ``S`` and ``M``."""
    B = (P * sizes) @ Q.T
    G = -quadratic.gradient(B)
    loss = max(quadratic.value(B), 0.0)
    penalty = alpha * float(sizes.sum())
    kappa = float(np.linalg.norm(G, 2)) if G.size else 0.0
    gap = duality_gap(
        loss,
        penalty,
        float(np.vdot(G, B)),
        2 * quadratic.energy - np.vdot(quadratic.M, B),
        alpha,
        kappa,
    )
    primal = loss + penalty
    return NuclearPoint(P, sizes, Q, alpha, primal, primal - gap, kappa, n_iter)


def duality_gap(loss, penalty, fit, inner, alpha, kappa):
    """Objective less dual value at the best multiple ``s R`` of the residual, ``s kappa <= alpha``.

    ``loss = 1/2 ||R||^2``, ``penalty = alpha ||B||_*``, ``fit = <R, X B>``, ``inner = <R, Y>``.
    The dual value is ``s <R, Y> - s^2/2 ||R||^2``.  In the difference the large terms are cancelled
    by hand, ``<R, Y> = ||R||^2 + <R, X B>``, and an allowance for rounding is added.
    """
    limit = alpha / kappa if kappa > 0 else np.inf
    s = float(np.clip(inner / (2 * loss), 0.0, limit)) if loss > 0 else min(1.0, limit)
    gap = (1.0 - s) ** 2 * loss + penalty - s * fit
    return max(float(gap), 0.0) + 8 * _EPS * (loss + penalty)


def is_rounding(gap, energy, tol):
    """Is a gap rounding beside the energy of the targets, for a ``tol`` that can be told from it?

    Targets that are fitted to rounding have no smaller gap to reach relative to what is left of
    them.  A tolerance below the rounding of the targets themselves is not reached by luck.
    """
    allowance = 256 * _EPS
    return tol >= allowance and gap <= allowance * energy


def _closed_form(quadratic, alpha):
    """The solution for one output, and where all eigenvalues of S are equal; else None."""
    s = quadratic.s
    if quadratic.M.shape[1] == 1:
        m, least = quadratic.M[:, 0], quadratic.smallest
        if np.linalg.norm(m) <= alpha:
            return None
        best = group_node(s, m, least, alpha)
        return evaluate(
            quadratic, alpha, best.point[:, None] / best.r, np.array([best.r]), np.ones((1, 1))
        )
    if len(s) == 0 or s.max() > s.min() * (1 + 1e-10):
        return None
    # The singular values of M less alpha.
    P, t, Qt = np.linalg.svd(quadratic.M, full_matrices=False)
    sizes = np.maximum(t - alpha, 0.0) / s.mean()
    keep = sizes > 0
    return evaluate(quadratic, alpha, P[:, keep], sizes[keep], Qt[keep].T)


# -------------------------------------------------------------------------------------- one layer


def _point(quadratic, alpha, V, n_iter):
    """The point of (N) whose second layer is ``V`` and whose first is the best for it."""
    phi, turn = np.linalg.eigh(V.T @ V)
    V = V @ turn
    U = quadratic.M @ V / (quadratic.s[:, None] * np.maximum(phi, 0.0) + alpha)
    return evaluate(quadratic, alpha, *factored_svd(U, V), n_iter)


def _value_and_gradient(x, quadratic, alpha, shape):
    V = x.reshape(shape)
    phi, turn = np.linalg.eigh(V.T @ V)
    MV = quadratic.M @ (V @ turn)
    U = MV / (quadratic.s[:, None] * np.maximum(phi, 0.0) + alpha)
    value = quadratic.energy - 0.5 * np.vdot(MV, U) + 0.5 * alpha * phi.sum()
    # gradient = -(M - S U V^T)^T U + alpha V, in the coordinates of V.
    U = U @ turn.T
    gradient = V @ ((quadratic.s[:, None] * U).T @ U) - quadratic.M.T @ U + alpha * V
    return float(value), gradient.ravel()


def _extend(quadratic, alpha, point):
    """Present neurons as the second layer, and those whose dual constraint is violated."""
    V = point.Q * np.sqrt(point.sizes)
    G = -quadratic.gradient(point.B)
    P, t, Qt = np.linalg.svd(G, full_matrices=False)
    new = np.flatnonzero(t > alpha)[: max(_NEW_NEURONS, V.shape[1])]
    # Alone, a neuron sigma p q^T is best at sigma = (t - alpha) / p^T S p.
    curvature = np.einsum("ij,i,ij->j", P[:, new], quadratic.s, P[:, new])
    sizes = np.maximum((t[new] - alpha) / curvature, 0.0)
    V = np.hstack([V, Qt[new].T * np.sqrt(sizes)])
    r = min(*quadratic.M.shape)
    if V.shape[1] > r:  # a factor of the same V V^T with as many columns as B can need
        Q, t, _ = np.linalg.svd(V, full_matrices=False)
        V = Q[:, :r] * t[:r]
    return V


def _descend(quadratic, alpha, V):
    """Quasi-Newton descent of h."""
    if V.shape[1] == 0:
        return V
    result = optimize.minimize(
        _value_and_gradient,
        V.ravel(),
        args=(quadratic, alpha, V.shape),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 500, "maxcor": 20, "ftol": 1e-15, "gtol": 1e-14, "maxls": 40},
    )
    V = result.x.reshape(V.shape)
    sizes = np.linalg.norm(V, axis=0)
    return V[:, sizes > 0]


def _newton(quadratic, alpha, V, tol):
    """Newton's method on the gradient of h: the digits that descent of h cannot resolve.

    h does not change under rotations of the columns of V; the minimum-norm solution of the singular
    Newton system leaves these directions alone.
    """
    if V.shape[1] == 0:
        return V
    _, gradient = _value_and_gradient(V.ravel(), quadratic, alpha, V.shape)
    for _ in range(_NEWTON_STEPS):
        size = np.linalg.norm(gradient)
        # The gap is of first order in the gradient, relative to that of the penalty.
        if size <= 1e-3 * tol * alpha * np.linalg.norm(V):
            break
        trial = V - _newton_step(quadratic, alpha, V, gradient).reshape(V.shape)
        _, trial_gradient = _value_and_gradient(trial.ravel(), quadratic, alpha, V.shape)
        if not np.linalg.norm(trial_gradient) < size:
            break
        V, gradient = trial, trial_gradient
        if np.linalg.norm(gradient) >= 0.5 * size:
            break
    return V


def _newton_step(quadratic, alpha, V, gradient):
    hessian = _hessian(quadratic, alpha, V)
    n = V.size
    if n > _DENSE_NEWTON:
        operator = LinearOperator((n, n), matvec=hessian, dtype=float)
        return minres(operator, gradient, rtol=1e-4, maxiter=300)[0]
    H = np.column_stack([hessian(e) for e in np.eye(n)])
    return np.linalg.lstsq(0.5 * (H + H.T), gradient, rcond=1e-11)[0]


def _hessian(quadratic, alpha, V):
    """The map from a direction to the derivative of the gradient of h along it."""
    s, M = quadratic.s[:, None], quadratic.M
    phi, turn = np.linalg.eigh(V.T @ V)
    divisor = s * np.maximum(phi, 0.0) + alpha
    U = ((M @ (V @ turn)) / divisor) @ turn.T
    SU = s * U
    inner, residual = SU.T @ U, M - SU @ V.T

    def product(direction):
        dV = direction.reshape(V.shape)
        cross = dV.T @ V
        dU = M @ dV - SU @ (cross + cross.T)
        dU = ((dU @ turn) / divisor) @ turn.T
        change = V @ ((s * dU).T @ U) + dV @ inner - residual.T @ dU + alpha * dV
        return change.ravel()

    return product
