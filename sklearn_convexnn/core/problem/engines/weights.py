"""Rows without weight are no rows: which ones are left, and what to say where none is."""

from __future__ import annotations

import numpy as np

NO_WEIGHT = (
    "No training row has a positive weight: leave out the rows of weight zero, and for "
    "cross-validation use folds that train on some of the others."
)


def rows_of_weight(weights):
    """The rows with a positive weight; a ValueError if there is none."""
    index = np.flatnonzero(weights > 0)
    if not len(index):
        raise ValueError(NO_WEIGHT)
    return index
