"""Rows that several training problems share: each trains on a part of them, none has a copy.

The folds of a cross-validation are weights on one set of distinct rows.  It is stored once, the
rows that a fold holds out next to each other: what a fold trains on are a few slices.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sklearn_convexnn.core.problem.canonical_rows import distinct_rows
from sklearn_convexnn.core.problem.engines.coded import CodedRows, coded_if_cheaper
from sklearn_convexnn.core.problem.engines.in_memory import NumpyEngine
from sklearn_convexnn.core.problem.engines.part import PartEngine
from sklearn_convexnn.core.problem.facts import row_lengths
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.neurons import ReLU
from sklearn_convexnn.core.problem.training_set import dense_if_small, stored_bytes
from sklearn_convexnn.core.problem.units import assembled


@dataclass(frozen=True)
class SharedRows:
    """Distinct rows in one order.

    Parameters
    ----------
    X : ndarray or CSR array of shape (m, d)
    origin : ndarray of shape (m,)
        Where in the data each of them comes from, the first if it is repeated.
    of_row : ndarray of shape (n,)
        Which of them a row of the data is; numbers from m on are rows that are not among them.
    neurons : object
        That are trained on them.
    """

    X: object
    origin: np.ndarray
    of_row: np.ndarray
    neurons: object = field(default_factory=ReLU)

    @classmethod
    def of(cls, X, y, parts, memory=256 << 20, neurons=None):
        """Merge rows equal in ``X`` and ``y`` and sort them by part, then by their values.

        Parameters
        ----------
        X : ndarray or CSR array of shape (n, d), float32 or float64
        y : ndarray of shape (n,) or (n, C)
            Numbers.
        parts : ndarray of int of shape (n,)
            Rows of one number are stored side by side; of equal rows the smallest counts.  Rows of
            number -1 are not stored.
        memory : int
            As for :meth:`.TrainingSet.of`: larger rows stay as
            they are.
        neurons : object, optional
            See :mod:`sklearn_convexnn.core.problem.neurons`; ReLU neurons by default.
        """
        n, neurons = X.shape[0], ReLU() if neurons is None else neurons
        X = dense_if_small(X)
        if stored_bytes(X) > memory:
            return cls(X, np.arange(n), np.arange(n), neurons)
        origin, of_row = distinct_rows(X, np.asarray(y, dtype=np.float64).reshape(n, -1))
        none = np.iinfo(np.int64).max
        part = np.full(len(origin), none)
        np.minimum.at(part, of_row, np.where(parts < 0, none, parts))
        order = np.argsort(part, kind="stable")
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        origin = origin[order[: np.sum(part < none)]]
        return cls(X[origin], origin, place[of_row], neurons)

    @cached_property
    def lengths(self):
        """Of the rows, (m,)."""
        return row_lengths(self.X, self.neurons.shares())

    @cached_property
    def _stored(self):
        return coded_if_cheaper(self.X) if self.neurons.acts_on_rows else self.X

    def sums(self, rows, weights):
        """Weights of some rows of the data, added up for the distinct ones, (m,)."""
        m = len(self.origin)
        return np.bincount(self.of_row[rows], weights=weights, minlength=m)[:m]

    def problem(self, index, Y, weights, *, loss, intercept, options):
        """The training problem of the distinct rows ``index``, ascending, in units of its own."""
        loss = get_loss(loss, Y.shape[1], **options)
        lengths, stored = self.lengths[index], self._stored

        def make_engine(Y, weights):
            if isinstance(stored, CodedRows):  # parts of them are small
                return NumpyEngine(stored[index], Y, weights)
            return PartEngine(stored, Y, weights, index)

        settings = {"intercept": intercept, "lengths": lengths, "neurons": self.neurons}
        return assembled(make_engine, loss, Y, weights, **settings)
