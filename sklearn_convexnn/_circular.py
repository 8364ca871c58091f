"""The public estimator of circular convolutions without activations: a lasso in frequencies."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Literal, Self

from sklearn_convexnn._base import Outcome, fit_method
from sklearn_convexnn._deep_linear import BaseDeepLinear
from sklearn_convexnn._images import ImageRows
from sklearn_convexnn._prediction import NetworkRegressor
from sklearn_convexnn._validation import Interval, StrOptions
from sklearn_convexnn.core.deep.circular import make_circular

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class CircularLinearRegressor(NetworkRegressor, ImageRows, BaseDeepLinear):
    r"""Linear network of circular convolutions: a lasso in frequencies, solved to a proven gap.

    Minimises, over any number of filters :math:`u_j` and output weights :math:`c_j`, both of the
    shape of a row, and a free intercept,

    .. math::

        \sum_i w_i \, \tfrac12 \Bigl( y_i - b - \sum_j \langle c_j, \, u_j \star x_i \rangle
        \Bigr)^2 + \tfrac{\alpha}{2} \sum_j \bigl( \|u_j\|^2 + \|c_j\|^2 \bigr) ,
        \qquad \sum_i w_i = 1 ,

    with the circular correlation :math:`\star`, in which a row goes on at its other end. In the
    effective weights :math:`z = \sum_j u_j * c_j` the least penalty is the length of their
    spectrum, :math:`\tfrac{\alpha}{\sqrt d} \|F z\|_1` with the unitary Fourier transform [1]_: a
    convex program whose solution has few frequencies. One filter for each, a cosine, is optimal,
    and that is how the network is returned. Several outputs share filters: then the length of a
    frequency is that over all of them.

    Parameters
    ----------
    alpha : float, "auto" or "scale", default="auto"
        Strength of the penalty, positive, for weights of sum 1 (a mean over rows). ``"auto"``
        halves it from ``alpha_max_`` on and refines; it takes the value with the least loss of
        held-out rows, a fifth of the distinct rows or, of few, up to three times a fifth. Below 20
        rows it is ``"scale"``, which is ``0.01 * alpha_max_``.
    image_shape : tuple of int, default=None
        The shape of a row, whose axes are all circular: ``(length,)`` or ``(height, width)``. None:
        that of the rows of an ``X`` of more than two dimensions, else a signal,
        ``(n_features_in_,)``.
    fit_intercept : bool, default=True
        Whether the outputs have an intercept, which is not penalised.
    max_iter : int, default=100
        Largest number of Newton steps.
    tol : float, default=1e-6
        Relative duality gap at which the solver stops.
    verbose : int, default=0
        Print a line at the end.

    Attributes
    ----------
    effective_coef_ : ndarray of shape (n_features_in_, n_outputs_)
        Effective weights ``z``.
    intercept_ : ndarray of shape (n_outputs_,)
        Intercept of the outputs.
    frequencies_ : ndarray of shape (n_neurons_, n_axes)
        The frequencies of the filters, in periods along every axis, those that cost most first. Of
        the frequencies ``f`` and ``-f`` of a real signal there is one.
    sizes_ : ndarray of shape (n_neurons_,)
        What each filter costs with its weights, over ``alpha_``.
    filters_ : ndarray of shape (n_neurons_, *image_shape_)
        Filters ``u``.
    output_weights_ : ndarray of shape (n_neurons_, *image_shape_, n_outputs_)
        Output weights ``c``.
    n_neurons_ : int
        Number of filters.
    n_layers_ : int
        3, counting the input as scikit-learn's perceptrons do.
    n_outputs_ : int
        Number of outputs.
    out_activation_ : str
        "identity".
    image_shape_ : tuple of int
        The shape of a row.
    alpha_ : float
        The ``alpha`` that was used.
    alphas_ : ndarray of shape (n_alphas,)
        For ``alpha="auto"`` the values that were tried, in decreasing order.
    validation_losses_ : ndarray of shape (n_alphas,)
        Their mean loss of held-out rows.
    alpha_max_ : float
        The least ``alpha`` at which the constant network is optimal.
    objective_ : float
        Value of the objective.
    dual_gap_ : float
        Relative gap between the objective and a proven lower bound, ``dual_gap_abs_ /
        objective_``.
    dual_gap_abs_ : float
        The same in units of the objective.
    certificate_ : {"exact"}
        The program is solved whole: the gap is a bound.
    status_ : str
        Why the solver ended: "gap" or "max_iter".
    n_iter_ : int
        Number of Newton steps.
    history_ : dict of ndarrays of shape (1,)
        "objective", "lower_bound", "dual_gap" (relative) and "rank", the number of filters, at the
        end.
    feature_importances_ : ndarray of shape (n_features_in_,)
        Lengths of the rows of ``effective_coef_`` as shares of their sum; zeros for a constant
        network.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    DeepLinearRegressor : Linear layers without structure: a nuclear norm.
    ConvexCNNRegressor : Convolutions with ReLUs and pooling.

    Notes
    -----
    After one pass over the rows, that for :math:`X^T X`, the work does not depend on their number;
    a second pass confirms the certificate. A row may have some thousands of entries. Where rows are
    stationary, :math:`X^T X` is diagonal in frequencies, each of which is soft-thresholded by
    itself: the first guess is the solution.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Implicit Convex Regularizers of CNN Architectures: Convex
       Optimization of Two- and Three-Layer Networks in Polynomial Time", ICLR 2021.
       arXiv:2006.14798.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_convexnn import CircularLinearRegressor
    >>> X = np.random.default_rng(0).standard_normal((100, 32))
    >>> y = X @ np.cos(2 * np.pi * 3 * np.arange(32) / 32)
    >>> model = CircularLinearRegressor(0.1).fit(X, y)
    >>> model.frequencies_
    array([[3]])
    """

    _parameter_constraints = {
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto", "scale"})],
        "image_shape": [tuple, list, None],
        "fit_intercept": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "verbose": ["verbose"],
    }
    _takes_sparse = False
    # Rows have one unit: a column that is small is a place where signals are.
    _compares_columns = False

    def __init__(
        self,
        alpha: float | Literal["auto", "scale"] = "auto",
        *,
        image_shape: tuple[int, ...] | None = None,
        fit_intercept: bool = True,
        max_iter: int = 100,
        tol: float = 1e-6,
        verbose: int = 0,
    ) -> None:
        self.alpha = alpha
        self.image_shape = image_shape
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @fit_method
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *image_shape)
            Training rows, flat (in C order) or as images or signals. Float32 is kept, everything
            else becomes float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. They are normalised to sum 1; a weight of 2 is the row given
            twice, a weight of 0 is the row left out.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight)

    def _maker(self):
        return partial(make_circular, shape=self._image_shape(), intercept=self.fit_intercept)

    def _solve_for(self, problem, targets, alpha, alpha_max, dtype):
        # Targets without signal have alpha_max = 0: any positive alpha gives the constant network.
        positive = alpha if alpha > 0 else 1.0
        solution = problem.solve(positive, tol=self.tol, max_iter=self.max_iter)
        network = solution.network
        filters, weights = network.layers(problem.shape)
        attributes = {
            **targets.attributes,
            **self._end_of(solution),
            "out_activation_": self._output_activation(targets),
            "effective_coef_": network.coef.astype(dtype),
            "intercept_": network.intercept.astype(dtype),
            "frequencies_": network.frequencies,
            "sizes_": network.sizes.astype(dtype),
            "filters_": filters.astype(dtype),
            "output_weights_": weights.astype(dtype),
            "n_neurons_": len(filters),
            "n_layers_": 3,
            "n_outputs_": len(network.intercept),
            "image_shape_": problem.shape,
            "alpha_": float(alpha),
            "alpha_max_": float(alpha_max),
        }
        return Outcome(solution, attributes)

    def _outputs(self, X):
        return self._validate_rows(X) @ self.effective_coef_ + self.intercept_
