"""Looking into fitted networks: tables, certificates and pictures."""

from sklearn_convexnn.inspection._decision_region_display import DecisionRegionDisplay
from sklearn_convexnn.inspection._decision_regions import (
    DecisionIntervals,
    DecisionRegions,
    Region,
    decision_intervals,
    decision_regions,
)

__all__ = [
    "DecisionIntervals",
    "DecisionRegionDisplay",
    "DecisionRegions",
    "Region",
    "decision_intervals",
    "decision_regions",
]
