"""Deep linear networks with the regularisation strength chosen by cross-validation."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.parallel import Parallel, delayed

from sklearn_convexnn._base import fit_method
from sklearn_convexnn._deep_linear import BaseDeepLinear, DeepLinearRegressor
from sklearn_convexnn._validation import (
    Interval,
    _raise_for_params,
    _routing_enabled,
    check_grid,
)
from sklearn_convexnn.core.deep.linear_path import fold_errors


def _splitter(cv):
    # On use: importing it with the package would bring half of scikit-learn.
    from sklearn.model_selection import check_cv

    return check_cv(cv)


class DeepLinearRegressorCV(DeepLinearRegressor):
    r"""Deep linear network for regression with ``alpha`` chosen by cross-validation.

    Every fold makes one pass over its rows and one eigendecomposition, and follows the network
    along the descending ``alphas`` from solution to solution; the value of least mean squared error
    on the rows that were left out is used to fit all rows. See :class:`DeepLinearRegressor` for the
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
    cv : int, cross-validation generator or iterable, default=None
        The folds; None means 5, without shuffling.
    max_iter : int, default=50
        Largest number of rounds of the convex solver.
    tol : float, default=1e-8
        Relative duality gap at which the convex solver stops; at most 1e-6 in the folds.
    n_jobs : int, default=None
        Number of folds to run at the same time, in threads. None means 1.
    verbose : int, default=0
        Print a line at the end.

    Attributes
    ----------
    alphas_ : ndarray of shape (n_alphas,)
        Values that were tried, in decreasing order.
    mse_path_ : ndarray of shape (n_alphas, n_folds)
        Weighted mean squared errors on the rows left out.
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
        The ``alpha`` that was chosen; the largest of equally good ones.
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
        "objective", "dual_gap" (relative) and "rank" of the last fit.
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
    >>> model = DeepLinearRegressorCV().fit(X, y)
    >>> model.mse_path_.shape
    (50, 5)
    >>> bool(model.alpha_ < model.alpha_max_)
    True
    """

    _parameter_constraints = {
        **{k: v for k, v in BaseDeepLinear._parameter_constraints.items() if k != "alpha"},
        "alphas": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "eps": [Interval(Real, 0, 1, closed="neither")],
        "cv": ["cv_object"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_layers=2,
        *,
        alphas=50,
        eps=1e-4,
        penalty="weight_decay",
        hidden_width=None,
        fit_intercept=True,
        cv=None,
        max_iter=50,
        tol=1e-8,
        n_jobs=None,
        verbose=0,
    ):
        self.n_layers = n_layers
        self.alphas = alphas
        self.eps = eps
        self.penalty = penalty
        self.hidden_width = hidden_width
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.verbose = verbose

    @fit_method
    def fit(self, X, y, sample_weight=None, **params):
        """Choose ``alpha`` by cross-validation and train the network with it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. Float32 is kept, everything else becomes float64; sparse input becomes
            CSR and is not made dense.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, of the loss and of the errors on the rows left out.
        **params : dict
            Metadata for the splitter, such as ``groups``, with metadata routing enabled.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        _raise_for_params(params, self, "fit")
        routed = self._split_params(sample_weight, params)
        return self._fit(X, y, sample_weight, split_params=routed)

    def _solve(self, data, progress, *, split_params):
        problem, targets = self._problem(data)
        alpha_max = problem.alpha_max()
        alphas = check_grid(self.alphas, self.eps, alpha_max)
        settings = self._network_settings()
        results = Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(fold_errors)(
                data.X,
                targets.columns,
                data.weights,
                train,
                test,
                alphas,
                tol=max(self.tol, 1e-6),
                max_iter=self.max_iter,
                **settings,
            )
            for train, test in _splitter(self.cv).split(data.X, data.y, **split_params)
        )
        errors, sizes = zip(*results, strict=True)
        errors = np.column_stack(errors)
        alpha = float(alphas[np.argmin(np.average(errors, axis=1, weights=sizes))])
        outcome = self._solve_for(problem, targets, alpha, alpha_max, data.X.dtype)
        outcome.attributes.update(alphas_=alphas, mse_path_=errors)
        return outcome

    def _split_params(self, sample_weight, params):
        if not _routing_enabled():
            return {}
        if sample_weight is not None:
            params = {**params, "sample_weight": sample_weight}
        return process_routing(self, "fit", **params).splitter.split

    def get_metadata_routing(self):
        """Metadata routing of this object.

        Returns
        -------
        MetadataRouter
            ``sample_weight`` is used by ``fit``; other metadata go to the splitter.
        """
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(
                splitter=_splitter(self.cv),
                method_mapping=MethodMapping().add(caller="fit", callee="split"),
            )
        )
