"""The duality gap of a network: how far its objective can be from the global optimum of (P).

With ``R_i = w_i rho_i``, ``rho_i = -gradient of loss(y_i, .)`` at the network's output, every ``s *
rho`` with ``s * kappa(R) <= alpha`` is feasible for the dual of (P), so that ``objective - D(s
rho)`` bounds the distance to the optimum over networks of *any* width.  Where the intercept is free
it has to be the best one: ``sum_i R_i = 0`` is the dual constraint that belongs to it.  The bound
is as good as the value used for ``kappa``; its kind says how that value was obtained:

``exact``       the maximum over all directions, found by enumeration or in closed form;
``proven``      a proven upper bound of it: the gap is a bound, perhaps a loose one;
``estimated``   the best of many local searches, a lower bound of it: the gap is an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Certificate:
    """Primal and dual value of a network, and how ``kappa`` was obtained."""

    primal: float
    dual: float
    kappa: float
    kind: str
    size: float | None = None  # what gaps are relative to; None: the primal value

    @property
    def gap(self):
        """``primal - dual``, in units of the objective; never below zero by rounding."""
        return max(self.primal - self.dual, 0.0)

    @property
    def lower_bound(self):
        """The dual value, not above the primal one by rounding; as good as ``kind`` says."""
        return self.primal - self.gap

    @property
    def relative_gap(self):
        """``gap / primal``; 0 for an objective that is zero up to the square of rounding.

        Relative to ``size`` for losses of which a part says nothing about the network.
        """
        size = self.primal if self.size is None else self.size
        return self.gap / size if size > np.finfo(float).eps ** 2 else 0.0
