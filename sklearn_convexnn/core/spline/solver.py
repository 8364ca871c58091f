"""Networks on a line, solved: proximal Newton steps on few knots, exact pricing at all points.

The training problem is that of :mod:`sklearn_convexnn.core.spline.problem`, ::

    min  sum_i w_i loss(y_i, f(t_i)) + alpha * penalty(slopes of f)   over linear splines f.

Each round takes the prices of all points (one pass) and with them the duality gap; makes the worst
point of every stretch with violated dual constraints a candidate knot; and minimises a quadratic
model of the loss plus the exact penalty over splines with these knots, which drops knots.  For the
squared error the model is the loss itself.  Everything that is O(n) is a handful of NumPy passes,
and the number of rounds hardly depends on the number of points.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.problem.certificates import Certificate
from sklearn_convexnn.core.problem.solution import Solution, Status
from sklearn_convexnn.core.spline.problem import Spline, prices, slope_jumps
from sklearn_convexnn.core.spline.quadratic_program import Face, Quadratic, descend, leap

# Least value of the damping, which keeps the model strictly convex.
_LEAST_DAMPING = 1e-14
_ROUNDING = 64 * np.finfo(float).eps
# An objective below that, in working units, is zero: squares of the rounding of the outputs.
_PERFECT = 1e-28
# Rounds without a better bound after which rounding is what is left of the gap.
_PATIENCE = 12


def solve_spline(problem, alpha, loss, penalty, *, tol, max_iter, fixed_knots=False, progress=None):
    """Solve the training problem in working units for a loss with second derivatives.

    Parameters
    ----------
    problem : LineProblem
    alpha : float
        Positive, in working units.
    loss : Loss
        Its ``exact`` attribute is the loss that the certificate is about.
    penalty : Penalty
    tol : float
        Goal for the relative duality gap.
    max_iter : int
        Rounds at most.
    fixed_knots : bool
        Add no knots.
    progress : callable, optional
        Called after every round with its number and a dict: a row of ``history`` and the kind of
        certificate.  Something true in return stops the solve.

    Returns
    -------
    Solution
        Its network is a :class:`Spline`.
    """
    run = _Run(problem, alpha, loss, penalty, fixed_knots)
    best, bound, since = None, None, 0
    proximal = hasattr(loss, "recentre")
    patience = _PATIENCE * (10 if proximal else 1)
    history = {"objective": [], "lower_bound": [], "dual_gap": [], "n_knots": []}
    for n_iter in range(1, max_iter + 1):
        now, g = run.price()
        since += 1
        if bound is None or now.dual > bound.dual:
            bound, since = now, 0
        if best is None or now.primal < best[0]:
            best, since = (now.primal, run.spline()), 0
        # Every round bounds the same optimum: the best primal and the best dual value count.
        certificate = Certificate(best[0], bound.dual, bound.kappa, "exact")
        row = {
            "objective": best[0],
            "lower_bound": certificate.lower_bound,
            "dual_gap": certificate.relative_gap,
            "n_knots": best[1].n_kinks,
        }
        for name, value in row.items():
            history[name].append(value)
        stop = progress is not None and progress(n_iter, row | {"certificate": "exact"})
        if certificate.relative_gap <= tol:
            status = Status.GAP
            break
        if stop:
            status = Status.INTERRUPTED
            break
        if since >= patience or not (run.improve(g, tol) or proximal):
            status = Status.INACCURATE
            break
        if proximal and loss.settled(run.promised, certificate.gap):
            run.recentre()
    else:
        status = Status.MAX_ITER
    return Solution(best[1], certificate, status, alpha, n_iter, history)


class _Run:
    """The state of a solve: knots (positions among the points), values there, the face."""

    def __init__(self, problem, alpha, loss, penalty, fixed_knots):
        self.problem, self.alpha, self.loss, self.penalty = problem, alpha, loss, penalty
        self.fixed_knots = fixed_knots
        self.Y = problem.y[:, None]
        self.knots = np.unique([0, problem.n_points - 1])
        self.values = np.full(len(self.knots), loss.constant(self.Y, problem.weights)[0])
        signs = np.zeros(len(self.knots))
        # Among the forms: in the middle.
        self.face, self.mix = Face(signs, penalty.n_forms - 1), 0.0
        # Of the last step: its length, and the decrease that its model promised.
        self.step, self.promised = 1.0, 0.0
        # The second derivative is not taken smaller than this part of its upper bound.
        self.least_damping = getattr(loss, "least_damping", _LEAST_DAMPING)
        self.damping = self.least_damping
        self._move_to(np.interp(problem.t, problem.t[self.knots], self.values))

    def _move_to(self, f):
        self.f = f
        self.losses, slope = self.loss.value_and_gradient(self.Y, f[:, None])
        self.slope = slope[:, 0]

    def recentre(self):
        """For a loss with proximal centres: move them."""
        self.loss.recentre(self.f[:, None])
        self._move_to(self.f)

    def spline(self):
        return Spline(self.problem.t[self.knots], self.values)

    def _curvature(self):
        return self.problem.weights * self.loss.hessian(self.Y, self.f[:, None])[:, 0, 0]

    def price(self):
        """The certificate of the present spline, and the prices of all points."""
        problem = self.problem
        r = feasible_residual(
            problem.t, -problem.weights * self.slope, self._curvature(), self.penalty.skip
        )
        g = prices(problem.t, r)
        spline, exact = self.spline(), self.loss.exact
        return certify(problem, exact, self.penalty, self.alpha, spline, self.f, r, g), g

    # ------------------------------------------------------------------ candidates

    def _bounds(self, g):
        """Limits of the prices of inner knots, at the present mix of forms."""
        penalty, face, alpha = self.penalty, self.face, self.alpha
        k, shift = face.place // 2, 0.0
        up, down = penalty.up[k], penalty.down[k]
        if face.place % 2:
            up += self.mix * (penalty.up[k + 1] - up)
            down += self.mix * (penalty.down[k + 1] - down)
        elif penalty.ends:  # here prices are determined up to a constant
            active = face.signs != 0
            shift = 0.5 * (g.max() + g.min())
            if active.any():
                shift = np.mean(g[self.knots[active]] - 0.5 * alpha * face.signs[active])
        return shift - alpha * down, shift + alpha * up

    def _candidates(self, g, tolerance):
        """The worst point of every stretch of violated constraints: positions, signs, excess."""
        taken = self.knots[self.face.signs != 0]
        if not self.penalty.ends:
            taken = np.concatenate([taken, [0, len(g) - 1]])
        return worst_of_stretches(g, *self._bounds(g), tolerance, taken)

    def _most_urgent(self, signs, excess):
        """One candidate; where jumps have the sum zero and there are none yet, one of each sign."""
        order = np.argsort(-excess, kind="stable")
        if self.penalty.ramps and not self.face.signs.any():
            order = np.concatenate([order[signs[order] == s][:1] for s in (1, -1)])
            return np.sort(order)
        return order[:1]

    # ------------------------------------------------------------------ one step

    def improve(self, g, tol):
        """Add knots, minimise the model, step; false if no step is possible."""
        if self.problem.n_points == 1:
            return False
        if self.penalty.ramps and self.penalty.skip and not self.face.signs.any():
            # Without a knot all forms are equal: take those that put the prices in the middle.
            self.mix = min(max(0.5 * (g.max() + g.min()) / self.alpha + 0.5, 0.0), 1.0)
            self.face = Face(self.face.signs, {0.0: 0, 1.0: 2}.get(self.mix, 1))
        new = signs = excess = np.zeros(0, dtype=int)
        if not self.fixed_knots:
            new, signs, excess = self._candidates(g, min(0.1 * tol, 1e-6) * self.alpha)
        found = self._minimise(new, signs, careful=False)
        if found is None:
            some = self._most_urgent(signs, excess)
            found = self._minimise(new[some], signs[some], careful=True)
        stepped = self._step(*found)
        self._adapt_damping()
        return stepped or self.damping < 1.0

    def _adapt_damping(self):
        """More after a step that had to be shortened: at 1 the model is an upper bound."""
        if self.step == 1.0:
            self.damping = max(0.3 * self.damping, self.least_damping)
        elif self.step > 0.1:
            self.damping = min(4.0 * self.damping, 1.0)
        else:
            self.damping = min(max(10.0 * self.damping, 1e-4), 1.0)

    def _minimise(self, new, signs, *, careful):
        """Minimise the model over splines with more knots; None if a leap did not descend.

        Returns the knots, the present values and signs there, and the face and optimum found.
        """
        problem = self.problem
        knots = np.union1d(self.knots, new)
        all_signs = np.zeros(len(knots))
        all_signs[np.searchsorted(knots, self.knots)] = self.face.signs
        all_signs[np.searchsorted(knots, new)] = signs
        face, values, u = Face(all_signs, self.face.place), self.f[knots], problem.t[knots]
        least = self.damping * self.loss.smoothness() * problem.weights
        h = np.maximum(self._curvature(), least)
        model = Quadratic.of_points(problem.t, h, h * self.f - problem.weights * self.slope, knots)
        if careful:
            return knots, values, face, *descend(model, values, face, self.penalty, self.alpha)
        found = leap(model, face, self.penalty, self.alpha)
        if found is None:
            return None
        before, after = (
            model.value(v) + self.alpha * self.penalty.value(u, v)
            for v in (values, found[1].values)
        )
        # Near the optimum decreases drown in rounding long before prices do: Newton's step is then
        # taken on trust, and judged by the gap.
        if after > before + _ROUNDING * (1.0 + abs(before)):
            return None
        if len(new) and not found[0].signs[np.searchsorted(knots, new)].any():
            return None
        return knots, values, face, *found

    def _step(self, knots, values, before, face, optimum):
        """Line search along the step of the model; keep the knots in use."""
        w, u = self.problem.weights, self.problem.t[knots]
        f, present = self.f, float(w @ self.losses)
        pen = self.penalty.value(u, values)
        direction = np.interp(self.problem.t, u, optimum.values) - f
        promised = float(w @ (self.slope * direction))
        promised += self.alpha * (self.penalty.value(u, optimum.values) - pen)
        self.promised = -promised
        rounding = _ROUNDING * (1.0 + present + self.alpha * pen)
        step, signs, place = 1.0, face.signs, face.place
        while True:
            trial = values + step * (optimum.values - values)
            self._move_to(f + step * direction)
            if self.loss.quadratic:  # the model is exact
                break
            change = float(w @ self.losses) - present
            change += self.alpha * (self.penalty.value(u, trial) - pen)
            if change <= 0.1 * step * promised + rounding:
                break
            step *= 0.5
            if step < 1e-10:
                self.step = 0.0
                self._move_to(f)
                return False
        self.step = step
        if step < 1.0:  # the face in the middle of the way is neither that before nor the new one
            moving = (signs != 0) | (before.signs != 0)
            jumps = slope_jumps(u, trial)
            signs = np.where(moving, np.sign(jumps), 0.0)
            forms = [self.penalty.weights(signs, k) @ jumps for k in range(self.penalty.n_forms)]
            place = 2 * int(np.argmax(forms))
        used = signs != 0
        used[[0, -1]] = True
        self.knots, self.values = knots[used], trial[used]
        self.face, self.mix = Face(signs[used], place), optimum.mix
        self._move_to(np.interp(self.problem.t, self.problem.t[self.knots], self.values))
        return True


def worst_of_stretches(g, low, high, tolerance, taken):
    """The worst point of every stretch of prices outside [low, high], without those taken.

    Returns positions, signs (1 above, -1 below) and the excess.
    """
    excess = np.maximum(g - high, low - g)
    sign = np.where(excess > tolerance, np.where(g > high, 1, -1), 0)
    sign[taken] = 0
    starts = np.flatnonzero(np.diff(sign, prepend=0))
    starts = starts[sign[starts] != 0]
    if not len(starts):
        return starts, sign[starts], excess[starts]
    inside = np.flatnonzero(sign)
    stretch = np.searchsorted(starts, inside, side="right") - 1
    # Sorted by stretch and then by excess, the last of each stretch is its worst.
    order = np.lexsort((excess[inside], stretch))
    last = np.flatnonzero(np.diff(stretch[order], append=len(starts)))
    worst = np.sort(inside[order[last]])
    return worst, sign[worst], excess[worst]


# ----------------------------------------------------------------------------------- certificates


def feasible_residual(t, r, slack, skip):
    """The residual with sum zero and, for a free linear part, with ``sum r t = 0``.

    At an optimum both hold up to rounding.  What is missing is taken from the points in proportion
    to ``slack`` (times a linear function of t), which keeps r within the domain of the dual.
    """
    total = slack.sum()
    if total <= 0:
        return r
    shift = r.sum() / total
    if not skip or len(t) == 1:
        return r - slack * shift
    offset = t - (slack @ t) / total
    spread = slack @ offset**2
    tilt = (r @ offset) / spread if spread > 0 else 0.0
    return r - slack * (shift + tilt * offset)


def certify(problem, loss, penalty, alpha, spline, f, r, g):
    """The duality gap of a spline with outputs f, from a residual r and its prices g.

    A residual that misses an equality of the dual by more than rounding bounds nothing; zero, which
    is always feasible, takes its place.  (A perfect fit leaves a residual of rounding alone.)
    """
    w, Y = problem.weights, problem.y[:, None]
    primal = float(w @ loss.value(Y, f[:, None])) + alpha * spline.penalty(penalty)
    if primal < _PERFECT:
        primal = 0.0
    kappa = penalty.kappa(g)
    missed = max(abs(r.sum()), abs(r @ problem.t) if penalty.skip else 0.0)
    rho, scale = (r / w)[:, None], 0.0
    if missed <= 1e-12 * np.abs(r).sum():
        scale = loss.best_scale(Y, rho, w, alpha / kappa if kappa > 0 else np.inf)
    dual = float(w @ loss.dual(Y, scale * rho))
    return Certificate(primal + problem.within, dual + problem.within, kappa, "exact")
