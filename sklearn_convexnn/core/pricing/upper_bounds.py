"""Upper bounds of the largest price ``kappa(R) = max_{||u|| <= 1} ||R^T (A u)_+||``, proven.

For one output write ``(t)_+ = (t + |t|) / 2``:

    r^T (A u)_+ = 1/2 (A^T r)^T u + 1/2 sum_i r_i |a_i^T u|.

For every ``t`` and every ``a_i > 0``, ``|s_i| <= 1``

    |t| <= (a_i t^2 + 1 / a_i) / 2      where r_i > 0,          -|t| <= -s_i t      where r_i < 0,

so that the price is at most half of ``c + max_{||u|| <= 1} u^T Q u + h^T u`` with

    c = sum_+ r_i / (2 a_i),   Q = sum_+ r_i a_i x_i x_i^T / 2,   h = A^T r + sum_- r_i s_i x_i,

and for every ``m > lambda_max(Q)`` the maximum is at most ``m + h^T (m I - Q)^{-1} h / 4``.     (1)

Any ``a``, ``s`` and ``m`` prove a bound; the best ones solve a semidefinite program, the dual of
the relaxation that replaces ``u u^T`` by a positive semidefinite matrix of trace one.  Its solution
by an interior-point method serves as a proposal: :func:`lagrangian_bound` evaluates it afresh, so
that the tolerances of the solver can make the bound loose but never wrong.
"""

from __future__ import annotations

import warnings
from contextlib import suppress

import numpy as np

_EPS = np.finfo(float).eps


def rounding(A, R):
    """A bound of the rounding in a price or a linear bound of one, for any unit direction."""
    (n, p) = A.shape
    size = np.linalg.norm(R, axis=1) @ np.linalg.norm(A, axis=1)
    return 8 * _EPS * (n + p) * float(size)


def spectral_bound(A, R):
    """The cheapest bound, for any number of outputs.

    ``sigma_max(A) sigma_max(R)``; for one output also ``sigma_max(A) ||(+-r)_+||`` and (1) with
    ``s = 0`` and equal ``a``: ``||A^T r|| / 2 + sqrt(sum_+ r_i * lambda_max(sum_+ r_i x_i
    x_i^T)) / 2``.
    """
    size = np.linalg.norm(A, 2)
    if R.shape[1] > 1:
        return float(size * np.linalg.norm(R, 2)) + rounding(A, R)
    linear, bounds = np.linalg.norm(A.T @ R[:, 0]), []
    for positive in (np.maximum(R[:, 0], 0), np.maximum(-R[:, 0], 0)):
        spread = np.linalg.norm(A * np.sqrt(positive)[:, None], 2)
        curved = 0.5 * (linear + np.sqrt(positive.sum()) * spread)
        bounds.append(min(curved, size * np.linalg.norm(positive)))
    return float(max(bounds)) + rounding(A, R)


def semidefinite_bound(A, r, *, solver="CLARABEL"):
    """The bound of the semidefinite relaxation, for one output; ``r`` has shape (n,).

    From the solver's multipliers or from equal ones, which cost nothing, whichever prove more: a
    solver that fails cannot make the bound worse than a spectral one.
    """
    if not np.any(A) or not np.any(r):
        return 0.0
    bounds = []
    for q in (r, -r):
        proposals = [_equal_multipliers(A, q), _solve_semidefinite(A, q, solver)]
        bounds.append(min(lagrangian_bound(A, q, *p) for p in proposals if p is not None))
    return max(bounds)


def _equal_multipliers(A, r):
    """``s = 0`` and equal ``a``, the best if ``h`` is left out: those of the spectral bound."""
    positive = np.maximum(r, 0)
    spread = np.linalg.norm(A * np.sqrt(positive)[:, None], 2)
    a = np.sqrt(positive.sum()) / spread if spread > 0 else 1.0
    return np.full(len(r), a), np.zeros(len(r))


def lagrangian_bound(A, r, curvatures, slopes):
    """The bound (1) of ``max_{||u|| <= 1} r^T (A u)_+`` for given multipliers, whatever they are.

    Parameters
    ----------
    A : ndarray of shape (n, p)
    r : ndarray of shape (n,)
    curvatures, slopes : ndarray of shape (n,)
        ``a`` where ``r > 0`` and ``s`` where ``r < 0``; they are moved into their domain.
    """
    positive = np.maximum(r, 0)
    smallest = _EPS * np.max(curvatures[r > 0], initial=0.0) + np.finfo(float).tiny
    a = np.where(r > 0, np.maximum(curvatures, smallest), 1.0)
    s = np.where(r < 0, np.clip(slopes, -1, 1), 0.0)
    weights = 0.5 * positive * a
    eigenvalues, vectors = np.linalg.eigh(A.T @ (weights[:, None] * A))
    # The rounding of Q and of its eigenvalues must not make Q smaller than it is.
    n, p = A.shape
    eigenvalues = eigenvalues + 4 * _EPS * (n + p) * (weights @ np.einsum("ij,ij->i", A, A))
    h = vectors.T @ (A.T @ (r + np.minimum(r, 0) * s))
    quadratic = _trust_region_bound(eigenvalues, h)
    constant = 0.5 * np.sum(positive / a)
    return 0.5 * float(constant * (1 + n * _EPS) + quadratic) + rounding(A, r[:, None])


def _trust_region_bound(eigenvalues, h):
    """``min over m of m + sum h_k^2 / (m - e_k) / 4``; the value at any m above all e_k will do."""
    top = max(eigenvalues[-1], 0.0)
    unit = max(top, np.linalg.norm(h))
    if unit == 0.0:
        return 0.0
    # Numbers of size one: no square underflows that matters.
    top, eigenvalues, squares = top / unit, eigenvalues / unit, (h / unit) ** 2
    # The derivative 1 - sum h_k^2 / (m - e_k)^2 / 4 rises from below zero to one.  An h that is
    # lost beside the eigenvalues leaves no number between the ends of that interval, and at e_k
    # itself the value is infinite: the upper end lies above it whatever h is.
    low, high = top, top + 0.5 * np.sqrt(squares.sum()) + 4 * _EPS
    for _ in range(100):
        m = 0.5 * (low + high)
        if not low < m < high:
            break
        slope = 1 - 0.25 * (squares / (m - eigenvalues) ** 2).sum()
        low, high = (m, high) if slope < 0 else (low, m)
    value = high + 0.25 * (squares / (high - eigenvalues)).sum()
    return unit * value * (1 + 4 * len(h) * _EPS)


def _solve_semidefinite(A, r, solver):
    """Multipliers ``a`` and ``s`` from the semidefinite program, in the units of the rows.

    None if the solver has none to offer.
    """
    import cvxpy as cp  # slow to import, and used here only

    n, p = A.shape
    plus, minus = np.flatnonzero(r > 0), np.flatnonzero(r < 0)
    if not len(plus):
        # A positive part of nothing: the price is at most zero, with the slopes s = -1.
        return np.ones(n), -np.ones(n)
    # Rows of typical length one and residuals of sum one.
    unit = np.sqrt(np.mean(np.einsum("ij,ij->i", A, A))) or 1.0
    B, weights = A / unit, r / np.abs(r).sum()
    a, m = cp.Variable(len(plus), pos=True), cp.Variable()
    h, constraints = B.T @ weights, []
    if len(minus):
        s = cp.Variable(len(minus))
        h = h + B[minus].T @ cp.multiply(weights[minus], s)
        constraints.append(cp.abs(s) <= 1)
    # vec(Q) = sum_i a_i vec(r_i x_i x_i^T) / 2 as one product.
    outer = 0.5 * weights[plus, None, None] * B[plus, :, None] * B[plus, None, :]
    Q = cp.reshape(outer.reshape(len(plus), -1).T @ a, (p, p), order="C")
    S = m * np.eye(p) - Q
    bound = 0.5 * weights[plus] @ cp.inv_pos(a) + m + 0.25 * cp.matrix_frac(h, 0.5 * (S + S.T))
    program = cp.Problem(cp.Minimize(bound), constraints)
    with warnings.catch_warnings():
        # An inaccurate solution is as good a proposal as any.
        warnings.simplefilter("ignore", UserWarning)
        with suppress(cp.SolverError):
            program.solve(solver=solver)
    if a.value is None or not np.isfinite(a.value).all():
        return None
    curvatures, slopes = np.ones(n), np.zeros(n)
    curvatures[plus] = a.value / unit
    if len(minus):
        slopes[minus] = s.value
    return curvatures, slopes
