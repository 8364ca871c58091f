"""Choosing alpha along a path of networks by losses of rows that they were not trained on.

The path starts at ``alpha_max``, where the network is a constant, and halves alpha, or takes larger
steps.  It ends where losses have not fallen for long; below ``alpha="scale"``, where every halving
costs as much as all before it, it goes on only as long as each of them pays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Halvings without a lower loss at which the descent ends, and at most so many.
_PATIENCE, _MOST = 3, 20
# What a halving below "scale" has to gain, relative to the loss.
_PAYS = 0.025


@dataclass(frozen=True)
class ChosenAlpha:
    """``alpha``, the ``index`` of the smallest of ``losses``, and all ``alphas`` tried."""

    alpha: float
    index: int
    alphas: np.ndarray
    losses: np.ndarray


def descend_alphas(loss_at, largest, scale, *, halvings=1, between=None):
    """The alpha with the smallest loss.

    Parameters
    ----------
    loss_at : callable
        From an alpha to the mean loss of rows left out.
    largest : float, positive
        Where the network becomes a constant.
    scale : float
        The value of ``alpha="scale"``.
    halvings : int
        How many of them a step is.
    between : callable, optional
        From the alphas, descending, and their losses to more alphas to try.

    Returns
    -------
    ChosenAlpha
    """
    alphas, losses = [], []
    worth = (1.0 - _PAYS) ** halvings
    for alpha in largest * 0.5 ** np.arange(0, _MOST + 1, halvings):
        before = min(losses, default=np.inf)
        alphas.append(alpha)
        losses.append(loss_at(alpha))
        # Penalties that are not convex keep the network constant for long: no news, not bad news.
        idle = int(np.argmin(losses[::-1])) * halvings
        if idle >= _PATIENCE or (alpha <= scale and losses[-1] > worth * before):
            break
    for alpha in between(np.array(alphas), np.array(losses)) if between is not None else ():
        alphas.append(alpha)
        losses.append(loss_at(alpha))
    order = np.argsort(alphas)[::-1]
    alphas, losses = np.array(alphas)[order], np.array(losses)[order]
    index = int(np.argmin(losses))
    return ChosenAlpha(float(alphas[index]), index, alphas, losses)


def lowest_between(logs, losses, best):
    """The logarithm of the alpha at which a parabola through the best and its neighbours is least.

    Of the logarithms of the losses, and no further than half way to a neighbour; the best itself
    where it has no two of them.

    Parameters
    ----------
    logs, losses : ndarrays of shape (n_alphas,)
        Of the alphas, descending.
    best : int
        The index of the least loss.
    """
    around = slice(best - 1, best + 2)
    if not 0 < best < len(logs) - 1 or not np.all((losses[around] > 0) & (losses[around] < np.inf)):
        return logs[best]
    left, right = logs[best - 1] - logs[best], logs[best + 1] - logs[best]
    rise = np.log(losses[[best - 1, best + 1]] / losses[best])
    bend = rise[1] * left - rise[0] * right
    if bend == 0:  # as low everywhere
        return logs[best]
    lowest = 0.5 * (rise[1] * left**2 - rise[0] * right**2) / bend
    return logs[best] + np.clip(lowest, 0.5 * right, 0.5 * left)
