"""One temperature for the outputs of a classifier, fitted on rows that it was not trained on.

Weight decay settles the shape of a network and its scale at once, and what is best for labels is
rarely best for probabilities: networks that separate their training rows are too sure of others.
Probabilities ``softmax(z / T)`` with one number T mend that and leave all labels as they are (Guo
et al. 2017; Platt 1999).  In ``1 / T`` the log-loss of the held-out rows is convex.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from sklearn_convexnn.core.problem.losses import get_loss

# Where the logarithm of 1 / T is looked for.  The optimum is inside, but for outputs that are all
# alike, or worse than none.
_LARGEST_LOG = 8.0


def fit_temperature(Y, Z, weights):
    """The temperature with the least log-loss on held-out rows.

    As if one row more had its label drawn at random: without it (Platt's targets) rows that are
    all on their side would ask for a temperature of zero.

    Parameters
    ----------
    Y : ndarray of shape (n, C)
        Class indicators, one column for two classes.
    Z : ndarray of shape (n, C)
        Outputs: log-odds, or one score per class.
    weights : ndarray of shape (n,)
        Not all zero.

    Returns
    -------
    float
    """
    Z = np.asarray(Z, dtype=np.float64)
    weights = weights / weights.sum()
    loss, Y = _log_loss(Y), _with_a_random_row(Y, weights)

    def slope(log):
        """Of the log-loss in ``1 / T``, a growing function."""
        return weights @ np.einsum("ic,ic->i", loss.gradient(Y, np.exp(log) * Z), Z)

    if slope(-_LARGEST_LOG) >= 0:  # outputs say nothing of the labels, or the contrary
        return 1.0 if not np.any(Z) else float(np.exp(_LARGEST_LOG))
    if slope(_LARGEST_LOG) <= 0:
        return float(np.exp(-_LARGEST_LOG))
    return float(np.exp(-brentq(slope, -_LARGEST_LOG, _LARGEST_LOG, xtol=1e-6)))


def tempered_losses(Y, Z, temperature):
    """The log-loss of every row, (n,), of outputs at a temperature."""
    return _log_loss(Y).value(Y, np.asarray(Z, dtype=np.float64) / temperature)


def _log_loss(Y):
    return get_loss("log_loss", Y.shape[1])


def _with_a_random_row(Y, weights):
    """The indicators mixed with what one row of unknown label adds, spread over all rows.

    So many rows as would say as much with equal weights: Kish's effective number.
    """
    share = 1.0 / (1.0 + 1.0 / (weights @ weights))
    return (1.0 - share) * Y + share / max(2, Y.shape[1])
