"""Neurons that are 0 or 1."""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.problem.neurons import OneUnit


class Threshold(OneUnit):
    """``1[x^T u > 0]``: one feature, of the row itself, whatever the length of ``u``.

    See :mod:`sklearn_convexnn.core.problem.neurons`.  It has no slope: directions are not
    trained by descent, and what is known of ReLUs of rows does not hold.
    """

    n_cells = 1
    acts_on_rows = False

    def n_weights(self, n_features):
        return n_features

    def n_inputs(self, n_features):
        return 1

    def inputs(self, xp, X):
        return X

    def activate(self, xp, H, smooth):
        if smooth:
            raise NotImplementedError("A threshold has no slope to smooth.")
        on = H > 0
        return (on.astype(H.dtype) if xp is np else xp.astype(on, H.dtype)), None


def threshold_activations(X, W, bias):
    """``1[X W + bias > 0]`` in the dtype of the products."""
    H = X @ W
    H += bias
    return (H > 0).astype(H.dtype)


# Activations of a block of rows, in bytes.
_BLOCK_BYTES = 64 << 20


def threshold_outputs(X, coefs, intercepts):
    """Outputs of the layers, in blocks of rows of bounded memory."""
    n, m = len(X), coefs[0].shape[1]
    Z = np.empty((n, coefs[1].shape[1]), dtype=np.result_type(X.dtype, coefs[0].dtype))
    step = max(1, _BLOCK_BYTES // (Z.dtype.itemsize * max(1, m)))
    for start in range(0, n, step):
        block = slice(start, start + step)
        Z[block] = threshold_activations(X[block], coefs[0], intercepts[0]) @ coefs[1]
    Z += intercepts[1]
    return Z
