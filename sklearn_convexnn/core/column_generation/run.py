"""What the phases of one solve share: the network, its prices, its certificate and the record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_convexnn.core.problem.certificates import certify, optimal_intercept
from sklearn_convexnn.core.problem.network import Network

# Of the caution of a round what the next one keeps.
_CAUTION_LEFT = 0.7


@dataclass(frozen=True)
class State:
    """A network with what is known about it: outputs, objective and residual."""

    network: Network
    Z: np.ndarray
    objective: float

    @classmethod
    def of(cls, rows, network, alpha):
        """Evaluate a network in full precision, with its best intercept."""
        Z = rows.outputs(network.U, network.C, network.b0)
        if rows.intercept:
            shift = optimal_intercept(rows, Z)
            Z += shift
            network = network.with_outputs(network.C, network.b0 + shift)
        loss = float(rows.weights @ rows.loss.value(rows.Y, Z))
        return cls(network, Z, loss + alpha * network.penalty())

    def residual(self, rows):
        return -rows.weights[:, None] * rows.loss.gradient(rows.Y, self.Z)


class Run:
    """The state of one solve; every step leaves it consistent and never raises the objective.

    ``rows`` are in double precision, as are all objectives and certificates; ``fast`` are the same
    in that of slides and refits.
    """

    def __init__(self, rows, alpha, options):
        self.rows, self.fast = rows.with_dtype(np.float64), rows.with_dtype(options.dtype)
        self.alpha, self.options = alpha, options
        self.state = self.prices = self.certificate = self.complete = None
        self.caution = 1.0  # how much larger the gap of a round may turn out to be
        self.decrease = np.inf  # of the last round, relative to the objective
        self.history = {"objective": [], "dual_gap": [], "n_neurons": [], "violation": []}

    # ------------------------------------------------------------------ steps

    def begin(self, network):
        """Take a network, whatever its objective."""
        self.state = State.of(self.rows, network, self.alpha)

    def accept(self, network):
        """Go on with the network if its objective is lower."""
        state = State.of(self.rows, network, self.alpha)
        lower = state.objective < self.state.objective
        if lower:
            self.state = state
        return lower

    def improve(self, phase):
        """One round of a phase; notes what it gained."""
        before = self.state.objective
        self.caution = max(1.0, _CAUTION_LEFT * self.caution)
        phase.improve()
        self.decrease = (before - self.state.objective) / max(before, np.finfo(float).tiny)

    def price(self, pricing, *, effort, known=None):
        """Search for violated constraints at the present network and take its duality gap."""
        residual = self.state.residual(self.rows)
        prices = pricing(self.rows, residual, self.state.network, effort=effort, known=known)
        self.take_prices(prices, pricing.kind)

    def take_prices(self, prices, kind):
        """Remember prices of the present network and take the gap that the largest gives."""
        self.prices, self.certificate = prices, self.certified(prices.largest, kind)

    def certified(self, kappa, kind):
        """The certificate of the present network with ``kappa`` for the largest price."""
        network, Z = self.state.network, self.state.Z
        return certify(self.rows, Z, network.penalty(), self.alpha, kappa, kind)

    def record(self):
        """Append a row to the history; the round is complete."""
        self.complete = self.state, self.certificate
        row = {
            "objective": self.state.objective,
            "dual_gap": self.certificate.relative_gap,
            "n_neurons": self.state.network.n_neurons,
            "violation": max(0.0, self.certificate.kappa / self.alpha - 1.0),
        }
        for name, value in row.items():
            self.history[name].append(value)

    def restore(self):
        """Back to the last complete round, whose certificate belongs to its network."""
        if self.complete is not None:
            self.state, self.certificate = self.complete

    # ------------------------------------------------------------------ decisions

    def gap_reached(self):
        """Is the gap, with caution if it is that of a light search, below its goal?"""
        return self.certificate.relative_gap * self.caution <= self.options.gap_goal

    def no_progress(self):
        """Is the decrease of the last round below its tolerance, where no gap is asked for?"""
        return self.options.gap_tol is None and self.decrease < self.options.tol
