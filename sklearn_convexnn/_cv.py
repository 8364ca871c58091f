"""The public estimators that choose ``alpha`` by cross-validation."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Literal

from sklearn_convexnn._base_cv import BaseConvexReLUCV
from sklearn_convexnn._block_scores import ScoreOfBlocks
from sklearn_convexnn._losses import losses_for, regression_tags
from sklearn_convexnn._prediction import NetworkClassifier, NetworkRegressor
from sklearn_convexnn._relu import ConvexReLUClassifier, ConvexReLURegressor
from sklearn_convexnn._validation import Interval, StrOptions

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import ClassWeight, Folds, RandomState, Scoring


class ConvexReLURegressorCV(ScoreOfBlocks, NetworkRegressor, BaseConvexReLUCV):
    r"""Two-layer ReLU network for regression, ``alpha`` chosen by cross-validation.

    Minimises the objective of :class:`ConvexReLURegressor`,

    .. math::

        \sum_i w_i \, \ell(y_i, z(x_i)) + \alpha \sum_j \|(u_j, b_j)\|_2 \, \|c_j\|_2 ,
        \qquad \sum_i w_i = 1 ,

    for descending values of alpha in every fold, takes the alpha whose networks predict the
    held-out rows well, and trains on all rows with it. For every alpha the problem is convex in
    the measure of neurons [1]_.

    Parameters
    ----------
    alphas : "auto", int or array-like of shape (n_alphas,), default="auto"
        "auto": from coarse to fine, first ``alpha_max_`` and powers of four times
        ``alpha="scale"``, then halves of that, until the score has turned; last, the neighbour of
        the chosen one, by a factor of two, on the side on which it may be better. A number: so many
        values, equally spaced in their logarithm from ``alpha_max_`` down to ``eps * alpha_max_``.
        An array: the values, which are sorted.
    eps : float, default=1e-4
        Smallest alpha over largest, where ``alphas`` is a number.
    cv : int, splitter, iterable of (train, test) or None, default=None
        The folds. None: five, of shuffled rows, drawn with ``random_state``, from 50 000 distinct
        rows on by their values (equal rows are in one fold). An int: so many of unshuffled rows, as
        everywhere in scikit-learn; of Dask collections too large to be gathered so many by values,
        and nothing but a number or None.
    scoring : str, callable or None, default=None
        What is maximised, weighted by ``sample_weight``. None: R2 for the squared error, for the
        other losses minus their mean on the held-out rows (R2 would be decided by the outliers, or
        by the largest counts): half the deviance for Poisson, and for Huber no row counts more than
        ``4 * (epsilon * scale_)**2``.
    selection : {"scale", "best", "one_standard_error", "smallest"}, default="scale"
        "best": the alpha of the best mean score. The others hold all alphas for equal whose mean
        score is within a standard error of it, taken over the folds. "scale" chooses the closest of
        them to ``alpha="scale"`` of :class:`ConvexReLURegressor`, "one_standard_error" the largest,
        "smallest" the one with the fewest neurons in the mean of the folds. For "scale" the
        standard error is that of the difference, fold by fold.
    patience : int or None, default=2
        The descent ends when the score has turned: so many alphas in a row are worse than the best
        one before them by more than its standard error over the folds. With ``alphas="auto"`` two
        in a row that are not better end it, or one that is clearly worse, and below
        ``alpha="scale"`` also a step that promises less than a standard error. None: never, all
        alphas are solved.
    relax : float or array-like of shape (n_relax,), default=1.0
        Numbers above 0 and up to 1. The neurons found at alpha slide and are refitted at ``relax *
        alpha``, none added [2]_; of several numbers one is chosen with alpha, the larger of equals.
        ``relax=(1, 1/4, 1/16, 1/64)`` with ``selection="smallest"`` keeps the score with a fraction
        of the neurons.
    refit : True, "mean" or "both", default=True
        True: a fit to all rows. "mean": the mean of the networks of the folds, one network with
        the neurons of all of them, its objective and gap on all rows; it costs no fit, and has
        several times the neurons. "both": half the one and half the other, as one network.
    loss : {"squared_error", "huber", "poisson"}, default="squared_error"
        As in :class:`ConvexReLURegressor`.
    epsilon : float, default=1.35
        As in :class:`ConvexReLURegressor`; the scale is that of the training rows of each fold.
    fit_intercept : bool, default=True
        Whether neurons have a bias, penalised like their other weights, and outputs a free
        intercept.
    refinement : {"cutting_plane"}, default="cutting_plane"
        Neurons are found by adding violated dual constraints.
    max_neurons : int, default=None
        Largest number of neurons to keep.
    max_iter : int, default=50
        Largest number of rounds of every solve.
    tol : float, default=1e-2
        A solve stops when a round lowers the objective by less than this fraction of it, or when
        the relative duality gap is below it. Values below 1e-2 hold for the final fit only.
    gap_tol : float, default=None
        The relative duality gap that the final fit goes on to.
    n_jobs : int, default=None
        Folds that are solved at a time: by worker processes, once they have started, or, of very
        many rows, by threads. None is 1 unless in a ``joblib.parallel_config`` context, -1 all
        processors. The final fit has as many threads. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seeds the folds of ``cv=None`` and the directions from which neurons are searched.
    verbose : int, default=0
        Print a line for every alpha and for every round of the final fit.

    Attributes
    ----------
    alpha_ : float
        The weight decay of the network: ``relax_`` times the chosen one of ``alphas_``.
    relax_ : float
        The chosen one of ``relax``.
    alphas_ : ndarray of shape (n_alphas,)
        Descending, as far as the path went.
    score_path_ : ndarray of shape (n_alphas, n_folds)
        Scores on the held-out rows. If ``relax`` is an array, this and the next two have shape
        ``(n_relax, n_alphas, n_folds)``, ``relax`` descending.
    n_neurons_path_ : ndarray of shape (n_alphas, n_folds)
        Numbers of neurons.
    dual_gap_path_ : ndarray of shape (n_alphas, n_folds)
        Relative duality gaps of the folds, from a light search (unless ``certificate_`` is
        "exact"): the folds are solved as coarsely as the choice of alpha allows.
    best_score_ : float
        The best mean score, which need not be that of ``alpha_``, see ``selection``.
    coefs_, intercepts_ : list of two ndarrays
        The network, trained on all rows with ``alpha_``, or what ``refit`` makes of it and those
        of the folds; laid out as in :class:`ConvexReLURegressor`.
    n_neurons_, n_layers_, n_outputs_ : int
        Its numbers of neurons, of layers (3, counting the input) and of outputs.
    out_activation_ : str
        "identity", for the Poisson loss "exp".
    scale_ : ndarray of shape (n_outputs_,)
        For the Huber loss only, as in :class:`ConvexReLURegressor`.
    objective_, dual_gap_, dual_gap_abs_ : float
        Its objective and relative and absolute duality gap at ``alpha_``, as in
        :class:`ConvexReLURegressor`. The gap refers to networks of every width at that alpha: of a
        relaxed network it says how much its few neurons leave to others.
    certificate_ : {"exact", "proven", "estimated"}
        What ``dual_gap_`` is worth: only the first two are bounds.
    status_ : str
        Why its rounds ended, as in :class:`ConvexReLURegressor`; or "mean".
    n_iter_ : int
        Its number of rounds.
    history_ : dict of ndarrays of shape (n_iter_,)
        Its rounds, as in :class:`ConvexReLURegressor`.
    alpha_max_ : float
        From here on the network of all rows is a constant.
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
    ConvexReLURegressor : The estimator for one alpha.
    convexnn_path : The path alone.
    PathDisplay : Draws scores, numbers of neurons and gaps against alpha.

    Notes
    -----
    Every fold descends its own path, each alpha from the network of the one before. Nothing passes
    between folds: a neuron found on rows that another fold holds out would leak them. The final fit
    is that of the estimator for one alpha, given ``alpha_``. With ``refit="mean"`` and "both"
    the objective of the mean is by convexity no larger than the mean of the objectives.

    The folds hold no copies of the rows: all of them, and the final fit, read one array of the
    distinct rows.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Convex Geometry and Duality of Over-parameterized Neural
       Networks", JMLR 22(212), 2021. arXiv:2002.11219 (semi-infinite dual and strong duality).
    .. [2] N. Meinshausen, "Relaxed Lasso", Computational Statistics & Data Analysis 52, 2007.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_convexnn import ConvexReLURegressorCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), ConvexReLURegressorCV(random_state=0))
    >>> model.fit(X, y).score(X, y) > 0.45
    True
    """

    _single = ConvexReLURegressor
    _parameter_constraints = {
        **BaseConvexReLUCV._parameter_constraints,
        "loss": [StrOptions(set(losses_for("regression")))],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        *,
        alphas: Literal["auto"] | int | ArrayLike = "auto",
        eps: float = 1e-4,
        cv: Folds = None,
        scoring: Scoring = None,
        selection: Literal["scale", "best", "one_standard_error", "smallest"] = "scale",
        patience: int | None = 2,
        relax: float | ArrayLike = 1.0,
        refit: bool | Literal["mean", "both"] = True,
        loss: Literal["squared_error", "huber", "poisson"] = "squared_error",
        epsilon: float = 1.35,
        fit_intercept: bool = True,
        refinement: Literal["cutting_plane"] = "cutting_plane",
        max_neurons: int | None = None,
        max_iter: int = 50,
        tol: float = 1e-2,
        gap_tol: float | None = None,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            alphas=alphas,
            eps=eps,
            cv=cv,
            scoring=scoring,
            selection=selection,
            patience=patience,
            relax=relax,
            refit=refit,
            loss=loss,
            fit_intercept=fit_intercept,
            refinement=refinement,
            max_neurons=max_neurons,
            max_iter=max_iter,
            tol=tol,
            gap_tol=gap_tol,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )
        self.epsilon = epsilon

    def __sklearn_tags__(self):
        return regression_tags(self, super().__sklearn_tags__())


class ConvexReLUClassifierCV(ScoreOfBlocks, NetworkClassifier, BaseConvexReLUCV):
    r"""Two-layer ReLU network for classification, ``alpha`` chosen by cross-validation.

    Minimises the objective of :class:`ConvexReLUClassifier`,

    .. math::

        \sum_i w_i \, \ell(y_i, z(x_i)) + \alpha \sum_j \|(u_j, b_j)\|_2 \, \|c_j\|_2 ,
        \qquad \sum_i w_i = 1 ,

    for descending values of alpha in every fold, takes the alpha whose networks predict the
    held-out rows well, and trains on all rows with it. For every alpha the problem is convex in
    the measure of neurons [1]_.

    Parameters
    ----------
    alphas : "auto", int or array-like of shape (n_alphas,), default="auto"
        "auto": from coarse to fine, first ``alpha_max_`` and powers of four times
        ``alpha="scale"``, then halves of that, until the score has turned; last, the neighbour of
        the chosen one, by a factor of two, on the side on which it may be better. A number: so many
        values, equally spaced in their logarithm from ``alpha_max_`` down to ``eps * alpha_max_``.
        An array: the values, which are sorted.
    eps : float, default=1e-4
        Smallest alpha over largest, where ``alphas`` is a number.
    cv : int, splitter, iterable of (train, test) or None, default=None
        The folds. None: five, stratified, of shuffled rows, drawn with ``random_state``, from
        50 000 distinct rows on by their values (equal rows are in one fold). An int: so many of
        unshuffled rows, as everywhere in scikit-learn; of Dask collections too large to be gathered
        so many by values, and nothing but a number or None.
    scoring : str, callable or None, default=None
        What is maximised. None: the negative log-loss at the temperature of each alpha (see
        ``calibrate``), weighted by ``sample_weight``. Other scores of probabilities see those of
        the folds without a temperature.
    selection : {"scale", "best", "one_standard_error", "smallest"}, default="scale"
        "best": the alpha of the best mean score. The others hold all alphas for equal whose mean
        score is within a standard error of it, taken over the folds. "scale" chooses the closest of
        them to ``alpha="scale"`` of :class:`ConvexReLUClassifier`, "one_standard_error" the
        largest, "smallest" the one with the fewest neurons in the mean of the folds.
    patience : int or None, default=2
        The descent ends when the score has turned: so many alphas in a row are worse than the best
        one before them by more than its standard error over the folds. With ``alphas="auto"`` two
        in a row that are not better end it, or one that is clearly worse, and below
        ``alpha="scale"`` also a step that promises less than a standard error. None: never, all
        alphas are solved.
    relax : float or array-like of shape (n_relax,), default=1.0
        Numbers above 0 and up to 1. The neurons found at alpha slide and are refitted at ``relax *
        alpha``, none added [2]_; of several numbers one is chosen with alpha, the larger of equals.
        ``relax=(1, 1/4, 1/16, 1/64)`` with ``selection="smallest"`` keeps the score with a fraction
        of the neurons.
    refit : True, "mean" or "both", default=True
        True: a fit to all rows. "mean": the mean of the networks of the folds, one network with
        the neurons of all of them, its objective and gap on all rows; it costs no fit, and has
        several times the neurons. "both": half the one and half the other, as one network.
    loss : {"log_loss"}, default="log_loss"
        Logistic loss for two classes, cross-entropy of the softmax for more.
    fit_intercept : bool, default=True
        Whether neurons have a bias, penalised like their other weights, and outputs a free
        intercept.
    refinement : {"cutting_plane"}, default="cutting_plane"
        Neurons are found by adding violated dual constraints.
    max_neurons : int, default=None
        Largest number of neurons to keep.
    max_iter : int, default=50
        Largest number of rounds of every solve.
    tol : float, default=1e-2
        A solve stops when a round lowers the objective by less than this fraction of it, or when
        the relative duality gap is below it. Values below 1e-2 hold for the final fit only.
    gap_tol : float, default=None
        The relative duality gap that the final fit goes on to.
    n_jobs : int, default=None
        Folds that are solved at a time: by worker processes, once they have started, or, of very
        many rows, by threads. None is 1 unless in a ``joblib.parallel_config`` context, -1 all
        processors. The final fit has as many threads. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seeds the folds of ``cv=None`` and the directions from which neurons are searched.
    verbose : int, default=0
        Print a line for every alpha and for every round of the final fit.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in training, multiplied with ``sample_weight``; "balanced" counts
        all rows. Scores and the temperature do not use them.
    calibrate : bool, default=True
        Whether probabilities have a temperature ``T``, ``softmax(z / T)``: for every alpha that of
        the least log-loss of the outputs on held-out rows. Labels, objective and gap do not depend
        on it.

    Attributes
    ----------
    alpha_ : float
        The weight decay of the network: ``relax_`` times the chosen one of ``alphas_``.
    relax_ : float
        The chosen one of ``relax``.
    alphas_ : ndarray of shape (n_alphas,)
        Descending, as far as the path went.
    score_path_ : ndarray of shape (n_alphas, n_folds)
        Scores on the held-out rows. If ``relax`` is an array, this and the next two have shape
        ``(n_relax, n_alphas, n_folds)``, ``relax`` descending.
    n_neurons_path_ : ndarray of shape (n_alphas, n_folds)
        Numbers of neurons.
    dual_gap_path_ : ndarray of shape (n_alphas, n_folds)
        Relative duality gaps of the folds, from a light search (unless ``certificate_`` is
        "exact"): the folds are solved as coarsely as the choice of alpha allows.
    best_score_ : float
        The best mean score, which need not be that of ``alpha_``, see ``selection``.
    temperature_ : float
        With ``calibrate``: what ``predict_proba`` divides outputs by, that of the chosen alpha.
        Where it is above 1 on the held-out rows, its excess times the share of rows that a fold
        trains on, as overfitting falls like 1 / n.
    classes_ : ndarray of shape (n_classes,)
        Class labels with positive weight.
    coefs_, intercepts_ : list of two ndarrays
        The network, trained on all rows with ``alpha_``, or what ``refit`` makes of it and those
        of the folds; laid out as in :class:`ConvexReLUClassifier`.
    n_neurons_, n_layers_, n_outputs_ : int
        Its numbers of neurons, of layers (3, counting the input) and of outputs.
    out_activation_ : str
        "logistic" or "softmax".
    objective_, dual_gap_, dual_gap_abs_ : float
        Its objective and relative and absolute duality gap at ``alpha_``, as in
        :class:`ConvexReLUClassifier`. The gap refers to networks of every width at that alpha: of a
        relaxed network it says how much its few neurons leave to others.
    certificate_ : {"exact", "proven", "estimated"}
        What ``dual_gap_`` is worth: only the first two are bounds.
    status_ : str
        Why its rounds ended, as in :class:`ConvexReLURegressor`; or "mean".
    n_iter_ : int
        Its number of rounds.
    history_ : dict of ndarrays of shape (n_iter_,)
        Its rounds, as in :class:`ConvexReLUClassifier`.
    alpha_max_ : float
        From here on the network of all rows is a constant.
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
    ConvexReLUClassifier : The estimator for one alpha.
    convexnn_path : The path alone.
    PathDisplay : Draws scores, numbers of neurons and gaps against alpha.

    Notes
    -----
    Every fold descends its own path, each alpha from the network of the one before. Nothing passes
    between folds: a neuron found on rows that another fold holds out would leak them. The final fit
    is that of the estimator for one alpha, given ``alpha_``. With ``refit="mean"`` and "both"
    the objective of the mean is by convexity no larger than the mean of the objectives.

    The folds hold no copies of the rows: all of them, and the final fit, read one array of the
    distinct rows.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Convex Geometry and Duality of Over-parameterized Neural
       Networks", JMLR 22(212), 2021. arXiv:2002.11219 (semi-infinite dual and strong duality).
    .. [2] N. Meinshausen, "Relaxed Lasso", Computational Statistics & Data Analysis 52, 2007.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_convexnn import ConvexReLUClassifierCV
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), ConvexReLUClassifierCV(random_state=0))
    >>> model.fit(X, y).score(X, y) > 0.95
    True
    """

    _single = ConvexReLUClassifier
    _parameter_constraints = {
        **BaseConvexReLUCV._parameter_constraints,
        "loss": [StrOptions({"log_loss"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "calibrate": ["boolean"],
    }

    def __init__(
        self,
        *,
        alphas: Literal["auto"] | int | ArrayLike = "auto",
        eps: float = 1e-4,
        cv: Folds = None,
        scoring: Scoring = None,
        selection: Literal["scale", "best", "one_standard_error", "smallest"] = "scale",
        patience: int | None = 2,
        relax: float | ArrayLike = 1.0,
        refit: bool | Literal["mean", "both"] = True,
        loss: Literal["log_loss"] = "log_loss",
        fit_intercept: bool = True,
        refinement: Literal["cutting_plane"] = "cutting_plane",
        max_neurons: int | None = None,
        max_iter: int = 50,
        tol: float = 1e-2,
        gap_tol: float | None = None,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
        class_weight: ClassWeight = None,
        calibrate: bool = True,
    ) -> None:
        super().__init__(
            alphas=alphas,
            eps=eps,
            cv=cv,
            scoring=scoring,
            selection=selection,
            patience=patience,
            relax=relax,
            refit=refit,
            loss=loss,
            fit_intercept=fit_intercept,
            refinement=refinement,
            max_neurons=max_neurons,
            max_iter=max_iter,
            tol=tol,
            gap_tol=gap_tol,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight
        self.calibrate = calibrate
