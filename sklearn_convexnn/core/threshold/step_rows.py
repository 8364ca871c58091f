"""Rows as steps in single features see them: by the ranks of their values.

A step switches between two neighbouring values of its feature.  All that a pass over the columns
of all steps needs is, for each feature, the sums over rows of one value: prices of every step there
is take time of order n d, and so do outputs; moments of m steps are cumulative sums of histograms
of two features at a time, in time of order ``n d^2 + m^2``.
"""

from __future__ import annotations

from functools import cached_property
from itertools import combinations_with_replacement, pairwise

import numpy as np

from sklearn_convexnn.core.problem.engines.in_memory import NumpyEngine
from sklearn_convexnn.core.problem.output_layer import Majorant
from sklearn_convexnn.core.problem.row_state import RowState

# Curvature at least, in parts of the largest, for losses without any on whole stretches.
_LEAST_CURVATURE = 1e-6
# Numbers up to which columns are written out: products of small arrays are faster than histograms.
_MOST_NUMBERS = 1 << 19


class StepRows:
    """The rows of one training problem.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    Y : ndarray of shape (n, C), float64
    weights : ndarray of shape (n,), positive, sum 1
    loss : Loss
    """

    intercept = True
    dtype = np.dtype(np.float64)

    def __init__(self, X, Y, weights, loss):
        self.engine, self.loss = NumpyEngine(X[:, :0], Y, weights), loss
        self.values, self.ranks = [], []
        for column in X.T:
            values, ranks = np.unique(column, return_inverse=True)
            self.values.append(values)
            self.ranks.append(ranks.ravel())

    @property
    def n_rows(self):
        return self.engine.n_rows

    @property
    def n_features(self):
        return len(self.ranks)

    @property
    def n_outputs(self):
        return self.engine.n_outputs

    @property
    def Y(self):
        return self.engine.Y

    @property
    def weights(self):
        return self.engine.weights

    def with_dtype(self, dtype):
        """Itself: ranks have no precision."""
        return self

    # ------------------------------------------------------------------ networks on the rows

    def constant(self):
        return self.loss.constant(self.Y, self.weights)

    def evaluate(self, network):
        """The state of a network."""
        bins = StepBins(self, network.steps)
        return RowState(self.engine, self.loss, bins.outputs(network.C, network.b0), network)

    def settled(self, state):
        """A state with the best intercept."""
        return state.shifted(state.best_shift())

    # ------------------------------------------------------------------ prices

    def prices(self, R):
        """``sum_i R_i 1[rank_i > p]`` of all steps: for each feature (n_values - 1, C)."""
        found = []
        for ranks, values in zip(self.ranks, self.values, strict=True):
            sums = np.column_stack(
                [np.bincount(ranks, weights=column, minlength=len(values)) for column in R.T]
            )
            found.append(np.cumsum(sums[::-1], axis=0)[::-1][1:])
        return found


class StepBins:
    """Between which of the given steps of its features every row lies.

    Parameters
    ----------
    rows : StepRows
    steps : ndarray of shape (m, 2), sorted, different
    """

    def __init__(self, rows, steps):
        self.rows = rows
        self.features, starts = np.unique(steps[:, 0], return_index=True)
        bounds = [*starts, len(steps)]
        self.slices = [slice(a, b) for a, b in pairwise(bounds)]
        self.bins = []
        for k, part in zip(self.features, self.slices, strict=True):
            # How many of the steps are below each value.
            below = np.zeros(len(rows.values[k]), dtype=np.intp)
            below[steps[part, 1] + 1] = 1
            self.bins.append(np.cumsum(below)[rows.ranks[k]])

    def __len__(self):
        return sum(part.stop - part.start for part in self.slices)

    def outputs(self, C, b0):
        """Outputs (n, C)."""
        if self.columns is not None:
            return self.columns @ C + b0
        Z = np.empty(self.rows.Y.shape)
        Z[...] = b0
        for part, bins in zip(self.slices, self.bins, strict=True):
            levels = np.concatenate([np.zeros((1, C.shape[1])), np.cumsum(C[part], axis=0)])
            Z += levels[bins]
        return Z

    def sums(self, E):
        """``sum_i E_i`` over the rows where a step is on, (m, C)."""
        if self.columns is not None:
            return self.columns.T @ E
        found = np.empty((len(self), E.shape[1]))
        for part, bins in zip(self.slices, self.bins, strict=True):
            count = part.stop - part.start + 1
            sums = [np.bincount(bins, weights=column, minlength=count) for column in E.T]
            found[part] = np.cumsum(np.column_stack(sums)[::-1], axis=0)[::-1][1:]
        return found

    @cached_property
    def columns(self):
        """The columns themselves, (n, m), where they are small; else None."""
        if self.rows.n_rows * len(self) > _MOST_NUMBERS:
            return None
        A = np.empty((self.rows.n_rows, len(self)))
        for part, bins in zip(self.slices, self.bins, strict=True):
            A[:, part] = bins[:, None] > np.arange(part.stop - part.start)
        return A

    def moments(self, weights, support=None):
        """``sum_i w_i a_i`` (k,) and ``sum_i w_i a_i a_i^T`` (k, k) of the columns ``support``."""
        if self.columns is not None:
            A = self.columns if support is None else self.columns[:, support]
            return weights @ A, A.T @ (A * weights[:, None])
        mean, gram = self._moments(weights)
        return (mean, gram) if support is None else (mean[support], gram[np.ix_(support, support)])

    def _moments(self, weights):
        m = len(self)
        mean, gram = self.sums(weights[:, None])[:, 0], np.empty((m, m))
        for one, other in combinations_with_replacement(range(len(self.bins)), 2):
            if one == other:
                # Of two steps of one feature the higher is on where both are.
                part = self.slices[one]
                places = np.arange(part.stop - part.start)
                gram[part, part] = mean[part][np.maximum.outer(places, places)]
                continue
            first, second = self.slices[one], self.slices[other]
            n_first, n_second = (part.stop - part.start + 1 for part in (first, second))
            index = self.bins[one] * n_second + self.bins[other]
            table = np.bincount(index, weights=weights, minlength=n_first * n_second)
            table = table.reshape(n_first, n_second)[::-1, ::-1]
            both = np.cumsum(np.cumsum(table, axis=0), axis=1)[::-1, ::-1][1:, 1:]
            gram[first, second], gram[second, first] = both, both.T
        return mean, gram


class StepLayer:
    """What rows know about the weights of given steps.

    The interface of :class:`~sklearn_convexnn.core.problem.output_layer.OutputLayer`.
    """

    def __init__(self, rows, steps):
        self.rows, self.bins = rows, StepBins(rows, steps)
        self.n_features = len(steps)

    @property
    def _least(self):
        loss = self.rows.loss
        return float(_LEAST_CURVATURE * loss.smoothness()) if loss.flat else 0.0

    def mean_squares(self):
        return self.bins.sums(self.rows.weights[:, None])[:, 0]

    def loss(self, C, b0):
        rows = self.rows
        return float(rows.weights @ rows.loss.value(rows.Y, self.bins.outputs(C, b0)))

    def loss_and_gradients(self, C, b0):
        rows = self.rows
        losses, E = rows.loss.value_and_gradient(rows.Y, self.bins.outputs(C, b0))
        E = rows.weights[:, None] * E
        return float(rows.weights @ losses), self.bins.sums(E), E.sum(axis=0)

    def majorant(self, C, b0):
        rows = self.rows
        bends = rows.loss.majorant(rows.Y, self.bins.outputs(C, b0)) + self._least
        bends = np.broadcast_to(rows.weights[:, None] * bends, rows.Y.shape)
        moments = [self.bins.moments(np.ascontiguousarray(one)) for one in bends.T]
        return Majorant(
            bends.sum(axis=0),
            np.stack([edge for edge, _ in moments]),
            np.stack([gram for _, gram in moments]),
        )

    def hessian(self, support, C, b0):
        """Second derivatives in the weights of the steps ``support``, then in the intercept."""
        rows, n_outputs, k = self.rows, C.shape[1], len(support) + 1
        hessians = rows.loss.hessian(rows.Y, self.bins.outputs(C, b0))
        hessians = hessians + self._least * np.eye(n_outputs)
        H = np.empty((k, n_outputs, k, n_outputs))
        for c in range(n_outputs):
            for d in range(c, n_outputs):
                weights = rows.weights * hessians[:, c, d]
                edge, gram = self.bins.moments(weights, support)
                block = np.empty((k, k))
                block[:-1, :-1], block[-1, -1] = gram, weights.sum()
                block[:-1, -1] = block[-1, :-1] = edge
                H[:, c, :, d] = H[:, d, :, c] = block
        return H.reshape(k * n_outputs, k * n_outputs)
