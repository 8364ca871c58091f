"""What the phases of one solve share: the network, its prices, its certificate and the record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_convexnn.core.problem.directions import Prices, joined, select_diverse
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.row_state import RowState
from sklearn_convexnn.core.problem.solution import Status
from sklearn_convexnn.core.problem.work import Work

# Evaluations of dual functions in all programs of a solve: some times what data in healthy units
# take to a gap of 1e-6.  In awkward units they may make next to no progress.
_PROGRAM_EVALUATIONS = 2000
# Rows from which on a gap that is out of reach ends a solve, the rounds that tell the pace, and how
# many times the rounds that are left it takes at that pace.
_MANY_ROWS, _PACE_ROUNDS, _MUCH_TOO_LONG = 50_000, 6, 2.0
# Of the caution of a round what the next one keeps.
_CAUTION_LEFT = 0.7
# Not quite the whole of a gap is proven: a proof that ends at its goal adds what rounding may hide.
_PROVEN_SHARE = 0.99


@dataclass(frozen=True)
class State:
    """A network, its objective, and what else the rows know about it."""

    network: Network
    objective: float
    size: float  # what a decrease of the objective is relative to
    on_rows: RowState

    @classmethod
    def of(cls, rows, network, alpha):
        """Evaluate a network in full precision, with its best intercept."""
        on_rows = rows.settled(rows.evaluate(network))
        return cls(on_rows.network, on_rows.objective(alpha), on_rows.size(alpha), on_rows)

    @property
    def residual(self):
        return self.on_rows.residual


# What is kept of every round.
_HISTORY = ("objective", "lower_bound", "dual_gap", "n_neurons", "violation")


class Run:
    """The state of one solve; every step leaves it consistent and never raises the objective.

    ``rows`` are in double precision, as are all objectives and certificates; ``fast`` are the same
    in that of slides and refits.
    """

    def __init__(self, rows, alpha, options, metric):
        self.rows = rows.with_dtype(np.float64)
        # Single precision does not see what rows in awkward units differ by.
        self.fast = rows.with_dtype(options.dtype) if metric.trivial else self.rows
        self.alpha, self.options, self.metric = alpha, options, metric
        self.work = Work(_PROGRAM_EVALUATIONS)
        self.column_work = Work(options.column_work)
        self.state = self.prices = self.certificate = self.complete = None
        self.caution = 1.0  # how much larger the gap of a round may turn out to be
        self.decrease = np.inf  # of the last round, relative to the objective
        self.history = {name: [] for name in _HISTORY}

    # ------------------------------------------------------------------ steps

    def begin(self, network):
        """Take a network, whatever its objective."""
        self.state = State.of(self.rows, network, self.alpha)

    def accept(self, network, rounding=0.0):
        """Go on with the network if its objective is lower, up to ``rounding``."""
        state = State.of(self.rows, network, self.alpha)
        lower = state.objective < self.state.objective * (1.0 + rounding)
        if lower:
            self.state = state
        return lower

    def improve(self, phase):
        """One round of a phase; notes what it gained."""
        before = self.state
        self.caution = max(1.0, _CAUTION_LEFT * self.caution)
        phase.improve()
        self.decrease = self.decrease_from(before)

    def decrease_from(self, before):
        """What was gained since a state, relative to its size."""
        return (before.objective - self.state.objective) / max(before.size, np.finfo(float).tiny)

    def price(self, pricing, **settings):
        """Search for violated constraints at the present network and take its duality gap."""
        state = self.state
        prices = pricing(self.rows, state.residual, state.network, **settings)
        self.take_prices(prices, pricing.kind)

    def take_prices(self, prices, kind):
        """Remember prices of the present network and take the gap that the largest gives."""
        self.prices, self.certificate = prices, self.certified(prices.largest, kind)

    def prove(self, pricing):
        """Replace an estimate by a bound, or by a direction that shows it to be wrong."""
        goal, residual = self.options.gap_goal, self.state.residual
        proof = pricing.prove(self.rows, residual, self.allowed_price(_PROVEN_SHARE * goal))
        if proof is None:
            return
        upper, direction = proof
        bound = self.certified(upper, "proven")
        if bound.relative_gap <= goal:
            self.certificate = bound
            return
        values = self.rows.prices(direction[None], residual)
        found = Prices(direction[None], values, np.linalg.norm(values, axis=1))
        self.take_prices(joined(self.prices, found), pricing.kind)

    def allowed_price(self, gap):
        """The largest price with which the present network has this relative gap."""
        state = self.state
        return state.on_rows.dual_point.allowed_price(state.objective, self.alpha, gap, state.size)

    def certified(self, kappa, kind):
        """The certificate of the present network with ``kappa`` for the largest price."""
        state = self.state
        return state.on_rows.certify(state.network.penalty(), self.alpha, kappa, kind)

    def record(self):
        """Append a row to the history; the round is complete."""
        self.complete = self.state, self.certificate
        row = {
            "objective": self.state.objective,
            "lower_bound": self.certificate.lower_bound,
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

    def diverse(self, count, **settings):
        """The best of the present prices whose directions differ among the rows."""
        return select_diverse(self.prices, count, metric=self.metric, **settings)

    # ------------------------------------------------------------------ decisions

    def why_stop(self, n_iter):
        """A status if the solve should stop here whatever the gap is, else None."""
        if self.no_progress():
            return Status.PROGRESS
        if self.work.left <= 0:
            return Status.WORK
        if self.column_work.left <= 0:
            return Status.LARGE
        if self.too_slow(n_iter):
            return Status.SLOW
        return Status.MAX_ITER if n_iter >= self.options.max_iter else None

    def too_slow(self, n_iter):
        """Will the gap of very many rows, at the present pace, take far more rounds than are left?

        A gap is closed by decreases of the objective of that size in all.  Fewer rows have programs
        for their last digits, and rounds that take no time.
        """
        objectives, gaps = self.history["objective"], self.history["dual_gap"]
        if self.options.gap_tol is None or self.rows.n_rows < _MANY_ROWS:
            return False
        if len(gaps) <= _PACE_ROUNDS:
            return False
        gap = min(gaps[-_PACE_ROUNDS:])
        pace = (objectives[-1 - _PACE_ROUNDS] - objectives[-1]) / _PACE_ROUNDS / objectives[-1]
        left = self.options.max_iter - n_iter
        return gap > self.options.gap_goal and gap > _MUCH_TOO_LONG * left * pace

    def gap_reached(self):
        """Is the gap, with caution if it is that of a light search, below its goal?"""
        return self.certificate.relative_gap * self.caution <= self.options.gap_goal

    def no_progress(self):
        """Is the decrease of the last round below its tolerance, where no gap is asked for?"""
        return self.options.gap_tol is None and self.decrease < self.options.tol
