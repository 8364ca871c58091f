"""The operators of ONNX that a network is made of, whatever writes them down.

A *writer* has ``node(operator, *inputs, **attributes)`` and ``constant(array)``, which return
names, and the ``dtype`` of rows and outputs.
"""

from __future__ import annotations

import numpy as np

FLOAT, INT64, DOUBLE = 1, 7, 11  # of onnx.TensorProto


def scores(writer, x, network):
    """Outputs of the last layer, (n, K)."""
    last, layers = len(network.weights) - 1, network.layers
    if network.convolution is not None:
        x, layers = _pooled(writer, x, network.convolution, *layers[0]), layers[1:]
        last -= 1
    for k, (W, b) in enumerate(layers):
        H = writer.node("Gemm", x, *(_weights(writer, part) for part in (W, b)))
        if k < last and network.gates is not None:
            H = _gated(writer, x, H, network.gates)
        elif k < last and network.activation == "relu":
            H = writer.node("Relu", H)
        elif k < last and network.activation == "threshold":
            H = writer.node("Cast", writer.node("Greater", H, _zero(writer)), to=_code(writer))
        x = H
    return x


def _gated(writer, x, H, gates):
    """As the estimator does it, in double precision: a gate that rounding opens moves outputs."""
    directions, constant = (writer.constant(part) for part in gates)
    values = writer.node("Gemm", writer.node("Cast", x, to=DOUBLE), directions, constant)
    is_open = writer.node("Greater", values, writer.constant(np.zeros(1)))
    return writer.node("Where", is_open, H, _zero(writer))


def _pooled(writer, x, convolution, filters, bias):
    """Activations of filters in cells, (n, m * n_cells).

    Patches are gathered and multiplied: runtimes have the operator Conv in single precision only,
    and none for cells of different sizes.
    """
    index = convolution.places
    if index.max() == convolution.windows.n_features:  # beyond the border
        x = writer.node("Pad", x, writer.constant(np.array([0, 0, 0, 1])))
    H = writer.node("Gather", x, writer.constant(index.astype(np.int64)), axis=1)
    H = writer.node("MatMul", H, _weights(writer, filters))
    H = writer.node("Relu", writer.node("Add", H, _weights(writer, bias)))
    H = writer.node("Transpose", H, perm=[0, 2, 1])
    if convolution.pooling == "average":
        H = writer.node("MatMul", H, _weights(writer, convolution.pool))
    else:
        cells = convolution.windows.positions
        parts = [writer.node("Gather", H, writer.constant(cell), axis=2) for cell in cells]
        largest = [  # ReduceMax has its axes elsewhere from version 18 on
            writer.node("MaxPool", part, kernel_shape=[len(cell)])
            for part, cell in zip(parts, cells, strict=True)
        ]
        H = writer.node("Concat", *largest, axis=2)
    return writer.node("Flatten", H, axis=1)


def probabilities(writer, z, link):
    """Probabilities of the classes, (n, n_classes), from outputs of the last layer."""
    if link == "logistic":
        both = (writer.node("Sigmoid", one) for one in (writer.node("Neg", z), z))
        return writer.node("Concat", *both, axis=1)
    if link == "one_vs_rest":
        z = _log_sigmoid(writer, z)  # their exponentials are scaled to sum 1
    return writer.node("Softmax", z, axis=1)


def _log_sigmoid(writer, z):
    """``-max(0, -z) - log(1 + exp(-|z|))``: Softplus is not to be had in double precision."""
    small = writer.node("Exp", writer.node("Neg", writer.node("Abs", z)))
    log = writer.node("Log", writer.node("Add", small, writer.constant(np.ones(1, writer.dtype))))
    return writer.node("Neg", writer.node("Add", log, writer.node("Relu", writer.node("Neg", z))))


def labels(writer, z, classes):
    """The predicted elements of ``classes``, (n,), from outputs of the last layer (n, 1 or K)."""
    if len(classes) == 2:
        positive = writer.node("Cast", writer.node("Greater", z, _zero(writer)), to=INT64)
        index = without_column(writer, positive)
    else:
        index = writer.node("ArgMax", z, axis=1, keepdims=0)
    return writer.node("Gather", writer.constant(classes), index, axis=0)


def without_column(writer, z):
    """(n, 1) as (n,)."""
    return writer.node("Squeeze", z, writer.constant(np.array([1])))


def predictions(writer, z, network):
    """What a regressor predicts, (n, K), from outputs of the last layer."""
    return writer.node("Exp", z) if network.link == "exp" else z


def with_steps(writer, x, steps):
    """The columns, then their steps: see :mod:`sklearn_convexnn.core.problem.steps`."""
    if not any(len(one.thresholds) for one in steps):
        return writer.node("Identity", x)
    index = np.repeat(np.arange(len(steps)), [len(one.thresholds) for one in steps])
    thresholds, shares, heights = (np.concatenate(parts) for parts in zip(*steps, strict=True))
    columns = writer.node("Gather", x, writer.constant(index.astype(np.int64)), axis=1)
    # Thresholds have a precision of their own, in which rows are compared.
    above = writer.node(
        "Greater", writer.node("Cast", columns, to=DOUBLE), writer.constant(thresholds)
    )
    levels = (writer.constant((heights * (on - shares)).astype(writer.dtype)) for on in (1.0, 0.0))
    return writer.node("Concat", x, writer.node("Where", above, *levels), axis=1)


def compressed(writer, x, start):
    """Columns with short tails: see :mod:`sklearn_convexnn.core.problem.tails`."""
    bound = writer.constant(np.array([start], writer.dtype))
    size = writer.node("Abs", x)
    beyond = writer.node("Relu", writer.node("Sub", size, bound))
    log = writer.node("Log", writer.node("Add", beyond, writer.constant(np.ones(1, writer.dtype))))
    within = writer.node("Min", size, bound)
    return writer.node("Mul", writer.node("Sign", x), writer.node("Add", within, log))


def _code(writer):
    return DOUBLE if writer.dtype == np.float64 else FLOAT


def _zero(writer):
    return writer.constant(np.zeros(1, writer.dtype))


def _weights(writer, array):
    with np.errstate(over="ignore"):
        cast = array.astype(writer.dtype)
    if not np.isfinite(cast).all():
        raise ValueError("The weights are too large for float32: export the network in float64.")
    return writer.constant(cast)
