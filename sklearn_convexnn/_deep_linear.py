"""The public estimators: deep linear networks for regression and classification."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from sklearn.utils.metaestimators import available_if

from sklearn_convexnn._base import BaseNetwork, Outcome, fit_method
from sklearn_convexnn._importances import InputImportances
from sklearn_convexnn._losses import trait
from sklearn_convexnn._prediction import NetworkClassifier, NetworkRegressor
from sklearn_convexnn._validation import Interval, StrOptions
from sklearn_convexnn.core.deep.linear import make_deep_linear
from sklearn_convexnn.core.fit.held_out import given_alpha
from sklearn_convexnn.core.fit.linear_alpha import choose_linear_alpha
from sklearn_convexnn.core.problem.training_set import TrainingSet

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import ClassWeight, MatrixLike

SCALE = 0.01  # alpha="scale", as a fraction of alpha_max_


class BaseDeepLinear(InputImportances, BaseNetwork):
    """Parameters and fit of the deep linear estimators; a subclass says which loss."""

    _parameter_constraints = {
        "n_layers": [Interval(Integral, 2, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto", "scale"})],
        "penalty": [StrOptions({"weight_decay", "layer_norm"})],
        "hidden_width": [Interval(Integral, 1, None, closed="left"), None],
        "fit_intercept": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "verbose": ["verbose"],
    }
    _takes_sparse = True
    _compares_columns = True
    # What the hidden neurons are, for those who would take them for ReLUs.
    _hidden = "linear"
    _without_penalty = "the layers are not determined (LinearRegression has none)"

    @fit_method
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. Float32 is kept, everything else becomes float64; sparse input becomes
            CSR and is not made dense.
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

    def _solve(self, data, progress):
        problem, targets = self._problem(data)
        alpha_max = problem.alpha_max()
        choice = self._choice(data, targets, alpha_max)
        outcome = self._solve_for(problem, targets, choice.alpha, alpha_max, data.X.dtype)
        outcome.attributes.update(choice.attributes)
        return outcome

    def _choice(self, data, targets, alpha_max):
        """The Choice that the parameter ``alpha`` asks for."""
        scale = SCALE * alpha_max
        if self.alpha != "auto":
            return given_alpha(scale if self.alpha == "scale" else float(self.alpha))
        rows = TrainingSet.of(
            data.X,
            targets.columns,
            data.weights,
            loss=self._loss(),
            intercept=self.fit_intercept,
            sample_weights=data.sample_weights,
        )
        return choose_linear_alpha(
            rows,
            alpha_max,
            scale,
            classify=targets.classes is not None,
            # Distinct rows come in an order of their own: the folds need no seed to be one's own.
            rng=np.random.default_rng(0),
            make=self._maker(),
            width=getattr(self, "hidden_width", None),
        )

    def _problem(self, data):
        """The training problem and the Targets."""
        targets = self._encode_targets(data.y, data.weights)
        return self._maker()(data.X, targets.columns, data.weights), targets

    def _maker(self):
        """What makes a problem of rows, targets and weights."""
        return partial(
            make_deep_linear,
            n_layers=self.n_layers,
            penalty=self.penalty,
            loss=self._loss(),
            intercept=self.fit_intercept,
            width=self.hidden_width,
        )

    def _loss(self):
        return "squared_error"

    def _solve_for(self, problem, targets, alpha, alpha_max, dtype):
        """The Outcome of one alpha."""
        # Targets without signal have alpha_max = 0: any positive alpha gives the constant network.
        positive = alpha if alpha > 0 else 1.0
        solution = problem.solve(positive, tol=self.tol, max_iter=self.max_iter)
        network = solution.network
        layers = network.layers(self.n_layers, self.hidden_width)
        attributes = {
            **self._function(targets, network, dtype),
            **self._end_of(solution),
            "coefs_": [np.ascontiguousarray(W, dtype=dtype) for W in layers],
            "singular_values_": network.sizes.astype(dtype),
            "rank_": len(network.sizes),
            "n_layers_": self.n_layers + 1,  # with the input, as scikit-learn's perceptrons count
            "n_outputs_": len(network.intercept),
            "alpha_": float(alpha),
            "alpha_max_": float(alpha_max),
        }
        return Outcome(solution, attributes)

    def _function(self, targets, network, dtype):
        """What predictions need."""
        width = len(network.sizes) if self.hidden_width is None else self.hidden_width
        hidden = [np.zeros(width, dtype=dtype) for _ in range(self.n_layers - 1)]
        return {
            **targets.attributes,
            "out_activation_": self._output_activation(targets),
            "effective_coef_": network.coef.astype(dtype),
            "intercepts_": [*hidden, network.intercept.astype(dtype)],
        }

    def _outputs(self, X):
        """Network outputs before the output activation, shape (n_samples, n_outputs_)."""
        return np.asarray(self._validate_rows(X) @ self.effective_coef_) + self.intercepts_[-1]

    def _input_sizes(self):
        return np.linalg.norm(self.effective_coef_, axis=1)


class DeepLinearRegressor(NetworkRegressor, BaseDeepLinear):
    r"""Deep linear network for regression, solved in closed or convex form.

    Minimises, over the weights :math:`W_1, \dots, W_L` of a network without activations and a free
    intercept,

    .. math::

        \sum_i w_i \, \tfrac12 \| y_i - b - (W_1 \cdots W_L)^T x_i \|_2^2
        + \tfrac{\alpha}{2} \sum_{l=1}^L \| W_l \|_F^2 , \qquad \sum_i w_i = 1 .

    In the product :math:`W` of the layers the least penalty is :math:`\tfrac{\alpha L}{2} \sum_i
    \sigma_i(W)^{2/L}` [1]_: the nuclear norm for two layers, a convex problem, solved to a proven
    gap. For more layers it is not convex [2]_, but its global minimum is still found, with proof,
    for one output and for whitened data, and often otherwise; ``dual_gap_`` and ``certificate_``
    say so. Optimal layers share the singular values :math:`\sigma_i^{1/L}` and have aligned
    singular vectors, and that is how they are returned.

    Parameters
    ----------
    n_layers : int, default=2
        Number of weight matrices, at least 2.
    alpha : float, "auto" or "scale", default="auto"
        Strength of the penalty, positive, for weights of sum 1 (a mean over rows). ``"auto"``
        halves it from ``alpha_max_`` on and refines; it takes the value with the least loss of
        held-out rows, a fifth of the distinct rows or, of few, up to three times a fifth. Below 20
        rows it is ``"scale"``, which is ``0.01 * alpha_max_``.
    penalty : {"weight_decay", "layer_norm"}, default="weight_decay"
        ``"layer_norm"`` is :math:`\tfrac{\alpha}{L} \sum_l \|W_l\|_F^L`, summed over parallel
        branches of width one, which are the hidden neurons: then the least penalty is
        :math:`\alpha \|W\|_*` and the problem convex at every depth.
    hidden_width : int, default=None
        Number of neurons of the hidden layers; neurons that are not needed are zero. None: as many
        as the rank of the solution. A width below that rank makes the problem non-convex.
    fit_intercept : bool, default=True
        Whether the outputs have an intercept, which is not penalised.
    max_iter : int, default=50
        Largest number of rounds of the convex solver.
    tol : float, default=1e-8
        Relative duality gap at which the convex solver stops.
    verbose : int, default=0
        Print a line at the end.

    Attributes
    ----------
    coefs_ : list of n_layers ndarrays
        Weights of the layers, of shapes ``(n_features_in_, m)``, ``(m, m)``, ..., ``(m,
        n_outputs_)``.
    intercepts_ : list of n_layers ndarrays
        Zeros for the hidden layers, and the intercept of the outputs.
    effective_coef_ : ndarray of shape (n_features_in_, n_outputs_)
        Product of the layers.
    singular_values_ : ndarray of shape (rank_,)
        Singular values of ``effective_coef_``, in decreasing order.
    rank_ : int
        Rank of ``effective_coef_``.
    n_layers_ : int
        ``n_layers + 1``, counting the input as scikit-learn's perceptrons do.
    n_outputs_ : int
        Number of outputs of the network.
    out_activation_ : str
        "identity".
    alpha_ : float
        The ``alpha`` that was used.
    alphas_ : ndarray of shape (n_alphas,)
        For ``alpha="auto"`` the values that were tried, in decreasing order.
    validation_losses_ : ndarray of shape (n_alphas,)
        Their mean loss of held-out rows.
    alpha_max_ : float
        From this ``alpha`` on the constant network is proven optimal. The least one where the
        penalty is the nuclear norm.
    objective_ : float
        Value of the objective.
    dual_gap_ : float
        Relative gap between the objective and a proven lower bound, ``dual_gap_abs_ /
        objective_``.
    dual_gap_abs_ : float
        The same in units of the objective.
    certificate_ : {"exact", "proven"}
        "exact": the objective is proven to be the global optimum up to ``dual_gap_``, which is at
        the level of ``tol``. "proven": the best stationary point found, with a proven lower
        bound that may be loose.
    status_ : str
        Why the solver ended: "gap", "stationary" (the best stationary point found of a problem that
        is not convex) or "max_iter".
    n_iter_ : int
        Number of rounds, or of starting points of a non-convex problem.
    history_ : dict of ndarrays of shape (1,)
        "objective", "lower_bound", "dual_gap" (relative) and "rank", at the end.
    feature_importances_ : ndarray of shape (n_features_in_,)
        Lengths of the rows of ``effective_coef_`` as shares of their sum; zeros for a constant
        network. For inputs of one scale: see :ref:`importances`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    DeepLinearClassifier : The same network for classification.
    DeepLinearRegressorCV : With ``alpha`` chosen by cross-validation.
    sklearn_convexnn.inspection.layer_alignment : Rank and alignment of the layers of any network.

    Notes
    -----
    After one pass over the rows, that for :math:`X^T X`, the work does not depend on their number;
    a second pass confirms the certificate. The smaller of the numbers of rows and of features
    should be at most some thousands.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Revealing the Structure of Deep Neural Networks via Convex
       Duality", ICML 2021. arXiv:2002.09773 (Section 3).
    .. [2] Y. Wang, T. Ergen and M. Pilanci, "Parallel Deep Neural Networks Have Zero Duality Gap",
       ICLR 2023. arXiv:2110.06482 (Theorem 1).

    Examples
    --------
    >>> from sklearn.datasets import load_linnerud
    >>> from sklearn.preprocessing import scale
    >>> from sklearn_convexnn import DeepLinearRegressor
    >>> X, Y = load_linnerud(return_X_y=True)
    >>> model = DeepLinearRegressor(n_layers=3, alpha=0.05).fit(scale(X), scale(Y))
    >>> model.rank_, [W.shape for W in model.coefs_]
    (1, [(3, 1), (1, 1), (1, 3)])
    >>> model.certificate_
    'exact'
    """

    def __init__(
        self,
        n_layers: int = 2,
        alpha: float | Literal["auto", "scale"] = "auto",
        *,
        penalty: Literal["weight_decay", "layer_norm"] = "weight_decay",
        hidden_width: int | None = None,
        fit_intercept: bool = True,
        max_iter: int = 50,
        tol: float = 1e-8,
        verbose: int = 0,
    ) -> None:
        self.n_layers = n_layers
        self.alpha = alpha
        self.penalty = penalty
        self.hidden_width = hidden_width
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class LinearClassifier(NetworkClassifier):
    """Classification by the squared error, of -1 and 1 for two classes, or by the log-loss."""

    def _loss(self):
        return self.loss

    def _encode_targets(self, y, weights):
        targets = super()._encode_targets(y, weights)
        if trait(self, "quadratic") and len(targets.classes) == 2:
            targets = targets._replace(columns=2.0 * targets.columns - 1.0)
        return targets


def _has_probabilities(model):
    if not trait(model, "probabilities"):
        raise AttributeError("Probabilities need loss='log_loss'; this model was given another.")
    return True


class DeepLinearClassifier(LinearClassifier, BaseDeepLinear):
    r"""Deep linear network for classification, solved in closed or convex form.

    Minimises, over the weights :math:`W_1, \dots, W_L` of a network without activations and a free
    intercept,

    .. math::

        \sum_i w_i \, \ell(y_i, b + (W_1 \cdots W_L)^T x_i)
        + \tfrac{\alpha}{2} \sum_{l=1}^L \| W_l \|_F^2 , \qquad \sum_i w_i = 1 .

    The squared error is taken to indicator columns of the classes, which the intercept centres
    (-1 and 1 in one column for two classes), and solves every depth as
    :class:`DeepLinearRegressor` does [1]_. The log-loss is available where the penalty is the
    nuclear norm of the product: for two layers, and for the layer norm.

    Parameters
    ----------
    n_layers : int, default=2
        Number of weight matrices, at least 2.
    alpha : float, "auto" or "scale", default="auto"
        Strength of the penalty, positive, for weights of sum 1 (a mean over rows). ``"auto"``
        halves it from ``alpha_max_`` on and refines, for the log-loss by steps of 4 and a parabola
        through the best value and its neighbours; it takes the value with the least loss of
        held-out rows, a fifth of the distinct rows or, of few, up to four times a fifth. Below 20
        rows it is ``"scale"``, which is ``0.01 * alpha_max_``.
    loss : {"squared_error", "log_loss"}, default="squared_error"
        The loss, see above.
    penalty : {"weight_decay", "layer_norm"}, default="weight_decay"
        ``"layer_norm"`` is :math:`\tfrac{\alpha}{L} \sum_l \|W_l\|_F^L`, summed over parallel
        branches of width one, which are the hidden neurons: then the least penalty is
        :math:`\alpha \|W\|_*` and the problem convex at every depth.
    hidden_width : int, default=None
        Number of neurons of the hidden layers; neurons that are not needed are zero. None: as many
        as the rank of the solution. A width below that rank makes the problem non-convex, which
        the log-loss refuses.
    fit_intercept : bool, default=True
        Whether the outputs have an intercept, which is not penalised.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with ``sample_weight``.
    max_iter : int, default=50
        Largest number of rounds of the convex solver.
    tol : float, default=1e-6
        Relative duality gap at which the convex solver stops.
    verbose : int, default=0
        Print a line at the end.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels with positive weight.
    coefs_ : list of n_layers ndarrays
        Weights of the layers, of shapes ``(n_features_in_, m)``, ``(m, m)``, ..., ``(m,
        n_outputs_)``.
    intercepts_ : list of n_layers ndarrays
        Zeros for the hidden layers, and the intercept of the outputs.
    effective_coef_ : ndarray of shape (n_features_in_, n_outputs_)
        Product of the layers.
    singular_values_ : ndarray of shape (rank_,)
        Singular values of ``effective_coef_``, in decreasing order.
    rank_ : int
        Rank of ``effective_coef_``.
    n_layers_ : int
        ``n_layers + 1``, counting the input as scikit-learn's perceptrons do.
    n_outputs_ : int
        Number of outputs of the network: 1 for two classes, else the number of classes.
    out_activation_ : str
        "identity" for the squared error, else "logistic" or "softmax".
    alpha_ : float
        The ``alpha`` that was used. That of ``"auto"`` lies between ``alphas_`` for the log-loss.
    alphas_ : ndarray of shape (n_alphas,)
        For ``alpha="auto"`` the values that were tried, in decreasing order.
    validation_losses_ : ndarray of shape (n_alphas,)
        Their mean loss of held-out rows.
    alpha_max_ : float
        From this ``alpha`` on the constant network is proven optimal. The least one where the
        penalty is the nuclear norm.
    objective_ : float
        Value of the objective.
    dual_gap_ : float
        Relative gap between the objective and a proven lower bound, ``dual_gap_abs_ /
        objective_``.
    dual_gap_abs_ : float
        The same in units of the objective.
    certificate_ : {"exact", "proven"}
        "exact": the objective is proven to be the global optimum up to ``dual_gap_``, which is at
        the level of ``tol``. "proven": the best stationary point found, with a proven lower
        bound that may be loose.
    status_ : str
        Why the solver ended: "gap", "stationary" (the best stationary point found of a problem that
        is not convex) or "max_iter".
    n_iter_ : int
        Number of rounds, or of starting points of a non-convex problem.
    history_ : dict of ndarrays of shape (1,)
        "objective", "lower_bound", "dual_gap" (relative) and "rank", at the end.
    feature_importances_ : ndarray of shape (n_features_in_,)
        Lengths of the rows of ``effective_coef_`` as shares of their sum; zeros for a constant
        network. For inputs of one scale: see :ref:`importances`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    DeepLinearRegressor : The same network for regression.
    ConvexReLUClassifier : Two layers with ReLU activations.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Revealing the Structure of Deep Neural Networks via Convex
       Duality", ICML 2021. arXiv:2002.09773 (Section 3).

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.preprocessing import scale
    >>> from sklearn_convexnn import DeepLinearClassifier
    >>> X, y = load_wine(return_X_y=True)
    >>> model = DeepLinearClassifier(loss="log_loss").fit(scale(X), y)
    >>> model.rank_, model.score(scale(X), y) > 0.98
    (2, True)
    """

    _parameter_constraints = {
        **BaseDeepLinear._parameter_constraints,
        "loss": [StrOptions({"squared_error", "log_loss"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        n_layers: int = 2,
        alpha: float | Literal["auto", "scale"] = "auto",
        *,
        loss: Literal["squared_error", "log_loss"] = "squared_error",
        penalty: Literal["weight_decay", "layer_norm"] = "weight_decay",
        hidden_width: int | None = None,
        fit_intercept: bool = True,
        class_weight: ClassWeight = None,
        max_iter: int = 50,
        tol: float = 1e-6,
        verbose: int = 0,
    ) -> None:
        self.n_layers = n_layers
        self.alpha = alpha
        self.loss = loss
        self.penalty = penalty
        self.hidden_width = hidden_width
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose

    def _check_parameters(self):
        super()._check_parameters()
        if not trait(self, "quadratic") and self.penalty == "weight_decay" and self.n_layers > 2:
            raise ValueError(
                "The log-loss with weight decay on more than two layers is not convex and has no "
                "bound here. Use n_layers=2, penalty='layer_norm' or loss='squared_error'."
            )

    @available_if(_has_probabilities)
    def predict_proba(self, X: MatrixLike) -> np.ndarray:
        """Class probabilities; for the log-loss only.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        return super().predict_proba(X)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: MatrixLike) -> np.ndarray:
        """Logarithms of the class probabilities; for the log-loss only.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        return super().predict_log_proba(X)
