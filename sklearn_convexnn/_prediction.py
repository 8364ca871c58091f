"""Targets in, predictions out: what regression and classification add to a network."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if

from sklearn_convexnn._arrays import labels_of, log_probabilities, namespace_of, probabilities
from sklearn_convexnn._base import Targets
from sklearn_convexnn._collections import on_blocks
from sklearn_convexnn._losses import trait
from sklearn_convexnn._validation import (
    check_labels,
    class_weights,
    encode_classes,
    repeated,
    weighted_by_class,
)

if TYPE_CHECKING:
    from sklearn_convexnn._typing import MatrixLike

# Both kinds of estimator have the same four hooks:
#   _target_checks()             arguments of scikit-learn's validate_data
#   _check_targets(y)            y after checks of its values
#   _class_weighted(y, weights, X)  weights of rows X times those of their classes
#   _encode_targets(y, weights, X)  Targets


class NetworkRegressor(RegressorMixin):
    """Predictions of an estimator whose ``_outputs(X)`` are (n_samples, n_outputs)."""

    def _target_checks(self):
        return {"multi_output": True, "y_numeric": True}

    def _check_targets(self, y):
        return y

    def _class_weighted(self, y, weights, X=None):
        return weights

    def _encode_targets(self, y, weights, X=None):
        return Targets(y.reshape(len(y), -1), ndim=y.ndim)

    def _spread_targets(self, data):
        """The same of SpreadData, without columns: how to encode a block, and number of outputs."""
        n_outputs = data.n_outputs()
        return Targets(None, ndim=data.target_ndim), _as_columns, n_outputs

    def _output_activation(self, targets):
        return trait(self, "prediction")

    @on_blocks
    def predict(self, X: MatrixLike) -> np.ndarray:
        """Predict targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Outputs of the network, with as many dimensions as the targets had in fit; for the
            Poisson loss their exponentials.
        """
        self._check_place(X, "predict")
        Z = self._outputs(X)
        if self.out_activation_ == "exp":
            Z = namespace_of(Z).exp(Z)
        return Z[:, 0] if self._target_ndim == 1 else Z


def _as_columns(y):
    return y.reshape(len(y), -1), 1.0


class ScoreClassifier(ClassifierMixin):
    """Labels from an estimator whose ``_outputs(X)`` are scores.

    One column for two classes, else one per class; ``classes_`` are the labels.
    """

    def _target_checks(self):
        return {"multi_output": True}  # several labels per row are refused in our own words

    def _check_targets(self, y):
        return check_labels(type(self).__name__, y)

    def _class_weighted(self, y, weights, X=None):
        return weighted_by_class(self.class_weight, y, weights, X)

    def _encode_targets(self, y, weights, X=None):
        return Targets(*encode_classes(type(self).__name__, y, weights, X))

    def _spread_targets(self, data):
        """The same of SpreadData, without columns: how to encode a block, and number of outputs."""
        name = type(self).__name__
        labels, sums = data.labels()
        check_labels(name, repeated(labels))
        labels, sums = labels[sums > 0], sums[sums > 0]
        factors = class_weights(self.class_weight, labels, sums)
        Y, classes = encode_classes(name, labels, sums * factors)
        encode = partial(_encoded_labels, labels=labels, columns=Y, factors=factors)
        return Targets(None, classes), encode, Y.shape[1]

    def _output_activation(self, targets):
        if getattr(self, "loss", None) is not None and not trait(self, "probabilities"):
            return "identity"
        return "logistic" if len(targets.classes) == 2 else "softmax"

    @on_blocks
    def decision_function(self, X: MatrixLike) -> np.ndarray:
        """Outputs of the network: log-odds, or one score per class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes positive values mean ``classes_[1]``.
        """
        self._check_place(X, "decision_function")
        Z = self._outputs(X)
        return Z[:, 0] if Z.shape[1] == 1 else Z

    @on_blocks
    def predict(self, X: MatrixLike) -> np.ndarray:
        """Predict class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            The most probable class; the first of them where several are.
        """
        self._check_place(X, "predict")
        return labels_of(self.decision_function(X), self.classes_)


def _encoded_labels(y, labels, columns, factors):
    """Indicators and class weights of rows; those of labels without weight have none."""
    index = np.minimum(np.searchsorted(labels, y), len(labels) - 1)
    return columns[index], np.where(labels[index] == y, factors[index], 0.0)


def _has_probabilities(estimator):
    if not trait(estimator, "probabilities"):
        raise AttributeError(
            f"loss={estimator.loss!r} estimates no probabilities: use loss='log_loss' or "
            "decision_function."
        )
    return True


class NetworkClassifier(ScoreClassifier):
    """Labels and probabilities of an estimator whose ``_outputs(X)`` are log-odds or logits.

    Probabilities are those of outputs divided by ``temperature_``, where there is one.
    """

    def _logits(self, X):
        return self.decision_function(X) / getattr(self, "temperature_", 1.0)

    @available_if(_has_probabilities)
    @on_blocks
    def predict_proba(self, X: MatrixLike) -> np.ndarray:
        """Class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        self._check_place(X, "predict_proba")
        return probabilities(self._logits(X))

    @available_if(_has_probabilities)
    @on_blocks
    def predict_log_proba(self, X: MatrixLike) -> np.ndarray:
        """Logarithms of the class probabilities, accurate where they are tiny.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        self._check_place(X, "predict_log_proba")
        return log_probabilities(self._logits(X))
