"""The neurons of wedge kernels and wedge features, with a limit to their number."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_random_state

from sklearn_convexnn.core.geometry.hyperplanes import MOST_SUBSETS, n_subsets, wedge_neurons


def neurons_through_rows(Z, *, norm, fit_intercept, max_subsets, random_state):
    """Neurons of ``kind="wedge"``, with a limit to their number."""
    if norm not in ("l1", "l2"):
        raise ValueError(f"norm must be 'l1' or 'l2', got {norm!r}.")
    count = n_subsets(*Z.shape, norm=norm, intercept=fit_intercept)
    if max_subsets is None and count > MOST_SUBSETS:
        raise ValueError(
            f"{len(Z)} rows with {Z.shape[1]} features have {count:.3g} subsets: set max_subsets "
            "to sample some of them."
        )
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    return wedge_neurons(
        Z,
        norm=norm,
        intercept=fit_intercept,
        max_subsets=max_subsets,
        rng=np.random.default_rng(seed),
    )


def activations(X, U, b):
    """``[(X U^T + b)_+, (-X U^T - b)_+]``."""
    H = X @ U.T + b
    return np.hstack([np.maximum(H, 0.0), np.maximum(-H, 0.0)])
