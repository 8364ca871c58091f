"""What every estimator of a two-layer network does, and the fit of ReLU networks for one alpha."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils.validation import check_is_fitted

from sklearn_convexnn._arrays import check_place, in_numpy, namespace_of, put_beside
from sklearn_convexnn._base import BaseNetwork, Outcome, fit_method
from sklearn_convexnn._collections import SpreadData, of_many_rows, on_blocks
from sklearn_convexnn._importances import InputImportances
from sklearn_convexnn._losses import loss_options, trait
from sklearn_convexnn._validation import (
    Interval,
    StrOptions,
    check_patterns,
    check_warm_start,
    one_blas_thread,
)
from sklearn_convexnn.core.fit.cutting_plane import Descent, best_start, start_of_path
from sklearn_convexnn.core.fit.given_patterns import (
    PROGRAM_TOL,
    START_TOL,
    PatternProgram,
    PatternSettings,
    start_from_patterns,
)
from sklearn_convexnn.core.fit.held_out import choose_alpha, given_alpha
from sklearn_convexnn.core.problem.engines.threads import worker_threads
from sklearn_convexnn.core.problem.network import hidden_activations, network_outputs, path_norms
from sklearn_convexnn.core.problem.solution import Start, Status
from sklearn_convexnn.core.problem.spread_set import SpreadSet
from sklearn_convexnn.core.problem.units import make_problem, obstacle

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import MatrixLike

# Rounds of the cutting plane where max_iter=None.
DEFAULT_ROUNDS = 50
# Paths of cross-validation are solved no finer than this, whatever the final fit is asked for.
LEAST_FOLD_TOL = 1e-2
# A gap of so many times tol is no surprise only where the descent is well conditioned.
_LARGE_GAP = 10.0

PATTERNS = [Interval(Integral, 1, None, closed="left"), StrOptions({"exact"}), "array-like"]
SOLVERS = StrOptions({"auto", "newton", "clarabel", "ecos", "scs"})


class AlphaChoice:
    """The choice of ``alpha``, for estimators with ``verbose`` and a loss."""

    def _choice(self, problem, whole, follow, rng):
        """The Choice that the parameter ``alpha`` asks for.

        ``whole`` is the solver of all rows, with its ``scale`` and ``alpha_max``; ``follow(problem,
        rng)`` makes one for some of them.
        """
        if self.alpha != "auto":
            return given_alpha(whole.scale if self.alpha == "scale" else self.alpha)
        # Random numbers of its own: the fit is then, to the bit, that of the chosen alpha.
        (own,) = rng.spawn(1)
        return choose_alpha(
            problem, whole.scale, whole.alpha_max, follow, own, report=self._report_alpha
        )

    def _choice_on_paths(self, problem, descent, rng):
        """The same by paths: ``descent`` is that of all rows, ``_path_goals`` say how fine."""
        light = {"gap_tol": None} | self._path_goals
        light["tol"] = max(self.tol, light["tol"])
        return self._choice(
            problem, descent, lambda part, rng: self._descent(part, rng, **light), rng
        )

    def _report_alpha(self, alpha, loss):
        if self.verbose:
            print(f"[{type(self).__name__}] alpha {alpha:.3g}: loss {loss:.5g} of held-out rows")

    def _chosen(self, choice):
        """The attributes of a choice among alphas."""
        chosen = choice.attributes
        if getattr(self, "calibrate", False) and trait(self, "probabilities"):
            chosen["temperature_"] = choice.temperature
        return chosen


class NeuronProblem:
    """The training problem of neurons of one kind, for estimators with a loss."""

    def _neurons(self):
        """Neurons of another kind than ReLUs of the rows: there are none."""

    def _problem(self, data):
        """The training problem and the Targets."""
        if isinstance(data, SpreadData):
            return self._spread_problem(data)
        targets = self._encode_targets(data.y, data.weights, data.X)
        problem = make_problem(
            data.X,
            targets.columns,
            data.weights,
            loss=self.loss,
            intercept=self.fit_intercept,
            options=loss_options(self),
            neurons=self._neurons(),
            sample_weights=data.sample_weights,
        )
        return problem, targets

    def _spread_problem(self, data):
        """The same of rows that are somewhere else."""
        targets, encode, n_outputs = self._spread_targets(data)
        engine = data.engine(encode, n_outputs)
        spread_set = SpreadSet(engine, self.loss, self.fit_intercept, loss_options(self))
        return spread_set.problem(), targets


class BaseTwoLayer(AlphaChoice, NeuronProblem, InputImportances, BaseNetwork):
    """The problem, the attributes and the layers of a two-layer network."""

    _parameter_constraints = {
        "fit_intercept": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    _takes_sparse = True
    _compares_columns = True

    # ------------------------------------------------------------------ before the solve

    @one_blas_thread
    def _alpha_max(self, X, y, sample_weight):
        """The public function of this name, on an estimator made for it."""
        problem, _ = self._problem(self._validated(X, y, sample_weight))
        return start_of_path(problem, self._rng())[2]

    # ------------------------------------------------------------------ after the solve

    def _attributes(self, problem, targets, solution, alpha_max, alpha=None):
        """The fitted attributes; ``alpha`` is the value that was asked for, if there was one."""
        coefs, intercepts = problem.layers(solution.network)
        return {
            **self._common_attributes(problem, targets, solution, alpha_max, alpha),
            "coefs_": coefs,
            "intercepts_": intercepts,
            "n_layers_": 3,  # input, hidden and output, as scikit-learn's perceptrons count
        }

    # ------------------------------------------------------------------ programs over patterns

    def _solver(self):
        if self.solver != "auto":
            return self.solver
        return "newton" if trait(self, "smooth") else "clarabel"

    def _check_solver(self):
        if self.solver == "newton" and not trait(self, "smooth"):
            raise ValueError(
                f"solver='newton' needs a smooth loss: for loss={self.loss!r} use "
                "solver='clarabel', 'ecos' or 'scs'."
            )

    def _solve_program(self, data, progress, settings):
        problem, targets = self._problem(data)
        progress.objective = problem.objective
        rng = self._rng()
        program = PatternProgram(problem, rng, settings)
        light = replace(settings, gap_tol=max(START_TOL, program.settings.goals["tol"]))
        choice = self._choice(
            problem, program, lambda part, rng: PatternProgram(part, rng, light), rng
        )
        solution = program.solve(choice.alpha)
        attributes = self._attributes(
            problem, targets, solution, program.alpha_max, choice.alpha
        ) | self._chosen(choice)
        attributes["program_gap_"] = float(solution.program.relative_gap)
        if solution.gates is not None:
            attributes["gates_"] = solution.gates
        return Outcome(solution, attributes)

    # ------------------------------------------------------------------ the fitted network

    def _layers(self):
        """``coefs, intercepts`` of the network."""
        return self.coefs_, self.intercepts_

    def _outputs(self, X):
        """Network outputs before the output activation, shape (n_samples, n_outputs_)."""
        X = self._validate_rows(X)
        return network_outputs(X, self.coefs_, self.intercepts_, xp=namespace_of(X))

    def _input_sizes(self):
        return path_norms(self.coefs_)

    @on_blocks
    def hidden_activations(self, X: MatrixLike) -> np.ndarray:
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
        self._check_place(X, "hidden_activations")
        X = self._validate_rows(X)
        return hidden_activations(X, self.coefs_[0], self.intercepts_[0], xp=namespace_of(X))


class CuttingPlane:
    """Parameters and words that a fit by column generation has, for one alpha or for many."""

    _parameter_constraints = {
        "max_neurons": [Interval(Integral, 1, None, closed="left"), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        # A gap of the whole objective is reached by any network: no loss is negative.
        "gap_tol": [Interval(Real, 0, 1, closed="neither"), None],
    }

    def _goals(self):
        return {name: getattr(self, name) for name in ("tol", "gap_tol", "max_iter", "max_neurons")}

    def _goal(self):
        if self.gap_tol is not None:
            return f"gap_tol={self.gap_tol:g}"
        return f"a decrease below tol={self.tol:g} in one round"

    def _remedy(self, problem, solution):
        """What to say where little progress was made far from the optimum, or None."""
        if solution.status is not Status.PROGRESS:
            return None
        far = solution.certificate.relative_gap > _LARGE_GAP * self.tol
        return obstacle(problem.rows) if far else None


class OneAlpha(CuttingPlane):
    """The fit by column generation for one alpha, given or chosen (see :class:`AlphaChoice`)."""

    # With tol=1e-2 paths take a third more time for the same scores, with 1e-1 a quarter less, from
    # networks that are held back by more than their penalty.
    _path_goals = {"tol": 3e-2, "coarse": True}

    def _descent(self, problem, rng, **others):
        """A path of this problem; ``others`` are goals instead of those of the estimator."""
        return Descent(problem, rng, **(self._goals() | others))

    def _descended(self, data, progress):
        problem, targets = self._problem(data)
        progress.objective = problem.objective
        rng = self._rng()
        descent = self._descent(problem, rng)
        choice = self._choice_on_paths(problem, descent, rng)
        start = best_start(problem, choice.alpha, self._starts(problem, targets, choice.alpha))
        solution = descent.solve(choice.alpha, start=start, progress=progress)
        attributes = self._attributes(
            problem, targets, solution, descent.alpha_max, choice.alpha
        ) | self._chosen(choice)
        return Outcome(solution, attributes, self._remedy(problem, solution))

    def _starts(self, problem, targets, alpha):
        """Starts for this alpha, None for one that there is not."""
        return [self._warm_start(problem, targets)]


class BaseConvexReLU(OneAlpha, BaseTwoLayer):
    """The fit of ReLU networks for one ``alpha``."""

    _takes_arrays = True
    _takes_collections = True

    _parameter_constraints = {
        **BaseTwoLayer._parameter_constraints,
        **CuttingPlane._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto", "scale"})],
        "refinement": [StrOptions({"cutting_plane"}), None],
        "patterns": [*PATTERNS, None],
        "solver": [SOLVERS],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "warm_start": ["boolean"],
    }

    def __init__(
        self,
        *,
        alpha,
        loss,
        fit_intercept,
        refinement,
        patterns,
        solver,
        max_neurons,
        max_iter,
        tol,
        gap_tol,
        warm_start,
        random_state,
        verbose,
        n_jobs=None,
    ):
        self.alpha = alpha
        self.loss = loss
        self.fit_intercept = fit_intercept
        self.refinement = refinement
        self.patterns = patterns
        self.solver = solver
        self.max_neurons = max_neurons
        self.max_iter = max_iter
        self.tol = tol
        self.gap_tol = gap_tol
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fit_method
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. Float32 is kept, everything else becomes float64; sparse input becomes
            CSR. Features should have comparable scales, as for any model with weight decay. Dask
            arrays and data frames, and arrays on a device, stay where they are, see
            :ref:`many_rows`.
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
        if self.refinement is None or self.patterns is not None:
            self._check_solver()
        if self.refinement is None and self.max_neurons is not None:
            raise ValueError(
                "max_neurons is a limit of the cutting plane, but with refinement=None the program "
                "over the given patterns is all that is solved: set max_neurons=None and use a "
                "larger alpha or fewer patterns for a smaller network."
            )

    def _spread(self, X, y, sample_weight):
        data = super()._spread(X, y, sample_weight)
        if data.few:
            return data
        if self.refinement is None or self.patterns is not None:
            raise ValueError(
                f"The program over given patterns {of_many_rows(data.n_rows)}: use "
                "refinement='cutting_plane' and patterns=None."
            )
        return data

    @one_blas_thread
    def _solve(self, data, progress):
        with worker_threads(effective_n_jobs(self.n_jobs)):
            return self._solved(data, progress)

    def _solved(self, data, progress):
        if self.refinement is None:
            return self._solve_program(data, progress, self._settings())
        return self._descended(data, progress)

    def _starts(self, problem, targets, alpha):
        return [
            *super()._starts(problem, targets, alpha),
            self._start_from_patterns(problem, alpha),
        ]

    def _goals(self):
        goals = super()._goals()
        return goals | {"max_iter": DEFAULT_ROUNDS if self.max_iter is None else self.max_iter}

    def _settings(self):
        return PatternSettings(
            gated=False,
            patterns=check_patterns(self.patterns),
            solver=self._solver(),
            gap_tol=self.gap_tol,
            max_iter=self.max_iter,
        )

    def _goal(self):
        if self.refinement is None:
            return f"gap_tol={PROGRAM_TOL if self.gap_tol is None else self.gap_tol:g}"
        return super()._goal()

    # ------------------------------------------------------------------ starts

    def _start_from_patterns(self, problem, alpha):
        """A Start from given patterns, if there are any."""
        if self.patterns is None:
            return None
        return start_from_patterns(problem, alpha, self._settings(), rng=self._rng())

    def _warm_start(self, problem, targets):
        """The present network in the units of the new problem as a Start, if it is to be one."""
        if not self.warm_start or not hasattr(self, "coefs_"):
            return None
        check_warm_start(
            self,
            targets.classes,
            features=(self.coefs_[0].shape[0], problem.rows.n_features),
            outputs=(self.coefs_[1].shape[1], problem.rows.n_outputs),
        )
        return Start(problem.network(in_numpy(self.coefs_), in_numpy(self.intercepts_)))

    # ------------------------------------------------------------------ arrays of other libraries

    def _rows_at(self, X, place):
        # Programs over patterns, and starts from them, have a matrix of all rows.
        if self.refinement is None or self.patterns is not None:
            return np.ascontiguousarray(in_numpy(X))
        return super()._rows_at(X, place)

    @property
    def _first_weights(self):
        return self.coefs_[0]

    def _check_place(self, X, method):
        check_is_fitted(self)
        check_place(X, self, attribute="_first_weights", method=method)

    def _input_sizes(self):
        return path_norms(in_numpy(self.coefs_))

    @property
    def feature_importances_(self):
        """The share of every input in the sizes of all inputs: ``(n_features_in_,)``."""
        return put_beside(super().feature_importances_, self._first_weights)
