"""Fitted networks as other people's objects: scikit-learn's perceptrons, PyTorch, ONNX."""

from sklearn_convexnn.export._mlp import to_mlp
from sklearn_convexnn.export._onnx import to_onnx
from sklearn_convexnn.export._skl2onnx import register_skl2onnx
from sklearn_convexnn.export._torch import to_torch

__all__ = ["register_skl2onnx", "to_mlp", "to_onnx", "to_torch"]
