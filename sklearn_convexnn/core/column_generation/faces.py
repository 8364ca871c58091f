"""Output weights that are not zero: descent on their face, and the step that leads to one."""

from __future__ import annotations

import numpy as np

# The number of weights up to which Newton's method is used on a face.
_LARGEST_FACE = 400


def proximal(v, threshold):
    """Groups shrink by ``threshold``, to nothing if they are shorter."""
    lengths = np.linalg.norm(v, axis=1)
    excess = np.maximum(0.0, lengths - threshold)
    return v * (excess / np.where(excess > 0, lengths, 1.0))[:, None]


def finish_on_face(gram, cross, C, alpha):
    """Lasso on the present support and signs, dropping weights that would change sign.

    Every move goes towards the minimiser of a convex quadratic on the face, so the objective never
    rises; at most one weight leaves per turn.  ``alpha`` may be one number for each weight.
    """
    c, alpha = C[:, 0].copy(), np.broadcast_to(alpha, len(C))
    support = np.flatnonzero(c)
    for _ in range(len(support)):
        signs = np.sign(c[support])
        system = gram[np.ix_(support, support)]
        # Neurons whose activations coincide make the system singular; the ridge is at rounding
        # level.
        ridge = 1e-13 * np.trace(system) * np.eye(len(support))
        target = np.linalg.solve(system + ridge, cross[support, 0] - alpha[support] * signs)
        reversing = target * signs <= 0
        if not reversing.any():
            c[support] = target
            break
        current = c[support]
        ratios = np.where(reversing, current / np.where(reversing, current - target, 1.0), np.inf)
        leaving = int(np.argmin(ratios))
        c[support] = current + ratios[leaving] * (target - current)
        c[support[leaving]] = 0.0
        support = np.delete(support, leaving)
        if not len(support):
            break
    return c[:, None]


def newton_on_face(model, C, b0, alpha, max_iter=200, largest=_LARGEST_FACE):
    """Newton's method on the weights that are not zero; a weight that would turn round leaves.

    There ``alpha * ||c||`` is smooth, with the curvature ``alpha/||c|| * (I - c c^T / ||c||^2)``.
    """
    n_outputs = C.shape[1]
    value = model.value(C, b0) + alpha * np.linalg.norm(C, axis=1).sum()
    for _ in range(max_iter):
        lengths = np.linalg.norm(C, axis=1)
        support = np.flatnonzero(lengths)
        k = len(support)
        if k == 0 or k * n_outputs > largest:
            break
        unit = C[support] / lengths[support, None]
        gradient, gradient_b0 = model.gradient(C, b0)
        slope = (gradient[support] + alpha * unit).ravel()
        system = model.face_hessian(support, C, b0)
        if len(system) > len(slope):
            slope = np.concatenate([slope, gradient_b0])
        round_ = alpha / lengths[support, None, None] * np.eye(n_outputs)
        round_ = round_ - alpha / lengths[support, None, None] * unit[:, :, None] * unit[:, None, :]
        for j in range(k):
            block = slice(j * n_outputs, (j + 1) * n_outputs)
            system[block, block] += round_[j]
        # Neurons whose activations coincide make the system singular: a ridge at rounding level.
        system[np.diag_indices_from(system)] += 1e-13 * np.trace(system)
        step = -np.linalg.solve(system, slope)
        decrease = -float(slope @ step)
        if decrease <= 1e-15 * abs(value):
            break
        move = step[: k * n_outputs].reshape(k, n_outputs)
        move_b0 = step[k * n_outputs :] if len(step) > k * n_outputs else np.zeros_like(b0)
        fraction = 1.0
        if n_outputs == 1:
            # Straight to the first weight that turns round: on a face with too many weights the
            # step is long, and leaves through the corner where the activations are independent.
            turning = move[:, 0] * C[support, 0] < -(C[support, 0] ** 2)
            if turning.any():
                fraction = float(np.min(-C[support, 0][turning] / move[turning, 0]))
        least = 1e-6 * fraction
        while fraction > least:
            trial, trial_b0 = C.copy(), b0 + fraction * move_b0
            moved = C[support] + fraction * move
            moved[np.einsum("jc,jc->j", moved, C[support]) <= 1e-14 * lengths[support] ** 2] = 0.0
            trial[support] = moved
            trial_value = model.value(trial, trial_b0) + alpha * np.linalg.norm(moved, axis=1).sum()
            if trial_value <= value - 1e-4 * fraction * decrease:
                break
            fraction *= 0.5
        else:
            break
        C, b0, value = trial, trial_b0, trial_value
    return model.finish(C, b0)
