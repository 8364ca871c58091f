"""Columns in units so unequal that the penalty, which acts in these units, hides the small ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

from sklearn_convexnn.core.problem.engines.choice import in_memory

# Ratio of the sizes of two columns beyond which the smaller hardly exists for a network.
_LARGEST_RATIO = 100.0
# Columns whose spread is below this fraction of their size are constant.
_CONSTANT = 1e-12
# Rows that are looked at: sizes within a hundredfold need no more.
_MOST_ROWS = 20_000


class UnequalColumns(NamedTuple):
    """The columns of the largest and of the smallest size, and the ratio of their sizes."""

    largest: int
    smallest: int
    ratio: float


def unequal_columns(X, weights):
    """The worst two of dense columns, or None: if all are alike, or for sparse rows.

    The size of a column is its standard deviation.  One that has the same value in half of its rows
    or more (an indicator, a count of rare things) is measured by how far the other rows are from
    that value: rare is not small.
    """
    if sparse.issparse(X):
        return None
    step = max(1, np.count_nonzero(weights) // _MOST_ROWS)
    # With all rows in use their numbers need not be written out.
    used = slice(0, None, step) if np.all(weights) else np.flatnonzero(weights)[::step]
    X = in_memory(X[used]).astype(np.float64)
    units = np.abs(X).max(axis=0, initial=0.0)
    scaled = X / np.where(units > 0, units, 1.0)  # squares neither overflow nor vanish
    spread = scaled.std(axis=0)
    varies = np.flatnonzero(spread > _CONSTANT)
    if len(varies) < 2:
        return None
    logs = np.log(spread[varies]) + np.log(units[varies])
    limit = logs.max() - np.log(_LARGEST_RATIO)
    for k in np.flatnonzero(logs < limit):
        column = scaled[:, varies[k]]
        away = np.abs(column - np.median(column))
        if 2 * np.count_nonzero(away) <= len(away):
            away = away[away > 0]
            logs[k] = np.log(np.sqrt(np.mean(away**2))) + np.log(units[varies[k]])
    if logs.min() >= limit:
        return None
    large, small = np.argmax(logs), np.argmin(logs)
    ratio = float(np.exp(min(logs[large] - logs[small], 700.0)))
    return UnequalColumns(int(varies[large]), int(varies[small]), ratio)
