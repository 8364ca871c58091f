"""The fit of networks of circular convolutions and ReLUs."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Self

import numpy as np

from sklearn_convexnn._base import BaseNetwork, Outcome, fit_method
from sklearn_convexnn._images import ImageRows
from sklearn_convexnn._importances import InputImportances
from sklearn_convexnn._two_layer import AlphaChoice, NeuronProblem, OneAlpha
from sklearn_convexnn._validation import Interval, StrOptions, check_warm_start, one_blas_thread
from sklearn_convexnn.core.fit.given_patterns import PROGRAM_TOL
from sklearn_convexnn.core.problem.circular_neurons import CircularReLU
from sklearn_convexnn.core.problem.frequencies import factors
from sklearn_convexnn.core.problem.network import (
    hidden_activations,
    network_outputs,
    path_norms,
)
from sklearn_convexnn.core.problem.solution import Start
from sklearn_convexnn.core.programs.circular_patterns import solve_all_patterns

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class BaseCircularReLU(
    ImageRows, AlphaChoice, OneAlpha, NeuronProblem, InputImportances, BaseNetwork
):
    """The fit for one ``alpha``, given or chosen by held-out rows."""

    _parameter_constraints = {
        **OneAlpha._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto", "scale"})],
        "image_shape": [tuple, list, None],
        "patterns": [StrOptions({"exact"}), None],
        "fit_intercept": ["boolean"],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    @fit_method
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *image_shape)
            Training rows, flat (in C order) or as images or signals. Float32 is kept, everything
            else becomes float64.
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

    def _neurons(self):
        return CircularReLU(self._image_shape())

    @one_blas_thread
    def _solve(self, data, progress):
        if self.patterns is None:
            return self._descended(data, progress)
        problem, targets = self._problem(data)
        rng = self._rng()
        descent = self._descent(problem, rng)
        choice = self._choice_on_paths(problem, descent, rng)
        working = choice.alpha / problem.alpha_unit
        solution = solve_all_patterns(problem.rows, working, tol=self._program_tol)
        attributes = self._attributes(
            problem, targets, solution, descent.alpha_max, choice.alpha
        ) | self._chosen(choice)
        return Outcome(solution, attributes)

    @property
    def _program_tol(self):
        return PROGRAM_TOL if self.gap_tol is None else self.gap_tol

    def _goal(self):
        if self.patterns is None:
            return super()._goal()
        return f"a relative duality gap of {self._program_tol:g}"

    # ------------------------------------------------------------------ after the solve

    def _attributes(self, problem, targets, solution, alpha_max, alpha=None):
        """The fitted attributes; ``alpha`` is the value that was asked for, if there was one."""
        coefs, intercepts = problem.layers(solution.network)
        shape, dtype = self._image_shape(), coefs[0].dtype
        filters, weights = factors(coefs[0].T.astype(np.float64), shape)
        return {
            **self._common_attributes(problem, targets, solution, alpha_max, alpha),
            "coefs_": coefs,
            "intercepts_": intercepts,
            "filters_": filters.astype(dtype),
            "filter_weights_": weights.astype(dtype),
            "image_shape_": shape,
            "n_layers_": 4,  # with the input, as scikit-learn's perceptrons count
        }

    def _warm_start(self, problem, targets):
        """The present network in the units of the new problem as a Start, if it is to be one."""
        if not self.warm_start or not hasattr(self, "coefs_"):
            return None
        check_warm_start(
            self,
            targets.classes,
            shapes=(self.image_shape_, self._image_shape()),
            outputs=(self.n_outputs_, problem.rows.n_outputs),
        )
        return Start(problem.network(self.coefs_, self.intercepts_))

    # ------------------------------------------------------------------ the fitted network

    def _outputs(self, X):
        """Network outputs before the output activation, shape (n_samples, n_outputs_)."""
        return network_outputs(self._validate_rows(X), self.coefs_, self.intercepts_)

    def _input_sizes(self):
        return path_norms(self.coefs_)

    def hidden_activations(self, X: ArrayLike) -> np.ndarray:
        """Activations of the neurons.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *image_shape_)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_neurons_)
            ``max(0, X @ coefs_[0] + intercepts_[0])``.
        """
        return hidden_activations(self._validate_rows(X), self.coefs_[0], self.intercepts_[0])
