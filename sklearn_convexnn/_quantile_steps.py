"""The transformer that puts steps beside columns."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from sklearn_convexnn._documentation import DocumentationLink
from sklearn_convexnn._files import VersionInFiles
from sklearn_convexnn._validation import (
    Interval,
    _check_feature_names_in,
    _fit_context,
    all_or_nothing,
    check_weights,
)
from sklearn_convexnn.core.problem.steps import quantile_steps, with_steps

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_DTYPES = [np.float64, np.float32]
# Significant digits with which thresholds are named: as many as tell those of a column apart.
_DIGITS = (4, 6, 9, 17)


class QuantileSteps(DocumentationLink, VersionInFiles, TransformerMixin, BaseEstimator):
    r"""Put steps at quantiles beside the columns, for targets that jump.

    A network with weight decay is smooth; many targets of tables are not, and trees follow their
    jumps [1]_. After this transformer, a column :math:`z_j` is followed by the steps

    .. math::

        \mathrm{weight} \cdot \frac{s_j}{\sqrt{k_j}} \cdot
        \frac{1[z_j > t_{jl}] - p_{jl}}{\sqrt{p_{jl} (1 - p_{jl})}} , \qquad l = 1, \ldots, k_j ,

    at :math:`k_j` thresholds :math:`t_{jl}`, with :math:`s_j` the standard deviation of the column
    and :math:`p_{jl}` the share of training rows above the threshold. Such encodings are known from
    deep learning on tables [2]_; here the problem on the encoded columns is the same convex
    program, with the same duality gap.

    Together the steps of a column have ``weight**2`` times its variance: ``weight`` is the price of
    a jump, relative to a slope, and 0 switches steps off. They change units with their column, so
    columns should have comparable scales before, as for any model with weight decay: a
    ``StandardScaler`` belongs in front of this transformer, and none behind it, which would make
    every step as cheap as a slope.

    Parameters
    ----------
    n_steps : int, default=15
        Steps of a column, at most: it has one for each of the ``n_steps`` inner quantiles that are
        equally far apart, in the middle between two distinct values. Columns of one or two values
        have none.
    weight : float, default=0.25
        Root of the variance of all steps of a column, relative to that of the column. With 0 the
        output is the input. It is best chosen by cross-validation, from 0, 0.25 and 0.5 say:
        steps help where the target jumps and rows are many for each column, and hurt where rows are
        few.

    Attributes
    ----------
    thresholds_ : list of n_features_in_ ndarrays of shape (k_j,)
        Thresholds of every column, ascending; none for a ``weight`` of 0.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    sklearn.preprocessing.KBinsDiscretizer : Bins instead of columns; without the columns
        themselves and without a price.
    sklearn.preprocessing.SplineTransformer : Smooth functions of the columns.

    References
    ----------
    .. [1] L. Grinsztajn, E. Oyallon, G. Varoquaux, "Why do tree-based models still outperform deep
       learning on typical tabular data?", NeurIPS 2022. arXiv:2207.08815.
    .. [2] Y. Gorishniy, I. Rubachev, A. Babenko, "On embeddings for numerical features in tabular
       deep learning", NeurIPS 2022. arXiv:2203.05556.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_convexnn import ConvexReLURegressor, QuantileSteps
    >>> X = np.random.default_rng(0).uniform(-1, 1, (400, 3))
    >>> y = np.where(X[:, 0] > 0.3, 1.0, 0.0) + np.where(X[:, 1] > -0.5, X[:, 2], 0.0)
    >>> network = ConvexReLURegressor(alpha=1e-3, random_state=0)
    >>> rough = make_pipeline(StandardScaler(), QuantileSteps(weight=0.5), network)
    >>> rough.fit(X[:300], y[:300]).score(X[300:], y[300:]) > 0.95
    True
    """

    _parameter_constraints = {
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "weight": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, n_steps: int = 15, *, weight: float = 0.25) -> None:
        self.n_steps = n_steps
        self.weight = weight

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @all_or_nothing
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Find thresholds.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, dense, without missing values.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights: a weight of 2 is the row given twice, a weight of 0 is the row
            left out.

        Returns
        -------
        self : object
            The fitted transformer.
        """
        X = validate_data(self, X, dtype=_DTYPES)
        weights = check_weights(sample_weight, X)
        used = weights > 0
        weights, settings = weights[used], (self.n_steps, self.weight)
        self._steps = [quantile_steps(x[used], weights, *settings) for x in X.T]
        self.thresholds_ = [one.thresholds for one in self._steps]
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Put steps beside the columns.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, dense, without missing values.

        Returns
        -------
        ndarray of shape (n_samples, n_features + n_thresholds)
            The columns, then the steps of the first column, those of the second, ... Float32 is
            kept.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=_DTYPES, reset=False)
        return with_steps(X, self._steps)

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Take the columns themselves, which come first, and leave the steps.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features + n_thresholds)
            Encoded rows.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The columns that were encoded.
        """
        check_is_fitted(self)
        X = check_array(X, dtype=_DTYPES, input_name="X")
        width = len(self.get_feature_names_out())
        if X.shape[1] != width:
            raise ValueError(f"X has {X.shape[1]} columns, but rows with steps have {width}.")
        return X[:, : self.n_features_in_]

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Names of the output columns: a step is called ``name>threshold``.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input columns; those of ``fit`` by default.

        Returns
        -------
        ndarray of str
            Names.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        steps = [
            f"{name}>{threshold}"
            for name, one in zip(names, self._steps, strict=True)
            for threshold in _distinct(one.thresholds)
        ]
        return np.array([*names, *steps], dtype=object)


def _distinct(thresholds):
    """Numbers in as few digits as tell them apart."""
    for digits in _DIGITS:
        texts = [f"{threshold:.{digits}g}" for threshold in thresholds]
        if len(set(texts)) == len(texts):
            break
    return texts
