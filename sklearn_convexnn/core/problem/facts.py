"""What the units of a training problem depend on, of rows that are looked at some at a time."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from sklearn_convexnn.core.problem.engines.choice import lengths_of
from sklearn_convexnn.core.problem.engines.row_arrays import blocks_of
from sklearn_convexnn.core.problem.engines.shares import Held, Share
from sklearn_convexnn.core.problem.weighted_medians import weighted_medians, weights_up_to


class Facts:
    """Of all rows, from those of their parts.

    Parameters
    ----------
    each : callable
        ``each(function, *small)`` gives ``function(share, *small)`` of every :class:`.Share`.
    """

    def __init__(self, each):
        self.each = each
        parts = each(_facts)
        self.weights = np.array([part["weight"] for part in parts])
        self.total = self.weights.sum()
        self.shares = self.weights / self.total
        self.mean = self.shares @ np.array([part["mean"] for part in parts])
        self.least = np.min([part["least"] for part in parts], axis=0)
        self.most = np.max([part["most"] for part in parts], axis=0)
        self.parts = parts

    def targets(self, spread):
        """Targets (k, C) and weights that have the mean and range of all, and also the spread."""
        ends = np.array([self.least, self.most])
        if not spread:
            return np.array([self.mean, *ends]), np.array([1.0, 0.0, 0.0])
        size = np.abs(ends - self.mean).max(axis=0)
        size = np.where(size > 0, size, 1.0)
        squares = self.shares @ np.array(self.each(_mean_squares, self.mean, size))
        root = size * np.sqrt(squares)
        return np.array([self.mean - root, self.mean + root, *ends]), np.array([0.5, 0.5, 0, 0])

    def medians(self, centre=None):
        """The weighted medians (C,) of the targets, or of their distances from ``centre``."""

        def weights_of(limits):
            return np.sum(self.each(_weights_up_to, limits, centre), axis=0)

        return weighted_medians(weights_of, self.total, len(self.mean))

    def average(self, function, *small):
        """The weighted mean of ``function(Y, *small)`` over the rows."""
        return sum(self.each(_sum_of, function, *small)) / self.total

    def lengths(self):
        """Lengths of rows and weights that have the mean square and the largest of all."""
        roots = [part["length"] for part in self.parts]
        largest = max(part["longest"] for part in self.parts)
        return np.array([*roots, largest]), np.append(self.shares, 0.0)


def each_block(X, Y, weights, index=None):
    """What :class:`Facts` takes, of rows of one array, or of those with the numbers ``index``."""

    def each(function, *small):
        found = []
        for block in blocks_of(len(Y)):
            rows = X[block] if index is None else X[index[block]]
            w = weights[block]
            found.append(function(Share(Held(rows), Y[block], w, w), *small))
        return found

    return each


def row_lengths(X, shares=None):
    """Euclidean norms of the rows, (n,), without overflow of their squares.

    ``shares`` (d,) multiply the squares of the columns of dense rows, see
    :mod:`sklearn_convexnn.core.problem.neurons`.
    """
    if (lengths := lengths_of(X)) is not None:
        return lengths
    roots = 1.0 if shares is None else np.sqrt(shares)
    values = X.data if sparse.issparse(X) else X
    largest = float(max(abs(values.max(initial=0)), abs(values.min(initial=0))))
    squares = np.zeros(X.shape[0])
    if largest == 0.0:
        return squares
    step = max(1, (1 << 20) // max(1, X.shape[1]))
    for start in range(0, X.shape[0], step):
        block = X[start : start + step].astype(np.float64) / largest
        if sparse.issparse(block):
            squares[start : start + step] = np.asarray(block.multiply(block).sum(axis=1)).ravel()
        else:
            block *= roots
            squares[start : start + step] = np.einsum("ij,ij->i", block, block)
    return largest * np.sqrt(squares)


def row_scale(lengths, weights, intercept):
    """One over the root mean square norm of rows of these lengths (with their constant)."""
    largest = max(float(lengths.max()), float(intercept))
    if largest == 0.0:
        return 1.0
    mean_square = weights @ (lengths / largest) ** 2 + (intercept / largest) ** 2
    return float(1.0 / (largest * np.sqrt(mean_square)))


# --------------------------------------------------------------------------- facts of one part


def _facts(share):
    weight = share.weights.sum()
    shares = share.weights / weight
    lengths = row_lengths(share.load())
    lengths = lengths if share.index is None else lengths[share.index]
    longest = lengths.max()
    unit = longest or 1.0
    return {
        "weight": weight,
        "mean": shares @ share.Y,
        "least": share.Y.min(axis=0),
        "most": share.Y.max(axis=0),
        "longest": longest,
        "length": unit * np.sqrt(shares @ (lengths / unit) ** 2),
    }


def _mean_squares(share, mean, size):
    return share.weights @ ((share.Y - mean) / size) ** 2 / share.weights.sum()


def _weights_up_to(share, limits, centre):
    values = share.Y if centre is None else np.abs(share.Y - centre)
    return weights_up_to(values, share.weights, limits)


def _sum_of(share, function, *small):
    return share.weights @ function(share.Y, *small)
