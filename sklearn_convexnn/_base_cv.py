"""The fit that the cross-validated two-layer ReLU estimators share."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from sklearn_convexnn._base import Outcome, fit_method
from sklearn_convexnn._cross_validation import DEFAULT_SCORES, Fold, follow_paths, scores_of
from sklearn_convexnn._cv_options import CrossValidation
from sklearn_convexnn._losses import loss_options, trait
from sklearn_convexnn._two_layer import LEAST_FOLD_TOL, BaseTwoLayer, CuttingPlane
from sklearn_convexnn._validation import Interval, check_grid, one_blas_thread
from sklearn_convexnn.core.fit.cutting_plane import choose_options, start_of_path, train
from sklearn_convexnn.core.fit.path import mixture
from sklearn_convexnn.core.problem.alphas import scale_alpha
from sklearn_convexnn.core.problem.solution import Start


class BaseConvexReLUCV(CrossValidation, CuttingPlane, BaseTwoLayer):
    """Parameters and fit of the cross-validated estimators.

    A subclass names the estimator for one alpha (``_single``).
    """

    _parameter_constraints = {
        **BaseTwoLayer._parameter_constraints,
        **CuttingPlane._parameter_constraints,
        **CrossValidation._parameter_constraints,
        "patience": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        *,
        alphas,
        eps,
        cv,
        scoring,
        selection,
        patience,
        loss,
        fit_intercept,
        refinement,
        max_neurons,
        max_iter,
        tol,
        gap_tol,
        n_jobs,
        random_state,
        verbose,
    ):
        self.alphas = alphas
        self.eps = eps
        self.cv = cv
        self.scoring = scoring
        self.selection = selection
        self.patience = patience
        self.loss = loss
        self.fit_intercept = fit_intercept
        self.refinement = refinement
        self.max_neurons = max_neurons
        self.max_iter = max_iter
        self.tol = tol
        self.gap_tol = gap_tol
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fit_method
    def fit(self, X, y, sample_weight=None, **params):
        """Choose alpha by cross-validation, then train on all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. Float32 is kept, everything else becomes float64; sparse input becomes
            CSR.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; class labels are one-dimensional.
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

    @one_blas_thread
    def _solve(self, data, progress, *, routed):
        problem, targets = self._problem(data)
        progress.objective = problem.objective
        rng = self._rng()
        alpha_max = start_of_path(problem, rng)[2]
        alphas = check_grid(self.alphas, self.eps, alpha_max)
        splits = self._splits(data, rng, routed.splitter.split)
        folds = [
            self._fold(data, train, test, routed.scorer.score, child)
            for (train, test), child in zip(splits, rng.spawn(len(splits)), strict=True)
        ]
        paths = follow_paths(
            folds,
            alphas,
            options=choose_options(
                problem.rows,
                tol=max(self.tol, LEAST_FOLD_TOL),
                gap_tol=None,
                max_iter=self.max_iter,
                max_neurons=self.max_neurons,
            ),
            scorer=self._scorer(),
            patience=self.patience,
            n_jobs=self.n_jobs,
            report=self._report_alpha,
        )
        scale = scale_alpha(problem.rows, alpha_max)
        chosen, tried = self._choose(alphas, scores_of(paths), scale)
        for name in ("n_neurons", "dual_gap"):
            values = [[getattr(point, name) for point in points] for points in paths]
            tried[f"{name}_path_"] = np.array(values).T
        alpha = alphas[chosen]
        solution, _ = train(
            problem,
            alpha,
            rng=rng,
            start=_start_from_folds(problem, [points[chosen] for points in paths]),
            progress=progress,
            tol=self.tol,
            gap_tol=self.gap_tol,
            max_iter=self.max_iter,
            max_neurons=self.max_neurons,
        )
        attributes = self._attributes(problem, targets, solution, alpha_max, alpha)
        return Outcome(solution, attributes | tried, self._remedy(problem, solution))

    # ------------------------------------------------------------------ alphas, folds, scores

    @property
    def _default_score(self):
        return DEFAULT_SCORES[trait(self, "score")]

    def _fold(self, data, train, test, score_params, rng):
        problem, targets = self._problem(data.take(train))
        estimator = self._single(
            loss=self.loss, fit_intercept=self.fit_intercept, **loss_options(self)
        )
        estimator.n_features_in_ = data.X.shape[1]
        rows, y, params = self._held_out(data, test, score_params)
        return Fold(problem, targets, estimator, rows, y, params, rng)

    # ------------------------------------------------------------------ what was found

    def _report_alpha(self, alpha, scores):
        if self.verbose:
            print(
                f"[{type(self).__name__}] alpha {alpha:.3g}: mean score {np.mean(scores):.5g} "
                f"over {len(scores)} folds"
            )


def _start_from_folds(problem, points):
    """The mean of the networks of the folds, on all rows."""
    shape = (problem.rows.n_features, problem.rows.n_outputs)
    networks = [
        problem.network(point.coefs, point.intercepts)
        for point in points
        if (point.coefs[0].shape[0], point.coefs[1].shape[1]) == shape  # all classes present
    ]
    return Start(mixture(networks), width=0.0) if networks else None
