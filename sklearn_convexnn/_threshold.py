"""The public estimators of networks of thresholds."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Literal

from sklearn_convexnn._base_threshold import BaseThreshold
from sklearn_convexnn._losses import regression_tags
from sklearn_convexnn._prediction import NetworkClassifier, NetworkRegressor
from sklearn_convexnn._validation import Interval, StrOptions

if TYPE_CHECKING:
    from sklearn_convexnn._typing import ClassWeight, RandomState


class ConvexThresholdRegressor(NetworkRegressor, BaseThreshold):
    r"""Two-layer threshold network for regression, trained as a convex program.

    Minimises, over networks :math:`z(x) = b_0 + \sum_j c_j \, 1[x^T u_j + b_j > 0]` of any width,

    .. math::

        \sum_i w_i \, \ell(y_i, z(x_i)) + \alpha \sum_j \|c_j\|_2 ,
        \qquad \sum_i w_i = 1 ,

    with :math:`\ell(y, z) = \tfrac12 \|y - z\|_2^2` or another ``loss``.
    A hidden neuron is 0 or 1, a half-space, and all that matters of its weights is which rows it
    holds: the program is a lasso whose columns are the half-spaces of the rows [1]_ [2]_. They are
    added where a dual constraint is violated, refitted and dropped. Nothing depends on the units of
    the columns. See :ref:`thresholds`.

    Parameters
    ----------
    alpha : float, "auto" or "scale", default="auto"
        Strength of the penalty, positive, for weights of sum 1 (a mean over rows). At
        ``alpha_max_`` and above the network is a constant. ``"auto"`` is what predicts held-out
        rows best, as in :class:`ConvexReLURegressor`. ``"scale"`` is ``alpha_max_ / sqrt(n)`` for
        n distinct rows, which is also used where there are fewer than 20.
    directions : {"all", "axis"}, default="all"
        "all": half-spaces of all features; the worst dual constraint is searched for, and found
        exactly for two features. "axis": every neuron looks at one feature, so that the network is
        a sum of step functions, ``shape_functions_``, and its penalty their total variation; all
        dual constraints are checked exactly whatever the number of rows.
    loss : {"squared_error", "huber", "poisson"}, default="squared_error"
        As in :class:`ConvexReLURegressor`.
    epsilon : float, default=1.35
        Of the Huber loss, as in :class:`ConvexReLURegressor`.
    representative : {"margin", "middle"}, default="margin"
        Which of the half-spaces that hold the same training rows a neuron is. "margin": the one
        with the widest margin, in standard deviations of the columns. "middle": as it was found,
        half way between the nearest rows of either side. For "axis" there is only the latter.
    max_neurons : int, default=None
        Largest number of neurons to keep.
    max_iter : int, default=200
        Largest number of rounds.
    tol : float, default=3e-3
        With ``directions="axis"`` the relative duality gap at which a fit stops. Otherwise it stops
        when a round lowers the objective by less than this fraction of it after a thorough search,
        or when the gap is below it.
    gap_tol : float, default=None
        The relative duality gap that a fit goes on to.
    warm_start : bool, default=False
        Begin from the network of the previous fit.
    random_state : int, RandomState instance or None, default=None
        Seeds the search for half-spaces and the rows that are held out.
    verbose : int, default=0
        Print a line after every round.

    Attributes
    ----------
    coefs_ : list of two ndarrays
        Weights of the hidden layer, ``(n_features_in_, n_neurons_)``, whose columns have length 1,
        and of the output layer, ``(n_neurons_, n_outputs_)``. Activations are
        ``X @ coefs_[0] + intercepts_[0] > 0``.
    intercepts_ : list of two ndarrays of shapes ``(n_neurons_,)`` and ``(n_outputs_,)``
        Biases of the hidden neurons and of the outputs.
    shape_functions_ : list of ShapeFunction
        For ``directions="axis"`` the step function of every feature, with ``thresholds`` and
        ``values``, and mean zero over the training rows.
    base_values_ : ndarray of shape (n_outputs_,)
        The outputs that the shape functions are added to.
    n_neurons_ : int
        Number of neurons.
    n_layers_ : int
        3, counting the input as scikit-learn's perceptrons do.
    n_outputs_ : int
        Number of outputs.
    out_activation_ : str
        "identity", for the Poisson loss "exp".
    scale_ : ndarray of shape (n_outputs_,)
        For the Huber loss only, as in :class:`ConvexReLURegressor`.
    alpha_ : float
        The ``alpha`` that was used.
    alphas_ : ndarray of shape (n_alphas,)
        For ``alpha="auto"`` the values that were tried, descending.
    validation_losses_ : ndarray of shape (n_alphas,)
        Their mean loss of the held-out rows.
    alpha_max_ : float
        The smallest ``alpha`` for which the constant network is optimal; for ``directions="all"``
        and more than two features found by search.
    objective_ : float
        Value of the objective.
    lower_bound_ : float
        What the objective of no such network goes below, proven: from the networks whose neurons
        could be any 0/1 functions of the rows, in closed form for one output, or from exact prices.
    proven_gap_ : float
        ``(objective_ - lower_bound_) / objective_``.
    dual_gap_ : float
        Relative duality gap; where that of the search is an estimate, no larger than
        ``proven_gap_``. What it is worth depends on ``certificate_``.
    dual_gap_abs_ : float
        Duality gap in units of the objective.
    certificate_ : {"exact", "proven", "estimated"}
        "exact" for ``directions="axis"``, and for one or two features: the gap is a bound, and
        tight. "proven": it is that of ``lower_bound_``. "estimated": the dual constraints were
        checked by local search only, the gap is an estimate and not a bound.
    status_ : str
        Why the rounds ended: "progress", "gap", "max_iter", "large" (so many rows and neurons that
        the work of a fit was used up, where no gap is asked for), "inaccurate" or "interrupted"; or
        "separable", if one half-space attains ``lower_bound_``, as it does where a plane separates
        two classes: no further neuron can pay.
    n_iter_ : int
        Number of rounds.
    history_ : dict of ndarrays of shape (n_iter_,)
        After every round: "objective", "lower_bound", "dual_gap" (relative), "n_neurons" and
        "violation", by which fraction of alpha the worst dual constraint is exceeded.
    feature_importances_ : ndarray of shape (n_features_in_,)
        ``sum_j |u_jk| * ||c_j||`` for inputs of one scale, as shares of their sum; for
        ``directions="axis"`` the shares of the shape functions in the total variation.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    ConvexThresholdClassifier : The same networks for classification.
    ConvexReLURegressor : Networks of ReLUs, which mostly predict better.
    sklearn_convexnn.inspection.ShapeFunctionDisplay : Draws the shape functions.

    Notes
    -----
    Finding the best half-space is a weighted agreement problem, NP-hard in the number of features:
    with ``directions="all"`` and more than two features a certificate is an estimate, unless
    ``lower_bound_`` closes the gap. As soon as the rows are not many more than the features, planes
    separate any classes, and a single half-space is optimal.

    References
    ----------
    .. [1] T. Ergen, H. I. Gulluk, J. Lacotte and M. Pilanci, "Globally Optimal Training of Neural
       Networks with Threshold Activation Functions", ICLR 2023. arXiv:2303.03382.
    .. [2] Y. Bengio, N. Le Roux, P. Vincent, O. Delalleau and P. Marcotte, "Convex Neural
       Networks", NIPS 2005 (column generation with half-spaces).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_convexnn import ConvexThresholdRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = ConvexThresholdRegressor(directions="axis", random_state=0).fit(X, y)
    >>> model.certificate_, model.dual_gap_ < 3e-3
    ('exact', True)
    >>> bool(model.score(X, y) > 0.45)
    True
    """

    _parameter_constraints = {
        **BaseThreshold._parameter_constraints,
        "loss": [StrOptions({"squared_error", "huber", "poisson"})],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        alpha: float | Literal["auto", "scale"] = "auto",
        *,
        directions: Literal["all", "axis"] = "all",
        loss: Literal["squared_error", "huber", "poisson"] = "squared_error",
        epsilon: float = 1.35,
        representative: Literal["margin", "middle"] = "margin",
        max_neurons: int | None = None,
        max_iter: int = 200,
        tol: float = 3e-3,
        gap_tol: float | None = None,
        warm_start: bool = False,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            alpha=alpha,
            directions=directions,
            loss=loss,
            representative=representative,
            max_neurons=max_neurons,
            max_iter=max_iter,
            tol=tol,
            gap_tol=gap_tol,
            warm_start=warm_start,
            random_state=random_state,
            verbose=verbose,
        )
        self.epsilon = epsilon

    def __sklearn_tags__(self):
        return regression_tags(self, super().__sklearn_tags__())


class ConvexThresholdClassifier(NetworkClassifier, BaseThreshold):
    r"""Two-layer threshold network for classification, trained as a convex program.

    Minimises, over networks :math:`z(x) = b_0 + \sum_j c_j \, 1[x^T u_j + b_j > 0]` of any width,

    .. math::

        \sum_i w_i \, \ell(y_i, z(x_i)) + \alpha \sum_j \|c_j\|_2 ,
        \qquad \sum_i w_i = 1 ,

    with the log-loss or another ``loss``.
    A hidden neuron is 0 or 1, a half-space, and all that matters of its weights is which rows it
    holds: the program is a lasso whose columns are the half-spaces of the rows [1]_ [2]_. They are
    added where a dual constraint is violated, refitted and dropped. Nothing depends on the units of
    the columns. See :ref:`thresholds`.

    Parameters
    ----------
    alpha : float, "auto" or "scale", default="auto"
        Strength of the penalty, positive, for weights of sum 1 (a mean over rows). At
        ``alpha_max_`` and above the network is a constant. ``"auto"`` is what predicts held-out
        rows best, as in :class:`ConvexReLUClassifier`. ``"scale"`` is ``alpha_max_ / sqrt(n)`` for
        n distinct rows, which is also used where there are fewer than 20.
    directions : {"all", "axis"}, default="all"
        "all": half-spaces of all features; the worst dual constraint is searched for, and found
        exactly for two features. "axis": every neuron looks at one feature, so that the network is
        a sum of step functions, ``shape_functions_``, and its penalty their total variation; all
        dual constraints are checked exactly whatever the number of rows.
    loss : {"log_loss", "squared_hinge"}, default="log_loss"
        As in :class:`ConvexReLUClassifier`.
    representative : {"margin", "middle"}, default="margin"
        Which of the half-spaces that hold the same training rows a neuron is. "margin": the one
        with the widest margin, in standard deviations of the columns. "middle": as it was found,
        half way between the nearest rows of either side. For "axis" there is only the latter.
    max_neurons : int, default=None
        Largest number of neurons to keep.
    max_iter : int, default=200
        Largest number of rounds.
    tol : float, default=3e-3
        With ``directions="axis"`` the relative duality gap at which a fit stops. Otherwise it stops
        when a round lowers the objective by less than this fraction of it after a thorough search,
        or when the gap is below it.
    gap_tol : float, default=None
        The relative duality gap that a fit goes on to.
    warm_start : bool, default=False
        Begin from the network of the previous fit.
    random_state : int, RandomState instance or None, default=None
        Seeds the search for half-spaces and the rows that are held out.
    verbose : int, default=0
        Print a line after every round.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with ``sample_weight``.
    calibrate : bool, default=True
        Whether probabilities are those of outputs divided by ``temperature_``, the number with the
        least log-loss of rows held out. Labels, objective and certificate are not touched.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels with positive weight.
    coefs_ : list of two ndarrays
        Weights of the hidden layer, ``(n_features_in_, n_neurons_)``, whose columns have length 1,
        and of the output layer, ``(n_neurons_, n_outputs_)``. Activations are
        ``X @ coefs_[0] + intercepts_[0] > 0``.
    intercepts_ : list of two ndarrays of shapes ``(n_neurons_,)`` and ``(n_outputs_,)``
        Biases of the hidden neurons and of the outputs.
    shape_functions_ : list of ShapeFunction
        For ``directions="axis"`` the step function of every feature, with ``thresholds`` and
        ``values``, and mean zero over the training rows.
    base_values_ : ndarray of shape (n_outputs_,)
        The outputs that the shape functions are added to.
    n_neurons_ : int
        Number of neurons.
    n_layers_ : int
        3, counting the input as scikit-learn's perceptrons do.
    n_outputs_ : int
        Number of outputs: 1 for two classes, else the number of classes.
    out_activation_ : str
        "logistic" or "softmax"; "identity" for the squared hinge loss.
    alpha_ : float
        The ``alpha`` that was used.
    alphas_ : ndarray of shape (n_alphas,)
        For ``alpha="auto"`` the values that were tried, descending.
    validation_losses_ : ndarray of shape (n_alphas,)
        Their mean loss of the held-out rows.
    temperature_ : float
        For ``alpha="auto"`` and a loss of probabilities, if ``calibrate``: the temperature with the
        least log-loss of the held-out rows at ``alpha_``; 1 for a given alpha.
    alpha_max_ : float
        The smallest ``alpha`` for which the constant network is optimal; for ``directions="all"``
        and more than two features found by search.
    objective_ : float
        Value of the objective.
    lower_bound_ : float
        What the objective of no such network goes below, proven: from the networks whose neurons
        could be any 0/1 functions of the rows, in closed form for one output, or from exact prices.
    proven_gap_ : float
        ``(objective_ - lower_bound_) / objective_``.
    dual_gap_ : float
        Relative duality gap; where that of the search is an estimate, no larger than
        ``proven_gap_``. What it is worth depends on ``certificate_``.
    dual_gap_abs_ : float
        Duality gap in units of the objective.
    certificate_ : {"exact", "proven", "estimated"}
        "exact" for ``directions="axis"``, and for one or two features: the gap is a bound, and
        tight. "proven": it is that of ``lower_bound_``. "estimated": the dual constraints were
        checked by local search only, the gap is an estimate and not a bound.
    status_ : str
        Why the rounds ended: "progress", "gap", "max_iter", "large" (so many rows and neurons that
        the work of a fit was used up, where no gap is asked for), "inaccurate" or "interrupted"; or
        "separable", if one half-space attains ``lower_bound_``, as it does where a plane separates
        two classes: no further neuron can pay.
    n_iter_ : int
        Number of rounds.
    history_ : dict of ndarrays of shape (n_iter_,)
        After every round: "objective", "lower_bound", "dual_gap" (relative), "n_neurons" and
        "violation", by which fraction of alpha the worst dual constraint is exceeded.
    feature_importances_ : ndarray of shape (n_features_in_,)
        ``sum_j |u_jk| * ||c_j||`` for inputs of one scale, as shares of their sum; for
        ``directions="axis"`` the shares of the shape functions in the total variation.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    ConvexThresholdRegressor : The same networks for regression.
    ConvexReLUClassifier : Networks of ReLUs, which mostly predict better.
    sklearn_convexnn.inspection.ShapeFunctionDisplay : Draws the shape functions.

    Notes
    -----
    Finding the best half-space is a weighted agreement problem, NP-hard in the number of features:
    with ``directions="all"`` and more than two features a certificate is an estimate, unless
    ``lower_bound_`` closes the gap. As soon as the rows are not many more than the features, planes
    separate any classes, and a single half-space is optimal.

    References
    ----------
    .. [1] T. Ergen, H. I. Gulluk, J. Lacotte and M. Pilanci, "Globally Optimal Training of Neural
       Networks with Threshold Activation Functions", ICLR 2023. arXiv:2303.03382.
    .. [2] Y. Bengio, N. Le Roux, P. Vincent, O. Delalleau and P. Marcotte, "Convex Neural
       Networks", NIPS 2005 (column generation with half-spaces).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_convexnn import ConvexThresholdClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = ConvexThresholdClassifier(directions="axis", random_state=0).fit(X, y)
    >>> model.certificate_
    'exact'
    >>> bool(model.score(X, y) > 0.93)
    True
    """

    _parameter_constraints = {
        **BaseThreshold._parameter_constraints,
        "loss": [StrOptions({"log_loss", "squared_hinge"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "calibrate": ["boolean"],
    }

    def __init__(
        self,
        alpha: float | Literal["auto", "scale"] = "auto",
        *,
        directions: Literal["all", "axis"] = "all",
        loss: Literal["log_loss", "squared_hinge"] = "log_loss",
        representative: Literal["margin", "middle"] = "margin",
        max_neurons: int | None = None,
        max_iter: int = 200,
        tol: float = 3e-3,
        gap_tol: float | None = None,
        warm_start: bool = False,
        random_state: RandomState = None,
        verbose: int = 0,
        class_weight: ClassWeight = None,
        calibrate: bool = True,
    ) -> None:
        super().__init__(
            alpha=alpha,
            directions=directions,
            loss=loss,
            representative=representative,
            max_neurons=max_neurons,
            max_iter=max_iter,
            tol=tol,
            gap_tol=gap_tol,
            warm_start=warm_start,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight
        self.calibrate = calibrate
