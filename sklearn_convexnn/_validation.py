"""Checks of data and parameters that all estimators share.

The only file that uses scikit-learn's private helpers; other modules import those from here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from numbers import Integral
from typing import Any, TypeVar, cast

import numpy as np
from sklearn import config_context, get_config
from sklearn.base import _fit_context
from sklearn.utils._array_api import (
    _is_numpy_namespace,
    check_same_namespace,
    get_namespace_and_device,
    move_to,
    supported_float_dtypes,
)
from sklearn.utils._metadata_requests import _raise_for_params, _routing_enabled
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import (
    _check_feature_names_in,
    _check_method_params,
    _check_sample_weight,
    check_array,
    column_or_1d,
)

from sklearn_convexnn.core.problem.alphas import alpha_grid
from sklearn_convexnn.core.problem.engines import threads
from sklearn_convexnn.core.problem.engines.row_arrays import ROWS, blocks_of, is_large, row_by_row

Function = TypeVar("Function", bound=Callable[..., Any])


def one_blas_thread(function: Function) -> Function:
    """The function on one thread of the BLAS, with its signature.

    The solver works on blocks of rows that fit into the cache of one core: a second thread has
    nothing to gain there, and waiting for each other made fits three to ten times slower.
    """

    @functools.wraps(function)
    def on_one_thread(*args, **kwargs):
        with threads.one_blas_thread():
            return function(*args, **kwargs)

    return cast(Function, on_one_thread)


class RoundKept(KeyboardInterrupt):
    """Raised by a fit that Ctrl-C ended, after it has set the attributes of its last round."""


def all_or_nothing(fit):
    """A ``fit`` that fails leaves the estimator as it was, fitted before or not.

    Attributes are replaced by a fit, never changed in place.
    """

    @functools.wraps(fit)
    def whole_fit(self, *args, **kwargs):
        before = dict(vars(self))
        try:
            return fit(self, *args, **kwargs)
        except RoundKept:
            raise KeyboardInterrupt from None
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return whole_fit


__all__ = [
    "Function",
    "HasMethods",
    "Interval",
    "RoundKept",
    "StrOptions",
    "_check_feature_names_in",
    "_check_method_params",
    "_fit_context",
    "_raise_for_params",
    "_routing_enabled",
    "all_or_nothing",
    "check_X",
    "check_grid",
    "check_labels",
    "check_patterns",
    "check_relax",
    "check_same_namespace",
    "check_warm_start",
    "check_weights",
    "class_weights",
    "config_context",
    "encode_classes",
    "get_config",
    "get_namespace_and_device",
    "has_callbacks",
    "in_numpy",
    "is_numpy_namespace",
    "move_to",
    "one_blas_thread",
    "refuse_lazy",
    "refuse_other_libraries",
    "repeated",
    "supported_float_dtypes",
    "weighted_by_class",
]

is_numpy_namespace = _is_numpy_namespace


def in_numpy(array):
    """An array of any library, or a list of them, in NumPy; whatever is no array as it is."""
    if isinstance(array, list) and array and all(hasattr(part, "dtype") for part in array):
        return [in_numpy(part) for part in array]
    if isinstance(array, np.ndarray) or not _is_array(array):
        return array
    with config_context(array_api_dispatch=True):
        return move_to(array, xp=np, device="cpu")


def _is_array(value):
    """Is it an array, and not a table, a list or a sparse matrix?"""
    return hasattr(value, "__array_namespace__") or hasattr(value, "__dlpack__")


def has_callbacks(estimator):
    """Whether scikit-learn's callbacks were set; it keeps them in a private attribute."""
    return bool(getattr(estimator, "_skl_callbacks", None))


def check_X(X):
    """CSR without repeated entries, or the array itself."""
    if hasattr(X, "has_canonical_format") and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


# Methods by which lazy collections of Spark, Ray and Polars become arrays, and which arrays lack.
_GATHERS = ("toPandas", "to_pandas", "collect")


def refuse_lazy(**arrays):
    """Raise where the rows of one of the named arrays are somewhere else, rather than gather them.

    A fit reads its rows dozens of times, and NumPy would fetch all of them without a word.
    """
    for name, array in arrays.items():
        if hasattr(array, "__next__"):
            raise TypeError(
                f"{name} is an iterator, which can be read once, but a fit reads the rows many "
                "times: write them to a file and pass a numpy.memmap of it."
            )
        graph = getattr(array, "__dask_graph__", None)
        if graph is not None and graph() is not None:
            way = "compute()"
        elif not hasattr(array, "__array__") and not isinstance(array, type):
            ways = [way for way in _GATHERS if callable(getattr(array, way, None))]
            if not ways:
                continue
            way = f"{ways[0]}()"
        else:
            continue
        kind = f"{type(array).__module__.partition('.')[0]} {type(array).__name__}"
        raise TypeError(
            f"{name} is a lazy {kind}, and this estimator reads rows in memory or on disk: pass "
            f"what {name}.{way} returns if that fits into memory, write the rows to a file and "
            "pass a numpy.memmap of it, or give all of them to ConvexReLURegressor, "
            "ConvexReLUClassifier or their CV twins as a dask array or data frame."
        )


def refuse_other_libraries(**arrays):
    """Raise for arrays that scikit-learn would hand on as they are: computation is in NumPy."""
    if not get_config()["array_api_dispatch"]:
        return
    for name, array in arrays.items():
        library = type(array).__module__.partition(".")[0]
        if isinstance(array, np.ndarray) or library == "numpy":
            continue
        if hasattr(array, "__array_namespace__") or library == "torch":
            raise TypeError(
                f"{name} is an array of {library} and array_api_dispatch is on, but this computes "
                "in NumPy: move it to the CPU and pass numpy.asarray of it."
            )


def check_warm_start(estimator, classes, **problem):
    """Raise unless this fit has the classes and what else the previous one had.

    ``problem`` has pairs, before and now.
    """
    if classes is not None:
        problem["classes"] = (in_numpy(estimator.classes_).tolist(), classes.tolist())
    changed = [
        f"{name}: {before}, now {now}" for name, (before, now) in problem.items() if before != now
    ]
    if changed:
        raise ValueError(
            f"warm_start=True needs the {', '.join(problem)} of the previous fit "
            f"({'; '.join(changed)}): clone the estimator to start anew."
        )


def check_weights(sample_weight, X, rows=None):
    """Weights in float64, or ones; a clear error for anything that is not a weight.

    The ones take no memory beside ``rows`` in a large file.
    """
    if sample_weight is None and is_large(rows):
        return np.broadcast_to(1.0, len(rows))
    return _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True, ensure_same_device=False
    )


def weighted_by_class(class_weight, y, weights, rows=None):
    """Weights times those of the classes; beside ``rows`` in a large file from sums over blocks."""
    if class_weight is None:
        return weights
    if not is_large(rows):
        return weights * class_weights(class_weight, y, weights)
    labels, total = labels_of_weight(y), 0.0
    for block in blocks_of(len(y)):
        index = np.searchsorted(labels, y[block])
        total = total + np.bincount(index, weights=weights[block], minlength=len(labels))
    factors = class_weights(class_weight, labels, total)
    return row_by_row(rows, lambda y, w: w * factors[np.searchsorted(labels, y)], y, weights)


def class_weights(class_weight, y, weights):
    """The class weight of every sample; "balanced" counts samples with their weights."""
    if class_weight is None:
        return np.ones(len(y))
    classes, index = np.unique(y, return_inverse=True)
    if isinstance(class_weight, dict):
        unknown = [label for label in class_weight if label not in set(classes.tolist())]
        if unknown:
            raise ValueError(f"class_weight has classes that are not in y: {unknown}.")
    of_class = compute_class_weight(class_weight, classes=classes, y=y, sample_weight=weights)
    if not np.all(np.isfinite(of_class) & (of_class >= 0)):
        raise ValueError("class_weight must be finite and non-negative.")
    return of_class[index]


def check_labels(name, y):
    """One label per row; ``name`` is the estimator's, for messages."""
    several = y
    if np.ndim(y) == 1 and len(y) > ROWS:  # sorts copies of all of them
        labels = labels_of_weight(y)
        several = y if 3 * len(labels) > len(y) else repeated(labels)
    kind = type_of_target(several, input_name="y")
    if kind in ("multilabel-indicator", "multiclass-multioutput"):
        raise ValueError(
            f"Unknown label type: {kind}. {name} predicts one class per row: for several labels "
            "per row use sklearn.multioutput.MultiOutputClassifier."
        )
    check_classification_targets(several)
    return column_or_1d(y, warn=True)


def repeated(labels):
    """Labels, several times each: where all differ scikit-learn takes them for real targets."""
    return np.concatenate([labels] * 3)


def labels_of_weight(y, weights=None):
    """The labels with positive weight, ascending, from those of some rows after the other."""
    parts = []
    for block in blocks_of(len(y)):
        part = y[block] if weights is None else y[block][weights[block] > 0]
        parts.append(np.unique(part))
    return parts[0] if len(parts) == 1 else np.unique(np.concatenate(parts))


def encode_classes(name, y, weights, rows=None):
    """Indicator columns of the classes with positive weight, and these classes.

    Two classes make one column, that of the second. ``name`` is the estimator's, for messages;
    columns beside ``rows`` in a large file are in a file as well.
    """
    classes = labels_of_weight(y, weights)
    if len(classes) < 2:
        raise ValueError(
            f"{name} needs at least two classes with positive weight, but there "
            + (f"is only one class: {classes[0]}." if len(classes) else "is none.")
        )
    columns = classes[1:] if len(classes) == 2 else classes

    def indicators(y):
        return (y[:, None] == columns[None, :]).astype(np.float64)

    return row_by_row(rows, indicators, y, shape=(len(y), len(columns))), classes


def check_patterns(patterns):
    """A number of patterns, "exact", None, or an array with one gate in each column."""
    if patterns is None or isinstance(patterns, (str, Integral)):
        return patterns
    gates = check_array(
        patterns,
        dtype=np.float64,
        ensure_2d=False,
        allow_nd=True,
        ensure_min_samples=0,
        ensure_min_features=0,
        input_name="patterns",
    )
    if gates.ndim != 2 or gates.size == 0:
        raise ValueError(
            "patterns must be a number, 'exact', or an array with one gate in each column; this "
            f"one has shape {gates.shape}."
        )
    return gates


def _check_alphas(alphas):
    """Distinct positive finite numbers, descending."""
    alphas = check_array(
        alphas, ensure_2d=False, ensure_min_samples=0, dtype=np.float64, input_name="alphas"
    )
    if alphas.ndim != 1 or not len(alphas) or np.any(alphas <= 0):
        raise ValueError("alphas must be positive numbers in one dimension, or how many to use.")
    return np.unique(alphas)[::-1]


def check_relax(relax):
    """Distinct numbers in (0, 1], descending, from one or several."""
    values = np.unique(np.asarray(relax, dtype=np.float64))[::-1]
    if np.ndim(relax) > 1 or not len(values) or not np.all((values > 0) & (values <= 1)):
        raise ValueError(f"relax must be a number above 0 and up to 1, or several; got {relax!r}.")
    return tuple(values.tolist())


def check_grid(alphas, eps, alpha_max):
    """Descending alphas from their number or their values."""
    if isinstance(alphas, Integral) and not isinstance(alphas, bool):
        if alphas < 1 or not 0 < eps < 1:
            raise ValueError(
                f"A path needs alphas >= 1 and 0 < eps < 1, got alphas={alphas} and eps={eps}."
            )
        # With constant targets every alpha gives the same constant network.
        return alpha_grid(alpha_max or 1.0, alphas, eps)
    return _check_alphas(alphas)
