"""Rows of which many columns are known from a few codes: steps, one-hot columns, indicators.

Columns of two values, such as the steps of one feature, take few different values together: at
most one line per step and one more.  A group of them is stored as the number of its line in each
row, and the table of lines.  Products with directions become those of the table and one look-up for
each row, products from the left sums of rows with the same code.  The values are those of the
dense rows, so that the program is the same, with its norm of the original columns.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import sparse

from sklearn_convexnn.core.problem.engines.row_arrays import is_mapped

# Lines of a table.  Two features of 15 steps share one: half the look-ups, and the tables of ten
# features, times 100 directions, still fit into a second-level cache.
MOST_LINES = 256
# A look-up costs about as much as this many columns of a matrix product.
LEAST_COLUMNS = 10
# Products with fewer numbers take microseconds, less than what look-ups take to set up.
LEAST_NUMBERS = 1 << 17
# Rows for each line of a table, or its product with the directions would cost as much as theirs.
ROWS_PER_LINE = 8
# Rows by which columns of more than two values are ruled out, before all rows are looked at.
_FIRST_ROWS = 64


class Table(NamedTuple):
    """The lines of a group of columns."""

    columns: np.ndarray  # (q,), their numbers
    lines: np.ndarray  # (k, q)


class CodedRows:
    """Rows with some plain columns and groups of coded ones, a matrix to those who multiply by it.

    Parameters
    ----------
    plain : ndarray of shape (n, d_plain)
    columns : ndarray of shape (d_plain,)
        Numbers of the plain columns.
    codes : ndarray of shape (n, n_tables), int32
        Lines of a row, counted through all tables.
    tables : list of Table
    """

    ndim = 2

    def __init__(self, plain, columns, codes, tables):
        self.plain, self.columns, self.codes, self.tables = plain, columns, codes, tables
        self.dtype, self._blocks = plain.dtype, {}
        self.shape = len(plain), len(columns) + sum(len(table.columns) for table in tables)

    def __len__(self):
        return len(self.plain)

    def __getitem__(self, rows):
        return CodedRows(self.plain[rows], self.columns, self.codes[rows], self.tables)

    def astype(self, dtype, copy=True):
        if dtype == self.dtype and not copy:
            return self
        tables = [Table(table.columns, table.lines.astype(dtype)) for table in self.tables]
        return CodedRows(self.plain.astype(dtype, copy=copy), self.columns, self.codes, tables)

    def toarray(self):
        """The dense rows, exactly."""
        X = np.empty(self.shape, self.dtype)
        X[:, self.columns] = self.plain
        start = 0
        for k, table in enumerate(self.tables):
            X[:, table.columns] = table.lines[self.codes[:, k] - start]
            start += len(table.lines)
        return X

    def blocks(self, step):
        """Parts of ``step`` rows one after another; kept, since passes want the same ones again."""
        kept = self._blocks  # another thread may ask for others
        if step not in kept:
            kept = {step: [self[start : start + step] for start in range(0, len(self), step)]}
            self._blocks = kept
        return kept[step]

    # ------------------------------------------------------------------ products

    def __matmul__(self, W):
        lines = np.concatenate([table.lines @ W[table.columns] for table in self.tables])
        H = self.plain @ W[self.columns]
        H += self._lookups @ lines
        return H

    @cached_property
    def T(self):
        return _Transposed(self)

    @cached_property
    def _lookups(self):
        """One-hot lines, (n, lines of all tables)."""
        n, n_tables = self.codes.shape
        ones = np.ones(self.codes.size, self.dtype)
        starts = np.arange(0, self.codes.size + 1, n_tables, dtype=self.codes.dtype)
        n_lines = sum(len(table.lines) for table in self.tables)
        return sparse.csr_array((ones, self.codes.ravel(), starts), shape=(n, n_lines))


class _Transposed:
    """``X.T``, for products ``X.T @ R``."""

    def __init__(self, rows):
        self.rows, self.lookups = rows, rows._lookups.T

    def __matmul__(self, R):
        rows = self.rows
        product = np.empty((rows.shape[1], *R.shape[1:]), np.result_type(rows.dtype, R.dtype))
        product[rows.columns] = rows.plain.T @ R
        sums, start = self.lookups @ R, 0
        for table in rows.tables:
            end = start + len(table.lines)
            product[table.columns] = table.lines.T @ sums[start:end]
            start = end
        return product


def coded_if_cheaper(X):
    """Dense rows ``X`` as :class:`CodedRows`, where products with them are cheaper so."""
    if not isinstance(X, np.ndarray) or X.size < LEAST_NUMBERS or X.shape[1] < LEAST_COLUMNS:
        return X
    if is_mapped(X):  # its plain columns would be copied into memory
        return X
    groups = [group for group in _groups(X) if len(group[0]) >= LEAST_COLUMNS]
    if not groups:
        return X
    tables, codes, start = [], np.empty((len(X), len(groups)), np.int32), 0
    for k, (columns, lines) in enumerate(groups):
        # Any row with a code has the values of its line.
        example = np.zeros(lines.max() + 1, np.intp)
        example[lines] = np.arange(len(X))
        tables.append(Table(columns, X[np.ix_(example, columns)]))
        codes[:, k] = lines + start
        start += len(example)
    plain = np.setdiff1d(np.arange(X.shape[1]), np.concatenate([one for one, _ in groups]))
    return CodedRows(np.ascontiguousarray(X[:, plain]), plain, codes, tables)


def _groups(X):
    """Columns of two values, in their order, in groups of few lines: (columns, line of each row).

    A column joins the group before it as long as all together have few enough lines.
    """
    most = min(MOST_LINES, len(X) // ROWS_PER_LINE)
    columns, lines, count = [], 0, 1
    for j in _candidates(X):
        high = _is_high(X[:, j])
        if high is None:
            continue
        split, split_count = _relabelled(2 * lines + high, 2 * count)
        if split_count > most:
            if columns:
                yield np.array(columns), lines
            columns, (split, split_count) = [], _relabelled(high.astype(np.intp), 2)
        columns.append(j)
        lines, count = split, split_count
    if columns:
        yield np.array(columns), lines


def _candidates(X):
    first = X[:_FIRST_ROWS]
    low, high = first.min(axis=0), first.max(axis=0)
    return np.flatnonzero(np.all((first == low) | (first == high), axis=0))


def _is_high(x):
    """Which numbers are the largest, if all others are the smallest; else None."""
    x = np.ascontiguousarray(x)
    high = x == x.max()
    return high if np.all(high | (x == x.min())) else None


def _relabelled(labels, bound):
    """Labels without gaps, and their number."""
    present = np.bincount(labels, minlength=bound) > 0
    return (np.cumsum(present) - 1)[labels], int(present.sum())
