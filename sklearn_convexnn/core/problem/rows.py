"""The two passes over the rows of X: everything in the package that costs O(n).

:class:`RowPass` is the only object that reads ``X``.  Its rows are cut into blocks so small that
the hidden activations of a block stay in cache, which is faster than one large product and keeps
the memory beyond ``X`` bounded whatever ``n`` is.  A new kind of array (a GPU namespace, an
out-of-core or distributed collection) needs a new ``RowPass`` and nothing else.

Directions ``U`` have shape (m, p), where p = d, or d + 1 with a last column for the constant
feature when ``intercept`` is true.  A row is seen as ``scale * [x_i, 1]``: the scale makes the
typical row norm 1, which keeps the descent well conditioned for any units of ``X``, without a copy
of ``X``.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

# One block of hidden activations; about half of a core's second-level cache.
_BLOCK_BYTES = 1 << 19
# Up to this length of a row the outer products of a block are formed together; for longer rows
# gathering the few rows in the band of each column is cheaper.
_OUTER_COLUMNS = 12


def relu(H):
    """``(h)_+`` in place of ``H`` and its slope, 0 or 1."""
    # NumPy's clip between two scalars is twice as fast as its maximum with one.
    np.clip(H, 0, np.inf, out=H)
    return H, H > 0


def smooth_relu(S):
    """The ReLU with a parabola over ``|h| <= width`` in place of its kink, and its slope.

    From ``s = (h + width) / (2 width)``, which it overwrites, to ``t * (2 s - t)`` and the slope
    ``t = clip(s, 0, 1)``.  ``width`` times the first is ``h`` above ``width``, 0 below ``-width``
    and ``(h + width)^2 / (4 width)`` between: convex and above the ReLU by at most ``width / 4``.
    The descent uses it because L-BFGS stalls on kinks, where optimal neurons sit.
    """
    slope = np.clip(S, 0, 1)
    S += S
    S -= slope
    S *= slope
    return S, slope


class RowPass:
    """Rows, targets, weights and loss of one training problem, read in blocks.

    Parameters
    ----------
    X : ndarray or CSR matrix/array of shape (n, d), float32 or float64
    Y : ndarray of shape (n, C), float64
    weights : ndarray of shape (n,), float64, positive, sum 1
    loss : Loss
    intercept : bool
        Append a constant feature to the rows and a free intercept to the outputs.
    scale : float
        Multiplies every row.
    dtype : dtype of the products; sums over rows are accumulated in float64.
    block_bytes : int
        Size of one block of hidden activations.
    """

    def __init__(
        self, X, Y, weights, loss, *, intercept, scale=1.0, dtype=None, block_bytes=_BLOCK_BYTES
    ):
        self.X, self.Y, self.weights, self.loss = X, Y, weights, loss
        self.intercept = intercept
        self.scale = scale
        self.dtype = np.dtype(X.dtype if dtype is None else dtype)
        self.block_bytes = block_bytes
        self.sparse = sparse.issparse(X)

    @property
    def n_rows(self):
        return self.X.shape[0]

    @property
    def n_columns(self):
        """Length p of a direction."""
        return self.X.shape[1] + self.intercept

    @property
    def n_outputs(self):
        return self.Y.shape[1]

    def with_dtype(self, dtype):
        """The same rows with products in another precision."""
        return RowPass(
            self.X,
            self.Y,
            self.weights,
            self.loss,
            intercept=self.intercept,
            scale=self.scale,
            dtype=dtype,
            block_bytes=self.block_bytes,
        )

    def with_loss(self, loss):
        """The same rows with another loss."""
        return RowPass(
            self.X,
            self.Y,
            self.weights,
            loss,
            intercept=self.intercept,
            scale=self.scale,
            dtype=self.dtype,
            block_bytes=self.block_bytes,
        )

    # ------------------------------------------------------------------ blocks

    def _blocks(self, width):
        """Slices of rows whose (rows x width) block has about ``block_bytes``."""
        if self.sparse:
            # Each block costs a pass over all columns of the gradient: few long blocks.
            rows = 16 * self.block_bytes // (self.dtype.itemsize * max(width, 1))
        else:
            rows = self.block_bytes // (self.dtype.itemsize * max(width, self.X.shape[1], 1))
        rows = max(rows, 64)
        for start in range(0, self.n_rows, rows):
            yield slice(start, min(start + rows, self.n_rows))

    def _rows(self, block):
        if not self.sparse:
            return self.X[block].astype(self.dtype, copy=False)
        X = self.X
        first, last = X.indptr[block.start], X.indptr[block.stop]
        parts = (
            X.data[first:last].astype(self.dtype, copy=False),
            X.indices[first:last],
            X.indptr[block.start : block.stop + 1] - first,
        )
        return sparse.csr_array(parts, shape=(block.stop - block.start, X.shape[1]))

    def _split(self, U, shift=0.0):
        """Weights (d, m) and biases (m,) of the directions, scaled, in the working dtype."""
        U = (self.scale * U).astype(self.dtype)
        if self.intercept:
            return np.ascontiguousarray(U[:, :-1].T), U[:, -1] + self.dtype.type(shift)
        return np.ascontiguousarray(U.T), (self.dtype.type(shift) if shift else None)

    def _preactivations(self, rows, W, bias):
        H = rows @ W
        if bias is not None:
            H += bias
        return H

    def _pull_back(self, rows, G, out):
        """out += G^T [rows, 1] (without the scale)."""
        d = self.X.shape[1]
        out[:, :d] += (rows.T @ G).T if self.sparse else G.T @ rows
        if self.intercept:
            out[:, d] += G.sum(axis=0)

    def _forward_blocks(self, U, shift=0.0):
        """Blocks with their rows and pre-activations (plus ``shift``)."""
        W, bias = self._split(U, shift)
        for block in self._blocks(len(U)):
            rows = self._rows(block)
            yield block, rows, self._preactivations(rows, W, bias)

    def dense(self, block=slice(None)):
        """The scaled rows with their constant, (n, p) in float64; for few columns or rows."""
        X = self.X[block]
        X = X.toarray() if self.sparse else X
        parts = [X, np.ones((len(X), 1))] if self.intercept else [X]
        return self.scale * np.concatenate(parts, axis=1).astype(np.float64)

    def _add_curvature(self, rows, bending, K):
        """``K[j] += sum_i bending[i, j] x_i x_i^T`` for few rows i in each column j."""
        p = K.shape[1]
        if p <= _OUTER_COLUMNS:
            # All outer products at once: many more operations, in one matrix product.
            X = self._scaled(rows)
            upper, lower = np.triu_indices(p)
            half = bending.T @ (X[:, upper] * X[:, lower])
            K[:, upper, lower] += half
            K[:, lower, upper] = K[:, upper, lower]
            return
        for j in np.flatnonzero(bending.any(axis=0)):
            inside = np.flatnonzero(bending[:, j])
            X = self._scaled(rows[inside])
            K[j] += (X * bending[inside, j, None]).T @ X

    def _scaled(self, rows):
        """Rows with their constant, dense and scaled: before squaring, units may be extreme."""
        X = rows.toarray() if self.sparse else rows
        if self.intercept:
            X = np.column_stack([X, np.ones(len(X), dtype=self.dtype)])
        return (X * self.scale).astype(self.dtype)

    # ------------------------------------------------------------------ forward

    def hidden(self, U):
        """Activations ``(X u_j)_+`` as one (n, m) array; O(n m) memory."""
        A = np.empty((self.n_rows, len(U)), dtype=self.dtype)
        for block, _, H in self._forward_blocks(U):
            np.clip(H, 0, np.inf, out=A[block])
        return A

    def outputs(self, U, C, b0):
        """Outputs of the network in float64, shape (n, C)."""
        Z = np.zeros((self.n_rows, len(b0)))
        C = C.astype(self.dtype)
        for block, _, H in self._forward_blocks(U):
            Z[block] = np.clip(H, 0, np.inf, out=H) @ C
        Z += b0
        return Z

    def moments(self, U):
        """Weighted sums over rows of the activations ``a`` and targets ``y``.

        Returns ``(mean a, a a^T, a y^T)`` in float64: all that the squared error needs to know
        about the rows once the directions are fixed.
        """
        m = len(U)
        mean, gram, cross = np.zeros(m), np.zeros((m, m)), np.zeros((m, self.n_outputs))
        for block, _, H in self._forward_blocks(U):
            A = np.clip(H, 0, np.inf, out=H)
            WA = A * self.weights[block].astype(self.dtype)[:, None]
            mean += WA.sum(axis=0, dtype=np.float64)
            gram += WA.T @ A
            cross += WA.T @ self.Y[block].astype(self.dtype)
        return mean, gram, cross

    # ------------------------------------------------------------------ pass 1: loss and gradients

    def loss_and_gradients(self, U, C, b0, smoothing=None):
        """``F(Z)`` and its gradients with respect to ``U``, ``C`` and ``b0``.

        ``smoothing`` (m,) replaces the kink of each neuron by a parabola, see :func:`smooth_relu`.
        """
        C_work, b0_work = C.astype(self.dtype), b0.astype(self.dtype)
        if smoothing is None:
            activate, gain, blocks = relu, 1.0, self._forward_blocks(U)
        else:
            # The division by the widths is folded into the directions, the product with them into
            # the output weights: the passes over the activations are scalar ones.
            activate, gain = smooth_relu, smoothing[:, None]
            blocks = self._forward_blocks(U / (2.0 * gain), shift=0.5)
        gained = (gain * C).astype(self.dtype)
        value = 0.0
        dU, dC, db0 = np.zeros(U.shape), np.zeros(C.shape), np.zeros(b0.shape)
        for block, rows, H in blocks:
            A, slope = activate(H)
            Z = A @ gained
            Z += b0_work
            Y, w = self.Y[block], self.weights[block]
            losses, E = self.loss.value_and_gradient(Y, Z)
            value += float(w @ losses)
            E = (w[:, None] * E).astype(self.dtype)
            db0 += E.sum(axis=0, dtype=np.float64)
            dC += A.T @ E
            G = E @ C_work.T
            G *= slope
            self._pull_back(rows, G, dU)
        dU *= self.scale
        dC *= gain
        return value, dU, dC, db0

    # ------------------------------------------------------------------ pass 2: pricing

    def prices(self, U, R):
        """``R^T (X u_j)_+`` for every direction, shape (m, C)."""
        R = R.astype(self.dtype)
        V = np.zeros((len(U), R.shape[1]))
        for block, _, H in self._forward_blocks(U):
            V += np.clip(H, 0, np.inf, out=H).T @ R[block]
        return V

    def prices_and_ascent(self, U, Q, R):
        """Prices (m, C) and the ascent directions (m, p) of ``<q_j, R^T (X u_j)_+>``."""
        R, Q = R.astype(self.dtype), Q.astype(self.dtype)
        V, G = np.zeros((len(U), R.shape[1])), np.zeros(U.shape)
        for block, rows, H in self._forward_blocks(U):
            A, slope = relu(H)
            V += A.T @ R[block]
            T = R[block] @ Q.T
            T *= slope
            self._pull_back(rows, T, G)
        G *= self.scale
        return V, G

    def smooth_ascent(self, U, Q, R, width, band):
        """Ascent direction (m, p) and curvature (m, p, p) of a concave minorant of the price.

        Along ``<q_j, R^T (X u)_+> = sum_i r_i (x_i^T u)_+`` a row with ``r_i > 0`` bends upwards
        and its tangent stays below it; a row with ``r_i < 0`` bends downwards at its kink, where
        maxima sit, and is smoothed over ``|x_i^T u| <= width`` (:func:`smooth_relu`).  The
        curvature is that of the rows in the band ``|x_i^T u| < band``:
        ``sum_i |r_i| / (2 width) x_i x_i^T``.  Where ``band`` is wider than ``width`` the rows
        between keep the parabola of the inner ones.
        """
        R, Q = R.astype(self.dtype), Q.astype(self.dtype)
        m, p = U.shape
        G, K = np.zeros((m, p)), np.zeros((m, p, p))
        for block, rows, H in self._forward_blocks(U):
            T = R[block] @ Q.T
            bends = (np.abs(H) < band) & (T < 0)
            bending = np.where(bends, T / (-2 * width), 0).astype(self.dtype)
            self._add_curvature(rows, bending, K)
            slope = np.where(bends, H / (2 * width) + 0.5, H > 0).astype(self.dtype)
            T *= slope
            self._pull_back(rows, T, G)
        G *= self.scale
        return G, K
