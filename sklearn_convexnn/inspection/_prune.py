"""A fitted estimator with fewer neurons: the same on the training rows, or nearly as good."""

from __future__ import annotations

from copy import deepcopy
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from sklearn_convexnn._losses import loss_options
from sklearn_convexnn._two_layer import BaseTwoLayer
from sklearn_convexnn._validation import check_weights, one_blas_thread
from sklearn_convexnn.core.column_generation.pruning import smaller_network
from sklearn_convexnn.core.fit.cutting_plane import fast_dtype
from sklearn_convexnn.core.problem.units import make_problem
from sklearn_convexnn.core.programs.minimal import RANK_TOL, SINGLE_RANK_TOL, minimal_network
from sklearn_convexnn.inspection._networks import two_layer_network
from sklearn_convexnn.inspection._training import check_rows, training_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import MatrixLike, Model


@one_blas_thread
def prune(
    estimator: Model,
    X: MatrixLike,
    y: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    *,
    tolerance: float = 0.0,
) -> Model:
    r"""A fitted estimator with fewer neurons.

    **Exact pruning** (``tolerance=0``) keeps the outputs on the rows ``X`` and does not raise the
    penalty. Neurons active on the same rows add up to one; then, as long as the blocks :math:`(X
    u_j)_+ c_j^\top` (and, with an intercept, constants) satisfy a linear relation :math:`\sum_j
    \beta_j (X u_j)_+ c_j^\top = 1 d^\top`, the change :math:`c_j \to (1 - t \beta_j) c_j` removes a
    neuron. At an optimum the penalty is constant on the way (Algorithm 1 of [1]_), elsewhere the
    sign of :math:`\beta` is the one with which it falls. It ends with linearly independent blocks:
    at most one neuron for each row and output. A fit that stopped early on many rows mostly has
    independent blocks already.

    **Approximate pruning** (``tolerance > 0``) goes on and lowers the number of neurons as long as
    the training objective stays below :math:`1 + \text{tolerance}` times its value. The neurons
    whose loss the others can best make up for leave in batches, the others are moved and refitted.
    This is a search: the number that it ends with need not be the smallest. Networks become much
    smaller this way; where the fit had stopped early, the objective often falls as well.

    Parameters
    ----------
    estimator : object
        A fitted :class:`~sklearn_convexnn.ConvexReLURegressor` or
        :class:`~sklearn_convexnn.ConvexReLUClassifier`, or one that chose ``alpha`` by
        cross-validation. It is left as it is.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Training rows, as the estimator saw them (after the scaler of a pipeline).
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Training targets. Approximate pruning needs them.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights as in fit. Class weights are those of the estimator.
    tolerance : float, default=0.0
        Largest rise of the objective, as a fraction of it; 0 for exact pruning.

    Returns
    -------
    object
        A fitted estimator of the same class and parameters, with ``n_neurons_``, ``coefs_``,
        ``intercepts_``, ``objective_``, ``dual_gap_abs_`` and ``dual_gap_`` of the smaller network.
        What tells of the fit, such as ``history_``, ``n_iter_`` and ``status_``, stays.

    Raises
    ------
    ValueError
        If ``estimator`` is of another kind, if ``tolerance`` is negative or positive without ``y``,
        or if the objective of the estimator at ``X`` and ``y`` is not ``objective_``: they are
        other data than those of the fit.

    See Also
    --------
    l0_l1_certificate : Whether a network has provably the fewest neurons for its outputs.

    Notes
    -----
    The lower bound ``objective_ - dual_gap_abs_`` of the fit is a statement about the training
    data, not about its network. It remains, and with it the kind of the certificate; the new gap is
    the new objective less that bound. In exact pruning it cannot grow, in approximate pruning it
    grows by the rise of the objective.

    In exact pruning a linear combination of blocks (of length one) counts as zero if it is below
    1e-10, or 1e-6 for weights in single precision, and the outputs are kept to that accuracy. On
    rows other than ``X`` the outputs may change.

    References
    ----------
    .. [1] A. Mishkin and M. Pilanci, "Optimal Sets and Solution Paths of ReLU Networks", ICML 2023.
       arXiv:2306.00119.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_convexnn import ConvexReLURegressor
    >>> from sklearn_convexnn.inspection import prune
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = ConvexReLURegressor(random_state=0).fit(X, y)
    >>> smaller = prune(model, X, y, tolerance=0.01)
    >>> smaller.n_neurons_ < 0.8 * model.n_neurons_
    True
    >>> smaller.objective_ <= 1.01 * model.objective_
    True
    """
    if not (isinstance(tolerance, Real) and 0 <= tolerance < np.inf):
        raise ValueError(f"tolerance must be a number from 0 on, got {tolerance!r}.")
    if tolerance > 0 and y is None:
        raise ValueError(
            f"tolerance={tolerance:g} allows the objective to rise, and the objective depends on "
            "the targets: pass y, or tolerance=0 for exact pruning."
        )
    layers = two_layer_network(estimator)
    if not isinstance(estimator, BaseTwoLayer):
        raise ValueError(
            f"{type(estimator).__name__} cannot be pruned: pass a ConvexReLURegressor, a "
            "ConvexReLUClassifier, or one of their cross-validated forms."
        )
    X = check_rows(X, len(layers.W))
    rows = None
    if y is not None:
        rows = training_rows(estimator, layers, X, y, sample_weight)
        _check_data(estimator, rows, layers)
    problem = _problem(estimator, X, rows, check_weights(sample_weight, X))
    network = _fewer(estimator, problem, tolerance)
    pruned = deepcopy(estimator)
    if network.n_neurons < estimator.n_neurons_:
        _set_network(pruned, problem, network, layers, rows)
    return pruned


def _problem(estimator, X, rows, weights):
    """The training problem, or one with its rows where nothing depends on the targets."""
    intercept = estimator.fit_intercept
    if rows is None:
        targets = np.zeros((X.shape[0], estimator.n_outputs_))
        return make_problem(X, targets, weights, loss="squared_error", intercept=intercept)
    return make_problem(
        X,
        rows.Y,
        rows.weights,
        loss=estimator.loss,
        intercept=intercept,
        options=loss_options(estimator),
    )


def _fewer(estimator, problem, tolerance):
    network = problem.network(estimator.coefs_, estimator.intercepts_)
    tol = SINGLE_RANK_TOL if estimator.coefs_[0].dtype == np.float32 else RANK_TOL
    if tolerance == 0:
        return minimal_network(problem.rows, network, tol=tol)
    alpha = estimator.alpha_ / problem.alpha_unit
    return smaller_network(
        problem.rows,
        network,
        alpha,
        tolerance=tolerance,
        tol=tol,
        fast_dtype=fast_dtype(problem.rows),
    )


def _set_network(pruned, problem, network, before, rows):
    """Weights, objective and gap of the smaller network; ``pruned`` has those of the larger one."""
    dtype = pruned.coefs_[0].dtype
    lower_bound = pruned.objective_ - pruned.dual_gap_abs_
    coefs, intercepts = problem.layers(network)
    pruned.coefs_ = [part.astype(dtype) for part in coefs]
    pruned.intercepts_ = [part.astype(dtype) for part in intercepts]
    pruned.n_neurons_ = network.n_neurons
    layers = two_layer_network(pruned)
    if rows is None:
        # The outputs are the same: only the penalty has changed.
        pruned.objective_ += pruned.alpha_ * (_penalty(layers) - _penalty(before))
    else:
        pruned.objective_ = _objective(rows, layers, pruned.alpha_)
    # The dual point of the fit is feasible whatever the network is: its value stays a lower bound.
    pruned.dual_gap_abs_ = max(pruned.objective_ - lower_bound, 0.0)
    pruned.dual_gap_ = pruned.dual_gap_abs_ / pruned.objective_ if pruned.objective_ > 0 else 0.0


def _objective(rows, layers, alpha):
    return rows.at(layers.outputs(rows.X)).mean_loss + alpha * _penalty(layers)


def _penalty(layers):
    return 0.5 * float(sum(np.sum(part**2) for part in (layers.W, layers.bias, layers.C)))


def _check_data(estimator, rows, layers):
    """Is the objective that of the fit, up to the rounding of weights and of large targets?"""
    objective = _objective(rows, layers, estimator.alpha_)
    eps = np.finfo(estimator.coefs_[0].dtype).eps
    largest = rows.at(np.zeros((rows.n_rows, rows.n_outputs))).mean_loss
    rounding = 10 * np.sqrt(eps) * abs(objective) + eps * largest
    if not abs(objective - estimator.objective_) <= rounding:
        raise ValueError(
            f"At X, y and sample_weight the objective is {objective:.6g}; at the end of the fit it "
            f"was {estimator.objective_:.6g}. Pass the data of the fit."
        )
