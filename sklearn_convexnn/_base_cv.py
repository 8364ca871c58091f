"""The fit that the cross-validated two-layer ReLU estimators share."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv

from sklearn_convexnn._base import Outcome, Targets, fit_method
from sklearn_convexnn._collections import SpreadData, is_collection
from sklearn_convexnn._cross_validation import Effort, Fold, FoldPaths
from sklearn_convexnn._cv_choice import (
    coarse_grid,
    end_of_coarse,
    end_of_path,
    neighbours,
)
from sklearn_convexnn._cv_options import N_FOLDS, CrossValidation
from sklearn_convexnn._cv_race import NO_RACE, NotBetter, Paused, Search
from sklearn_convexnn._cv_scores import DEFAULT_SCORES, Judge
from sklearn_convexnn._cv_spread import SpreadJudge, check_spread_folds
from sklearn_convexnn._losses import loss_options, trait
from sklearn_convexnn._two_layer import LEAST_FOLD_TOL, BaseTwoLayer, CuttingPlane
from sklearn_convexnn._validation import (
    Interval,
    StrOptions,
    check_grid,
    check_relax,
    labels_of_weight,
    one_blas_thread,
)
from sklearn_convexnn.core.fit.cutting_plane import Descent, choose_options
from sklearn_convexnn.core.fit.mean import certified_mean
from sklearn_convexnn.core.fit.temperature import temperature_of_all_rows
from sklearn_convexnn.core.problem.alphas import scale_alpha
from sklearn_convexnn.core.problem.engines.row_keys import row_keys
from sklearn_convexnn.core.problem.engines.threads import worker_threads
from sklearn_convexnn.core.problem.engines.weights import rows_of_weight
from sklearn_convexnn.core.problem.hashed_folds import LEAST_ROWS, hashed_folds
from sklearn_convexnn.core.problem.shared_rows import SharedRows
from sklearn_convexnn.core.problem.solution import Status
from sklearn_convexnn.core.problem.spread_folds import SpreadFolds
from sklearn_convexnn.core.problem.training_set import classes_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import MatrixLike


class ConvexCV(CrossValidation, CuttingPlane):
    """The fit along paths of folds, of estimators trained by column generation.

    An estimator names that for one alpha (``_single``).
    """

    _parameter_constraints = {
        **CuttingPlane._parameter_constraints,
        **CrossValidation._parameter_constraints,
        "alphas": [StrOptions({"auto"}), *CrossValidation._parameter_constraints["alphas"]],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "relax": [Interval(Real, 0, 1, closed="right"), "array-like"],
        "selection": [StrOptions({"scale", "best", "one_standard_error", "smallest"})],
        "refit": ["boolean", StrOptions({"mean", "both"})],
    }

    @fit_method
    def fit(
        self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None, **params: Any
    ) -> Self:
        """Choose alpha by cross-validation, then train on all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. Float32 is kept, everything else becomes float64; sparse input becomes
            CSR. Dense networks take Dask arrays and data frames where they are, see
            :ref:`many_rows`.
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

    @fit_method
    def _fit_raced(self, X, y, sample_weight=None, *, race):
        """The same as one of several: it may end as Paused or NotBetter."""
        return self._fit_folds(X, y, sample_weight, {}, race=race)

    def _check_parameters(self):
        super()._check_parameters()
        if not self.refit:
            raise ValueError("refit=False would leave no network: use True, 'mean' or 'both'.")
        if self._averages and not (self.gap_tol is None and self.max_neurons is None):
            raise ValueError(
                f"refit={self.refit!r} takes the networks of the folds as they are: gap_tol and "
                "max_neurons are goals of a fit to all rows, refit=True."
            )

    @property
    def _averages(self):
        """Does the network have the neurons of the folds?"""
        return self.refit in ("mean", "both")

    @one_blas_thread
    def _solve(self, data, progress, *, routed, race=NO_RACE):
        search = race.search or self._search(data, routed)
        problem, targets, descent, scale, paths = search
        progress.objective = problem.objective
        with paths.at_work():
            self._follow(search, race.pause)
        if race.pause:
            raise Paused(search)
        alpha, k, tried = self._chosen_of_paths(paths, scale)
        if tried["best_score_"] <= race.than:
            raise NotBetter(tried["best_score_"])
        if getattr(self, "calibrate", False):
            temperature, trained = paths.temperature(alpha, k), paths.effort.judge.trained
            tried["temperature_"] = temperature_of_all_rows(temperature, trained)
        relax = tried["relax_"]
        solution = self._final(descent, paths.points(alpha, k), alpha, relax, progress)
        attributes = self._attributes(problem, targets, solution, descent.alpha_max, relax * alpha)
        return Outcome(solution, attributes | tried, self._remedy(problem, solution))

    def _search(self, data, routed):
        """The folds with nothing solved yet."""
        rng = self._rng()
        # The folds have random numbers of their own: the final fit is then that of alpha_.
        (own,) = rng.spawn(1)
        spread = isinstance(data, SpreadData)
        parts = self._spread_parts if spread else self._parts
        problem, targets, folds, judge = parts(data, own, routed)
        descent = Descent(problem, rng, **self._goals())
        scale = scale_alpha(problem.rows, descent.alpha_max)
        options = self._options(problem.rows, tol=max(self.tol, LEAST_FOLD_TOL), gap_tol=None)
        paths = FoldPaths(
            folds,
            Effort(options, check_relax(self.relax), judge),
            n_jobs=self.n_jobs,
            report=self._report_alpha,
            elsewhere=spread,
        )
        return Search(problem, targets, descent, scale, paths)

    # ------------------------------------------------------------------ rows of the folds

    def _parts(self, data, rng, routed):
        """The problem of all rows with its Targets, the folds, and the Judge."""
        splits = self._splits(data, rng, routed.splitter.split)
        shared = self._shared(data, splits)
        problem, targets = self._part(data, shared, np.arange(len(data.y)))
        params = dict(routed.scorer.score)
        if is_collection(params.get("sample_weight")):  # few rows, which were gathered
            params["sample_weight"] = data.sample_weights
        folds = [
            self._fold(data, shared, train, self._held_out(data, test, params), child)
            for (train, test), child in zip(splits, rng.spawn(len(splits)), strict=True)
        ]
        kept = [data.sample_weights[train].sum() for train, _ in splits]
        trained = float(np.mean(kept) / data.sample_weights.sum())
        return problem, targets, folds, self._judge(data, shared, targets, trained)

    def _spread_parts(self, data, rng, routed):
        """The same of rows that are somewhere else."""
        check_spread_folds(self, data.n_rows, routed.splitter.split | routed.scorer.score)
        problem, targets = self._spread_problem(data)
        n_folds = check_cv(self.cv).get_n_splits()
        parts = SpreadFolds(problem.data, n_folds, int(rng.integers(1 << 63)))
        folds, all_classes = [], []
        for k, child in enumerate(rng.spawn(n_folds)):
            part, held_out = parts.part(k)
            classes = parts.classes(k)
            all_classes.append(classes is None)
            own = targets if classes is None else Targets(None, targets.classes[classes])
            folds.append(self._fold_of(part, own, held_out, child, data.n_features))
        judge = SpreadJudge(trait(self, "score"), all_classes, getattr(self, "calibrate", False))
        return problem, targets, folds, judge

    # ------------------------------------------------------------------ alphas, folds, scores

    def _follow(self, search, pause):
        """Solve in all folds, for the given alphas or from coarse to fine."""
        paths, scale, alpha_max = search.paths, search.scale, search.descent.alpha_max
        if not isinstance(self.alphas, str):
            grid = check_grid(self.alphas, self.eps, alpha_max)
            paths.descend(grid, lambda scores: end_of_path(scores, self.patience))
            return
        grid = coarse_grid(alpha_max, scale)
        stops = self.patience is not None
        paths.descend(
            grid,
            lambda scores: end_of_coarse(scores, grid, scale, self._paired) if stops else None,
            search.n_before(grid) if pause else None,
        )
        if pause:
            return
        alphas, chosen = paths.alphas, self._candidate(paths, scale)[0] // len(paths.effort.relax)
        scores = paths.best_scores(alphas)
        paths.fill_in(neighbours(alphas, scores, chosen, self.selection, scale))

    def _candidate(self, paths, scale):
        """The number of the chosen pair of alpha and relaxation, and the best mean score."""
        alphas, relax = paths.alphas, np.array(paths.effort.relax)
        scores = paths.scores(alphas).reshape(len(alphas) * len(relax), -1)
        sizes = paths.table("n_neurons").reshape(len(scores), -1).mean(axis=1)
        return self._choose(np.outer(alphas, relax).ravel(), scores, scale, sizes)

    def _chosen_of_paths(self, paths, scale):
        """The chosen alpha, the number of its relaxation, and the attributes of the path."""
        chosen, score = self._candidate(paths, scale)
        alphas, relax = paths.alphas, paths.effort.relax
        tables = {"score": paths.scores(alphas)}
        tables |= {name: paths.table(name) for name in ("n_neurons", "dual_gap")}
        tried = {
            f"{name}_path_": (values.swapaxes(0, 1) if np.ndim(self.relax) else values[:, 0]).copy()
            for name, values in tables.items()
        }
        row, k = divmod(chosen, len(relax))
        tried |= {"alphas_": alphas, "best_score_": score, "relax_": relax[k]}
        return alphas[row], k, tried

    def _options(self, rows, **goals):
        return choose_options(rows, max_iter=self.max_iter, max_neurons=self.max_neurons, **goals)

    def _judge(self, data, shared, targets, trained):
        if not getattr(self, "calibrate", False):
            return Judge(self._scorer(data))
        scorer = None if self.scoring is None else self._scorer(data)
        return Judge(scorer, shared.of_row, data.sample_weights, targets.classes, trained)

    @property
    def _paired(self):
        # Not for labels: what is best for probabilities regularises more than labels need.
        return not is_classifier(self)

    @property
    def _default_score(self):
        return DEFAULT_SCORES[trait(self, "score")]

    def _shared(self, data, splits):
        """The distinct rows, those that a fold holds out side by side."""
        held_out_by = np.full(len(data.y), len(splits))
        for k, (_, test) in reversed(list(enumerate(splits))):
            held_out_by[test] = k
        held_out_by[data.weights == 0] = -1
        y = data.y
        if is_classifier(self):
            y = np.unique(y, return_inverse=True)[1]
        return SharedRows.of(data.X, y, held_out_by, neurons=self._neurons())

    def _part(self, data, shared, rows):
        """The training problem of some rows, and its Targets."""
        weights = shared.sums(rows, data.weights[rows])
        index = rows_of_weight(weights)
        targets = self._encode_targets(data.y[shared.origin[index]], weights[index])
        problem = shared.problem(
            index,
            targets.columns,
            weights[index],
            loss=self.loss,
            intercept=self.fit_intercept,
            options=loss_options(self),
        )
        return problem, targets

    def _fold(self, data, shared, train, held_out, rng):
        if is_classifier(self) and len(labels_of_weight(data.y[train], data.weights[train])) < 2:
            raise ValueError(
                "The training rows of a fold have only one class: use fewer folds, or others (cv)."
            )
        problem, targets = self._part(data, shared, train)
        return self._fold_of(problem, targets, held_out, rng, data.X.shape[1])

    def _fold_of(self, problem, targets, held_out, rng, n_features):
        estimator = self._fold_estimator()
        estimator.n_features_in_ = n_features
        return Fold(problem, targets, estimator, held_out, rng)

    def _fold_estimator(self):
        """What becomes a fitted estimator with the networks of a fold."""
        return self._single(loss=self.loss, fit_intercept=self.fit_intercept, **loss_options(self))

    def _final(self, descent, points, alpha, relax, progress):
        """The network of all rows, that of the folds, or both."""
        solution = None
        if self.refit != "mean":
            with worker_threads(effective_n_jobs(self.n_jobs)):
                solution = descent.solve_relaxed(alpha, relax, progress=progress)
        if not self._averages or (solution and solution.status is Status.INTERRUPTED):
            return solution
        return self._mean(descent, points, relax * alpha, solution)

    def _mean(self, descent, points, alpha, own):
        """The mean of the networks of the folds, and the Solution of all rows if there is one."""
        networks = _networks_of_folds(descent.problem, points)
        if not networks:
            raise ValueError(
                f"refit={self.refit!r} needs a fold whose training rows have all classes: choose "
                "other folds with cv, or refit=True."
            )
        shares = np.full(len(networks), 1.0 / len(networks))
        if own is not None:
            networks, shares = [*networks, own.network], np.append(0.5 * shares, 0.5)
        rows = descent.problem.rows
        return certified_mean(
            rows,
            networks,
            alpha / descent.problem.alpha_unit,
            descent.pricing,
            options=self._options(rows, tol=self.tol, gap_tol=None),
            shares=shares,
        )

    # ------------------------------------------------------------------ what was found

    def _report_alpha(self, alpha, scores):
        if self.verbose:
            print(
                f"[{type(self).__name__}] alpha {alpha:.3g}: mean score {np.mean(scores):.5g} "
                f"over {len(scores)} folds"
            )


def _networks_of_folds(problem, points):
    """Those that have all classes, in the units of all rows."""
    rows = problem.rows
    shape = (rows.n_columns - rows.intercept, rows.n_weights)
    return [
        problem.network(point.coefs, point.intercepts)
        for point in points
        if (point.coefs[0].shape[0], point.coefs[1].shape[1]) == shape
    ]


class BaseConvexReLUCV(ConvexCV, BaseTwoLayer):
    """Parameters of the cross-validated two-layer ReLU estimators."""

    _parameter_constraints = {
        **BaseTwoLayer._parameter_constraints,
        **ConvexCV._parameter_constraints,
        "refinement": [StrOptions({"cutting_plane"})],
    }
    _takes_collections = True

    def __init__(
        self,
        *,
        alphas,
        eps,
        cv,
        scoring,
        selection,
        patience,
        relax,
        refit,
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
        self.relax = relax
        self.refit = refit
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

    def _splits(self, data, rng, params):
        """Of very many rows by their values: the same folds wherever the rows are."""
        if self.cv is not None or len(data.y) < LEAST_ROWS:
            return super()._splits(data, rng, params)
        salt = int(rng.integers(1 << 63))
        Y = self._encode_targets(data.y, data.weights).columns
        numbers = hashed_folds(
            row_keys(data.X),
            Y,
            N_FOLDS,
            salt,
            classes=classes_of(Y) if is_classifier(self) else None,
            counted=data.weights > 0,
        )
        if numbers is None:
            return super()._splits(data, rng, params)
        return [
            (np.flatnonzero(numbers != k), np.flatnonzero(numbers == k)) for k in range(N_FOLDS)
        ]
