"""The programs over given patterns for any number of outputs, by any solver.

With several outputs each group feeds one of them (one-vs-all).  For the squared error the outputs
then do not meet, and each is a program of its own; the multinomial log-loss makes them one.  The
value is at least that of (P), whose
neurons feed all outputs at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_convexnn.core.certificates import Certificate
from sklearn_convexnn.core.cones import ConeGroups
from sklearn_convexnn.core.conic import solve_conic
from sklearn_convexnn.core.group_newton import GroupSolution, solve_groups
from sklearn_convexnn.core.network import Network
from sklearn_convexnn.core.rows import RowPass

# Vectors of a conic solver, relative to the largest, that stand for zero.
_CONIC_ZERO = 1e-7


@dataclass(frozen=True)
class ProgramSolution:
    """A network and the gap of its program: exact *for the given patterns*."""

    network: object
    certificate: Certificate
    n_iter: int
    converged: bool


def solve_outputs(rows, groups, alpha, *, tol, max_iter, solver):
    """The solution of all outputs and groups, by ``solver``: a :class:`GroupSolution`."""
    settings = {"tol": tol, "max_iter": 300 if max_iter is None else max_iter}
    solve = solve_groups
    if solver != "newton":
        settings, solve = {"solver": solver, "max_iter": max_iter}, solve_conic
    if rows.n_outputs == 1 or not rows.loss.quadratic:
        return solve(rows, groups, alpha, **settings)
    # The squared error sees each output by itself: C small systems are faster than a large one.
    return _together([solve(one, groups, alpha, **settings) for one in _single_outputs(rows)])


def _together(solutions):
    """One solution from those of the single outputs."""
    certificates = [solution.certificate for solution in solutions]
    certificate = Certificate(
        sum(c.primal for c in certificates),
        sum(c.dual for c in certificates),
        max(c.kappa for c in certificates),
        "exact",
    )
    return GroupSolution(
        np.concatenate([np.full(len(s.index), c) for c, s in enumerate(solutions)]),
        np.concatenate([s.index for s in solutions]),
        np.concatenate([s.V for s in solutions]),
        np.concatenate([s.b0 for s in solutions]),
        np.hstack([s.Z for s in solutions]),
        np.hstack([s.u for s in solutions]),
        np.concatenate([s.sizes for s in solutions]),
        certificate,
        max(s.n_iter for s in solutions),
        all(s.converged for s in solutions),
    )


def _single_outputs(rows):
    for c in range(rows.n_outputs):
        yield RowPass(
            rows.X,
            rows.Y[:, [c]],
            rows.weights,
            rows.loss,
            intercept=rows.intercept,
            scale=rows.scale,
        )


def train_relu(rows, patterns, alpha, *, tol=1e-6, max_iter=None, solver="newton"):
    """The best ReLU network whose neurons have the given patterns.

    Parameters
    ----------
    rows : RowPass
    patterns : Patterns
        Of the rows with their constant column.
    alpha : float, positive
    tol : float
        Relative duality gap of the program.
    max_iter : int, optional
        Iterations at most, for each output.
    solver : {"newton", "clarabel", "ecos", "scs"}

    Returns
    -------
    ProgramSolution
        ``network`` is a :class:`~sklearn_convexnn.core.network.Network`. With all patterns of the
        rows and one output its certificate is that of (P), otherwise (P) may have a lower value.
    """
    groups = ConeGroups(rows.dense(), patterns.active)
    settings = {"tol": tol, "max_iter": max_iter, "solver": solver}
    solution = solve_outputs(rows, groups, alpha, **settings)
    lengths = np.linalg.norm(solution.V, axis=1)
    kept = lengths > (0.0 if solver == "newton" else _CONIC_ZERO * lengths.max(initial=0.0))
    outputs = np.zeros((kept.sum(), rows.n_outputs))
    outputs[np.arange(len(outputs)), solution.output[kept]] = groups.sign[solution.index[kept]]
    network = Network.from_factors(solution.V[kept], outputs, solution.b0)
    return ProgramSolution(network, solution.certificate, solution.n_iter, solution.converged)
