"""``alpha="auto"`` of deep linear networks: the alpha that predicts held-out rows best.

A fold of the squared error costs one pass over its rows and one decomposition, and each alpha of
its path next to nothing: folds as for ReLU networks, a path as for gated ones.  For other losses
every alpha is a descent: larger steps, each from the network before.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from sklearn_convexnn.core.fit.alpha_descent import descend_alphas, lowest_between
from sklearn_convexnn.core.fit.held_out import Choice, all_but, given_alpha, parts_to_hold_out
from sklearn_convexnn.core.problem.losses import get_loss

# Relative gap and rounds of the networks of the folds.
_TOL, _ROUNDS = 1e-3, 50
# Where every alpha is a descent, it ends at this gap, and a step is so many halvings.
_DESCENT_TOL, _HALVINGS = 1e-2, 2


def choose_linear_alpha(data, alpha_max, scale, *, classify, rng, make, width=None):
    """The Choice of an alpha, from ``alpha_max`` downwards.

    Parameters
    ----------
    data : TrainingSet
        Of all rows.
    alpha_max, scale : float
    classify : bool
        Whether the targets are indicators of classes, over which the folds are spread evenly.
    rng : numpy Generator
        Draws the folds.
    make : callable
        Makes the problem of some rows from their X, Y and weights.
    width : int, optional
        Of the hidden layers.

    Returns
    -------
    Choice
        ``scale`` where there are too few rows, or no alpha makes a difference.
    """
    labels = np.unique(data.Y, axis=0, return_inverse=True)[1].ravel() if classify else None
    held_out = parts_to_hold_out(labels, len(data.Y), rng)
    if not held_out or alpha_max == 0.0:
        return given_alpha(scale)
    quadratic = get_loss(data.loss, data.Y.shape[1]).quadratic
    if not quadratic and width is not None:  # too narrow a network is refused, not trained
        make = partial(make, width=None)
    folds = [_Fold(data, rows, make, width) for rows in held_out]
    weights = np.concatenate([fold.seen.sample_weights for fold in folds])
    weights = weights / weights.sum()

    def loss_at(alpha):
        return float(weights @ np.concatenate([fold.losses(alpha) for fold in folds]))

    if quadratic:
        chosen = descend_alphas(loss_at, alpha_max, scale, between=_thirds)
        return Choice(chosen.alpha, chosen.alphas, chosen.losses)
    chosen = descend_alphas(loss_at, alpha_max, scale, halvings=_HALVINGS, between=_half_way)
    lowest = lowest_between(np.log(chosen.alphas), chosen.losses, chosen.index)
    return Choice(float(np.exp(lowest)), chosen.alphas, chosen.losses)


def _thirds(alphas, losses):
    """Two alphas between the best one and either neighbour: one large neuron depends much on it."""
    best = alphas[int(np.argmin(losses))]
    return [best * 2.0 ** (k / 3) for k in (2, 1, -1, -2) if best * 2.0 ** (k / 3) < alphas[0]]


def _half_way(alphas, losses):
    """The alpha between the best one and its better neighbour, below ``alpha_max``."""
    best = int(np.argmin(losses))
    beside = [k for k in (best - 1, best + 1) if 0 <= k < len(alphas)]
    return [np.sqrt(alphas[best] * alphas[min(beside, key=lambda k: losses[k])])] if beside else []


class _Fold:
    """The path of the other rows, and the rows that judge it."""

    def __init__(self, data, held_out, make, width):
        others = data.take(all_but(held_out, len(data.Y)))
        self.seen = data.take(held_out)
        self.loss = get_loss(data.loss, data.Y.shape[1])
        self.width = width
        self.problem = make(others.X, others.Y, others.weights)
        self.ends = {}

    def losses(self, alpha):
        """Of the held-out rows, (m,), for one alpha; infinite for too narrow a network."""
        above = min((one for one in self.ends if one > alpha), default=None)
        start = self.ends.get(above)
        tol = _TOL if self.loss.quadratic else _DESCENT_TOL
        solution = self.problem.solve(alpha, tol=tol, max_iter=_ROUNDS, start=start, confirm=False)
        self.ends[alpha], network = solution.end, solution.network
        if not self.loss.quadratic and self.width is not None and len(network.sizes) > self.width:
            return np.full(len(self.seen.Y), np.inf)
        Z = np.asarray(self.seen.X @ network.coef, dtype=np.float64) + network.intercept
        return self.loss.value(self.seen.Y, Z)
