"""Estimators for one feature, or rows on a line: networks that are linear splines."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from scipy.special import log_expit, logsumexp
from sklearn.utils.metaestimators import available_if

from sklearn_convexnn._base import BaseNetwork, Outcome, fit_method
from sklearn_convexnn._losses import trait
from sklearn_convexnn._prediction import NetworkClassifier, NetworkRegressor
from sklearn_convexnn._validation import Interval, StrOptions
from sklearn_convexnn.core.spline.network import layers, line_network
from sklearn_convexnn.core.spline.problem import Penalty
from sklearn_convexnn.core.spline.training import (
    distinct_rows,
    joint_solution,
    principal_axis,
    train_lines,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import ClassWeight

# Rows may miss their line by this fraction of their spread: rounding, no more.
_LINE_TOL = {np.dtype("float64"): 1e-9, np.dtype("float32"): 1e-5}


class _BaseSplineReLU(BaseNetwork):
    """The fit of the two estimators; every column of the targets is a problem of its own."""

    _without_penalty = None  # interpolation
    _parameter_constraints = {
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"scale"})],
        "n_layers": [Interval(Integral, 2, 4, closed="both")],
        "skip_connection": ["boolean"],
        "projection": [StrOptions({"exact", "pca"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "verbose": ["verbose"],
    }

    def __init__(
        self, *, alpha, loss, n_layers, skip_connection, projection, max_iter, tol, verbose
    ):
        self.alpha = alpha
        self.loss = loss
        self.n_layers = n_layers
        self.skip_connection = skip_connection
        self.projection = projection
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose

    # ------------------------------------------------------------------ fit

    @fit_method
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, on a line: one feature, or several that are all affine functions of one
            number. See ``projection``.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; class labels are one-dimensional.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. They are normalised to sum 1; a weight of 2 is the row given
            twice, a weight of 0 is the row left out.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight)

    def _check_parameters(self):
        super()._check_parameters()
        if self.alpha == 0 and not trait(self, "quadratic"):
            raise ValueError(
                "alpha=0 is interpolation, which needs loss='squared_error': use a small alpha."
            )

    def _solve(self, data, progress):
        targets = self._encode_targets(data.y, data.weights)
        used = data.weights > 0
        weights = data.weights[used]
        x, direction = self._project(data.X[used], weights)
        problems, solutions, alpha, alpha_max = train_lines(
            x,
            targets.columns[used].astype(np.float64),
            weights,
            self.alpha,
            loss_name=self.loss,
            n_layers=self.n_layers,
            skip=self.skip_connection,
            tol=self.tol,
            max_iter=self.max_iter,
            progress=progress,
        )
        solution = joint_solution(problems, solutions, alpha)
        attributes = {
            **targets.attributes,
            **self._end_of(solution),
            **self._network_attributes(problems, solution.network, direction),
            "n_layers_": self.n_layers + 1,  # with the input, as scikit-learn's perceptrons count
            "out_activation_": self._output_activation(targets),
            "alpha_": alpha,
            "alpha_max_": alpha_max,
        }
        return Outcome(solution, attributes)

    def _project(self, X, weights):
        """The positions of the rows on their line, and its direction."""
        rows, weights, index = distinct_rows(X.astype(np.float64), weights)
        direction, miss = principal_axis(rows, weights)
        if self.projection == "exact" and miss > _LINE_TOL[X.dtype]:
            raise ValueError(
                f"{type(self).__name__} needs one feature, or rows on a line, but these rows are "
                "not: set projection='pca' to train on their first principal component, or use "
                "ConvexReLURegressor or ConvexReLUClassifier."
            )
        direction = direction.astype(X.dtype)
        return (rows @ direction.astype(np.float64))[index], direction

    def _network_attributes(self, problems, found, direction):
        penalty, dtype = Penalty.of(self.n_layers, self.skip_connection), direction.dtype
        pairs = list(zip(problems, found, strict=True))
        networks = [line_network(spline, penalty).in_units_of(problem) for problem, spline in pairs]
        coefs, intercepts = layers(networks, direction, self.n_layers)
        pieces = [network.pieces() for network in networks]
        knots, slopes = pieces[0] if len(pieces) == 1 else map(list, zip(*pieces, strict=True))
        return {
            "_splines": [
                (spline.in_units_of(problem), *network.outer_slopes())
                for (problem, spline), network in zip(pairs, networks, strict=True)
            ],
            "direction_": direction,
            "coefs_": [weights.astype(dtype) for weights in coefs],
            "intercepts_": [biases.astype(dtype) for biases in intercepts],
            "skip_coef_": np.outer(direction, [n.skip for n in networks]).astype(dtype),
            "knots_": knots,
            "slopes_": slopes,
            "n_neurons_": sum(n.n_neurons for n in networks),
            "n_outputs_": len(networks),
            "penalty_": float(sum(n.penalty() for n in networks)),
        }

    # ------------------------------------------------------------------ the fitted network

    def _outputs(self, X):
        """Network outputs before the output activation, shape (n_samples, n_outputs_)."""
        X = self._validate_rows(X)
        t = X.astype(np.float64) @ self.direction_.astype(np.float64)
        columns = [spline.extended(t, left, right) for spline, left, right in self._splines]
        return np.stack(columns, axis=1).astype(np.result_type(X.dtype, self.direction_.dtype))


class SplineReLURegressor(NetworkRegressor, _BaseSplineReLU):
    r"""ReLU network of one feature for regression, at the exact global optimum.

    Minimises, over networks :math:`f(x) = b_0 + \sum_j c_j (u_j x + b_j)_+` of any width, with
    biases free of weight decay,

    .. math::

        \sum_i w_i \, \tfrac12 (y_i - f(x_i))^2 + \alpha \sum_j |u_j| \, |c_j| ,
        \qquad \sum_i w_i = 1 .

    The kinks may be taken at data points [1]_: a finite lasso on hinges, here solved without ever
    forming its n x 2n matrix. The solution is a linear spline with few knots, and the penalty is
    the total variation of its slope, or half of that plus the absolute mean of the first and the
    last slope, whichever is larger.

    Three and more layers of weights (narrow networks side by side, with the penalty
    :math:`\tfrac1L \sum |\text{weight}|^L`) add ramps between data points [2]_. The penalty is then
    half the total variation of the slope continued by zero: a step costs as much as a ramp that
    goes on. Four layers give the same functions at the same cost as three.

    Several outputs have networks of their own; the objective is the sum of theirs.

    Parameters
    ----------
    alpha : float or "scale", default="scale"
        Strength of the weight decay, non-negative, for weights of sum 1 (a mean over rows). At
        ``alpha_max_`` and above there are no neurons. 0 is the limit: the network of least
        weight decay through all points (their means, where several have the same x). ``"scale"``
        is ``0.1 * alpha_max_ / sqrt(n)`` for n distinct points.
    loss : {"squared_error"}, default="squared_error"
        ``1/2 * (y - f)^2``.
    n_layers : {2, 3, 4}, default=2
        Number of layers of weights.
    skip_connection : bool, default=False
        Whether to add a linear function of x that is free of weight decay.
    projection : {"exact", "pca"}, default="exact"
        What to do with several features. ``"exact"``: rows must be on a line, and the position on
        it is used, which loses nothing. ``"pca"``: the position along the first principal
        component.
    max_iter : int, default=1000
        Largest number of rounds.
    tol : float, default=1e-8
        Goal for the relative duality gap.
    verbose : int, default=0
        Print a line after every round of every output.

    Attributes
    ----------
    direction_ : ndarray of shape (n_features_in_,)
        Unit vector of the line; the position of a row x is ``x @ direction_``.
    knots_ : ndarray of shape (n_knots,), or list of these
        Positions where the slope changes, in order; a list for several outputs.
    slopes_ : ndarray of shape (n_knots + 1,), or list of these
        Slopes left of the first knot, between knots, and right of the last.
    coefs_ : list of n_layers arrays
        Weights of the layers, ``(n_features_in_, n_neurons_)`` first and
        ``(n_neurons_, n_outputs_)`` last. Those between hidden layers are diagonal and
        sparse. Every neuron is balanced: its weights have the same absolute value in all layers.
    intercepts_ : list of n_layers ndarrays
        Biases of the layers.
    skip_coef_ : ndarray of shape (n_features_in_, n_outputs_)
        The linear function; zero without ``skip_connection``.
    n_neurons_ : int
        Number of hinges and ramps.
    n_layers_ : int
        ``n_layers + 1``, counting the input as scikit-learn's perceptrons do.
    n_outputs_ : int
        Number of outputs of the network.
    out_activation_ : str
        "identity".
    penalty_ : float
        Sum of the products of each neuron's weights: what alpha is multiplied with.
    alpha_ : float
        The ``alpha`` that was used.
    alpha_max_ : float
        The smallest ``alpha`` for which no neuron is optimal.
    objective_ : float
        Value of the objective.
    dual_gap_ : float
        Relative duality gap, ``dual_gap_abs_ / objective_``: a proven bound.
    dual_gap_abs_ : float
        Duality gap in units of the objective.
    certificate_ : str
        "exact": all dual constraints are checked.
    status_ : str
        Why the rounds ended: "gap", "max_iter", "inaccurate" (rounding allowed no smaller gap) or
        "interrupted".
    n_iter_ : int
        Number of rounds; the largest for several outputs.
    history_ : dict of ndarrays of shape (n_iter_,)
        After every round: "objective", "lower_bound", "dual_gap" (relative) and "n_knots", the
        number of inner knots, for all outputs together.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    ConvexReLURegressor : Any number of features; biases have weight decay.
    SplineReLUClassifier : The same networks for classification.

    Notes
    -----
    Optimal networks agree on the data (for the squared error) but need not agree elsewhere: beyond
    the outermost knots and where neighbouring kinks have the same sign, other functions cost the
    same. One with kinks at data points is returned; a straight line that must be paid for has its
    kink at the first point.

    A fit takes O(n log n) time for sorting and some passes over the data.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Convex Geometry and Duality of Over-parameterized Neural
       Networks", JMLR 22(212), 2021. arXiv:2002.11219 (one-dimensional data).
    .. [2] E. Zeger, Y. Wang, A. Mishkin, T. Ergen, E. Candes and M. Pilanci, "A Library of Mirrors:
       Deep Neural Nets in Low Dimensions are Convex Lasso Models with Reflection Features", 2024.
       arXiv:2403.01046.

    Examples
    --------
    >>> from sklearn_convexnn import SplineReLURegressor
    >>> X, y = [[-2], [-1], [0], [1], [2]], [1, -1, 1, 1, -1]
    >>> model = SplineReLURegressor(alpha=0.1).fit(X, y)
    >>> round(5 * model.objective_, 6)  # 25 / 12
    2.083333
    >>> model.dual_gap_ < 1e-8
    True
    >>> SplineReLURegressor(alpha=0).fit(X, y).penalty_
    8.0
    """

    _parameter_constraints = {
        **_BaseSplineReLU._parameter_constraints,
        "loss": [StrOptions({"squared_error"})],
    }

    def __init__(
        self,
        alpha: float | Literal["scale"] = "scale",
        *,
        loss: Literal["squared_error"] = "squared_error",
        n_layers: Literal[2, 3, 4] = 2,
        skip_connection: bool = False,
        projection: Literal["exact", "pca"] = "exact",
        max_iter: int = 1000,
        tol: float = 1e-8,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            alpha=alpha,
            loss=loss,
            n_layers=n_layers,
            skip_connection=skip_connection,
            projection=projection,
            max_iter=max_iter,
            tol=tol,
            verbose=verbose,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        # A function of one number: the checks score fits of targets that depend on ten.
        tags.regressor_tags.poor_score = True
        return tags


def _has_log_loss(estimator):
    if trait(estimator, "probabilities"):
        return True
    raise AttributeError(f"Probabilities need loss='log_loss', but loss={estimator.loss!r}.")


class SplineReLUClassifier(NetworkClassifier, _BaseSplineReLU):
    r"""ReLU network of one feature for classification, at the exact global optimum.

    Minimises, over networks :math:`f(x) = b_0 + \sum_j c_j (u_j x + b_j)_+` of any width, with
    biases free of weight decay,

    .. math::

        \sum_i w_i \, \ell(y_i, f(x_i)) + \alpha \sum_j |u_j| \, |c_j| , \qquad \sum_i w_i = 1 ,

    with the log-loss :math:`\log(1 + e^{f}) - y f` or the hinge loss for :math:`y \in \{0, 1\}`.
    Kinks may be taken at data points [1]_, and the decision boundaries are the zeros of a linear
    spline. More than two classes are told apart one against the rest, each by a network of its own;
    the objective is the sum of theirs.

    Parameters
    ----------
    alpha : float or "scale", default="scale"
        Strength of the weight decay, positive, for weights of sum 1 (a mean over rows). At
        ``alpha_max_`` and above there are no neurons. ``"scale"`` is ``0.1 * alpha_max_ / sqrt(n)``
        for n distinct points.
    loss : {"log_loss", "hinge"}, default="log_loss"
        The loss. With ``"hinge"``, ``max(0, 1 - f)`` for the second class and ``max(0, 1 + f)`` for
        the first, there are no probabilities.
    n_layers : {2, 3, 4}, default=2
        Number of layers of weights, see :class:`SplineReLURegressor`.
    skip_connection : bool, default=False
        Whether to add a linear function of x that is free of weight decay.
    projection : {"exact", "pca"}, default="exact"
        What to do with several features. ``"exact"``: rows must be on a line, and the position on
        it is used, which loses nothing. ``"pca"``: the position along the first principal
        component.
    max_iter : int, default=1000
        Largest number of rounds.
    tol : float, default=1e-6
        Goal for the relative duality gap.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with ``sample_weight``.
    verbose : int, default=0
        Print a line after every round of every output.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels with positive weight.
    direction_ : ndarray of shape (n_features_in_,)
        Unit vector of the line; the position of a row x is ``x @ direction_``.
    knots_ : ndarray of shape (n_knots,), or list of these
        Positions where the slope changes, in order; a list for more than two classes.
    slopes_ : ndarray of shape (n_knots + 1,), or list of these
        Slopes left of the first knot, between knots, and right of the last.
    coefs_ : list of n_layers arrays
        Weights of the layers, ``(n_features_in_, n_neurons_)`` first and
        ``(n_neurons_, n_outputs_)`` last. Those between hidden layers are diagonal and
        sparse. Every neuron is balanced: its weights have the same absolute value in all layers.
    intercepts_ : list of n_layers ndarrays
        Biases of the layers.
    skip_coef_ : ndarray of shape (n_features_in_, n_outputs_)
        The linear function; zero without ``skip_connection``.
    n_neurons_ : int
        Number of hinges and ramps.
    n_layers_ : int
        ``n_layers + 1``, counting the input as scikit-learn's perceptrons do.
    n_outputs_ : int
        Number of outputs of the network: 1 for two classes, else the number of classes.
    out_activation_ : str
        "logistic", or "identity" for the hinge loss.
    penalty_ : float
        Sum of the products of each neuron's weights: what alpha is multiplied with.
    alpha_ : float
        The ``alpha`` that was used.
    alpha_max_ : float
        The smallest ``alpha`` for which no neuron is optimal; for the hinge loss an upper bound.
    objective_ : float
        Value of the objective.
    dual_gap_ : float
        Relative duality gap, ``dual_gap_abs_ / objective_``: a proven bound.
    dual_gap_abs_ : float
        Duality gap in units of the objective.
    certificate_ : str
        "exact": all dual constraints are checked.
    status_ : str
        Why the rounds ended: "gap", "max_iter", "inaccurate" (rounding allowed no smaller gap) or
        "interrupted".
    n_iter_ : int
        Number of rounds; the largest for several outputs.
    history_ : dict of ndarrays of shape (n_iter_,)
        After every round: "objective", "lower_bound", "dual_gap" (relative) and "n_knots", the
        number of inner knots, for all outputs together.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    ConvexReLUClassifier : Any number of features; biases have weight decay.
    SplineReLURegressor : The same networks for regression.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Convex Geometry and Duality of Over-parameterized Neural
       Networks", JMLR 22(212), 2021. arXiv:2002.11219 (one-dimensional data).

    Examples
    --------
    >>> from sklearn_convexnn import SplineReLUClassifier
    >>> X, y = [[-2], [-1], [0], [1], [2]], [1, 0, 1, 1, 0]
    >>> model = SplineReLUClassifier(alpha=0.1, loss="hinge").fit(X, y)
    >>> round(5 * model.objective_, 6)
    3.0
    """

    _parameter_constraints = {
        **_BaseSplineReLU._parameter_constraints,
        "loss": [StrOptions({"log_loss", "hinge"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        alpha: float | Literal["scale"] = "scale",
        *,
        loss: Literal["log_loss", "hinge"] = "log_loss",
        n_layers: Literal[2, 3, 4] = 2,
        skip_connection: bool = False,
        projection: Literal["exact", "pca"] = "exact",
        max_iter: int = 1000,
        tol: float = 1e-6,
        class_weight: ClassWeight = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            alpha=alpha,
            loss=loss,
            n_layers=n_layers,
            skip_connection=skip_connection,
            projection=projection,
            max_iter=max_iter,
            tol=tol,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # as for the regressor
        return tags

    def _output_activation(self, targets):
        return "logistic" if trait(self, "probabilities") else "identity"

    @available_if(_has_log_loss)
    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Class probabilities; for more than two classes those of one against the rest, scaled.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        return np.exp(self.predict_log_proba(X))

    @available_if(_has_log_loss)
    def predict_log_proba(self, X: ArrayLike) -> np.ndarray:
        """Logarithms of the class probabilities, accurate where they are tiny.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        scores = self.decision_function(X)
        if scores.ndim == 1:
            return np.column_stack([log_expit(-scores), log_expit(scores)])
        return log_expit(scores) - logsumexp(log_expit(scores), axis=1, keepdims=True)
