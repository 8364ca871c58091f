"""Looking into fitted networks: tables, certificates and pictures."""

from sklearn_convexnn.inspection.layers import LayerAlignment, layer_alignment
from sklearn_convexnn.inspection.neural_collapse import (
    NeuralCollapse,
    NeuralCollapseDisplay,
    neural_collapse,
)

__all__ = [
    "LayerAlignment",
    "NeuralCollapse",
    "NeuralCollapseDisplay",
    "layer_alignment",
    "neural_collapse",
]
