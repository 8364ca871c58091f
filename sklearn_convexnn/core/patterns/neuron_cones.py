"""Cones of single neurons: every group has a pattern and a sign of its own.

What a network is to its program: :class:`~sklearn_convexnn.core.patterns.cones.ConeGroups` has both
signs for every pattern, a network the ones it uses.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.patterns.cones import ConeGroups, projections

# Crossings that gain less than this, relative to the largest pull of a row, are left to rounding.
_LEAST_GAIN = 1e-9


class NeuronCones(ConeGroups):
    """The maps ``A_j v = s_j D_j X v`` on cones, one group per neuron.

    Parameters
    ----------
    X : ndarray of shape (n, p), float64, with its constant column
    D : ndarray of shape (n, m), bool
    sign : ndarray of shape (m,)
        Of the output weights.
    walls : WallsHeld, optional
        Active walls to begin the projections with.
    sizes : ndarray of shape (p,), optional
        Of the columns of ``X``, where they are graded.
    """

    def __init__(self, X, D, sign, walls=None, sizes=None):
        self.X, self.D = X, D.astype(np.float64)
        self.count = D.shape[1]
        self.owner = np.arange(self.count)
        self.sign = np.asarray(sign, dtype=np.float64)
        self.cones = projections(X, D, self.owner, sizes)
        if walls is not None:
            self.cones.hold(walls)

    def _all_correlations(self, u):
        return self._correlations(u, self.owner)


def crossed(cones, which, D, pull):
    """Patterns of cones after the walls that hold them back were crossed.

    A vector on the wall of row i may change the activity of that row at no cost.  With the
    multiplier ``mu_i`` of the wall (for rows of their own length) and the ``pull`` of the row on
    its price, ``r_i`` times the sign of the output, crossing raises the price to first order iff
    ``mu_i > -pull_i``: on the near side the row contributes what the wall takes away.

    Parameters
    ----------
    cones : ConeProjections
        After a projection.
    which : ndarray of shape (m,)
        The cones in question.
    D : ndarray of shape (n, m), bool
        Their patterns.
    pull : ndarray of shape (n, m) or (n, 1)

    Returns
    -------
    D : ndarray of shape (n, m), bool
    moved : ndarray of shape (m,), bool
    """
    index, free = cones.active(which)
    walls = cones.rows[index]
    multipliers = cones.multipliers[which, : index.shape[1]] / cones.lengths[index]
    neuron = np.broadcast_to(np.arange(len(which))[:, None], walls.shape)
    gain = multipliers + np.broadcast_to(pull, D.shape)[walls, neuron]
    across = free & (gain > _LEAST_GAIN * np.abs(pull).max(initial=0.0))
    D = D.copy()
    D[walls[across], neuron[across]] ^= True
    return D, across.any(axis=1)
