"""The public estimators: parallel networks of three layers for regression and classification."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Literal

from sklearn_convexnn._base_parallel import BaseParallelReLU
from sklearn_convexnn._losses import losses_for, regression_tags
from sklearn_convexnn._prediction import NetworkClassifier, NetworkRegressor
from sklearn_convexnn._validation import Interval, StrOptions

if TYPE_CHECKING:
    from sklearn_convexnn._typing import ClassWeight, RandomState


class ParallelReLURegressor(NetworkRegressor, BaseParallelReLU):
    r"""Parallel three-layer ReLU network for regression, trained by column generation.

    A sub-network k has ``hidden_units`` units with weights :math:`u_{kj}` and biases
    :math:`b_{kj}`, and one output, which goes through a ReLU again. With signs :math:`s_j = 1` for
    the first half of the units, rounded up, and -1 for the others, the outputs of the network are

    .. math::

        z(x) = c_0 + \sum_k c_k \Bigl( \sum_j s_j (x^T u_{kj} + b_{kj})_+ \Bigr)_+ .

    Minimises, with :math:`\ell(y, z) = \tfrac12 \|y - z\|^2` or another ``loss``,

    .. math::

        \sum_i w_i \, \ell(y_i, z(x_i)) + \alpha \sum_k \|c_k\|_2 \, \Omega(U_k) ,
        \qquad \sum_i w_i = 1 ,

    over any number of sub-networks, with :math:`\Omega` the Frobenius norm of the weights and
    biases of a sub-network (the norm of its paths [1]_), or the sum of the lengths of its units
    (weight decay behind a first layer of norm one [2]_). In the measure of sub-networks the program
    is convex, see :ref:`parallel`; to find sub-networks that violate a dual constraint is not. They
    are added, moved, refitted and dropped until a round makes little progress.

    Parameters
    ----------
    alpha : float, "auto" or "scale", default="auto"
        Strength of the penalty, positive, for weights of sum 1. ``"auto"`` is what predicts
        held-out rows best, as in :class:`ConvexReLURegressor`. ``"scale"`` is ``0.1 * alpha_max_ /
        sqrt(n)`` for n distinct rows. With ``penalty="path"`` one value of it means different
        things for different ``hidden_units``.
    hidden_units : int, default=4
        Units of a sub-network. With one of them this is the network of
        :class:`ConvexReLURegressor`.
    penalty : {"path", "decay"}, default="path"
        Norm of a sub-network: "path" is the root of the sum of the squares of all products of
        weights along paths, "decay" the sum of the lengths of its units. Enough units reach the
        optimum over any number of them with "decay" only: with "path" equal units share their
        cost, so that more of them lower the objective.
    loss : {"squared_error", "huber", "poisson"}, default="squared_error"
        As in :class:`ConvexReLURegressor`.
    epsilon : float, default=1.35
        Of the Huber loss, as in :class:`ConvexReLURegressor`.
    fit_intercept : bool, default=True
        Whether units have a bias, penalised like their other weights, and outputs a free
        intercept.
    max_neurons : int, default=None
        Largest number of sub-networks to keep. The duality gap still refers to any number of them.
    max_iter : int, default=50
        Largest number of rounds.
    tol : float, default=1e-2
        Training stops when a round lowers the objective by less than this fraction of it, or when
        the estimated relative duality gap is below it.
    gap_tol : float, default=None
        Go on until the estimated relative duality gap is below this value instead.
    warm_start : bool, default=False
        Start from the sub-networks of the previous fit, if there is one. The alpha of ``"auto"`` is
        chosen anew.
    random_state : int, RandomState instance or None, default=None
        Seeds the rows that are held out and the directions from which sub-networks are searched.
    verbose : int, default=0
        Print a line after every round.

    Attributes
    ----------
    coefs_ : list of three ndarrays
        Weights as in a perceptron of two hidden layers: of all units, ``(n_features_in_,
        hidden_units * n_neurons_)``, those of a sub-network side by side; of the sub-networks,
        ``(hidden_units * n_neurons_, n_neurons_)``, the signs of the units in blocks on the
        diagonal and zeros elsewhere; of the outputs, ``(n_neurons_, n_outputs_)``. Every
        sub-network is balanced: its norm is the length of its output weights.
    intercepts_ : list of three ndarrays
        Biases of the units, ``(hidden_units * n_neurons_,)``, of the sub-networks, zeros
        ``(n_neurons_,)``, and of the outputs, ``(n_outputs_,)``.
    n_neurons_ : int
        Number of sub-networks.
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
        Relative duality gap, an estimate.
    dual_gap_abs_ : float
        Duality gap in units of the objective, an estimate.
    certificate_ : str
        "estimated": the dual constraints were checked by local search, the gap is no bound.
    status_ : str
        Why the rounds ended: "progress", "gap", "max_iter", "interrupted", or for a gap of 50 000
        rows and more that is far out of reach "slow".
    n_iter_ : int
        Number of rounds.
    history_ : dict of ndarrays of shape (n_iter_,)
        After every round: "objective", "lower_bound", "dual_gap" (relative), "n_neurons" and
        "violation", by which fraction of alpha the worst dual constraint is exceeded.
    feature_importances_ : ndarray of shape (n_features_in_,)
        Sums of the absolute weights of the paths from every input, ``sum_kj |u_kj| * ||c_k||``, as
        shares of their sum; zeros for a constant network. For inputs of one scale.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    ParallelReLUClassifier : The same network with the log-loss.
    ConvexReLURegressor : Two layers, faster and with proofs for few features.
    DeepReLURegressor : Closed forms of deep networks for special rows.

    Notes
    -----
    A third layer seldom predicts better and takes 1.4 to six times as long: measured in
    :ref:`parallel`. Features should be on comparable scales (``StandardScaler``).

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Path Regularization: A Convexity and Sparsity Inducing
       Regularization for Parallel ReLU Networks", arXiv:2110.09548.
    .. [2] T. Ergen and M. Pilanci, "Global Optimality Beyond Two Layers: Training Deep ReLU
       Networks via Convex Programs", ICML 2021. arXiv:2110.05518.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_convexnn import ParallelReLURegressor
    >>> X = np.random.default_rng(0).standard_normal((100, 2))
    >>> y = np.maximum(0, np.abs(X[:, 0]) - np.abs(X[:, 1]))
    >>> model = ParallelReLURegressor("scale", random_state=0)
    >>> model.fit(X[:80], y[:80]).score(X[80:], y[80:]) > 0.9
    True
    """

    _parameter_constraints = {
        **BaseParallelReLU._parameter_constraints,
        "loss": [StrOptions(set(losses_for("regression")))],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        alpha: float | Literal["auto", "scale"] = "auto",
        *,
        hidden_units: int = 4,
        penalty: Literal["path", "decay"] = "path",
        loss: Literal["squared_error", "huber", "poisson"] = "squared_error",
        epsilon: float = 1.35,
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
        self.hidden_units = hidden_units
        self.penalty = penalty
        self.loss = loss
        self.epsilon = epsilon
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


class ParallelReLUClassifier(NetworkClassifier, BaseParallelReLU):
    r"""Parallel three-layer ReLU network for classification, trained by column generation.

    A sub-network k has ``hidden_units`` units with weights :math:`u_{kj}` and biases
    :math:`b_{kj}`, and one output, which goes through a ReLU again. With signs :math:`s_j = 1` for
    the first half of the units, rounded up, and -1 for the others, the outputs of the network are

    .. math::

        z(x) = c_0 + \sum_k c_k \Bigl( \sum_j s_j (x^T u_{kj} + b_{kj})_+ \Bigr)_+ .

    Minimises, with the log-loss or another ``loss``,

    .. math::

        \sum_i w_i \, \ell(y_i, z(x_i)) + \alpha \sum_k \|c_k\|_2 \, \Omega(U_k) ,
        \qquad \sum_i w_i = 1 ,

    over any number of sub-networks, with :math:`\Omega` the Frobenius norm of the weights and
    biases of a sub-network (the norm of its paths [1]_), or the sum of the lengths of its units
    (weight decay behind a first layer of norm one [2]_). In the measure of sub-networks the program
    is convex, see :ref:`parallel`; to find sub-networks that violate a dual constraint is not. They
    are added, moved, refitted and dropped until a round makes little progress.

    Parameters
    ----------
    alpha : float, "auto" or "scale", default="auto"
        Strength of the penalty, positive, for weights of sum 1. ``"auto"`` is what predicts
        held-out rows best, as in :class:`ConvexReLUClassifier`. ``"scale"`` is ``0.1 * alpha_max_ /
        sqrt(n)`` for n distinct rows. With ``penalty="path"`` one value of it means different
        things for different ``hidden_units``.
    hidden_units : int, default=4
        Units of a sub-network. With one of them this is the network of
        :class:`ConvexReLUClassifier`.
    penalty : {"path", "decay"}, default="path"
        Norm of a sub-network: "path" is the root of the sum of the squares of all products of
        weights along paths, "decay" the sum of the lengths of its units. Enough units reach the
        optimum over any number of them with "decay" only: with "path" equal units share their
        cost, so that more of them lower the objective.
    loss : {"log_loss", "squared_hinge", "hinge"}, default="log_loss"
        As in :class:`ConvexReLUClassifier`.
    fit_intercept : bool, default=True
        Whether units have a bias, penalised like their other weights, and outputs a free
        intercept.
    max_neurons : int, default=None
        Largest number of sub-networks to keep. The duality gap still refers to any number of them.
    max_iter : int, default=50
        Largest number of rounds.
    tol : float, default=1e-2
        Training stops when a round lowers the objective by less than this fraction of it, or when
        the estimated relative duality gap is below it.
    gap_tol : float, default=None
        Go on until the estimated relative duality gap is below this value instead.
    warm_start : bool, default=False
        Start from the sub-networks of the previous fit, if there is one. The alpha of ``"auto"`` is
        chosen anew.
    random_state : int, RandomState instance or None, default=None
        Seeds the rows that are held out and the directions from which sub-networks are searched.
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
    coefs_ : list of three ndarrays
        Weights as in a perceptron of two hidden layers: of all units, ``(n_features_in_,
        hidden_units * n_neurons_)``, those of a sub-network side by side; of the sub-networks,
        ``(hidden_units * n_neurons_, n_neurons_)``, the signs of the units in blocks on the
        diagonal and zeros elsewhere; of the outputs, ``(n_neurons_, n_outputs_)``. Every
        sub-network is balanced: its norm is the length of its output weights.
    intercepts_ : list of three ndarrays
        Biases of the units, ``(hidden_units * n_neurons_,)``, of the sub-networks, zeros
        ``(n_neurons_,)``, and of the outputs, ``(n_outputs_,)``.
    n_neurons_ : int
        Number of sub-networks.
    n_layers_ : int
        4, counting the input as scikit-learn's perceptrons do.
    n_outputs_ : int
        Number of outputs of the network.
    out_activation_ : str
        "logistic" or "softmax"; "identity" where scores are no log-odds.
    temperature_ : float
        With ``calibrate``: what ``predict_proba`` divides outputs by; 1 for a given alpha.
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
        Relative duality gap, an estimate.
    dual_gap_abs_ : float
        Duality gap in units of the objective, an estimate.
    certificate_ : str
        "estimated": the dual constraints were checked by local search, the gap is no bound.
    status_ : str
        Why the rounds ended: "progress", "gap", "max_iter", "interrupted", or for a gap of 50 000
        rows and more that is far out of reach "slow".
    n_iter_ : int
        Number of rounds.
    history_ : dict of ndarrays of shape (n_iter_,)
        After every round: "objective", "lower_bound", "dual_gap" (relative), "n_neurons" and
        "violation", by which fraction of alpha the worst dual constraint is exceeded.
    feature_importances_ : ndarray of shape (n_features_in_,)
        Sums of the absolute weights of the paths from every input, ``sum_kj |u_kj| * ||c_k||``, as
        shares of their sum; zeros for a constant network. For inputs of one scale.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    ParallelReLURegressor : The same network with the squared error.
    ConvexReLUClassifier : Two layers, faster and with proofs for few features.
    DeepReLUClassifier : Closed forms of deep networks for special rows.

    Notes
    -----
    A third layer seldom predicts better and takes 1.4 to six times as long: measured in
    :ref:`parallel`. Features should be on comparable scales (``StandardScaler``).

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Path Regularization: A Convexity and Sparsity Inducing
       Regularization for Parallel ReLU Networks", arXiv:2110.09548.
    .. [2] T. Ergen and M. Pilanci, "Global Optimality Beyond Two Layers: Training Deep ReLU
       Networks via Convex Programs", ICML 2021. arXiv:2110.05518.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_convexnn import ParallelReLUClassifier
    >>> X = np.random.default_rng(0).standard_normal((120, 2))
    >>> y = np.abs(X[:, 0]) > np.abs(X[:, 1])
    >>> model = ParallelReLUClassifier("scale", random_state=0)
    >>> model.fit(X[:100], y[:100]).score(X[100:], y[100:]) > 0.8
    True
    """

    _parameter_constraints = {
        **BaseParallelReLU._parameter_constraints,
        "loss": [StrOptions(set(losses_for("classification")))],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "calibrate": ["boolean"],
    }

    def __init__(
        self,
        alpha: float | Literal["auto", "scale"] = "auto",
        *,
        hidden_units: int = 4,
        penalty: Literal["path", "decay"] = "path",
        loss: Literal["log_loss", "squared_hinge", "hinge"] = "log_loss",
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
        self.hidden_units = hidden_units
        self.penalty = penalty
        self.loss = loss
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
