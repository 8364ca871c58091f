"""What held-out rows say of a network: the scores of cross-validation, and temperatures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import r2_score
from sklearn.utils._indexing import _safe_indexing

from sklearn_convexnn._losses import data_loss
from sklearn_convexnn.core.fit.temperature import fit_temperature, tempered_losses

# What a class costs in log-likelihood that the training rows of a fold do not have.
LOG_PROBABILITY_OF_MISSING_CLASS = np.log(np.finfo(float).eps)


# ---------------------------------------------------------------------- default scores


def r2(estimator, X, y, sample_weight=None):
    """R2, averaged over outputs: the default of regression."""
    return r2_score(y, estimator.predict(X), sample_weight=sample_weight)


def log_likelihood(estimator, X, y, sample_weight=None):
    """Mean log-probability of the labels, the negative log-loss: the default of classification."""
    temperature = getattr(estimator, "temperature_", 1.0)
    Z, classes = estimator._outputs(X), estimator.classes_
    return likelihood_of_outputs(Z, classes, y, sample_weight, temperature)


def likelihood_of_outputs(Z, classes, y, sample_weight=None, temperature=1.0):
    """:func:`log_likelihood` of outputs (n, C) for these classes, at a temperature."""
    Y, known = _indicators(classes, y)
    scores = np.full(len(y), LOG_PROBABILITY_OF_MISSING_CLASS)
    scores[known] = -tempered_losses(Y, Z[known], temperature)
    return float(np.average(scores, weights=sample_weight))


def negative_loss(estimator, X, y, sample_weight=None):
    """Minus the loss of training, averaged over rows and outputs: the default of other losses.

    R2 would be decided by the very outliers, or the largest counts, that the loss was chosen for.
    Outliers count as in relative gaps, or the folds that hold them would make all alphas equal.
    """
    Y = y.reshape(len(y), -1)
    Z = estimator._outputs(X).astype(np.float64)
    loss, Y = data_loss(estimator, Y.shape[1]), Y.astype(np.float64)
    losses = loss.sizes(Y, loss.value(Y, Z))
    return -np.average(losses, weights=sample_weight) / Y.shape[1]


# By the name that a loss gives.
DEFAULT_SCORES = {"r2": r2, "log_likelihood": log_likelihood, "negative_loss": negative_loss}


def _indicators(classes, y):
    """Indicator columns of the rows whose class is known, one for two classes, and which are."""
    index = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    known = classes[index] == y
    Y = np.eye(len(classes))[index[known]]
    return Y[:, 1:] if len(classes) == 2 else Y, known


# ---------------------------------------------------------------------- one alpha in all folds


@dataclass(frozen=True)
class HeldOut:
    """Rows that a fold holds out, with the metadata of their score."""

    X: object  # all rows, of which ``index`` are those of the fold
    y: np.ndarray
    index: np.ndarray
    score_params: dict

    @property
    def rows(self):
        return _safe_indexing(self.X, self.index)

    def distinct(self, of_row, weights):
        """Positions of the rows that differ, and the weights of all that are equal to each.

        ``of_row`` says which of the distinct rows of the data each row is.
        """
        _, first, which = np.unique(of_row[self.index], return_index=True, return_inverse=True)
        return first, np.bincount(which, weights=weights[self.index])


@dataclass(frozen=True)
class Seen:
    """What is left of a network on held-out rows: its score, and its outputs where they count."""

    score: float | None
    outputs: np.ndarray | None = None
    classes: np.ndarray | None = None


@dataclass(frozen=True)
class Judge:
    """Scores of all folds for one candidate.

    Parameters
    ----------
    scorer : callable or None
        Of scikit-learn; None for the log-likelihood at the temperature of the candidate.
    of_row : ndarray of shape (n,) or None
        Where candidates have a temperature, fitted to the outputs of all held-out rows: which of
        the distinct rows each row of the data is.
    weights : ndarray of shape (n,) or None
        Of the rows of the data in the temperature.
    classes : ndarray or None
        Of all rows.
    trained : float
        The share of the rows that a fold trains on.
    """

    scorer: object
    of_row: np.ndarray | None = None
    weights: np.ndarray | None = None
    classes: np.ndarray | None = None
    trained: float = 1.0

    def look(self, fitted, held_out):
        """What one fold says; the rest is put together of all folds."""
        rows = held_out.rows
        score = None
        if self.scorer is not None:
            score = float(self.scorer(fitted, rows, held_out.y, **held_out.score_params))
        if self.of_row is None:
            return Seen(score)
        return Seen(score, fitted._outputs(rows), fitted.classes_)

    def judge(self, held_outs, seen):
        """The scores (n_folds,) and the temperature, 1 where there is none."""
        temperature = 1.0 if self.of_row is None else self._temperature(held_outs, seen)
        if self.scorer is not None:
            return np.array([one.score for one in seen]), temperature
        scores = []
        for fold, one in zip(held_outs, seen, strict=True):
            weights = fold.score_params.get("sample_weight")
            scores.append(
                likelihood_of_outputs(one.outputs, one.classes, fold.y, weights, temperature)
            )
        return np.array(scores), temperature

    def _temperature(self, held_outs, seen):
        """Of the folds that have all classes: outputs for fewer are no logits of the others."""
        parts = []
        for fold, one in zip(held_outs, seen, strict=True):
            if len(one.classes) == len(self.classes):
                rows, weights = fold.distinct(self.of_row, self.weights)
                Y, known = _indicators(one.classes, fold.y[rows])
                parts.append((Y, one.outputs[rows][known], weights[known]))
        if not parts:
            return 1.0
        Y, Z, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
        return fit_temperature(Y, Z, weights) if np.any(weights) else 1.0
