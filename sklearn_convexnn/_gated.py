"""The public estimators of two-layer networks with given gates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sklearn_convexnn._base_gated import BaseGatedReLU
from sklearn_convexnn._prediction import NetworkClassifier, NetworkRegressor
from sklearn_convexnn._relu import ConvexReLUClassifier, ConvexReLURegressor
from sklearn_convexnn._validation import StrOptions

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import ClassWeight, RandomState


class GatedReLURegressor(NetworkRegressor, BaseGatedReLU):
    r"""Two-layer network with given gates for regression: a convex program without search.

    Minimises, over networks :math:`z(x) = b_0 + \sum_j 1[x^T g_j + h_j > 0] \, (x^T u_j + b_j) \,
    c_j` whose *gates* :math:`(g_j, h_j)` are given and not trained,

    .. math::

        \sum_i w_i \, \tfrac12 \|y_i - z(x_i)\|_2^2 + \alpha \sum_j \|(u_j, b_j)\|_2 \, \|c_j\|_2 ,
        \qquad \sum_i w_i = 1 .

    In the vectors :math:`(u_j, b_j) c_j^T` this is a group lasso [1]_, solved to a proven gap. The
    network is piecewise linear, with jumps at its gates; :meth:`to_relu` writes it as a ReLU
    network with the same outputs on the training rows.

    Parameters
    ----------
    alpha : float, "auto" or "scale", default="auto"
        Strength of the weight decay, positive, for weights of sum 1 (a mean over rows). At
        ``alpha_max_`` and above the network is a constant. ``"auto"`` halves it from there on and
        takes the value with the least loss of rows left out: every distinct row once, by a
        formula of first order, as in ridge regression; beyond 4000 rows (times classes, from three
        on) and for ``penalty="nuclear"`` held-out rows, drawn with ``random_state``. It is
        ``"scale"`` for fewer than 10 rows. ``"scale"`` is ``0.2 * alpha_max_ / sqrt(n)`` for n
        distinct rows.
    loss : {"squared_error"}, default="squared_error"
        ``1/2 * ||y - z||^2``, summed over outputs.
    fit_intercept : bool, default=True
        Whether neurons have a bias, penalised like their other weights, outputs a free intercept,
        and sampled gates an offset.
    patterns : int, "exact" or array-like, default=1000
        The gates. A number: so many random ones, isotropic for standardised columns, of which equal
        patterns count once. "exact": one for each activation pattern that the rows have, for few
        features and rows. An array of shape (n_features, n_gates): its columns, a row being active
        where ``x @ g > 0``; with an intercept also (n_features + 1, n_gates), the last row for the
        constant.
    penalty : {"group", "nuclear"}, default="group"
        Of several outputs. "group": every neuron feeds one output, and the certificate is about
        such networks. "nuclear": neurons feed all outputs, as in ReLU networks; a lower objective
        for the same gates, and much slower.
    solver : {"auto", "newton", "clarabel", "ecos", "scs"}, default="auto"
        Newton's method in the sizes of the neurons, or a conic solver through CVXPY. "auto" is
        "newton". "ecos" needs the extra of that name.
    max_iter : int, default=None
        Largest number of iterations; for None 300 of "newton" and each other solver's own limit.
    tol : float, default=1e-6
        Relative duality gap at which the solver stops.
    random_state : int, RandomState instance or None, default=None
        Seeds the sampled gates, and the rows that are held out where some are.
    verbose : int, default=0
        Print a line at the end.

    Attributes
    ----------
    gates_ : ndarray of shape (n_features_in_[+1], n_neurons_)
        The gate of every neuron, with a last row for the constant if ``fit_intercept``.
    coefs_ : list of two ndarrays
        Weights of the hidden layer, ``(n_features_in_, n_neurons_)``, and of the output layer,
        ``(n_neurons_, n_outputs_)``. The activations are ``X @ coefs_[0] + intercepts_[0]`` where
        ``X @ gates_[:-1] + gates_[-1] > 0`` and zero elsewhere. Every neuron is balanced: its
        column in the first, with its bias, has the length of its row in the second.
    intercepts_ : list of two ndarrays of shapes ``(n_neurons_,)`` and ``(n_outputs_,)``
        Biases of the hidden neurons and of the outputs.
    n_neurons_ : int
        Number of neurons. A gate that several neurons share counts for each.
    n_layers_ : int
        3, counting the input as scikit-learn's perceptrons do.
    n_outputs_ : int
        Number of outputs of the network.
    out_activation_ : str
        "identity".
    alpha_ : float
        The ``alpha`` that was used.
    alphas_ : ndarray of shape (n_alphas,)
        For ``alpha="auto"`` the values that were tried, in decreasing order.
    validation_losses_ : ndarray of shape (n_alphas,)
        Their mean loss of rows left out.
    alpha_max_ : float
        The smallest ``alpha`` for which the constant network is optimal: the largest price of a
        gate.
    objective_ : float
        Value of the objective.
    dual_gap_ : float
        Relative duality gap, ``dual_gap_abs_ / objective_``: a proven bound of the distance to the
        best network with these gates.
    dual_gap_abs_ : float
        Duality gap in units of the objective.
    certificate_ : str
        "exact": for the given gates; it says nothing about others.
    program_gap_ : float
        Relative gap of the program as its solver left it; ``dual_gap_`` is that of the network.
    status_ : str
        "gap", "max_iter" or "inaccurate", if rounding or the solver's own tolerance left the gap
        larger than ``tol``.
    n_iter_ : int
        Number of iterations of the solver.
    history_ : dict of ndarrays of shape (1,)
        "objective", "lower_bound", "dual_gap" (relative), "n_neurons" and "violation", by which
        fraction of alpha the worst dual constraint is exceeded, at the end.
    feature_importances_ : ndarray of shape (n_features_in_,)
        What the penalty spends on the paths from every input, ``sum_j |u_jk| * ||c_j||``, as shares
        of their sum; zeros for a constant network. For inputs of one scale: see
        :ref:`importances`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    GatedReLUClassifier : The same networks for classification.
    ConvexReLURegressor : Networks whose neurons switch by their own weights.

    Notes
    -----
    Without cones a gated neuron fits more than a ReLU neuron does at the same price: ``"scale"`` is
    twice that of :class:`ConvexReLURegressor`. See :ref:`patterns`.

    References
    ----------
    .. [1] A. Mishkin, A. Sahiner and M. Pilanci, "Fast Convex Optimization for Two-Layer ReLU
       Networks", ICML 2022. arXiv:2202.01331 (gated networks, cone decomposition).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_convexnn import GatedReLURegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), GatedReLURegressor(random_state=0)).fit(X, y)
    >>> model[-1].certificate_, model[-1].dual_gap_ < 2e-6
    ('exact', True)
    """

    _relu = ConvexReLURegressor
    _parameter_constraints = {
        **BaseGatedReLU._parameter_constraints,
        "loss": [StrOptions({"squared_error"})],
    }

    def __init__(
        self,
        alpha: float | Literal["auto", "scale"] = "auto",
        *,
        loss: Literal["squared_error"] = "squared_error",
        fit_intercept: bool = True,
        patterns: int | Literal["exact"] | ArrayLike = 1000,
        penalty: Literal["group", "nuclear"] = "group",
        solver: Literal["auto", "newton", "clarabel", "ecos", "scs"] = "auto",
        max_iter: int | None = None,
        tol: float = 1e-6,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            alpha=alpha,
            loss=loss,
            fit_intercept=fit_intercept,
            patterns=patterns,
            penalty=penalty,
            solver=solver,
            max_iter=max_iter,
            tol=tol,
            random_state=random_state,
            verbose=verbose,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class GatedReLUClassifier(NetworkClassifier, BaseGatedReLU):
    r"""Two-layer network with given gates for classification: a convex program without search.

    Minimises, over networks :math:`z(x) = b_0 + \sum_j 1[x^T g_j + h_j > 0] \, (x^T u_j + b_j) \,
    c_j` whose *gates* :math:`(g_j, h_j)` are given and not trained,

    .. math::

        \sum_i w_i \, \ell(y_i, z(x_i)) + \alpha \sum_j \|(u_j, b_j)\|_2 \, \|c_j\|_2 ,
        \qquad \sum_i w_i = 1 .

    In the vectors :math:`(u_j, b_j) c_j^T` this is a group lasso [1]_, solved to a proven gap. The
    network is piecewise linear, with jumps at its gates; :meth:`to_relu` writes it as a ReLU
    network with the same outputs on the training rows.

    Parameters
    ----------
    alpha : float, "auto" or "scale", default="auto"
        Strength of the weight decay, positive, for weights of sum 1 (a mean over rows). At
        ``alpha_max_`` and above the network is a constant. ``"auto"`` halves it from there on and
        takes the value with the least log-loss, at its best temperature, of rows left out: every
        distinct row once, by a formula of first order, as in ridge regression; beyond 4000 rows
        (times classes, from three on) and for ``penalty="nuclear"`` held-out rows, drawn with
        ``random_state``. It is ``"scale"`` for fewer than 10 rows and for the hinge loss.
        ``"scale"`` is ``0.2 * alpha_max_ / sqrt(n)`` for n distinct rows.
    loss : {"log_loss", "hinge"}, default="log_loss"
        The log-loss as in :class:`ConvexReLUClassifier`, or, for two classes and conic solvers,
        "hinge": ``max(0, 1 - z)`` for the second class and ``max(0, 1 + z)`` for the first, without
        probabilities.
    fit_intercept : bool, default=True
        Whether neurons have a bias, penalised like their other weights, outputs a free intercept,
        and sampled gates an offset.
    patterns : int, "exact" or array-like, default=1000
        The gates. A number: so many random ones, isotropic for standardised columns, of which equal
        patterns count once. "exact": one for each activation pattern that the rows have, for few
        features and rows. An array of shape (n_features, n_gates): its columns, a row being active
        where ``x @ g > 0``; with an intercept also (n_features + 1, n_gates), the last row for the
        constant.
    penalty : {"group", "nuclear"}, default="group"
        Of several outputs. "group": every neuron feeds one output, and the certificate is about
        such networks. "nuclear": neurons feed all outputs, as in ReLU networks; a lower objective
        for the same gates, and much slower.
    solver : {"auto", "newton", "clarabel", "ecos", "scs"}, default="auto"
        Newton's method in the sizes of the neurons, or a conic solver through CVXPY. "auto" is
        "newton", for the hinge loss "clarabel". "ecos" needs the extra of that name.
    max_iter : int, default=None
        Largest number of iterations; for None 300 of "newton" and each other solver's own limit.
    tol : float, default=1e-6
        Relative duality gap at which the solver stops.
    random_state : int, RandomState instance or None, default=None
        Seeds the sampled gates, and the rows that are held out where some are.
    verbose : int, default=0
        Print a line at the end.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with ``sample_weight``.
    calibrate : bool, default=True
        Whether probabilities are those of outputs divided by ``temperature_``, the number with the
        least log-loss of rows left out. Labels, objective and certificate are not touched.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels with positive weight.
    gates_ : ndarray of shape (n_features_in_[+1], n_neurons_)
        The gate of every neuron, with a last row for the constant if ``fit_intercept``.
    coefs_ : list of two ndarrays
        Weights of the hidden layer, ``(n_features_in_, n_neurons_)``, and of the output layer,
        ``(n_neurons_, n_outputs_)``. The activations are ``X @ coefs_[0] + intercepts_[0]`` where
        ``X @ gates_[:-1] + gates_[-1] > 0`` and zero elsewhere. Every neuron is balanced: its
        column in the first, with its bias, has the length of its row in the second.
    intercepts_ : list of two ndarrays of shapes ``(n_neurons_,)`` and ``(n_outputs_,)``
        Biases of the hidden neurons and of the outputs.
    n_neurons_ : int
        Number of neurons. A gate that several neurons share counts for each.
    n_layers_ : int
        3, counting the input as scikit-learn's perceptrons do.
    n_outputs_ : int
        Number of outputs of the network: 1 for two classes, else the number of classes.
    out_activation_ : str
        "logistic" or "softmax"; "identity" for the hinge loss.
    alpha_ : float
        The ``alpha`` that was used.
    alphas_ : ndarray of shape (n_alphas,)
        For ``alpha="auto"`` the values that were tried, in decreasing order.
    validation_losses_ : ndarray of shape (n_alphas,)
        Their mean log-loss of rows left out, each without its class weight.
    temperature_ : float
        By which outputs are divided for probabilities, if ``calibrate``; 1 for an ``alpha`` that
        was given.
    alpha_max_ : float
        The smallest ``alpha`` for which the constant network is optimal: the largest price of a
        gate. For the hinge loss an upper bound.
    objective_ : float
        Value of the objective.
    dual_gap_ : float
        Relative duality gap, ``dual_gap_abs_ / objective_``: a proven bound of the distance to the
        best network with these gates.
    dual_gap_abs_ : float
        Duality gap in units of the objective.
    certificate_ : str
        "exact": for the given gates; it says nothing about others.
    program_gap_ : float
        Relative gap of the program as its solver left it; ``dual_gap_`` is that of the network.
    status_ : str
        "gap", "max_iter" or "inaccurate", if rounding or the solver's own tolerance left the gap
        larger than ``tol``.
    n_iter_ : int
        Number of iterations of the solver.
    history_ : dict of ndarrays of shape (1,)
        "objective", "lower_bound", "dual_gap" (relative), "n_neurons" and "violation", by which
        fraction of alpha the worst dual constraint is exceeded, at the end.
    feature_importances_ : ndarray of shape (n_features_in_,)
        What the penalty spends on the paths from every input, ``sum_j |u_jk| * ||c_j||``, as shares
        of their sum; zeros for a constant network. For inputs of one scale: see
        :ref:`importances`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    GatedReLURegressor : The same networks for regression.
    ConvexReLUClassifier : Networks whose neurons switch by their own weights.

    Notes
    -----
    Without cones a gated neuron fits more than a ReLU neuron does at the same price: ``"scale"`` is
    twice that of :class:`ConvexReLUClassifier`. See :ref:`patterns`.

    References
    ----------
    .. [1] A. Mishkin, A. Sahiner and M. Pilanci, "Fast Convex Optimization for Two-Layer ReLU
       Networks", ICML 2022. arXiv:2202.01331 (gated networks, cone decomposition).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_convexnn import GatedReLUClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = GatedReLUClassifier(patterns=200, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.95
    True
    >>> model.to_relu(X).score(X, y) == model.score(X, y)
    True
    """

    _relu = ConvexReLUClassifier
    _parameter_constraints = {
        **BaseGatedReLU._parameter_constraints,
        "loss": [StrOptions({"log_loss", "hinge"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "calibrate": ["boolean"],
    }

    def __init__(
        self,
        alpha: float | Literal["auto", "scale"] = "auto",
        *,
        loss: Literal["log_loss", "hinge"] = "log_loss",
        fit_intercept: bool = True,
        patterns: int | Literal["exact"] | ArrayLike = 1000,
        penalty: Literal["group", "nuclear"] = "group",
        solver: Literal["auto", "newton", "clarabel", "ecos", "scs"] = "auto",
        max_iter: int | None = None,
        tol: float = 1e-6,
        random_state: RandomState = None,
        verbose: int = 0,
        class_weight: ClassWeight = None,
        calibrate: bool = True,
    ) -> None:
        super().__init__(
            alpha=alpha,
            loss=loss,
            fit_intercept=fit_intercept,
            patterns=patterns,
            penalty=penalty,
            solver=solver,
            max_iter=max_iter,
            tol=tol,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight
        self.calibrate = calibrate
