"""The regularisation path as a function."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import clone

from sklearn_convexnn._callbacks import Progress
from sklearn_convexnn._relu import estimator_of_loss
from sklearn_convexnn._validation import (
    check_grid,
    check_relax,
    one_blas_thread,
    refuse_other_libraries,
)
from sklearn_convexnn._warnings import warn_user
from sklearn_convexnn.core.problem.engines.threads import worker_threads
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
    coefs : list of n_alphas lists of ndarrays
        Weights of the layers of every network, ``coefs_`` of the ``estimators``; convolutional
        ones have flat filters and the weights of their neurons here.
    intercepts : list of n_alphas lists of ndarrays
        Biases of the layers of every network, ``intercepts_`` of the ``estimators`` likewise.
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
    estimators : list of n_alphas estimators
        The networks as fitted estimators, to predict with.
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
    estimators: list = field(default_factory=list)


@one_blas_thread
def convexnn_path(
    X: MatrixLike,
    y: ArrayLike,
    *,
    estimator: Any = None,
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
    r"""Networks along a descending path of weight decays.

    Solves the problem of :class:`ConvexReLURegressor` or :class:`ConvexReLUClassifier`,

    .. math::

        \min \sum_i w_i \, \ell(y_i, z(x_i)) + \alpha \sum_j \|(u_j, b_j)\|_2 \, \|c_j\|_2 ,
        \qquad \sum_i w_i = 1 ,

    or that of another ``estimator``, for every alpha, each time from the network of the alpha
    before. Twenty alphas cost about as much as two fits at the smallest one.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets, or class labels.
    estimator : estimator, default=None
        Whose networks instead of those of the ``loss``: a convolutional, parallel, threshold or
        two-layer ReLU estimator for one alpha, with its parameters. ``alpha`` is not used, and
        those parameters of this function that it has as well must be left as they are.
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
        ``n_neurons``, ``n_iter``, ``certificate``, ``alpha_max``, ``classes``, ``relax`` and
        ``estimators``.

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
    >>> len(path.coefs), bool(path.objectives[-1] < path.objectives[0])
    (5, True)
    """
    settings = {
        "loss": loss,
        "epsilon": epsilon,
        "fit_intercept": fit_intercept,
        "max_neurons": max_neurons,
        "max_iter": max_iter,
        "tol": tol,
        "gap_tol": gap_tol,
        "random_state": random_state,
        "verbose": verbose,
    }
    if estimator is None:
        del settings["epsilon"]
        estimator = estimator_of_loss(loss, epsilon)(**settings)
    else:
        estimator = _checked(estimator, settings)
    estimator._validate_params()
    estimator._check_parameters()
    if np.ndim(relax):
        raise ValueError(f"A path has one relax, a number; got {relax!r}.")
    (relax,) = check_relax(relax)
    refuse_other_libraries(X=X, y=y, sample_weight=sample_weight)
    problem, targets = estimator._problem(estimator._validated(X, y, sample_weight))
    progress = Progress(estimator, X, y)
    progress.objective = problem.objective
    descent = estimator._descent(problem, estimator._rng())
    if relax < 1 and not hasattr(descent, "relaxed"):
        raise ValueError(f"relax={relax:g} is for neurons that slide: use relax=1.")
    grid = check_grid(alphas, eps, descent.alpha_max)
    solutions = []
    with worker_threads(effective_n_jobs(getattr(estimator, "n_jobs", None))):
        for solution in _solutions(descent, grid, progress):
            if relax < 1 and solution.status is not Status.INTERRUPTED:
                solution = descent.relaxed(solution, relax, progress=progress)
            solutions.append(solution)
    if solutions[-1].keyboard:
        raise KeyboardInterrupt
    _report(solutions, grid)
    fitted = [
        _fitted(estimator, problem, targets, solution, descent, relax * alpha)
        for solution, alpha in zip(solutions, grid, strict=False)  # an interruption ends the path
    ]
    layers = [
        (one.coefs_, one.intercepts_) if hasattr(one, "coefs_") else problem.layers(each.network)
        for one, each in zip(fitted, solutions, strict=True)
    ]
    return RegularizationPath(
        alphas=grid[: len(solutions)],
        coefs=[coefs for coefs, _ in layers],
        intercepts=[intercepts for _, intercepts in layers],
        objectives=np.array([one.objective_ for one in fitted]),
        dual_gaps=np.array([one.dual_gap_ for one in fitted]),
        n_neurons=np.array([one.n_neurons_ for one in fitted]),
        n_iter=np.array([solution.n_iter for solution in solutions]),
        certificate=descent.pricing.kind,
        alpha_max=float(descent.alpha_max),
        classes=targets.classes,
        relax=relax,
        estimators=fitted,
    )


def _checked(estimator, settings):
    """A copy of an estimator that has paths, beside which the other parameters are the defaults."""
    if isinstance(estimator, type):
        raise TypeError(
            f"estimator must be an instance: {estimator.__name__}() instead of its class."
        )
    if not hasattr(estimator, "_descent"):
        raise TypeError(
            f"{type(estimator).__name__} has no path: estimator must be a ReLU, convolutional, "
            "parallel or threshold estimator for one alpha."
        )
    parameters = inspect.signature(convexnn_path).parameters
    for name, value in settings.items():
        if value != parameters[name].default:
            raise ValueError(
                f"{name} is a parameter of the estimator, where there is one: give it there."
            )
    own = estimator.get_params(deep=False)
    for name, plain in (("refinement", "cutting_plane"), ("patterns", None), ("warm_start", False)):
        given = own.get(name, plain)
        if np.ndim(given) or given != plain:  # patterns may be an array
            raise ValueError(
                f"A path goes from the constant network from neuron to neuron: {name}={plain!r} is "
                f"needed, got {given!r}."
            )
    return clone(estimator)


def _solutions(descent, grid, progress):
    """Those of the alphas, up to an interruption."""
    for k, alpha in enumerate(grid):
        last = k == len(grid) - 1
        solution = descent.solve(alpha, last=last, progress=progress)
        yield solution
        if solution.status is Status.INTERRUPTED:
            return


def _fitted(estimator, problem, targets, solution, descent, alpha):
    """The estimator with one of the networks."""
    fitted = copy.copy(estimator).set_params(alpha=float(alpha))
    fitted._store(fitted._attributes(problem, targets, solution, descent.alpha_max, alpha))
    return fitted


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
