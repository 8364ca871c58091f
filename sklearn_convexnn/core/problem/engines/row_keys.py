"""Numbers of rows that depend on their values alone, by which samples are drawn.

A sample by its keys is the same in any order of the rows, and takes all copies of a row or none.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy import sparse

from sklearn_convexnn.core.problem.engines.coded import CodedRows
from sklearn_convexnn.core.problem.engines.row_arrays import blocks_of, empty_beside, few_where

_BLOCK_ENTRIES = 1 << 18
# How many more keys than are wanted are looked at for the smallest.
_SURPLUS = 1.5
_HALF, _LARGEST = np.uint64(32), np.uint64(2**64 - 1)


def row_keys(X):
    """A 64-bit integer for each row of an array, CSR array or :class:`.CodedRows`, (n,).

    Sums of products with odd numbers, one for each column, mixed once in the end: about a third of
    the time of the hashes that tell rows apart, and good enough to draw by.
    """
    if isinstance(X, CodedRows):
        return row_keys(X.plain) + _mixed(row_keys(X.codes))
    n, d = X.shape
    multipliers = _mixed(np.arange(1, d + 1, dtype=np.uint64)) | np.uint64(1)
    keys = empty_beside(X, (n,), np.uint64)
    step = max(1, _BLOCK_ENTRIES // max(1, d))
    for start in range(0, n, step):
        block = X[start : start + step]
        if sparse.issparse(block):
            terms = _bits(block.data) * multipliers[block.indices]
            sums = np.concatenate([[np.uint64(0)], np.cumsum(terms, dtype=np.uint64)])
            sums = sums[block.indptr[1:]] - sums[block.indptr[:-1]]
        else:
            terms = _bits(block)
            terms *= multipliers
            sums = terms.sum(axis=1, dtype=np.uint64)
        keys[start : start + step] = _mixed(sums)
    return keys


def pair_keys(keys, Y):
    """Numbers that tell apart rows of these keys with targets ``Y`` (n, C)."""
    return _mixed(keys + (row_keys(Y) << np.uint64(1)))


def count_distinct(keys):
    """How many of the keys differ; sorts them in place."""
    keys.sort()
    count = min(1, len(keys))
    for block in blocks_of(len(keys)):
        count += int(np.count_nonzero(np.diff(keys[block.start : block.stop + 1])))
    return count


def least(keys, count):
    """Numbers of the rows with the ``count`` smallest keys."""
    share, index = _SURPLUS * count / len(keys), ()
    while len(index) < count:
        limit = np.uint64(share * 2.0**64) if share < 1.0 else _LARGEST
        index = few_where(len(keys), partial(np.greater_equal, limit), keys)
        share *= 2.0
    return index[np.argpartition(keys[index], count - 1)[:count]]


def drawn(keys, share, salt):
    """Whether each row is drawn, with probability ``share``; another salt draws others.

    By half of the bits of its key, for not all engines have more.
    """
    return salted(keys, salt) < np.uint64(share * 2.0**64)


def salted(keys, salt):
    """Other keys of the same rows; those of another salt say nothing of them."""
    return _mixed((keys >> _HALF) ^ np.uint64(salt))


def _bits(values):
    """Bits of numbers, those of small integers moved to where products spread them."""
    # Adding 0.0 turns -0.0 into 0.0, whose bits are all zero.
    bits = np.ascontiguousarray(values.astype(np.float64) + 0.0).view(np.uint64)
    return bits ^ (bits >> _HALF)


def _mixed(x):
    """The finaliser of splitmix64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


# ------------------------------------------------------------------------- the same on a device


def device_keys(xp, X, block_bytes):
    """The keys of an array of another library, (n,): the same bits as signed integers.

    Other libraries have no unsigned integers of 64 bits that add and multiply.  Sums and products
    of signed ones wrap around to the same bits; what is shifted in at the left is masked away.
    """
    n, d = X.shape
    columns = _mixed(np.arange(1, d + 1, dtype=np.uint64)) | np.uint64(1)
    multipliers = xp.asarray(columns.view(np.int64), device=X.device, copy=True)
    step, parts = max(1, block_bytes // (8 * max(1, d))), []
    for start in range(0, n, step):
        # Adding 0.0 turns -0.0 into 0.0.
        values = xp.astype(X[start : min(start + step, n), :], xp.float64) + 0.0
        bits = values.view(xp.int64)
        terms = (bits ^ _shifted(bits, 32)) * multipliers
        keys = xp.sum(terms, axis=1, dtype=xp.int64)
        keys = (keys ^ _shifted(keys, 30)) * _signed(0xBF58476D1CE4E5B9)
        keys = (keys ^ _shifted(keys, 27)) * _signed(0x94D049BB133111EB)
        parts.append(keys ^ _shifted(keys, 31))
    return xp.concat(parts)


def as_fractions(xp, keys):
    """Keys on a device over 2^64, in float64."""
    high, low = _shifted(keys, 32), keys & 0xFFFFFFFF
    return xp.astype(high, xp.float64) * 2.0**-32 + xp.astype(low, xp.float64) * 2.0**-64


def _shifted(x, count):
    """Bits moved to the right, with zeros behind them."""
    return (x >> count) & ((1 << (64 - count)) - 1)


def _signed(number):
    """The signed integer of the same 64 bits."""
    return number - (1 << 64) if number >> 63 else number
