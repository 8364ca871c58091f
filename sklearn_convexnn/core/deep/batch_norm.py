"""Batch normalisation of a last hidden layer that can have any activations.

With weights ``w_i`` of sum 1 a normalised neuron has the activations ``(gamma (z - mean) / std +
shift)_+``, of norm ``sqrt(gamma^2 + shift^2)`` in ``||.||_w`` before the ReLU.  If the layer below
reaches every centred vector ``z`` they are any vector of that norm: normalisation whitens.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg

_EPS = np.finfo(float).eps
# Largest distance from the activations wanted, which have unit variance.
_REACH = 1e-8


def batch_normalise(Z, batch_norm):
    """``gamma (z - mean) / std + shift`` of every column."""
    return (
        batch_norm["gamma"] * ((Z - batch_norm["mean"]) / batch_norm["std"]) + batch_norm["shift"]
    )


def random_features(X, n_layers, width, rng):
    """Layers before the normalised one: none for two, else random ReLU features.

    The first ``n`` neurons share a random direction, with one kink below each of the ``n`` rows:
    sorted along it, their activations are a triangular matrix, hence of full row rank.  The others,
    with random directions and kinks at random points between two rows, make it well conditioned.
    Further layers pass the activations on: the identity, because they are non-negative.
    """
    if n_layers == 2:
        return [], [], X
    n, d = X.shape
    width = 2 * n if width is None else width
    if width < n:
        raise ValueError(
            f"batch_norm=True needs a hidden layer at least as wide as the {n} distinct rows, but "
            f"hidden_width={width}. Use hidden_width=None, or ConvexReLURegressor or "
            "ConvexReLUClassifier."
        )
    deviation = X.std(axis=0)
    scale = np.divide(1.0, deviation, out=np.zeros(d), where=deviation > 0) / np.sqrt(d)
    W = rng.standard_normal((d, width)) * scale[:, None]
    W[:, :n] = W[:, :1]
    t = np.sort(X @ W[:, 0])
    below = np.concatenate([[t[0] - 1.0], 0.5 * (t[1:] + t[:-1])])
    first, second = rng.integers(n, size=(2, width - n))
    share = rng.random(width - n)[:, None]
    kinks = share * X[first] + (1 - share) * X[second]
    bias = -np.concatenate([below, np.einsum("ij,ji->i", kinks, W[:, n:])])
    identity = [np.eye(width) for _ in range(n_layers - 3)]
    intercepts = [bias, *[np.zeros(width) for _ in identity]]
    return [W, *identity], intercepts, np.maximum(X @ W + bias, 0.0)


def reach(A, target, weights, n_layers):
    """Weights ``w`` with ``A w`` equal to ``target`` up to a constant in every column.

    The condition of the theorem, checked by what it is needed for: the distance from ``target``
    after centring, which has unit variance.
    """
    n, p = A.shape
    if p >= n:
        # Full row rank: w = A^+ target from A^T = Q R, with one step of refinement.
        Q, R = linalg.qr(A.T, mode="economic")
        if np.abs(np.diag(R)).min(initial=np.inf) > _EPS * np.abs(np.diag(R)).max(initial=0.0):
            w = Q @ linalg.solve_triangular(R, target, trans="T")
            w += Q @ linalg.solve_triangular(R, target - A @ w, trans="T")
            if _distance(A @ w, target, weights) <= _REACH:
                return w
    centred = A - weights @ A
    w = linalg.lstsq(centred, target, lapack_driver="gelsy", cond=n * _EPS)[0]
    violation = _distance(A @ w, target, weights)
    if not violation <= _REACH:
        remedy = (
            "Use n_layers >= 3, whose first layer is made wide enough,"
            if n_layers == 2
            else "Merge equal rows with different targets, increase hidden_width,"
        )
        raise ValueError(
            "batch_norm=True needs a last hidden layer that can reach every centred vector of "
            f"activations, but these rows leave a distance of {violation:.1e} (tolerance "
            f"{_REACH:.0e}). {remedy} or use ConvexReLURegressor or ConvexReLUClassifier."
        )
    return w


def _distance(Z, target, weights):
    return float(np.abs(Z - weights @ Z - target).max(initial=0.0))
