"""Optimality certificates for (P) that any solver must pass, computed without the package.

The dual constraint of (P) is ``kappa(R) = max_{||u|| <= 1} ||R^T (A u)_+|| <= alpha`` for the
residual ``R_i = -w_i * gradient``.  Within the closed cone of one activation pattern ``D`` the
activations are linear, and for one output Moreau's decomposition makes the maximum a non-negative
least-squares problem::

    max_{||u|| <= 1, S A u >= 0} r^T D A u = min_{l >= 0} ||A^T D r + A^T S l||,    S = 2 D - 1.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from tests.problems import loss_gradient, patterns

# -------------------------------------------------------------------------------- the largest price


def price(A, R, U):
    """``||R^T (A u)_+||`` for every row u of ``U``."""
    return np.linalg.norm(np.maximum(U @ A.T, 0) @ R, axis=1)


def best_in_cell(A, r, pattern):
    """The direction and value of ``max r^T (A u)_+`` over the unit ball in one cell."""
    signs = np.where(pattern, 1.0, -1.0)
    g = A.T @ (r * pattern)
    walls = (A * signs[:, None]).T
    multipliers, value = nnls(walls, -g)
    u = g + walls @ multipliers
    return (u / value if value > 1e-14 else 0 * u), value


def largest_price(A, R, *, n_starts=30):
    """``kappa(R)``: exact for one output, for several the best of many alternations.

    ``||R^T (A u)_+|| = max_q <R q, (A u)_+>`` over unit q.  For fixed q every pattern is tried; for
    fixed u the best q is the price itself.  One output has no q but its sign.
    """
    A, R = np.asarray(A, dtype=float), np.asarray(R, dtype=float)
    cells, n_outputs = patterns(A), R.shape[1]
    if n_outputs == 1:
        return max(best_in_cell(A, s * R[:, 0], cell)[1] for s in (1, -1) for cell in cells)
    largest = 0.0
    for q in np.random.default_rng(0).standard_normal((n_starts, n_outputs)):
        value, rising = 0.0, True
        while rising:
            u, _ = max((best_in_cell(A, R @ q, cell) for cell in cells), key=lambda best: best[1])
            q = R.T @ np.maximum(A @ u, 0)
            rising = np.linalg.norm(q) > value * (1 + 1e-12)
            value = max(value, np.linalg.norm(q))
        largest = max(largest, value)
    return largest


# ---------------------------------------------------------------------------- optimality conditions


def residual(problem, network):
    """``R = -gradient of the weighted loss`` at a network in the units of ``problem``'s rows."""
    Z = np.maximum(problem.A @ network.U.T, 0) @ network.C + network.b0
    gradient = loss_gradient(problem.loss, problem.Y, Z, problem.thresholds)
    return -problem.weights[:, None] * gradient


def assert_valid(problem, network):
    """Unit directions, no dead weight, no intercept where none is allowed."""
    U, C, b0 = network.U, network.C, network.b0
    assert U.shape == (len(C), problem.A.shape[1])
    assert C.shape[1:] == b0.shape == problem.Y.shape[1:]
    assert all(np.isfinite(part).all() for part in (U, C, b0))
    np.testing.assert_allclose(np.linalg.norm(U, axis=1), 1.0, rtol=1e-12)
    assert np.all(np.linalg.norm(C, axis=1) > 0)
    if not problem.intercept:
        assert not b0.any()


def assert_optimal(problem, network, *, tol=1e-5):
    """All conditions for a global optimum of (P), each to ``tol * alpha``.

    Dual feasibility ``kappa(R) <= alpha``; ``1^T R = 0`` for the free intercept; complementary
    slackness ``R^T (A u_j)_+ = alpha c_j / ||c_j||`` for every neuron, which also makes ``u_j`` a
    maximiser of the price.
    """
    assert_valid(problem, network)
    alpha, A, R = problem.alpha, problem.A, residual(problem, network)
    assert largest_price(A, R) <= alpha * (1 + tol)
    if problem.intercept:
        np.testing.assert_allclose(R.sum(axis=0), 0, atol=tol * alpha)
    prices = np.maximum(network.U @ A.T, 0) @ R
    directions = network.C / np.linalg.norm(network.C, axis=1, keepdims=True)
    np.testing.assert_allclose(prices, alpha * directions, atol=tol * alpha, rtol=0)


def assert_program_optimal(rows, groups, alpha, solution, tol, *, slack=1e-9):
    """A solution of the program over given patterns: feasible, and optimal to ``tol``.

    ``groups`` gives the rows, patterns, signs and whether there are cones, and nothing else is
    taken from the package. The gap is recomputed from the dual variable ``u``: its prices are
    norms, or with cones the non-negative least squares of every pattern.
    """
    output, index, V = solution.output, solution.index, solution.V
    A, D = np.asarray(groups.X), np.asarray(groups.patterns) > 0
    signs = np.broadcast_to(groups.sign, D.shape[1])
    columns = D[:, index] * signs[index] * (A @ V.T)
    Z = columns @ np.eye(rows.n_outputs)[output] + solution.b0
    np.testing.assert_allclose(solution.Z, Z, atol=1e-9 * (1 + np.abs(Z).max()))
    if groups.cones is not None:
        assert ((2.0 * D[:, index] - 1) * (A @ V.T)).min(initial=0.0) >= -slack
    R = solution.u
    rho = R / rows.weights[:, None]
    if rows.intercept:
        np.testing.assert_allclose(R.sum(axis=0), 0, atol=1e-9)
    prices = [
        best_in_cell(A, sign * r, d)[1]
        if groups.cones is not None
        else np.linalg.norm(A.T @ (r * d))
        for d, sign in zip(D.T, signs, strict=True)
        for r in R.T
    ]
    sizes = np.linalg.norm(V, axis=1)
    primal = float(rows.weights @ rows.loss.value(rows.Y, Z)) + alpha * float(sizes.sum())
    limit = alpha / max(prices) if max(prices) > 0 else np.inf
    s = rows.loss.best_scale(rows.Y, rho, rows.weights, limit)
    dual = float(rows.weights @ rows.loss.dual(rows.Y, s * rho))
    assert solution.certificate.primal == pytest.approx(primal, rel=1e-9, abs=1e-13)
    assert dual <= primal * (1 + 1e-9) + slack
    assert primal - dual <= tol * primal + 1e-13
    # <v_j, A_j^T R> = alpha ||v_j||: slacks of the dual constraint that the gap is the sum of.
    R = -rows.weights[:, None] * rows.loss.gradient(rows.Y, Z)
    fits = np.einsum("ij,ij->j", columns, R[:, output])
    assert np.all(np.abs(fits - alpha * sizes) <= 2 * np.sqrt(tol) * primal + slack)


def assert_bounds(primal, dual, optimum, *, tol=1e-8):
    """``dual <= optimum <= primal`` up to rounding: the gap bounds the distance to the optimum."""
    rounding = tol * max(1.0, abs(optimum))
    assert primal >= optimum - rounding
    assert dual <= optimum + rounding
    assert primal - dual >= -rounding
