"""The transformer that shortens long tails."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_array, validate_data

from sklearn_convexnn._documentation import DocumentationLink
from sklearn_convexnn._files import VersionInFiles
from sklearn_convexnn._validation import Interval, _fit_context, all_or_nothing
from sklearn_convexnn.core.problem.tails import compressed, expanded

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from scipy.sparse import spmatrix

_ANY_ROWS = {
    "dtype": [np.float64, np.float32],
    "accept_sparse": ("csr", "csc"),
    "ensure_all_finite": "allow-nan",
}


class TailCompressor(
    OneToOneFeatureMixin, DocumentationLink, VersionInFiles, TransformerMixin, BaseEstimator
):
    r"""Put what lies far out in a column on a logarithmic scale.

    Neurons see rows through inner products, in which a value at 20 standard deviations counts as
    much as hundreds of common ones: few rows then have most of the neurons. Perceptrons profit from
    bounded columns, too [1]_. This transformer, behind a ``StandardScaler``, leaves values up to
    ``start`` as they are and moves the others in,

    .. math::

        t(z) = \operatorname{sign}(z) \bigl(\mathrm{start} + \log(1 + |z| - \mathrm{start})\bigr)
        \qquad \text{where } |z| > \mathrm{start} ,

    with a continuous derivative and without changing their order. The problem on the new columns is
    the same convex program, with the same duality gap.

    Parameters
    ----------
    start : float, default=2.5
        Size from which on values are moved, in units of the columns: of standard deviations behind
        a ``StandardScaler``. ``np.inf`` moves nothing, for a search that shall have the choice.

    Attributes
    ----------
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    QuantileSteps : Steps beside the columns, for targets that jump.
    sklearn.preprocessing.PowerTransformer : Changes the bulk of a column, too.

    Notes
    -----
    Missing values stay missing, zeros of sparse rows stay zeros, float32 is kept. An indicator (a
    column of two values) keeps two values: the rarer one of a very rare indicator comes nearer, as
    if its column had a smaller scale.

    References
    ----------
    .. [1] D. Holzmuller, L. Grinsztajn, I. Steinwart, "Better by default: strong pre-tuned MLPs and
       boosted trees on tabular data", NeurIPS 2024. arXiv:2407.04491.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_convexnn import TailCompressor
    >>> TailCompressor(start=2.0).fit_transform([[-1.5], [2.0], [2.0 + np.e - 1.0]])
    array([[-1.5],
           [ 2. ],
           [ 3. ]])
    """

    _parameter_constraints = {"start": [Interval(Real, 0, None, closed="both")]}

    def __init__(self, start: float = 2.5) -> None:
        self.start = start

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.requires_fit = False
        return tags

    @all_or_nothing
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike | spmatrix, y: None = None) -> Self:
        """Validate the parameters; there is nothing to learn.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The transformer.
        """
        validate_data(self, X, **_ANY_ROWS)
        return self

    def transform(self, X: ArrayLike | spmatrix) -> np.ndarray | spmatrix:
        """Move far values in.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        {ndarray, sparse matrix} of shape (n_samples, n_features)
            The rows with shorter tails, of the type of ``X``.
        """
        X = validate_data(self, X, reset=False, **_ANY_ROWS)
        return _elementwise(compressed, X, self.start)

    def inverse_transform(self, X: ArrayLike | spmatrix) -> np.ndarray | spmatrix:
        """Move far values out again.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows with shorter tails.

        Returns
        -------
        {ndarray, sparse matrix} of shape (n_samples, n_features)
            The rows as they were.
        """
        X = check_array(X, input_name="X", **_ANY_ROWS)
        return _elementwise(expanded, X, self.start)


def _elementwise(function, X, start):
    """Function of the numbers of dense or sparse rows; those that are not stored stay 0."""
    if not sparse.issparse(X):
        return function(X, start)
    X = X.copy()
    X.data = function(X.data, start)
    return X
