"""Estimators within pipelines that skl2onnx converts."""

from __future__ import annotations

import numpy as np
from sklearn.base import ClassifierMixin, is_classifier
from sklearn.pipeline import Pipeline

import sklearn_convexnn
from sklearn_convexnn._base import BaseNetwork
from sklearn_convexnn._optional import optional
from sklearn_convexnn._quantile_steps import QuantileSteps
from sklearn_convexnn._steps_cv import StepsCV
from sklearn_convexnn._tail_compressor import TailCompressor
from sklearn_convexnn.export import _graph
from sklearn_convexnn.export._network import network_of

_FLOAT, _STRING = 1, 8  # of onnx.TensorProto
_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "output_class_labels": [False, True],
    "nocl": [True, False],
    "raw_scores": [True, False],
}


def register_skl2onnx() -> None:
    """Teach skl2onnx the estimators of this package.

    Afterwards ``skl2onnx.to_onnx`` takes every network, :class:`~sklearn_convexnn.QuantileSteps`,
    :class:`~sklearn_convexnn.TailCompressor` and :class:`~sklearn_convexnn.StepsCV`, alone or in
    pipelines behind scalers and encoders. Once in a process is enough, and more often does no harm.

    Returns
    -------
    None
        The converters are known to skl2onnx.

    Raises
    ------
    ImportError
        Without skl2onnx: ``pip install "sklearn_convexnn[onnx]"``.

    See Also
    --------
    to_onnx : One estimator as a graph, without skl2onnx.

    Notes
    -----
    Classifiers have the options of skl2onnx's own: "zipmap", by default a list of dictionaries
    instead of an array of probabilities (which ONNX has in single precision only), "nocl",
    "output_class_labels" and "raw_scores". Without probabilities the second output are scores, one
    per class, of opposite signs for two classes. Regressors return a column for each output. Truth
    values as labels become 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skl2onnx import to_onnx
    >>> from sklearn_convexnn import ConvexReLURegressor, QuantileSteps
    >>> from sklearn_convexnn.export import register_skl2onnx
    >>> register_skl2onnx()
    >>> X, y = load_diabetes(return_X_y=True)
    >>> network = ConvexReLURegressor(alpha=1.0, random_state=0)
    >>> pipeline = make_pipeline(StandardScaler(), QuantileSteps(), network).fit(X, y)
    >>> [node.name for node in to_onnx(pipeline, X[:1].astype(np.float32)).graph.output]
    ['variable']
    """
    skl2onnx = optional("skl2onnx", caller="register_skl2onnx", extra="onnx")
    for name in sklearn_convexnn.__all__:
        Estimator = getattr(sklearn_convexnn, name)
        if isinstance(Estimator, type) and issubclass(Estimator, BaseNetwork):
            alias = f"SklearnConvexnn{name}"
            if issubclass(Estimator, ClassifierMixin):
                _register(skl2onnx, Estimator, alias, _classifier_shapes, _classifier, _OPTIONS)
            else:
                _register(skl2onnx, Estimator, alias, _regressor_shapes, _regressor)
    alias = "SklearnConvexnnQuantileSteps"
    _register(skl2onnx, QuantileSteps, alias, _steps_shapes, _steps)
    alias = "SklearnConvexnnTailCompressor"
    _register(skl2onnx, TailCompressor, alias, _same_shape, _tails)
    # Its parser leaves nothing to convert, but only what has a converter may have options.
    alias = "SklearnConvexnnStepsCV"
    _register(skl2onnx, StepsCV, alias, _classifier_shapes, _classifier, _OPTIONS, _parse_steps_cv)


def _register(skl2onnx, Estimator, alias, shapes, convert, options=None, parser=None):
    skl2onnx.update_registered_converter(
        Estimator, alias, shapes, convert, options=options, parser=parser
    )


def _parse_steps_cv(scope, model, inputs, custom_parsers=None):
    """As a pipeline: whatever skl2onnx can convert may be behind the steps."""
    from skl2onnx._parse import _parse_sklearn

    estimator, given = model.estimator_, scope.options or {}
    if is_classifier(estimator) and id(estimator) not in given and type(estimator) not in given:
        scope.add_options(id(estimator), scope.get_options(model, {"zipmap": True}))
    parts = Pipeline([("steps", model.steps_), ("estimator", estimator)])
    return _parse_sklearn(scope, parts, inputs, custom_parsers=custom_parsers)


# ------------------------------------------------------------------------------ shapes of outputs


def _set_shape(operator, width):
    from skl2onnx.common.data_types import guess_tensor_type

    kind = type(guess_tensor_type(operator.inputs[0].type))
    operator.outputs[0].type = kind([operator.inputs[0].get_first_dimension(), width])


def _regressor_shapes(operator):
    _set_shape(operator, operator.raw_operator.n_outputs_)


def _steps_shapes(operator):
    _set_shape(operator, len(operator.raw_operator.get_feature_names_out()))


def _same_shape(operator):
    _set_shape(operator, operator.raw_operator.n_features_in_)


def _classifier_shapes(operator):
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

    calculate_linear_classifier_output_shapes(operator)


# ------------------------------------------------------------------------------------- converters


def _steps(scope, operator, container):
    writer = _Writer(scope, container, operator)
    writer.output(0, _graph.with_steps(writer, writer.rows(), operator.raw_operator._steps))


def _tails(scope, operator, container):
    writer = _Writer(scope, container, operator)
    writer.output(0, _graph.compressed(writer, writer.rows(), operator.raw_operator.start))


def _regressor(scope, operator, container):
    writer, network = _Writer(scope, container, operator), network_of(operator.raw_operator)
    z = _graph.scores(writer, writer.rows(), network)
    writer.output(0, _graph.predictions(writer, z, network))


def _classifier(scope, operator, container):
    from skl2onnx.common.utils_classifier import get_label_classes

    model = operator.raw_operator
    writer, network = _Writer(scope, container, operator), network_of(model)
    z = _graph.scores(writer, writer.rows(), network)
    classes = get_label_classes(scope, model)
    writer.output(0, _graph.labels(writer, z, _labels(classes)))
    raw = container.get_options(model, {"raw_scores": False})["raw_scores"]
    if network.link != "scores" and not raw:
        z = _graph.probabilities(writer, z, network.link)
    elif len(classes) == 2:
        z = writer.node("Concat", writer.node("Neg", z), z, axis=1)
    writer.output(1, z)


def _labels(classes):
    """As skl2onnx has them: 64-bit integers or strings."""
    classes = np.array(classes.tolist())
    return classes.astype(object if classes.dtype.kind in "UT" else np.int64)


class _Writer:
    """Nodes and constants of skl2onnx's container."""

    def __init__(self, scope, container, operator):
        from skl2onnx.common.data_types import DoubleTensorType

        self._scope, self._container, self._operator = scope, container, operator
        double = isinstance(operator.inputs[0].type, DoubleTensorType)
        self.dtype = np.dtype(np.float64 if double else np.float32)

    def rows(self):
        """The name of the input, of floating-point numbers."""
        from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

        rows = self._operator.inputs[0]
        if isinstance(rows.type, FloatTensorType | DoubleTensorType):
            return rows.full_name
        return self.node("Cast", rows.full_name, to=_FLOAT)

    def node(self, operator, *inputs, **attributes):
        name = self._scope.get_unique_variable_name(operator)
        self._add(operator, inputs, name, **attributes)
        return name

    def constant(self, array):
        from onnx import numpy_helper

        name = self._scope.get_unique_variable_name("constant")
        if array.dtype == object:  # strings
            texts = [text.encode() for text in array]
            self._container.add_initializer(name, _STRING, array.shape, texts)
        else:
            self._container.add_initializer(name, None, None, numpy_helper.from_array(array))
        return name

    def output(self, index, source):
        """Say which value is an output of the operator."""
        self._add("Identity", [source], self._operator.outputs[index].full_name)

    def _add(self, operator, inputs, name, **attributes):
        self._container.add_node(
            operator,
            list(inputs),
            [name],
            name=self._scope.get_unique_operator_name(operator),
            **attributes,
        )
