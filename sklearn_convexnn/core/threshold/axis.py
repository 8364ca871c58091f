"""Steps in single features: exact prices at any size, and the phase that uses them."""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.problem.directions import Prices
from sklearn_convexnn.core.threshold.phase import ColumnPhase
from sklearn_convexnn.core.threshold.step_rows import StepLayer

# Parts of the values of a feature, beside those that its present steps make, of each of which the
# most violated step is offered.
_PARTS = 8


class StepPricing:
    """All steps of all features by sums over presorted rows: time of order n d, nothing missed.

    What it returns are the best steps between any two present ones, and the best of all.
    """

    kind = "exact"

    def __call__(self, rows, R, network, *, effort, known=None):
        found = []
        for k, values in enumerate(rows.prices(R)):
            if not len(values):
                continue
            present = network.steps[network.steps[:, 0] == k, 1]
            norms = np.linalg.norm(values, axis=1)
            places = _best_of_parts(norms, present)
            steps = np.column_stack([np.full(len(places), k), places])
            found.append(Prices(steps, values[places], norms[places]))
        if not found:
            nothing = np.zeros((0, rows.n_outputs))
            return Prices(np.zeros((0, 2), dtype=np.intp), nothing, np.zeros(0))
        steps, values, norms = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.argsort(-norms, kind="stable")
        return Prices(steps[order], values[order], norms[order])


def _best_of_parts(norms, present):
    """Where the norms are largest: of each part between present places, and of all."""
    cuts = np.linspace(0, len(norms), _PARTS + 1).astype(int)[:-1]
    starts = np.unique(np.concatenate([cuts, present, present + 1]))
    starts = starts[starts < len(norms)]
    ends = np.append(starts[1:], len(norms))
    best = [a + int(np.argmax(norms[a:b])) for a, b in zip(starts, ends, strict=True)]
    return np.array(best)


class StepPhase(ColumnPhase):
    """Rounds over steps in single features."""

    def _extended(self, network, prices):
        return network.extended(prices.directions)

    def _layer(self, network):
        return StepLayer(self.run.rows, network.steps)
