"""Where a solve begins, and what every solver returns."""

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
    MAX_ITER = "The rounds were used up. Increase max_iter, or alpha, or the tolerances."
    WORK = (
        "The work of the programs over patterns was used up: the data may be in awkward units. "
        "Standardise the features, or increase gap_tol or alpha."
    )
    INTERRUPTED = "Interrupted from outside; the network of the last complete round was kept."


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
    """What every solver returns."""

    network: Network
    certificate: Certificate
    status: Status
    alpha: float
    n_iter: int
    history: dict = field(default_factory=dict)
    end: Start | None = None
    # Ended by Ctrl-C, which is raised again once the last complete round is safe.
    keyboard: bool = False

    def raise_without_round(self):
        """Raise a keyboard interrupt again that left no complete round."""
        if self.keyboard and not self.history["objective"]:
            raise KeyboardInterrupt
