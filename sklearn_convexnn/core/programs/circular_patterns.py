r"""ReLUs behind a circular layer over all activation patterns, for a handful of rows.

For one output the optimum over all networks is that of the conic program

    min  sum_i w_i loss(y_i, z_i) + alpha sum_js Omega(v_js) ,
    z = b0 + sum_js s D_j A v_js ,   (2 D_j - I) A v_js >= 0 ,   s = +1, -1 ,

over all patterns ``D_j`` of the rows ``A``, with the norm ``Omega`` of
:mod:`sklearn_convexnn.core.problem.circular_neurons`.  With multipliers ``l >= 0`` of its cone the
price of a neuron of a pattern is ``s R^T D A v <= <s A^T D R + A^T (2 D - I) l, v>``, at most the
largest length of a group of that vector: any ``l`` prove a bound, and those of the optimum a sharp
one.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.patterns.enumeration import (
    count_bound,
    distinct_lines,
    enumerate_patterns,
    reduce_rank,
)
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.solution import Solution, Status, end_of_history
from sklearn_convexnn.core.programs.conic import load_cvxpy, minimise, objective_unit

# Numbers that the conic solver is given at most, and its tolerance.
_LARGEST_MATRIX, _TOL = 2_000_000, 1e-10
# Vectors of a conic solver, relative to the largest, that stand for zero.
_CONIC_ZERO = 1e-7


def solve_all_patterns(rows, alpha, *, tol):
    """The best network of any width, with a proven gap.

    Parameters
    ----------
    rows : Rows
        Of :class:`.CircularReLU` neurons, with one output and a smooth loss.
    alpha : float, positive
    tol : float
        Relative duality gap that counts as reached.

    Returns
    -------
    Solution
    """
    if rows.n_outputs > 1 or not rows.loss.smooth:
        raise ValueError(
            "The program over all patterns is for one output and a smooth loss: use patterns=None."
        )
    A = rows.X if not rows.intercept else np.column_stack([rows.X, np.ones(rows.n_rows)])
    A = rows.scale * A.astype(np.float64)
    most = count_bound(*reduce_rank(distinct_lines(A))[0].shape)
    if most * A.size > _LARGEST_MATRIX:
        raise ValueError(
            f"{len(A)} rows of {rows.n_features} features may have too many activation patterns "
            "for a conic program that has them all: use patterns=None."
        )
    active = enumerate_patterns(A).without_idle().active.T
    A = rows.neurons.coordinates(A)
    starts = rows.neurons.groups(A.shape[1])
    network, multipliers, n_iter = _solved(rows, A, active, starts, alpha)
    state = rows.settled(rows.evaluate(network))
    network = state.network
    kappa = _proven_price(A, active, starts, rows.fetch(state.residual)[:, 0], multipliers)
    certificate = state.certify(network.penalty(), alpha, kappa, "proven")
    status = Status.GAP if certificate.relative_gap <= tol else Status.INACCURATE
    violation = max(0.0, kappa / alpha - 1.0)
    history = end_of_history(certificate, n_neurons=network.n_neurons, violation=violation)
    return Solution(network, certificate, status, alpha, n_iter, history)


def _solved(rows, A, active, starts, alpha):
    """The network, the multipliers of both signs (2, P, n), and the iterations."""
    cp = load_cvxpy("clarabel")
    D = active.T.astype(np.float64)
    both = [cp.Variable((len(active), A.shape[1])) for _ in range(2)]
    fit = cp.sum(cp.multiply(D, A @ (both[0] - both[1]).T), axis=1)
    ends = [*starts[1:], A.shape[1]]
    penalty = sum(
        cp.sum(cp.norm(V[:, a:b], 2, axis=1))
        for V in both
        for a, b in zip(starts, ends, strict=True)
    )
    cones = [cp.multiply(2 * D - 1, A @ V.T) >= 0 for V in both]
    b0, _, n_iter, *_ = minimise(cp, rows, [fit], alpha * penalty, cones, "clarabel", _TOL, None)
    # The solver has its multipliers in the units of its objective.
    duals = np.array([cone.dual_value.T for cone in cones])
    multipliers = objective_unit(rows) * np.maximum(duals, 0.0)
    U = rows.neurons.of_units(rows.neurons.weights(np.concatenate([V.value for V in both])))
    lengths = np.linalg.norm(U, axis=1)
    kept = lengths > _CONIC_ZERO * lengths.max(initial=0.0)
    signs = np.repeat([[1.0], [-1.0]], len(active), axis=0)
    return Network.from_factors(U[kept], signs[kept], b0), multipliers, n_iter


def _proven_price(A, active, starts, R, multipliers):
    """A bound of the price of all neurons, from multipliers of their cones."""
    pulls = [
        (sign * active * R + (2.0 * active - 1.0) * each) @ A
        for sign, each in zip((1.0, -1.0), multipliers, strict=True)
    ]
    squares = np.add.reduceat(np.concatenate(pulls) ** 2, starts, axis=1)
    return float(np.sqrt(squares.max()))
