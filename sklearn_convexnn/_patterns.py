"""Activation patterns as an option: which program an estimator solves, and gated networks."""

from __future__ import annotations

import warnings
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_convexnn._validation import Interval, StrOptions
from sklearn_convexnn.core.fit.given_patterns import (
    PROGRAM_TOL,
    PatternSettings,
    start_from_patterns,
    train_patterns,
)
from sklearn_convexnn.core.programs.conic import ProgramStatus
from sklearn_convexnn.core.programs.gated_layers import (
    gated_activations,
    gated_outputs,
    relu_of_layers,
)


def _is_gated(estimator):
    # What was fitted decides, not what the parameters have been set to since.
    fitted = hasattr(estimator, "coefs_")
    gated = hasattr(estimator, "gates_") if fitted else estimator.activation == "gated_relu"
    if not gated:
        raise AttributeError("Only a network with activation='gated_relu' has to_relu.")
    return True


class PatternOptionsMixin:
    """The options of activation, patterns and programs over them."""

    _parameter_constraints = {
        "activation": [StrOptions({"relu", "gated_relu"})],
        "refinement": [StrOptions({"auto", "cutting_plane"}), None],
        "patterns": [StrOptions({"sampled", "exact"}), "array-like"],
        "n_patterns": [Interval(Integral, 1, None, closed="left"), None],
        "penalty": [StrOptions({"group", "nuclear"})],
        "solver": [StrOptions({"auto", "newton", "clarabel", "ecos", "scs"})],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
    }

    # ------------------------------------------------------------------ what is to be solved

    def _cutting_plane(self):
        """Whether neurons are added; otherwise the program over given patterns is all."""
        if self.refinement == "auto":
            return self.activation == "relu" and self.loss != "hinge"
        return self.refinement == "cutting_plane"

    def _gives_patterns(self):
        return not (isinstance(self.patterns, str) and self.patterns == "sampled")

    def _check_options(self):
        """One sentence for every combination that means nothing."""
        if self.n_patterns is not None and self._gives_patterns():
            raise ValueError(
                "n_patterns is the number of sampled patterns: leave it at None, or set "
                "patterns='sampled'."
            )
        if self.loss == "hinge" and self.solver == "newton":
            raise ValueError(
                "solver='newton' needs a smooth loss: for loss='hinge' use solver='clarabel', "
                "'ecos' or 'scs'."
            )
        if self.penalty == "nuclear" and self.activation != "gated_relu":
            raise ValueError(
                "penalty='nuclear' is for activation='gated_relu', whose gates can feed all "
                "outputs at once: set penalty='group'."
            )
        if self.minimal and self.activation == "gated_relu":
            raise ValueError(
                "minimal=True joins ReLU neurons, and those of activation='gated_relu' each have a "
                "gate of their own: set minimal=False."
            )
        check = self._check_cutting_plane if self._cutting_plane() else self._check_program
        check()

    def _check_cutting_plane(self):
        started = self._gives_patterns() or self.n_patterns is not None
        if self.activation == "gated_relu":
            raise ValueError(
                "refinement='cutting_plane' looks for new neurons, but the gates of "
                "activation='gated_relu' are given: set refinement=None or 'auto'."
            )
        if self.loss == "hinge":
            raise ValueError(
                "refinement='cutting_plane' needs a smooth loss: for loss='hinge' set "
                "refinement=None or 'auto'."
            )
        if self.solver != "auto" and not started:
            raise ValueError(
                f"solver={self.solver!r} solves programs over given patterns, and "
                "refinement='cutting_plane' alone has none: set refinement=None, or give patterns "
                "or n_patterns to start from."
            )
        if self.warm_start and started:
            raise ValueError(
                "warm_start=True and given patterns are two starts for the cutting plane: leave "
                "patterns and n_patterns at their defaults, or set warm_start=False."
            )

    def _check_program(self):
        reason = (
            "activation='gated_relu' solves the convex program over its gates"
            if self.activation == "gated_relu"
            else "without a cutting plane the convex program over the given patterns is solved"
        )
        if self.max_neurons is not None:
            raise ValueError(
                f"max_neurons is a limit of the cutting plane, but {reason}: set max_neurons=None "
                "and use a larger alpha or fewer patterns for a smaller network."
            )
        if self.warm_start:
            raise ValueError(
                f"warm_start=True starts the cutting plane from the previous fit, but {reason}, "
                "which has one optimum wherever it starts: set warm_start=False."
            )

    def _pattern_settings(self):
        gates = self.patterns
        if not isinstance(gates, str):
            gates = check_array(
                gates,
                dtype=np.float64,
                ensure_2d=False,
                allow_nd=True,
                ensure_min_samples=0,
                ensure_min_features=0,
                input_name="patterns",
            )
            if gates.ndim != 2 or gates.size == 0:
                raise ValueError(
                    "patterns must be 'sampled', 'exact', or an array with one gate in each "
                    f"column; this one has shape {gates.shape}."
                )
        solver = self.solver
        if solver == "auto":
            solver = "clarabel" if self.loss == "hinge" else "newton"
        return PatternSettings(
            gated=self.activation == "gated_relu",
            gates=gates,
            n_patterns=self.n_patterns,
            solver=solver,
            penalty=self.penalty,
            gap_tol=self.gap_tol,
            max_iter=self.max_iter,
        )

    def _train_patterns(self, problem, start, progress):
        if self.loss == "hinge" and problem.rows.n_outputs > 1:
            raise ValueError(
                "Only binary classification is supported with loss='hinge', and there are "
                f"{problem.rows.n_outputs} classes: use loss='log_loss', or OneVsRestClassifier."
            )
        return train_patterns(
            problem, self.alpha, self._pattern_settings(), rng=self._rng(), progress=progress
        )

    def _start_from_patterns(self, problem):
        """A Start from given patterns, if there are any."""
        if not self._gives_patterns() and self.n_patterns is None:
            return None
        return start_from_patterns(problem, self.alpha, self._pattern_settings(), rng=self._rng())

    # ------------------------------------------------------------------ after the solve

    def _set_program_attributes(self, solution):
        """Attributes that some ways of training have and others do not."""
        for name in ("gates_", "program_gap_", "relu_price_"):
            if hasattr(self, name):
                delattr(self, name)
        if getattr(solution, "program", None) is None:
            return
        self.program_gap_ = float(solution.program.relative_gap)
        if solution.gates is not None:
            self.gates_ = solution.gates

    def _report_program(self, solution):
        if solution.status is ProgramStatus.GAP:
            return
        goal = PROGRAM_TOL if self.gap_tol is None else self.gap_tol
        warnings.warn(
            f"{type(self).__name__} solved the program over its patterns to a relative duality gap "
            f"of {self.program_gap_:.2e} in {solution.n_iter} iterations; the goal was "
            f"gap_tol={goal:g}. {solution.status.value}",
            ConvergenceWarning,
            stacklevel=3,
        )

    # ------------------------------------------------------------------ gated networks

    def _outputs(self, X):
        if not hasattr(self, "gates_"):
            return super()._outputs(X)
        return gated_outputs(self._validate_rows(X), self.gates_, self.coefs_, self.intercepts_)

    def hidden_activations(self, X):
        """Activations of the hidden neurons.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_neurons_)
            ``max(0, X @ coefs_[0] + intercepts_[0])``; of a gated network
            ``(G > 0) * (X @ coefs_[0] + intercepts_[0])`` with the values ``G`` of its gates.
        """
        if not hasattr(self, "gates_"):
            return super().hidden_activations(X)
        return gated_activations(
            self._validate_rows(X), self.gates_, self.coefs_[0], self.intercepts_[0]
        )

    @available_if(_is_gated)
    def to_relu(self, X):
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
            Of the same class, with ``activation="relu"`` and otherwise default patterns,
            refinement and solver, and fitted: with ``coefs_``, ``intercepts_``, ``n_neurons_``,
            ``alpha_``, ``objective_`` and ``relu_price_``, its penalty over that of the gated
            network, at least 1. As it solves no program, ``dual_gap_`` is 1, from the bound that
            objectives are positive; :func:`~sklearn_convexnn.inspection.optimality_report` finds
            a better one. With ``warm_start=True`` the cutting plane goes on from the network.
        """
        check_is_fitted(self)
        X = self._validate_rows(X)
        X = X.toarray() if hasattr(X, "toarray") else X
        relu = clone(self).set_params(
            activation="relu",
            refinement="auto",
            patterns="sampled",
            n_patterns=None,
            penalty="group",
            solver="auto",
        )
        coefs, intercepts, price = relu_of_layers(X, self.gates_, self.coefs_, self.intercepts_)
        inherited = (
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
        for name in inherited:
            if hasattr(self, name):
                setattr(relu, name, getattr(self, name))
        relu.coefs_, relu.intercepts_, relu.relu_price_ = coefs, intercepts, price
        relu.n_neurons_ = coefs[0].shape[1]
        penalty = float(np.linalg.norm(self.coefs_[1], axis=1) @ _inner_lengths(self))
        relu.objective_ = self.objective_ + self.alpha_ * (price - 1.0) * penalty
        relu.dual_gap_ = 1.0 if relu.objective_ > 0 else 0.0
        relu.dual_gap_abs_, relu.certificate_ = relu.objective_, "proven"
        return relu


def _inner_lengths(estimator):
    return np.linalg.norm(np.vstack([estimator.coefs_[0], estimator.intercepts_[0]]), axis=0)
