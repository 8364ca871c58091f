"""The public estimators of linear filters with a weight for each position: a nuclear norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from sklearn_convexnn._base_linear_cnn import BaseLinearCNN
from sklearn_convexnn._deep_linear import LinearClassifier
from sklearn_convexnn._prediction import NetworkRegressor
from sklearn_convexnn._validation import StrOptions

if TYPE_CHECKING:
    from sklearn_convexnn._typing import ClassWeight


class LinearCNNRegressor(NetworkRegressor, BaseLinearCNN):
    r"""Convolutional network without activations, a nuclear norm, solved to a proven gap.

    A filter :math:`u_j` sees the mean patch :math:`p_g(x)` of every cell g of positions, by default
    of every single position, and has output weights :math:`c_{jg}` for each. Minimises, over any
    number of filters and a free intercept,

    .. math::

        \sum_i w_i \, \tfrac12 \Bigl\| y_i - b - \sum_{j,g} c_{jg} \, u_j^T p_g(x_i) \Bigr\|^2
        + \tfrac{\alpha}{2} \sum_j \bigl( \|u_j\|^2 + \|c_j\|_F^2 \bigr) ,
        \qquad \sum_i w_i = 1 .

    In :math:`Z = \sum_j u_j c_j^T`, whose columns are the weights of each cell's patch, the least
    penalty is the nuclear norm :math:`\alpha \|Z\|_*` [1]_: a convex program, solved whole, whose
    singular vectors are the network. It is a linear model of the features whose weights are
    few patterns, each of them in many places.

    Parameters
    ----------
    alpha : float, "auto" or "scale", default="auto"
        Strength of the penalty, positive, for weights of sum 1 (a mean over rows). ``"auto"``
        halves it from ``alpha_max_`` on and refines; it takes the value with the least loss of
        held-out rows, a fifth of the distinct rows or, of few, up to three times a fifth. Below 20
        rows it is ``"scale"``, which is ``0.01 * alpha_max_``.
    image_shape : tuple of int, default=None
        Shape of an image or signal, as in :class:`ConvexCNNRegressor`.
    patch_size : int, tuple of int or None, default=None
        Entries of the window along the space axes, as in :class:`ConvexCNNRegressor`; there is one
        window.
    stride : int or tuple of int, default=1
        Steps between positions.
    dilation : int or tuple of int, default=1
        Steps between the entries of the window.
    padding : int, tuple of int or "same", default=0
        Zeros around the images. "same" has a position at every place, of a stride.
    pool_grid : int, tuple of int, list or None, default=None
        Cells along the space axes, over which filters are averaged. None: every position has output
        weights of its own. A list has several grids.
    fit_intercept : bool, default=True
        Whether the outputs have an intercept, which is not penalised.
    max_iter : int, default=50
        Largest number of rounds of the solver.
    tol : float, default=1e-8
        Relative duality gap at which the solver stops.
    verbose : int, default=0
        Print a line at the end.

    Attributes
    ----------
    filters_ : ndarray of shape (n_neurons_, *patch_size, n_channels)
        Filters ``u``, orthogonal to each other, the largest first.
    output_weights_ : ndarray of shape (n_neurons_, *grid_shape_, n_outputs_)
        Output weights ``c``, orthogonal as well, each as long as its filter.
    effective_coef_ : ndarray of shape (n_features_in_, n_outputs_)
        The network as weights of the features.
    intercept_ : ndarray of shape (n_outputs_,)
        Intercept of the outputs.
    sizes_ : ndarray of shape (n_neurons_,)
        What each filter costs with its weights, over ``alpha_``: singular values.
    n_neurons_ : int
        Number of filters.
    n_layers_ : int
        3, counting the input as scikit-learn's perceptrons do.
    n_outputs_ : int
        Number of outputs.
    out_activation_ : str
        "identity".
    image_shape_ : tuple of int
        The shape of a row.
    grid_shape_ : tuple of int
        Cells along every space axis; of several grids the number of all cells.
    alpha_ : float
        The ``alpha`` that was used.
    alphas_ : ndarray of shape (n_alphas,)
        For ``alpha="auto"`` the values that were tried, in decreasing order.
    validation_losses_ : ndarray of shape (n_alphas,)
        Their mean loss of held-out rows.
    alpha_max_ : float
        The least ``alpha`` at which the constant network is optimal.
    objective_ : float
        Value of the objective.
    dual_gap_ : float
        Relative gap between the objective and a proven lower bound, ``dual_gap_abs_ /
        objective_``.
    dual_gap_abs_ : float
        The same in units of the objective.
    certificate_ : {"exact"}
        The program is solved whole: the gap is a bound.
    status_ : str
        Why the solver ended: "gap" or "max_iter".
    n_iter_ : int
        Number of rounds.
    history_ : dict of ndarrays of shape (1,)
        "objective", "lower_bound", "dual_gap" (relative) and "rank", the number of filters, at the
        end.
    feature_importances_ : ndarray of shape (n_features_in_,)
        Lengths of the rows of ``effective_coef_`` as shares of their sum; zeros for a constant
        network.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    LinearCNNClassifier : The same network for classification.
    ConvexCNNRegressor : With ReLUs behind the filters.
    CircularLinearRegressor : Filters as long as the row: a lasso in frequencies.
    DeepLinearRegressor : Linear layers without structure: the nuclear norm over outputs.

    Notes
    -----
    After one pass over the rows, that for :math:`X^T X`, the work does not depend on their number;
    a second pass confirms the certificate. The output weights of given filters are a ridge
    regression: what is left is a smooth function of the filters alone, few numbers however many
    positions there are. The smaller of the numbers of rows and of features should be at most some
    thousands.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Implicit Convex Regularizers of CNN Architectures: Convex
       Optimization of Two- and Three-Layer Networks in Polynomial Time", ICLR 2021.
       arXiv:2006.14798.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_convexnn import LinearCNNRegressor
    >>> X = np.random.default_rng(0).standard_normal((100, 32))
    >>> y = np.diff(X, axis=1) @ (np.hanning(31) * (-1.0) ** np.arange(31))
    >>> model = LinearCNNRegressor(0.1, patch_size=2).fit(X, y)
    >>> model.n_neurons_, model.filters_.shape, model.output_weights_.shape
    (1, (1, 2, 1), (1, 31, 1))
    """

    def __init__(
        self,
        alpha: float | Literal["auto", "scale"] = "auto",
        *,
        image_shape: tuple[int, ...] | None = None,
        patch_size: int | tuple[int, ...] | None = None,
        stride: int | tuple[int, ...] = 1,
        dilation: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | Literal["same"] = 0,
        pool_grid: int | tuple[int, ...] | list[Any] | None = None,
        fit_intercept: bool = True,
        max_iter: int = 50,
        tol: float = 1e-8,
        verbose: int = 0,
    ) -> None:
        self.alpha = alpha
        self.image_shape = image_shape
        self.patch_size = patch_size
        self.stride = stride
        self.dilation = dilation
        self.padding = padding
        self.pool_grid = pool_grid
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class LinearCNNClassifier(LinearClassifier, BaseLinearCNN):
    r"""Convolutional network without activations for classification, solved to a proven gap.

    Minimises, over any number of filters :math:`u_j` with output weights :math:`c_{jg}` for every
    cell g of positions, by default every single one, and a free intercept,

    .. math::

        \sum_i w_i \, \ell \Bigl( y_i, \, b + \sum_{j,g} c_{jg} \, u_j^T p_g(x_i) \Bigr)
        + \tfrac{\alpha}{2} \sum_j \bigl( \|u_j\|^2 + \|c_j\|_F^2 \bigr) ,
        \qquad \sum_i w_i = 1 ,

    with the mean patch :math:`p_g(x)` of a cell: the nuclear norm :math:`\alpha \|Z\|_*` of
    :math:`Z = \sum_j u_j c_j^T` [1]_, as in :class:`LinearCNNRegressor`.

    Parameters
    ----------
    alpha : float, "auto" or "scale", default="auto"
        Strength of the penalty, positive, for weights of sum 1 (a mean over rows). ``"auto"``
        halves it from ``alpha_max_`` on and refines, for the log-loss by steps of 4 and a parabola
        through the best value and its neighbours; it takes the value with the least loss of
        held-out rows, a fifth of the distinct rows or, of few, up to four times a fifth. Below 20
        rows it is ``"scale"``, which is ``0.01 * alpha_max_``.
    image_shape : tuple of int, default=None
        Shape of an image or signal, as in :class:`ConvexCNNClassifier`.
    patch_size : int, tuple of int or None, default=None
        Entries of the window along the space axes, as in :class:`ConvexCNNClassifier`; there is one
        window.
    stride : int or tuple of int, default=1
        Steps between positions.
    dilation : int or tuple of int, default=1
        Steps between the entries of the window.
    padding : int, tuple of int or "same", default=0
        Zeros around the images. "same" has a position at every place, of a stride.
    pool_grid : int, tuple of int, list or None, default=None
        Cells along the space axes, over which filters are averaged. None: every position has output
        weights of its own. A list has several grids.
    loss : {"squared_error", "log_loss"}, default="squared_error"
        The squared error is taken to indicator columns of the classes (-1 and 1 in one column for
        two classes).
    fit_intercept : bool, default=True
        Whether the outputs have an intercept, which is not penalised.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with ``sample_weight``.
    max_iter : int, default=50
        Largest number of rounds of the solver.
    tol : float, default=1e-6
        Relative duality gap at which the solver stops.
    verbose : int, default=0
        Print a line at the end.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels with positive weight.
    filters_ : ndarray of shape (n_neurons_, *patch_size, n_channels)
        Filters ``u``, orthogonal to each other, the largest first.
    output_weights_ : ndarray of shape (n_neurons_, *grid_shape_, n_outputs_)
        Output weights ``c``, orthogonal as well, each as long as its filter.
    effective_coef_ : ndarray of shape (n_features_in_, n_outputs_)
        The network as weights of the features.
    intercept_ : ndarray of shape (n_outputs_,)
        Intercept of the outputs.
    sizes_ : ndarray of shape (n_neurons_,)
        What each filter costs with its weights, over ``alpha_``: singular values.
    n_neurons_ : int
        Number of filters.
    n_layers_ : int
        3, counting the input as scikit-learn's perceptrons do.
    n_outputs_ : int
        Number of outputs: 1 for two classes, else the number of classes.
    out_activation_ : str
        "identity" for the squared error, else "logistic" or "softmax".
    image_shape_ : tuple of int
        The shape of a row.
    grid_shape_ : tuple of int
        Cells along every space axis; of several grids the number of all cells.
    alpha_ : float
        The ``alpha`` that was used. That of ``"auto"`` lies between ``alphas_`` for the log-loss.
    alphas_ : ndarray of shape (n_alphas,)
        For ``alpha="auto"`` the values that were tried, in decreasing order.
    validation_losses_ : ndarray of shape (n_alphas,)
        Their mean loss of held-out rows.
    alpha_max_ : float
        The least ``alpha`` at which the constant network is optimal.
    objective_ : float
        Value of the objective.
    dual_gap_ : float
        Relative gap between the objective and a proven lower bound, ``dual_gap_abs_ /
        objective_``.
    dual_gap_abs_ : float
        The same in units of the objective.
    certificate_ : {"exact"}
        The program is solved whole: the gap is a bound.
    status_ : str
        Why the solver ended: "gap" or "max_iter".
    n_iter_ : int
        Number of rounds.
    history_ : dict of ndarrays of shape (1,)
        "objective", "lower_bound", "dual_gap" (relative) and "rank", the number of filters, at the
        end.
    feature_importances_ : ndarray of shape (n_features_in_,)
        Lengths of the rows of ``effective_coef_`` as shares of their sum; zeros for a constant
        network.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    LinearCNNRegressor : The same network for regression.
    ConvexCNNClassifier : With ReLUs behind the filters.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Implicit Convex Regularizers of CNN Architectures: Convex
       Optimization of Two- and Three-Layer Networks in Polynomial Time", ICLR 2021.
       arXiv:2006.14798.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_convexnn import LinearCNNClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = LinearCNNClassifier(0.01, image_shape=(8, 8), patch_size=3).fit(X / 16, y)
    >>> model.filters_.shape[1:], model.grid_shape_, model.n_outputs_
    ((3, 3, 1), (6, 6), 10)
    """

    _parameter_constraints = {
        **BaseLinearCNN._parameter_constraints,
        "loss": [StrOptions({"squared_error", "log_loss"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        alpha: float | Literal["auto", "scale"] = "auto",
        *,
        image_shape: tuple[int, ...] | None = None,
        patch_size: int | tuple[int, ...] | None = None,
        stride: int | tuple[int, ...] = 1,
        dilation: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | Literal["same"] = 0,
        pool_grid: int | tuple[int, ...] | list[Any] | None = None,
        loss: Literal["squared_error", "log_loss"] = "squared_error",
        fit_intercept: bool = True,
        class_weight: ClassWeight = None,
        max_iter: int = 50,
        tol: float = 1e-6,
        verbose: int = 0,
    ) -> None:
        self.alpha = alpha
        self.image_shape = image_shape
        self.patch_size = patch_size
        self.stride = stride
        self.dilation = dilation
        self.padding = padding
        self.pool_grid = pool_grid
        self.loss = loss
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose
