"""Some of the rows that lie in memory, read where they are."""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.problem.engines.in_memory import BLOCK_BYTES, NumpyEngine
from sklearn_convexnn.core.problem.engines.row_arrays import empty_beside
from sklearn_convexnn.core.problem.engines.row_keys import row_keys

# Rows that are gathered at a time for their keys.
_KEY_ROWS = 1 << 14


class PartEngine(NumpyEngine):
    """Some rows of an array that others share.

    Blocks of consecutive rows are views; of others the features are copied when they are read, a
    block at a time.

    Parameters
    ----------
    stored : ndarray or CSR array of shape (m, d)
    Y : ndarray of shape (n, C), float64
    weights : ndarray of shape (n,), float64, positive
    index : ndarray of shape (n,)
        The rows of ``stored``, ascending.
    block_bytes : int
        As for :class:`NumpyEngine`.
    """

    def __init__(self, stored, Y, weights, index, *, block_bytes=BLOCK_BYTES):
        super().__init__(stored, Y, weights, block_bytes=block_bytes)
        self.index = index

    @property
    def X(self):
        """The features as one array, a copy of them."""
        return self.stored[self.index]

    def _all_features(self, dtype):
        """Rows that are one block are gathered once: a copy of a block is small."""
        if dtype not in self._casts:
            self._casts[dtype] = self.X.astype(dtype, copy=False)
        return self._casts[dtype]

    def _features(self, block, step, dtype):
        rows = self.index[block]
        first, last = int(rows[0]), int(rows[-1])
        if last - first == len(rows) - 1:
            return super()._features(slice(first, last + 1), step, dtype)
        return self.stored[rows].astype(dtype, copy=False)

    def first(self, count):
        """At most ``count`` rows, always the same ones: evenly from all, for parts lie apart."""
        if count >= self.n_rows:
            return self
        return self.take(np.linspace(0, self.n_rows - 1, count).astype(int))

    def _row_keys(self):
        keys, step = empty_beside(self.stored, (self.n_rows,), np.uint64), _KEY_ROWS
        for start in range(0, self.n_rows, step):
            block = slice(start, start + step)
            keys[block] = row_keys(self.stored[self.index[block]])
        return keys

    def _some(self, index):
        return self.stored[self.index[index]]

    def take(self, index):
        """Some of the rows, with their weights as they are."""
        return NumpyEngine(
            self.stored[self.index[index]],
            self.Y[index],
            self.weights[index],
            block_bytes=self.block_bytes,
        )

    def _with(self, Y, weights):
        return PartEngine(self.stored, Y, weights, self.index, block_bytes=self.block_bytes)

    def _mean_row(self):
        return self._mean_of_blocks()
