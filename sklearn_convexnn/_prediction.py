"""Targets in, predictions out: what regression and classification add to a network."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from sklearn_convexnn._losses import trait
from sklearn_convexnn._validation import class_weights, encode_classes


class NetworkRegressor(RegressorMixin):
    """Predictions of an estimator whose ``_outputs(X)`` are (n_samples, n_outputs).

    ``_target_ndim`` is the number of dimensions of the targets in fit.
    """

    def _target_checks(self):
        return {"multi_output": True, "y_numeric": True}

    def _check_targets(self, y):
        return y

    def _class_weighted(self, y, weights):
        return weights

    def _encode_targets(self, y, weights):
        return y.reshape(len(y), -1), weights, None

    def _remember_targets(self, y, classes):
        self._target_ndim = y.ndim

    def _output_activation(self):
        return trait(self, "prediction")

    def predict(self, X):
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
        Z = self._outputs(X)
        if self.out_activation_ == "exp":
            Z = np.exp(Z)
        return Z[:, 0] if self._target_ndim == 1 else Z


def regression_tags(estimator, tags):
    """The tags of a regressor of any number of outputs, with those of its loss."""
    tags.target_tags.multi_output = True
    tags.target_tags.positive_only = trait(estimator, "positive_targets")
    return tags


class ScoreClassifier(ClassifierMixin):
    """Labels from an estimator whose ``_outputs(X)`` are scores.

    One column for two classes, else one per class; ``classes_`` are the labels.
    """

    def _target_checks(self):
        return {}

    def _check_targets(self, y):
        check_classification_targets(y)
        return column_or_1d(y, warn=True)

    def _class_weighted(self, y, weights):
        return weights * class_weights(self.class_weight, y, weights)

    def _encode_targets(self, y, weights):
        return encode_classes(type(self).__name__, y, weights, None)

    def _remember_targets(self, y, classes):
        self.classes_ = classes

    def _output_activation(self):
        if getattr(self, "loss", None) is not None and not trait(self, "probabilities"):
            return "identity"
        return "logistic" if len(self.classes_) == 2 else "softmax"

    def decision_function(self, X):
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
        Z = self._outputs(X)
        return Z[:, 0] if Z.shape[1] == 1 else Z

    def predict(self, X):
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
        scores = self.decision_function(X)
        return self.classes_[
            (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        ]


def _has_probabilities(estimator):
    if not trait(estimator, "probabilities"):
        raise AttributeError(
            f"loss={estimator.loss!r} estimates no probabilities: use loss='log_loss' or "
            "decision_function."
        )
    return True


class NetworkClassifier(ScoreClassifier):
    """Labels and probabilities of an estimator whose ``_outputs(X)`` are log-odds or logits."""

    @available_if(_has_probabilities)
    def predict_proba(self, X):
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
        scores = self.decision_function(X)
        if scores.ndim == 1:
            return np.column_stack([expit(-scores), expit(scores)])
        return softmax(scores, axis=1)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X):
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
        scores = self.decision_function(X)
        if scores.ndim == 1:
            return np.column_stack([log_expit(-scores), log_expit(scores)])
        return log_softmax(scores, axis=1)
