"""Looking into fitted networks: tables, certificates and pictures."""

from sklearn_convexnn.inspection.path_display import PathDisplay

__all__ = ["PathDisplay"]
