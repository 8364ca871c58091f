"""Neural networks trained by convex optimisation, as scikit-learn estimators."""

from sklearn_convexnn._circular import CircularLinearRegressor
from sklearn_convexnn._circular_relu import CircularReLUClassifier, CircularReLURegressor
from sklearn_convexnn._convolution import ConvexCNNClassifier, ConvexCNNRegressor
from sklearn_convexnn._convolution_cv import ConvexCNNClassifierCV, ConvexCNNRegressorCV
from sklearn_convexnn._cv import ConvexReLUClassifierCV, ConvexReLURegressorCV
from sklearn_convexnn._deep_linear import DeepLinearClassifier, DeepLinearRegressor
from sklearn_convexnn._deep_linear_cv import DeepLinearRegressorCV
from sklearn_convexnn._deep_relu import DeepReLUClassifier, DeepReLURegressor
from sklearn_convexnn._gated import GatedReLUClassifier, GatedReLURegressor
from sklearn_convexnn._linear_cnn import LinearCNNClassifier, LinearCNNRegressor
from sklearn_convexnn._parallel import ParallelReLUClassifier, ParallelReLURegressor
from sklearn_convexnn._path import convexnn_path
from sklearn_convexnn._quantile_steps import QuantileSteps
from sklearn_convexnn._relu import ConvexReLUClassifier, ConvexReLURegressor, alpha_max
from sklearn_convexnn._spline import SplineReLUClassifier, SplineReLURegressor
from sklearn_convexnn._steps_cv import StepsCV
from sklearn_convexnn._tabular import tabular_pipeline
from sklearn_convexnn._tail_compressor import TailCompressor
from sklearn_convexnn._threshold import ConvexThresholdClassifier, ConvexThresholdRegressor
from sklearn_convexnn._version import __version__ as __version__

__all__ = [
    "CircularLinearRegressor",
    "CircularReLUClassifier",
    "CircularReLURegressor",
    "ConvexCNNClassifier",
    "ConvexCNNClassifierCV",
    "ConvexCNNRegressor",
    "ConvexCNNRegressorCV",
    "ConvexReLUClassifier",
    "ConvexReLUClassifierCV",
    "ConvexReLURegressor",
    "ConvexReLURegressorCV",
    "ConvexThresholdClassifier",
    "ConvexThresholdRegressor",
    "DeepLinearClassifier",
    "DeepLinearRegressor",
    "DeepLinearRegressorCV",
    "DeepReLUClassifier",
    "DeepReLURegressor",
    "GatedReLUClassifier",
    "GatedReLURegressor",
    "LinearCNNClassifier",
    "LinearCNNRegressor",
    "ParallelReLUClassifier",
    "ParallelReLURegressor",
    "QuantileSteps",
    "SplineReLUClassifier",
    "SplineReLURegressor",
    "StepsCV",
    "TailCompressor",
    "alpha_max",
    "convexnn_path",
    "tabular_pipeline",
]
