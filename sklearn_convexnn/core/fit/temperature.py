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
    loss, Y = _log_loss(Y.shape[1]), _with_a_random_row(Y, _share_of_random_row(weights @ weights))

    def slope(scale):
        return weights @ np.einsum("ic,ic->i", loss.gradient(Y, scale * Z), Z)

    return _temperature_of(slope, lambda: np.any(Z))


def fit_spread_temperature(parts, outputs):
    """The same of rows in shares, which stay where they are.

    Parameters
    ----------
    parts : list of HeldOutRows
        Of the same classes.
    outputs : list of handles
        Their outputs, in the units of the data.
    """

    def total(kernel, *small):
        """Sums over the rows of all parts, one after the other: pairs of handles and parts."""
        pairs = zip(parts, outputs, strict=True)
        sums = [part.sums(kernel, *small, rowwise=(Z,)) for part, Z in pairs]
        return [sum(one) for one in zip(*sums, strict=True)]

    weight, squares, size = total(_weights_and_size)
    share = _share_of_random_row(squares / weight**2)
    loss = _log_loss(parts[0].rows.n_outputs)
    return _temperature_of(lambda scale: total(_slope, loss, share, scale)[0], lambda: size > 0)


def _weights_and_size(xp, B):
    (Z,) = B.rowwise
    return (xp.sum(B.w), xp.sum(B.w * B.w), xp.sum(xp.abs(Z))), None


def _slope(xp, B, loss, share, scale):
    (Z,) = B.rowwise
    gradient = loss.gradient(_with_a_random_row(B.Y, share), scale * Z)
    return (B.w @ xp.sum(gradient * Z, axis=1),), None


def _temperature_of(slope, differ):
    """The temperature from the derivative of the log-loss in ``scale = 1 / T``, a growing function.

    ``differ()`` says whether outputs are any but zero.
    """

    def of_log(log):
        return float(slope(float(np.exp(log))))

    if of_log(-_LARGEST_LOG) >= 0:  # outputs say nothing of the labels, or the contrary
        return float(np.exp(_LARGEST_LOG)) if differ() else 1.0
    if of_log(_LARGEST_LOG) <= 0:
        return float(np.exp(-_LARGEST_LOG))
    return float(np.exp(-brentq(of_log, -_LARGEST_LOG, _LARGEST_LOG, xtol=1e-6)))


def temperature_of_all_rows(temperature, trained):
    """The temperature of a network of all rows, from that of networks of a share of them.

    Too sure is what overfits, and that falls as rows are added: at one alpha ``T - 1`` goes like
    ``1 / n``, as in logistic regression (van Houwelingen & le Cessie 1990).  A temperature below 1
    undoes the shrinkage of the weight decay, which stays.

    Parameters
    ----------
    temperature : float
        Of held-out rows.
    trained : float
        The share of the rows that the networks were trained on.

    Returns
    -------
    float
    """
    if temperature <= 1.0:
        return temperature
    return 1.0 + trained * (temperature - 1.0)


def tempered_losses(Y, Z, temperature):
    """The log-loss of every row, (n,), of outputs at a temperature."""
    return _log_loss(Y.shape[1]).value(Y, np.asarray(Z, dtype=np.float64) / temperature)


def _log_loss(n_outputs):
    return get_loss("log_loss", n_outputs)


def _share_of_random_row(squares):
    """What one row of unknown label adds to all, of weights of sum 1 and these ``squares``.

    As to so many rows as would say as much with equal weights: Kish's effective number.
    """
    return 1.0 / (1.0 + 1.0 / squares)


def _with_a_random_row(Y, share):
    """The indicators mixed with that row, spread over all rows."""
    return (1.0 - share) * Y + share / max(2, Y.shape[1])
