"""The public estimators of circular convolutions and ReLUs."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Literal

from sklearn_convexnn._base_circular import BaseCircularReLU
from sklearn_convexnn._losses import losses_for, regression_tags
from sklearn_convexnn._prediction import NetworkClassifier, NetworkRegressor
from sklearn_convexnn._validation import Interval, StrOptions

if TYPE_CHECKING:
    from sklearn_convexnn._typing import ClassWeight, RandomState


class CircularReLURegressor(NetworkRegressor, BaseCircularReLU):
    r"""Three layers of circular convolutions, weights and ReLUs for regression.

    A filter :math:`u_j` as long as the row meets it at every place, :math:`u_j \star x`, weights
    :math:`v_j` add up what it finds, and a ReLU and output weights :math:`c_j` follow. Minimises,
    with :math:`\ell(y, z) = \tfrac12 \|y - z\|^2` or another ``loss``, over any number of neurons

    .. math::

        \sum_i w_i \, \ell \Bigl( y_i, \, c_0
        + \sum_j c_j \bigl( v_j^T (u_j \star x_i) + b_j \bigr)_+ \Bigr)
        + \alpha \sum_j \|c_j\|_2 \bigl( \|u_j\|_2 \|v_j\|_2 + |b_j| \bigr) ,
        \qquad \sum_i w_i = 1 ,

    with the circular correlation :math:`\star`, in which a row goes on at its other end. The least
    :math:`\|u\| \|v\|` of a neuron's weights :math:`z = u * v` is :math:`\|F z\|_1 / \sqrt d` with
    the unitary Fourier transform [1]_: neurons of few frequencies are cheap. In the measure of
    neurons the program is convex, see :ref:`convolution`; to find neurons that violate a dual
    constraint is not. They are added, moved, refitted and dropped until a round makes little
    progress.

    Parameters
    ----------
    alpha : float, "auto" or "scale", default="auto"
        Strength of the penalty, positive, for weights of sum 1. ``"auto"`` is what predicts
        held-out rows best, as in :class:`ConvexReLURegressor`. ``"scale"`` is ``0.1 * alpha_max_ /
        sqrt(n)`` for n distinct rows.
    image_shape : tuple of int, default=None
        The shape of a row, whose axes are all circular: ``(length,)`` or ``(height, width)``. None:
        that of the rows of an ``X`` of more than two dimensions, else a signal,
        ``(n_features_in_,)``.
    loss : {"squared_error", "huber", "poisson"}, default="squared_error"
        As in :class:`ConvexReLURegressor`.
    epsilon : float, default=1.35
        Of the Huber loss, as in :class:`ConvexReLURegressor`.
    patterns : "exact" or None, default=None
        "exact": the convex program over all activation patterns of the rows, with a proven gap, by
        a conic solver; for a dozen rows with one output and three or four features.
    fit_intercept : bool, default=True
        Whether neurons have a bias, penalised by its absolute value, and outputs a free intercept.
    max_neurons : int, default=None
        Largest number of neurons to keep. The duality gap still refers to any number of them.
    max_iter : int, default=50
        Largest number of rounds.
    tol : float, default=1e-2
        Training stops when a round lowers the objective by less than this fraction of it, or when
        the estimated relative duality gap is below it.
    gap_tol : float, default=None
        Go on until the estimated relative duality gap is below this value instead. With
        ``patterns="exact"`` the proven gap that is to be reached, 1e-6 if None.
    warm_start : bool, default=False
        Start from the neurons of the previous fit, if there is one. The alpha of ``"auto"`` is
        chosen anew.
    random_state : int, RandomState instance or None, default=None
        Seeds the rows that are held out and the directions from which neurons are searched.
    verbose : int, default=0
        Print a line after every round.

    Attributes
    ----------
    coefs_ : list of two ndarrays
        Weights as in a perceptron of one hidden layer, ``(n_features_in_, n_neurons_)`` and
        ``(n_neurons_, n_outputs_)``: the first two layers are one linear map of the row.
    intercepts_ : list of two ndarrays
        Biases of the neurons, ``(n_neurons_,)``, and of the outputs, ``(n_outputs_,)``.
    filters_ : ndarray of shape (n_neurons_, *image_shape_)
        Filters ``u`` of the first layer.
    filter_weights_ : ndarray of shape (n_neurons_, *image_shape_)
        Weights ``v`` of what the filters find at every place, each as long as its filter.
    image_shape_ : tuple of int
        The shape of a row.
    n_neurons_ : int
        Number of neurons.
    n_layers_ : int
        4, counting the input as scikit-learn's perceptrons do.
    n_outputs_ : int
        Number of outputs of the network.
    out_activation_ : str
        "identity", for the Poisson loss "exp".
    scale_ : ndarray of shape (n_outputs_,)
        Only of the Huber loss, as in :class:`ConvexReLURegressor`.
    alpha_ : float
        The ``alpha`` that was used.
    alphas_ : ndarray of shape (n_alphas,)
        Of ``alpha="auto"``, if there are rows to hold out: the alphas of the path, descending.
    validation_losses_ : ndarray of shape (n_alphas,)
        With ``alphas_``: the mean loss of the held-out rows for each of ``alphas_``.
    alpha_max_ : float
        From here on the network is a constant, found by search.
    objective_ : float
        Value of the objective.
    dual_gap_ : float
        Relative duality gap, an estimate or, with ``patterns="exact"``, a bound.
    dual_gap_abs_ : float
        The same in units of the objective.
    certificate_ : str
        "estimated": the dual constraints were checked by local search, the gap is no bound.
        "proven" with ``patterns="exact"``: it is.
    status_ : str
        Why the rounds ended: "progress", "gap", "max_iter", "interrupted", or for a gap of 50 000
        rows and more that is far out of reach "slow"; with ``patterns="exact"`` "gap" or
        "inaccurate".
    n_iter_ : int
        Number of rounds, or of iterations of the conic solver.
    history_ : dict of ndarrays of shape (n_iter_,)
        After every round: "objective", "lower_bound", "dual_gap" (relative), "n_neurons" and
        "violation", by which fraction of alpha the worst dual constraint is exceeded.
    feature_importances_ : ndarray of shape (n_features_in_,)
        ``sum_j |coefs_[0][k, j]| * ||c_j||`` of every entry k as shares of their sum; zeros for a
        constant network.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    CircularReLUClassifier : The same network with the log-loss.
    CircularLinearRegressor : Without ReLUs: a lasso, to a proven gap.
    ConvexCNNRegressor : Short filters, a ReLU at every place, and pooling.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Implicit Convex Regularizers of CNN Architectures: Convex
       Optimization of Two- and Three-Layer Networks in Polynomial Time", ICLR 2021.
       arXiv:2006.14798.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_convexnn import CircularReLURegressor
    >>> X = np.random.default_rng(0).standard_normal((150, 16))
    >>> y = np.abs(X @ np.cos(2 * np.pi * 3 * np.arange(16) / 16))
    >>> model = CircularReLURegressor("scale", random_state=0).fit(X[:100], y[:100])
    >>> bool(model.score(X[100:], y[100:]) > 0.9)
    True
    """

    _parameter_constraints = {
        **BaseCircularReLU._parameter_constraints,
        "loss": [StrOptions(set(losses_for("regression")))],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        alpha: float | Literal["auto", "scale"] = "auto",
        *,
        image_shape: tuple[int, ...] | None = None,
        loss: Literal["squared_error", "huber", "poisson"] = "squared_error",
        epsilon: float = 1.35,
        patterns: Literal["exact"] | None = None,
        fit_intercept: bool = True,
        max_neurons: int | None = None,
        max_iter: int = 50,
        tol: float = 1e-2,
        gap_tol: float | None = None,
        warm_start: bool = False,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.alpha = alpha
        self.image_shape = image_shape
        self.loss = loss
        self.epsilon = epsilon
        self.patterns = patterns
        self.fit_intercept = fit_intercept
        self.max_neurons = max_neurons
        self.max_iter = max_iter
        self.tol = tol
        self.gap_tol = gap_tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        return regression_tags(self, super().__sklearn_tags__())


class CircularReLUClassifier(NetworkClassifier, BaseCircularReLU):
    r"""Three layers of circular convolutions, weights and ReLUs for classification.

    A filter :math:`u_j` as long as the row meets it at every place, :math:`u_j \star x`, weights
    :math:`v_j` add up what it finds, and a ReLU and output weights :math:`c_j` follow. Minimises,
    with the log-loss or another ``loss``, over any number of neurons

    .. math::

        \sum_i w_i \, \ell \Bigl( y_i, \, c_0
        + \sum_j c_j \bigl( v_j^T (u_j \star x_i) + b_j \bigr)_+ \Bigr)
        + \alpha \sum_j \|c_j\|_2 \bigl( \|u_j\|_2 \|v_j\|_2 + |b_j| \bigr) ,
        \qquad \sum_i w_i = 1 ,

    with the circular correlation :math:`\star`, in which a row goes on at its other end. The least
    :math:`\|u\| \|v\|` of a neuron's weights :math:`z = u * v` is :math:`\|F z\|_1 / \sqrt d` with
    the unitary Fourier transform [1]_: neurons of few frequencies are cheap. In the measure of
    neurons the program is convex, see :ref:`convolution`; to find neurons that violate a dual
    constraint is not. They are added, moved, refitted and dropped until a round makes little
    progress.

    Parameters
    ----------
    alpha : float, "auto" or "scale", default="auto"
        Strength of the penalty, positive, for weights of sum 1. ``"auto"`` is what predicts
        held-out rows best, as in :class:`ConvexReLUClassifier`. ``"scale"`` is ``0.1 * alpha_max_ /
        sqrt(n)`` for n distinct rows.
    image_shape : tuple of int, default=None
        The shape of a row, whose axes are all circular: ``(length,)`` or ``(height, width)``. None:
        that of the rows of an ``X`` of more than two dimensions, else a signal,
        ``(n_features_in_,)``.
    loss : {"log_loss", "squared_hinge", "hinge"}, default="log_loss"
        As in :class:`ConvexReLUClassifier`.
    patterns : "exact" or None, default=None
        "exact": the convex program over all activation patterns of the rows, with a proven gap, by
        a conic solver; for a dozen rows with one output and three or four features.
    fit_intercept : bool, default=True
        Whether neurons have a bias, penalised by its absolute value, and outputs a free intercept.
    max_neurons : int, default=None
        Largest number of neurons to keep. The duality gap still refers to any number of them.
    max_iter : int, default=50
        Largest number of rounds.
    tol : float, default=1e-2
        Training stops when a round lowers the objective by less than this fraction of it, or when
        the estimated relative duality gap is below it.
    gap_tol : float, default=None
        Go on until the estimated relative duality gap is below this value instead. With
        ``patterns="exact"`` the proven gap that is to be reached, 1e-6 if None.
    warm_start : bool, default=False
        Start from the neurons of the previous fit, if there is one. The alpha of ``"auto"`` is
        chosen anew.
    random_state : int, RandomState instance or None, default=None
        Seeds the rows that are held out and the directions from which neurons are searched.
    verbose : int, default=0
        Print a line after every round.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with ``sample_weight``. They choose ``alpha``, too, but
        not the temperature.
    calibrate : bool, default=True
        Whether probabilities have a temperature ``T``, ``softmax(z / T)``, with ``alpha="auto"``
        and a loss that estimates them. Labels, objective and gap do not depend on it.

    Attributes
    ----------
    coefs_ : list of two ndarrays
        Weights as in a perceptron of one hidden layer, ``(n_features_in_, n_neurons_)`` and
        ``(n_neurons_, n_outputs_)``: the first two layers are one linear map of the row.
    intercepts_ : list of two ndarrays
        Biases of the neurons, ``(n_neurons_,)``, and of the outputs, ``(n_outputs_,)``.
    filters_ : ndarray of shape (n_neurons_, *image_shape_)
        Filters ``u`` of the first layer.
    filter_weights_ : ndarray of shape (n_neurons_, *image_shape_)
        Weights ``v`` of what the filters find at every place, each as long as its filter.
    image_shape_ : tuple of int
        The shape of a row.
    n_neurons_ : int
        Number of neurons.
    n_layers_ : int
        4, counting the input as scikit-learn's perceptrons do.
    n_outputs_ : int
        Number of outputs of the network.
    out_activation_ : str
        "logistic" or "softmax"; "identity" where scores are no log-odds.
    temperature_ : float
        With ``calibrate`` and ``alpha="auto"``: what ``predict_proba`` divides outputs by.
    classes_ : ndarray of shape (n_classes,)
        Class labels with positive weight.
    alpha_ : float
        The ``alpha`` that was used.
    alphas_ : ndarray of shape (n_alphas,)
        Of ``alpha="auto"``, if there are rows to hold out: the alphas of the path, descending.
    validation_losses_ : ndarray of shape (n_alphas,)
        With ``alphas_``: the mean loss of the held-out rows for each of ``alphas_``.
    alpha_max_ : float
        From here on the network is a constant, found by search.
    objective_ : float
        Value of the objective.
    dual_gap_ : float
        Relative duality gap, an estimate or, with ``patterns="exact"``, a bound.
    dual_gap_abs_ : float
        The same in units of the objective.
    certificate_ : str
        "estimated": the dual constraints were checked by local search, the gap is no bound.
        "proven" with ``patterns="exact"``: it is.
    status_ : str
        Why the rounds ended: "progress", "gap", "max_iter", "interrupted", or for a gap of 50 000
        rows and more that is far out of reach "slow"; with ``patterns="exact"`` "gap" or
        "inaccurate".
    n_iter_ : int
        Number of rounds, or of iterations of the conic solver.
    history_ : dict of ndarrays of shape (n_iter_,)
        After every round: "objective", "lower_bound", "dual_gap" (relative), "n_neurons" and
        "violation", by which fraction of alpha the worst dual constraint is exceeded.
    feature_importances_ : ndarray of shape (n_features_in_,)
        ``sum_j |coefs_[0][k, j]| * ||c_j||`` of every entry k as shares of their sum; zeros for a
        constant network.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    CircularReLURegressor : The same network with the squared error.
    LinearCNNClassifier : Short filters without ReLUs, to a proven gap.
    ConvexCNNClassifier : Short filters, a ReLU at every place, and pooling.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Implicit Convex Regularizers of CNN Architectures: Convex
       Optimization of Two- and Three-Layer Networks in Polynomial Time", ICLR 2021.
       arXiv:2006.14798.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_convexnn import CircularReLUClassifier
    >>> X = np.random.default_rng(0).standard_normal((150, 16))
    >>> y = np.abs(X @ np.cos(2 * np.pi * 3 * np.arange(16) / 16)) > 2
    >>> model = CircularReLUClassifier("scale", random_state=0).fit(X[:100], y[:100])
    >>> bool(model.score(X[100:], y[100:]) > 0.8)
    True
    """

    _parameter_constraints = {
        **BaseCircularReLU._parameter_constraints,
        "loss": [StrOptions(set(losses_for("classification")))],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "calibrate": ["boolean"],
    }

    def __init__(
        self,
        alpha: float | Literal["auto", "scale"] = "auto",
        *,
        image_shape: tuple[int, ...] | None = None,
        loss: Literal["log_loss", "squared_hinge", "hinge"] = "log_loss",
        patterns: Literal["exact"] | None = None,
        fit_intercept: bool = True,
        max_neurons: int | None = None,
        max_iter: int = 50,
        tol: float = 1e-2,
        gap_tol: float | None = None,
        warm_start: bool = False,
        random_state: RandomState = None,
        verbose: int = 0,
        class_weight: ClassWeight = None,
        calibrate: bool = True,
    ) -> None:
        self.alpha = alpha
        self.image_shape = image_shape
        self.loss = loss
        self.patterns = patterns
        self.fit_intercept = fit_intercept
        self.max_neurons = max_neurons
        self.max_iter = max_iter
        self.tol = tol
        self.gap_tol = gap_tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.class_weight = class_weight
        self.calibrate = calibrate
