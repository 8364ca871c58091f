"""Parallel networks of three layers: neurons that are two-layer networks with one output.

A sub-network has units ``c_1 .. c_k``, of which the first half, rounded up, enter with the sign
``s_j = +1`` and the others with -1, ::

    h(x) = ( sum_j s_j (x^T c_j)_+ )_+ ,

as a neuron its output weights stand behind.  The penalty is the length of the output weights times
a gauge of the units: ``sqrt(sum_j ||c_j||^2)`` for the norm of paths (Ergen & Pilanci 2021b), or
``sum_j ||c_j||`` for weight decay on the second and third layer with a first layer of Frobenius
norm one at most (Ergen & Pilanci 2021a): with ``c_j = |w_j| v_j`` the least ``||w||`` is, by the
inequality of Cauchy and Schwarz, ``sum_j ||c_j|| / ||V||``.

A direction is ``u = (u_1 .. u_k)``, of length one.  Solvers know no other gauge than its length,
and need no other: ``c_j = u_j ||u_j|| / ||u||`` has ``sum_j ||c_j|| = ||u||``, and every ``c`` is
one of these.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.problem.neurons import relu, smooth_relu


class SubNetworks:
    """What a sub-network does to a row; see :mod:`sklearn_convexnn.core.problem.neurons`.

    Parameters
    ----------
    n_units : int
    penalty : {"path", "decay"}
    """

    n_cells = 1
    acts_on_rows = False
    remedy = "standardise the features."

    def __init__(self, n_units, penalty):
        self.n_units, self.penalty = n_units, penalty

    @property
    def signs(self):
        """Of the units, (n_units,)."""
        return np.where(2 * np.arange(self.n_units) < self.n_units, 1.0, -1.0)

    # ------------------------------------------------------------------ sizes

    def n_weights(self, n_features):
        return n_features

    def n_inputs(self, n_features):
        return self.n_units

    def shares(self):
        return None

    def mean_input(self, mean_row):
        return mean_row

    # ------------------------------------------------------------------ units of a direction

    def _by_unit(self, U):
        return U.reshape(len(U), self.n_units, U.shape[1] // self.n_units)

    def units(self, U):
        U = self._by_unit(U)
        if self.penalty == "decay":
            U = U * _shares(U)
        return U.reshape(-1, U.shape[2])

    def of_units(self, W):
        C = W.reshape(len(W) // self.n_units, self.n_units, W.shape[1])
        if self.penalty == "decay":
            lengths = np.linalg.norm(C, axis=2, keepdims=True)
            gauge = lengths.sum(axis=1, keepdims=True)
            C = C * np.sqrt(gauge / np.where(lengths > 0, lengths, 1.0))
        return C.reshape(len(C), self.n_units * W.shape[1])

    def pull_units(self, U, G):
        """With ``a_j = ||u_j|| / ||u||`` and ``e_j = u_j / ||u_j||``, which vanish together:

        ``dc_j = a_j (I + e_j e_j^T) du_j - a_j u_j <u, du> / ||u||^2``.
        """
        G = G.reshape(len(U), self.n_units, G.shape[1])
        if self.penalty == "decay":
            blocks, share = self._by_unit(U), _shares(self._by_unit(U))
            squares = np.einsum("jkp,jkp->jk", blocks, blocks)[:, :, None]
            along = np.einsum("jkp,jkp->jk", blocks, G)[:, :, None]
            total = squares.sum(axis=1, keepdims=True)
            lost = (share * along).sum(axis=1, keepdims=True) / np.where(total > 0, total, 1.0)
            G = share * (G + along / np.where(squares > 0, squares, 1.0) * blocks) - lost * blocks
        return G.reshape(U.shape)

    # ------------------------------------------------------------------ passes

    def inputs(self, xp, X):
        return X

    def activate(self, xp, H, smooth):
        bend = smooth_relu if smooth else relu
        A, inner = bend(xp, H)
        A = xp.reshape(A, (-1, self.n_units)) @ self._signs_like(xp, A)
        A = xp.reshape(A, (H.shape[0], H.shape[1] // self.n_units))
        if smooth:  # both kinks have the width of the neuron, in units of which these are
            A += 1.0
            A *= 0.5
        A, outer = bend(xp, A)
        return A, (inner, outer)

    def _signs_like(self, xp, A):
        return xp.asarray(self.signs, dtype=A.dtype, device=A.device)

    def pull_back(self, xp, slope, T):
        inner, outer = slope
        T *= outer
        T = T[:, :, None] * self._signs_like(xp, T)
        return xp.reshape(T, (T.shape[0], -1)) * inner

    def spread(self, xp, T):
        raise NotImplementedError("The features of sub-networks are not linear in activations.")


def _shares(blocks):
    """``||u_j|| / ||u||`` for directions (m, k, p), (m, k, 1); zero for none."""
    lengths = np.linalg.norm(blocks, axis=2, keepdims=True)
    total = np.linalg.norm(lengths, axis=1, keepdims=True)
    return lengths / np.where(total > 0, total, 1.0)
