"""Looking into fitted networks: tables, certificates and pictures."""

from sklearn_convexnn.inspection._kernels import min_l1_solution, ntk_kernel, relu_kernel
from sklearn_convexnn.inspection._wedge import WedgeFeatures

__all__ = ["WedgeFeatures", "min_l1_solution", "ntk_kernel", "relu_kernel"]
