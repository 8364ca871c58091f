"""Parallel networks over all pairs of patterns: exact programs, for a handful of rows.

A sub-network has a pattern of each unit and a pattern of its own.  Where these are given it is
linear, its cone is where the units and their sum keep the patterns, and its penalty is a norm: the
optimum over all networks is that of one convex program with a cone for every choice, and the
largest price that of a convex program for each.  Of its own patterns all ``2^n - 1`` are taken; a
cone that no sub-network has is without inner points.
"""

from itertools import combinations_with_replacement, product

import cvxpy as cp
import numpy as np
from scipy import sparse

from sklearn_convexnn.core.patterns.enumeration import enumerate_patterns

# Four rows in the plane, and four on a line with a constant, where depth lowers the optimum.
_K = np.arange(1, 9)
PLANE = np.sin(_K * _K).reshape(4, 2), np.cos(np.arange(1, 5))
LINE = np.column_stack([[-1.5, -0.5, 0.5, 1.5], np.ones(4)]), np.array([0.0, 1.0, 0.0, 0.0])
BOTH = (1.0, -1.0)


def parallel_optimum(X, y, alpha, signs=None):
    """The least ``mean (z - y)^2 / 2 + alpha * penalty``, without biases and intercept.

    ``signs`` (k,) are those of the units of a sub-network for the norm of paths.  None is weight
    decay with any number of units: one of every pattern and sign suffices.
    """
    fit, walls, width = _cones(X, signs)
    group = X.shape[1] if signs is None else width
    # Every sub-network enters the outputs with either sign.
    parts = [cp.Variable((fit.shape[1] // group, group)) for _ in range(2)]
    flat = [cp.vec(part, order="C") for part in parts]
    loss = cp.sum_squares(fit @ (flat[0] - flat[1]) - y) / (2 * len(y))
    penalty = sum(cp.sum(cp.norm(part, 2, axis=1)) for part in parts)
    problem = cp.Problem(cp.Minimize(loss + alpha * penalty), [walls @ part >= 0 for part in flat])
    return _solved(problem)


def largest_price(X, r, signs=None):
    """The largest ``|sum_i r_i h(x_i)|`` of sub-networks of norm one."""
    fit, walls, width = _cones(X, signs)
    groups = X.shape[1] if signs is None else width
    found = []
    for sign in (1.0, -1.0):
        units = cp.Variable((fit.shape[1] // groups, groups))
        flat = cp.vec(units, order="C")
        gains = cp.reshape(cp.multiply(sign * (r @ fit), flat), (-1, width), order="C")
        # Every cone by itself: the sum of all largest prices is the largest sum.
        norms = cp.norm(units, 2, axis=1)
        limits = cp.sum(cp.reshape(norms, (-1, width // groups), order="C"), axis=1) <= 1
        gains = cp.sum(gains, axis=1)
        _solved(cp.Problem(cp.Maximize(cp.sum(gains)), [walls @ flat >= 0, limits]))
        found.append(gains.value.max())
    return max(found)


def _cones(X, signs):
    """Outputs and walls of all kinds of sub-networks, and how many weights each has."""
    active = [pattern for pattern in enumerate_patterns(X).active.T if pattern.any()]
    own = [np.array(one) for one in product((False, True), repeat=len(X)) if any(one)]
    fits, walls = [], []
    for units, pattern in product(_choices(active, signs), own):
        maps = np.hstack([sign * one[:, None] * X for sign, one in units])
        fits.append(pattern[:, None] * maps)
        inner = [np.where(one, 1.0, -1.0)[:, None] * X for _, one in units]
        outer = sparse.csr_array(np.where(pattern, 1.0, -1.0)[:, None] * maps)
        walls.append(sparse.vstack([sparse.block_diag(inner), outer]))
    return np.hstack(fits), sparse.block_diag(walls, format="csr"), fits[0].shape[1]


def _choices(active, signs):
    """The units of every kind of sub-network, as signs and patterns; equal ones have no order."""
    if signs is None:
        return [list(product(BOTH, active))]
    plus, minus = (
        list(combinations_with_replacement([(sign, one) for one in active], signs.count(sign)))
        for sign in BOTH
    )
    return [[*a, *b] for a, b in product(plus, minus)]


def _solved(problem):
    # With 1e-11 the solver has the same nine digits, and calls some of them inaccurate.
    tight = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-9)
    return problem.solve(solver="CLARABEL", **tight)
