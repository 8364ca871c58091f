"""Which engine reads rows of which kind, and how they come into memory: one line for each."""

from __future__ import annotations

from sklearn_convexnn.core.problem.engines.array_api import ArrayEngine, PlacedRows
from sklearn_convexnn.core.problem.engines.in_memory import NumpyEngine
from sklearn_convexnn.core.problem.engines.part import PartEngine
from sklearn_convexnn.core.problem.engines.row_keys import row_keys


def engine_of(X, Y, weights):
    """The engine of these rows, with targets (n, C) and weights (n,)."""
    if isinstance(X, PlacedRows):
        return ArrayEngine(X, Y, weights)
    return NumpyEngine(X, Y, weights)


def part_engine_of(X, Y, weights, index):
    """The engine of some of the rows, ascending, with their targets and weights."""
    if isinstance(X, PlacedRows):
        return ArrayEngine(X[index], Y, weights)
    return PartEngine(X, Y, weights, index)


def keys_of(X):
    """A 64-bit integer for each row, see :func:`.row_keys`."""
    return X.host_keys() if isinstance(X, PlacedRows) else row_keys(X)


def in_memory(X):
    """Rows as a NumPy or CSR array, themselves if they are one."""
    return X.toarray() if isinstance(X, PlacedRows) else X


def lengths_of(X):
    """Euclidean norms of rows that find them where they are, (n,); None for those in memory."""
    return X.lengths() if isinstance(X, PlacedRows) else None
