"""Scores of rows of Dask: sums over them, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_convexnn._collections import blocks_of, is_collection, predicted, stand_in

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import MatrixLike


class ScoreOfBlocks:
    """The default score of an estimator, also of collections."""

    def score(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """R2 of predicted targets, or accuracy of predicted labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets, or labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            Of several targets the mean of their R2.
        """
        if not is_collection(X):
            return super().score(X, y, sample_weight)  # type: ignore[misc]  # a mixin
        score = _accuracy_score if is_classifier(self) else _r2_score
        return score(self, X, y, sample_weight)


def _sums(model, function, X, y, sample_weight):
    """``function(model, X, y, weights)`` of every block, here."""
    import dask

    check_is_fitted(model)
    validate_data(model, stand_in(X), reset=False, skip_check_array=True)
    kept, function = dask.delayed(model), dask.delayed(function)
    parts = dask.compute(*(function(kept, *b) for b in blocks_of(X, y, sample_weight)))
    return [part for part in parts if part is not None]


def _weighed(y, sample_weight):
    return np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)


def _r2_sums(model, X, y, sample_weight):
    y = np.asarray(y, dtype=np.float64)
    if not len(y):
        return None
    w = _weighed(y, sample_weight)
    y = y.reshape(len(y), -1)
    errors = y - predicted(X, model, "predict").reshape(y.shape)
    mean = w @ y / (w.sum() or 1.0)
    return w.sum(), mean, w @ (y - mean) ** 2, w @ errors**2


def _r2_score(model, X, y, sample_weight):
    """As :func:`sklearn.metrics.r2_score`, the mean over outputs."""
    weights, means, squares, errors = zip(*_sums(model, _r2_sums, X, y, sample_weight), strict=True)
    weights, means = np.array(weights), np.array(means)
    mean = weights @ means / weights.sum()
    total = np.sum(squares, axis=0) + weights @ (means - mean) ** 2
    errors = np.sum(errors, axis=0)
    ratio = np.divide(errors, total, out=(errors > 0).astype(np.float64), where=total > 0)
    return float(np.mean(1.0 - ratio))


def _hits(model, X, y, sample_weight):
    y = np.asarray(y).reshape(-1)
    if not len(y):
        return None
    w = _weighed(y, sample_weight)
    return w.sum(), w @ (predicted(X, model, "predict") == y)


def _accuracy_score(model, X, y, sample_weight):
    """As :func:`sklearn.metrics.accuracy_score`."""
    total, hits = np.sum(_sums(model, _hits, X, y, sample_weight), axis=0)
    return float(hits / total)
