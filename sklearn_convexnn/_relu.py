"""The public estimators: two-layer ReLU networks for regression and classification."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Literal

from sklearn_convexnn._block_scores import ScoreOfBlocks
from sklearn_convexnn._losses import estimator_for, losses_for, regression_tags
from sklearn_convexnn._prediction import NetworkClassifier, NetworkRegressor
from sklearn_convexnn._two_layer import BaseConvexReLU
from sklearn_convexnn._validation import Interval, StrOptions

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import ClassWeight, MatrixLike, RandomState


class ConvexReLURegressor(ScoreOfBlocks, NetworkRegressor, BaseConvexReLU):
    r"""Two-layer ReLU network for regression, trained as a convex program.

    Minimises, over networks :math:`z(x) = \sum_j c_j (x^T u_j + b_j)_+ + b_0` of any width,

    .. math::

        \sum_i w_i \, \ell(y_i, z(x_i)) + \alpha \sum_j \|(u_j, b_j)\|_2 \, \|c_j\|_2 ,
        \qquad \sum_i w_i = 1 ,

    with :math:`\ell(y, z) = \tfrac12 \|y - z\|_2^2` or another ``loss``, which is the objective of
    weight decay, :math:`\tfrac{\alpha}{2} \sum_j (\|(u_j, b_j)\|^2 + \|c_j\|^2)`, at its best
    scaling of each neuron. In the measure that puts the weights :math:`c_j` on the sphere of
    directions it is convex, with one dual constraint per direction [1]_ [2]_: neurons are added
    where a dual constraint is violated, moved, refitted and pruned until a round makes little
    progress. The duality gap says how far the objective is from the optimum over networks of every
    width.

    With ``refinement=None`` the convex program over *given* :ref:`activation patterns <patterns>`
    [2]_ is solved instead: the best network whose neurons keep these patterns, to a proven gap.

    Parameters
    ----------
    alpha : float, "auto" or "scale", default="auto"
        Strength of the weight decay, positive, for weights of sum 1 (a mean over rows). At
        ``alpha_max_`` and above the network is a constant. ``"auto"`` is what predicts held-out
        rows best: a fifth of the distinct rows, of few rows up to three times so many, on a path of
        alphas that descends by factors of 4 from the constant network and ends where their loss has
        turned, see :ref:`alpha`. It takes two to ten times as long as a fit with the alpha that
        it chooses, and depends on ``random_state``.
        ``"scale"`` is ``0.1 * alpha_max_ / sqrt(n)`` for n distinct rows, which is also used where
        there are fewer than 20.
    loss : {"squared_error", "huber", "poisson"}, default="squared_error"
        Summed over outputs. "squared_error": ``1/2 * (y - z)**2``. "huber": the same for residuals
        of size up to ``t = epsilon * scale_``, and ``t * |y - z| - t**2 / 2`` beyond, so that
        outliers have a bounded pull. "poisson": half the deviance,
        ``exp(z) - y * z + (y * log(y) - y)``, for counts and other ``y >= 0``; predictions are
        ``exp(z)``.
    epsilon : float, default=1.35
        Of the Huber loss: where residuals count as large, in units of ``scale_``. For normal
        targets 1.35 keeps 95 % of the efficiency of the squared error, which a large value is.
        Where the network explains most of the targets, residuals are smaller than their scale, and
        so may epsilon be.
    fit_intercept : bool, default=True
        Whether neurons have a bias, penalised like their other weights, and outputs a free
        intercept.
    refinement : {"cutting_plane"} or None, default="cutting_plane"
        "cutting_plane": neurons are found by adding violated dual constraints. None: the convex
        program over ``patterns`` is all that is solved.
    patterns : int, "exact", array-like or None, default=None
        A number: the patterns of so many random directions, isotropic for standardised columns, and
        every second one for the columns as they are. "exact": all that the rows have, for few
        features and rows. An array of shape (n_features, n_gates): those of its columns, a row
        being active where ``x @ g > 0``; with an intercept also (n_features + 1, n_gates), the last
        row for the constant. The cutting plane starts from the program over them, and without
        (None) from the constant network; with ``refinement=None``, None is 100.
    solver : {"auto", "newton", "clarabel", "ecos", "scs"}, default="auto"
        Of the program over ``patterns``: Newton's method in the sizes of the neurons, or a conic
        solver through CVXPY. "auto" is "newton". "ecos" needs the extra of that name.
    max_neurons : int, default=None
        Largest number of neurons to keep in the cutting plane. The duality gap still refers to
        networks of every width.
    max_iter : int, default=None
        Largest number of rounds of the cutting plane, 50 for None; or of iterations of the solver
        of the program, for None 300 of "newton" and each other solver's own limit.
    tol : float, default=1e-2
        The cutting plane stops when a round lowers the objective by less than this fraction of it,
        or when the relative duality gap is below it.
    gap_tol : float, default=None
        The cutting plane goes on until the relative duality gap is below this value instead; the
        gap is proven where that is quick, with one output and rows of rank six at most. For the
        program over given patterns it is the relative gap of the program, 1e-6 for None.
    warm_start : bool, default=False
        Start the cutting plane from the neurons of the previous fit, if there is one. The alpha of
        ``"auto"`` is chosen anew.
    n_jobs : int, default=None
        Threads that share the rows of a pass; the network is the same for any number. They pay from
        some ten thousand rows on. None is 1, unless in a ``joblib.parallel_config`` context, -1
        all cores.
    random_state : int, RandomState instance or None, default=None
        Seeds the rows that are held out, the directions from which neurons are searched, and the
        sampled patterns.
    verbose : int, default=0
        Print a line after every round; one line for a program.

    Attributes
    ----------
    coefs_ : list of two ndarrays
        Weights of the hidden layer, ``(n_features_in_, n_neurons_)``, and of the output layer,
        ``(n_neurons_, n_outputs_)``. Every neuron is balanced: its column in the first, with its
        bias, has the length of its row in the second.
    intercepts_ : list of two ndarrays of shapes ``(n_neurons_,)`` and ``(n_outputs_,)``
        Biases of the hidden neurons and of the outputs.
    n_neurons_ : int
        Number of neurons.
    n_layers_ : int
        3, counting the input as scikit-learn's perceptrons do.
    n_outputs_ : int
        Number of outputs of the network.
    out_activation_ : str
        "identity", for the Poisson loss "exp".
    scale_ : ndarray of shape (n_outputs_,)
        Only of the Huber loss: 1.4826 times the weighted median of ``|y - m|``, with ``m`` the
        weighted median of the targets of an output (zero without an intercept); where more than
        half of them are equal, ``sqrt(pi / 2)`` times the weighted mean of ``|y - m|``. It is found
        before the training, which does not change it.
    alpha_ : float
        The ``alpha`` that was used. That of ``"auto"`` is the one of ``alphas_`` nearest to
        ``"scale"`` that chance does not tell from the best; if that is the best itself, it is where
        a parabola through it and its neighbours is lowest.
    alphas_ : ndarray of shape (n_alphas,)
        Of ``alpha="auto"``, if there are rows to hold out: the alphas of the path, descending.
    validation_losses_ : ndarray of shape (n_alphas,)
        With ``alphas_``: the mean loss of the held-out rows for each of ``alphas_``.
    alpha_max_ : float
        The smallest ``alpha`` for which the constant network is optimal, found by search.
    objective_ : float
        Value of the objective.
    dual_gap_ : float
        Relative duality gap, ``dual_gap_abs_ / objective_``. What it is worth depends on
        ``certificate_``. For the Huber loss relative to an objective in which no row counts more
        than ``4 * t**2``: outliers would hide all the rest.
    dual_gap_abs_ : float
        Duality gap in units of the objective.
    certificate_ : {"exact", "proven", "estimated"}
        "exact" and "proven": the objective is proven to be within the gap of the global
        optimum. "estimated": the dual constraints were checked by local search only, the gap is an
        estimate and not a bound. Data in one column with a constant (or two without) give exact
        certificates, and so do all patterns with ``refinement=None`` and one output.
    program_gap_ : float
        Only with ``refinement=None``: the proven relative gap of the program. With some of the
        patterns ``dual_gap_`` is larger: it refers to networks with any patterns.
    status_ : str
        Why the rounds ended: "progress", "gap", "max_iter", "interrupted", "work" if programs that
        close a gap took too much of it, or for a gap of 50 000 rows and more that is far out of
        reach "slow"; of a program "gap", "max_iter" or "inaccurate".
    n_iter_ : int
        Number of rounds, or of iterations of the solver of the program. With 50 000 rows or more
        those on all rows: the rounds before them, on samples, are not counted.
    history_ : dict of ndarrays of shape (n_iter_,)
        After every round: "objective", "lower_bound", "dual_gap" (relative), "n_neurons" and
        "violation", by which fraction of alpha the worst dual constraint is exceeded. For the
        program of shape (1,), at the end.
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
    ConvexReLUClassifier : The same network with the log-loss.
    GatedReLURegressor : Networks with given gates.
    sklearn_convexnn.inspection.prune : Fewer neurons for the same outputs, or nearly the same.
    alpha_max : The value of alpha from which on the network is a constant.

    Notes
    -----
    Features should be on comparable scales (``StandardScaler``): as in every model with weight
    decay, a feature in small units is a feature under strong regularisation.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Convex Geometry and Duality of Over-parameterized Neural
       Networks", JMLR 22(212), 2021. arXiv:2002.11219 (semi-infinite dual and strong duality).
    .. [2] M. Pilanci and T. Ergen, "Neural Networks are Convex Regularizers", ICML 2020.
       arXiv:2002.10553 (Theorem 1: the program over activation patterns).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_convexnn import ConvexReLURegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), ConvexReLURegressor(random_state=0))
    >>> model.fit(X, y).score(X, y) > 0.5
    True
    """

    _parameter_constraints = {
        **BaseConvexReLU._parameter_constraints,
        "n_jobs": [Integral, None],
        "loss": [StrOptions(set(losses_for("regression")))],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        alpha: float | Literal["auto", "scale"] = "auto",
        *,
        loss: Literal["squared_error", "huber", "poisson"] = "squared_error",
        epsilon: float = 1.35,
        fit_intercept: bool = True,
        refinement: Literal["cutting_plane"] | None = "cutting_plane",
        patterns: int | Literal["exact"] | ArrayLike | None = None,
        solver: Literal["auto", "newton", "clarabel", "ecos", "scs"] = "auto",
        max_neurons: int | None = None,
        max_iter: int | None = None,
        tol: float = 1e-2,
        gap_tol: float | None = None,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            alpha=alpha,
            loss=loss,
            fit_intercept=fit_intercept,
            refinement=refinement,
            patterns=patterns,
            solver=solver,
            max_neurons=max_neurons,
            max_iter=max_iter,
            tol=tol,
            gap_tol=gap_tol,
            warm_start=warm_start,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )
        self.epsilon = epsilon

    def __sklearn_tags__(self):
        return regression_tags(self, super().__sklearn_tags__())


class ConvexReLUClassifier(ScoreOfBlocks, NetworkClassifier, BaseConvexReLU):
    r"""Two-layer ReLU network for classification, trained as a convex program.

    Minimises, over networks :math:`z(x) = \sum_j c_j (x^T u_j + b_j)_+ + b_0` of any width,

    .. math::

        \sum_i w_i \, \ell(y_i, z(x_i)) + \alpha \sum_j \|(u_j, b_j)\|_2 \, \|c_j\|_2 ,
        \qquad \sum_i w_i = 1 ,

    with the log-loss :math:`\ell`: one output and ``log(1 + exp(z)) - y z`` for two classes, one
    output per class and ``logsumexp(z) - z_y`` for more, or a hinge loss. The penalty is that of
    weight decay at the best scaling of each neuron; the problem is convex in the measure of neurons
    and its dual has one constraint per direction [1]_ [2]_. Neurons are added where a dual
    constraint is violated, moved, refitted and pruned until a round makes little progress. The
    duality gap says how far the objective is from the optimum over networks of every width.

    With ``refinement=None`` the convex program over *given* :ref:`activation patterns <patterns>`
    [2]_ is solved instead: the best network whose neurons keep these patterns, to a proven gap.

    Parameters
    ----------
    alpha : float, "auto" or "scale", default="auto"
        Strength of the weight decay, positive, for weights of sum 1 (a mean over rows). At
        ``alpha_max_`` and above the network is a constant. ``"auto"`` is what predicts held-out
        rows best: a fifth of the distinct rows, of few rows up to four times so many, on a path of
        alphas that descends by factors of 4 from the constant network and ends where their loss has
        turned, see :ref:`alpha`. It takes two to ten times as long as a fit with the alpha that
        it chooses, and depends on ``random_state``.
        ``"scale"`` is ``0.1 * alpha_max_ / sqrt(n)`` for n distinct rows, which is also used where
        there are fewer than 20.
    loss : {"log_loss", "squared_hinge", "hinge"}, default="log_loss"
        "log_loss": see above. "squared_hinge": ``max(0, 1 - z)**2`` for the second class and
        ``max(0, 1 + z)**2`` for the first; "hinge": the same without squares; both summed over
        classes, each against the rest, if there are more than two. They estimate no probabilities.
        "squared_hinge" takes as long as the log-loss. "hinge" has a kink, which is rounded less
        and less until the gap of the hinge itself does not see it: ten times as long. Programs
        over given patterns take it as it is, by a conic solver.
    fit_intercept : bool, default=True
        Whether neurons have a bias, penalised like their other weights, and outputs a free
        intercept.
    refinement : {"cutting_plane"} or None, default="cutting_plane"
        "cutting_plane": neurons are found by adding violated dual constraints. None: the convex
        program over ``patterns`` is all that is solved.
    patterns : int, "exact", array-like or None, default=None
        A number: the patterns of so many random directions, isotropic for standardised columns, and
        every second one for the columns as they are. "exact": all that the rows have, for few
        features and rows. An array of shape (n_features, n_gates): those of its columns, a row
        being active where ``x @ g > 0``; with an intercept also (n_features + 1, n_gates), the last
        row for the constant. The cutting plane starts from the program over them, and without
        (None) from the constant network; with ``refinement=None``, None is 100.
    solver : {"auto", "newton", "clarabel", "ecos", "scs"}, default="auto"
        Of the program over ``patterns``: Newton's method in the sizes of the neurons, or a conic
        solver through CVXPY. "auto" is "newton", for the hinge loss "clarabel". "ecos" needs the
        extra of that name.
    max_neurons : int, default=None
        Largest number of neurons to keep in the cutting plane. The duality gap still refers to
        networks of every width.
    max_iter : int, default=None
        Largest number of rounds of the cutting plane, 50 for None; or of iterations of the solver
        of the program, for None 300 of "newton" and each other solver's own limit.
    tol : float, default=1e-2
        The cutting plane stops when a round lowers the objective by less than this fraction of it,
        or when the relative duality gap is below it.
    gap_tol : float, default=None
        The cutting plane goes on until the relative duality gap is below this value instead; the
        gap is proven where that is quick, with one output and rows of rank six at most. For the
        program over given patterns it is the relative gap of the program, 1e-6 for None.
    warm_start : bool, default=False
        Start the cutting plane from the neurons of the previous fit, if there is one. The alpha of
        ``"auto"`` is chosen anew.
    n_jobs : int, default=None
        Threads that share the rows of a pass; the network is the same for any number. They pay from
        some ten thousand rows on. None is 1, unless in a ``joblib.parallel_config`` context, -1
        all cores.
    random_state : int, RandomState instance or None, default=None
        Seeds the rows that are held out, the directions from which neurons are searched, and the
        sampled patterns.
    verbose : int, default=0
        Print a line after every round; one line for a program.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with ``sample_weight``.
    calibrate : bool, default=True
        Whether probabilities are those of outputs divided by ``temperature_``. Labels, the
        objective and the certificate are the same with it and without.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels with positive weight.
    coefs_ : list of two ndarrays
        Weights of the hidden layer, ``(n_features_in_, n_neurons_)``, and of the output layer,
        ``(n_neurons_, n_outputs_)``. Every neuron is balanced: its column in the first, with its
        bias, has the length of its row in the second.
    intercepts_ : list of two ndarrays of shapes ``(n_neurons_,)`` and ``(n_outputs_,)``
        Biases of the hidden neurons and of the outputs.
    n_neurons_ : int
        Number of neurons.
    n_layers_ : int
        3, counting the input as scikit-learn's perceptrons do.
    n_outputs_ : int
        Number of outputs of the network: 1 for two classes, else the number of classes.
    out_activation_ : str
        "logistic" or "softmax"; "identity" for the hinge losses.
    alpha_ : float
        The ``alpha`` that was used. That of ``"auto"`` is the one of ``alphas_`` nearest to
        ``"scale"`` that chance does not tell from the best; if that is the best itself, it is where
        a parabola through it and its neighbours is lowest.
    alphas_ : ndarray of shape (n_alphas,)
        Of ``alpha="auto"``, if there are rows to hold out: the alphas of the path, descending.
    validation_losses_ : ndarray of shape (n_alphas,)
        With ``alphas_``: the mean log-loss of the held-out rows for each of ``alphas_``, with
        the weights of training, at the best temperature of each.
    temperature_ : float
        With ``calibrate``, and a loss that estimates probabilities: outputs are divided by it in
        ``predict_proba``. For ``alpha="auto"`` the temperature with the least log-loss of the
        held-out rows at ``alpha_``, weighted by ``sample_weight`` without ``class_weight``; where
        it is above 1, its excess times the share of rows that those networks were trained on, as
        overfitting falls like 1 / n. 1 for a given alpha, which holds out none.
    alpha_max_ : float
        The smallest ``alpha`` for which the constant network is optimal, found by search. For the
        hinge loss an upper bound.
    objective_ : float
        Value of the objective.
    dual_gap_ : float
        Relative duality gap, ``dual_gap_abs_ / objective_``. What it is worth depends on
        ``certificate_``.
    dual_gap_abs_ : float
        Duality gap in units of the objective.
    certificate_ : {"exact", "proven", "estimated"}
        "exact" and "proven": the objective is proven to be within the gap of the global
        optimum. "estimated": the dual constraints were checked by local search only, the gap is an
        estimate and not a bound. Data in one column with a constant (or two without) give exact
        certificates, and so do all patterns with ``refinement=None`` and one output.
    program_gap_ : float
        Only with ``refinement=None``: the proven relative gap of the program. With some of the
        patterns ``dual_gap_`` is larger: it refers to networks with any patterns.
    status_ : str
        Why the rounds ended: "progress", "gap", "max_iter", "interrupted", "work" if programs that
        close a gap took too much of it, or for a gap of 50 000 rows and more that is far out of
        reach "slow"; of a program "gap", "max_iter" or "inaccurate".
    n_iter_ : int
        Number of rounds, or of iterations of the solver of the program. With 50 000 rows or more
        those on all rows: the rounds before them, on samples, are not counted.
    history_ : dict of ndarrays of shape (n_iter_,)
        After every round: "objective", "lower_bound", "dual_gap" (relative), "n_neurons" and
        "violation", by which fraction of alpha the worst dual constraint is exceeded. For the
        program of shape (1,), at the end.
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
    ConvexReLURegressor : The same network with the squared error.
    GatedReLUClassifier : Networks with given gates.
    sklearn_convexnn.inspection.prune : Fewer neurons for the same outputs, or nearly the same.
    alpha_max : The value of alpha from which on the network is a constant.

    Notes
    -----
    Features should be on comparable scales (``StandardScaler``): as in every model with weight
    decay, a feature in small units is a feature under strong regularisation.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Convex Geometry and Duality of Over-parameterized Neural
       Networks", JMLR 22(212), 2021. arXiv:2002.11219 (semi-infinite dual and strong duality).
    .. [2] M. Pilanci and T. Ergen, "Neural Networks are Convex Regularizers", ICML 2020.
       arXiv:2002.10553 (Theorem 1: the program over activation patterns).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_convexnn import ConvexReLUClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> ConvexReLUClassifier(random_state=0).fit(X, y).score(X, y) > 0.95
    True
    """

    _parameter_constraints = {
        **BaseConvexReLU._parameter_constraints,
        "n_jobs": [Integral, None],
        "loss": [StrOptions(set(losses_for("classification")))],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "calibrate": ["boolean"],
    }

    def __init__(
        self,
        alpha: float | Literal["auto", "scale"] = "auto",
        *,
        loss: Literal["log_loss", "squared_hinge", "hinge"] = "log_loss",
        fit_intercept: bool = True,
        refinement: Literal["cutting_plane"] | None = "cutting_plane",
        patterns: int | Literal["exact"] | ArrayLike | None = None,
        solver: Literal["auto", "newton", "clarabel", "ecos", "scs"] = "auto",
        max_neurons: int | None = None,
        max_iter: int | None = None,
        tol: float = 1e-2,
        gap_tol: float | None = None,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
        class_weight: ClassWeight = None,
        calibrate: bool = True,
    ) -> None:
        super().__init__(
            alpha=alpha,
            loss=loss,
            fit_intercept=fit_intercept,
            refinement=refinement,
            patterns=patterns,
            solver=solver,
            max_neurons=max_neurons,
            max_iter=max_iter,
            tol=tol,
            gap_tol=gap_tol,
            warm_start=warm_start,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight
        self.calibrate = calibrate


def alpha_max(
    X: MatrixLike,
    y: ArrayLike,
    *,
    loss: str = "squared_error",
    epsilon: float = 1.35,
    fit_intercept: bool = True,
    sample_weight: ArrayLike | None = None,
    random_state: RandomState = 0,
) -> float:
    r"""The smallest ``alpha`` for which the constant network is optimal.

    The largest dual constraint at the constant network,

    .. math:: \max_{\|u\|_2 \le 1} \Big\| \sum_i R_i (x_i^T u)_+ \Big\|_2 ,

    with the residual :math:`R_i = -w_i \nabla \ell(y_i, b_0)`. For more than one feature with an
    intercept (two without) the maximum is searched for, not proven: a lower bound, in practice
    equal.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets, or class labels.
    loss : str, default="squared_error"
        A smooth loss of the estimators: "squared_error", "huber", "poisson", "log_loss" or
        "squared_hinge".
    epsilon : float, default=1.35
        Of the Huber loss, as in the estimators.
    fit_intercept : bool, default=True
        As in the estimators.
    sample_weight : array-like of shape (n_samples,), default=None
        As in fit.
    random_state : int, RandomState instance or None, default=0
        Seeds the search.

    Returns
    -------
    float
        In the units of the parameter ``alpha``.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_convexnn import ConvexReLURegressor, alpha_max
    >>> X, y = load_diabetes(return_X_y=True)
    >>> largest = alpha_max(X, y)
    >>> ConvexReLURegressor(alpha=1.01 * largest).fit(X, y).n_neurons_
    0
    """
    settings = {"loss": loss, "fit_intercept": fit_intercept, "random_state": random_state}
    estimator = estimator_of_loss(loss, epsilon)(**settings)
    estimator._validate_params()
    return estimator._alpha_max(X, y, sample_weight)


def estimator_of_loss(loss: str, epsilon: float):
    """What makes the estimator for a loss, regressor or classifier.

    Parameters
    ----------
    loss : str
        A smooth loss.
    epsilon : float
        Of the Huber loss.

    Returns
    -------
    callable
        Takes the other parameters of the estimator.
    """
    kinds = {
        "regression": partial(ConvexReLURegressor, epsilon=epsilon),
        "classification": ConvexReLUClassifier,
    }
    return estimator_for(loss, kinds)
