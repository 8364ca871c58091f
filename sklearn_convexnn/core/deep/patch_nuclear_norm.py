r"""Least squares of linear filters with a weight for each position: a nuclear norm.

    (Z)  min_Z  f(Z) + alpha ||Z||_* ,      f(Z) = rest + 1/2 sum_ic (T_ic - <P_i, Z_c>)^2

over ``Z = [Z_1, .., Z_k]`` (h, G k), where ``P_i`` (h, G) are the patches of row i, one for each
cell.  With filters ``U`` (h, q) and output weights ``V`` (q G, k), ``Z = U V``, the penalty is
``alpha/2 (||U||^2 + ||V||^2)`` at its least.  For given filters the weights are a ridge regression
on the features ``F = P U`` (r, q G), so that

    h(U) = min_V f(U V) + alpha/2 (||U||^2 + ||V||^2)
         = rest + alpha/2 ||U||^2 + alpha/2 <T, L> ,      (F F^T + alpha I) L = T ,   V = F^T L ,

a smooth function of ``h q`` numbers, however many positions there are: ``F F^T`` is linear in ``U
U^T``, in which h is convex.  As in :mod:`~sklearn_convexnn.core.deep.nuclear_norm` the singular
vectors of ``-grad f = alpha P^T L`` that violate the dual constraint ``||grad f||_2 <= alpha`` are
the filters to add, all filters move together by quasi-Newton steps, and Newton's method finds the
last digits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg, optimize
from scipy.sparse.linalg import LinearOperator, minres

from sklearn_convexnn.core.deep.nuclear_norm import duality_gap
from sklearn_convexnn.core.deep.singular_values import factored_svd

_EPS = np.finfo(float).eps
# Quasi-Newton steps of a round, and Newton steps after them.
_DESCENT_STEPS, _NEWTON_STEPS = 200, 12
# Singular values, relative to the largest, that are zero: their filters would be of length 3e-5.
_NO_SIZE = 1e-9
# Up to this many unknowns the Hessian is formed; beyond, so many products with it for a step.
_DENSE_NEWTON, _MINRES_STEPS = 256, 300


@dataclass(frozen=True)
class PatchPoint:
    """``Z = U V`` with balanced filters, its value and a proven lower bound of the optimum."""

    U: np.ndarray
    V: np.ndarray
    G: np.ndarray
    primal: float
    dual: float
    n_iter: int

    @property
    def relative_gap(self):
        return (self.primal - self.dual) / self.primal if self.primal > 0 else 0.0


@dataclass(frozen=True)
class PatchQuadratic:
    """``f`` of (Z).

    Parameters
    ----------
    P : ndarray of shape (h, r, G)
        Patches of the rows.
    T : ndarray of shape (r, k)
        Targets.
    rest : float
        What no network can fit.
    """

    P: np.ndarray
    T: np.ndarray
    rest: float

    @property
    def energy(self):
        """``f(0)``."""
        return self.rest + 0.5 * float(np.vdot(self.T, self.T))

    def features(self, U):
        """``P U`` (r, q G)."""
        (h, r, n_cells), q = self.P.shape, U.shape[1]
        F = (U.T @ self.P.reshape(h, r * n_cells)).reshape(q, r, n_cells)
        return F.transpose(1, 0, 2).reshape(r, q * n_cells)

    def residual(self, U, V):
        """``T`` less the outputs of filters ``U`` and weights ``V`` (q, G k)."""
        F, k = self.features(U), self.T.shape[1]
        return self.T - F @ V.reshape(F.shape[1], k)

    def pull(self, L):
        """``sum_i P_i L_ic``, (h, G k)."""
        h, _, n_cells = self.P.shape
        return (self.P.transpose(0, 2, 1) @ L).reshape(h, n_cells * L.shape[1])


def solve_patches(quadratic, alpha, *, tol, max_iter, start=None):
    """Minimise (Z) to a relative duality gap of ``tol``.

    Parameters
    ----------
    quadratic : PatchQuadratic
    alpha : float, positive
    tol : float
    max_iter : int
        Rounds of pricing and refitting at most.
    start : ndarray of shape (h, q), optional
        Filters of a solution for another ``alpha``.

    Returns
    -------
    PatchPoint
        The best point that was met.
    """
    U = np.zeros((len(quadratic.P), 0)) if start is None else start
    best = _point(quadratic, alpha, U, 1)
    lower = best.dual
    for n_iter in range(1, max_iter + 1):
        if best.primal - lower <= tol * best.primal:
            break
        U = _descended(quadratic, alpha, _extended(quadratic, alpha, best))
        point = _point(quadratic, alpha, U, n_iter)
        # A gap says half of the point's digits: where Newton's steps are cheap it has them all.
        if point.relative_gap > tol or U.size <= _DENSE_NEWTON:
            polished = _point(quadratic, alpha, _newton(quadratic, alpha, U, tol), n_iter)
            point = polished if polished.relative_gap <= max(point.relative_gap, tol) else point
        lower = max(lower, point.dual)
        progress = best.primal - point.primal
        if progress >= 0 or point.relative_gap < best.relative_gap:
            best = point
        if progress <= _EPS * best.primal and point.relative_gap >= best.relative_gap:
            break
    return replace(best, dual=lower)


def _point(quadratic, alpha, U, n_iter):
    """The balanced point of filters ``U`` and their best weights."""
    layer = _Layer(quadratic, alpha, U)
    P, sizes, Q = factored_svd(U, layer.by_filter(layer.V).T)
    kept = sizes > _NO_SIZE * sizes.max(initial=0.0)
    sizes = sizes[kept]
    root = np.sqrt(sizes)
    U, V = P[:, kept] * root, (Q[:, kept] * root).T
    R = quadratic.residual(U, V)
    loss = quadratic.rest + 0.5 * float(np.vdot(R, R))
    penalty = alpha * float(sizes.sum())
    G = quadratic.pull(R)
    kappa = float(np.linalg.norm(G, 2)) if G.size else 0.0
    inner = 2 * quadratic.rest + float(np.vdot(R, quadratic.T))
    gap = duality_gap(loss, penalty, float(np.vdot(G, U @ V)), inner, alpha, kappa)
    return PatchPoint(U, V, G, loss + penalty, loss + penalty - gap, n_iter)


class _Layer:
    """The best output weights ``V`` (q G, k) of filters ``U``, and what they leave.

    ``L = (F F^T + alpha I)^{-1} T``; of fewer features than rows from ``F^T F + alpha I``.
    """

    def __init__(self, quadratic, alpha, U):
        self.quadratic, self.alpha, self.U = quadratic, alpha, U
        self.F = F = quadratic.features(U)
        self.wide = F.shape[0] <= F.shape[1]
        K = F @ F.T if self.wide else F.T @ F
        K[np.diag_indices(len(K))] += alpha
        self.cholesky = linalg.cho_factor(K, lower=True, overwrite_a=True, check_finite=False)
        if self.wide:
            self.L = self.solve(quadratic.T)
            self.V = F.T @ self.L
        else:
            self.V = linalg.cho_solve(self.cholesky, F.T @ quadratic.T, check_finite=False)
            self.L = (quadratic.T - F @ self.V) / alpha
        self.G = quadratic.pull(self.L)

    def solve(self, B):
        """``(F F^T + alpha I)^{-1} B``."""
        if self.wide:
            return linalg.cho_solve(self.cholesky, B, check_finite=False)
        inner = linalg.cho_solve(self.cholesky, self.F.T @ B, check_finite=False)
        return (B - self.F @ inner) / self.alpha

    def by_filter(self, V):
        """(q G, k) as (q, G k)."""
        return V.reshape(self.U.shape[1], self.G.shape[1])

    @property
    def value(self):
        """``h(U)``."""
        energy = np.vdot(self.U, self.U) + np.vdot(self.quadratic.T, self.L)
        return self.quadratic.rest + 0.5 * self.alpha * float(energy)

    @property
    def gradient(self):
        return self.alpha * (self.U - self.G @ self.by_filter(self.V).T)

    def hessian(self, dU):
        """The derivative of the gradient along ``dU`` (h, q)."""
        dF = self.quadratic.features(dU)
        pulled = dF.T @ self.L
        dL = -self.solve(dF @ self.V + self.F @ pulled)
        dV = pulled + self.F.T @ dL
        dG = self.quadratic.pull(dL)
        moved = dG @ self.by_filter(self.V).T + self.G @ self.by_filter(dV).T
        return self.alpha * (dU - moved)


def _extended(quadratic, alpha, point):
    """Present filters, and those whose dual constraint is violated."""
    P, t, Qt = np.linalg.svd(point.G, full_matrices=False)
    new = np.flatnonzero(t > alpha)
    if len(new) == 0:
        return point.U
    # Alone, a neuron sigma p q^T is best at sigma = (t - alpha) / ||<P_i, p q^T>||^2.
    fits = quadratic.features(P[:, new]).reshape(len(quadratic.T), len(new), -1)
    weights = Qt[new].reshape(len(new), fits.shape[2], -1)
    outputs = np.einsum("ijg,jgc->jic", fits, weights, optimize=True)
    curvature = np.maximum(np.einsum("jic,jic->j", outputs, outputs), 1e-300)
    U = np.hstack([point.U, P[:, new] * np.sqrt((t[new] - alpha) / curvature)])
    if U.shape[1] > (most := min(point.G.shape)):
        # Filters with the same U U^T, as many as Z can need.
        P, t, _ = np.linalg.svd(U, full_matrices=False)
        U = P[:, :most] * t[:most]
    return U


def _descended(quadratic, alpha, U):
    """Quasi-Newton descent of h."""
    if U.shape[1] == 0:
        return U

    def value_and_gradient(x):
        layer = _Layer(quadratic, alpha, x.reshape(U.shape))
        return layer.value / unit, layer.gradient.ravel() / unit

    unit = quadratic.energy
    options = {"maxiter": _DESCENT_STEPS, "maxcor": 20, "ftol": 1e-15, "gtol": 1e-14, "maxls": 40}
    result = optimize.minimize(
        value_and_gradient, U.ravel(), jac=True, method="L-BFGS-B", options=options
    )
    U = result.x.reshape(U.shape)
    return U[:, np.linalg.norm(U, axis=0) > 0]


def _newton(quadratic, alpha, U, tol):
    """Newton's method on the gradient of h: the digits that its descent cannot resolve.

    h does not change under rotations of the filters, which a solution of least length leaves alone.
    """
    layer = _Layer(quadratic, alpha, U)
    gradient = layer.gradient
    for _ in range(_NEWTON_STEPS):
        size = np.linalg.norm(gradient)
        # The gap is of first order in the gradient, relative to that of the penalty.
        if size <= 1e-3 * tol * alpha * np.linalg.norm(U):
            break
        trial = _Layer(quadratic, alpha, U - _newton_step(layer, gradient))
        trial_gradient = trial.gradient
        if not np.linalg.norm(trial_gradient) < size:
            break
        U, layer, gradient = trial.U, trial, trial_gradient
        if np.linalg.norm(gradient) >= 0.5 * size:
            break
    return U


def _newton_step(layer, gradient):
    shape, n = gradient.shape, gradient.size

    def product(direction):
        return layer.hessian(direction.reshape(shape)).ravel()

    if n > _DENSE_NEWTON:
        operator = LinearOperator((n, n), matvec=product, dtype=float)
        step = minres(operator, gradient.ravel(), rtol=1e-4, maxiter=_MINRES_STEPS)[0]
    else:
        H = np.column_stack([product(e) for e in np.eye(n)])
        step = np.linalg.lstsq(0.5 * (H + H.T), gradient.ravel(), rcond=1e-11)[0]
    return step.reshape(shape)
