"""The programs over given patterns for any number of outputs, by any solver.

With several outputs each group feeds one of them (one-vs-all): for the squared error the outputs
then do not meet, and each is a program of its own.  The value is at least that of (P), whose
neurons feed all outputs at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sklearn_convexnn.core.certificates import Certificate
from sklearn_convexnn.core.cones import ConeGroups
from sklearn_convexnn.core.conic import EndedSolution, ProgramStatus, solve_conic
from sklearn_convexnn.core.group_newton import solve_groups
from sklearn_convexnn.core.network import Network
from sklearn_convexnn.core.rows import RowPass

# Vectors of a conic solver, relative to the largest, that stand for zero.
_CONIC_ZERO = 1e-7
# Tolerances of a conic solver: at most, and relative to the gap that is asked for.
_CONIC_TOL, _CONIC_FRACTION = 1e-8, 1e-3
# Newton steps at most, where the caller has no wish, and steps without progress at which they end.
_NEWTON_STEPS, _MOST_IDLE = 100, 12


@dataclass(frozen=True)
class ProgramSolution:
    """A network and the gap of its program: exact *for the given patterns*.

    ``R`` (n, C) is the dual variable.
    """

    network: object
    certificate: Certificate
    n_iter: int
    status: ProgramStatus
    R: np.ndarray

    @property
    def converged(self):
        return self.status is ProgramStatus.GAP


def solve_outputs(rows, groups, alpha, *, tol, max_iter, solver):
    """A :class:`GroupSolution` for every output, by ``solver``."""
    if rows.n_outputs > 1 and not rows.loss.quadratic:
        raise ValueError(
            "Given patterns and several outputs need the squared error: train one binary network "
            "for each class."
        )
    if solver == "newton":
        most = _NEWTON_STEPS if max_iter is None else max_iter
        solutions = [
            solve_groups(one, groups, alpha, tol=tol, max_iter=most) for one in _outputs(rows)
        ]
        return [EndedSolution(**vars(s), limited=s.n_iter + _MOST_IDLE >= most) for s in solutions]
    own_tol = min(_CONIC_TOL, _CONIC_FRACTION * tol)
    settings = {"solver": solver, "max_iter": max_iter, "tol": own_tol}
    solutions = [solve_conic(one, groups, alpha, **settings) for one in _outputs(rows)]
    # Whatever the solver says of itself: the measured gap decides.
    return [replace(s, converged=s.certificate.relative_gap <= tol) for s in solutions]


def combine(network, solutions):
    """One solution from those of the outputs."""
    certificates = [solution.certificate for solution in solutions]
    certificate = Certificate(
        sum(c.primal for c in certificates),
        sum(c.dual for c in certificates),
        max(c.kappa for c in certificates),
        "exact",
    )
    n_iter = max(solution.n_iter for solution in solutions)
    R = np.column_stack([solution.u for solution in solutions])
    return ProgramSolution(network, certificate, n_iter, _status(solutions), R)


def _status(solutions):
    late = [solution for solution in solutions if not solution.converged]
    if not late:
        return ProgramStatus.GAP
    limited = any(solution.limited for solution in late)
    return ProgramStatus.MAX_ITER if limited else ProgramStatus.INACCURATE


def _outputs(rows):
    if rows.n_outputs == 1:
        yield rows
        return
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
        One output, or several with the squared error.
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
    solutions = solve_outputs(rows, groups, alpha, **settings)
    U, C = [], []
    for c, solution in enumerate(solutions):
        lengths = np.linalg.norm(solution.V, axis=1)
        kept = (
            lengths > _CONIC_ZERO * lengths.max(initial=0.0) if solver != "newton" else lengths > 0
        )
        U.append(solution.V[kept])
        outputs = np.zeros((kept.sum(), rows.n_outputs))
        outputs[:, c] = groups.sign[solution.index[kept]]
        C.append(outputs)
    b0 = np.concatenate([solution.b0 for solution in solutions])
    network = Network.from_factors(np.concatenate(U), np.concatenate(C), b0)
    return combine(network, solutions)
