"""The quadratic subproblem of splines: a quadratic in the values plus the penalty of the slopes.

On candidate knots ``u_1 < ... < u_k`` the function is given by its values there and the quadratic
has a tridiagonal matrix (that of hat functions).  The penalty is linear on each of its faces: the
set of knots whose jump is not zero, the signs of these jumps, and the linear form (or the pair of
neighbouring forms that are equal) that attains the maximum.  On a face the minimum costs one
tridiagonal solve, O(k).  :func:`solve_quadratic` looks for the face that holds the minimum: in
leaps, which are fast and nearly always right, or by the classical active-set method, which
descends and ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solveh_banded

from sklearn_convexnn.core.spline.problem import slope_jumps

# Faces tried by leaps before the active-set method takes over, and its own limit.
_MAX_LEAPS = 60


@dataclass(frozen=True)
class Quadratic:
    """``sum_i h_i f_i^2 / 2 - b_i f_i`` for splines f, by the intervals between knots ``u``.

    With the barycentric coordinates (1 - l, l) of a point in its interval, ``left``, ``cross`` and
    ``right`` are the sums of ``h (1-l)^2``, ``h l (1-l)``, ``h l^2``, and ``b_left``, ``b_right``
    those of ``b (1-l)``, ``b l``.  All are sums of terms of one sign (or nearly): nothing cancels,
    however close two knots are.
    """

    u: np.ndarray
    left: np.ndarray
    cross: np.ndarray
    right: np.ndarray
    b_left: np.ndarray
    b_right: np.ndarray

    @classmethod
    def of_points(cls, t, h, b, knots):
        """From points t (sorted) and the positions of the knots among them, first to last."""
        u, starts = t[knots], knots[:-1]
        counts = np.diff(knots)
        counts[-1] += 1  # the last point belongs to the last interval
        lam = (t - np.repeat(u[:-1], counts)) / np.repeat(np.diff(u), counts)
        rest = 1.0 - lam
        hl, hr = h * rest, h * lam
        sums = (hl * rest, hl * lam, hr * lam, b * rest, b * lam)
        return cls(u, *(np.add.reduceat(part, starts) for part in sums))

    def value(self, values):
        """At values on the knots."""
        a, c = values[:-1], values[1:]
        quadratic = self.left * a * a + 2 * self.cross * a * c + self.right * c * c
        return float(0.5 * quadratic.sum() - self.b_left @ a - self.b_right @ c)

    def restricted(self, segment, lam0, lam1, u):
        """On coarser knots u: interval i is the part [lam0_i, lam1_i] of ``segment_i``."""
        m0, m1 = 1.0 - lam0, 1.0 - lam1
        L, X, R = self.left, self.cross, self.right
        sums = (
            m0 * m0 * L + 2 * m0 * m1 * X + m1 * m1 * R,
            m0 * lam0 * L + (m0 * lam1 + m1 * lam0) * X + m1 * lam1 * R,
            lam0 * lam0 * L + 2 * lam0 * lam1 * X + lam1 * lam1 * R,
            m0 * self.b_left + m1 * self.b_right,
            lam0 * self.b_left + lam1 * self.b_right,
        )
        starts = np.flatnonzero(np.diff(segment, prepend=-1))
        return Quadratic(u, *(np.add.reduceat(part, starts) for part in sums))

    def tridiagonal(self):
        """Matrix in banded form and right-hand side."""
        k = len(self.u)
        matrix, b = np.zeros((2, k)), np.zeros(k)
        matrix[1, :-1], b[:-1] = self.left, self.b_left
        matrix[1, 1:] += self.right
        b[1:] += self.b_right
        matrix[0, 1:] = self.cross
        return matrix, b


@dataclass(frozen=True)
class Face:
    """Signs of the jumps at the knots, 0 for none, and the place among the linear forms.

    ``place = 2 k`` is form k, ``2 k + 1`` that forms k and k + 1 are equal.  The signs of the
    outer knots count only for penalties with ``ends``.
    """

    signs: np.ndarray
    place: int

    def with_signs(self, signs):
        return Face(signs, self.place)


@dataclass(frozen=True)
class Optimum:
    """The minimum on a face: values at all knots, their jumps, the mix of forms.

    ``mix`` is the weight of form ``place // 2 + 1`` against form ``place // 2``.
    """

    values: np.ndarray
    jumps: np.ndarray
    mix: float


def solve_face(quadratic, face, penalty, alpha):
    """Minimise the quadratic plus ``alpha`` times the penalty's linear form on a face."""
    signs, u = face.signs, quadratic.u
    k = len(u)
    active = signs != 0
    if penalty.ends and np.count_nonzero(active) < 2:  # the slope returns to zero: it is zero
        mean = (quadratic.b_left.sum() + quadratic.b_right.sum()) / (
            quadratic.left.sum() + 2 * quadratic.cross.sum() + quadratic.right.sum()
        )
        return Optimum(np.full(k, mean), np.zeros(k), 0.0)
    flat_left = penalty.ends and not active[0]
    flat_right = penalty.ends and not active[-1]
    active[[0, -1]] = True
    coarse = np.flatnonzero(active)
    segment = np.cumsum(active[:-1]) - 1
    start, length = u[coarse[:-1]][segment], np.diff(u[coarse])[segment]
    lam0, lam1 = (u[:-1] - start) / length, (u[1:] - start) / length
    if flat_left:
        lam0[segment == 0] = lam1[segment == 0] = 1.0
    if flat_right:
        lam0[segment == segment[-1]] = lam1[segment == segment[-1]] = 0.0
    small = quadratic.restricted(segment, lam0, lam1, u[coarse])
    used = slice(int(flat_left), len(coarse) - int(flat_right))
    matrix, b = small.tridiagonal()
    weights = penalty.weights(signs[coarse], face.place // 2)
    if flat_left:  # no slope, no cost
        weights[0] = weights[1]
    if flat_right:
        weights[-1] = weights[-2]
    right = [b - alpha * _by_value(weights, small.u)]
    if face.place % 2:
        step = _form_step(penalty, signs[coarse], face.place // 2)
        right.append(_by_value(step, small.u))
    solution = solveh_banded(
        matrix[:, used], np.stack(right, axis=1)[used], check_finite=False, overwrite_b=True
    )
    values, mix = solution[:, 0], 0.0
    if face.place % 2:
        # The multiplier that makes the two forms equal.
        direction = right[1][used]
        curvature = alpha * float(direction @ solution[:, 1])
        mix = float(direction @ values) / curvature if curvature > 0 else 0.0
        values = values - (mix * alpha) * solution[:, 1]
    if flat_left:
        values = np.concatenate([values[:1], values])
    if flat_right:
        values = np.concatenate([values, values[-1:]])
    jumps = np.zeros(k)
    jumps[coarse] = slope_jumps(small.u, values)
    if flat_left:
        jumps[0] = 0.0
    if flat_right:
        jumps[-1] = 0.0
    fine = np.empty(k)
    fine[:-1] = (1 - lam0) * values[segment] + lam0 * values[segment + 1]
    fine[coarse] = values
    return Optimum(fine, jumps, mix)


def _by_value(weights, u):
    """The form ``weights @ jumps`` as a form of the values at the knots.

    First by slopes: there equal weights of neighbours cancel exactly, however close they are.
    """
    by_slope = -np.diff(weights) / np.diff(u)
    form = np.zeros(len(u))
    form[1:] = by_slope
    form[:-1] -= by_slope
    return form


def _form_step(penalty, signs, form):
    return penalty.weights(signs, form + 1) - penalty.weights(signs, form)


def _form_differences(penalty, signs, jumps, place):
    """How much the next and the previous form exceed the present one; -inf where there is none."""
    k = place // 2
    up = float(_form_step(penalty, signs, k) @ jumps) if k + 1 < penalty.n_forms else -np.inf
    down = -float(_form_step(penalty, signs, k - 1) @ jumps) if k > 0 else -np.inf
    return up, down


def _neighbour_place(penalty, face, optimum):
    """Where the maximum of the forms (dually, the multiplier of a tie) leads from this face."""
    if face.place % 2:
        return face.place + (optimum.mix > 1) - (optimum.mix < 0)
    up, down = _form_differences(penalty, face.signs, optimum.jumps, face.place)
    if max(up, down) <= 0:
        return face.place
    return face.place + (1 if up >= down else -1)


def leap(quadratic, face, penalty, alpha):
    """Drop all knots whose jumps have the wrong sign, at once, until none has.

    Returns the face and its optimum, or None if that took too long.  The result is the minimum
    over some of the candidate knots, not always a descent: the caller compares.
    """
    for _ in range(_MAX_LEAPS):
        if penalty.ends and np.count_nonzero(face.signs) < 2:
            face = face.with_signs(np.zeros_like(face.signs))
        optimum = solve_face(quadratic, face, penalty, alpha)
        wrong = face.signs * optimum.jumps < 0
        if wrong.any():
            face = face.with_signs(np.where(wrong, 0, face.signs))
            continue
        place = _neighbour_place(penalty, face, optimum)
        if place == face.place:
            return face, optimum
        face = Face(face.signs, place)
    return None


def descend(quadratic, values, face, penalty, alpha):
    """The active-set method: from ``values`` on ``face`` to its minimum, or the first wall.

    A wall is a jump that becomes zero (the knot leaves) or another form that becomes the largest
    (the two are tied).  Every step lowers the objective or shortens the face: it ends.
    """
    jumps = slope_jumps(quadratic.u, values) * (face.signs != 0)
    if not penalty.ends:
        jumps[0], jumps[-1] = slope_jumps(quadratic.u, values)[[0, -1]]
    for _ in range(20 * len(values) + 100):
        optimum = solve_face(quadratic, face, penalty, alpha)
        before, after = face.signs * jumps, face.signs * optimum.jumps
        walls = np.where(after < 0, before / np.maximum(before - after, 1e-300), np.inf)
        step, hit, place = 1.0, None, face.place
        if walls.min() < 1.0:
            hit = int(np.argmin(walls))
            step = max(float(walls[hit]), 0.0)
        if face.place % 2 == 0:
            now = _form_differences(penalty, face.signs, jumps, face.place)
            then = _form_differences(penalty, face.signs, optimum.jumps, face.place)
            for a, b, side in zip(now, then, (1, -1), strict=True):
                if b > 0 and (wall := max(-a, 0.0) / (b - min(a, 0.0))) < step:
                    step, hit, place = wall, None, face.place + side
        values = values + step * (optimum.values - values)
        jumps = jumps + step * (optimum.jumps - jumps)
        if place != face.place:
            face = Face(face.signs, place)
        elif hit is not None:
            signs = face.signs.copy()
            signs[hit], jumps[hit] = 0, 0.0
            face = face.with_signs(signs)
        else:
            place = _neighbour_place(penalty, face, optimum)
            if face.place % 2 == 0 or place == face.place:
                return face, optimum
            face = Face(face.signs, place)
    return face, Optimum(values, jumps, optimum.mix)
