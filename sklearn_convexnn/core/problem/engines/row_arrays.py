"""Arrays of a few numbers for every row, for rows in a mapped file in a temporary file as well.

A fit holds a dozen of them: targets, weights, hashes, outputs, residuals.  Of rows that do not fit
into memory they might not either.
"""

from __future__ import annotations

import mmap
import os
import tempfile

import numpy as np

# Bytes up to which such an array is in memory, and rows that are worked on at a time where not.
MOST_IN_MEMORY, ROWS = 1 << 23, 1 << 18


def is_mapped(X):
    """Whether an array, or one that it is a part of, is a mapped file."""
    while isinstance(X, np.ndarray) and not isinstance(X, np.memmap):
        X = X.base
    return isinstance(X, np.memmap)


def is_large(X):
    """Whether rows are in a mapped file and so many that numbers of them are as well."""
    return is_mapped(X) and 8 * len(X) > MOST_IN_MEMORY


def empty_beside(X, shape, dtype):
    """An array that is not yet filled, with one entry or row for every row of ``X``, or of a part.

    In memory, or in a file without a name, which is gone with the array.
    """
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    if size <= MOST_IN_MEMORY or not is_mapped(X):
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="sklearn_convexnn-") as file:
        try:
            if hasattr(os, "posix_fallocate"):  # a full disk shows now, not as a crash later
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
        except OSError as error:
            raise OSError(
                error.errno,
                f"Numbers for every row of a mapped file need {size / 1e6:.0f} MB more in "
                f"{tempfile.gettempdir()}, the folder of temporary files, which the environment "
                f"variable TMPDIR names: {os.strerror(error.errno)}",
            ) from None
        return np.ndarray(shape, dtype, buffer=mmap.mmap(file.fileno(), size))


def blocks_of(n):
    """Slices of rows, one after the other."""
    return [slice(start, min(start + ROWS, n)) for start in range(0, n, ROWS)]


def row_by_row(X, function, *arrays, shape=None, dtype=np.float64):
    """``function(*arrays)`` beside ``X``, for a function that takes each row for itself.

    ``shape`` is that of the result, by default that of the first array.
    """
    if not is_large(X):
        return function(*arrays)
    found = empty_beside(X, arrays[0].shape if shape is None else shape, dtype)
    for block in blocks_of(len(arrays[0])):
        found[block] = function(*(array[block] for array in arrays))
    return found


def rows_where(X, condition, *arrays):
    """Numbers of the rows, ascending, for which ``condition(*arrays)`` holds."""
    if not is_large(X):
        return np.flatnonzero(condition(*arrays))
    n = len(arrays[0])
    found, count = empty_beside(X, (n,), np.int64), 0
    for block in blocks_of(n):
        index = np.flatnonzero(condition(*(array[block] for array in arrays)))
        found[count : count + len(index)] = index + block.start
        count += len(index)
    return found[:count]


def few_where(n, condition, *arrays):
    """The same of few rows, in memory."""
    parts = [np.zeros(0, dtype=np.int64)]
    for block in blocks_of(n):
        parts.append(np.flatnonzero(condition(*(array[block] for array in arrays))) + block.start)
    return np.concatenate(parts)
