"""Folds of very many rows: a row is in the fold that its values say, wherever it is.

The hash of a row and its targets is compared with limits between the folds.  They are equally
spaced, but for rare classes, whose hashes are looked at: every fold holds out its part of them.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.problem.engines.row_keys import count_distinct, pair_keys, salted

# Distinct rows from which on folds are chosen so.
LEAST_ROWS = 50_000
# Rows of all rare classes together.
_MOST_RARE = 50_000


def rare_classes(counts, n_folds):
    """The classes, ascending, with the fewest rows of which every fold can have one."""
    order = np.argsort(counts, kind="stable")
    few = order[np.cumsum(counts[order]) <= _MOST_RARE]
    return np.sort(few[counts[few] >= n_folds])


def fold_limits(n_folds, n_classes=1, classes=(), hashes=()):
    """Limits (n_classes, n_folds - 1) of hashes between folds; of rare classes all rows are given.

    ``classes`` and ``hashes`` are theirs.
    """
    shares = np.arange(1, n_folds, dtype=np.float64) / n_folds
    limits = np.tile((shares * 2.0**64).astype(np.uint64), (n_classes, 1))
    for rare in np.unique(np.asarray(classes, dtype=np.int64)):
        own = np.sort(hashes[classes == rare])
        limits[rare] = own[np.arange(1, n_folds) * len(own) // n_folds]
    return limits


def folds_of(hashes, limits, classes=None):
    """The fold of every row, (n,)."""
    numbers = np.zeros(len(hashes), dtype=np.uint8 if limits.shape[1] < 256 else np.int64)
    for column in limits.T:
        numbers += hashes >= (column[0] if classes is None else column[classes])
    return numbers


def hashed_folds(keys, Y, n_folds, salt, *, classes=None, counted=None):
    """The fold of every row in memory, (n,), or None where few rows differ.

    Parameters
    ----------
    keys : ndarray of shape (n,)
        See :func:`.row_keys`.
    Y : ndarray of shape (n, C)
        Targets, or indicators of classes.
    n_folds, salt : int
        Another salt, other folds.
    classes : ndarray of shape (n,), optional
        Numbers of classes from zero on.
    counted : ndarray of bool of shape (n,), optional
        Rows that rare classes have.
    """
    pairs = pair_keys(keys, Y)
    if count_distinct(pairs.copy()) < LEAST_ROWS:
        return None
    hashes = salted(pairs, salt)
    if classes is None:
        return folds_of(hashes, fold_limits(n_folds))
    counts = np.bincount(classes[counted], minlength=classes.max() + 1)
    chosen = counted & np.isin(classes, rare_classes(counts, n_folds))
    limits = fold_limits(n_folds, len(counts), classes[chosen], hashes[chosen])
    return folds_of(hashes, limits, classes)
