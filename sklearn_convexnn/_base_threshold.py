"""The fit of networks of thresholds."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Self

import numpy as np

from sklearn_convexnn._base import BaseNetwork, Outcome, fit_method
from sklearn_convexnn._importances import InputImportances
from sklearn_convexnn._losses import loss_options
from sklearn_convexnn._two_layer import AlphaChoice, CuttingPlane
from sklearn_convexnn._validation import Interval, StrOptions, check_warm_start, one_blas_thread
from sklearn_convexnn.core.problem.network import path_norms
from sklearn_convexnn.core.problem.solution import Start
from sklearn_convexnn.core.threshold.bounds import with_lower_bound
from sklearn_convexnn.core.threshold.descent import ThresholdDescent
from sklearn_convexnn.core.threshold.neurons import threshold_activations, threshold_outputs
from sklearn_convexnn.core.threshold.problem import make_threshold_problem
from sklearn_convexnn.core.threshold.step_network import additive_outputs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class BaseThreshold(AlphaChoice, CuttingPlane, InputImportances, BaseNetwork):
    """The fit for one ``alpha``, given or chosen."""

    _parameter_constraints = {
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto", "scale"})],
        "directions": [StrOptions({"all", "axis"})],
        "representative": [StrOptions({"margin", "middle"})],
        **CuttingPlane._parameter_constraints,
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    # What the hidden neurons are, for those who would take them for ReLUs.
    _hidden = "0 or 1"
    # Scores do not see what is finer.
    _path_goals = {"tol": 1e-2, "coarse": True}

    def __init__(
        self,
        *,
        alpha,
        directions,
        loss,
        representative,
        max_neurons,
        max_iter,
        tol,
        gap_tol,
        warm_start,
        random_state,
        verbose,
    ):
        self.alpha = alpha
        self.directions = directions
        self.loss = loss
        self.representative = representative
        self.max_neurons = max_neurons
        self.max_iter = max_iter
        self.tol = tol
        self.gap_tol = gap_tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @fit_method
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows. Float32 is kept, everything else becomes float64. Columns may have any
            units: the problem does not depend on them.
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
        return self._fit(X, y, sample_weight)

    def _goal(self):
        if self.gap_tol is not None:
            return f"gap_tol={self.gap_tol:g}"
        if self.directions == "axis":
            return f"a relative duality gap of tol={self.tol:g}"
        return f"a decrease below tol={self.tol:g} in one round"

    def _problem(self, data):
        """The training problem and the Targets."""
        targets = self._encode_targets(data.y, data.weights)
        problem = make_threshold_problem(
            data.X,
            targets.columns,
            data.weights,
            axis=self.directions == "axis",
            loss=self.loss,
            options=loss_options(self),
            sample_weights=data.sample_weights,
        )
        return problem, targets

    def _descent(self, problem, rng, **others):
        """A path of this problem; ``others`` are goals instead of those of the estimator."""
        return ThresholdDescent(problem, rng, **(self._goals() | others))

    @one_blas_thread
    def _solve(self, data, progress):
        problem, targets = self._problem(data)
        progress.objective = problem.objective
        rng = self._rng()
        descent = self._descent(problem, rng)
        choice = self._choice_on_paths(problem, descent, rng)
        start = self._warm_start(problem, targets)
        solution = descent.solve(choice.alpha, start=start, progress=progress)
        solution, attributes = self._bounded(
            problem, targets, solution, descent.alpha_max, choice.alpha
        )
        return Outcome(solution, attributes | self._chosen(choice))

    def _attributes(self, problem, targets, solution, alpha_max, alpha):
        """The fitted attributes; ``alpha`` is the value that was asked for."""
        return self._bounded(problem, targets, solution, alpha_max, alpha)[1]

    def _bounded(self, problem, targets, solution, alpha_max, alpha):
        """The Solution with the better of its two certificates, and the fitted attributes."""
        goal = self.tol if self.gap_tol is None else self.gap_tol
        solution, bound = with_lower_bound(problem, solution, goal)
        coefs, intercepts = problem.layers(solution.network, self.representative)
        attributes = {
            **self._common_attributes(problem, targets, solution, alpha_max, alpha),
            "coefs_": coefs,
            "intercepts_": intercepts,
            "n_layers_": 3,  # input, hidden and output, as scikit-learn's perceptrons count
            "lower_bound_": float(problem.objective(bound.dual)),
            "proven_gap_": float(bound.relative_gap),
        }
        if self.directions == "axis":
            shapes, base = problem.shape_functions(coefs, intercepts)
            attributes |= {"shape_functions_": shapes, "base_values_": base}
        return solution, attributes

    def _warm_start(self, problem, targets):
        """The present network on the rows of the new problem as a Start, if it is to be one."""
        if not self.warm_start or not hasattr(self, "coefs_"):
            return None
        check_warm_start(
            self,
            targets.classes,
            features=(self.coefs_[0].shape[0], problem.data.X.shape[1]),
            outputs=(self.coefs_[1].shape[1], problem.rows.n_outputs),
            directions=("axis" if hasattr(self, "shape_functions_") else "all", self.directions),
        )
        return Start(problem.network(self.coefs_, self.intercepts_), width=0.0)

    # ------------------------------------------------------------------ the fitted network

    def _outputs(self, X):
        """Network outputs before the output activation, shape (n_samples, n_outputs_)."""
        X = self._validate_rows(X)
        if hasattr(self, "shape_functions_"):
            return additive_outputs(X, self.shape_functions_, self.base_values_)
        return threshold_outputs(X, self.coefs_, self.intercepts_)

    def _input_sizes(self):
        return path_norms(self.coefs_)

    def hidden_activations(self, X: ArrayLike) -> np.ndarray:
        """Activations of the hidden neurons, 0 or 1.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_neurons_)
            ``X @ coefs_[0] + intercepts_[0] > 0`` as numbers.
        """
        return threshold_activations(self._validate_rows(X), self.coefs_[0], self.intercepts_[0])
