"""Rows in NumPy arrays, coded columns or a CSR array, read in blocks that fit into the cache.

The rows are cut into blocks so small that the hidden activations of a block stay in cache, which is
faster than one large product and keeps the memory beyond ``X`` bounded whatever n is.
"""

from __future__ import annotations

from functools import cached_property
from threading import Lock

import numpy as np
from scipy import sparse

from sklearn_convexnn.core.problem.engines.block import Block, Statistics
from sklearn_convexnn.core.problem.engines.coded import CodedRows
from sklearn_convexnn.core.problem.engines.row_arrays import (
    blocks_of,
    empty_beside,
    few_where,
    is_large,
    row_by_row,
)
from sklearn_convexnn.core.problem.engines.row_keys import (
    count_distinct,
    least,
    pair_keys,
    row_keys,
)
from sklearn_convexnn.core.problem.engines.threads import MOST_CHUNKS, mapped

# One block of hidden activations; about half of a core's second-level cache.
BLOCK_BYTES = 1 << 19
_LEAST_ROWS = 64
_TINY = float(np.finfo(float).tiny)
# Sizes of blocks in BLOCK_BYTES, where a block has a cost of its own beside that of its rows.
_SPARSE_BLOCKS, _CODED_BLOCKS = 16, 4
# Rows of a sample that are gathered at a time.
_GATHERED_ROWS = 1 << 14


# Some BLAS kernels set the flag of invalid numbers where there are none (numpy issue 24067): by
# what stands beside an array in memory, so that one run warns and the next does not.  Results that
# are no numbers show in the objective, which no network is accepted without.
def _no_flags():
    return np.errstate(invalid="ignore")


def _added(totals, sums):
    """Sums in float64, added in place to those before them, if there are any."""
    if totals is None:
        return [np.array(part, dtype=np.float64) for part in sums]
    for total, part in zip(totals, sums, strict=True):
        total += part
    return totals


class _Kept:
    """An array (n, ..) beside the rows ``X``, filled by whichever thread has a block."""

    def __init__(self, n, X):
        self.n, self.X, self.rows, self.lock = n, X, None, Lock()

    def put(self, block, kept):
        with self.lock:
            if self.rows is None:
                self.rows = empty_beside(self.X, (self.n, *kept.shape[1:]), kept.dtype)
        self.rows[block] = kept


class NumpyEngine:
    """Rows in memory.

    Parameters
    ----------
    X : ndarray, CodedRows or CSR matrix/array of shape (n, d), float32 or float64
        It is not copied, but for the blocks whose dtype is another.  None where no pass reads
        features.
    Y : ndarray of shape (n, C), float64
    weights : ndarray of shape (n,), float64, positive, sum 1
    block_bytes : int
        Size of one block of what a kernel makes.
    """

    in_memory = True

    def __init__(self, X, Y, weights, *, block_bytes=BLOCK_BYTES):
        self.stored, self.Y, self.weights, self.block_bytes = X, Y, weights, block_bytes
        self.sparse, self.coded = sparse.issparse(X), isinstance(X, CodedRows)
        self.n_rows, self.n_outputs = Y.shape
        # The dtype is that of the features as they are stored.
        self.n_features, self.dtype = (0, None) if X is None else (X.shape[1], X.dtype)
        self._casts = {}
        self._keys = self._n_distinct = None
        self.passes = 0  # over the features of all rows

    @property
    def in_file(self):
        """Whether what is kept of all rows is in a file, as they are."""
        return is_large(self.stored)

    @property
    def X(self):
        """The features as they are stored."""
        return self.stored

    def map_reduce(self, kernel, *small, width, dtype=None, rowwise=(), keep=False):
        """See :mod:`sklearn_convexnn.core.problem.engines`."""
        n, step = self.n_rows, self.rows_per_block(width, dtype)
        self.passes += dtype is not None
        if n <= step:
            X = None if dtype is None else self._all_features(dtype)
            with _no_flags():
                sums, kept = kernel(np, Block(X, self.Y, self.weights, rowwise), *small)
            return [np.asarray(part, dtype=np.float64) for part in sums], kept
        if self.coded and dtype is not None:
            self._all_features(dtype).blocks(step)  # made once, not by every thread
        handle = _Kept(n, self.stored) if keep else None

        def sums_of(starts):
            totals = None
            with _no_flags():
                for start in starts:
                    block = slice(start, min(start + step, n))
                    sums, kept = kernel(np, self._block(block, step, dtype, rowwise), *small)
                    totals = _added(totals, sums)
                    if keep:
                        handle.put(block, kept)
            return totals

        starts, totals = range(0, n, step), None
        size = -(-len(starts) // MOST_CHUNKS)
        chunks = [starts[first : first + size] for first in range(0, len(starts), size)]
        for sums in mapped(sums_of, chunks):
            totals = _added(totals, sums)
        return totals, handle.rows if keep else None

    def rows_per_block(self, width, dtype):
        """Rows whose (rows x width) block has about ``block_bytes``."""
        itemsize = 8 if dtype is None else dtype.itemsize
        size, features = self.block_bytes, 1
        if dtype is not None:
            # Each block of sparse rows costs a pass over all columns of the gradient, of coded ones
            # the product of the tables: few long blocks.
            if self.sparse:
                size *= _SPARSE_BLOCKS
            elif self.coded:
                size *= _CODED_BLOCKS
            else:
                features = self.n_features
        rows = max(size // (itemsize * max(width, features, 1)), _LEAST_ROWS)
        # Blocks of coded rows are kept for the next pass, whose width is similar.
        return 1 << (rows.bit_length() - 1) if self.coded else rows

    def _block(self, block, step, dtype, rowwise):
        X = None if dtype is None else self._features(block, step, dtype)
        return Block(X, self.Y[block], self.weights[block], tuple(part[block] for part in rowwise))

    def _all_features(self, dtype):
        """Rows that are one block, or coded: little to keep in another dtype as well."""
        if dtype == self.dtype:
            return self.X
        if dtype not in self._casts:
            self._casts[dtype] = self.X.astype(dtype)
        return self._casts[dtype]

    def _features(self, block, step, dtype):
        X = self.stored
        if self.coded:
            return self._all_features(dtype).blocks(step)[block.start // step]
        if not self.sparse:
            return X[block].astype(dtype, copy=False)
        first, last = X.indptr[block.start], X.indptr[block.stop]
        parts = (
            X.data[first:last].astype(dtype, copy=False),
            X.indices[first:last],
            X.indptr[block.start : block.stop + 1] - first,
        )
        return sparse.csr_array(parts, shape=(block.stop - block.start, X.shape[1]))

    # ------------------------------------------------------------------ other rows

    def take(self, index):
        """Some of the rows, with their weights as they are."""
        return NumpyEngine(
            self.X[index], self.Y[index], self.weights[index], block_bytes=self.block_bytes
        )

    def first(self, count):
        """At most ``count`` rows, always the same ones."""
        return self.take(slice(0, count))

    def sample(self, count, dtype):
        """At most ``count`` rows, drawn by their keys, with weights of sum 1.

        They have memory of their own, in another dtype.
        """
        index = np.sort(least(self.keys, min(count, self.n_rows)))
        weights = self.weights[index]
        return self._copied(index, dtype, weights / weights.sum())

    def draw(self, handle, count, dtype):
        """About ``count`` rows, drawn by their keys as often as what a pass has kept is large.

        Returns an engine, and what was kept over the frequency of its row.
        """
        blocks = blocks_of(self.n_rows)
        total = max(float(sum(np.abs(handle[block]).sum() for block in blocks)), _TINY)

        def frequency(R):
            return np.minimum(1.0, count * (np.abs(R).sum(axis=1) / total))

        def drawn(keys, R):
            return keys < frequency(R) * 2.0**64

        index = few_where(self.n_rows, drawn, self.keys, handle)
        R = handle[index]
        return self._copied(index, dtype, self.weights[index]), R / frequency(R)[:, None]

    @property
    def keys(self):
        """Of the rows, see :func:`.row_keys`."""
        if self._keys is None:
            self._keys = self._row_keys()
        return self._keys

    def n_distinct(self):
        """Rows that differ in features or targets, by their hashes."""
        if self._n_distinct is None:
            pairs = row_by_row(self.stored, pair_keys, self.keys, self.Y, dtype=np.uint64)
            self._n_distinct = count_distinct(pairs)
        return self._n_distinct

    def _copied(self, index, dtype, weights):
        X = self.gathered(index, np.dtype(dtype))
        return NumpyEngine(X, self.Y[index], weights, block_bytes=self.block_bytes)

    def _row_keys(self):
        return row_keys(self.stored)

    def gathered(self, index, dtype):
        """Features of some rows, without those of other dtype in between."""
        if not isinstance(self.stored, np.ndarray):
            return self.X[index].astype(dtype, copy=False)
        X, step = np.empty((len(index), self.n_features), dtype), _GATHERED_ROWS
        for start in range(0, len(index), step):
            X[start : start + step] = self._some(index[start : start + step])
        return X

    def _some(self, index):
        return self.stored[index]

    def with_weights(self, weights):
        return self._with(self.Y, weights)

    def with_targets(self, Y):
        return self._with(Y, self.weights)

    def _with(self, Y, weights):
        return NumpyEngine(self.stored, Y, weights, block_bytes=self.block_bytes)

    # ------------------------------------------------------------------ to and from memory

    def fetch(self, handle):
        """What a pass has kept, as one array."""
        return handle

    def kept(self, array):
        """The handle of a NumPy array (n, ..)."""
        return array

    def targets(self):
        """``Y`` and the weights as NumPy arrays."""
        return self.Y, self.weights

    def collect(self, limit=None):
        """All rows in memory: they are, whatever their number."""
        return self

    def statistics(self):
        return self._statistics

    @cached_property
    def _statistics(self):
        return Statistics(
            np.asarray(self._mean_row(), dtype=np.float64),
            float(max(self.Y.max(), -self.Y.min())),
            float(self.weights.min()),
            float(self.weights.max()),
        )

    def _mean_row(self):
        if self.dtype == np.float64 or not isinstance(self.stored, np.ndarray):
            return self.stored.T @ self.weights
        # NumPy would multiply a copy of all rows in double precision.
        return self._mean_of_blocks()

    def _mean_of_blocks(self):
        total, step = np.zeros(self.n_features), self.rows_per_block(1, self.dtype)
        for start in range(0, self.n_rows, step):
            block = slice(start, min(start + step, self.n_rows))
            total += self._features(block, step, self.dtype).T @ self.weights[block]
        return total

    def close(self):
        """Nothing is held but arrays."""
