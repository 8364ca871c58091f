"""Does a named score fit the estimator and its targets?  Asked before anything is solved."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import get_scorer

# What metrics raise, or warn of, at targets or responses that they are not for.
_REFUSALS = (ValueError, TypeError, AttributeError, Warning)


class _Regressor(RegressorMixin, BaseEstimator):
    """Predicts the rows it is given: real numbers."""

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return X


class _Classifier(ClassifierMixin, BaseEstimator):
    """Predicts the labels it is given as rows."""

    def fit(self, X, y=None):
        self.classes_ = np.unique(X)
        return self

    def predict(self, X):
        return X

    def predict_proba(self, X):
        right = X[:, None] == self.classes_
        return (right + 0.1) / (1.0 + 0.1 * len(self.classes_))

    def decision_function(self, X):
        proba = self.predict_proba(X)
        return proba[:, 1] - 0.5 if len(self.classes_) == 2 else proba


def check_score(scoring, owner, y, *, classify):
    """A ValueError in one sentence where the scorer of this name refuses such an estimator.

    Asked on all targets, for an estimator that knows them nearly: what is refused there is refused
    for every network.
    """
    oracle = _Classifier() if classify else _Regressor()
    # Predictions are hardly ever whole numbers, as targets may be.
    rows = y if classify else y + 0.3 * (np.std(y) or 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", UndefinedMetricWarning)  # of too good predictions
        try:
            get_scorer(scoring)(oracle.fit(rows), rows, y)
        except _REFUSALS as error:
            reason = " ".join(str(error).replace(type(oracle).__name__, owner).split()).rstrip(".")
            raise ValueError(
                f"scoring={scoring!r} does not score a {owner} on these targets: {reason}."
            ) from None
