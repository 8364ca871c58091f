"""The one fit of all estimators: validate, encode, solve, store, report."""

from __future__ import annotations

import functools
from typing import NamedTuple, cast

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_convexnn._arrays import float_dtypes, followed, place_of, put, rows_at
from sklearn_convexnn._callbacks import CallbackSupportMixin, Progress, with_callbacks
from sklearn_convexnn._collections import SpreadData, is_collection, stand_in
from sklearn_convexnn._documentation import DocumentationLink
from sklearn_convexnn._files import VersionInFiles
from sklearn_convexnn._validation import (
    Function,
    RoundKept,
    _fit_context,
    all_or_nothing,
    check_weights,
    check_X,
    refuse_lazy,
    refuse_other_libraries,
)
from sklearn_convexnn._warnings import warn_user
from sklearn_convexnn.core.problem.column_scales import unequal_columns
from sklearn_convexnn.core.problem.solution import Solution


class Data(NamedTuple):
    """Checked rows and targets; weights of the rows with those of their classes, and without."""

    X: object
    y: np.ndarray
    weights: np.ndarray
    sample_weights: np.ndarray

    def looked_at(self):
        """Rows and weights that say what the columns are like."""
        return self.X, self.weights

    def take(self, index):
        """Some of the rows."""
        return Data(*(part[index] for part in self))


class Targets(NamedTuple):
    """Targets as columns, (n_samples, n_outputs), and what the estimator remembers of them.

    For regression that is the number of dimensions the targets had in fit, for classification the
    classes; the other is None.
    """

    columns: np.ndarray
    classes: np.ndarray | None = None
    ndim: int | None = None

    @property
    def attributes(self):
        """What the fitted estimator remembers."""
        if self.classes is None:
            return {"_target_ndim": self.ndim}
        return {"classes_": self.classes}


class Outcome(NamedTuple):
    """What a family's ``_solve`` returns.

    ``remedy`` is what to tell the user although the solve did what it was asked for, or None.
    """

    solution: Solution
    attributes: dict
    remedy: str | None = None


def fit_method(method: Function) -> Function:
    """A ``fit`` with callbacks and checks of parameters, whose errors name the public class."""
    # What callbacks leave on the estimator is theirs to clear: the state is restored behind them.
    checked = all_or_nothing(
        with_callbacks(_fit_context(prefer_skip_nested_validation=True)(method))
    )

    @functools.wraps(method)
    def fit(estimator, *args, **kwargs):
        missing = [
            repr(name) for k, name in enumerate("Xy") if len(args) <= k and name not in kwargs
        ]
        if missing:
            raise TypeError(
                f"{type(estimator).__name__}.fit() missing {len(missing)} required positional "
                f"argument{'s' * (len(missing) > 1)}: {' and '.join(missing)}"
            )
        # Numbers that are too small are zero, also where another package made NumPy raise for them.
        with np.errstate(under="ignore"):
            return checked(estimator, *args, **kwargs)

    return cast(Function, fit)


class BaseNetwork(DocumentationLink, VersionInFiles, CallbackSupportMixin, BaseEstimator):
    """The fit that all families share.

    A family has ``_check_parameters``, ``_solve(data, progress) -> Outcome``, and ``_goal``, the
    parameter that the solve was to reach, in words.
    :class:`~sklearn_convexnn._prediction.NetworkRegressor` and ``NetworkClassifier`` say how
    targets become columns and what the output activation is called.
    """

    # Whether sparse rows are taken, and whether the penalty acts in the units of the columns.
    _takes_sparse = False
    _compares_columns = False
    # Whether arrays of other libraries are taken, and given back.
    _takes_arrays = False
    # Whether rows of dask collections are trained on where they are.
    _takes_collections = False
    # Why alpha=0 is refused, in words; None where it is not.
    _without_penalty: str | None = (
        "wide enough networks interpolate, and the program singles none out"
    )
    _parameter_constraints: dict = {}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self._takes_sparse
        tags.array_api_support = self._takes_arrays
        return tags

    def _fit(self, X, y, sample_weight, **options):
        self._check_parameters()
        data = self._validated(X, y, sample_weight)
        progress = Progress(self, X, y)
        outcome = self._solve(data, progress, **options)
        outcome.solution.raise_without_round()
        self._store(self._placed(outcome.attributes, X))
        progress.close(outcome.solution)
        if outcome.solution.keyboard:
            raise RoundKept
        columns = unequal_columns(*data.looked_at()) if self._compares_columns else None
        self._report(outcome, columns)
        return self

    # ------------------------------------------------------------------ before the solve

    def _check_parameters(self):
        """What one constraint per parameter cannot say."""
        alpha = getattr(self, "alpha", "scale")
        if isinstance(alpha, str):
            return
        if isinstance(alpha, bool) or not np.isfinite(alpha):
            raise ValueError(f"alpha must be a finite number, got {alpha}.")
        if alpha == 0 and self._without_penalty is not None:
            raise ValueError(
                f"alpha=0 is refused: without a penalty {self._without_penalty}. Use a small "
                "fraction of alpha_max_."
            )

    def _validated(self, X, y, sample_weight):
        """The Data; names and number of features are remembered by scikit-learn."""
        if self._takes_collections and is_collection(X):
            data = self._spread(X, y, sample_weight)
            if not data.few:
                return data
            X, y, sample_weight = data.in_memory(stand_in(X))
        refuse_lazy(X=X, y=y, sample_weight=sample_weight)
        place = self._place(X=X, y=y, sample_weight=sample_weight)
        y, sample_weight = followed(y, sample_weight)
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=self._sparse_formats(),
            dtype=float_dtypes(place),
            **self._target_checks(),
        )
        X = check_X(X) if place is None else self._rows_at(X, place)
        y = self._check_targets(y)
        sample_weights = check_weights(sample_weight, y, X)
        return Data(X, y, self._class_weighted(y, sample_weights, X), sample_weights)

    def _place(self, X, **others):
        """The Place of rows of another library, None in NumPy; a TypeError where none are taken."""
        if self._takes_arrays:
            return place_of(X)
        refuse_other_libraries(X=X, **others)
        return None

    def _rows_at(self, X, place):
        """Checked rows of another library as the solver takes them."""
        return rows_at(X, place)

    def _spread(self, X, y, sample_weight):
        """The SpreadData of a collection."""
        validate_data(self, stand_in(X), skip_check_array=True)
        return SpreadData.of(X, y, sample_weight, classifies=is_classifier(self))

    def _sparse_formats(self):
        return "csr" if self._takes_sparse else False

    def _rng(self):
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        return np.random.default_rng(seed)

    # ------------------------------------------------------------------ after the solve

    def _end_of(self, solution, unit=1.0, offset=0.0):
        """How a solve ended, as attributes; objectives are times ``unit``, plus ``offset``."""
        certificate = solution.certificate
        history = {name: np.array(values) for name, values in solution.history.items()}
        for name in ("objective", "lower_bound"):
            history[name] = history[name] * unit + offset
        return {
            "objective_": float(certificate.primal * unit + offset),
            "dual_gap_": float(certificate.relative_gap),
            "dual_gap_abs_": float(certificate.gap * unit),
            "certificate_": certificate.kind,
            "status_": solution.status.name.lower(),
            "n_iter_": solution.n_iter,
            "history_": history,
        }

    def _common_attributes(self, problem, targets, solution, alpha_max, alpha=None):
        """Those of networks of one hidden layer, whatever their neurons."""
        if alpha is None:
            alpha = solution.alpha * problem.alpha_unit
        return {
            **targets.attributes,
            **({} if problem.spread is None else {"scale_": problem.spread}),
            **self._end_of(solution, problem.objective_unit, problem.objective_offset),
            "n_outputs_": problem.rows.n_outputs,
            "out_activation_": self._output_activation(targets),
            "n_neurons_": solution.network.n_neurons,
            # Given values are kept without the rounding of working units.
            "alpha_": float(alpha),
            "alpha_max_": float(alpha_max),
        }

    def _placed(self, attributes, X):
        """Arrays among the attributes, where ``X`` is; records of the fit are in NumPy."""
        place = place_of(X) if self._takes_arrays else None
        if place is None:
            return attributes
        return {name: put(value, place) for name, value in attributes.items()}

    def _store(self, attributes):
        """All fitted attributes at once; those of the fit before go, whatever they were."""
        validated = {"n_features_in_", "feature_names_in_"}
        for name in [name for name in vars(self) if name.endswith("_")]:
            if not name.startswith("_") and name not in validated:
                delattr(self, name)
        vars(self).update(attributes)

    def _report(self, outcome, columns):
        """The one place that warns of the way a fit ended, once; ``columns`` are unequal ones."""
        solution, remedy = outcome.solution, outcome.remedy
        reached = solution.reached
        at = f"a relative duality gap of {reached.relative_gap:.2e} ({reached.kind})"
        name = type(self).__name__
        rounds = "1 round" if solution.n_iter == 1 else f"{solution.n_iter} rounds"
        if not solution.status.as_asked:
            warn_user(
                f"{name} stopped after {rounds} at {at}; the goal was "
                f"{self._goal()}. {solution.status.value}{self._on_columns(columns)}"
            )
        elif columns is not None:
            warn_user(f"{name} ended at {at}, in the given units.{self._on_columns(columns)}")
        elif remedy is not None:
            warn_user(
                f"{name} made little progress at {at}: the descent is badly conditioned. {remedy}"
            )

    def _on_columns(self, columns):
        """What to say of unequal columns, if there are any."""
        if columns is None:
            return ""
        names = getattr(self, "feature_names_in_", None)
        large, small = (
            f"column {k}" if names is None else repr(str(names[k])) for k in columns[:2]
        )
        return (
            f" The columns of X are very unequal: {large} is {columns.ratio:.2g} times as large as "
            f"{small}. The penalty is in their units, so that small columns hardly count, and a "
            "small gap is no sign of a good network: put sklearn.preprocessing.StandardScaler in "
            "front of the estimator."
        )

    def _goal(self):
        return f"tol={self.tol:g}"

    # ------------------------------------------------------------------ the fitted network

    def _validate_rows(self, X):
        check_is_fitted(self)
        refuse_lazy(X=X)
        dtypes = float_dtypes(self._place(X=X))
        return validate_data(
            self, X, accept_sparse=self._sparse_formats(), dtype=dtypes, reset=False
        )

    def _check_place(self, X, method):
        """Raise for rows of another library than those of the fit, where several are taken."""
