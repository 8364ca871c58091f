"""Arrays of other libraries, with scikit-learn's ``array_api_dispatch``: in, and out again.

Everything follows ``X``: fitted arrays and predictions are of its library and on its device.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax

from sklearn_convexnn._validation import (
    check_same_namespace,
    config_context,
    get_config,
    get_namespace_and_device,
    in_numpy,
    is_numpy_namespace,
    move_to,
    supported_float_dtypes,
)
from sklearn_convexnn.core.pricing.screened import LEAST_ROWS
from sklearn_convexnn.core.problem.engines.array_api import Place, PlacedRows

_DTYPES = [np.float64, np.float32]


def place_of(X):
    """The Place of an array of another library than NumPy, None for all else."""
    if not get_config()["array_api_dispatch"] or isinstance(X, np.ndarray):
        return None
    xp, is_array, device = get_namespace_and_device(X)
    if not is_array or is_numpy_namespace(xp):
        return None
    return Place(xp, device, in_numpy)


def followed(*arrays):
    """Targets and weights in NumPy, whichever library they are of, where dispatch is on."""
    if not get_config()["array_api_dispatch"]:
        return arrays
    return tuple(in_numpy(array) for array in arrays)


def put(value, place):
    """Numbers of an attribute, an array or a list of arrays, where ``place`` is."""
    if isinstance(value, list):
        return [put(part, place) for part in value]
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        return value
    return move_to(np.array(value), xp=place.xp, device=place.device)


def put_beside(array, other):
    """An array of NumPy in the library and on the device of another."""
    if isinstance(other, np.ndarray):
        return array
    with config_context(array_api_dispatch=True):
        return put(array, place_of(other))


def float_dtypes(place):
    """The dtypes that rows there may have: others become the first of them."""
    if place is None:
        return _DTYPES
    known = supported_float_dtypes(place.xp, device=place.device)
    return [dtype for dtype in known if dtype in (place.xp.float64, place.xp.float32)]


def rows_at(X, place):
    """Checked rows as solvers take them: where they are, or in NumPy.

    Those of a processor are read where they are by NumPy, in blocks that fit into its cache: a fit
    takes half the time of one with the other library's functions.  Below ``LEAST_ROWS`` solvers
    want rows at hand, and a pass waits for a device rather than works on it.  Sums need double
    precision, which not all devices have.
    """
    few, double = X.shape[0] < LEAST_ROWS, place.xp.float64 in float_dtypes(place)
    if place.on_cpu or few or not double:
        return np.ascontiguousarray(in_numpy(X))
    return PlacedRows(X, place)


def check_place(X, estimator, *, attribute, method):
    """Raise unless rows for a method are of the library, and on the device, of the fit."""
    weights = getattr(estimator, attribute)
    if get_config()["array_api_dispatch"]:
        check_same_namespace(X, estimator, attribute=attribute, method=method)
    elif not isinstance(weights, np.ndarray):
        library = type(weights).__module__.partition(".")[0]
        raise ValueError(
            f"{type(estimator).__name__} was fitted on arrays of {library}: call {method} within "
            "sklearn.config_context(array_api_dispatch=True), or move the estimator to NumPy by "
            "sklearn.utils._array_api.move_estimator_to(estimator, numpy, 'cpu')."
        )


# --------------------------------------------------------------------------------- of predictions


def namespace_of(Z):
    """NumPy, also for sparse rows, or the namespace of an array that another library made."""
    place = place_of(Z)
    return np if place is None else place.xp


def labels_of(scores, classes):
    """The class of the largest score, or for one score of two classes by its sign."""
    xp = namespace_of(scores)
    if xp is np:
        return classes[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]
    one = scores.ndim == 1
    index = xp.astype(scores > 0, xp.int64) if one else xp.argmax(scores, axis=1)
    if isinstance(classes, np.ndarray):  # names, which only NumPy has
        return classes[in_numpy(index)]
    return xp.take(classes, index, axis=0)


def probabilities(scores):
    """Of the classes, (n, n_classes), from log-odds or logits."""
    xp = namespace_of(scores)
    if xp is np:
        if scores.ndim == 1:
            return np.column_stack([expit(-scores), expit(scores)])
        return softmax(scores, axis=1)
    return xp.exp(log_probabilities(scores))


def log_probabilities(scores):
    """Logarithms of the same, accurate where they are tiny."""
    xp = namespace_of(scores)
    if xp is np:
        if scores.ndim == 1:
            return np.column_stack([log_expit(-scores), log_expit(scores)])
        return log_softmax(scores, axis=1)
    if scores.ndim == 1:
        rest = xp.log1p(xp.exp(-xp.abs(scores)))
        zero = xp.zeros_like(scores)
        return xp.stack([xp.minimum(-scores, zero) - rest, xp.minimum(scores, zero) - rest], axis=1)
    scores = scores - xp.max(scores, axis=1, keepdims=True)
    return scores - xp.log(xp.sum(xp.exp(scores), axis=1, keepdims=True))
