"""Local maxima of the price of pooled activations to the last digit, by crossing walls.

In every *group* of patches, a cell or a single position, the largest of zero and of all products
``x_k^T u`` is passed on: its patch ``x_w`` is the winner, or zero is.  ReLU is the case of two
rivals, zero and ``x``.  Where no winner changes, the price of one output weight ``q`` of length one
is linear, ``u^T g`` with ``g = sum r x_w`` over groups and ``r`` the pull of each; its largest
value on that cone and the unit ball is the length of the projection

    v = g + sum mu_k (x_w - x_k),     mu >= 0,     v^T (x_w - x_k) >= 0 .

The projection is a local maximum of the price iff ``sum mu_k <= -r`` in every group: then ``g + sum
mu_k (x_w - x_k)`` has a mean of tied patches for each, times ``r``.  Any other group passes to the
rival of its largest multiplier, on whose side that of the wall between the two would be ``-(sum
mu_k + r) < 0``, and the projection is taken again.  Prices rise in every turn.

There are too many walls to look at all of them: those violated most join until none is.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from sklearn_convexnn.core.problem.directions import normalise

# Turns of a climb, and projections on more and more walls in one of them.
_MOST_TURNS, _MOST_SWEEPS = 40, 25
# Turns without a rise at which a climb with several output weights ends.
_MOST_IDLE = 3
# Walls that join at once, for each column, and the violation from which on they do, for patches and
# directions of typical length.
_JOINING, _VIOLATED = 0.5, 1e-11
# Walls that a projection begins with, for each column: the nearest.
_NEAREST = 2.0
# The relative rise of a price below which its climb has ended.
_RESOLVED = 1e-12
# Of the largest pull: crossings that gain less are left to rounding.
_LEAST_GAIN = 1e-9
# Winners of all groups, which climbs keep in mind.
_STATE_BYTES = 64 << 20


def cross_pooled_walls(table, R, U, *, turns=_MOST_TURNS, sweeps=_MOST_SWEEPS):
    """Climb from the rows of ``U`` to local maxima of the price, across kinks.

    Parameters
    ----------
    table : PatchTable
    R : ndarray of shape (n, C)
    U : ndarray of shape (k, p)
        In the columns of the table.
    turns, sweeps : int
        Turns at most, and projections on more and more walls in one; each is a pass over all
        patches.

    Returns
    -------
    ndarray of shape (k, p)
        Unit directions; none has a smaller price than its start.
    """
    size = max(1, _STATE_BYTES // (4 * table.n_rows * table.n_groups))
    parts = [
        _Climbs(table, R, U[k : k + size], sweeps).ended(turns) for k in range(0, len(U), size)
    ]
    return np.concatenate([np.zeros((0, table.n_columns)), *parts])


class _Walls:
    """The walls of one climb: rows, groups and rivals, normals and their lengths, multipliers."""

    def __init__(self, p):
        self.places = np.zeros((0, 3), dtype=np.int64)
        self.normals, self.multipliers = np.zeros((0, p)), np.zeros(0)

    def join(self, places, normals):
        """Walls that are not among them."""
        lengths = np.linalg.norm(normals, axis=1)
        known = {tuple(place) for place in self.places.tolist()}
        new = [
            k
            for k, place in enumerate(places.tolist())
            if lengths[k] > 0 and tuple(place) not in known
        ]
        self.places = np.concatenate([self.places, places[new]])
        self.normals = np.concatenate([self.normals, normals[new] / lengths[new, None]])
        self.multipliers = np.concatenate([self.multipliers, np.zeros(len(new))])
        return len(new)

    def project(self, w):
        """On the side of all of them; those that do not hold it leave."""
        if not len(self.places):
            return w
        self.multipliers = nnls(self.normals.T, -w, maxiter=50 * len(self.normals))[0]
        held = self.multipliers > 0
        self.places, self.normals = self.places[held], self.normals[held]
        self.multipliers = self.multipliers[held]
        return w + self.multipliers @ self.normals


class _Climbs:
    def __init__(self, table, R, U, sweeps):
        self.table, self.R, self.U, self.sweeps = table, R, normalise(U), sweeps
        n, k = table.n_rows, len(U)
        # -1 where zero wins.
        self.winners = np.full((n, k, table.n_groups), -1, dtype=np.int32)
        self.Q, self.best = np.zeros((k, table.pool.shape[1], R.shape[1])), np.zeros(k)
        self.several, self.idle = self.Q[0].size > 1, np.zeros(k, dtype=int)

    def ended(self, turns):
        going = np.arange(len(self.U))
        V = self._set_winners(self.U, going)
        self._take_prices(V, going)
        for _ in range(turns):
            if not len(going):
                break
            g = self._pulled(going)
            directions, walls, finished = self._projected(g, going)
            alive = np.linalg.norm(directions, axis=1) > 0
            going, directions = going[alive], normalise(directions[alive])
            walls = [one for one, keep in zip(walls, alive, strict=True) if keep]
            finished = finished[alive]
            prices = self._prices(directions)
            sizes = np.linalg.norm(prices.reshape(len(going), -1), axis=1)
            rising = sizes > self.best[going] * (1 + _RESOLVED)
            moved = np.array(
                [self._crossed(j, one) for j, one in zip(going, walls, strict=True)], dtype=bool
            )
            self.U[going[rising]] = directions[rising]
            self._take_prices(prices[rising], going[rising])
            unfinished = going[rising & ~finished]
            if len(unfinished):
                self._set_winners(self.U[unfinished], unfinished)
            # With several output weights these follow after a turn that rises; then walls may be
            # crossed that held no one before.
            self.idle[going] = np.where(rising, 0, self.idle[going] + 1)
            going = going[
                (rising & (moved | ~finished | self.several))
                | (moved & self.several & (self.idle[going] < _MOST_IDLE))
            ]
        return self.U

    # ------------------------------------------------------------------ passes over the patches

    def _products(self, U):
        """``(rows, products (r, k, K))`` block by block."""
        for rows, A in self.table.blocks(len(U)):
            yield rows, U @ A.transpose(0, 2, 1)

    def _largest(self, H):
        """The largest of zero and of the products in every group, and where it is."""
        top, where = self._top(H)
        return np.maximum(top, 0), np.where(top > 0, where, -1)

    def _top(self, H):
        """The largest product of every group, and where it is."""
        table = self.table
        if not table.largest:  # each position is a group
            return H, np.broadcast_to(np.arange(H.shape[2]), H.shape)
        where = np.stack([group[H[:, :, group].argmax(axis=2)] for group in table.groups], axis=2)
        return np.take_along_axis(H, where, 2), where

    def _sums(self, rows, values):
        """Prices (k, G, C) of activations of groups."""
        features = values @ self.table.shares
        return np.einsum("rkg,rc->kgc", features, self.R[rows], optimize=True)

    def _prices(self, U):
        return sum(self._sums(rows, self._largest(H)[0]) for rows, H in self._products(U))

    def _set_winners(self, U, climbs):
        """The winners at ``U``; returns prices."""
        total = 0.0
        for rows, H in self._products(U):
            values, self.winners[rows, climbs] = self._largest(H)
            total = total + self._sums(rows, values)
        return total

    def _take_prices(self, prices, climbs):
        if len(climbs):
            self.best[climbs] = np.linalg.norm(prices.reshape(len(climbs), -1), axis=1)
            sizes = np.where(self.best[climbs] > 0, self.best[climbs], 1.0)
            self.Q[climbs] = prices / sizes[:, None, None]

    def _pull(self, rows, climbs):
        """Of every group of some rows, (r, k, groups)."""
        pull = np.einsum("rc,kgc->rkg", self.R[rows], self.Q[climbs], optimize=True)
        return pull @ self.table.shares.T

    def _pulled(self, climbs):
        """``g`` of every climb."""
        total = np.zeros((len(climbs), self.table.n_columns))
        for rows, A in self.table.blocks(len(climbs)):
            winners = self.winners[rows, climbs]
            weights = np.zeros((len(A), len(climbs), self.table.n_positions))
            pull = np.where(winners >= 0, self._pull(rows, climbs), 0.0)
            row, climb, group = np.nonzero(winners >= 0)
            weights[row, climb, winners[row, climb, group]] = pull[row, climb, group]
            total += (weights @ A).sum(axis=0)
        return total

    # ------------------------------------------------------------------ projections

    def _projected(self, g, climbs):
        """Projections of ``g``, the walls that hold them, and which are finished."""
        p = self.table.n_columns
        walls = [_Walls(p) for _ in climbs]
        V, todo = g.copy(), np.arange(len(climbs))
        self._join(
            walls, self._violated(self.U[climbs], climbs, int(_NEAREST * p), -np.inf), climbs
        )
        for k in todo:
            V[k] = walls[k].project(g[k])
        finished = np.zeros(len(climbs), dtype=bool)
        for _ in range(self.sweeps):
            most = max(1, int(_JOINING * p))
            limits = _VIOLATED * np.maximum(np.linalg.norm(V[todo], axis=1), 1e-300)
            found = self._violated(V[todo], climbs[todo], most, limits)
            some = [walls[k] for k in todo]
            joined = self._join(some, found, climbs[todo])
            finished[todo[joined == 0]] = True
            todo = todo[joined > 0]
            if not len(todo):
                break
            for k in todo:
                V[k] = walls[k].project(g[k])
        return V, walls, finished

    def _violated(self, V, climbs, most, limits):
        """For each climb the places of the walls that ``V`` is farthest beyond, (k, <= most, 3).

        Of each group the worst rival, or with limits of -inf the nearest one, not its winner.
        """
        limits = np.broadcast_to(limits, len(V))
        near = np.all(np.isinf(limits))
        found = [[] for _ in V]
        for rows, H in self._products(V):
            winners = self.winners[rows, climbs]
            inside = winners >= 0
            at = np.where(inside, np.take_along_axis(H, np.maximum(winners, 0), 2), 0.0)
            if near:
                H = H.copy()
                row, climb, group = np.nonzero(inside)
                H[row, climb, winners[row, climb, group]] = -np.inf
            excess, rivals = self._worst_rivals(H, winners, near)
            excess = excess - at
            for k in range(len(V)):
                flat = excess[:, k].ravel()
                index = np.flatnonzero(flat > limits[k])
                if len(index) > most:
                    index = index[np.argpartition(-flat[index], most)[:most]]
                row, group = np.divmod(index, excess.shape[2])
                rival = rivals[row, k, group]
                found[k].append(np.column_stack([flat[index], row + rows.start, group, rival]))
        chosen = []
        for parts in found:
            every = np.concatenate(parts)
            order = np.argsort(-every[:, 0], kind="stable")[:most]
            chosen.append(every[order, 1:].astype(np.int64))
        return chosen

    def _worst_rivals(self, H, winners, near):
        """The largest product of a rival in each group, zero among them, and which it is."""
        top, where = self._top(H)
        zero = (top < 0) & ~(near & (winners < 0))
        return np.where(zero, 0.0, top), np.where(zero, -1, where)

    def _join(self, walls, found, climbs):
        """How many of the walls found are new, for every climb."""
        counts = np.zeros(len(walls), dtype=int)
        for k, (one, places) in enumerate(zip(walls, found, strict=True)):
            if len(places):
                row, group, rival = places.T
                winner = self.winners[row, climbs[k], group]
                normals = self.table.of_places(row, winner) - self.table.of_places(row, rival)
                counts[k] = one.join(places, normals)
        return counts

    # ------------------------------------------------------------------ crossing

    def _crossed(self, climb, walls):
        """Let groups pass to the rivals that they would rather have; were there any?"""
        if not len(walls.places):
            return False
        row, group, rival = walls.places.T
        winner = self.winners[row, climb, group]
        normals = self.table.of_places(row, winner) - self.table.of_places(row, rival)
        multipliers = walls.multipliers / np.linalg.norm(normals, axis=1)
        pull = np.einsum("wc,gc->wg", self.R[row], self.Q[climb])
        pull = np.einsum("wg,wg->w", pull, self.table.shares[group])
        _, owner = np.unique(np.column_stack([row, group]), axis=0, return_inverse=True)
        owner = owner.ravel()
        gain = np.bincount(owner, weights=multipliers)[owner] + pull
        across = gain > _LEAST_GAIN * np.abs(pull).max()
        order = np.argsort(multipliers[across], kind="stable")  # of several the last one stays
        for k in np.flatnonzero(across)[order]:
            self.winners[row[k], climb, group[k]] = rival[k]
        return bool(across.any())
