"""Weighted medians of numbers that are somewhere else, from sums of weights below limits.

The bits of a floating-point number, as an integer, are in the order of the numbers.  So the
smallest one below which some share of the weight lies is found exactly, a few bits in every pass.
"""

from __future__ import annotations

import numpy as np

# Limits of a pass, and passes for the 64 bits of a number.
_PROBES, _PASSES = 63, 11
_SIGN = np.uint64(1) << np.uint64(63)
_ALL = np.uint64(2**64 - 1)


def ordered(values):
    """Integers in the order of these numbers."""
    # Adding 0.0 turns -0.0 into 0.0.
    bits = (np.asarray(values, dtype=np.float64) + 0.0).view(np.uint64)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _number(integer):
    """The number of one of these integers."""
    bits = np.uint64(integer)
    bits = bits ^ _SIGN if bits & _SIGN else ~bits
    return np.array([bits], dtype=np.uint64).view(np.float64)[0]


def weights_up_to(values, weights, limits):
    """Of every column of ``values`` (n, C) the weight up to each of its ``limits``, (C, k)."""
    found = []
    for column, limit in zip(ordered(values).T, limits, strict=True):
        first = np.searchsorted(limit, column, side="left")  # of the limits that it is below
        found.append(np.cumsum(np.bincount(first, weights, minlength=len(limit) + 1)[:-1]))
    return np.array(found)


def weighted_medians(weights_of, total, n_columns):
    """The middle between the smallest and the largest that halve the weight, of every column.

    Parameters
    ----------
    weights_of : callable
        ``weights_of(limits)`` are the sums of :func:`weights_up_to` over all numbers.
    total : float
        The weight of all of them.
    n_columns : int
    """
    half = 0.5 * total
    slack = 1e-12 * half
    low = _smallest(weights_of, half - slack, n_columns, np.greater_equal)
    high = _smallest(weights_of, half + slack, n_columns, np.greater)
    return low + 0.5 * (high - low)


def _smallest(weights_of, wanted, n_columns, reaches):
    """The smallest numbers up to which the weight ``reaches`` what is wanted."""
    low, high = [0] * n_columns, [int(_ALL)] * n_columns  # Python's integers do not overflow
    for _ in range(_PASSES):
        steps = [max(1, -(-(b - a) // (_PROBES + 1))) for a, b in zip(low, high, strict=True)]
        limits = [
            [min(a + k * step, b) for k in range(1, _PROBES + 1)]
            for a, b, step in zip(low, high, steps, strict=True)
        ]
        reached = reaches(weights_of(np.array(limits, dtype=np.uint64)), wanted)
        for c, row in enumerate(reached):
            after = int(np.argmax(row)) if row.any() else _PROBES
            if after < _PROBES:
                high[c] = limits[c][after]
            low[c] = limits[c][after - 1] if after else low[c]
    # Between the two nothing is left: the upper one reaches what is wanted.
    return np.array([_number(b) for b in high])
