"""The network behind a fitted estimator, and its restriction to a line or a plane."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted


class Layers(NamedTuple):
    """``z(x) = (x W + bias)_+ C + b0`` in double precision, one output per class."""

    W: np.ndarray  # (d, m)
    bias: np.ndarray  # (m,)
    C: np.ndarray  # (m, K)
    b0: np.ndarray  # (K,)

    def outputs(self, X):
        """Scores of rows, shape (n, K)."""
        return np.maximum(X @ self.W + self.bias, 0) @ self.C + self.b0

    def on_plane(self, origin, directions):
        """The network as a function of ``t`` at ``origin + t @ directions``."""
        return Layers(directions @ self.W, origin @ self.W + self.bias, self.C, self.b0)

    def without_idle_neurons(self):
        """Without the neurons whose output weights are all zero, and the numbers of the others."""
        kept = np.flatnonzero(np.any(self.C != 0, axis=1))
        return Layers(self.W[:, kept], self.bias[kept], self.C[kept], self.b0), kept


def two_layer_network(estimator):
    """``W, bias, C, b0`` of a fitted two-layer ReLU network, in double precision."""
    check_is_fitted(estimator)
    name = type(estimator).__name__
    if is_pipeline(estimator):
        raise ValueError(
            "Pass the network and the rows that it saw: pipeline[-1] and "
            "pipeline[:-1].transform(X)."
        )
    if not hasattr(estimator, "coefs_") or not hasattr(estimator, "intercepts_"):
        raise ValueError(
            f"{name} has no coefs_ and intercepts_: pass a two-layer ReLU network, such as "
            "ConvexReLUClassifier or scikit-learn's MLPClassifier with one hidden layer."
        )
    if len(estimator.coefs_) != 2:
        raise ValueError(
            f"{name} has {len(estimator.coefs_) - 1} hidden layers, but this needs one: "
            "pass a two-layer network (for a perceptron, hidden_layer_sizes of one number)."
        )
    if hasattr(estimator, "gates_"):
        raise ValueError(
            f"{name} is a gated network, which jumps at its gates: pass the ReLU network "
            "estimator.to_relu(X) of the training rows X."
        )
    if hasattr(estimator, "_hidden"):
        raise ValueError(
            f"The hidden neurons of {name} are {estimator._hidden}, no ReLUs: pass a two-layer "
            "ReLU network, such as ConvexReLUClassifier."
        )
    if np.any(getattr(estimator, "skip_coef_", 0)):
        raise ValueError(
            f"This {name} has a skip connection besides its neurons: pass one fitted with "
            "skip_connection=False."
        )
    if getattr(estimator, "whitening_", None) is not None:
        raise ValueError(
            f"The neurons of this {name} see whitened rows: pass one fitted with whiten=False to "
            "such rows."
        )
    if getattr(estimator, "activation", "relu") != "relu":
        raise ValueError(
            f"{name} has activation={estimator.activation!r}: its outputs are not piecewise "
            "linear. Set activation='relu'."
        )
    arrays = (*estimator.coefs_, *estimator.intercepts_)
    if hasattr(arrays[0], "__dlpack__") and not isinstance(arrays[0], np.ndarray):
        raise ValueError(
            f"{name} was fitted on arrays of {type(arrays[0]).__module__.partition('.')[0]}: pass "
            "sklearn.utils._array_api.move_estimator_to(estimator, numpy, 'cpu')."
        )
    W, C, bias, b0 = (np.asarray(part, dtype=np.float64) for part in arrays)
    if not all(np.isfinite(part).all() for part in (W, bias, C, b0)):
        raise ValueError(f"The weights of {name} are not finite.")
    return Layers(W, bias, C, b0)


def classifier_scores(estimator):
    """Scores of the classes as a network, and the class labels.

    ``predict`` is the class of the largest score, the first of several.  For two classes the scores
    are 0 and the log-odds.  A pipeline of feature-wise scalers and a network is one network.
    """
    network, scale, shift = _without_scalers(estimator)
    layers = two_layer_network(network)
    name = type(network).__name__
    if not hasattr(network, "classes_"):
        raise ValueError(f"{name} is not a classifier: decision regions need classes.")
    n_classes, n_outputs = len(network.classes_), len(layers.b0)
    several_labels = n_outputs > 1 and getattr(network, "out_activation_", "") == "logistic"
    if several_labels or n_outputs != (1 if n_classes == 2 else n_classes):
        raise ValueError(
            f"{name} with {n_outputs} outputs for {n_classes} classes predicts several labels per "
            "row; decision regions need one class per row."
        )
    if n_outputs == 1:
        C, b0 = np.pad(layers.C, ((0, 0), (1, 0))), np.pad(layers.b0, (1, 0))
        layers = Layers(layers.W, layers.bias, C, b0)
    n_features = len(layers.W)
    scale, shift = np.broadcast_to(scale, n_features), np.broadcast_to(shift, n_features)
    bias = layers.bias + shift @ layers.W
    return Layers(scale[:, None] * layers.W, bias, layers.C, layers.b0), network.classes_


def _without_scalers(estimator):
    """The last step of a pipeline and the map ``x * scale + shift`` of the steps before."""
    check_is_fitted(estimator)
    if not is_pipeline(estimator):
        return estimator, 1.0, 0.0
    *steps, (_, network) = estimator.steps
    scale, shift = 1.0, 0.0
    for name, step in steps:
        if step is not None and step != "passthrough":
            one, other = _affine_map(name, step)
            scale, shift = scale * one, shift * one + other
    return network, scale, shift


def last_step(estimator):
    """The last step of a pipeline, or the estimator itself."""
    return estimator[-1] if is_pipeline(estimator) else estimator


def is_pipeline(estimator):
    """Whether it is scikit-learn's pipeline."""
    from sklearn.pipeline import Pipeline  # loaded already wherever there is one

    return isinstance(estimator, Pipeline)


def _affine_map(name, scaler):
    """``scale, shift`` of a fitted scaler; scalars where it has no such step."""
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

    if type(scaler) is StandardScaler:
        centre, length = scaler.mean_ if scaler.with_mean else 0.0, scaler.scale_
        return _centred(centre, 1.0 if length is None else length)
    if type(scaler) is RobustScaler:
        centre, length = scaler.center_, scaler.scale_
        return _centred(0.0 if centre is None else centre, 1.0 if length is None else length)
    if type(scaler) is MaxAbsScaler and not getattr(scaler, "clip", False):
        return _centred(0.0, scaler.scale_)
    if type(scaler) is MinMaxScaler and not scaler.clip:
        return np.float64(scaler.scale_), np.float64(scaler.min_)
    raise ValueError(
        f"Step {name!r} of the pipeline is not one of StandardScaler, MinMaxScaler, MaxAbsScaler "
        "and RobustScaler (without clip). Draw the last step in the space that it sees: "
        "pass pipeline[-1] and pipeline[:-1].transform(X)."
    )


def _centred(centre, length):
    centre, length = np.float64(centre), np.float64(length)
    return 1.0 / length, -centre / length


# -------------------------------------------------------------------------------- features and rows


def feature_names(estimator, n_features, X=None):
    """Names seen in fit, or those of a data frame, or ``x0, x1, ...`` as in scikit-learn."""
    steps = [step for _, step in estimator.steps] if is_pipeline(estimator) else [estimator]
    # The first step may be "passthrough", without names of its own.
    named = [step.feature_names_in_ for step in steps if hasattr(step, "feature_names_in_")]
    if named:
        return list(named[0])
    columns = [name for name in getattr(X, "columns", []) if isinstance(name, str)]
    return columns if len(columns) == n_features else [f"x{i}" for i in range(n_features)]


def feature_index(feature, names):
    """The number of a feature given by its number or name."""
    if isinstance(feature, str):
        if feature not in names:
            raise ValueError(f"There is no feature {feature!r}; there are {names}.")
        return names.index(feature)
    if feature != int(feature) or not 0 <= feature < len(names):
        raise ValueError(f"Features are numbered from 0 to {len(names) - 1}, got {feature}.")
    return int(feature)


def dense_rows(X, n_features):
    """Rows as a finite float64 array with the right number of columns."""
    X = X.toarray() if sparse.issparse(X) else X
    X = np.asarray(X, dtype=np.float64)
    if X.ndim != 2 or X.shape[1] != n_features or not len(X):
        raise ValueError(
            f"X has shape {X.shape}; the estimator was fitted to {n_features} features."
        )
    if not np.isfinite(X).all():
        raise ValueError("X contains NaN or infinity.")
    return X
