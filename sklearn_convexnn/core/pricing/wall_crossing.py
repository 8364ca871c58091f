"""Local maxima of the price to the last digit, by crossing the walls between activation patterns.

On the cone ``K`` of one pattern ``D`` the activations are linear, and for one output weight ``q``
of unit length the largest price ``q^T R^T D A u`` over ``K`` and the unit ball is ``||P_K(A^T D R
q)||``, at the projection's direction.  Its multipliers say which rows at the walls of the cone
would rather change their activity: they do, and the projection is taken again in the next cone.
The price rises in every turn, which smooth ascent cannot promise at the kinks, and where no row is
left the maximum is one in all neighbouring cones at once.  With several outputs ``q`` follows,
``q = R^T (A u)_+`` scaled to length 1.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.patterns.neuron_cones import NeuronCones, crossed
from sklearn_convexnn.core.pricing.proofs import prove_price
from sklearn_convexnn.core.pricing.search import local_ascent
from sklearn_convexnn.core.problem.directions import (
    Prices,
    joined,
    normalise,
    random_starts,
    select_diverse,
)
from sklearn_convexnn.core.problem.metric import ISOTROPIC

# Turns at most, and the relative rise of a price below which its climb has ended.
_MOST_TURNS = 40
_RESOLVED = 1e-12
# Projections solve stacks of k x k systems, k up to the number of columns.
MAX_WALL_COLUMNS = 200
# Cones of all proofs of a solve, about four seconds.
_PROOF_NODES = 600_000
_BATCH_BYTES = 64 << 20


def cross_walls(rows, R, U, metric=ISOTROPIC):
    """Climb from the rows of ``U`` to local maxima of the price, across kinks.

    Parameters
    ----------
    rows : Rows
    R : ndarray of shape (n, C)
    U : ndarray of shape (k, p)

    Returns
    -------
    Prices
        Of the ends, best first; climbs that meet go on as one.
    """
    A, U, residual = metric.graded(rows.dense()), metric.graded(normalise(U)), rows.fetch(R)
    size = max(1, _BATCH_BYTES // (8 * max(A.shape[1] ** 2, A.shape[0])))
    batches = [
        _cross_walls(A, residual, U[k : k + size], metric.sizes) for k in range(0, len(U), size)
    ]
    ends = metric.ungraded(np.concatenate([np.zeros((0, A.shape[1])), *batches]))
    V = rows.prices(ends, R)
    return joined(Prices(ends, V, np.linalg.norm(V, axis=1)))


def _cross_walls(A, R, U, sizes):
    """The directions at the end of the climbs from ``U``."""
    U = normalise(U)
    D = A @ U.T > 0
    Q = normalise(np.maximum(A @ U.T, 0).T @ R)
    best, ended = np.zeros(len(U)), np.ones(len(U), dtype=bool)
    todo, walls = np.arange(len(U)), None
    for _ in range(_MOST_TURNS):
        if not len(todo):
            break
        pull = R @ Q[todo].T
        groups = NeuronCones(A, D[:, todo], np.ones(len(todo)), walls, sizes)
        every = groups.owner
        W = groups.cones.project((groups.D * pull).T @ A, every)
        value = np.linalg.norm(W, axis=1)
        rising = value > best[todo] * (1 + _RESOLVED)
        up = todo[rising]
        U[up], best[up] = normalise(W[rising]), value[rising]
        D[:, todo], moved = crossed(groups.cones, every, D[:, todo], pull)
        if R.shape[1] > 1:
            Q[up] = normalise(np.maximum(A @ U[up].T, 0).T @ R)
            moved[:] = True
        stay = rising & moved
        if R.shape[1] == 1:
            first = _first_of_kind(D[:, todo], Q[todo, 0] > 0)
            ended[todo[~first]] = False
            stay &= first
        todo, walls = todo[stay], groups.cones.walls_held.of(stay)
    return U[ended]


def _first_of_kind(D, positive):
    """Which climbs are not on the way of another one: first of their pattern and sign."""
    keys = np.column_stack([np.packbits(D, axis=0).T, positive])
    keys = np.ascontiguousarray(keys).view(np.dtype((np.void, keys.shape[1])))[:, 0]
    first = np.zeros(len(keys), dtype=bool)
    first[np.unique(keys, return_index=True)[1]] = True
    return first


def last_digits(pricing):
    """What prices in place of ``pricing`` when only the last digits are missing."""
    return pricing if pricing.kind == "exact" else CrossingPricing(pricing.rng, pricing.metric)


class CrossingPricing:
    """Search for the last digits: many starts, every climb to the end.

    Violations that are left late have small basins, most of them near neurons of the network: on
    real data a start half a radian from one leads to a violated constraint five times as often as a
    random one.  Efforts are those of :class:`~sklearn_convexnn.core.pricing.search.SearchPricing`;
    3 is that of a confirmation.  Smooth steps onto the kinks before the climbs would take two
    thirds of their time and lead to the same maxima, as would the directions of that search.
    Whenever a confirmation finds what the rounds had overlooked, or rounds gain little,
    :meth:`widen` doubles the effort of the rounds.
    """

    kind = "estimated"
    # Random starts and starts near neurons of a round, and how many times as many at a stop.
    n_random, n_near, n_times = 100, 200, {2: 2, 3: 10}
    distances = (0.25, 0.5, 1.0)
    sweeps = 20
    # Climbs that are finished in a round.
    most_in_round = 128
    # Of the largest price: what remains below it after the ascent is not climbed further.
    share = 0.8

    def __init__(self, rng, metric=ISOTROPIC):
        self.rng, self.metric, self.width = rng, metric, 1
        self.nodes_left = _PROOF_NODES

    def __call__(self, rows, R, network, *, effort, known=None, enough=np.inf):
        """Prices with climbs to the end; a search for a stop ends at a price beyond ``enough``."""
        if effort < 2:
            times = min(self.width, self.n_times[2])
            return self._climbed(rows, R, network, times, known, self.most_in_round)
        found = self._climbed(rows, R, network, 1, known)
        for _ in range(self.n_times[effort] - 1):
            if found.largest > enough:
                break
            found = joined(found, self._climbed(rows, R, network, 1))
        return found

    def _climbed(self, rows, R, network, times, known=None, most=None):
        p, metric = rows.n_columns, self.metric
        starts = [network.U, random_starts(self.rng, times * self.n_random, p, metric)]
        if network.n_neurons:
            starts.append(self._near(network.U, times * self.n_near))
        found = local_ascent(rows, R, np.concatenate(starts), sweeps=self.sweeps, metric=metric)
        least = self.share * found.largest
        most = len(found.norms) if most is None else most
        climbs = select_diverse(
            found, most, above=least, max_cosine=0.999, metric=metric
        ).directions
        if known is not None:
            climbs = np.concatenate([climbs, known])
        return joined(cross_walls(rows, R, climbs, metric), found)

    def prove(self, rows, R, goal):
        """An upper bound of the largest price and a direction, if that takes seconds at most.

        A bound of ``goal`` is enough.
        """
        if self.nodes_left <= 0:
            return None
        proof = prove_price(rows.dense(), rows.fetch(R), goal, self.nodes_left)
        if proof is None:
            return None
        upper, direction, n_nodes = proof
        self.nodes_left -= n_nodes
        return upper, direction

    def widen(self):
        self.width *= 2

    def _near(self, U, count):
        p = U.shape[1]
        centres = U[self.rng.integers(len(U), size=count)]
        distance = self.rng.choice(self.distances, size=(count, 1))
        shift = distance / np.sqrt(p) * self.rng.standard_normal((count, p))
        return normalise(self.metric.moved(centres, shift, self.metric.levels(self.rng, count)))
