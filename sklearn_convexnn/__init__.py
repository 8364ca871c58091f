"""Two-layer ReLU networks trained by convex optimisation, as scikit-learn estimators."""

from sklearn_convexnn._relu import ConvexReLUClassifier, ConvexReLURegressor, alpha_max
from sklearn_convexnn._spline import SplineReLUClassifier, SplineReLURegressor

__all__ = [
    "ConvexReLUClassifier",
    "ConvexReLURegressor",
    "SplineReLUClassifier",
    "SplineReLURegressor",
    "alpha_max",
]

__version__ = "0.1.0"
