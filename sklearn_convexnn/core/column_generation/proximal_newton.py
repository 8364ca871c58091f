"""Proximal Newton steps for the output weights over fixed directions, for smooth losses.

Each step minimises the penalty plus a parabola of the loss at the present weights, ::

    <g, d> + 1/2 sum_c d_c^T M_c d_c + alpha * sum_j ||c_j + d_j|| ,

with the curvatures ``M_c`` of :class:`~sklearn_convexnn.core.problem.output_layer.Majorant`, exact
where outputs do not meet (Lee, Sun & Saunders 2014).  It needs one pass over the rows for the
parabola and one for each trial; what it minimises has the size of the network.  A few steps do
what hundreds of proximal gradients do, whose condition is that of the neurons' activations: slid
neurons are many pictures of few.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sklearn_convexnn.core.column_generation.faces import finish_on_face

# Iterations for one parabola, the optimality at which they end, relative to alpha and to that of
# the loss, and how many pass between two looks at it.
_MODEL_ITER, _MODEL_TOL, _MODEL_SHARE = 200, 1e-2, 0.1
# The same of steps that end before the optimum: refits take 0.6 of the time, and default fits of
# six sets of labels end within 0.1 % of the same objective.
_LIGHT_ITER, _LIGHT_TOL, _LIGHT_SHARE = 100, 3e-2, 0.3
_CHECKED = 5
# The least decrease of a step, in parts of what its parabola promises.  The parabola is taken anew
# where the decrease was less than the second, or more than the third; than the last where
# curvatures are only bounded, by about twice what they are.
_LEAST_DECREASE, _FALSE, _STALE, _LOOSE = 1e-4, 0.7, 1.3, 3.0
_HALVINGS = 20
# Curvature that a weight has at least, in parts of what it would have on rows of mean curvature.
_DAMPING = 1e-3
# Curvature at least, in parts of the residuals: where all rows are far on the wrong side the loss
# has none, and steps would move outputs by more than so many units.
_LONGEST = 100.0
# Squarings of a matrix for a bound of its eigenvalues: within a few percent.
_SQUARINGS = 3
_ROUNDING = 1e-4  # of these in single precision


def proximal_newton(layer, C, b0, alpha, *, max_steps, tol, gain=0.0):
    """Up to ``max_steps`` of the steps above; none raises the objective.

    A step that does not lower it enough is halved until it does.  Ends where no optimality
    condition is off by more than ``tol * alpha``, or before a step that promises no decrease by
    ``gain`` times the loss, or by more than rounding.

    Returns
    -------
    C, b0
    off : float
        The largest violation of an optimality condition, relative to alpha.
    """
    squares = layer.mean_squares()
    # Neurons that are never active on these rows only cost.
    active = squares.reshape(len(C), -1).max(axis=1) > 0
    C = np.where(active[:, None], C, 0.0)
    rounding, exact = 16 * np.finfo(layer.rows.dtype).eps, layer.rows.loss.separable
    point, parabola = _Point.of(layer, C, b0, alpha), None
    max_iter, most, share = _MODEL_ITER, _MODEL_TOL, _MODEL_SHARE
    if gain > 0:
        max_iter, most, share = _LIGHT_ITER, _LIGHT_TOL, _LIGHT_SHARE
    for _ in range(max_steps):
        off = point.off(alpha)
        if off <= tol:
            break
        if parabola is None:
            parabola = _Parabola(layer, point, squares)
        aim = parabola.minimiser(point, alpha, min(most, share * off), max_iter)
        promised = point.objective - parabola.value(point, *aim, alpha)
        if not promised > max(rounding, gain) * abs(point.value):
            break
        trial = _lower(layer, point, aim, promised, alpha)
        if trial is None:
            break
        decrease = point.objective - trial.objective
        if not _FALSE * promised <= decrease <= (_STALE if exact else _LOOSE) * promised:
            parabola = None
        point = trial
    return point.C, point.b0, point.off(alpha)


def _lower(layer, point, aim, promised, alpha):
    """The first of the points on the way to ``aim``, halved, that is low enough."""
    share = 1.0
    for _ in range(_HALVINGS):
        C, b0 = (old + share * (new - old) for old, new in zip(point[:2], aim, strict=True))
        trial = _Point.of(layer, C, b0, alpha)
        if trial.objective <= point.objective - _LEAST_DECREASE * share * promised:
            return trial
        share *= 0.5
    return None


class _Point(NamedTuple):
    """Weights with the loss, the objective and the gradient there."""

    C: np.ndarray
    b0: np.ndarray
    value: float
    objective: float
    gradient: np.ndarray
    gradient_b0: np.ndarray

    @classmethod
    def of(cls, layer, C, b0, alpha):
        value, gradient, gradient_b0 = layer.loss_and_gradients(C, b0)
        return cls(C, b0, value, value + _penalty(C, alpha), gradient, gradient_b0)

    def off(self, alpha):
        """The largest violation of an optimality condition, relative to alpha."""
        lengths = np.linalg.norm(self.C, axis=1)
        unit = self.C / np.where(lengths > 0, lengths, 1.0)[:, None]
        slack = np.linalg.norm(self.gradient + alpha * unit, axis=1)
        slack = np.where(lengths > 0, slack, np.linalg.norm(self.gradient, axis=1) - alpha)
        return max(slack.max(), np.abs(self.gradient_b0).max()) / alpha


def _penalty(C, alpha):
    return alpha * np.linalg.norm(C, axis=1).sum()


class _Parabola:
    """The loss about a point, with its intercept at the minimum for the weights.

    Its weights ``x`` (C, f) are in units of one over the root of their curvature.
    """

    def __init__(self, layer, point, squares):
        self.has_intercept = layer.rows.intercept
        total, edge, gram = layer.majorant(point.C, point.b0)
        self.edge = edge
        least = max(self._residual(point, squares) / _LONGEST, np.finfo(float).tiny)
        mean = max(total.mean(), least)
        self.total = total + _DAMPING * mean
        if self.has_intercept:
            gram = gram - edge[:, :, None] * (edge / self.total[:, None])[:, None, :]
        diagonal = np.arange(edge.shape[1])
        gram[:, diagonal, diagonal] += _DAMPING * mean * squares
        norms = np.sqrt(gram[:, diagonal, diagonal].max(axis=0)).reshape(len(point.C), -1)
        # One number per neuron, or its group would not remain one; some are never active.
        norms = norms.max(axis=1)
        self.norms = np.where(norms > 0, norms, 1.0)
        self.cells = edge.shape[1] // len(norms)
        self.units = np.repeat(self.norms, self.cells)
        self.gram = (gram / self.units[:, None] / self.units).astype(layer.rows.dtype)
        self.smoothness = _bound_of_eigenvalues(self.gram)

    def _by_output(self, C):
        """Weights, or gradients, as (C, f)."""
        return C.reshape(self.edge.T.shape).T

    def _residual(self, point, squares):
        """A size that the residuals have at least, of the order of their mean."""
        slopes = np.abs(self._by_output(point.gradient)) / np.sqrt(
            np.where(squares > 0, squares, np.inf)
        )
        return max(slopes.max(initial=0.0), np.abs(point.gradient_b0).max())

    def _slopes(self, x):
        """``M x``."""
        return _by_class(self.gram, x)

    def _reduced(self, point):
        """The gradient with the intercept at its best."""
        gradient = self._by_output(point.gradient)
        if self.has_intercept:
            gradient = gradient - self.edge * (point.gradient_b0 / self.total)[:, None]
        return gradient / self.units

    def minimiser(self, point, alpha, tol, max_iter):
        """Weights and intercept where the penalty and the parabola are least."""
        start = (self._by_output(point.C) * self.units).astype(self.gram.dtype)
        slope = self._reduced(point).astype(self.gram.dtype) - self._slopes(start)
        penalties = (alpha / self.norms).astype(self.gram.dtype)
        x = self._accelerated(start, slope, penalties, tol, max_iter)
        x, slope = x.astype(np.float64), slope.astype(np.float64)
        if point.C.shape[1] == 1:
            x = finish_on_face(self.gram[0].astype(np.float64), -slope.T, x.T, alpha / self.norms).T
        x = x / self.units
        b0 = point.b0
        if self.has_intercept:
            move = x - self._by_output(point.C)
            shift = point.gradient_b0 + np.einsum("cf,cf->c", self.edge, move)
            b0 = b0 - shift / self.total
        return x.T.reshape(point.C.shape), b0

    def _accelerated(self, x, slope, penalties, tol, max_iter):
        """FISTA with restart for ``<slope, x> + 1/2 x^T M x`` with the penalties."""
        step = 1.0 / self.smoothness
        thresholds, tol = step * penalties, tol * step * penalties.min()
        slope, z, momentum = step * slope, x, 1.0
        descent = -step * self.gram
        diagonal = np.arange(x.shape[1])
        descent[:, diagonal, diagonal] += 1.0
        for k in range(max_iter):
            v = _by_class(descent, z)
            v -= slope
            x_next = self._shrunk(v, thresholds)
            back, move = z - x_next, x_next - x
            if np.vdot(back, move) > 0:
                momentum = 1.0
            momentum_next = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * momentum * momentum))
            z = ((momentum - 1.0) / momentum_next) * move
            z += x_next
            x, momentum = x_next, momentum_next
            if k % _CHECKED == 0 and np.abs(back).max() <= tol:
                break
        return x

    def _shrunk(self, v, thresholds):
        """The proximal map of the penalties, in place: groups shrink by their thresholds."""
        if len(v) == 1 and self.cells == 1:
            v -= np.minimum(np.maximum(v, -thresholds), thresholds)
            return v
        squares = np.add.reduce(v * v, 0)
        if self.cells > 1:
            squares = squares.reshape(-1, self.cells).sum(axis=1)
        lengths = np.sqrt(squares, out=squares)
        share = 1.0 - thresholds / np.maximum(lengths, thresholds, out=lengths)
        v *= np.repeat(share, self.cells) if self.cells > 1 else share
        return v

    def value(self, point, C, b0, alpha):
        """The parabola with the penalty."""
        x = self._by_output(C - point.C) * self.units
        value = point.value + np.vdot(self._reduced(point), x) + 0.5 * np.vdot(x, self._slopes(x))
        if self.has_intercept:
            value -= 0.5 * np.sum(point.gradient_b0**2 / self.total)
        return value + _penalty(C, alpha)


def _by_class(matrices, x):
    """The products (C, f) of symmetric matrices (C, f, f) with the rows of ``x``."""
    if len(x) == 1:
        return x @ matrices[0]
    return (matrices @ x[:, :, None])[:, :, 0]


def _bound_of_eigenvalues(matrices):
    """At least the largest eigenvalue of any of the symmetric matrices, and little more.

    The Frobenius norm of a power, a root of the sum of powers of all eigenvalues.
    """
    size = np.linalg.norm(matrices, axis=(1, 2)).max()
    if not size > 0:
        return np.finfo(float).tiny
    powers = (matrices / size).astype(np.float32)
    for _ in range(_SQUARINGS):
        powers = powers @ powers
    largest = np.linalg.norm(powers, axis=(1, 2)).max()
    return float(size * (1.0 + _ROUNDING) * largest ** (0.5**_SQUARINGS))
