"""Looking into fitted networks: tables, certificates and pictures."""

from sklearn_convexnn.inspection._decision_region_display import DecisionRegionDisplay
from sklearn_convexnn.inspection._decision_regions import decision_intervals, decision_regions
from sklearn_convexnn.inspection._encodings import NeuronEncodings, neuron_encodings
from sklearn_convexnn.inspection._filter_display import FilterDisplay
from sklearn_convexnn.inspection._kernels import min_l1_solution, ntk_kernel, relu_kernel
from sklearn_convexnn.inspection._l0_l1 import L0L1Certificate, l0_l1_certificate
from sklearn_convexnn.inspection._layers import LayerAlignment, layer_alignment
from sklearn_convexnn.inspection._neural_collapse import (
    NeuralCollapse,
    NeuralCollapseDisplay,
    neural_collapse,
)
from sklearn_convexnn.inspection._neuron_display import NeuronDisplay
from sklearn_convexnn.inspection._optimality_report import OptimalityReport, optimality_report
from sklearn_convexnn.inspection._path_display import PathDisplay
from sklearn_convexnn.inspection._prune import prune
from sklearn_convexnn.inspection._regions import DecisionIntervals, DecisionRegions, Region
from sklearn_convexnn.inspection._shape_function_display import ShapeFunctionDisplay
from sklearn_convexnn.inspection._training_display import TrainingDisplay
from sklearn_convexnn.inspection._wedge import WedgeFeatures

__all__ = [
    "DecisionIntervals",
    "DecisionRegionDisplay",
    "DecisionRegions",
    "FilterDisplay",
    "L0L1Certificate",
    "LayerAlignment",
    "NeuralCollapse",
    "NeuralCollapseDisplay",
    "NeuronDisplay",
    "NeuronEncodings",
    "OptimalityReport",
    "PathDisplay",
    "Region",
    "ShapeFunctionDisplay",
    "TrainingDisplay",
    "WedgeFeatures",
    "decision_intervals",
    "decision_regions",
    "l0_l1_certificate",
    "layer_alignment",
    "min_l1_solution",
    "neural_collapse",
    "neuron_encodings",
    "ntk_kernel",
    "optimality_report",
    "prune",
    "relu_kernel",
]
