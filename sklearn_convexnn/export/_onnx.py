"""Fitted networks as graphs of ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

import sklearn_convexnn
from sklearn_convexnn._optional import optional
from sklearn_convexnn._steps_cv import StepsCV
from sklearn_convexnn.export import _graph
from sklearn_convexnn.export._network import network_of

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

# The first version with every operator that is used here: runtimes of 2020 read it.
_OPSET = 13


def to_onnx(model: Any, *, dtype: DTypeLike = np.float32) -> Any:
    """Make the network a graph for ONNX Runtime and other runtimes without Python.

    Parameters
    ----------
    model : estimator
        A fitted network of any family, or a :class:`~sklearn_convexnn.StepsCV` around one. For
        pipelines see :func:`register_skl2onnx`. Convolutions take flat rows.
    dtype : {numpy.float32, numpy.float64}, default=numpy.float32
        Type of rows, weights and outputs. Gates and thresholds of steps, where outputs jump, are
        compared in double precision in any case.

    Returns
    -------
    onnx.ModelProto
        A graph with the input "X" of shape (n_samples, n_features) and the outputs of the
        estimator's methods, in their shapes: "prediction" of a regressor; "label", in the type of
        ``classes_``, and "probabilities" of a classifier, with ``temperature_`` taken in, or
        "scores", as of ``decision_function``, where the loss has no probabilities.
        ``SerializeToString()`` makes a file of it.

    Raises
    ------
    ImportError
        Without ONNX: ``pip install "sklearn_convexnn[onnx]"``.
    ValueError
        For weights that are too large for float32, and class labels that are neither numbers nor
        strings.

    See Also
    --------
    register_skl2onnx : Whole pipelines as one graph.
    to_mlp : The network as a perceptron of scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_convexnn import ConvexReLUClassifier
    >>> from sklearn_convexnn.export import to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> model = ConvexReLUClassifier(random_state=0).fit(X, y)
    >>> session = onnxruntime.InferenceSession(to_onnx(model).SerializeToString())
    >>> label, probabilities = session.run(None, {"X": X.astype(np.float32)})
    >>> bool(np.all(label == model.predict(X)))
    True
    >>> bool(np.allclose(probabilities, model.predict_proba(X), atol=1e-5))
    True
    """
    onnx = optional("onnx", caller="to_onnx", extra="onnx")
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype must be numpy.float32 or numpy.float64, got {dtype}.")
    writer = _Writer(onnx, dtype)
    x, network = "X", model
    if isinstance(model, StepsCV):
        check_is_fitted(model)
        x, network = _graph.with_steps(writer, x, model.steps_._steps), model.estimator_
    _outputs(writer, x, network_of(network))
    return writer.model(model.n_features_in_)


def _outputs(writer, x, network):
    z = _graph.scores(writer, x, network)
    if network.classes is None:
        z = _graph.predictions(writer, z, network)
        writer.output("prediction", _as_of_methods(writer, z, network), _rows(network))
        return
    classes = _labels(network.classes)
    writer.output("label", _graph.labels(writer, z, classes), [None], dtype=classes.dtype)
    if network.link == "scores":
        writer.output("scores", _as_of_methods(writer, z, network), _rows(network))
    else:
        chances = _graph.probabilities(writer, z, network.link)
        writer.output("probabilities", chances, [None, len(classes)])


def _rows(network):
    """The shape of predictions and of scores."""
    return [None] if _one_dimensional(network) else [None, len(network.biases[-1])]


def _as_of_methods(writer, z, network):
    return _graph.without_column(writer, z) if _one_dimensional(network) else z


def _one_dimensional(network):
    return network.one_dimensional and len(network.biases[-1]) == 1


def _labels(classes):
    """Labels of a type that ONNX has."""
    if classes.dtype.kind in "biuf":
        return classes
    if all(isinstance(label, str) for label in classes):
        return classes.astype(object)
    raise ValueError(f"ONNX has no type for class labels such as {classes[0]!r}.")


class _Writer:
    """The nodes, constants and outputs of a graph."""

    def __init__(self, onnx, dtype):
        self.dtype = dtype
        self._onnx, self._nodes, self._constants, self._outputs = onnx, [], [], []

    def node(self, operator, *inputs, **attributes):
        name = f"{operator}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(operator, inputs, [name], **attributes))
        return name

    def constant(self, array):
        name = f"constant_{len(self._constants)}"
        self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def output(self, name, source, shape, dtype=None):
        self._nodes.append(self._onnx.helper.make_node("Identity", [source], [name]))
        self._outputs.append(self._value(name, shape, self.dtype if dtype is None else dtype))

    def _value(self, name, shape, dtype):
        helper = self._onnx.helper
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), shape)

    def model(self, n_features):
        """The checked graph."""
        helper = self._onnx.helper
        rows = self._value("X", [None, n_features], self.dtype)
        graph = helper.make_graph(
            self._nodes, "network", [rows], self._outputs, initializer=self._constants
        )
        opsets = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=helper.find_min_ir_version_for(opsets),
            producer_name="sklearn_convexnn",
            producer_version=sklearn_convexnn.__version__,
        )
        self._onnx.checker.check_model(model)
        return model
