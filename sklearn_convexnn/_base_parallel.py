"""The fit of parallel networks of three layers."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Self

import numpy as np

from sklearn_convexnn._base import BaseNetwork, fit_method
from sklearn_convexnn._importances import InputImportances
from sklearn_convexnn._two_layer import AlphaChoice, NeuronProblem, OneAlpha
from sklearn_convexnn._validation import Interval, StrOptions, check_warm_start, one_blas_thread
from sklearn_convexnn.core.problem.network import hidden_activations, network_outputs
from sklearn_convexnn.core.problem.solution import Start
from sklearn_convexnn.core.problem.sub_networks import SubNetworks

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import MatrixLike


class BaseParallelReLU(AlphaChoice, OneAlpha, NeuronProblem, InputImportances, BaseNetwork):
    """The fit for one ``alpha``, given or chosen by held-out rows."""

    _parameter_constraints = {
        **OneAlpha._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto", "scale"})],
        "hidden_units": [Interval(Integral, 1, None, closed="left")],
        "penalty": [StrOptions({"path", "decay"})],
        "fit_intercept": ["boolean"],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    _takes_sparse = True
    _compares_columns = True

    @fit_method
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
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
        return self._fit(X, y, sample_weight)

    def _neurons(self):
        return SubNetworks(int(self.hidden_units), self.penalty)

    @one_blas_thread
    def _solve(self, data, progress):
        return self._descended(data, progress)

    # ------------------------------------------------------------------ after the solve

    def _attributes(self, problem, targets, solution, alpha_max, alpha=None):
        """The fitted attributes; ``alpha`` is the value that was asked for, if there was one."""
        (first, last), (biases, outputs) = problem.layers(solution.network)
        signs = problem.rows.neurons.signs.astype(first.dtype)
        joins = np.kron(np.eye(len(last), dtype=first.dtype), signs[:, None])
        return {
            **self._common_attributes(problem, targets, solution, alpha_max, alpha),
            "coefs_": [first, joins, last],
            "intercepts_": [biases, np.zeros(len(last), first.dtype), outputs],
            "n_layers_": 4,  # with the input, as scikit-learn's perceptrons count
        }

    def _warm_start(self, problem, targets):
        """The present network in the units of the new problem as a Start, if it is to be one."""
        if not self.warm_start or not hasattr(self, "coefs_"):
            return None
        rows, (coefs, intercepts) = problem.rows, self._layers()
        n_features, n_units = coefs[0].shape
        check_warm_start(
            self,
            targets.classes,
            features=(n_features, rows.n_features),
            units=(n_units, rows.neurons.n_units * self.n_neurons_),
            outputs=(self.n_outputs_, rows.n_outputs),
        )
        return Start(problem.network(coefs, intercepts))

    # ------------------------------------------------------------------ the fitted network

    def _layers(self):
        """``coefs, intercepts`` of the units and of the outputs."""
        first, _, last = self.coefs_
        return [first, last], [self.intercepts_[0], self.intercepts_[2]]

    def _fitted_neurons(self):
        """The neurons of the fit: what they compute does not depend on the penalty."""
        return SubNetworks(max(1, self.coefs_[0].shape[1] // max(1, self.n_neurons_)), "path")

    def _outputs(self, X):
        """Network outputs before the output activation, shape (n_samples, n_outputs_)."""
        X = self._validate_rows(X)
        return network_outputs(X, *self._layers(), self._fitted_neurons())

    def _input_sizes(self):
        first, joins, last = self.coefs_
        return np.abs(first) @ np.abs(joins) @ np.linalg.norm(last, axis=1)

    def hidden_activations(self, X: MatrixLike) -> np.ndarray:
        """Activations of the sub-networks, those of the second hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_neurons_)
            ``max(0, max(0, X @ coefs_[0] + intercepts_[0]) @ coefs_[1])``.
        """
        X = self._validate_rows(X)
        return hidden_activations(X, self.coefs_[0], self.intercepts_[0], self._fitted_neurons())
