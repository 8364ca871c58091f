"""What a neuron does to a row.

A neuron is a positively homogeneous map of a row to ``n_cells`` features, ``h_u(x)`` for a unit
direction ``u``, and has ``n_cells * C`` output weights under one norm.  It sees the row as one or
several vectors (its *inputs*), takes their products with its weights, bends them, and makes its
features of them; passes over the rows (:mod:`sklearn_convexnn.core.problem.kernels`) do the
products and leave the rest to a class like :class:`ReLU`:

``n_cells``
    Features of a neuron.
``n_units``
    Products that a neuron makes with each of its inputs, with weights of their own: a direction has
    those of all its units.
``acts_on_rows``
    Whether a neuron is the ReLU of the row itself: what is known of activation patterns of rows
    (programs, walls, exact prices, proofs) holds then only.
``remedy``
    What to do about rows that differ little, compared with their length.
``n_weights(n_features)``
    Weights of a unit on rows of ``n_features``, without the one of its constant.
``n_inputs(n_features)``
    Products of a neuron with a row: the memory that a block of activations takes.
``shares()``
    The mean square of the inputs of a row is the sum of these times the squares of its features;
    None where a row is its only input.
``mean_input(mean_row)``
    The mean of the inputs of rows of this mean.
``inputs(xp, X)``
    The inputs (k, n_weights) of the rows ``X``, row by row.
``units(U)``
    The weights of all units, (m * n_units, p / n_units), of directions (m, p); linear along rays.
``of_units(W)``
    Its inverse.
``pull_units(U, G)``
    From derivatives ``G`` in the weights of units those in the directions ``U``.
``activate(xp, H, smooth)``
    From the products ``H`` (k, m * n_units), which it may overwrite, the features
    (rows, m * n_cells), those of a neuron side by side, and the slope that :meth:`pull_back` needs.
    With ``smooth`` kinks are parabolas, see :func:`smooth_relu`.
``pull_back(xp, slope, T)``
    From derivatives ``T`` in the features, which it may overwrite, those in the products.
``spread(xp, T)``
    The same without the slope of the activation, where the features are linear in the activations.
"""

from __future__ import annotations

import numpy as np


def relu(xp, H):
    """``(h)_+``, in place of ``H`` where the library can, and its slope, 0 or 1."""
    if xp is np:
        # NumPy's clip between two scalars is twice as fast as its maximum with one.
        np.clip(H, 0, np.inf, out=H)
        return H, H > 0
    slope = xp.astype(H > 0, H.dtype)
    H *= slope
    return H, slope


def smooth_relu(xp, S):
    """The ReLU with a parabola over ``|h| <= width`` in place of its kink, and its slope.

    From ``s = (h + width) / (2 width)``, which it overwrites, to ``t * (2 s - t)`` and the slope
    ``t = clip(s, 0, 1)``.  ``width`` times the first is ``h`` above ``width``, 0 below ``-width``
    and ``(h + width)^2 / (4 width)`` between: convex and above the ReLU by at most ``width / 4``.
    The descent uses it because L-BFGS stalls on kinks, where optimal neurons sit.
    """
    slope = xp.clip(S, 0, 1)
    S += S
    S -= slope
    S *= slope
    return S, slope


class OneUnit:
    """Neurons that make one product with each input: a direction is the weights of it."""

    n_units = 1

    def units(self, U):
        return U

    def of_units(self, W):
        return W

    def pull_units(self, U, G):
        return G


class ReLU(OneUnit):
    """``(x^T u)_+``: one feature, of the row itself."""

    n_cells = 1
    acts_on_rows = True
    remedy = "standardise the features."

    def n_weights(self, n_features):
        return n_features

    def n_inputs(self, n_features):
        return 1

    def shares(self):
        return None

    def mean_input(self, mean_row):
        return mean_row

    def inputs(self, xp, X):
        return X

    def activate(self, xp, H, smooth):
        return smooth_relu(xp, H) if smooth else relu(xp, H)

    def pull_back(self, xp, slope, T):
        T *= slope
        return T

    def spread(self, xp, T):
        return T
