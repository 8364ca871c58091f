"""Least squares of linear networks in spectral coordinates: the only file that sees its rows.

With weights ``w_i`` of sum 1 and centred data the loss of the product ``W`` of all layers is

    f(W) = sum_i w_i 1/2 ||y_i - W^T x_i||^2 = energy - <M, W> + 1/2 <W, S W>,
    S = X^T diag(w) X,   M = X^T diag(w) Y,   energy = 1/2 ||Y||_w^2 .

Every penalty on ``W`` in this package depends on its singular values and grows with them, so that
``W`` may be projected on the row space of ``X`` (from the left) and on that of ``M`` (from the
right) without loss.  In the eigenvectors of ``S`` the first two terms separate over rows: one pass
over the data and one eigendecomposition make every later step cost ``O(d K^2)``, whatever ``n``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import linalg, sparse

from sklearn_convexnn.core.problem.losses import get_loss

# Bytes of a block of rows that is centred and scaled in double precision.
_BLOCK_BYTES = 32 << 20
_EPS = np.finfo(float).eps


@dataclass(frozen=True)
class Quadratic:
    """``f(B) = energy - <M, B> + 1/2 <B, diag(s) B>`` for ``B`` of shape (r, k), ``s > 0``."""

    s: np.ndarray
    M: np.ndarray
    energy: float

    def gradient(self, B):
        return self.s[:, None] * B - self.M

    def value(self, B):
        # From the minimum: the distances to it are not lost in the energy.
        return self.smallest + 0.5 * float(np.sum(self.s[:, None] * (B - self.least_squares) ** 2))

    @cached_property
    def least_squares(self):
        return self.M / self.s[:, None]

    @cached_property
    def explained(self):
        """``f(0) - min f``."""
        return 0.5 * float(np.vdot(self.M, self.least_squares))

    @cached_property
    def smallest(self):
        """``min f``; rounding may not make it negative."""
        return max(self.energy - self.explained, 0.0)


@dataclass(frozen=True)
class LinearRows:
    """The rows of a linear problem, centred on demand and in working units.

    In working units rows have weighted mean square norm 1 and targets too: ``x_scale * (x -
    x_mean)`` and ``(y - y_mean) / y_scale``.
    """

    X: np.ndarray  # or CSR
    Y: np.ndarray
    weights: np.ndarray
    x_mean: np.ndarray
    y_mean: np.ndarray
    x_scale: float
    y_scale: float

    @property
    def shape(self):
        return self.X.shape[1], self.Y.shape[1]

    def blocks(self):
        """Pairs of (rows, targets), times the roots of the weights, in double precision."""
        n, d = self.X.shape
        step = max(1, _BLOCK_BYTES // (8 * max(1, d)))
        for start in range(0, n, step):
            part = slice(start, start + step)
            root = np.sqrt(self.weights[part])[:, None]
            rows = self.X[part]
            rows = rows.toarray() if sparse.issparse(rows) else rows
            A = np.subtract(rows, self.x_mean, dtype=np.float64)
            A *= self.x_scale * root
            yield A, (self.Y[part] - self.y_mean) / self.y_scale * root

    def product(self, W):
        """``X W`` of the centred rows, without their weights."""
        W = self.x_scale * W
        return np.asarray(self.X @ W, dtype=np.float64) - self.x_mean @ W

    def adjoint(self, R):
        """``X^T R`` of the centred rows."""
        product = np.asarray(self.X.T @ R, dtype=np.float64) - np.outer(self.x_mean, R.sum(axis=0))
        return self.x_scale * product

    def residual_statistics(self, W):
        """``1/2 ||R||_w^2``, ``X^T diag(w) R`` and ``<R, Y>_w`` of ``R = Y - X W``.

        From the rows, not from ``S`` and ``M``: where the fit is nearly perfect those lose the
        residual to cancellation, and a certificate must not.
        """
        loss, inner, G = 0.0, 0.0, np.zeros(self.shape)
        if sparse.issparse(self.X):
            T = (self.Y - self.y_mean) / self.y_scale
            R = T - self.product(W)
            weighted = self.weights[:, None] * R
            return 0.5 * float(np.vdot(weighted, R)), self.adjoint(weighted), np.vdot(weighted, T)
        for A, T in self.blocks():
            R = T - A @ W
            loss += 0.5 * np.vdot(R, R)
            inner += np.vdot(R, T)
            G += A.T @ R
        return float(loss), G, float(inner)


@dataclass(frozen=True)
class Reduction:
    """A :class:`Quadratic` and the orthonormal maps with ``W = left @ B @ right.T``."""

    quadratic: Quadratic
    left: np.ndarray
    right: np.ndarray


def make_rows(X, Y, weights, *, intercept):
    """Working units of dense or CSR rows; rows without weight are left out."""
    keep = weights > 0
    if not keep.all():
        X, Y, weights = X[keep], Y[keep], weights[keep]
    weights = weights / weights.sum()
    Y = np.asarray(Y, dtype=np.float64)
    d, K = X.shape[1], Y.shape[1]
    # Not `weights @ X`: in single precision its rounding would survive the centring.
    x_mean = _mean(X, weights) if intercept else np.zeros(d)
    y_mean = weights @ Y if intercept else np.zeros(K)
    y_scale = _root_mean_square(Y, y_mean, weights)
    if y_scale == 0.0:
        Y, y_scale = np.broadcast_to(y_mean, Y.shape), 1.0
    rows = LinearRows(X, Y, weights, x_mean, y_mean, 1.0, 1.0)
    x_size = _x_size(rows)
    if x_size == 0.0:  # what rounding leaves of equal rows is no signal
        return replace(rows, X=0 * X, x_mean=np.zeros(d), y_scale=y_scale)
    return replace(rows, x_scale=1.0 / x_size, y_scale=y_scale)


def make_rows_of(loss, X, Y, weights, *, intercept):
    """The same for a loss by name; but for the squared error targets have no units of their own."""
    rows = make_rows(X, Y, weights, intercept=intercept)
    if get_loss(loss, Y.shape[1]).quadratic:
        return rows
    return replace(rows, y_mean=np.zeros(Y.shape[1]), y_scale=1.0)


def _mean(X, weights):
    if sparse.issparse(X):
        return np.asarray(X.T @ weights, dtype=np.float64).ravel()
    mean, step = np.zeros(X.shape[1]), max(1, _BLOCK_BYTES // (8 * max(1, X.shape[1])))
    for start in range(0, X.shape[0], step):
        mean += weights[start : start + step] @ X[start : start + step].astype(np.float64)
    return mean


def _root_mean_square(Y, mean, weights):
    """Root of the weighted mean of ``||y - mean||^2``; 0 for targets constant up to rounding."""
    D = Y - mean
    size = np.abs(D).max(initial=0.0)
    if size > 1e150:
        raise ValueError(
            f"Targets up to {size:.1e} overflow when squared: scale y to a size below 1e150."
        )
    if size <= 8 * _EPS * np.abs(Y).max(initial=0.0):
        return 0.0
    if size < 1e-150:
        raise ValueError(
            f"Targets that differ by {size:.1e} underflow when squared: scale y to a size above "
            "1e-150."
        )
    return float(size * np.sqrt(weights @ np.sum((D / size) ** 2, axis=1)))


def _x_size(rows):
    """Root mean square norm of the centred rows; 0 if they are all equal up to rounding."""
    X, values = rows.X, rows.X.data if sparse.issparse(rows.X) else rows.X
    largest = float(max(abs(values.max(initial=0)), abs(values.min(initial=0))))
    if largest == 0.0:
        return 0.0
    if sparse.issparse(X):
        # sum_i w_i ||x_i||^2 - ||mean||^2 cancels only where all rows are nearly equal.
        scaled = X.astype(np.float64) / largest
        squares = float(rows.weights @ np.asarray(scaled.multiply(scaled).sum(axis=1)).ravel())
        total = squares - np.sum((rows.x_mean / largest) ** 2)
        if total <= 8 * _EPS * squares:
            return 0.0
    else:
        shrunk = replace(rows, x_scale=1.0 / largest)
        total = sum(float(np.vdot(A, A)) for A, _ in shrunk.blocks())
    if total <= (8 * _EPS) ** 2:
        return 0.0
    return float(largest * np.sqrt(total))


def reduce(rows):
    """One pass over the rows, one eigendecomposition: the problem in spectral coordinates."""
    n, d = rows.X.shape
    energy = 0.5 * float(rows.weights @ np.sum(((rows.Y - rows.y_mean) / rows.y_scale) ** 2, 1))
    if n < d and not sparse.issparse(rows.X):
        s, left, M = _from_rows(rows)
    elif sparse.issparse(rows.X):
        s, left, M = _from_sparse(rows)
    else:
        s, left, M = _from_gram(rows)
    # A direction of X without variance (up to rounding) carries no signal and no curvature.
    keep = s > s.max(initial=0.0) * _EPS * max(n, d)
    s, left, M = s[keep], left[:, keep], M[keep]
    P, t, Qt = linalg.svd(M, full_matrices=False)
    few = t > t.max(initial=0.0) * _EPS * max(M.shape, default=1)
    return Reduction(Quadratic(s, P[:, few] * t[few], energy), left, Qt[few].T)


def _from_gram(rows):
    d, K = rows.shape
    S, M = np.zeros((d, d)), np.zeros((d, K))
    for A, T in rows.blocks():
        S += A.T @ A
        M += A.T @ T
    s, left = linalg.eigh(S)
    return s, left, left.T @ M


def _from_rows(rows):
    """Fewer rows than features: the singular value decomposition of the rows themselves."""
    blocks = list(rows.blocks())
    A, T = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    U, sigma, Vt = linalg.svd(A, full_matrices=False)
    return sigma**2, Vt.T, sigma[:, None] * (U.T @ T)


def _from_sparse(rows):
    """From whichever of the two Gram matrices is smaller, centred after the sparse product."""
    n, d = rows.X.shape
    root = np.sqrt(rows.weights)
    A = (sparse.diags_array(root) @ rows.X.astype(np.float64)) * rows.x_scale
    mean = rows.x_mean * rows.x_scale
    T = (rows.Y - rows.y_mean) / rows.y_scale * root[:, None]
    correlation = A.T @ T - np.outer(mean, root @ T)
    if d <= n:
        S = _dense(A.T @ A) - np.outer(mean, mean) if mean.any() else _dense(A.T @ A)
        s, left = linalg.eigh(S)
        return s, left, left.T @ correlation
    across = A @ mean
    S = _dense(A @ A.T) - np.outer(root, across) - np.outer(across, root)
    S += (mean @ mean) * np.outer(root, root)
    s, U = linalg.eigh(S)
    keep = s > s.max(initial=0.0) * _EPS * d
    s, U = s[keep], U[:, keep]
    left = (A.T @ U - np.outer(mean, root @ U)) / np.sqrt(s)
    return s, left, left.T @ correlation


def _dense(product):
    return product.toarray() if sparse.issparse(product) else np.asarray(product)
