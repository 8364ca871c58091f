"""What engines and kernels hand to each other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Block(NamedTuple):
    """Some consecutive rows: features, targets, weights and what earlier passes have kept."""

    X: object  # (rows, d) in the dtype of the pass, dense, coded or CSR; None if unread
    Y: object  # (rows, C), float64
    w: object  # (rows,), float64
    rowwise: tuple = ()


class Statistics(NamedTuple):
    """Facts about all rows that are no sums of a pass."""

    mean_row: np.ndarray  # (d,), weighted, float64
    largest_target: float  # in absolute value
    least_weight: float
    largest_weight: float
