"""Choosing alpha along a path of networks by losses of rows that they were not trained on.

The path starts at ``alpha_max``, where the network is a constant, and halves alpha.  It ends where
losses have not fallen for long; below ``alpha="scale"``, where every halving costs as much as all
before it, it goes on only as long as each of them pays.
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
    """The ``index`` of the smallest of ``losses``, and all ``alphas`` that were tried."""

    index: int
    alphas: np.ndarray
    losses: np.ndarray

    @property
    def alpha(self):
        return float(self.alphas[self.index])


def descend_alphas(loss_at, largest, scale, between=0):
    """The alpha with the smallest loss.

    Parameters
    ----------
    loss_at : callable
        From an alpha to the mean loss of rows left out.
    largest : float, positive
        Where the network becomes a constant.
    scale : float
        The value of ``alpha="scale"``.
    between : int
        So many alphas are tried between the best one and either neighbour, afterwards.

    Returns
    -------
    ChosenAlpha
    """
    alphas, losses = [], []
    for alpha in largest * 0.5 ** np.arange(_MOST + 1):
        before = min(losses, default=np.inf)
        alphas.append(alpha)
        losses.append(loss_at(alpha))
        # Penalties that are not convex keep the network constant for long: no news, not bad news.
        idle = int(np.argmin(losses[::-1]))
        if idle >= _PATIENCE or (alpha <= scale and losses[-1] > (1.0 - _PAYS) * before):
            break
    best = alphas[int(np.argmin(losses))]
    for step in np.linspace(1.0, -1.0, 2 * between + 3)[1:-1] if between else ():
        if step != 0.0 and best * 2.0**step < largest:
            alphas.append(best * 2.0**step)
            losses.append(loss_at(alphas[-1]))
    order = np.argsort(alphas)[::-1]
    losses = np.array(losses)[order]
    return ChosenAlpha(int(np.argmin(losses)), np.array(alphas)[order], losses)
