"""The fit of two-layer networks with given gates, and their ReLU networks."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_convexnn._base import fit_method
from sklearn_convexnn._two_layer import PATTERNS, SOLVERS, BaseTwoLayer
from sklearn_convexnn._validation import Interval, StrOptions, check_patterns, one_blas_thread
from sklearn_convexnn.core.fit.gated_alpha import choose_gated_alpha
from sklearn_convexnn.core.fit.given_patterns import PatternSettings
from sklearn_convexnn.core.programs.gated_layers import (
    gated_activations,
    gated_outputs,
    relu_of_layers,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._relu import ConvexReLUClassifier, ConvexReLURegressor
    from sklearn_convexnn._typing import MatrixLike

# What the ReLU network with the same outputs has in common with the gated one.
_INHERITED = (
    "n_features_in_",
    "feature_names_in_",
    "classes_",
    "_target_ndim",
    "n_layers_",
    "n_outputs_",
    "out_activation_",
    "alpha_",
    "n_iter_",
)
# Parameters that mean something else in ReLU networks.
_OWN = {"patterns", "solver", "max_iter", "tol"}


class BaseGatedReLU(BaseTwoLayer):
    """The fit of networks with given gates.

    ``_relu`` is the class of the ReLU networks that :meth:`to_relu` returns.
    """

    _parameter_constraints = {
        **BaseTwoLayer._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto", "scale"})],
        "patterns": PATTERNS,
        "penalty": [StrOptions({"group", "nuclear"})],
        "solver": [SOLVERS],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "tol": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        *,
        alpha,
        loss,
        fit_intercept,
        patterns,
        penalty,
        solver,
        max_iter,
        tol,
        random_state,
        verbose,
    ):
        self.alpha = alpha
        self.loss = loss
        self.fit_intercept = fit_intercept
        self.patterns = patterns
        self.penalty = penalty
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose

    @fit_method
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. Float32 is kept, everything else becomes float64. The program needs an
            array: sparse input becomes one, up to 1 GB.
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

    def _check_parameters(self):
        super()._check_parameters()
        self._check_solver()

    @one_blas_thread
    def _solve(self, data, progress):
        settings = PatternSettings(
            gated=True,
            patterns=check_patterns(self.patterns),
            solver=self._solver(),
            penalty=self.penalty,
            gap_tol=self.tol,
            max_iter=self.max_iter,
        )
        return self._solve_program(data, progress, settings)

    def _choice(self, problem, whole, follow, rng):
        if self.alpha != "auto":
            return super()._choice(problem, whole, follow, rng)
        return choose_gated_alpha(whole, rng)

    # ------------------------------------------------------------------ the fitted network

    def _outputs(self, X):
        return gated_outputs(self._validate_rows(X), self.gates_, self.coefs_, self.intercepts_)

    def hidden_activations(self, X: MatrixLike) -> np.ndarray:
        """Activations of the hidden neurons.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_neurons_)
            ``(G > 0) * (X @ coefs_[0] + intercepts_[0])`` with the values ``G`` of the gates.
        """
        return gated_activations(
            self._validate_rows(X), self.gates_, self.coefs_[0], self.intercepts_[0]
        )

    def to_relu(self, X: MatrixLike) -> ConvexReLURegressor | ConvexReLUClassifier:
        """The ReLU network with the same outputs on the training rows.

        Every gated neuron becomes two ReLU neurons of opposite output weights, by the
        decomposition of its weights into two vectors of the cone of its activation pattern. On the
        rows ``X`` the outputs are the same; elsewhere they are not. The penalty rises.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows of the fit: patterns, price and ``objective_`` refer to them.

        Returns
        -------
        estimator
            A :class:`ConvexReLURegressor` or :class:`ConvexReLUClassifier` with the parameters that
            the two have in common, and fitted: with ``coefs_``, ``intercepts_``, ``n_neurons_``,
            ``alpha_``, ``objective_`` and ``relu_price_``, its penalty over that of the gated
            network, at least 1. As it solves no program, ``dual_gap_`` is 1, from the bound that
            objectives are positive; :func:`~sklearn_convexnn.inspection.optimality_report` finds
            a better one. With ``warm_start=True`` the cutting plane goes on from the network.
        """
        check_is_fitted(self)
        X = self._validate_rows(X)
        X = X.toarray() if hasattr(X, "toarray") else X
        coefs, intercepts, price = relu_of_layers(X, self.gates_, self.coefs_, self.intercepts_)
        inner = np.linalg.norm(np.vstack([self.coefs_[0], self.intercepts_[0]]), axis=0)
        penalty = float(np.linalg.norm(self.coefs_[1], axis=1) @ inner)
        objective = self.objective_ + self.alpha_ * (price - 1.0) * penalty
        attributes = {name: getattr(self, name) for name in _INHERITED if hasattr(self, name)}
        attributes |= {
            "coefs_": coefs,
            "intercepts_": intercepts,
            "n_neurons_": coefs[0].shape[1],
            "relu_price_": price,
            "objective_": objective,
            "dual_gap_": 1.0 if objective > 0 else 0.0,
            "dual_gap_abs_": objective,
            "certificate_": "proven",
        }
        relu = self._relu()
        common = relu.get_params().keys() & self.get_params().keys() - _OWN
        relu.set_params(**{name: getattr(self, name) for name in common})
        relu._store(attributes)
        return relu
