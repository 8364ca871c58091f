r"""Gated ReLU networks: ``z(x) = sum_j 1[x^T g_j > 0] x^T v_j + b0`` with given gates ``g_j``.

Training one with weight decay is the group lasso (F) of
:mod:`sklearn_convexnn.core.programs.group_newton` without cones (Mishkin, Sahiner & Pilanci,
arXiv:2202.01331): convex, so that its certificate is exact for the given gates.
"""

from __future__ import annotations

import numpy as np

# Rows of a product with all gates held at once, in numbers.
_BLOCK = 1 << 18
# Patterns of at most so many entries are kept as floating point numbers.
_NUMBERS, _SINGLES = 1 << 22, 1 << 26


class FreeGroups:
    """The maps ``A_j v = D_j X v`` and no cones.

    Parameters
    ----------
    X : ndarray of shape (n, p), float64, with its constant column
    D : ndarray of shape (n, P), bool
        One pattern per column.
    """

    # The projections are linear in u.
    linear = True
    # Are the normal equations factored, whatever their size?
    factored = False
    cones = None
    sign = 1.0

    def __init__(self, X, D):
        # Products with numbers are faster than with truth values.
        self.X, self.D = X, D.astype(np.float64) if D.size <= _NUMBERS else D
        self.count, self.column_sizes = D.shape[1], np.ones(X.shape[1])
        self._inner = None

    @property
    def patterns(self):
        """The pattern of every group, (n, count)."""
        return self.D

    def again(self):
        """The same groups, for another output."""
        return self

    def subset(self, chosen):
        """The same groups over some of the rows."""
        return FreeGroups(self.X[chosen], self.D[chosen] > 0)

    def _blocks(self, width):
        n = len(self.X)
        step = max(64, _BLOCK // max(1, width))
        for start in range(0, n, step):
            yield slice(start, min(start + step, n))

    def project(self, u, index=slice(None)):
        """``c_j = A_j^T u`` for the groups ``index``, (m, p), and the face: there is only one."""
        D = self.D[:, index]
        C = np.zeros((D.shape[1], self.X.shape[1]))
        for block in self._blocks(D.shape[1]):
            C += (D[block] * u[block, None]).T @ self.X[block]
        return C, None

    def screen(self, u, alpha, known=None, C_known=None):
        """``||c_j||`` and ``c_j`` of all groups."""
        C, _ = self.project(u)
        return np.linalg.norm(C, axis=1), C

    def columns(self, index, V):
        """``A_j v_j`` as one column per group, (n, m)."""
        return self.D[:, index] * (self.X @ V.T)

    def outputs(self, index, V):
        """``sum_j A_j v_j``, (n,)."""
        D, W = self.D[:, index], np.ascontiguousarray(V.T)
        z = np.empty(len(self.X))
        for block in self._blocks(D.shape[1]):
            z[block] = np.einsum("ij,ij->i", D[block], self.X[block] @ W)
        return z

    # ------------------------------------------------------------------ curvature

    def operator(self, index, share):
        """The product with ``sum_j share_j A_j A_j^T`` as a function, in single precision.

        For conjugate gradients, whose residuals are small: the data are read with half the bytes.
        """
        D, X = self.D[:, index], self.X.astype(np.float32)
        if D.size <= _SINGLES:
            D = D.astype(np.float32)
        share = share.astype(np.float32)[:, None]
        blocks = list(self._blocks(D.shape[1]))

        def product(x):
            scale = np.abs(x).max(initial=0.0) or 1.0
            x = (x / scale).astype(np.float32)
            C = np.zeros((D.shape[1], X.shape[1]), dtype=np.float32)
            for block in blocks:
                C += (D[block] * x[block, None]).T @ X[block]
            W = np.ascontiguousarray((share * C).T)
            z = np.empty(len(X), dtype=np.float32)
            for block in blocks:
                z[block] = np.einsum("ij,ij->i", D[block], X[block] @ W)
            return scale * z.astype(np.float64)

        return product

    @staticmethod
    def same_face(face, other):
        return True

    def dimension(self, index, face):
        """The number k of free coordinates of the groups ``index``."""
        return len(index) * self.X.shape[1]

    def gram(self, index, share, face):
        """``sum_j share_j A_j A_j^T = (X X^T) o (D diag(share) D^T)``, (n, n)."""
        D = self.D[:, index].astype(np.float64, copy=False)
        return self.inner() * ((D * share) @ D.T)

    def inner(self):
        """``X X^T``, formed once."""
        if self._inner is None:
            self._inner = self.X @ self.X.T
        return self._inner

    def factor(self, index, share, face):
        """``[sqrt(share_j) A_j]`` side by side, (n, k)."""
        D = self.D[:, index] * np.sqrt(share)
        return (D[:, :, None] * self.X[:, None, :]).reshape(len(D), -1)
