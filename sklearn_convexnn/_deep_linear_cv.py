"""Deep linear networks with the regularisation strength chosen by cross-validation."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from sklearn_convexnn._base import fit_method
from sklearn_convexnn._cv_options import CrossValidation
from sklearn_convexnn._cv_scores import r2
from sklearn_convexnn._deep_linear import SCALE, BaseDeepLinear, DeepLinearRegressor
from sklearn_convexnn._validation import check_grid
from sklearn_convexnn.core.deep.linear_path import path

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import Folds, MatrixLike, RandomState, Scoring

# The paths of the folds choose an alpha: no finer than this, whatever the final fit is asked for.
_LEAST_FOLD_TOL = 1e-6


class DeepLinearRegressorCV(CrossValidation, DeepLinearRegressor):
    r"""Deep linear network for regression with ``alpha`` chosen by cross-validation.

    Every fold makes one pass over its rows and one eigendecomposition, and follows the network
    along the descending ``alphas`` from solution to solution; the value that predicts the rows left
    out well is used to fit all rows. See :class:`DeepLinearRegressor` for the
    objective [1]_.

    Parameters
    ----------
    n_layers : int, default=2
        Number of weight matrices, at least 2.
    alphas : int or array-like of shape (n_alphas,), default=50
        Values to try, or their number: then they are spaced evenly in logarithm from ``alpha_max_``
        down to ``eps * alpha_max_``.
    eps : float, default=1e-4
        Length of the path, if ``alphas`` is a number.
    penalty : {"weight_decay", "layer_norm"}, default="weight_decay"
        As in :class:`DeepLinearRegressor`.
    hidden_width : int, default=None
        As in :class:`DeepLinearRegressor`.
    fit_intercept : bool, default=True
        Whether the outputs have an intercept, which is not penalised.
    cv : int, splitter, iterable of (train, test) or None, default=None
        The folds. None: five, of shuffled rows, drawn with ``random_state``. An int: so
        many of unshuffled rows, as everywhere in scikit-learn.
    scoring : str, callable or None, default=None
        What is maximised. None: R2, weighted by ``sample_weight``.
    selection : {"scale", "best", "one_standard_error"}, default="best"
        "best": the alpha of the best mean score, the largest of several. The other two hold all
        alphas for equal whose mean score is within a standard error of it, taken over the folds.
        "scale" chooses the closest of them to ``alpha="scale"`` of :class:`DeepLinearRegressor`,
        "one_standard_error" the largest, with the smallest rank.
    max_iter : int, default=50
        Largest number of rounds of the convex solver.
    tol : float, default=1e-8
        Relative duality gap at which the convex solver stops; at most 1e-6 in the folds.
    n_jobs : int, default=None
        Worker processes for the folds; None is 1 unless in a ``joblib.parallel_config`` context,
        -1 all processors. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seeds the folds of ``cv=None``.
    verbose : int, default=0
        Print a line at the end.

    Attributes
    ----------
    alphas_ : ndarray of shape (n_alphas,)
        Values that were tried, in decreasing order.
    score_path_ : ndarray of shape (n_alphas, n_folds)
        Scores on the rows left out.
    rank_path_ : ndarray of shape (n_alphas, n_folds)
        Ranks of the networks of the folds.
    dual_gap_path_ : ndarray of shape (n_alphas, n_folds)
        Relative duality gaps of the folds.
    best_score_ : float
        Best mean score of all alphas; that of ``alpha_`` with ``selection="best"``.
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
        The ``alpha`` that was chosen.
    alpha_max_ : float
        From this ``alpha`` on the constant network is proven optimal.
    objective_ : float
        Value of the objective on all rows.
    dual_gap_ : float
        Relative gap between the objective and a proven lower bound.
    dual_gap_abs_ : float
        The same in units of the objective.
    certificate_ : {"exact", "proven"}
        As in :class:`DeepLinearRegressor`.
    status_ : str
        Why the solver of the last fit ended, as in :class:`DeepLinearRegressor`.
    n_iter_ : int
        Number of rounds of the last fit.
    history_ : dict of ndarrays of shape (1,)
        "objective", "lower_bound", "dual_gap" (relative) and "rank" of the last fit.
    feature_importances_ : ndarray of shape (n_features_in_,)
        Lengths of the rows of ``effective_coef_`` as shares of their sum; zeros for a constant
        network. For inputs of one scale: see :ref:`importances`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    DeepLinearRegressor : With a given ``alpha``.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Revealing the Structure of Deep Neural Networks via Convex
       Duality", ICML 2021. arXiv:2002.09773 (Section 3).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_convexnn import DeepLinearRegressorCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = DeepLinearRegressorCV(random_state=0).fit(X, y)
    >>> model.score_path_.shape
    (50, 5)
    >>> bool(model.alpha_ < model.alpha_max_)
    True
    """

    _default_score = staticmethod(r2)
    _parameter_constraints = {
        **{k: v for k, v in BaseDeepLinear._parameter_constraints.items() if k != "alpha"},
        **CrossValidation._parameter_constraints,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_layers: int = 2,
        *,
        alphas: int | ArrayLike = 50,
        eps: float = 1e-4,
        penalty: Literal["weight_decay", "layer_norm"] = "weight_decay",
        hidden_width: int | None = None,
        fit_intercept: bool = True,
        cv: Folds = None,
        scoring: Scoring = None,
        selection: Literal["scale", "best", "one_standard_error"] = "best",
        max_iter: int = 50,
        tol: float = 1e-8,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.n_layers = n_layers
        self.alphas = alphas
        self.eps = eps
        self.penalty = penalty
        self.hidden_width = hidden_width
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.scoring = scoring
        self.selection = selection
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fit_method
    def fit(
        self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None, **params: Any
    ) -> Self:
        """Choose ``alpha`` by cross-validation and train the network with it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. Float32 is kept, everything else becomes float64; sparse input becomes
            CSR and is not made dense.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, used in training and in the scores of the folds.
        **params : dict
            For the splitter and the scorer. Without metadata routing all of them go to the
            scorer; with ``sklearn.set_config(enable_metadata_routing=True)`` to whom they were
            requested for, ``sample_weight`` included.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit_folds(X, y, sample_weight, params)

    def _solve(self, data, progress, *, routed):
        problem, targets = self._problem(data)
        alpha_max = problem.alpha_max()
        alphas = check_grid(self.alphas, self.eps, alpha_max)
        scorer = self._scorer(data)
        goals = {"tol": max(self.tol, _LEAST_FOLD_TOL), "max_iter": self.max_iter}
        folds = [
            (*self._fold(data, train), self._held_out(data, test, routed.scorer.score))
            for train, test in self._splits(data, self._rng(), routed.splitter.split)
        ]
        paths = Parallel(n_jobs=self.n_jobs)(
            delayed(_points)(*fold, alphas, scorer, goals) for fold in folds
        )
        scores, ranks, gaps = np.array(paths).transpose(2, 1, 0)
        chosen, best = self._choose(alphas, scores, SCALE * alpha_max)
        tried = {"alphas_": alphas, "score_path_": scores, "best_score_": best}
        tried |= {"rank_path_": ranks.astype(int), "dual_gap_path_": gaps}
        outcome = self._solve_for(problem, targets, alphas[chosen], alpha_max, data.X.dtype)
        outcome.attributes.update(tried)
        return outcome

    def _fold(self, data, train):
        """The estimator of a fold, which has no network yet, and its problem and targets."""
        data = data.take(train)
        if not np.any(data.weights > 0):
            raise ValueError(
                "A fold trains on rows whose sample_weight is all zero: leave these rows out, or "
                "choose other folds with cv."
            )
        settings = {name: getattr(self, name) for name in ("n_layers", "penalty", "hidden_width")}
        estimator = DeepLinearRegressor(fit_intercept=self.fit_intercept, **settings)
        estimator.n_features_in_ = data.X.shape[1]
        return estimator, *self._problem(data)


def _points(estimator, problem, targets, held_out, alphas, scorer, goals):
    """Score, rank and relative gap of one fold for every alpha."""
    points, X = [], held_out.rows
    for solution in path(problem, alphas, **goals):
        network, fitted = solution.network, copy.copy(estimator)
        fitted._store(fitted._function(targets, network, X.dtype))
        score = float(scorer(fitted, X, held_out.y, **held_out.score_params))
        points.append((score, len(network.sizes), solution.certificate.relative_gap))
    return points
