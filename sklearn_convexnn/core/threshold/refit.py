"""Refit of the output weights over given columns of zeros and ones."""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.column_generation.faces import newton_on_face
from sklearn_convexnn.core.column_generation.proximal_newton import proximal_newton
from sklearn_convexnn.core.column_generation.refit import RowModel
from sklearn_convexnn.core.threshold.lasso import lasso

# Newton steps at most, halvings of one, and the decrease that it needs in parts of the promised.
_STEPS, _HALVINGS, _LEAST_DECREASE = 50, 30, 1e-4
# Accuracy of a lasso, in parts of that of the refit.
_LASSO_SHARE = 0.1
# Of several outputs: changes of face, and steps on the way to one.
_FACES, _FACE_STEPS = 10, 3
# Newton steps on a face, and weights that it may have.
_FACE_ITER, _LARGEST_FACE = 20, 1500
# Curvature that a column has at least, in parts of what it would have on rows of mean curvature:
# losses may have none where rows are on the right side.
_DAMPING = 1e-10


def refit(layer, C, b0, alpha, *, tol):
    """Weights ``C`` (m, n_outputs) and intercept of the least objective, to ``tol * alpha``.

    ``layer`` has ``loss``, ``loss_and_gradients``, ``hessian``, ``majorant`` and ``mean_squares``
    of :class:`~sklearn_convexnn.core.problem.output_layer.OutputLayer`.
    """
    if not len(C):
        return C, b0
    if C.shape[1] == 1:
        return _refit_one_output(layer, C, b0, alpha, tol)
    model = RowModel(layer)
    for _ in range(_FACES):
        C, b0, off = proximal_newton(layer, C, b0, alpha, max_steps=_FACE_STEPS, tol=tol)
        if off <= tol:
            break
        C, b0 = newton_on_face(model, C, b0, alpha, _FACE_ITER, _LARGEST_FACE)
    return C, b0


def _refit_one_output(layer, C, b0, alpha, tol):
    """Newton's method, of which one step is all for the squared error; each step is a lasso."""
    c, quadratic, every = C[:, 0], layer.rows.loss.quadratic, np.arange(len(C))
    value, gradient, slope_b0 = layer.loss_and_gradients(C, b0)
    objective = value + alpha * np.abs(c).sum()
    for _ in range(_STEPS):
        if _off(c, gradient[:, 0], slope_b0, alpha) <= tol:
            break
        H = layer.hessian(every, c[:, None], b0)
        H[np.diag_indices_from(H)] += _DAMPING * (H[-1, -1] + np.finfo(float).tiny)
        edge, total = H[:-1, -1], H[-1, -1]
        gram = H[:-1, :-1] - np.outer(edge, edge) / total
        reduced = gradient[:, 0] - edge * (slope_b0[0] / total)
        aim = lasso(gram, gram @ c - reduced, alpha, c, tol=_LASSO_SHARE * tol)
        move = aim - c
        move_b0 = -(slope_b0 + edge @ move) / total
        promised = -(
            gradient[:, 0] @ move
            + slope_b0 @ move_b0
            + alpha * (np.abs(aim).sum() - np.abs(c).sum())
        )
        share = 1.0
        for _ in range(_HALVINGS):
            trial, trial_b0 = c + share * move, b0 + share * move_b0
            value, trial_gradient, trial_slope = layer.loss_and_gradients(trial[:, None], trial_b0)
            trial_objective = value + alpha * np.abs(trial).sum()
            if quadratic or trial_objective <= objective - _LEAST_DECREASE * share * promised:
                break
            share *= 0.5
        else:
            break  # rounding
        c, b0, gradient, slope_b0 = trial, trial_b0, trial_gradient, trial_slope
        objective = trial_objective
        if quadratic:
            break
    return c[:, None], b0


def _off(c, gradient, slope_b0, alpha):
    """The largest violation of an optimality condition, relative to alpha."""
    slack = np.where(c != 0, np.abs(gradient + alpha * np.sign(c)), np.abs(gradient) - alpha)
    return max(slack.max(), np.abs(slope_b0).max()) / alpha
