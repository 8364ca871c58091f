"""The penalty of a deep linear network as a function of singular values, and its layers.

For ``L`` layers with product ``W`` the least weight decay ``1/2 sum_l ||W_l||_F^2`` is ``L/2 sum_i
sigma_i(W)^p`` with ``p = 2/L`` (a Schatten quasi-norm, the nuclear norm for ``L = 2``), attained by
layers with equal singular values ``sigma_i^(1/L)`` and aligned singular vectors.
"""

from __future__ import annotations

import numpy as np


def power_penalty(sizes, n_layers):
    """``L/2 sum_i sizes_i^(2/L)``."""
    return 0.5 * n_layers * float(np.sum(np.asarray(sizes, dtype=float) ** (2.0 / n_layers)))


def shrink(t, amount, n_layers):
    """``argmin_{s >= 0} 1/2 (s - t)^2 + amount * L/2 * s^(2/L)`` of every ``t >= 0``.

    Soft thresholding for ``L = 2``.  For ``L >= 3`` the minimum is 0 or the larger root of ``g(s) =
    s + amount * s^(p-1) - t``, a convex function: Newton's method from the right of it is monotone.
    At the jump, where both are minima, 0 is returned.
    """
    t, amount = np.broadcast_arrays(np.asarray(t, float), np.asarray(amount, float))
    if n_layers == 2:
        return np.maximum(t - amount, 0.0)
    p = 2.0 / n_layers
    # The jump: value and derivative of 1/2 (s - t)^2 + amount/p s^p - 1/2 t^2 vanish together.
    smallest = (2.0 * (1.0 - p) / p * amount) ** (1.0 / (2.0 - p))
    jump = smallest * (2.0 - p) / (2.0 * (1.0 - p))
    large = t > jump
    s = np.where(large, t, 0.0)
    u, a = t[large], amount[large]
    x = u.copy()
    for _ in range(100):
        lower = x - (x + a * x ** (p - 1.0) - u) / (1.0 - (1.0 - p) * a * x ** (p - 2.0))
        lower = np.clip(lower, smallest[large], x)
        if np.all(x - lower <= 2 * np.finfo(float).eps * x):
            x = lower
            break
        x = lower
    s[large] = x
    return s


def balanced_layers(left, sizes, right, n_layers, width=None):
    """Layers of shapes (d, m), (m, m), ..., (m, K) with product ``left diag(sizes) right^T``.

    Every layer has the singular values ``sizes^(1/L)``.  ``width`` pads the hidden layers with
    neurons that are zero.
    """
    rank = len(sizes)
    width = rank if width is None else width
    root = sizes ** (1.0 / n_layers)
    first = np.zeros((left.shape[0], width))
    first[:, :rank] = left * root
    hidden = np.zeros((width, width))
    hidden[np.arange(rank), np.arange(rank)] = root
    last = np.zeros((width, right.shape[0]))
    last[:rank] = root[:, None] * right.T
    return [first, *[hidden.copy() for _ in range(n_layers - 2)], last]


def factored_svd(U, V):
    """Thin singular value decomposition of ``U V^T`` without forming it."""
    Qu, Ru = np.linalg.qr(U)
    Qv, Rv = np.linalg.qr(V)
    P, sizes, Qt = np.linalg.svd(Ru @ Rv.T, full_matrices=False)
    keep = sizes > sizes.max(initial=0.0) * 1e-14
    return Qu @ P[:, keep], sizes[keep], Qv @ Qt.T[:, keep]
