"""Convolutions: neurons that see the windows of a row, and pool what they find.

A row has K patches ``x_k``, one for every position of a window, in G cells.  A filter ``u`` has a
feature for each cell,

    max over the cell of (x_k^T u)_+        or        mean over the cell of (x_k^T u)_+ ,

and G * C output weights under one norm.  Of several windows a filter has one: directions have a
block for each window, and one block of a direction is not zero.  Only that block has gradients, so
that descent and ascent leave a filter its window.

Patches are gathered from a few rows at a time; there is no array of the patches of all rows.  NumPy
only.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy import sparse

from sklearn_convexnn.core.problem.neurons import OneUnit, relu, smooth_relu

# Patches and products of the rows that are worked on at once: what a second-level cache holds.
_CACHE_BYTES = 1 << 19
# Where patches are so many times the winners among them, only these are gathered.
_FEW_WINNERS = 2


class Convolution(OneUnit):
    """What a convolution does to a row; see :mod:`sklearn_convexnn.core.problem.neurons`.

    Parameters
    ----------
    windows : Windows
    pooling : {"max", "average"}
    """

    acts_on_rows = False
    remedy = "subtract one number from all entries of X, and divide them by another."

    def __init__(self, windows, pooling):
        self.windows, self.pooling = windows, pooling
        self.n_cells = windows.n_cells
        lengths = [len(index) for index in windows.index]
        ends = np.cumsum(lengths)
        self.blocks = [slice(int(e - h), int(e)) for e, h in zip(ends, lengths, strict=True)]
        self.pool = np.zeros((windows.n_positions, self.n_cells))
        for g, cell in enumerate(windows.cells):
            self.pool[cell, g] = 1.0 / len(self.pool[cell])

    @property
    def places(self):
        """The places in a row, or beyond the border, of all weights at every position, (K, p)."""
        return np.concatenate(self.windows.index).T

    # ------------------------------------------------------------------ sizes

    def n_weights(self, n_features):
        return self.blocks[-1].stop

    def n_inputs(self, n_features):
        return self.n_cells if self.pooling == "max" else self.windows.n_positions

    @cached_property
    def _seen(self):
        """How often each feature is in a window, per window and position, (d + 1,)."""
        windows = self.windows
        counts = np.zeros(windows.n_features + 1)
        for index in windows.index:
            counts += np.bincount(index.ravel(), minlength=len(counts))
        return counts / (len(windows.index) * windows.n_positions)

    def shares(self):
        """The mean square of the inputs is the sum over features of these times their squares."""
        return self._seen[:-1]

    def mean_input(self, mean_row):
        """The mean input of rows of this mean, such that its square is that of the means."""
        windows, row = self.windows, np.append(mean_row, 0.0)
        parts = [row[index].mean(axis=1) for index in windows.index]
        return np.concatenate(parts) / np.sqrt(len(parts))

    # ------------------------------------------------------------------ the window of a direction

    def window_of(self, U):
        """The number of the window of every direction (m, p or more): its largest block."""
        if len(self.blocks) == 1:
            return np.zeros(len(U), dtype=int)
        sizes = [np.einsum("jp,jp->j", U[:, block], U[:, block]) for block in self.blocks]
        return np.argmax(sizes, axis=0)

    # ------------------------------------------------------------------ filters and maps

    def filters(self, coefs):
        """Filters of every window, ``(m_b, *space, channels)``, and their numbers (m_b,)."""
        windows = self.window_of(coefs.T)
        for k, (block, shape) in enumerate(zip(self.blocks, self.windows.shapes, strict=True)):
            some = np.flatnonzero(windows == k)
            yield coefs[block, some].T.reshape(len(some), *shape), some

    def coefs(self, filters):
        """The weights (p, m) of filters, window by window."""
        ends = np.cumsum([len(some) for some in filters])
        coefs = np.zeros((self.n_weights(0), ends[-1]), filters[0].dtype)
        for block, some, end in zip(self.blocks, filters, ends, strict=True):
            coefs[block, end - len(some) : end] = some.reshape(
                len(some), block.stop - block.start
            ).T
        return coefs

    def maps(self, X, coefs, bias):
        """Activations before they are pooled, ``(n, m, *positions)``."""
        windows = self.windows
        H = Convolution(windows, "average").inputs(np, X) @ coefs
        H += bias
        maps = np.empty((len(X), coefs.shape[1], windows.n_positions), H.dtype)
        maps[:, :, windows.order] = np.maximum(H, 0).transpose(0, 2, 1)
        return maps.reshape(*maps.shape[:2], *windows.counts)

    # ------------------------------------------------------------------ passes

    def inputs(self, xp, X):
        return _Patches(self, X)

    def activate(self, xp, H, smooth):
        A, slope = smooth_relu(np, H) if smooth else relu(np, H)
        A = A.transpose(0, 2, 1)  # rows, neurons, cells or positions
        if self.pooling == "average":
            A = A @ self.pool.astype(A.dtype)
        return A.reshape(len(A), A.shape[1] * self.n_cells), slope

    def pull_back(self, xp, slope, T):
        T = T.reshape(len(T), T.shape[1] // self.n_cells, self.n_cells)
        if self.pooling == "average":
            T = T @ self.pool.T.astype(T.dtype)
        T = T.transpose(0, 2, 1)
        T *= slope
        return T


class _Patches:
    """The patches of a block of rows, a matrix to those who multiply by it.

    Products (rows, K or G, m) are views of arrays with the neurons before the positions.  For the
    largest of a cell they remember where it was: the transposed product goes back there, for the
    same neurons.
    """

    def __init__(self, neurons, X):
        self.neurons = neurons
        if any(index.max() == X.shape[1] for index in neurons.windows.index):
            X = np.concatenate([X, np.zeros_like(X[:, :1])], axis=1)
        self.X = np.ascontiguousarray(X)
        self.filters = self.winners = None

    def gathered(self, window, rows):
        """(rows, h, K)"""
        return np.take(self.X[rows], self.neurons.windows.index[window], axis=1, mode="clip")

    def _few_rows(self, window, n_filters):
        h, K = self.neurons.windows.index[window].shape
        step = max(1, _CACHE_BYTES // (self.X.itemsize * K * (h + n_filters)))
        for start in range(0, len(self.X), step):
            yield slice(start, start + step)

    def _products(self, W):
        """Window, its filters (None for all) and their weights (m_b, h)."""
        windows = self.neurons.window_of(W.T)
        for k, block in enumerate(self.neurons.blocks):
            some = np.flatnonzero(windows == k)
            if 0 < len(some) == len(windows):
                yield k, slice(None), np.ascontiguousarray(W[block].T)
            elif len(some):
                yield k, some, np.ascontiguousarray(W[block, some].T)

    def __matmul__(self, W):
        neurons, n, m = self.neurons, len(self.X), W.shape[1]
        largest = neurons.pooling == "max"
        count = neurons.n_cells if largest else neurons.windows.n_positions
        H = np.empty((n, m, count), W.dtype)
        self.filters, self.shape_of_weights = list(self._products(W)), W.shape
        self.winners = np.empty((n, m, count), np.intp) if largest else None
        for window, filters, weights in self.filters:
            for rows in self._few_rows(window, len(weights)):
                products = weights @ self.gathered(window, rows)
                if largest:
                    self._keep_largest(products, rows, filters, H)
                else:
                    H[rows, filters] = products
        return H.transpose(0, 2, 1)

    def _keep_largest(self, products, rows, filters, H):
        n, m, K = products.shape
        first, flat = K * np.arange(n * m).reshape(n, m), products.reshape(-1)
        for g, cell in enumerate(self.neurons.windows.cells):
            where = products[:, :, cell].argmax(axis=2)
            where = where + cell.start if isinstance(cell, slice) else cell[where]
            H[rows, filters, g] = flat.take(first + where)
            self.winners[rows, filters, g] = where

    @property
    def T(self):
        return _Transposed(self)


class _Transposed:
    def __init__(self, patches):
        self.patches = patches

    def __matmul__(self, T):
        """Gradients (p, m) from those in the products."""
        patches, T = self.patches, T.transpose(0, 2, 1)
        pulled = np.zeros(patches.shape_of_weights[::-1], np.float64)
        for window, filters, weights in patches.filters:
            block = patches.neurons.blocks[window]
            if patches.winners is None:
                pulled[filters, block] = self._of_all(window, filters, weights, T)
            else:
                pulled[filters, block] = self._of_winners(window, filters, weights, T)
        return pulled.T

    def _of_all(self, window, filters, weights, T):
        total = np.zeros(weights.shape)
        for rows in self.patches._few_rows(window, len(weights)):
            patches = self.patches.gathered(window, rows)
            total += (T[rows, filters] @ patches.transpose(0, 2, 1)).sum(axis=0)
        return total

    def _of_winners(self, window, filters, weights, T):
        """Only the patches that won have gradients, one for each filter and cell of a row."""
        patches, (m, h) = self.patches, weights.shape
        places = np.ascontiguousarray(patches.neurons.windows.index[window].T)
        K, total = len(places), np.zeros((m, h))
        if _FEW_WINNERS * m * patches.neurons.n_cells <= K:
            return self._of_few_winners(window, filters, places, T)
        step = max(1, _CACHE_BYTES // (patches.X.itemsize * K * h))
        for start in range(0, len(T), step):
            rows = slice(start, start + step)
            flat = np.take(patches.X[rows], places, axis=1, mode="clip").reshape(-1, h)
            some = T[rows, filters].transpose(1, 0, 2).ravel()
            where = patches.winners[rows, filters].transpose(1, 0, 2)
            where = (where + K * np.arange(where.shape[1])[:, None]).ravel()
            ends = np.arange(0, len(some) + 1, len(some) // m)
            total += sparse.csr_array((some, where, ends), shape=(m, len(flat))) @ flat
        return total

    def _of_few_winners(self, window, filters, places, T):
        """The same where most patches won nothing: only those that did are gathered."""
        X, winners, total = self.patches.X, self.patches.winners, 0.0
        d, some = X.shape[1], T[:, filters]
        (n, m, cells), h = some.shape, places.shape[1]
        step = max(1, _CACHE_BYTES // (8 * m * cells * h))
        for start in range(0, n, step):
            rows = slice(start, min(start + step, n))
            where = places[winners[rows, filters]]
            where += d * np.arange(start, rows.stop)[:, None, None, None]
            found = X.reshape(-1).take(where).transpose(1, 0, 2, 3).reshape(m, -1, h)
            pull = some[rows].transpose(1, 0, 2).reshape(m, 1, -1)
            total = total + (pull @ found)[:, 0]
        return total
