"""Looking into fitted networks: tables, certificates and pictures."""

from sklearn_convexnn.inspection._decision_region_display import DecisionRegionDisplay
from sklearn_convexnn.inspection._decision_regions import (
    DecisionIntervals,
    DecisionRegions,
    Region,
    decision_intervals,
    decision_regions,
)
from sklearn_convexnn.inspection._encodings import NeuronEncodings, neuron_encodings

__all__ = [
    "DecisionIntervals",
    "DecisionRegionDisplay",
    "DecisionRegions",
    "NeuronEncodings",
    "Region",
    "decision_intervals",
    "decision_regions",
    "neuron_encodings",
]
