"""Choosing alpha along a path of networks by losses of rows that they were not trained on.

The path starts at ``alpha_max``, where the network is a constant, and halves alpha.  It ends where
losses have not fallen for long; below ``alpha="scale"``, where every halving costs as much as all
before it, it goes on only as long as each of them pays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Alphas without a lower loss at which the descent ends, and at most so many.
_PATIENCE, _MOST = 3, 21
# What a step below "scale" has to gain, relative to the loss.
_PAYS = 0.025


@dataclass(frozen=True)
class ChosenAlpha:
    """The ``index`` of the smallest of ``losses``, and all ``alphas`` that were tried."""

    index: int
    alphas: np.ndarray
    losses: np.ndarray

    @property
    def alpha(self):
        return float(self.alphas[self.index])


def descend_alphas(loss_at, largest, scale):
    """The alpha with the smallest loss.

    Parameters
    ----------
    loss_at : callable
        From one alpha, of a descending sequence, to the mean loss of rows left out.
    largest : float, positive
        Where the network becomes a constant.
    scale : float
        The value of ``alpha="scale"``.

    Returns
    -------
    ChosenAlpha
    """
    alphas, losses = [], []
    for alpha in largest * 0.5 ** np.arange(_MOST):
        before = min(losses, default=np.inf)
        alphas.append(alpha)
        losses.append(loss_at(alpha))
        idle = len(losses) - 1 - int(np.argmin(losses))
        if idle >= _PATIENCE or (alpha <= scale and losses[-1] > (1.0 - _PAYS) * before):
            break
    return ChosenAlpha(int(np.argmin(losses)), np.array(alphas), np.array(losses))
