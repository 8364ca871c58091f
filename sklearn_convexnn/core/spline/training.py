"""One fit on a line: choose the loss and alpha, solve, or interpolate."""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.problem.alphas import SCALE_FRACTION
from sklearn_convexnn.core.problem.certificates import Certificate
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.solution import Solution, Status, end_of_history
from sklearn_convexnn.core.spline.hinge import ProximalHinge, solve_hinge
from sklearn_convexnn.core.spline.problem import Penalty, Spline, make_line_problem, prices
from sklearn_convexnn.core.spline.solver import feasible_residual, solve_spline

_ROWS = ("objective", "lower_bound", "dual_gap", "n_knots")
_WORST_FIRST = (Status.INTERRUPTED, Status.MAX_ITER, Status.INACCURATE, Status.GAP)


def line_loss(name):
    """The loss of that name for one output."""
    loss = get_loss(name, 1)
    return loss if loss.smooth else ProximalHinge()


def distinct_rows(X, weights):
    """The rows without repetition, their summed weights, and which of them each row is.

    One column is left as it is.  For more, rounding must not depend on the order of the rows.
    """
    if X.shape[1] == 1:
        return X, weights, slice(None)
    rows, index = np.unique(X, axis=0, return_inverse=True)
    return rows, np.bincount(index.ravel(), weights=weights), index.ravel()


def principal_axis(X, weights):
    """The first principal direction, (d,), and the largest distance from it over the spread."""
    d = X.shape[1]
    if d == 1:
        return np.ones(1), 0.0
    centred = X - (weights @ X) / weights.sum()
    spread = np.abs(centred[weights > 0]).max()
    if spread == 0:
        return np.eye(d)[0], 0.0
    centred = centred[weights > 0] / spread
    rooted = centred * np.sqrt(weights[weights > 0])[:, None]
    direction = np.linalg.svd(rooted, full_matrices=False)[2][0]
    direction = direction * np.sign(direction[np.argmax(np.abs(direction))])
    miss = np.abs(centred - np.outer(centred @ direction, direction)).max()
    return direction, float(miss)


def null_alpha(problem, loss, penalty, *, tol=1e-10):
    """The alpha, in units of the data, from which on the best network without neurons is optimal.

    For the hinge an upper bound of that alpha, because the dual variable is not unique.
    """
    w = problem.weights
    if problem.n_points == 1:
        return 0.0
    if not penalty.skip:
        f = np.full(problem.n_points, loss.constant(problem.y[:, None], w)[0])
        if not loss.exact.smooth:
            # All of the rarer class, and of the other one as much of every point.
            mass = w * np.stack([problem.y, 1.0 - problem.y])
            share = mass.sum(axis=1).min() / mass.sum(axis=1)
            r = share[0] * mass[0] - share[1] * mass[1]
        else:
            r = -w * loss.gradient(problem.y[:, None], f[:, None])[:, 0]
    else:
        linear = solve_spline(
            problem, 1.0, loss, Penalty.of(2, True), tol=tol, max_iter=500, fixed_knots=True
        )
        f = linear.network(problem.t)[:, None]
        slack = w * loss.hessian(problem.y[:, None], f)[:, 0, 0]
        r = feasible_residual(
            problem.t, -w * loss.gradient(problem.y[:, None], f)[:, 0], slack, True
        )
    g = prices(problem.t, r)
    kappa = penalty.kappa(g)
    noise = 64 * np.finfo(float).eps * (np.abs(r).sum() + np.abs(problem.y).max())
    return kappa * problem.alpha_unit if kappa > noise else 0.0


def threshold_separable(problem):
    """Whether a threshold leaves one class on each side: then a steep line has no log-loss."""
    if problem.n_points == 1:
        return False
    first, second = problem.t[problem.y < 1], problem.t[problem.y > 0]
    return first.max() <= second.min() or second.max() <= first.min()


def interpolate(problem):
    """The limit alpha -> 0 for the squared error: connect the dots, at least weight decay."""
    spline = Spline(problem.t, problem.y)
    # What is left is the variance at equal points.
    certificate = Certificate(problem.within, problem.within, 0.0, "exact")
    spline = _without_idle_knots(spline)
    history = end_of_history(certificate, n_knots=spline.n_kinks)
    return Solution(spline, certificate, Status.GAP, 0.0, 1, history)


def _without_idle_knots(spline):
    """Without the knots whose jump is rounding."""
    if len(spline.u) < 3:
        return spline
    steps = np.diff(spline.u)
    slopes = np.diff(spline.values) / steps
    noise = 8 * np.finfo(float).eps * np.abs(spline.values).max() * (1 / steps[1:] + 1 / steps[:-1])
    used = np.concatenate([[True], np.abs(np.diff(slopes)) > noise, [True]])
    return Spline(spline.u[used], spline.values[used])


def train_lines(x, Y, weights, alpha, *, loss_name, n_layers, skip, tol, max_iter, progress=None):
    """Solve for every output, each with a network of its own.

    Parameters
    ----------
    x, weights : ndarrays of shape (n,)
    Y : ndarray of shape (n, C)
    alpha : float or "scale"
        In the units of the data.
    progress : callable, optional
        As of :func:`~sklearn_convexnn.core.spline.solver.solve_spline`, for one output after
        the other, with objectives in the units of the data.

    Returns
    -------
    problems : list of LineProblem
    solutions : list of Solution
        In working units.
    alpha, alpha_max : floats
        In the units of the data.
    """
    penalty = Penalty.of(n_layers, skip)
    exact = line_loss(loss_name).exact
    problems = [make_line_problem(x, y, weights, standardise=exact.quadratic) for y in Y.T]
    for problem in problems:
        if exact.probabilities and skip and threshold_separable(problem):
            raise ValueError(
                "With skip_connection=True and the log-loss there is no best network when a "
                "threshold separates the classes: use skip_connection=False or loss='hinge'."
            )
    largest = max(null_alpha(problem, line_loss(loss_name), penalty) for problem in problems)
    if alpha == "scale":
        # With nothing to fit every alpha gives the same network.
        alpha = SCALE_FRACTION * largest / np.sqrt(problems[0].n_points) or 1.0
    goals = {"tol": tol, "max_iter": max_iter}
    solutions = []
    for problem in problems:
        report = None if progress is None else _in_units_of(problem, progress)
        solutions.append(_solve(problem, alpha, loss_name, penalty, progress=report, **goals))
        if solutions[-1].status is Status.INTERRUPTED:
            progress = _stop  # outputs that are still to come get one round each
    return problems, solutions, float(alpha), float(largest)


def joint_solution(problems, solutions, alpha):
    """One Solution, in the units of the data, from those of all outputs; its network is a list.

    An output that needs fewer rounds than others stays in the history with what it ended with.
    """
    units = [problem.objective_unit for problem in problems]
    pairs = list(zip(units, (s.certificate for s in solutions), strict=True))
    primal = sum(unit * c.primal for unit, c in pairs)
    gap = sum(unit * c.gap for unit, c in pairs)
    certificate = Certificate(primal, primal - gap, max(c.kappa for _, c in pairs), "exact")
    n_iter = max(s.n_iter for s in solutions)
    rows = {name: [_padded(s.history[name], n_iter) for s in solutions] for name in _ROWS}
    objectives = np.array(rows["objective"])
    gaps = np.asarray(units) @ (objectives * rows["dual_gap"])
    objective = np.asarray(units) @ objectives
    history = {
        "objective": objective,
        "lower_bound": np.asarray(units) @ np.array(rows["lower_bound"]),
        "dual_gap": np.divide(gaps, objective, out=np.zeros(n_iter), where=objective > 0),
        "n_knots": np.sum(rows["n_knots"], axis=0),
    }
    ends = {s.status for s in solutions}
    status = next(status for status in _WORST_FIRST if status in ends)
    return Solution([s.network for s in solutions], certificate, status, alpha, n_iter, history)


def _padded(values, n):
    return [*values, *[values[-1]] * (n - len(values))]


def _in_units_of(problem, progress):
    def report(n_iter, row):
        return progress(n_iter, row | {"objective": row["objective"] * problem.objective_unit})

    return report


def _stop(n_iter, row):
    return True


def _solve(problem, alpha, loss_name, penalty, *, progress, **goals):
    """One output, with alpha in the units of the data."""
    if alpha == 0:
        return interpolate(problem)
    goals["progress"] = progress
    alpha = alpha / problem.alpha_unit
    loss = line_loss(loss_name)
    solve = solve_spline if loss.exact.smooth else solve_hinge
    return solve(problem, alpha, loss, penalty, **goals)
