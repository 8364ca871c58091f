"""The programs over given patterns for any number of outputs, by any solver.

With several outputs each group feeds one of them (one-vs-all).  Where the loss is a sum over
outputs, each is a program of its own; the multinomial log-loss makes them one.  The value is at
least that of (P), whose neurons feed all outputs at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sklearn_convexnn.core.patterns.cones import ConeGroups
from sklearn_convexnn.core.problem.certificates import Certificate
from sklearn_convexnn.core.problem.metric import Metric
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.solution import Solution, Status
from sklearn_convexnn.core.programs.conic import EndedSolution, solve_conic
from sklearn_convexnn.core.programs.group_newton import solve_groups

# Vectors of a conic solver, relative to the largest, that stand for zero.
_CONIC_ZERO = 1e-7
# Tolerances of a conic solver: at most, relative to the gap that is asked for, and at least, where
# they begin to fail.
_CONIC_TOL, _CONIC_FRACTION, _CONIC_LEAST = 1e-8, 1e-3, 1e-10
# Newton steps at most, where the caller has no wish, and steps without progress at which they end.
_NEWTON_STEPS, _MOST_IDLE = 300, 12


@dataclass(frozen=True)
class ProgramSolution(Solution):
    """A Solution whose certificate is about its program: exact *for the given patterns*.

    ``R`` (n, C) is the dual variable, where the solver has one to give.
    """

    R: np.ndarray | None = None

    @classmethod
    def of(cls, network, solution, alpha):
        """The network with what an :class:`EndedSolution` knows."""
        status = Status.MAX_ITER if solution.limited else Status.INACCURATE
        if solution.converged:
            status = Status.GAP
        return cls(network, solution.certificate, status, alpha, solution.n_iter, R=solution.u)


def solve_outputs(rows, groups, alpha, *, tol, max_iter, solver):
    """The solution of all outputs and groups, by ``solver``: an :class:`EndedSolution`."""
    if solver == "newton":
        most = _NEWTON_STEPS if max_iter is None else max_iter

        def solve(rows):
            solution = solve_groups(rows, groups, alpha, tol=tol, max_iter=most)
            return EndedSolution(**vars(solution), limited=solution.n_iter + _MOST_IDLE >= most)

    else:
        own_tol = max(min(_CONIC_TOL, _CONIC_FRACTION * tol), _CONIC_LEAST)

        def solve(rows):
            settings = {"solver": solver, "max_iter": max_iter, "tol": own_tol}
            solution = solve_conic(rows, groups, alpha, **settings)
            # Whatever the solver says of itself: the measured gap decides.
            return replace(solution, converged=solution.certificate.relative_gap <= tol)

    solutions = [solve(part) for part in independent_outputs(rows)]
    return solutions[0] if len(solutions) == 1 else _together(solutions)


def _together(solutions):
    """One solution from those of the single outputs."""
    certificates = [solution.certificate for solution in solutions]
    certificate = Certificate(
        sum(c.primal for c in certificates),
        sum(c.dual for c in certificates),
        max(c.kappa for c in certificates),
        "exact",
        sum(c.primal if c.size is None else c.size for c in certificates),
    )
    return EndedSolution(
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
        any(s.limited for s in solutions if not s.converged),
    )


def independent_outputs(rows):
    """The rows with each of their outputs, or with all, where the loss makes them one program."""
    if rows.n_outputs == 1 or not rows.loss.separable:
        return [rows]
    # Such a loss sees each output by itself: C small systems are faster than a large one.
    return [
        rows.with_targets(rows.Y[:, [c]]).with_loss(rows.loss.of_output(c))
        for c in range(rows.n_outputs)
    ]


def train_relu(rows, patterns, alpha, *, tol=1e-6, max_iter=None, solver="newton"):
    """The best ReLU network whose neurons have the given patterns.

    Parameters
    ----------
    rows : Rows
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
        ``network`` is a :class:`~sklearn_convexnn.core.problem.network.Network`. With all patterns
        of the rows and one output its certificate is that of (P), otherwise (P) may have a lower
        value.
    """
    metric = Metric.of(rows)
    groups = ConeGroups(metric.graded(rows.dense()), patterns.active, metric.sizes)
    settings = {"tol": tol, "max_iter": max_iter, "solver": solver}
    solution = solve_outputs(rows, groups, alpha, **settings)
    lengths = np.linalg.norm(solution.V, axis=1)
    kept = lengths > (0.0 if solver == "newton" else _CONIC_ZERO * lengths.max(initial=0.0))
    outputs = np.zeros((kept.sum(), rows.n_outputs))
    outputs[np.arange(len(outputs)), solution.output[kept]] = groups.sign[solution.index[kept]]
    network = Network.from_factors(metric.ungraded(solution.V[kept]), outputs, solution.b0)
    return ProgramSolution.of(network, solution, alpha)
