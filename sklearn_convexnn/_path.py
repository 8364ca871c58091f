"""The regularisation path as a function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sklearn_convexnn._callbacks import Progress
from sklearn_convexnn._relu import estimator_of_loss
from sklearn_convexnn._validation import (
    check_grid,
    check_relax,
    one_blas_thread,
    refuse_other_libraries,
)
from sklearn_convexnn._warnings import warn_user
from sklearn_convexnn.core.fit.cutting_plane import choose_options, start_of_path
from sklearn_convexnn.core.fit.path import solve_path
from sklearn_convexnn.core.fit.relaxed import relaxed
from sklearn_convexnn.core.problem.solution import Status

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import MatrixLike, RandomState


@dataclass(frozen=True)
class RegularizationPath:
    """Networks for descending values of ``alpha``, as returned by :func:`convexnn_path`.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
        Descending: at which the neurons were found.
    coefs : list of n_alphas lists of two ndarrays
        Weights of the layers of every network, as ``coefs_`` of the estimators.
    intercepts : list of n_alphas lists of two ndarrays
        Biases of the layers of every network, as ``intercepts_`` of the estimators.
    objectives : ndarray of shape (n_alphas,)
        Value of the objective at its own alpha times ``relax``.
    dual_gaps : ndarray of shape (n_alphas,)
        Relative duality gaps.
    n_neurons : ndarray of shape (n_alphas,)
        Numbers of neurons.
    n_iter : ndarray of shape (n_alphas,)
        Numbers of rounds, each from the network of the alpha before.
    certificate : {"exact", "proven", "estimated"}
        What the duality gaps are worth, see the estimators.
    alpha_max : float
        From here on the network is a constant.
    classes : ndarray of shape (n_classes,) or None
        Class labels, of classification.
    relax : float
        Of the alphas, where the networks were refitted.
    """

    alphas: np.ndarray
    coefs: list
    intercepts: list
    objectives: np.ndarray
    dual_gaps: np.ndarray
    n_neurons: np.ndarray
    n_iter: np.ndarray
    certificate: str
    alpha_max: float
    classes: np.ndarray | None = None
    relax: float = 1.0


@one_blas_thread
def convexnn_path(
    X: MatrixLike,
    y: ArrayLike,
    *,
    alphas: int | ArrayLike = 20,
    eps: float = 1e-3,
    relax: float = 1.0,
    loss: str = "squared_error",
    epsilon: float = 1.35,
    fit_intercept: bool = True,
    sample_weight: ArrayLike | None = None,
    max_neurons: int | None = None,
    max_iter: int = 50,
    tol: float = 1e-2,
    gap_tol: float | None = None,
    random_state: RandomState = None,
    verbose: int = 0,
) -> RegularizationPath:
    r"""Two-layer ReLU networks along a descending path of weight decays.

    Solves the problem of :class:`ConvexReLURegressor` or :class:`ConvexReLUClassifier`,

    .. math::

        \min \sum_i w_i \, \ell(y_i, z(x_i)) + \alpha \sum_j \|(u_j, b_j)\|_2 \, \|c_j\|_2 ,
        \qquad \sum_i w_i = 1 ,

    for every alpha, each time from the network of the alpha before. Twenty alphas cost about as
    much as two fits at the smallest one.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets, or class labels.
    alphas : int or array-like of shape (n_alphas,), default=20
        How many values, equally spaced in their logarithm from ``alpha_max`` down to
        ``eps * alpha_max``; or the values, which are sorted.
    eps : float, default=1e-3
        Smallest alpha over largest, where alphas are not given.
    relax : float, default=1.0
        Above 0 and up to 1. Below 1 the neurons found at each alpha slide and are refitted at
        ``relax * alpha``, none added: networks of few neurons that are shrunk less. Objectives and
        gaps are those at ``relax * alpha``, against networks of every width; ``gap_tol`` is a goal
        of the search for the neurons only.
    loss : str, default="squared_error"
        A smooth loss of the estimators: "squared_error", "huber", "poisson", "log_loss" or
        "squared_hinge".
    epsilon : float, default=1.35
        Of the Huber loss, as in the estimators.
    fit_intercept : bool, default=True
        As in the estimators.
    sample_weight : array-like of shape (n_samples,), default=None
        As in fit.
    max_neurons : int, default=None
        Largest number of neurons to keep.
    max_iter : int, default=50
        Largest number of rounds for each alpha.
    tol : float, default=1e-2
        As in the estimators.
    gap_tol : float, default=None
        The relative duality gap that every alpha is solved to. Without it only the gap of the last
        alpha rests on the search that ends a single fit, those on the way on a lighter one.
    random_state : int, RandomState instance or None, default=None
        Seeds the directions from which neurons are searched.
    verbose : int, default=0
        Print a line after every round.

    Returns
    -------
    RegularizationPath
        With the attributes ``alphas``, ``coefs``, ``intercepts``, ``objectives``, ``dual_gaps``,
        ``n_neurons``, ``n_iter``, ``certificate``, ``alpha_max``, ``classes`` and ``relax``.

    See Also
    --------
    ConvexReLURegressorCV : Chooses alpha by cross-validation along such paths.
    PathDisplay : Draws them.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_convexnn import convexnn_path
    >>> X, y = load_diabetes(return_X_y=True)
    >>> path = convexnn_path(X, y, alphas=5, eps=0.1, random_state=0)
    >>> path.n_neurons[0], bool(path.n_neurons[-1] > 1)
    (np.int64(0), True)
    """
    goals = {"tol": tol, "gap_tol": gap_tol, "max_iter": max_iter, "max_neurons": max_neurons}
    estimator = estimator_of_loss(loss, epsilon)(
        loss=loss, fit_intercept=fit_intercept, random_state=random_state, verbose=verbose, **goals
    )
    estimator._validate_params()
    (relax,) = check_relax([relax])
    refuse_other_libraries(X=X, y=y, sample_weight=sample_weight)
    problem, targets = estimator._problem(estimator._validated(X, y, sample_weight))
    pricing, start, alpha_max = start_of_path(problem, estimator._rng())
    grid = check_grid(alphas, eps, alpha_max)
    progress = Progress(estimator, X, y)
    progress.objective = problem.objective
    options = choose_options(problem.rows, **goals)
    solutions = []
    for solution in solve_path(
        problem.rows,
        grid / problem.alpha_unit,
        pricing,
        options=options,
        start=start,
        progress=progress,
    ):
        if relax < 1 and solution.status is not Status.INTERRUPTED:
            solution = relaxed(
                problem.rows,
                solution.network,
                relax * solution.alpha,
                pricing,
                options=options,
                progress=progress,
            )
        solutions.append(solution)
    if solutions[-1].keyboard:
        raise KeyboardInterrupt
    _report(solutions, grid)
    layers = [problem.layers(solution.network) for solution in solutions]
    certificates = [solution.certificate for solution in solutions]
    return RegularizationPath(
        alphas=grid[: len(solutions)],
        coefs=[coefs for coefs, _ in layers],
        intercepts=[intercepts for _, intercepts in layers],
        objectives=problem.objective(np.array([one.primal for one in certificates])),
        dual_gaps=np.array([one.relative_gap for one in certificates]),
        n_neurons=np.array([solution.network.n_neurons for solution in solutions]),
        n_iter=np.array([solution.n_iter for solution in solutions]),
        certificate=pricing.kind,
        alpha_max=float(alpha_max),
        classes=targets.classes,
        relax=relax,
    )


def _report(solutions, alphas):
    late = [
        (alpha, one.status)
        for alpha, one in zip(alphas, solutions, strict=False)  # an interruption ends the path
        if not one.status.as_asked
    ]
    if late:
        alpha, status = late[0]
        warn_user(
            f"convexnn_path stopped early at {len(late)} of {len(solutions)} alphas, the first of "
            f"them {alpha:.3g}. {status.value}"
        )
