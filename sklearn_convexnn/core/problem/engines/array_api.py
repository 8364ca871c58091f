"""Rows in arrays of another library, on any of its devices: torch, CuPy, array-api-strict.

The rows never leave their device, and what passes keep stays beside them.  Small arrays go there
for a pass, and all its sums come back in one transfer, for which the host waits once.  Samples are
on the same device.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np

from sklearn_convexnn.core.problem.engines.block import Block, Statistics
from sklearn_convexnn.core.problem.engines.in_memory import NumpyEngine
from sklearn_convexnn.core.problem.engines.namespaces import namespace
from sklearn_convexnn.core.problem.engines.row_keys import (
    as_fractions,
    count_distinct,
    device_keys,
    pair_keys,
    row_keys,
)

# Size of one block of what a kernel makes: few large blocks keep a device busy.
BLOCK_BYTES = 1 << 28
_LEAST_ROWS = 64


class Place(NamedTuple):
    """Where arrays are, and the ways there and back."""

    xp: object  # their namespace, a module of the array API standard
    device: object
    to_numpy: Callable

    def put(self, array):
        """A NumPy array there, in memory of its own."""
        return self.xp.asarray(array, device=self.device, copy=True)

    def dtype(self, dtype):
        """The dtype of NumPy in this namespace."""
        return getattr(self.xp, np.dtype(dtype).name)

    @property
    def on_cpu(self):
        return "cpu" in str(self.device).lower()


class PlacedRows:
    """Features (n, d) where they are, as far as problems ask for them.

    Parameters
    ----------
    array : array of shape (n, d) of the namespace of ``place``, float32 or float64
    place : Place
    """

    ndim = 2

    def __init__(self, array, place):
        self.array, self.place = array, place
        self.shape = tuple(int(size) for size in array.shape)
        namespace.register(type(array), lambda _: place.xp)
        single = array.dtype == place.xp.float32
        self.dtype = np.dtype(np.float32 if single else np.float64)

    def __len__(self):
        return self.shape[0]

    @property
    def nbytes(self):
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def __getitem__(self, index):
        """Some of the rows, by a slice or by NumPy arrays of their numbers."""
        return PlacedRows(_some(self.array, index, self.place, len(self)), self.place)

    def toarray(self):
        """All rows in NumPy."""
        return np.ascontiguousarray(self.place.to_numpy(self.array))

    def lengths(self):
        """Euclidean norms of the rows, (n,) in NumPy, without overflow of their squares."""
        xp, X = self.place.xp, self.array
        largest = float(xp.max(xp.abs(X)))
        if largest == 0.0:
            return np.zeros(len(self))
        parts = []
        for block in self._blocks():
            block = xp.astype(block, xp.float64) / largest
            parts.append(xp.sqrt(xp.sum(block * block, axis=1)))
        return largest * self.place.to_numpy(xp.concat(parts))

    def _blocks(self):
        """The rows, some at a time."""
        step = max(1, BLOCK_BYTES // (8 * max(1, self.shape[1])))
        for start in range(0, len(self), step):
            yield self.array[start : min(start + step, len(self)), :]

    @cached_property
    def keys(self):
        """Of the rows, see :func:`.row_keys`: the same 64 bits as signed integers, (n,)."""
        X, place = self.array, self.place
        if hasattr(X, "view"):
            return device_keys(place.xp, X, BLOCK_BYTES)
        # Bits are no part of the standard: where a library does not show them, blocks of rows
        # come to the host for their keys.
        parts = [row_keys(place.to_numpy(block)) for block in self._blocks()]
        return place.put(np.concatenate(parts).view(np.int64))

    def host_keys(self):
        """The keys in NumPy."""
        return np.array(self.place.to_numpy(self.keys)).view(np.uint64)


def _some(array, index, place, n):
    """Rows of an array; slices end where it ends, for the standard says nothing of longer ones."""
    if isinstance(index, slice):
        start, stop, step = index.indices(n)
        return array[start : max(start, stop) : step, ...]
    if isinstance(index, np.ndarray):
        index = place.put(np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64))
    return place.xp.take(array, index, axis=0)


class ArrayEngine:
    """Rows in arrays of any namespace.

    Parameters
    ----------
    X : PlacedRows
    Y : ndarray, or array beside X, of shape (n, C), float64
    weights : ndarray, or array beside X, of shape (n,), float64, positive
    block_bytes : int
        Size of one block of what a kernel makes.
    """

    in_memory, in_file = True, False

    def __init__(self, X, Y, weights, *, block_bytes=BLOCK_BYTES):
        self.place, self.stored = X.place, X
        self.Y, self.weights = (
            self.place.put(part) if isinstance(part, np.ndarray) else part for part in (Y, weights)
        )
        self.n_rows, self.n_features = X.shape
        self.n_outputs, self.dtype = int(self.Y.shape[1]), X.dtype
        self.block_bytes = block_bytes
        self.passes = 0

    def map_reduce(self, kernel, *small, width, dtype=None, rowwise=(), keep=False):
        """See :mod:`sklearn_convexnn.core.problem.engines`."""
        self.passes += dtype is not None
        return self._run(kernel, small, width, dtype, rowwise, keep)

    def _run(self, kernel, small, width, dtype, rowwise=(), keep=False):
        xp, put = self.place.xp, self.place.put
        small = [put(part) if isinstance(part, np.ndarray) else part for part in small]
        step, totals, kept = self.rows_per_block(width, dtype), None, []
        for start in range(0, self.n_rows, step):
            block = self._block(start, min(start + step, self.n_rows), dtype, rowwise)
            sums, one = kernel(xp, block, *small)
            sums = [xp.astype(part, xp.float64, copy=False) for part in sums]
            totals = sums if totals is None else [a + b for a, b in zip(totals, sums, strict=True)]
            kept.append(one)
        handle = None
        if keep:
            handle = kept[0] if len(kept) == 1 else xp.concat(kept)
        return self._to_host(totals), handle

    def _to_host(self, sums):
        """Sums as NumPy arrays, in one transfer."""
        if not sums:
            return []
        xp, shapes = self.place.xp, [tuple(part.shape) for part in sums]
        flat = self.place.to_numpy(xp.concat([xp.reshape(part, (-1,)) for part in sums]))
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        # Callers may write to them: memory of its own.
        parts = np.split(np.array(flat), ends[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def rows_per_block(self, width, dtype):
        """Rows whose (rows x width) block has about ``block_bytes``."""
        itemsize = 8 if dtype is None else np.dtype(dtype).itemsize
        features = 1 if dtype is None else self.n_features
        return max(self.block_bytes // (itemsize * max(width, features, 1)), _LEAST_ROWS)

    def _block(self, start, stop, dtype, rowwise):
        X = None
        if dtype is not None:
            X = self.stored.array[start:stop, :]
            X = self.place.xp.astype(X, self.place.dtype(dtype), copy=False)
        parts = tuple(part[start:stop, ...] for part in rowwise)
        return Block(X, self.Y[start:stop, :], self.weights[start:stop], parts)

    # ------------------------------------------------------------------ other rows

    def take(self, index):
        """Some of the rows, with their weights as they are."""
        parts = (_some(part, index, self.place, self.n_rows) for part in (self.Y, self.weights))
        return ArrayEngine(self.stored[index], *parts, block_bytes=self.block_bytes)

    def first(self, count):
        """At most ``count`` rows, always the same ones."""
        return self.take(slice(0, count))

    def sample(self, count, dtype):
        """At most ``count`` rows, drawn by their keys, with weights of sum 1, in another dtype."""
        xp = self.place.xp
        count = min(count, self.n_rows)
        index = xp.sort(xp.argsort(self.keys)[:count])
        weights = xp.take(self.weights, index)
        return self._copied(index, dtype, weights / xp.sum(weights))

    def draw(self, handle, count, dtype):
        """See :meth:`.NumpyEngine.draw`."""
        xp = self.place.xp
        sizes = xp.sum(xp.abs(handle), axis=1)
        total = xp.sum(sizes) + float(np.finfo(float).tiny)
        frequency = xp.clip(count * (sizes / total), 0.0, 1.0)
        (index,) = xp.nonzero(self.keys < frequency)
        drawn = xp.take(handle, index, axis=0) / xp.take(frequency, index)[:, None]
        sample = self._copied(index, dtype, xp.take(self.weights, index))
        return sample, self.fetch(drawn)

    def _copied(self, index, dtype, weights):
        xp = self.place.xp
        X = xp.astype(xp.take(self.stored.array, index, axis=0), self.place.dtype(dtype))
        Y = xp.take(self.Y, index, axis=0)
        return ArrayEngine(PlacedRows(X, self.place), Y, weights, block_bytes=self.block_bytes)

    @cached_property
    def keys(self):
        """Of the rows over 2^64, in float64, (n,)."""
        return as_fractions(self.place.xp, self.stored.keys)

    def n_distinct(self):
        """Rows that differ in features or targets, by their hashes."""
        return self._n_distinct

    @cached_property
    def _n_distinct(self):
        return count_distinct(pair_keys(self.stored.host_keys(), self.fetch(self.Y)))

    def with_weights(self, weights):
        return ArrayEngine(self.stored, self.Y, weights, block_bytes=self.block_bytes)

    def with_targets(self, Y):
        return ArrayEngine(self.stored, Y, self.weights, block_bytes=self.block_bytes)

    # ------------------------------------------------------------------ to and from memory

    def fetch(self, handle):
        """What a pass has kept, as one NumPy array."""
        return np.array(self.place.to_numpy(handle))

    def kept(self, array):
        """The handle of a NumPy array (n, ..)."""
        return self.place.put(array)

    def targets(self):
        """``Y`` and the weights as NumPy arrays."""
        return self.fetch(self.Y), self.fetch(self.weights)

    def collect(self, limit=None):
        """All rows in memory, or a ValueError where they are more than ``limit``."""
        if limit is not None and self.n_rows > limit:
            raise ValueError(
                f"This needs rows in memory, {limit} at most, and these are {self.n_rows}: use "
                "fewer rows."
            )
        return self._in_memory

    @cached_property
    def _in_memory(self):
        return NumpyEngine(self.stored.toarray(), *self.targets())

    def statistics(self):
        return self._statistics

    @cached_property
    def _statistics(self):
        xp = self.place.xp
        (mean_row,), _ = self._run(_mean_row, (), 1, np.float64)
        extremes = [xp.max(xp.abs(self.Y)), xp.min(self.weights), xp.max(self.weights)]
        return Statistics(mean_row, *map(float, self.place.to_numpy(xp.stack(extremes))))

    def close(self):
        """Nothing is held but arrays."""


def _mean_row(xp, B):
    return (B.w @ B.X,), None
