"""Neurons and engines that the package does not have: what its seams have to carry."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sklearn_convexnn.core.problem.engines.block import Statistics
from sklearn_convexnn.core.problem.engines.in_memory import NumpyEngine
from sklearn_convexnn.core.problem.neurons import OneUnit, relu, smooth_relu

# ------------------------------------------------------------------------------------------ neurons


class AveragePooling(OneUnit):
    """A convolution of a signal: ReLUs of all its windows, averaged over cells of positions.

    Parameters
    ----------
    window : int
    pool : ndarray of shape (n_positions, n_cells)
        Weights of the positions in the mean of each cell.
    """

    acts_on_rows = False

    def __init__(self, window, pool):
        self.window, self.pool = window, pool
        self.n_cells = pool.shape[1]

    def n_weights(self, n_features):
        return self.window

    def n_inputs(self, n_features):
        return n_features - self.window + 1

    def shares(self):
        return np.convolve(np.ones(len(self.pool)), np.ones(self.window)) / len(self.pool)

    def mean_input(self, mean_row):
        windows = np.lib.stride_tricks.sliding_window_view(mean_row, self.window)
        return windows.mean(axis=0)

    def inputs(self, xp, X):
        windows = np.lib.stride_tricks.sliding_window_view(X, self.window, axis=1)
        return windows.reshape(-1, self.window)

    def activate(self, xp, H, smooth):
        A, slope = smooth_relu(xp, H) if smooth else relu(xp, H)
        A = A.reshape(-1, len(self.pool), A.shape[1])
        F = A.transpose(0, 2, 1) @ self.pool.astype(A.dtype)
        return F.reshape(len(A), -1), slope

    def spread(self, xp, T):
        T = T.reshape(len(T), -1, self.n_cells) @ self.pool.T.astype(T.dtype)
        return T.transpose(0, 2, 1).reshape(-1, T.shape[1])

    def pull_back(self, xp, slope, T):
        return self.spread(xp, T) * slope


# ------------------------------------------------------------------------------------------ engines


class Handle:
    """What a pass has kept.  It has no array protocol: nobody can read it by mistake."""

    def __init__(self, parts):
        self.parts = parts


def _to_memory(engine, n_rows, limit):
    if limit is not None and n_rows > limit:
        raise ValueError(
            f"This needs rows in memory, {limit} at most, and these are {n_rows}: use fewer rows."
        )
    return engine


class PartedEngine:
    """Rows in parts that are apart from each other: whoever reads rows sees one part at a time."""

    in_memory = True

    def __init__(self, X, Y, weights, *, ends):
        bounds = [0, *ends, len(Y)]
        self.parts = [NumpyEngine(X[a:b], Y[a:b], weights[a:b]) for a, b in pairwise(bounds)]
        self.n_rows, self.n_features, self.n_outputs = len(Y), X.shape[1], Y.shape[1]
        self.dtype = X.dtype

    def map_reduce(self, kernel, *small, width, dtype=None, rowwise=(), keep=False):
        totals, kept = None, []
        for k, part in enumerate(self.parts):
            mine = tuple(handle.parts[k] for handle in rowwise)
            settings = {"width": width, "dtype": dtype, "rowwise": mine, "keep": keep}
            sums, one = part.map_reduce(kernel, *small, **settings)
            kept.append(one)
            totals = sums if totals is None else [a + b for a, b in zip(totals, sums, strict=True)]
        return totals, (Handle(kept) if keep else None)

    def fetch(self, handle):
        return np.concatenate(handle.parts)

    def collect(self, limit=None):
        parts = [(part.X, part.Y, part.weights) for part in self.parts]
        arrays = (np.concatenate(one) for one in zip(*parts, strict=True))
        return _to_memory(NumpyEngine(*arrays), self.n_rows, limit)

    def targets(self):
        engine = self.collect()
        return engine.Y, engine.weights

    def first(self, count):
        return self.parts[0].first(count)

    def statistics(self):
        parts = [part.statistics() for part in self.parts]
        return Statistics(
            sum(part.mean_row for part in parts),
            max(part.largest_target for part in parts),
            min(part.least_weight for part in parts),
            max(part.largest_weight for part in parts),
        )
