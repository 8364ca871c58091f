"""Directions of neurons and their prices: what a search for neurons returns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sklearn_convexnn.core.problem.metric import ISOTROPIC


class Prices(NamedTuple):
    """Directions with their prices, best first."""

    directions: np.ndarray  # (k, p), unit rows
    values: np.ndarray  # (k, C), R^T (X u)_+
    norms: np.ndarray  # (k,), decreasing

    @property
    def largest(self):
        return float(self.norms[0]) if len(self.norms) else 0.0


def normalise(U):
    """Rows scaled to unit length; zero rows stay zero."""
    norms = np.linalg.norm(U, axis=1, keepdims=True)
    return U / np.where(norms > 0, norms, 1.0)


def random_starts(rng, n_starts, n_columns, metric=ISOTROPIC):
    """Directions uniform on the sphere: they depend neither on the rows nor on their order.

    With a metric they are uniform in its coordinates to various degrees.
    """
    starts = rng.standard_normal((n_starts, n_columns))
    if not metric.trivial:
        starts = metric.spread(starts, metric.levels(rng, n_starts))
    return normalise(starts)


def select_diverse(prices, count, *, above=0.0, max_cosine=0.98, metric=ISOTROPIC):
    """The best ``count`` directions priced over ``above`` whose mutual cosines stay small."""
    unit, chosen = metric.unit(prices.directions), []
    left = np.flatnonzero(prices.norms > above)
    # One product for each that is chosen: most of the others are copies of the best.
    while len(left) and len(chosen) < count:
        chosen.append(left[0])
        left = left[1:][unit[left[1:]] @ unit[left[0]] < max_cosine]
    return Prices(prices.directions[chosen], prices.values[chosen], prices.norms[chosen])


def joined(*found):
    """All prices in one list, best first."""
    U, V, norms = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(-norms, kind="stable")
    return Prices(U[order], V[order], norms[order])
