"""Values of the regularisation parameter ``alpha``."""

from __future__ import annotations

import numpy as np

# alpha="scale" is this fraction of alpha_max over the square root of the number of distinct rows:
# the level at which the dual constraints stop resolving the noise of n samples.  The constant was
# measured on thirteen tabular data sets (see the table in doc/choosing.rst).
SCALE_FRACTION = 0.1


def scale_alpha(rows, alpha_max):
    """The value of ``alpha="scale"``, which does not depend on whether equal rows were merged."""
    return SCALE_FRACTION * alpha_max / np.sqrt(rows.engine.n_distinct())


def alpha_grid(alpha_max, n_alphas, eps):
    """``n_alphas`` values from ``alpha_max`` down to ``eps * alpha_max``, equally spaced in log."""
    if n_alphas == 1:
        return np.array([alpha_max], dtype=float)
    grid = alpha_max * np.geomspace(1.0, eps, n_alphas)
    grid[0] = alpha_max  # not a rounding below it: there the network is a constant
    return grid
