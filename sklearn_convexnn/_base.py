"""The fit that the two-layer ReLU estimators share."""

from __future__ import annotations

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_convexnn._callbacks import CallbackSupportMixin, Progress, with_callbacks
from sklearn_convexnn._losses import loss_options, remember_spread
from sklearn_convexnn._patterns import PatternOptionsMixin
from sklearn_convexnn._validation import (
    Interval,
    RoundKept,
    StrOptions,
    _fit_context,
    all_or_nothing,
    check_weights,
    check_X,
    one_blas_thread,
)
from sklearn_convexnn.core.fit.cutting_plane import start_of_path, train
from sklearn_convexnn.core.problem.network import hidden_activations, network_outputs
from sklearn_convexnn.core.problem.solution import Start, Status
from sklearn_convexnn.core.problem.units import make_problem, obstacle
from sklearn_convexnn.core.programs.minimal import minimal_solution

# Rounds of the cutting plane where max_iter=None.
DEFAULT_ROUNDS = 50
# A gap of so many times tol is no surprise only where the descent is well conditioned.
_LARGE_GAP = 10.0


class BaseTwoLayer(CallbackSupportMixin, BaseEstimator):
    """What every estimator of a two-layer network does before and after its solves.

    :class:`~sklearn_convexnn._prediction.NetworkRegressor` and ``NetworkClassifier`` say how
    targets become columns and the name of the output activation.
    """

    _parameter_constraints = {
        "fit_intercept": ["boolean"],
        "refinement": [StrOptions({"cutting_plane"})],
        "max_neurons": [Interval(Integral, 1, None, closed="left"), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "gap_tol": [Interval(Real, 0, None, closed="neither"), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # ------------------------------------------------------------------ before the solve

    def _validated(self, X, y, sample_weight):
        """Rows, targets and weights, checked; names and number of features are remembered."""
        X, y = validate_data(
            self, X, y, accept_sparse="csr", dtype=[np.float64, np.float32], **self._target_checks()
        )
        y = self._check_targets(y)
        return check_X(X), y, check_weights(sample_weight, X)

    def _problem(self, X, y, weights):
        """The training problem and, for classification, the classes."""
        targets, weights, classes = self._encode_targets(y, weights)
        problem = make_problem(
            X,
            targets,
            weights,
            loss=self.loss,
            intercept=self.fit_intercept,
            options=loss_options(self),
        )
        return problem, classes

    def _make_problem(self, X, y, sample_weight):
        X, y, weights = self._validated(X, y, sample_weight)
        problem, classes = self._problem(X, y, self._class_weighted(y, weights))
        return problem, y, classes

    def _rng(self):
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        return np.random.default_rng(seed)

    @one_blas_thread
    def _alpha_max(self, X, y, sample_weight):
        """The public function of this name, on an estimator made for it."""
        problem, _, _ = self._make_problem(X, y, sample_weight)
        return start_of_path(problem, self._rng())[2]

    # ------------------------------------------------------------------ after the solve

    def _set_attributes(self, problem, solution, alpha_max, alpha=None):
        certificate = solution.certificate
        self.coefs_, self.intercepts_ = problem.layers(solution.network)
        self.n_layers_ = 3  # input, hidden and output, as scikit-learn's perceptrons count
        self.n_outputs_ = problem.rows.n_outputs
        self.out_activation_ = self._output_activation()
        self.n_neurons_ = solution.network.n_neurons
        # The value that was asked for, without the rounding of working units.
        self.alpha_ = float(solution.alpha * problem.alpha_unit if alpha is None else alpha)
        self.alpha_max_ = float(alpha_max)
        self.objective_ = float(problem.objective(certificate.primal))
        self.dual_gap_ = float(certificate.relative_gap)
        self.dual_gap_abs_ = float(certificate.gap * problem.objective_unit)
        self.certificate_ = certificate.kind
        self.n_iter_ = solution.n_iter
        self.history_ = {name: np.array(values) for name, values in solution.history.items()}
        self.history_["objective"] = problem.objective(self.history_["objective"])
        self.status_ = solution.status.name.lower()
        remember_spread(self, problem.spread)

    def _report(self, solution, problem):
        """The one place that warns about the way a fit ended."""
        if solution.status is Status.PROGRESS and self.dual_gap_ > _LARGE_GAP * self.tol:
            remedy = obstacle(problem.rows)
            if remedy is not None:
                warnings.warn(
                    f"{type(self).__name__} made little progress at a relative duality gap of "
                    f"{self.dual_gap_:.2e} ({self.certificate_}): the descent is badly "
                    f"conditioned. {remedy}",
                    ConvergenceWarning,
                    stacklevel=2,
                )
        if solution.status not in (Status.MAX_ITER, Status.WORK, Status.INTERRUPTED):
            return
        goal = (
            f"gap_tol={self.gap_tol:g}"
            if self.gap_tol is not None
            else f"a decrease below tol={self.tol:g} in one round"
        )
        warnings.warn(
            f"{type(self).__name__} stopped after {solution.n_iter} rounds at a relative duality "
            f"gap of {self.dual_gap_:.2e} ({self.certificate_}); the goal was {goal}. "
            f"{solution.status.value}",
            ConvergenceWarning,
            stacklevel=2,
        )

    # ------------------------------------------------------------------ the fitted network

    def _validate_rows(self, X):
        check_is_fitted(self)
        return validate_data(
            self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False
        )

    def _outputs(self, X):
        """Network outputs before the output activation, shape (n_samples, n_outputs_)."""
        return network_outputs(self._validate_rows(X), self.coefs_, self.intercepts_)

    def hidden_activations(self, X):
        """Activations of the hidden neurons.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_neurons_)
            ``max(0, X @ coefs_[0] + intercepts_[0])``.
        """
        return hidden_activations(self._validate_rows(X), self.coefs_[0], self.intercepts_[0])


class BaseConvexReLU(PatternOptionsMixin, BaseTwoLayer):
    """Parameters and fit of the estimators for one ``alpha``."""

    _parameter_constraints = {
        **BaseTwoLayer._parameter_constraints,
        **PatternOptionsMixin._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"scale"})],
        "minimal": ["boolean"],
        "warm_start": ["boolean"],
    }

    def __init__(
        self,
        *,
        alpha,
        loss,
        fit_intercept,
        activation,
        refinement,
        patterns,
        n_patterns,
        penalty,
        solver,
        max_neurons,
        minimal,
        max_iter,
        tol,
        gap_tol,
        warm_start,
        random_state,
        verbose,
    ):
        self.alpha = alpha
        self.loss = loss
        self.fit_intercept = fit_intercept
        self.activation = activation
        self.refinement = refinement
        self.patterns = patterns
        self.n_patterns = n_patterns
        self.penalty = penalty
        self.solver = solver
        self.max_neurons = max_neurons
        self.minimal = minimal
        self.max_iter = max_iter
        self.tol = tol
        self.gap_tol = gap_tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    @one_blas_thread
    @all_or_nothing
    def fit(self, X, y, sample_weight=None):
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. Float32 is kept, everything else becomes float64; sparse input becomes
            CSR. Features should have comparable scales, as for any model with weight decay.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; class labels are one-dimensional.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. They are normalised to sum 1; a weight of 2 is the row given
            twice, a weight of 0 is the row left out.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        self._check_alpha()
        self._check_options()
        problem, y, classes = self._make_problem(X, y, sample_weight)
        solve = self._train_cutting_plane if self._cutting_plane() else self._train_patterns
        start = self._warm_start(problem, classes)
        progress = Progress(self, X, y, objective=problem.objective)
        solution, alpha_max = solve(problem, start, progress)
        solution.raise_without_round()
        if self.minimal:
            solution = minimal_solution(problem.rows, solution)
        self._remember_targets(y, classes)
        given = None if self.alpha == "scale" else self.alpha
        self._set_attributes(problem, solution, alpha_max, given)
        self._set_program_attributes(solution)
        progress.close()
        if solution.keyboard:
            raise RoundKept
        if self._cutting_plane():
            self._report(solution, problem)
        else:
            self._report_program(solution)
        return self

    def _train_cutting_plane(self, problem, start, progress):
        return train(
            problem,
            self.alpha,
            rng=self._rng(),
            start=start or self._start_from_patterns(problem),
            progress=progress,
            tol=self.tol,
            gap_tol=self.gap_tol,
            max_iter=DEFAULT_ROUNDS if self.max_iter is None else self.max_iter,
            max_neurons=self.max_neurons,
        )

    def _check_alpha(self):
        if self.alpha == 0:
            raise ValueError(
                "alpha=0 is refused: without weight decay a wide enough network interpolates, and "
                "the convex program singles none out. Use a small fraction of alpha_max(X, y)."
            )
        if self.alpha != "scale" and not np.isfinite(self.alpha):
            raise ValueError(f"alpha must be finite, got {self.alpha}.")

    def _warm_start(self, problem, classes):
        """The present network in the units of the new problem as a Start, if it is to be one."""
        if not self.warm_start or not hasattr(self, "coefs_"):
            return None
        if hasattr(self, "gates_"):
            raise ValueError(
                "warm_start=True needs a previous fit with activation='relu', and this one has "
                "gates: start from to_relu(X), or clone the estimator to start anew."
            )
        shape = (problem.rows.n_features, problem.rows.n_outputs)
        if (self.coefs_[0].shape[0], self.coefs_[1].shape[1]) != shape or not np.array_equal(
            classes, getattr(self, "classes_", classes)
        ):
            raise ValueError(
                "warm_start=True needs the features, outputs and classes of the previous fit, "
                f"which had {self.coefs_[0].shape[0]} features and {self.coefs_[1].shape[1]} "
                f"output columns; now there are {shape[0]} and {shape[1]}. Clone the estimator "
                "to start anew."
            )
        return Start(problem.network(self.coefs_, self.intercepts_))
