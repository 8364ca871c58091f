"""Predictions from the outputs of a network, for regression and for classification."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import ClassifierMixin, RegressorMixin


class NetworkRegressor(RegressorMixin):
    """Predictions of an estimator whose ``_outputs(X)`` are (n_samples, n_outputs).

    ``_target_ndim`` is the number of dimensions of the targets in fit.
    """

    def predict(self, X):
        """Predict targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Outputs of the network, with as many dimensions as the targets had in fit.
        """
        Z = self._outputs(X)
        return Z[:, 0] if self._target_ndim == 1 else Z


class ScoreClassifier(ClassifierMixin):
    """Labels from an estimator whose ``_outputs(X)`` are scores.

    One column for two classes, else one per class; ``classes_`` are the labels.
    """

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


class NetworkClassifier(ScoreClassifier):
    """Labels and probabilities of an estimator whose ``_outputs(X)`` are log-odds or logits."""

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
