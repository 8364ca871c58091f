"""One order of the rows for each weighted set of them: repeated rows merged, the rest by hash."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from sklearn_convexnn.core.problem.engines.choice import in_memory


def canonical_rows(X, Y, weights):
    """Merge rows equal in ``X`` and ``Y`` and sort the rest by a hash of their values.

    ``weights`` are (n,), or (n, k) for several kinds of them.
    """
    origin, of_row = distinct_rows(in_memory(X), Y)
    return X[origin], Y[origin], _sums(of_row, weights)


def distinct_rows(X, Y):
    """Rows that differ in ``X`` or ``Y``, sorted by a hash of their values.

    Returns
    -------
    origin : ndarray of shape (m,)
        Where in the data each of them is, the first if it is repeated.
    of_row : ndarray of shape (n,)
        Which of them a row of the data is.
    """
    keys = row_hashes(X) + row_hashes(Y, salt=1)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.concatenate([[True], keys[1:] != keys[:-1]])
    first |= ~_same_as_previous(X, Y, order, ~first)
    of_row = np.empty(len(order), dtype=np.int64)
    of_row[order] = np.cumsum(first) - 1
    return order[first], of_row


def _sums(group, weights):
    """Weights (n,) or columns of them, (n, k), summed over the rows of each group."""
    if weights.ndim == 1:
        return np.bincount(group, weights=weights)
    return np.column_stack([np.bincount(group, weights=column) for column in weights.T])


def _same_as_previous(X, Y, order, suspects):
    """For rows marked in ``suspects``: are they equal to the row above?  (Hashes may collide.)"""
    same = np.zeros(len(Y), dtype=bool)
    index = np.flatnonzero(suspects)
    rows, above = order[index], order[index - 1]
    equal = np.all(Y[rows] == Y[above], axis=1)
    if sparse.issparse(X):
        equal &= np.asarray(abs(X[rows] - X[above]).sum(axis=1)).ravel() == 0
    else:
        equal &= np.all(X[rows] == X[above], axis=1)
    same[index] = equal
    return same


def row_hashes(X, salt=0):
    """A 64-bit integer for each row that depends on its values alone, equal for dense and sparse.

    The sum over the entries of a mix of (bits of the value, column); zeros add nothing.  The bits
    are mixed before they meet their column: those of a small integer are nearly all zero.
    """
    n, d = X.shape
    multipliers = _mix(np.arange(1, d + 1, dtype=np.uint64) + np.uint64(salt << 32)) | np.uint64(1)
    hashes = np.empty(n, dtype=np.uint64)
    step = max(1, (1 << 20) // max(1, d))
    for start in range(0, n, step):
        block = X[start : start + step]
        if sparse.issparse(block):
            terms = _mix(_mix(_bits(block.data)) * multipliers[block.indices])
            sums = np.concatenate([[np.uint64(0)], np.cumsum(terms, dtype=np.uint64)])
            hashes[start : start + step] = sums[block.indptr[1:]] - sums[block.indptr[:-1]]
        else:
            terms = _mix(_mix(_bits(block)) * multipliers)
            hashes[start : start + step] = terms.sum(axis=1, dtype=np.uint64)
    return hashes


def _bits(values):
    # Adding 0.0 turns -0.0 into 0.0, whose bits are all zero.
    return np.ascontiguousarray(values.astype(np.float64) + 0.0).view(np.uint64)


def _mix(x):
    """The finaliser of splitmix64; maps 0 to 0."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
