"""Networks of steps in single features: additive, one step function for each feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class StepNetwork:
    """``z(x) = sum_j c_j 1[x_(k_j) > t_j] + b0``, thresholds by their place among the values.

    Parameters
    ----------
    steps : ndarray of shape (m, 2) of int
        Feature and place: a step is on for values above the one of this number, from 0.
    C : ndarray of shape (m, C)
    b0 : ndarray of shape (C,)
    """

    steps: np.ndarray
    C: np.ndarray
    b0: np.ndarray

    @classmethod
    def constant(cls, b0):
        return cls(np.zeros((0, 2), dtype=np.intp), np.zeros((0, len(b0))), np.asarray(b0))

    @property
    def n_neurons(self):
        return len(self.steps)

    @property
    def sizes(self):
        return np.linalg.norm(self.C, axis=1)

    def penalty(self):
        return float(self.sizes.sum())

    def with_outputs(self, C, b0):
        return StepNetwork(self.steps, C, b0)

    def keep(self, which):
        return StepNetwork(self.steps[which], self.C[which], self.b0)

    def pruned(self):
        return self.keep(self.sizes > 0)

    def largest(self, count):
        """The ``count`` steps of largest penalty, in their present order."""
        return self.keep(np.sort(np.argsort(-self.sizes, kind="stable")[:count]))

    def extended(self, steps):
        """With more steps, of weight zero; each step once, sorted by feature and place."""
        C = np.concatenate([self.C, np.zeros((len(steps), self.C.shape[1]))])
        return StepNetwork(np.concatenate([self.steps, steps]), C, self.b0).merged()

    def merged(self):
        """Equal steps as one, sorted by feature and place."""
        steps, index = np.unique(self.steps, axis=0, return_inverse=True)
        C = np.zeros((len(steps), self.C.shape[1]))
        np.add.at(C, index.ravel(), self.C)
        return StepNetwork(steps, C, self.b0)


class ShapeFunction(NamedTuple):
    """A step function of one feature with mean zero over the training rows.

    Attributes
    ----------
    thresholds : ndarray of shape (n_steps,)
        Ascending; a value that equals one is below it.
    values : ndarray of shape (n_steps + 1, n_outputs)
        What the function is below the first threshold, between two, above the last.
    """

    thresholds: np.ndarray
    values: np.ndarray

    def __call__(self, x):
        """Values (n, n_outputs) at numbers (n,)."""
        return self.values[np.searchsorted(self.thresholds, x, side="left")]


def additive_outputs(X, shapes, base):
    """``base + sum_k f_k(x_k)`` for the rows of ``X``, in their precision or that of the shapes."""
    Z = np.empty((len(X), len(base)), dtype=np.result_type(X.dtype, base.dtype))
    Z[...] = base
    for k, shape in enumerate(shapes):
        if len(shape.thresholds):
            Z += shape(X[:, k])
    return Z
