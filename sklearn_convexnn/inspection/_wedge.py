"""Neurons through subsets of the training rows, as a transformer."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_convexnn._validation import Interval, StrOptions, _fit_context
from sklearn_convexnn.inspection._wedge_neurons import activations, neurons_through_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import RandomState


class WedgeFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""ReLU neurons whose hyperplanes go through subsets of the training rows.

    With all of them, a lasso on these features is the exact training problem of a two-layer ReLU
    network with the penalty :math:`\sum_j \|u_j\|_1 |c_j|` in any dimension (``norm="l1"``), and
    nearly that of weight decay (``norm="l2"``) [1]_. Features are scaled to :math:`\|u\| = 1`, so
    that the ``alpha`` of scikit-learn's ``Lasso`` is that of the other estimators. There are of the
    order of :math:`n^d` subsets: beyond small data some are sampled.

    Parameters
    ----------
    norm : {"l1", "l2"}, default="l1"
        Norm of the weights. With ``"l1"`` hyperplanes parallel to coordinate axes are included.
    fit_intercept : bool, default=True
        Whether neurons have a bias, free of weight decay.
    max_subsets : int or None, default=1000
        Sample that many subsets of rows if there are more; None for all.
    random_state : int, RandomState instance or None, default=None
        Seeds the sampling.

    Attributes
    ----------
    directions_ : ndarray of shape (n_neurons_ / 2, n_features_in_)
        Weights u of norm 1. Each stands for two neurons, the second with opposite signs.
    biases_ : ndarray of shape (n_neurons_ / 2,)
        Their biases.
    n_neurons_ : int
        Number of features.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    relu_kernel : The same matrix as a function.

    References
    ----------
    .. [1] M. Pilanci, "From Complexity to Clarity: Analytical Expressions of Deep Neural Network
       Weights via Clifford's Geometric Algebra and Convexity", 2023. arXiv:2309.16512.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Lasso
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_convexnn.inspection import WedgeFeatures
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = make_pipeline(WedgeFeatures(random_state=0), Lasso(alpha=0.1))
    >>> model.fit(X[:, [2, 8]], y).score(X[:, [2, 8]], y) > 0.4
    True
    """

    _parameter_constraints = {
        "norm": [StrOptions({"l1", "l2"})],
        "fit_intercept": ["boolean"],
        "max_subsets": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        norm: Literal["l1", "l2"] = "l1",
        fit_intercept: bool = True,
        max_subsets: int | None = 1000,
        random_state: RandomState = None,
    ) -> None:
        self.norm = norm
        self.fit_intercept = fit_intercept
        self.max_subsets = max_subsets
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: None = None) -> Self:
        """Find the hyperplanes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted transformer.
        """
        X = validate_data(self, X, dtype=[np.float64, np.float32])
        U, b = neurons_through_rows(
            X.astype(np.float64),
            norm=self.norm,
            fit_intercept=self.fit_intercept,
            max_subsets=self.max_subsets,
            random_state=self.random_state,
        )
        self.directions_, self.biases_ = U.astype(X.dtype), b.astype(X.dtype)
        self.n_neurons_ = 2 * len(U)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Activations of the neurons.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_neurons_)
            Those of ``directions_``, then those with opposite signs.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return activations(X, self.directions_, self.biases_)

    @property
    def _n_features_out(self):
        return self.n_neurons_
