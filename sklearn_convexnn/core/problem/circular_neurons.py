r"""ReLUs behind a circular layer: neurons that pay for the frequencies of their weights.

A circular convolution with a filter ``w_1``, weights ``w_2`` of its outputs and a ReLU make
``(x^T v)_+`` of a row, ``v = w_1 * w_2``, whose least ``||w_1|| ||w_2||`` is

    Omega(v) = ||F v||_1 / sqrt(d) = sum_f k_f ||z_f|| ,

``z_f`` the one or two coordinates of v in the cosine and sine of the frequency f, and
``k_f = sqrt(1 / d)`` or ``sqrt(2 / d)``.  A bias is one more group, with ``k = 1``.

Solvers know no other norm of a direction ``u`` than its length, and need no other: ``z_f =
u_f ||u_f|| / (k_f ||u||)`` has ``Omega(v) = ||u||``, and every ``v`` is one of these.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.problem.frequencies import Frequencies
from sklearn_convexnn.core.problem.neurons import ReLU


class CircularReLU(ReLU):
    """What such a neuron does to a row; see :mod:`sklearn_convexnn.core.problem.neurons`.

    Parameters
    ----------
    shape : tuple
        Of a row.
    """

    # A direction of another ball: what is known of prices of patterns does not hold.
    acts_on_rows = False
    remedy = "subtract one number from all entries of X, and divide them by one."

    def __init__(self, shape):
        waves = Frequencies(shape)
        order = np.argsort(waves.group, kind="stable")
        self.basis = waves.basis[order]
        group = waves.group[order]
        self.starts = np.flatnonzero(np.diff(group, prepend=-1))
        self.prices = waves.prices[group]

    # ------------------------------------------------------------------ groups of a direction

    def groups(self, p):
        """Where groups start, among ``p`` coordinates: with a bias one more than features."""
        bias = [] if p == len(self.basis) else [p - 1]
        return np.append(self.starts, bias).astype(int)

    def _lengths(self, U):
        """``||u_f||`` at every coordinate of f, for ``U`` (m, p)."""
        return np.sqrt(self._sums(U**2))

    def _sums(self, U):
        """Sums over the groups, at every coordinate."""
        starts = self.groups(U.shape[1])
        counts = np.diff(np.append(starts, U.shape[1]))
        return np.repeat(np.add.reduceat(U, starts, axis=1), counts, axis=1)

    def _waves(self, W, power=1):
        """Coordinates of weights times a power of ``k_f``, the bias as it is."""
        d = len(self.basis)
        return np.hstack([W[:, :d] @ self.basis.T * self.prices**power, W[:, d:]])

    # ------------------------------------------------------------------ the norm

    def coordinates(self, A):
        """Rows (n, p) for vectors whose norm is the sum of the lengths of their groups."""
        return self._waves(A, power=-1)

    def weights(self, Z):
        """Of such vectors (m, p)."""
        d = len(self.basis)
        return np.hstack([(Z[:, :d] / self.prices) @ self.basis, Z[:, d:]])

    def units(self, U):
        return self.weights(U * _share(self._lengths(U), U))

    def of_units(self, W):
        Z = self._waves(W)
        lengths = self._lengths(Z)
        starts = self.groups(Z.shape[1])
        total = lengths[:, starts].sum(axis=1, keepdims=True)
        return Z * np.sqrt(total / np.where(lengths > 0, lengths, 1.0))

    def pull_units(self, U, G):
        """With ``a_f = ||u_f|| / ||u||`` and ``e_f = u_f / ||u_f||``, which vanish together:

        ``k_f dz_f = a_f (I + e_f e_f^T) du_f - a_f u_f <u, du> / ||u||^2``.
        """
        G = self.coordinates(G)
        lengths = self._lengths(U)
        share, squares, along = _share(lengths, U), lengths**2, self._sums(U * G)
        total = np.einsum("jp,jp->j", U, U)[:, None]
        lost = np.einsum("jp,jp->j", share * U, G)[:, None] / np.where(total > 0, total, 1.0)
        return share * (G + along / np.where(squares > 0, squares, 1.0) * U) - lost * U


def _share(lengths, U):
    """``||u_f|| / ||u||``; zero for none."""
    total = np.linalg.norm(U, axis=1, keepdims=True)
    return lengths / np.where(total > 0, total, 1.0)
