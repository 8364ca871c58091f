"""The public estimators: deep ReLU networks in closed form."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from sklearn_convexnn._base import BaseNetwork, Outcome, fit_method
from sklearn_convexnn._prediction import NetworkRegressor, ScoreClassifier
from sklearn_convexnn._validation import Interval, StrOptions
from sklearn_convexnn.core.deep.relu_closed_forms import forward, solve_deep_relu

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import ClassWeight, RandomState

_SCALE = 0.01  # alpha="scale", as a fraction of alpha_max_


class BaseDeepReLU(BaseNetwork):
    """Parameters and fit of the deep ReLU estimators."""

    _without_penalty = None  # interpolation
    _parameter_constraints = {
        "n_layers": [Interval(Integral, 2, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"scale"})],
        "batch_norm": ["boolean"],
        "whiten": ["boolean"],
        "hidden_width": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    @fit_method
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Build the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows. Float32 is kept, everything else becomes float64.
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
        if self.batch_norm and self.whiten:
            raise ValueError(
                "batch_norm=True needs no whitened rows: set whiten=False (or batch_norm=False)."
            )

    def _solve(self, data, progress):
        targets = self._encode_targets(data.y, data.weights)
        solution = solve_deep_relu(
            data.X,
            targets.columns,
            data.weights,
            alpha=None if self.alpha == "scale" else float(self.alpha),
            scale=_SCALE,
            n_layers=self.n_layers,
            batch_norm=self.batch_norm,
            whiten=self.whiten,
            width=self.hidden_width,
            rng=self._rng(),
        )
        network, dtype = solution.network, data.X.dtype
        whitening = network.whitening
        attributes = {
            **targets.attributes,
            **self._end_of(solution),
            "coefs_": [W.astype(dtype) for W in network.coefs],
            "intercepts_": [b.astype(dtype) for b in network.intercepts],
            "batch_norm_": network.batch_norm
            and {name: values.astype(dtype) for name, values in network.batch_norm.items()},
            "whitening_": None if whitening is None else whitening.astype(dtype),
            "condition_": solution.condition,
            "n_paths_": network.coefs[-1].shape[0],
            "n_layers_": self.n_layers + 1,  # with the input, as scikit-learn's perceptrons count
            "n_outputs_": network.coefs[-1].shape[1],
            "out_activation_": "identity",
            "alpha_": float(solution.alpha),
            "alpha_max_": float(solution.alpha_max),
        }
        return Outcome(solution, attributes)

    def _outputs(self, X):
        """Outputs of the network, shape (n_samples, n_outputs_)."""
        return forward(self._validate_rows(X), **self._network())

    def _network(self):
        return {
            "coefs": self.coefs_,
            "intercepts": self.intercepts_,
            "batch_norm": self.batch_norm_,
            "whitening": self.whitening_,
        }

    def hidden_activations(self, X: ArrayLike) -> np.ndarray:
        """Activations of the last hidden layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_paths_)
            After batch normalisation, if there is any, and the ReLU.
        """
        return forward(self._validate_rows(X), **self._network(), hidden=True)


class DeepReLURegressor(NetworkRegressor, BaseDeepReLU):
    r"""Deep ReLU network for regression, in closed form where one exists.

    Minimises, for the networks :math:`f(x) = ((x^T W_1)_+ \cdots W_{L-1})_+ W_L`,

    .. math::

        \sum_i w_i \, \tfrac12 \| y_i - f(x_i) \|_2^2
        + \tfrac{\alpha}{2} \sum_{l=1}^L \| W_l \|_F^2 , \qquad \sum_i w_i = 1 ,

    for data that meet one of the conditions of [1]_: orthogonal rows (``whiten=True`` makes rows of
    full row rank so), rows on one line through the origin, or, with ``batch_norm=True``, any rows
    that a wide random layer tells apart. Every row may have at most one non-zero target, so that
    one output is always possible. The targets fall into paths, one for each sign of each output,
    and the network is a chain of single neurons for each path.

    Parameters
    ----------
    n_layers : int, default=3
        Number of weight matrices, at least 2.
    alpha : float or "scale", default="scale"
        Strength of the weight decay, for weights of sum 1 (a mean over rows). ``"scale"`` is ``0.01
        * alpha_max_``; 0 is the limit of vanishing weight decay, which interpolates.
    batch_norm : bool, default=False
        Batch normalisation in the last hidden layer, with the decay on its scale and shift and on
        the output weights. For more than two layers the first one has random weights and, unless
        ``hidden_width`` says otherwise, two neurons for each distinct row.
    whiten : bool, default=False
        Replace the rows by their coordinates ``X @ pinv(X_train)``, which are orthonormal on the
        training rows. Needs linearly independent rows.
    hidden_width : int, default=None
        Neurons of the random layer of ``batch_norm=True``, at least the number of distinct rows.
    random_state : int, RandomState instance or None, default=None
        Seeds the random layer of ``batch_norm=True``.
    verbose : int, default=0
        Print a line at the end.

    Attributes
    ----------
    coefs_ : list of n_layers ndarrays
        Weights of the layers.
    intercepts_ : list of n_layers ndarrays
        Biases: zero but for the random layer of ``batch_norm=True``.
    batch_norm_ : dict of ndarrays of shape (n_paths_,), or None
        "mean", "std", "gamma" (scale) and "shift" of the last hidden layer.
    whitening_ : ndarray of shape (n_features_in_, n_rows), or None
        The map that was applied to the rows before the first layer.
    condition_ : {"orthogonal_rows", "whitened_rows", "rank_one", "batch_norm"}
        The condition that the data met.
    n_paths_ : int
        Number of neurons of the last hidden layer.
    n_layers_ : int
        ``n_layers + 1``, counting the input as scikit-learn's perceptrons do.
    n_outputs_ : int
        Number of outputs of the network.
    out_activation_ : str
        "identity".
    alpha_ : float
        The ``alpha`` that was used.
    alpha_max_ : float
        From this ``alpha`` on the network is proven to be zero. The least one for two layers and
        for ``batch_norm=True``.
    objective_ : float
        Value of the objective, by the formula.
    dual_gap_ : float
        Relative gap between the objective and a proven lower bound, ``dual_gap_abs_ /
        objective_``.
    dual_gap_abs_ : float
        The same in units of the objective.
    certificate_ : {"exact", "proven"}
        "exact": the closed form is proven to be optimal: two layers, one path, rows on a line,
        ``batch_norm=True``. "proven": three layers or more and several paths. The form is then
        the best network of independent chains; networks whose paths share neurons can be better
        (with two outputs of both signs by a tenth), by at most the gap.
    status_ : str
        "closed_form".
    n_iter_ : int
        1.
    history_ : dict of ndarrays of shape (1,)
        "objective", "lower_bound", "dual_gap" (relative) and "n_paths".
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    DeepReLUClassifier : The same networks for class indicators.
    ConvexReLURegressor : Two layers, any data.

    Notes
    -----
    The networks fit the training rows as closely as ``alpha`` allows; on new rows they are not more
    than an interpolation, and are meant for the study of what training converges to.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Revealing the Structure of Deep Neural Networks via Convex
       Duality", ICML 2021. arXiv:2002.09773 (Section 4).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_convexnn import DeepReLURegressor
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.standard_normal((6, 10)), rng.standard_normal(6)
    >>> model = DeepReLURegressor(whiten=True).fit(X, y)
    >>> [W.shape for W in model.coefs_]
    [(6, 2), (2, 2), (2, 1)]
    >>> bool(DeepReLURegressor(alpha=0, whiten=True).fit(X, y).score(X, y) > 1 - 1e-12)
    True
    """

    def __init__(
        self,
        n_layers: int = 3,
        alpha: float | Literal["scale"] = "scale",
        *,
        batch_norm: bool = False,
        whiten: bool = False,
        hidden_width: int | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.n_layers = n_layers
        self.alpha = alpha
        self.batch_norm = batch_norm
        self.whiten = whiten
        self.hidden_width = hidden_width
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class DeepReLUClassifier(ScoreClassifier, BaseDeepReLU):
    r"""Deep ReLU network for classification, in closed form where one exists.

    Minimises, for the networks :math:`f(x) = ((x^T W_1)_+ \cdots W_{L-1})_+ W_L` and the class
    indicators :math:`y_i`,

    .. math::

        \sum_i w_i \, \tfrac12 \| y_i - f(x_i) \|_2^2
        + \tfrac{\alpha}{2} \sum_{l=1}^L \| W_l \|_F^2 , \qquad \sum_i w_i = 1 ,

    for data that meet one of the conditions of [1]_: orthogonal rows (``whiten=True`` makes rows of
    full row rank so), rows on one line through the origin, or, with ``batch_norm=True``, any rows
    that a wide random layer tells apart. The network is a chain of single neurons for each class;
    with batch normalisation the activations of a class are all equal, and the classes form a
    simplex (Neural Collapse).

    Parameters
    ----------
    n_layers : int, default=3
        Number of weight matrices, at least 2.
    alpha : float or "scale", default="scale"
        Strength of the weight decay, for weights of sum 1 (a mean over rows). ``"scale"`` is ``0.01
        * alpha_max_``; 0 is the limit of vanishing weight decay, which interpolates.
    batch_norm : bool, default=False
        Batch normalisation in the last hidden layer, with the decay on its scale and shift and on
        the output weights. For more than two layers the first one has random weights and, unless
        ``hidden_width`` says otherwise, two neurons for each distinct row.
    whiten : bool, default=False
        Replace the rows by their coordinates ``X @ pinv(X_train)``, which are orthonormal on the
        training rows. Needs linearly independent rows.
    hidden_width : int, default=None
        Neurons of the random layer of ``batch_norm=True``, at least the number of distinct rows.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with ``sample_weight``.
    random_state : int, RandomState instance or None, default=None
        Seeds the random layer of ``batch_norm=True``.
    verbose : int, default=0
        Print a line at the end.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels with positive weight.
    coefs_ : list of n_layers ndarrays
        Weights of the layers.
    intercepts_ : list of n_layers ndarrays
        Biases: zero but for the random layer of ``batch_norm=True``.
    batch_norm_ : dict of ndarrays of shape (n_paths_,), or None
        "mean", "std", "gamma" (scale) and "shift" of the last hidden layer.
    whitening_ : ndarray of shape (n_features_in_, n_rows), or None
        The map that was applied to the rows before the first layer.
    condition_ : {"orthogonal_rows", "whitened_rows", "rank_one", "batch_norm"}
        The condition that the data met.
    n_paths_ : int
        Number of neurons of the last hidden layer.
    n_layers_ : int
        ``n_layers + 1``, counting the input as scikit-learn's perceptrons do.
    n_outputs_ : int
        Number of outputs of the network, one per class.
    out_activation_ : str
        "identity".
    alpha_ : float
        The ``alpha`` that was used.
    alpha_max_ : float
        From this ``alpha`` on the network is proven to be zero. The least one for two layers and
        for ``batch_norm=True``.
    objective_ : float
        Value of the objective, by the formula.
    dual_gap_ : float
        Relative gap between the objective and a proven lower bound, ``dual_gap_abs_ /
        objective_``.
    dual_gap_abs_ : float
        The same in units of the objective.
    certificate_ : {"exact", "proven"}
        "exact": the closed form is proven to be optimal: two layers, rows on a line,
        ``batch_norm=True``. "proven": three layers or more. The form is then the best network
        of independent chains; from about five layers on networks whose classes share neurons can be
        better, by at most the gap.
    status_ : str
        "closed_form".
    n_iter_ : int
        1.
    history_ : dict of ndarrays of shape (1,)
        "objective", "lower_bound", "dual_gap" (relative) and "n_paths".
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    DeepReLURegressor : The same networks for regression.
    sklearn_convexnn.inspection.neural_collapse : Measures of Neural Collapse for any features.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Revealing the Structure of Deep Neural Networks via Convex
       Duality", ICML 2021. arXiv:2002.09773 (Section 4).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_convexnn import DeepReLUClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = DeepReLUClassifier(batch_norm=True, random_state=0).fit(X, y)
    >>> model.score(X, y), model.certificate_, model.n_paths_
    (1.0, 'exact', 3)
    """

    _parameter_constraints = {
        **BaseDeepReLU._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        n_layers: int = 3,
        alpha: float | Literal["scale"] = "scale",
        *,
        batch_norm: bool = False,
        whiten: bool = False,
        hidden_width: int | None = None,
        class_weight: ClassWeight = None,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.n_layers = n_layers
        self.alpha = alpha
        self.batch_norm = batch_norm
        self.whiten = whiten
        self.hidden_width = hidden_width
        self.class_weight = class_weight
        self.random_state = random_state
        self.verbose = verbose

    def _encode_targets(self, y, weights):
        targets = super()._encode_targets(y, weights)
        second = targets.columns
        if second.shape[1] == 1:  # the theorem is about one column per class
            targets = targets._replace(columns=np.hstack([1.0 - second, second]))
        return targets

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Outputs of the network: one score per class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes the second output less the first: positive values mean ``classes_[1]``.
        """
        Z = self._outputs(X)
        return Z[:, 1] - Z[:, 0] if Z.shape[1] == 2 else Z
