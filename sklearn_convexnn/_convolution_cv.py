"""The public convolutional estimators that choose ``alpha`` by cross-validation."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

from sklearn_convexnn._base_convolution import BaseConvexCNNCV
from sklearn_convexnn._convolution import ConvexCNNClassifier, ConvexCNNRegressor
from sklearn_convexnn._losses import losses_for, regression_tags
from sklearn_convexnn._prediction import NetworkClassifier, NetworkRegressor
from sklearn_convexnn._validation import Interval, StrOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import ClassWeight, Folds, RandomState, Scoring


class ConvexCNNRegressorCV(NetworkRegressor, BaseConvexCNNCV):
    r"""Two-layer convolutional network for regression, ``alpha`` chosen by cross-validation.

    Minimises the objective of :class:`ConvexCNNRegressor`,

    .. math::

        \sum_i w_i \, \ell(y_i, z(x_i)) + \alpha \sum_j \|(u_j, b_j)\|_2 \, \|c_j\|_F ,
        \qquad \sum_i w_i = 1 ,

    for descending values of alpha in every fold, takes the alpha whose networks predict the
    held-out rows well, and trains on all rows with it. For every alpha the problem is convex in
    the measure of filters [1]_.

    Parameters
    ----------
    alphas : "auto", int or array-like of shape (n_alphas,), default="auto"
        As in :class:`ConvexReLURegressorCV`.
    eps : float, default=1e-4
        Smallest alpha over largest, where ``alphas`` is a number.
    cv : int, splitter, iterable of (train, test) or None, default=None
        The folds. None: five, of shuffled rows, drawn with ``random_state``.
    scoring : str, callable or None, default=None
        What is maximised, as in :class:`ConvexReLURegressorCV`.
    selection : {"scale", "best", "one_standard_error", "smallest"}, default="scale"
        As in :class:`ConvexReLURegressorCV`.
    patience : int or None, default=2
        As in :class:`ConvexReLURegressorCV`.
    relax : float or array-like of shape (n_relax,), default=1.0
        As in :class:`ConvexReLURegressorCV`: the filters found at alpha slide and are refitted at
        ``relax * alpha``.
    refit : True, "mean" or "both", default=True
        True: a fit to all rows. "mean": the mean of the networks of the folds; "both": half
        of each.
    image_shape : tuple of int, default=None
        Shape of an image or signal, of which a row of ``X`` is the entries in C order. None: that
        of ``X`` where it has more than two dimensions, else a row is a signal of one channel.
    patch_size : int, tuple of int, list or None, default=None
        Entries of a window along the space axes; it has all channels. A tuple has one number for
        each axis of the images, or, where the last axis is that of the channels, for all but that
        one: ``(5, 5)`` for images of shape ``(32, 32, 3)``, ``(9,)`` for six series of shape
        ``(100, 6)``. A number is for every axis. None is five, or the whole axis where it is
        shorter. A list has one of these for each of several windows: a filter has one of them, and
        all are centred at the same positions.
    stride : int or tuple of int, default=1
        Steps between positions.
    dilation : int, tuple of int or list, default=1
        Steps between the entries of a window; a list has those of each window.
    padding : int, tuple of int or "same", default=0
        Zeros around the images. Windows are where the largest of them fits; "same" has a position
        at every place, of a stride.
    pooling : {"max", "average"}, default="max"
        Whether the largest activation of a cell of positions is passed on, or the mean.
    pool_grid : int, tuple of int, list or None, default=1
        Cells along the space axes. 1: one cell, the output does not depend on where a pattern is.
        None: every position has output weights of its own. A list has several grids, ``[1, 4]``
        says both what there is and in which quarter.
    loss : {"squared_error", "huber", "poisson"}, default="squared_error"
        As in :class:`ConvexReLURegressor`.
    epsilon : float, default=1.35
        Of the Huber loss, as in :class:`ConvexReLURegressor`.
    fit_intercept : bool, default=True
        Whether filters have a bias, penalised like their other weights, and outputs a free
        intercept.
    max_neurons : int, default=None
        Largest number of filters to keep. The duality gap still refers to networks of every width.
    max_iter : int, default=50
        Largest number of rounds.
    tol : float, default=1e-2
        Training stops when a round lowers the objective by less than this fraction of it, or when
        the relative duality gap is below it.
    gap_tol : float, default=None
        Go on until the relative duality gap is below this value instead; the gap is proven where
        that is quick, with one output, one cell and patches of rank six at most.
    n_jobs : int, default=None
        Folds that are solved at a time, by threads or worker processes; the result does not depend
        on it.
    random_state : int, RandomState instance or None, default=None
        Seeds the folds of ``cv=None`` and the directions from which filters are searched.
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
        Numbers of filters.
    dual_gap_path_ : ndarray of shape (n_alphas, n_folds)
        Relative duality gaps of the folds, from a light search.
    best_score_ : float
        The best mean score, which need not be that of ``alpha_``.
    filters_ : ndarray of shape (n_neurons_, *patch_size, n_channels), or a list of them
        Filters, scaled such that each, with its bias, has the length of its output weights. Of
        several windows a list, one array for each.
    filter_intercepts_ : ndarray of shape (n_neurons_,)
        Biases of the filters, those of the first window first.
    output_weights_ : ndarray of shape (n_neurons_, *grid_shape_, n_outputs_)
        Output weights of the filters in the same order, for every cell.
    output_intercepts_ : ndarray of shape (n_outputs_,)
        Intercepts of the outputs.
    n_neurons_ : int
        Number of filters.
    n_outputs_ : int
        Number of outputs of the network.
    image_shape_ : tuple
        Shape of an image.
    grid_shape_ : tuple
        Cells along every space axis; of several grids the number of all their cells.
    out_activation_ : str
        "identity", for the Poisson loss "exp".
    scale_ : ndarray of shape (n_outputs_,)
        Only of the Huber loss, as in :class:`ConvexReLURegressor`.
    alpha_max_ : float
        From here on the network is a constant, found by search.
    objective_ : float
        Value of the objective.
    dual_gap_ : float
        Relative duality gap. What it is worth depends on ``certificate_``.
    dual_gap_abs_ : float
        Duality gap in units of the objective.
    certificate_ : {"exact", "proven", "estimated"}
        "exact" and "proven": the objective is within the gap of the global optimum over networks of
        any number of filters. "estimated": the dual constraints were checked by local search, the
        gap is an estimate and not a bound. Patches in a plane (two entries without a bias) give
        exact certificates for few rows.
    status_ : str
        Why the rounds ended, as in :class:`ConvexCNNRegressor`; or "mean".
    n_iter_ : int
        Number of rounds.
    history_ : dict of ndarrays of shape (n_iter_,)
        After every round: "objective", "lower_bound", "dual_gap" (relative), "n_neurons" and
        "violation", by which fraction of alpha the worst dual constraint is exceeded.
    n_features_in_ : int
        Number of entries of an image.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    ConvexCNNRegressor : The estimator for one alpha.
    ConvexReLURegressorCV : Networks that do not know of images.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Implicit Convex Regularizers of CNN Architectures: Convex
       Optimization of Two- and Three-Layer Networks in Polynomial Time", ICLR 2021.
       arXiv:2006.14798.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_convexnn import ConvexCNNRegressorCV
    >>> X = np.random.default_rng(0).standard_normal((80, 12))
    >>> y = np.diff(X).max(axis=1)  # the steepest rise, wherever it is
    >>> model = ConvexCNNRegressorCV(alphas=5, eps=1e-2, cv=2, patch_size=2, random_state=0)
    >>> model.fit(X[:60], y[:60]).score(X[60:], y[60:]) > 0.9
    True
    """

    _single = ConvexCNNRegressor
    _parameter_constraints = {
        **BaseConvexCNNCV._parameter_constraints,
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
        image_shape: tuple[int, ...] | None = None,
        patch_size: int | Sequence[Any] | None = None,
        stride: int | tuple[int, ...] = 1,
        dilation: int | Sequence[Any] = 1,
        padding: int | tuple[int, ...] | Literal["same"] = 0,
        pooling: Literal["max", "average"] = "max",
        pool_grid: int | tuple[int, ...] | None = 1,
        loss: Literal["squared_error", "huber", "poisson"] = "squared_error",
        epsilon: float = 1.35,
        fit_intercept: bool = True,
        max_neurons: int | None = None,
        max_iter: int = 50,
        tol: float = 1e-2,
        gap_tol: float | None = None,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.alphas = alphas
        self.eps = eps
        self.cv = cv
        self.scoring = scoring
        self.selection = selection
        self.patience = patience
        self.relax = relax
        self.refit = refit
        self.image_shape = image_shape
        self.patch_size = patch_size
        self.stride = stride
        self.dilation = dilation
        self.padding = padding
        self.pooling = pooling
        self.pool_grid = pool_grid
        self.loss = loss
        self.epsilon = epsilon
        self.fit_intercept = fit_intercept
        self.max_neurons = max_neurons
        self.max_iter = max_iter
        self.tol = tol
        self.gap_tol = gap_tol
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        return regression_tags(self, super().__sklearn_tags__())


class ConvexCNNClassifierCV(NetworkClassifier, BaseConvexCNNCV):
    r"""Two-layer convolutional network for classification, ``alpha`` chosen by cross-validation.

    Minimises the objective of :class:`ConvexCNNClassifier`,

    .. math::

        \sum_i w_i \, \ell(y_i, z(x_i)) + \alpha \sum_j \|(u_j, b_j)\|_2 \, \|c_j\|_F ,
        \qquad \sum_i w_i = 1 ,

    for descending values of alpha in every fold, takes the alpha whose networks predict the
    held-out rows well, and trains on all rows with it. For every alpha the problem is convex in
    the measure of filters [1]_.

    Parameters
    ----------
    alphas : "auto", int or array-like of shape (n_alphas,), default="auto"
        As in :class:`ConvexReLUClassifierCV`.
    eps : float, default=1e-4
        Smallest alpha over largest, where ``alphas`` is a number.
    cv : int, splitter, iterable of (train, test) or None, default=None
        The folds. None: five, of shuffled rows, drawn with ``random_state``.
    scoring : str, callable or None, default=None
        What is maximised, as in :class:`ConvexReLUClassifierCV`.
    selection : {"scale", "best", "one_standard_error", "smallest"}, default="scale"
        As in :class:`ConvexReLUClassifierCV`.
    patience : int or None, default=2
        As in :class:`ConvexReLUClassifierCV`.
    relax : float or array-like of shape (n_relax,), default=1.0
        As in :class:`ConvexReLUClassifierCV`: the filters found at alpha slide and are refitted at
        ``relax * alpha``.
    refit : True, "mean" or "both", default=True
        True: a fit to all rows. "mean": the mean of the networks of the folds; "both": half
        of each.
    image_shape : tuple of int, default=None
        Shape of an image or signal, of which a row of ``X`` is the entries in C order. None: that
        of ``X`` where it has more than two dimensions, else a row is a signal of one channel.
    patch_size : int, tuple of int, list or None, default=None
        Entries of a window along the space axes; it has all channels. A tuple has one number for
        each axis of the images, or, where the last axis is that of the channels, for all but that
        one: ``(5, 5)`` for images of shape ``(32, 32, 3)``, ``(9,)`` for six series of shape
        ``(100, 6)``. A number is for every axis. None is five, or the whole axis where it is
        shorter. A list has one of these for each of several windows: a filter has one of them, and
        all are centred at the same positions.
    stride : int or tuple of int, default=1
        Steps between positions.
    dilation : int, tuple of int or list, default=1
        Steps between the entries of a window; a list has those of each window.
    padding : int, tuple of int or "same", default=0
        Zeros around the images. Windows are where the largest of them fits; "same" has a position
        at every place, of a stride.
    pooling : {"max", "average"}, default="max"
        Whether the largest activation of a cell of positions is passed on, or the mean.
    pool_grid : int, tuple of int, list or None, default=1
        Cells along the space axes. 1: one cell, the output does not depend on where a pattern is.
        None: every position has output weights of its own. A list has several grids, ``[1, 4]``
        says both what there is and in which quarter.
    loss : {"log_loss"}, default="log_loss"
        Logistic loss for two classes, cross-entropy of the softmax for more.
    fit_intercept : bool, default=True
        Whether filters have a bias, penalised like their other weights, and outputs a free
        intercept.
    max_neurons : int, default=None
        Largest number of filters to keep. The duality gap still refers to networks of every width.
    max_iter : int, default=50
        Largest number of rounds.
    tol : float, default=1e-2
        Training stops when a round lowers the objective by less than this fraction of it, or when
        the relative duality gap is below it.
    gap_tol : float, default=None
        Go on until the relative duality gap is below this value instead; the gap is proven where
        that is quick, with one output, one cell and patches of rank six at most.
    n_jobs : int, default=None
        Folds that are solved at a time, by threads or worker processes; the result does not depend
        on it.
    random_state : int, RandomState instance or None, default=None
        Seeds the folds of ``cv=None`` and the directions from which filters are searched.
    verbose : int, default=0
        Print a line for every alpha and for every round of the final fit.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in training, multiplied with ``sample_weight``. Scores and the
        temperature do not use them.
    calibrate : bool, default=True
        Whether probabilities have a temperature ``T``, ``softmax(z / T)``: for every alpha that of
        the least log-loss of the outputs on held-out rows.

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
        Numbers of filters.
    dual_gap_path_ : ndarray of shape (n_alphas, n_folds)
        Relative duality gaps of the folds, from a light search.
    best_score_ : float
        The best mean score, which need not be that of ``alpha_``.
    filters_ : ndarray of shape (n_neurons_, *patch_size, n_channels), or a list of them
        Filters, scaled such that each, with its bias, has the length of its output weights. Of
        several windows a list, one array for each.
    filter_intercepts_ : ndarray of shape (n_neurons_,)
        Biases of the filters, those of the first window first.
    output_weights_ : ndarray of shape (n_neurons_, *grid_shape_, n_outputs_)
        Output weights of the filters in the same order, for every cell.
    output_intercepts_ : ndarray of shape (n_outputs_,)
        Intercepts of the outputs.
    n_neurons_ : int
        Number of filters.
    n_outputs_ : int
        Number of outputs of the network.
    image_shape_ : tuple
        Shape of an image.
    grid_shape_ : tuple
        Cells along every space axis; of several grids the number of all their cells.
    out_activation_ : str
        "logistic" or "softmax"; "identity" where scores are no log-odds.
    temperature_ : float
        With ``calibrate``: what ``predict_proba`` divides outputs by.
    classes_ : ndarray of shape (n_classes,)
        Class labels with positive weight.
    alpha_max_ : float
        From here on the network is a constant, found by search.
    objective_ : float
        Value of the objective.
    dual_gap_ : float
        Relative duality gap. What it is worth depends on ``certificate_``.
    dual_gap_abs_ : float
        Duality gap in units of the objective.
    certificate_ : {"exact", "proven", "estimated"}
        "exact" and "proven": the objective is within the gap of the global optimum over networks of
        any number of filters. "estimated": the dual constraints were checked by local search, the
        gap is an estimate and not a bound. Patches in a plane (two entries without a bias) give
        exact certificates for few rows.
    status_ : str
        Why the rounds ended, as in :class:`ConvexCNNRegressor`; or "mean".
    n_iter_ : int
        Number of rounds.
    history_ : dict of ndarrays of shape (n_iter_,)
        After every round: "objective", "lower_bound", "dual_gap" (relative), "n_neurons" and
        "violation", by which fraction of alpha the worst dual constraint is exceeded.
    n_features_in_ : int
        Number of entries of an image.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    ConvexCNNClassifier : The estimator for one alpha.
    ConvexReLUClassifierCV : Networks that do not know of images.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Implicit Convex Regularizers of CNN Architectures: Convex
       Optimization of Two- and Three-Layer Networks in Polynomial Time", ICLR 2021.
       arXiv:2006.14798.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_convexnn import ConvexCNNClassifierCV
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> model = ConvexCNNClassifierCV(alphas=3, eps=1e-2, cv=2, image_shape=(8, 8), random_state=0)
    >>> model.fit(X[:100] / 16, y[:100]).score(X[100:] / 16, y[100:]) > 0.9
    True
    """

    _single = ConvexCNNClassifier
    _parameter_constraints = {
        **BaseConvexCNNCV._parameter_constraints,
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
        image_shape: tuple[int, ...] | None = None,
        patch_size: int | Sequence[Any] | None = None,
        stride: int | tuple[int, ...] = 1,
        dilation: int | Sequence[Any] = 1,
        padding: int | tuple[int, ...] | Literal["same"] = 0,
        pooling: Literal["max", "average"] = "max",
        pool_grid: int | tuple[int, ...] | None = 1,
        loss: Literal["log_loss"] = "log_loss",
        fit_intercept: bool = True,
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
        self.alphas = alphas
        self.eps = eps
        self.cv = cv
        self.scoring = scoring
        self.selection = selection
        self.patience = patience
        self.relax = relax
        self.refit = refit
        self.image_shape = image_shape
        self.patch_size = patch_size
        self.stride = stride
        self.dilation = dilation
        self.padding = padding
        self.pooling = pooling
        self.pool_grid = pool_grid
        self.loss = loss
        self.fit_intercept = fit_intercept
        self.max_neurons = max_neurons
        self.max_iter = max_iter
        self.tol = tol
        self.gap_tol = gap_tol
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.class_weight = class_weight
        self.calibrate = calibrate
