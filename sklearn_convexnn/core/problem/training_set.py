"""Distinct weighted rows with their targets, in the units of the data.

The objective (P) depends on the rows only as a weighted set.  :meth:`TrainingSet.of` therefore
merges repeated rows and puts the rest in an order that depends on their values alone: a row with
weight 2 and the same row given twice, in any order, become *the same arrays*, so that no rounding
can send the (non-convex) local searches of the solver to different places.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy import sparse

from sklearn_convexnn.core.problem.canonical_rows import canonical_rows
from sklearn_convexnn.core.problem.engines.choice import in_memory, keys_of
from sklearn_convexnn.core.problem.engines.row_arrays import blocks_of, row_by_row
from sklearn_convexnn.core.problem.engines.row_keys import drawn
from sklearn_convexnn.core.problem.engines.weights import rows_of_weight
from sklearn_convexnn.core.problem.losses import LOSSES, get_loss
from sklearn_convexnn.core.problem.neurons import ReLU

# Sparse rows become an array up to this size, or this multiple of their own: below it the products
# of arrays are faster.
_DENSE_BYTES = 1 << 20
_DENSE_RATIO = 3


@dataclass(frozen=True)
class TrainingSet:
    """What a training problem is made of, before it has units.

    ``sample_weights`` are the weights without those of classes, by which
    probabilities are judged.
    """

    X: object
    Y: np.ndarray
    weights: np.ndarray
    sample_weights: np.ndarray
    loss: str
    intercept: bool
    options: dict = field(default_factory=dict)
    neurons: object = field(default_factory=ReLU)

    @classmethod
    def of(
        cls,
        X,
        Y,
        weights,
        *,
        loss,
        intercept,
        options=None,
        neurons=None,
        sample_weights=None,
        memory=256 << 20,
    ):
        """Merge and order rows.

        Parameters
        ----------
        X : ndarray or CSR array of shape (n, d), float32 or float64
        Y : ndarray of shape (n, C)
            Real targets, or class indicators (one column for two classes).
        weights : ndarray of shape (n,), non-negative, not all zero
        loss : str
            A name in :data:`sklearn_convexnn.core.problem.losses.LOSSES`.
        intercept : bool
        options : dict, optional
            Of the loss.
        neurons : object, optional
            See :mod:`sklearn_convexnn.core.problem.neurons`; ReLU neurons by default.
        sample_weights : ndarray of shape (n,), optional
            Without those of classes, if these are among the ``weights``.
        memory : int
            Rows are merged and ordered if the copy of ``X`` that this takes fits in so many bytes.
        """
        weights = np.asarray(weights, dtype=np.float64)
        alike = sample_weights is None or sample_weights is weights
        judging = weights if alike else np.asarray(sample_weights, dtype=np.float64)
        if np.asarray(Y).dtype != np.float64:
            Y = row_by_row(X, lambda Y: np.asarray(Y, dtype=np.float64), Y)
        if weights.min() == 0:
            kept = rows_of_weight(weights)
            X, Y, weights, judging = X[kept], Y[kept], weights[kept], judging[kept]
        X = dense_if_small(X)
        if stored_bytes(X) <= memory:
            both = weights if alike else np.column_stack([weights, judging])
            X, Y, both = canonical_rows(X, Y, both)
            weights, judging = (both, both) if alike else np.array(both.T)
        if alike:
            judging = weights
        neurons = ReLU() if neurons is None else neurons
        return cls(X, Y, weights, judging, loss, intercept, options or {}, neurons)

    def drawn(self, share, least, salt):
        """Whether each row is drawn, by its values, with probability ``share``.

        Rows of classes with fewer than ``least`` rows are not.
        """
        keys = keys_of(self.X)
        if not self.classifies:
            return row_by_row(
                self.X, lambda keys: drawn(keys, share, salt), keys, shape=keys.shape, dtype=bool
            )
        blocks, n_classes = blocks_of(len(self.Y)), max(2, self.Y.shape[1])
        counts = [np.bincount(classes_of(self.Y[one]), minlength=n_classes) for one in blocks]
        often = np.sum(counts, axis=0) >= least

        def chosen(keys, Y):
            return drawn(keys, share, salt) & often[classes_of(Y)]

        return row_by_row(self.X, chosen, keys, self.Y, dtype=bool)

    def take(self, index):
        """Some of the rows, in their order."""
        return replace(
            self,
            X=self.X[index],
            Y=self.Y[index],
            weights=self.weights[index],
            sample_weights=self.sample_weights[index],
        )

    def fetched(self, index):
        """Some of the rows, few enough to lie in memory."""
        part = self.take(index)
        return replace(part, X=in_memory(part.X))

    def named_loss(self, **options):
        """The loss in the units of the data."""
        return get_loss(self.loss, self.Y.shape[1], **self.options, **options)

    @property
    def classifies(self):
        return LOSSES[self.loss].task == "classification"

    @property
    def labels(self):
        """The class of every row, (n,), or None for real targets."""
        if not self.classifies:
            return None
        return classes_of(self.Y)

    @property
    def strata(self):
        """Kinds of rows, (n,), all of which a part of the rows must have; None if there are none.

        Classes, or for losses of positive targets which outputs have one.
        """
        if self.classifies:
            return self.labels
        if not self.named_loss().positive_targets:
            return None
        return np.unique(self.Y > 0, axis=0, return_inverse=True)[1].ravel()


def classes_of(Y):
    """The class of every row, (n,), from targets of classification."""
    return Y[:, 0].astype(int) if Y.shape[1] == 1 else Y.argmax(axis=1)


def dense_if_small(X):
    """Sparse rows as an array where that is faster: if they are few, or hardly sparse."""
    if not sparse.issparse(X):
        return X
    dense_bytes = X.shape[0] * X.shape[1] * X.dtype.itemsize
    small = dense_bytes <= max(_DENSE_BYTES, _DENSE_RATIO * stored_bytes(X))
    return X.toarray() if small else X


def stored_bytes(X):
    return X.data.nbytes + X.indices.nbytes if sparse.issparse(X) else X.nbytes
