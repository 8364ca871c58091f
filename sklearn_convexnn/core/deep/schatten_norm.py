r"""Least squares with the weight decay of three or more linear layers: not convex, but bounded.

    (S)  min_B  f(B) + alpha * L/2 * sum_i sigma_i(B)^p ,      p = 2/L < 1,

for the quadratic ``f`` of :mod:`sklearn_convexnn.core.deep.spectral_rows`.  For one output this is
a problem on a curve, solved to a proven gap.  For several outputs no convex program has its value
in general; the best stationary point found is returned together with the largest of three proven
lower bounds:

* ``sum_i sigma_i^p >= ||B||_*^p``: the dual of the problem with fixed norms of all layers but two.
  Tight for solutions of rank one.
* ``sum_i sigma_i^p >= T^(p-1) ||B||_*`` where ``sigma_1(B) <= T`` at every point as good as the
  best one.  Tight where the singular values are equal.
* ``f(B) >= f(A) + <grad f(A), B - A> + mu/2 ||B - A||^2`` with the smallest eigenvalue ``mu`` of
  ``S``: then (S) separates over singular values.  Tight for whitened data, and wherever the
  curvature exceeds that of the penalty, in which case it proves a stationary point optimal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import optimize

from sklearn_convexnn.core.deep.concave_power import (
    Node,
    lower_bound,
    minimise_on_curve,
    minimise_ridge_curve,
)
from sklearn_convexnn.core.deep.nuclear_norm import solve_nuclear
from sklearn_convexnn.core.deep.polish import newton_polish
from sklearn_convexnn.core.deep.singular_values import factored_svd, power_penalty, shrink

_EPS = np.finfo(float).eps
# Multipliers of the first nuclear norm problems, as fractions of the largest.
_NUCLEAR_GRID = np.logspace(-0.2, -5, 13)
# Ranks from which descent starts are all tried up to this number.
_MOST_RANKS = 16
_NUCLEAR_TOL = 1e-7
_CORNER = 1e-12


@dataclass(frozen=True)
class SpectralPoint:
    """``B = P diag(sizes) Q^T`` with the value of (S) and a proven lower bound of its optimum."""

    P: np.ndarray
    sizes: np.ndarray
    Q: np.ndarray
    primal: float
    dual: float
    n_iter: int

    @property
    def relative_gap(self):
        return (self.primal - self.dual) / self.primal if self.primal > 0 else 0.0


def solve_spectral(quadratic, alpha, n_layers, *, tol, max_rank=None):
    """The best point of (S) that is found, of rank ``max_rank`` at most, and a proven bound.

    Returns
    -------
    SpectralPoint
        With a gap at rounding for one output and for whitened data.
    """
    k = quadratic.M.shape[1]
    if k == 0:
        return _zero(quadratic, quadratic.energy)
    if k == 1:
        return _solve_scalar(quadratic, alpha, n_layers)
    return _solve_matrix(quadratic, alpha, n_layers, max_rank or min(quadratic.M.shape), tol=tol)


def _zero(quadratic, dual):
    r, k = quadratic.M.shape
    return SpectralPoint(np.zeros((r, 0)), np.zeros(0), np.zeros((k, 0)), quadratic.energy, dual, 1)


def objective(quadratic, alpha, n_layers, B, sizes):
    return quadratic.value(B) + alpha * power_penalty(sizes, n_layers)


# -------------------------------------------------------------------------------------- one output


def _solve_scalar(quadratic, alpha, n_layers):
    s, m, least = quadratic.s, quadratic.M[:, 0], quadratic.smallest
    best, bound = minimise_ridge_curve(s, m, least, quadratic.energy, alpha, n_layers)
    if best.r == 0.0:
        return _zero(quadratic, bound)
    w, r = best.point, best.r
    value = best.loss + alpha * power_penalty([r], n_layers)
    return SpectralPoint((w / r)[:, None], np.array([r]), np.ones((1, 1)), value, bound, 1)


# ---------------------------------------------------------------------------------- several outputs


def _solve_matrix(quadratic, alpha, n_layers, max_rank, *, tol):
    nodes = _nuclear_nodes(quadratic, alpha, n_layers, tol)
    points = [_zero(quadratic, -np.inf)]
    starts = list(_starts(quadratic, alpha, n_layers, nodes, max_rank))
    for B in starts:
        points.append(_improve(quadratic, alpha, n_layers, B, max_rank))
    best = min(points, key=lambda point: point.primal)
    B = (best.P * best.sizes) @ best.Q.T
    bounds = [
        _nuclear_bound(quadratic, alpha, n_layers, nodes, best.primal),
        _curvature_bound(quadratic, alpha, n_layers, B, max_rank),
        _curvature_bound(quadratic, alpha, n_layers, quadratic.least_squares, max_rank),
    ]
    dual = min(max(bounds) - 8 * _EPS * quadratic.energy, best.primal)
    return SpectralPoint(best.P, best.sizes, best.Q, best.primal, dual, len(starts))


def _nuclear_nodes(quadratic, alpha, n_layers, tol):
    """Solutions of the nuclear norm problem, from strong to weak, dense where the bound is."""
    if n_layers == 2:  # a bound on the rank is what makes the problem hard
        point = solve_nuclear(quadratic, alpha, tol=tol, max_iter=50)
        r = float(point.sizes.sum())
        return [Node(alpha, r, point.primal - alpha * r, point.dual, point.B)]
    largest = float(np.linalg.norm(quadratic.M, 2))
    zero = Node(largest, 0.0, quadratic.energy, quadratic.energy, np.zeros_like(quadratic.M))
    B = quadratic.least_squares
    last = Node(0.0, float(np.linalg.norm(B, "nuc")), quadratic.smallest, quadratic.smallest, B)
    present = [None]

    def node_at(mu):
        start = present[0] if present[0] is not None and present[0].alpha > mu else None
        present[0] = point = solve_nuclear(
            quadratic, mu, tol=_NUCLEAR_TOL, max_iter=10, start=start
        )
        r = float(point.sizes.sum())
        return Node(mu, r, point.primal - mu * r, point.dual, point.B)

    _, nodes, _ = minimise_on_curve(
        node_at,
        [zero, last],
        largest * _NUCLEAR_GRID,
        alpha,
        n_layers,
        tol=max(tol, 1e-6),
        max_nodes=40,
    )
    return nodes


def _nuclear_bound(quadratic, alpha, n_layers, nodes, primal):
    largest = _largest_singular_value(quadratic, alpha, n_layers, primal)
    return lower_bound(nodes, alpha, n_layers, largest=largest)[0]


def _largest_singular_value(quadratic, alpha, n_layers, primal):
    """``T`` with ``sigma_1(B) <= T`` at every ``B`` whose objective is at most ``primal``.

    From ``alpha L/2 sigma_1^p <= primal - min f``, and from strong convexity,
    ``s_min/2 (sigma_1 - sigma_1(B_ls))^2 <= f(B) - min f <= primal - min f - alpha L/2 sigma_1^p``.
    """
    room = max(primal - quadratic.smallest, 0.0) + 8 * _EPS * quadratic.energy
    T = (2.0 * room / (alpha * n_layers)) ** (0.5 * n_layers)
    least_squares, s = np.linalg.norm(quadratic.least_squares, 2), quadratic.s.min()
    # The right-hand side decreases in sigma_1: the largest admissible value by bisection.
    low, high = 0.0, T

    def admissible(t):
        rest = room - alpha * power_penalty([t], n_layers)
        return t <= least_squares + np.sqrt(2.0 * max(rest, 0.0) / s)

    if admissible(high):
        return high
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if admissible(middle) else (low, middle)
    return high


def _curvature_bound(quadratic, alpha, n_layers, A, max_rank):
    """The bound from the smallest curvature, expanded at ``A``; exact for whitened data."""
    mu = float(quadratic.s.min())
    gradient = quadratic.gradient(A)
    t = np.linalg.svd(A - gradient / mu, compute_uv=False)
    sizes = shrink(t, alpha / mu, n_layers)
    sizes[max_rank:] = 0.0
    least = 0.5 * mu * np.sum(sizes * (sizes - 2.0 * t)) + alpha * power_penalty(sizes, n_layers)
    # f(A) - <grad, A> + mu/2 ||A||^2 is what the expansion leaves outside the square.
    constant = quadratic.value(A) - np.vdot(gradient, A) + 0.5 * mu * np.vdot(A, A)
    size = abs(constant) + 0.5 * mu * float(t @ t)
    return float(constant + least - 16 * _EPS * size)


def _starts(quadratic, alpha, n_layers, nodes, max_rank):
    """Truncated least squares of every rank, the nuclear norm path, and the separable solution."""
    k = min(quadratic.M.shape)
    root = np.sqrt(quadratic.s)[:, None]
    P, t, Qt = np.linalg.svd(root * quadratic.least_squares, full_matrices=False)
    largest = min(k, max_rank)
    ranks = np.arange(1, largest + 1)
    if largest > _MOST_RANKS:
        ranks = np.unique(np.geomspace(1, largest, _MOST_RANKS).astype(int))
    for rank in ranks:
        yield (P[:, :rank] * t[:rank]) @ Qt[:rank] / root
    seen = set()
    for node in nodes:
        rank = int(np.linalg.matrix_rank(node.point, tol=1e-8)) if node.r > 0 else 0
        if rank not in seen and rank > 0:
            seen.add(rank)
            yield node.point
    mu = float(quadratic.s.min())
    P, t, Qt = np.linalg.svd(quadratic.least_squares, full_matrices=False)
    sizes = shrink(t, alpha / mu, n_layers)
    if np.any(sizes > 0):
        yield (P * sizes) @ Qt


def _improve(quadratic, alpha, n_layers, B, max_rank):
    """Descend from ``B`` at its rank, leave out what costs more than it explains, repeat."""
    P, sizes, Qt = np.linalg.svd(B, full_matrices=False)
    keep = (sizes > sizes.max(initial=0.0) * 1e-10) & (np.arange(len(sizes)) < max_rank)
    P, sizes, Q = P[:, keep], sizes[keep], Qt[keep].T
    smallest = _smallest_singular_value(quadratic, alpha, n_layers)
    n_iter = 1
    while len(sizes):
        sizes = np.maximum(sizes, smallest)
        P, sizes, Q = _descend(quadratic, alpha, n_layers, sizes, Q, smallest)
        keep = sizes >= 0.99 * smallest
        if not keep.all():
            P, sizes, Q = P[:, keep], sizes[keep], Q[:, keep]
            continue
        if len(sizes) == 0:
            break
        value = objective(quadratic, alpha, n_layers, (P * sizes) @ Q.T, sizes)
        without = [
            objective(quadratic, alpha, n_layers, (P * part) @ Q.T, part)
            for part in (
                np.where(np.arange(len(sizes)) == i, 0.0, sizes) for i in range(len(sizes))
            )
        ]
        worst = int(np.argmin(without))
        if without[worst] > value * (1 + 1e-13):
            return SpectralPoint(P, sizes, Q, value, -np.inf, n_iter)
        keep = np.arange(len(sizes)) != worst
        P, sizes, Q = P[:, keep], sizes[keep], Q[:, keep]
        n_iter += 1
    return _zero(quadratic, -np.inf)


def _smallest_singular_value(quadratic, alpha, n_layers):
    """No local minimum of (S) has a positive singular value below this one.

    Along ``p_i q_i^T`` the second derivative is ``p_i^T S p_i - alpha (1-p) sigma_i^(p-2)``.
    """
    p = 2.0 / n_layers
    return (alpha * (1.0 - p) / quadratic.s.max()) ** (1.0 / (2.0 - p))


def _descend(quadratic, alpha, n_layers, sizes, Q, smallest):
    """Quasi-Newton descent at fixed rank in the product ``V`` of all layers but the first.

    ``L/2 sum sigma^(2/L)`` is the least of ``1/2 ||U||^2 + (L-1)/2 sum sigma(V)^(2/(L-1))`` over
    ``B = U V^T``, and the best ``U`` for given ``V`` is a ridge regression in closed form.
    """
    V = Q * sizes ** ((n_layers - 1.0) / n_layers)
    # The power is not differentiable at zero: round its corner, far below what can be kept.
    corner = _CORNER * smallest ** (2.0 * (n_layers - 1.0) / n_layers)
    function = partial(
        _value_and_gradient,
        quadratic=quadratic,
        alpha=alpha,
        n_layers=n_layers,
        corner=corner,
        shape=V.shape,
    )
    result = optimize.minimize(
        function,
        V.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 2000, "maxcor": 20, "ftol": 1e-16, "gtol": 1e-13, "maxls": 40},
    )
    x = result.x
    if (
        np.linalg.norm(x.reshape(V.shape), -2) ** 2 > 1e4 * corner
    ):  # else a neuron is on its way out
        x = newton_polish(lambda x: function(x)[1], x, steps=3, inner=100)
    V = x.reshape(V.shape)
    phi, turn = np.linalg.eigh(V.T @ V)
    V = V @ turn
    U = quadratic.M @ V / (quadratic.s[:, None] * np.maximum(phi, 0.0) + alpha)
    return factored_svd(U, V)


def _value_and_gradient(x, quadratic, alpha, n_layers, corner, shape):
    V = x.reshape(shape)
    phi, turn = np.linalg.eigh(V.T @ V)
    phi = np.maximum(phi, 0.0)
    rest = n_layers - 1
    MV = quadratic.M @ (V @ turn)
    U = MV / (quadratic.s[:, None] * phi + alpha)
    value = (
        quadratic.energy - 0.5 * np.vdot(MV, U) + alpha * power_penalty(np.sqrt(phi + corner), rest)
    )
    U = U @ turn.T
    gradient = V @ ((quadratic.s[:, None] * U).T @ U) - quadratic.M.T @ U
    gradient += alpha * ((V @ turn) * (phi + corner) ** (1.0 / rest - 1.0)) @ turn.T
    return float(value), gradient.ravel()
