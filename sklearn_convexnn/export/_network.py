"""The forward pass of every family, in one form: affine layers, an activation, a link."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.linalg import block_diag
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklearn_convexnn._base_circular import BaseCircularReLU
from sklearn_convexnn._base_convolution import BaseConvolution
from sklearn_convexnn._base_linear_cnn import BaseLinearCNN
from sklearn_convexnn._base_parallel import BaseParallelReLU
from sklearn_convexnn._base_threshold import BaseThreshold
from sklearn_convexnn._circular import CircularLinearRegressor
from sklearn_convexnn._deep_linear import BaseDeepLinear
from sklearn_convexnn._deep_relu import BaseDeepReLU
from sklearn_convexnn._spline import SplineReLUClassifier, SplineReLURegressor
from sklearn_convexnn._two_layer import BaseTwoLayer
from sklearn_convexnn.core.problem.patches import Convolution


class Network(NamedTuple):
    """``x -> link(... activation(x W_1 + b_1) W_2 + b_2 ...)``.

    Every hidden layer has a neuron: those of others may not be empty.
    """

    weights: list  # of (p_l, p_{l+1})
    biases: list  # of (p_{l+1},)
    activation: str  # of the hidden layers: "relu", "threshold" or "identity"
    # What becomes of the outputs of the last layer: "identity" or "exp" for regression; "logistic",
    # "softmax" and "one_vs_rest" are probabilities, "scores" of classes are without.
    link: str
    classes: np.ndarray | None
    one_dimensional: bool  # are predictions of shape (n,)?
    gates: tuple | None = None  # directions (d, m) and constants (m,), in double precision
    # Of patches instead of rows: the first weights are filters, the second have a row for every
    # filter and cell.
    convolution: Convolution | None = None

    @property
    def widths(self):
        """Numbers of neurons of the hidden layers."""
        return tuple(W.shape[1] for W in self.weights[:-1])

    @property
    def layers(self):
        """Pairs of weights and biases."""
        return list(zip(self.weights, self.biases, strict=True))


def network_of(model):
    """The Network of a fitted estimator, in new arrays of the precision of the fit.

    Outputs that are to become probabilities are divided by ``temperature_``.
    """
    family = _family(model)
    check_is_fitted(model)
    weights, biases = family(model)
    link = _link(model, weights[-1].shape[1])
    if link in ("logistic", "softmax"):
        temperature = getattr(model, "temperature_", 1.0)
        weights[-1], biases[-1] = weights[-1] / temperature, biases[-1] / temperature
    dtype = getattr(model, "coefs_", weights)[0].dtype
    convolution = model._convolution if isinstance(model, BaseConvolution) else None
    _fill_empty_layers(weights, biases, convolution.n_cells if convolution else 1)
    return Network(
        [np.array(W, dtype=dtype) for W in weights],
        [np.array(b, dtype=dtype) for b in biases],
        activation=_activation(model),
        link=link,
        classes=getattr(model, "classes_", None),
        one_dimensional=getattr(model, "_target_ndim", 1) == 1,
        gates=_gates(model) if hasattr(model, "gates_") else None,
        convolution=convolution,
    )


def _activation(model):
    if isinstance(model, BaseThreshold):
        return "threshold"
    return "identity" if isinstance(model, BaseDeepLinear) else "relu"


def _family(model):
    """The function that knows the layers of this kind of estimator."""
    for classes, layers in _FAMILIES:
        if isinstance(model, classes):
            return layers
    name = type(model).__name__
    if isinstance(model, Pipeline):
        raise TypeError(
            "Export the last step, pipeline[-1], which sees pipeline[:-1].transform(X); or the "
            "whole pipeline as one graph by skl2onnx, after register_skl2onnx()."
        )
    if hasattr(model, "steps_"):
        raise TypeError(
            f"The steps of {name} are no layer of a network: export model.estimator_, which sees "
            "model.steps_.transform(X); or all of it by to_onnx."
        )
    raise TypeError(f"{name} is not an estimator of sklearn_convexnn that has a network.")


def _link(model, n_outputs):
    if not hasattr(model, "classes_"):
        return model.out_activation_
    if not hasattr(model, "predict_proba"):
        return "scores"
    if n_outputs == 1:
        return "logistic"
    return "one_vs_rest" if isinstance(model, SplineReLUClassifier) else "softmax"


def _fill_empty_layers(weights, biases, n_cells):
    """A neuron of zeros in every empty layer: the same constant."""
    for k in range(len(weights) - 1):
        if weights[k].shape[1] == 0:
            weights[k] = np.zeros((weights[k].shape[0], 1))
            biases[k] = np.zeros(1)
            weights[k + 1] = np.zeros((n_cells, weights[k + 1].shape[1]))


def _gates(model):
    gates, d = model.gates_.astype(np.float64), model.n_features_in_
    if gates.shape[1] == 0:
        gates = np.zeros((d, 1))
    return gates[:d], gates[d] if len(gates) > d else np.zeros(gates.shape[1])


# ---------------------------------------------------------------------------- layers of a family


def _as_stored(model):
    return list(model.coefs_), list(model.intercepts_)


def _of_effective(model):
    """Two layers through as many neurons as outputs: those of the filters are many times more."""
    coef, intercept = model.effective_coef_, model.intercept_
    return [coef, np.eye(len(intercept), dtype=coef.dtype)], [np.zeros_like(intercept), intercept]


def _of_spline(model):
    """The skip connection becomes two neurons: ``t = max(0, t) - max(0, -t)`` in every layer."""
    weights, biases = _as_stored(model)
    weights = [W.toarray() if sparse.issparse(W) else W for W in weights]
    if not np.any(model.skip_coef_):
        return weights, biases
    direction = model.direction_.astype(np.float64)
    slopes = direction @ model.skip_coef_ / (direction @ direction)
    weights[0] = np.column_stack([weights[0], direction, -direction])
    for k in range(1, len(weights) - 1):
        weights[k] = block_diag(weights[k], np.eye(2))
    weights[-1] = np.vstack([weights[-1], slopes, -slopes])
    biases[:-1] = [np.append(b, [0.0, 0.0]) for b in biases[:-1]]
    return weights, biases


def _of_convolution(model):
    """A row of output weights for every filter and cell."""
    (filters, last), biases = model._layers()
    return [filters, last.reshape(-1, len(biases[1]))], biases


def _of_deep_relu(model):
    """Whitening joins the first layer, batch normalisation the last hidden one."""
    weights, biases = ([part.astype(np.float64) for part in parts] for parts in _as_stored(model))
    if model.whitening_ is not None:
        weights[0] = model.whitening_.astype(np.float64) @ weights[0]
    if model.batch_norm_ is not None:
        norm = {name: part.astype(np.float64) for name, part in model.batch_norm_.items()}
        slope = norm["gamma"] / norm["std"]
        weights[-2] = weights[-2] * slope
        biases[-2] = (biases[-2] - norm["mean"]) * slope + norm["shift"]
    if hasattr(model, "classes_") and weights[-1].shape[1] == 2:
        # Of two classes decision_function is the difference.
        weights[-1] = np.diff(weights[-1], axis=1)
        biases[-1] = np.diff(biases[-1])
    return weights, biases


_FAMILIES = (
    (BaseTwoLayer, _as_stored),
    ((BaseParallelReLU, BaseCircularReLU), _as_stored),
    (BaseThreshold, _as_stored),
    (BaseConvolution, _of_convolution),
    ((CircularLinearRegressor, BaseLinearCNN), _of_effective),
    (BaseDeepLinear, _as_stored),
    ((SplineReLURegressor, SplineReLUClassifier), _of_spline),
    (BaseDeepReLU, _of_deep_relu),
)


def refuse_jumps(model, network):
    """Raise where the network jumps: those of other packages do not."""
    if network.activation == "threshold":
        raise TypeError(
            f"The hidden neurons of {type(model).__name__} are 0 or 1, which is no activation of "
            "the layers of other packages: export the network by to_onnx."
        )
    if network.gates is not None:
        raise ValueError(
            f"{type(model).__name__} jumps at its gates, which are no activation of the layers: "
            "export model.to_relu(X), which has the same outputs on the training rows X, or the "
            "gates and all by to_onnx."
        )
