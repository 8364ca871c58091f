"""The programs over given activation patterns through CVXPY and its conic solvers.

The same problem (F) as :func:`sklearn_convexnn.core.programs.group_newton.solve_groups`, its matrix
``[D_1 X, ..., D_P X]`` written out: an independent check of the package's own method, 10 to 1000
times slower, and the way to losses that are not smooth.
"""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass

import numpy as np

from sklearn_convexnn.core.programs.group_newton import (
    GroupSolution,
    best_shift,
    certificate,
    constant_outputs,
    dual_variable,
)
from sklearn_convexnn.core.programs.nuclear_newton import nuclear_solution
from sklearn_convexnn.core.programs.one_vs_all import OutputGroups

# The extra of the package that installs a solver; None for those that come with CVXPY.
SOLVERS = {"clarabel": None, "scs": None, "ecos": "ecos"}

# Products of rows, groups and columns that CVXPY may write out as numbers.
_LARGEST_MATRIX = 50_000_000


@dataclass(frozen=True)
class EndedSolution(GroupSolution):
    """A GroupSolution; ``limited`` says that iterations were used up, not accuracy."""

    limited: bool


def solve_conic(rows, groups, alpha, *, solver="clarabel", tol=1e-8, max_iter=None):
    """Minimise (F) with a conic solver.

    Parameters
    ----------
    rows : Rows
        Their loss may have kinks.
    groups : FreeGroups or ConeGroups
    alpha : float, positive
    solver : {"clarabel", "ecos", "scs"}
    tol : float
        The solver's own tolerance. The gap of the result is computed here, from its vectors and
        its dual variable.
    max_iter : int, optional
        Iterations at most; the solver's own limit by default.

    Returns
    -------
    EndedSolution
        ``converged`` is true iff the solver says that it is optimal. Vectors are kept as the
        solver returns them: none is exactly zero, and cones are violated by up to the tolerance.
    """
    cp = load_cvxpy(solver)
    _check_size(rows, groups)
    D = np.asarray(groups.patterns, dtype=np.float64)
    n_outputs = rows.n_outputs
    # A solver's tolerances lose what columns of small sizes do: Y = V diag(sizes).
    sizes = groups.column_sizes
    X, weights = groups.X / sizes, np.broadcast_to(1.0 / sizes, (groups.count, len(sizes)))
    parts = [cp.Variable((groups.count, X.shape[1])) for _ in range(n_outputs)]
    fits = [cp.sum(cp.multiply(D * groups.sign, X @ Y.T), axis=1) for Y in parts]
    cones = []
    if groups.cones is not None:
        cones = [cp.multiply(2 * D - 1, X @ Y.T) >= 0 for Y in parts]
    penalty = sum(cp.sum(cp.norm(cp.multiply(weights, Y), 2, axis=1)) for Y in parts)
    b0, multiplier, n_iter, optimal, limited = minimise(
        cp, rows, fits, alpha * penalty, cones, solver, tol, max_iter
    )
    V = np.concatenate([part.value for part in parts]) / sizes
    outputs = OutputGroups(groups, n_outputs)
    return _solution(rows, outputs, alpha, V, b0, multiplier, n_iter, optimal, limited)


def solve_conic_nuclear(rows, groups, alpha, *, solver="clarabel", tol=1e-8, max_iter=None):
    """Minimise (G) of :mod:`sklearn_convexnn.core.programs.nuclear_newton`, a semidefinite program.

    Parameters
    ----------
    rows : Rows
        Their loss is smooth.
    groups : FreeGroups
    alpha, tol, max_iter : as for :func:`solve_conic`
    solver : {"clarabel", "scs"}

    Returns
    -------
    NuclearSolution
    """
    if solver == "ecos":
        raise ValueError(
            "ecos has no semidefinite cones, which the nuclear norm needs: choose "
            "solver='newton', 'clarabel' or 'scs'."
        )
    cp = load_cvxpy(solver)
    _check_size(rows, groups)
    D, n_outputs = np.asarray(groups.patterns, dtype=np.float64), rows.n_outputs
    parts = [cp.Variable((groups.X.shape[1], n_outputs)) for _ in range(groups.count)]
    fits = [
        sum((D[:, [j]] * groups.X) @ V[:, c] for j, V in enumerate(parts)) for c in range(n_outputs)
    ]
    penalty = sum(cp.normNuc(V) for V in parts)
    b0, _, n_iter, optimal, _ = minimise(cp, rows, fits, alpha * penalty, [], solver, tol, max_iter)
    V = np.stack([part.value for part in parts])
    fit = np.stack(
        [groups.outputs(np.arange(groups.count), V[:, :, c]) for c in range(n_outputs)], axis=1
    )
    b0 = best_shift(rows, fit)
    return nuclear_solution(
        rows, groups, alpha, np.arange(groups.count), V, b0, fit + b0, n_iter, optimal
    )


def _check_size(rows, groups):
    n, p = groups.X.shape
    if n * p * groups.count * rows.n_outputs > _LARGEST_MATRIX:
        raise ValueError(
            f"A conic solver needs the matrix of {n} rows and {groups.count} groups of {p} columns "
            "written out: use solver='newton', or fewer patterns."
        )


def minimise(cp, rows, fits, penalty, constraints, solver, tol, max_iter):
    """The intercept, the dual variable (n, C), iterations, optimal or not, out of them or not."""
    n, n_outputs = rows.Y.shape
    b0 = cp.Variable(n_outputs) if rows.intercept else np.zeros(n_outputs)
    z = [cp.Variable(n) for _ in range(n_outputs)]
    links = [one == fit + b0[c] for c, (one, fit) in enumerate(zip(z, fits, strict=True))]
    unit = objective_unit(rows)
    loss = rows.loss.conic(cp, rows.Y, rows.weights, z)
    objective = cp.Minimize((loss + penalty) / unit)
    program = cp.Problem(objective, [*links, *constraints])
    try:
        with warnings.catch_warnings():
            # Its words for an inaccurate solution; here the status and the gap say it.
            warnings.simplefilter("ignore", UserWarning)
            program.solve(solver=solver.upper(), **_settings(solver, tol, max_iter))
    except cp.error.SolverError as error:
        raise RuntimeError(
            f"{solver} failed on this problem ({error}); use solver='newton' or scale X."
        ) from error
    if z[0].value is None:
        raise RuntimeError(
            f"{solver} ended with status {program.status!r}; use solver='newton' or scale X."
        )
    multiplier = unit * np.column_stack([np.ravel(link.dual_value) for link in links])
    n_iter = program.solver_stats.num_iters or 0
    b0 = np.asarray(b0.value) if rows.intercept else b0
    limited = program.status == cp.USER_LIMIT or n_iter == max_iter
    return b0, multiplier, n_iter, program.status == cp.OPTIMAL, limited


def objective_unit(rows):
    """The mean loss of the best constant outputs, by which solvers see the objective divided.

    Their tolerances are partly absolute, and weights may make the losses tiny.
    """
    return rows.at(constant_outputs(rows)).loss_size or 1.0


def load_cvxpy(solver):
    if solver not in SOLVERS:
        raise ValueError(f"solver={solver!r} is not one of {sorted(SOLVERS)}.")
    extra = SOLVERS[solver]
    if extra is not None and importlib.util.find_spec(solver) is None:
        raise ImportError(
            f"solver={solver!r} needs the package {solver}, which has wheels for Python 3.11 and "
            f"3.12: pip install 'sklearn_convexnn[{extra}]', or choose solver='clarabel'."
        )
    import cvxpy  # slow to import, and needed for nothing else

    return cvxpy


def _settings(solver, tol, max_iter):
    names = {
        "clarabel": ("tol_gap_abs", "tol_gap_rel", "tol_feas"),
        "ecos": ("abstol", "reltol", "feastol"),
        "scs": ("eps_abs", "eps_rel"),
    }[solver]
    settings = dict.fromkeys(names, tol)
    if max_iter is not None:
        settings["max_iter" if solver == "clarabel" else "max_iters"] = max_iter
    elif solver == "scs":
        settings["max_iters"] = 100_000
    return settings


def _solution(rows, groups, alpha, V, b0, multiplier, n_iter, converged, limited):
    """The point with the gap that its own vectors and a multiple of its dual variable prove."""
    index = np.arange(groups.count)
    fit = groups.outputs(index, V)
    if not rows.loss.smooth:
        candidates = [
            rows.loss.nearest_dual(rows.Y, rows.weights, sign * multiplier, rows.intercept)
            for sign in (1, -1)
        ]
    else:
        b0 = best_shift(rows, fit)
        # The objective knows the outputs to half of its digits: the multiplier may be closer.
        candidates = [dual_variable(rows, fit + b0)]
        for sign in (1, -1):
            outputs = rows.loss.outputs(rows.Y, sign * multiplier / rows.weights[:, None])
            candidates.append(dual_variable(rows, outputs + best_shift(rows, outputs)))
    Z = fit + b0
    sizes = np.linalg.norm(V, axis=1)
    penalty = alpha * float(sizes.sum())
    proofs = []
    for u in candidates:
        norms, _ = groups.screen(u, alpha, index[:0], V[:0])
        proofs.append(certificate(rows, Z, penalty, u, alpha, float(norms.max(initial=0.0))))
    proof, u = max(proofs, key=lambda pair: pair[0].dual)
    output, index = groups.split(index)
    return EndedSolution(output, index, V, b0, Z, u, sizes, proof, n_iter, converged, limited)
