"""Where a solve begins, and what every solver of every family returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from sklearn_convexnn.core.problem.certificates import Certificate
from sklearn_convexnn.core.problem.directions import Prices
from sklearn_convexnn.core.problem.network import Network


class Status(Enum):
    """How a solve ended; the value is advice for the user."""

    PROGRESS = "A round lowered the objective by less than tol."
    GAP = "The relative duality gap is below the tolerance."
    STATIONARY = "No better stationary point was found; the gap bounds what there may be."
    CLOSED_FORM = "The network follows from a formula."
    SEPARABLE = "One half-space is optimal: it attains the bound of all 0/1 functions of the rows."
    MEAN = "The network is the mean of others, each trained on a part of the rows."
    MAX_ITER = "The iterations were used up. Increase max_iter, or alpha, or the tolerances."
    SLOW = (
        "At the pace of the last rounds the goal is far beyond max_iter: for so many rows alpha is "
        "small, and the optimum has neurons that hardly lower the loss. Increase alpha or gap_tol."
    )
    WORK = (
        "The work of the programs over patterns was used up: the data may be in awkward units. "
        "Standardise the features, or increase gap_tol or alpha."
    )
    LARGE = (
        "Rows and neurons are so many that the work of a fit was used up before its rounds gained "
        "less than tol. Set gap_tol to go on as far as it takes, or increase alpha or tol."
    )
    INACCURATE = (
        "Rounding, or the solver's own tolerance, allowed no smaller gap. Increase the tolerance "
        "or alpha, scale X, or choose another solver."
    )
    INTERRUPTED = "Interrupted from outside; the network of the last complete round was kept."

    @property
    def as_asked(self):
        """Whether the solve did what it was asked for; of all other ends the user is told."""
        return self in _AS_ASKED


_AS_ASKED = {
    Status.PROGRESS,
    Status.GAP,
    Status.STATIONARY,
    Status.CLOSED_FORM,
    Status.SEPARABLE,
    Status.MEAN,
}


@dataclass(frozen=True)
class Start:
    """Where a solve begins.

    ``prices`` are those of the network, if they are known.  With a ``width``, that of the smoothed
    kinks, the network is the end of a solve for a larger alpha: it is refitted first, and its
    candidates are priced again before new ones are searched for.
    """

    network: Network
    prices: Prices | None = None
    width: float | None = None


@dataclass(frozen=True)
class Solution:
    """What every solver returns; ``network`` is what the family trains.

    ``history`` has a list for each quantity, with a value for every round, or one for a solve
    without rounds.  ``end`` is where a solve for a smaller alpha goes on.
    """

    network: object
    certificate: Certificate
    status: Status
    alpha: float
    n_iter: int
    history: dict = field(default_factory=dict)
    end: object = None
    # Ended by Ctrl-C, which is raised again once the last complete round is safe.
    keyboard: bool = False

    @property
    def reached(self):
        """The certificate that the tolerance of the solve is about."""
        return self.certificate

    def raise_without_round(self):
        """Raise a keyboard interrupt again that left no complete round."""
        if self.keyboard and not self.history["objective"]:
            raise KeyboardInterrupt


def end_of_history(certificate, **quantities):
    """The history of a solve without rounds: what it ends with."""
    row = {
        "objective": certificate.primal,
        "lower_bound": certificate.lower_bound,
        "dual_gap": certificate.relative_gap,
        **quantities,
    }
    return {name: [value] for name, value in row.items()}
