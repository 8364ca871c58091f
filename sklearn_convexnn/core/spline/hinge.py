"""The hinge loss on a line: proximal steps in the dual, each a smooth problem.

``(1 - z)_+`` for the second class, ``(1 + z)_+`` for the first.  With it the training problem of
:mod:`sklearn_convexnn.core.spline.solver` is a linear program.  Its solutions press whole stretches
of points onto the margin, whose dual variables are then anything but unique: hard for a simplex
method.  The method of multipliers adds a proximal term to the dual,

    max_{0 <= p <= 1}  p m - width / 2 (p - c)^2      instead of    (m)_+ = max_{0 <= p <= 1} p m

for the margin violation m of every point.  That is smooth in m: Newton's method applies; and the
centres c, moved to the present p every few rounds, make the smoothing vanish in the limit.  The
certificate is that of the hinge itself.  Where the last digits do not come (rarely, on positions of
very different density) and there are few points, the linear program is given to HiGHS after all.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from sklearn_convexnn.core.problem.certificates import Certificate
from sklearn_convexnn.core.problem.losses import Hinge
from sklearn_convexnn.core.problem.solution import Solution, Status, end_of_history
from sklearn_convexnn.core.spline.problem import Spline, prices
from sklearn_convexnn.core.spline.solver import certify, feasible_residual, solve_spline

# Up to so many points the linear program is small, and so many rounds are given to the other way.
_FEW_POINTS, _FEW_ROUNDS = 500, 300
_KIND = {"certificate": "exact"}
# Rounds between two moves of the centres, at most.
_LONGEST = 40


class ProximalHinge(Hinge):
    """The hinge with a proximal term in its dual; see above.  Holds the centres."""

    name = "proximal hinge"
    smooth = True
    exact = Hinge()
    # Some curvature everywhere keeps Newton's steps short where the loss is linear.
    least_damping = 1e-5

    def __init__(self, width=0.1):
        self.width = width
        self.centres, self.accuracy, self.waited = (0.0, 0.0), np.inf, 0

    def _multipliers(self, Z):
        """Of the second and of the first class."""
        return tuple(
            np.clip(c + m / self.width, 0.0, 1.0)
            for c, m in zip(self.centres, (1.0 - Z, 1.0 + Z), strict=True)
        )

    def value_and_gradient(self, Y, Z):
        up, down = self._multipliers(Z)
        value = Y * (up * (1.0 - Z) - 0.5 * self.width * (up - self.centres[0]) ** 2)
        value += (1.0 - Y) * (down * (1.0 + Z) - 0.5 * self.width * (down - self.centres[1]) ** 2)
        return value.sum(axis=1), (1.0 - Y) * down - Y * up

    def value(self, Y, Z):
        return self.value_and_gradient(Y, Z)[0]

    def gradient(self, Y, Z):
        return self.value_and_gradient(Y, Z)[1]

    def second_derivative(self, Y, Z):
        up, down = self._multipliers(Z)
        bent = Y * ((up > 0) & (up < 1)) + (1.0 - Y) * ((down > 0) & (down < 1))
        return bent / self.width

    def smoothness(self):
        return 1.0 / self.width

    def settled(self, promised, gap):
        """Whether the smooth problem is solved well enough to move the centres.

        ``promised`` is the decrease that the model of the last step promised.  Ever more accurate
        solutions are asked for, or centres could go in circles.
        """
        self.waited += 1
        if promised > min(self.accuracy, 0.05 * gap) and self.waited < _LONGEST:
            return False
        self.accuracy, self.waited = 0.7 * min(self.accuracy, 0.05 * gap), 0
        return True

    def recentre(self, Z):
        """Move the centres to the present multipliers."""
        self.centres = self._multipliers(Z)


def solve_hinge(problem, alpha, loss, penalty, *, tol, max_iter, progress=None):
    """As ``solve_spline``, for a :class:`ProximalHinge`."""
    few = problem.n_points <= _FEW_POINTS
    rounds = min(max_iter, _FEW_ROUNDS) if few else max_iter
    goals = {"tol": tol, "max_iter": rounds, "progress": progress}
    solution = solve_spline(problem, alpha, loss, penalty, **goals)
    ended = solution.status in (Status.GAP, Status.INTERRUPTED)
    if ended or not few or max_iter <= rounds:
        return solution
    spline, r = _linear_program(problem, alpha, penalty)
    f, g = spline(problem.t), prices(problem.t, r)
    now = certify(problem, loss.exact, penalty, alpha, spline, f, r, g)
    before = solution.certificate
    if now.primal > before.primal:
        spline, now = solution.network, Certificate(before.primal, now.dual, now.kappa, now.kind)
    if now.dual < before.dual:
        now = Certificate(now.primal, before.dual, before.kappa, now.kind)
    status = Status.GAP if now.relative_gap <= tol else Status.INACCURATE
    n_iter, last = solution.n_iter + 1, end_of_history(now, n_knots=spline.n_kinks)
    history = {name: values + last[name] for name, values in solution.history.items()}
    if progress is not None:
        progress(n_iter, {name: values[-1] for name, values in history.items()} | _KIND)
    return Solution(spline, now, status, alpha, n_iter, history)


def _linear_program(problem, alpha, penalty):
    """Spline and residual from the program with all points as knots."""
    t, n = problem.t, problem.n_points
    mass = problem.weights * np.stack([problem.y, 1.0 - problem.y])
    part, point = np.nonzero(mass > 0)
    sign, m, k = np.where(part == 0, 1.0, -1.0), len(part), n - 2
    # Variables: intercept, first slope up and down, jumps up, jumps down, penalty, slacks.
    up, down, last = slice(3, 3 + k), slice(3 + k, 3 + 2 * k), 3 + 2 * k
    size = last + 1 + m
    rows = np.zeros((m, size))
    rows[:, 0], rows[:, 1], rows[:, 2] = 1.0, t[point] - t[0], t[0] - t[point]
    rows[:, up] = np.maximum(t[point][:, None] - t[1:-1], 0.0)
    rows[:, down] = -rows[:, up]
    rows *= -sign[:, None]
    rows[np.arange(m), last + 1 + np.arange(m)] = -1.0
    forms = np.zeros((2 if penalty.ends else penalty.n_forms, size))
    forms[:, last] = -1.0
    for i, form in enumerate(forms):
        if penalty.ends:  # max(P + (s_1)_+, M + (-s_1)_+)
            form[1 + i], form[(up, down)[i]] = 1.0, 1.0
        else:
            form[up], form[down] = penalty.up[i], penalty.down[i]
            form[1], form[2] = penalty.tilt[i], -penalty.tilt[i]
    cost = np.zeros(size)
    cost[last], cost[last + 1 :] = alpha, mass[part, point]
    bounds = np.tile([0.0, np.inf], (size, 1))
    bounds[0, 0] = -np.inf
    result = linprog(
        cost,
        A_ub=np.vstack([rows, forms]),
        b_ub=np.concatenate([np.full(m, -1.0), np.zeros(len(forms))]),
        bounds=bounds,
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if result.status != 0:
        raise RuntimeError(f"HiGHS did not solve the linear program: {result.message}")
    x = result.x
    jumps = x[up] - x[down]
    used = np.concatenate([[True], np.abs(jumps) > 1e-12 * np.abs(jumps).max(initial=0), [True]])
    values = x[0] + (x[1] - x[2]) * (t - t[0]) + np.maximum(t[:, None] - t[1:-1], 0.0) @ jumps
    r = np.zeros(n)
    np.add.at(r, point, -sign * result.ineqlin.marginals[:m])
    r = np.clip(r, -mass[1], mass[0])
    slack = np.minimum(r + mass[1], mass[0] - r)
    return Spline(t[used], values[used]), feasible_residual(t, r, slack, penalty.skip)
