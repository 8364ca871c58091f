"""Pricing of convolutions: filters that violate the dual constraint most, window by window.

A program with several windows has a dual constraint for every filter of each: its largest price is
the largest of all.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from sklearn_convexnn.core.pricing.exact import ExactPricing
from sklearn_convexnn.core.pricing.patch_table import PatchTable
from sklearn_convexnn.core.pricing.pooled_proofs import (
    n_arcs,
    plane_of,
    price_in_plane,
    prove_pooled_price,
)
from sklearn_convexnn.core.pricing.pooled_walls import cross_pooled_walls
from sklearn_convexnn.core.pricing.proofs import prove_price
from sklearn_convexnn.core.pricing.screened import ScreenedPricing, screens
from sklearn_convexnn.core.pricing.search import SearchPricing
from sklearn_convexnn.core.problem.directions import (
    Prices,
    joined,
    normalise,
    random_starts,
    select_diverse,
)

# Arcs times patches that exact prices in a plane may take, a second or so.
_MAX_PLANE_WORK = 1 << 27
# Numbers in all patches up to which prices are proven.
_MAX_PROOF_SIZE = 1 << 20
# Cones of all proofs of a solve, about four seconds.
_PROOF_NODES = 600_000
# Products of one pass of all climbs together.
_PASS_WORK = 1 << 31
# Numbers in all patches from which on a light search takes a few passes over them at most: one turn
# and so many projections, ended or not.  A climb to its end is a hundred passes.
_MANY, _FEW_SWEEPS = 1 << 25, 4


def convolution_pricing(rows, rng, dtype):
    """Exact pricing where the patches of all windows lie in planes, local search otherwise."""
    rows = rows.with_dtype(np.float64)
    tables = [PatchTable(rows, window) for window in range(len(rows.neurons.blocks))]
    bases = [_cheap_plane(table) for table in tables]
    if all(basis is not None for basis in bases):
        return PooledPlanePricing(tables, bases)
    search = PatchPricing(rng, tables, dtype=dtype)
    return ScreenedPricing(search) if screens(rows) else search


def _cheap_plane(table):
    patches = table.n_rows * table.n_positions
    if table.n_columns > 2 and patches * table.n_columns > _MAX_PROOF_SIZE:
        return None
    if n_arcs(table) * patches > _MAX_PLANE_WORK:
        return None
    return plane_of(table)


class PooledPlanePricing(ExactPricing):
    """Every arc between the kinks of patches of rank 1 or 2: the exact largest price."""

    def __init__(self, tables, bases, n_kept=1000):
        self.tables, self.bases, self.n_kept = tables, bases, n_kept

    def __call__(self, rows, R, network, *, effort, known=None):
        residual = rows.fetch(R)
        U = [
            table.embedded(price_in_plane(table, residual, basis))
            for table, basis in zip(self.tables, self.bases, strict=True)
        ]
        found = _priced(rows, R, np.concatenate(U))
        return Prices(*(part[: self.n_kept] for part in found))

    def seeds(self, rows, R, count):
        """The best directions: there are few to choose from."""
        return select_diverse(self(rows, R, None, effort=0), count, max_cosine=0.9)


class PatchPricing(SearchPricing):
    """Local search for filters, whose best ones are climbed from across kinks to the last digit.

    Parameters
    ----------
    rng : numpy Generator
    tables : list of PatchTable
        Of every window.
    dtype : dtype
        Of the search before the climbs.
    """

    # Filters that are climbed from, and turns of a climb, by effort.
    climbed, turns = (0, 12, 48, 128), (0, 4, 40, 40)

    def __init__(self, rng, tables, *, dtype=np.float64):
        super().__init__(rng, dtype=dtype)
        self.tables, self.nodes_left = tables, _PROOF_NODES

    @property
    def _neurons(self):
        return self.tables[0].rows.neurons

    def _random(self, count, rows):
        """As many of every window."""
        share = -(-count // len(self.tables))
        parts = [
            table.embedded(random_starts(self.rng, share, table.n_columns)) for table in self.tables
        ]
        return np.concatenate(parts)

    def _on_kinks(self, rows, R, found, effort):
        cosine = 0.98 if effort < 3 else 0.999
        best = select_diverse(found, self.climbed[effort], max_cosine=cosine).directions
        windows, residual = self._neurons.window_of(best), rows.fetch(R)
        ends = []
        for k, table in enumerate(self.tables):
            some = best[windows == k][:, table.columns]
            work = table.n_rows * table.n_positions * table.n_columns
            some = some[: max(4, _PASS_WORK // work)]
            limits = {"turns": self.turns[effort]}
            if effort == 1 and work > _MANY:
                limits = {"turns": 1, "sweeps": _FEW_SWEEPS}
            ends.append(table.embedded(cross_pooled_walls(table, residual, some, **limits)))
        return joined(_priced(rows, R, np.concatenate(ends)), found)

    # ------------------------------------------------------------------ proofs

    @cached_property
    def _provable(self):
        sizes = [t.n_rows * t.n_positions * t.n_columns for t in self.tables]
        one = self.tables[0].rows.n_weights == 1
        return one and sum(sizes) <= _MAX_PROOF_SIZE

    @cached_property
    def _flat(self):
        return [table.flat() for table in self.tables]

    def prove(self, rows, R, goal):
        """An upper bound of the largest price and a direction, if that takes seconds at most.

        A bound of ``goal`` is enough.
        """
        if not self._provable or self.nodes_left <= 0:
            return None
        residual, bounds = rows.fetch(R)[:, 0], []
        for k, table in enumerate(self.tables):
            if table.largest:
                proof = prove_pooled_price(table, residual, goal, self.nodes_left)
            else:
                # The mean of ReLUs is a sum of ReLUs of patches, equal ones of which are one row.
                flat, of_patch = self._flat[k]
                pull = np.repeat(residual / table.n_positions, table.n_positions)
                pull = np.bincount(of_patch, weights=pull)[:, None]
                proof = prove_price(flat.dense(), pull, goal, self.nodes_left)
            if proof is None:
                return None
            upper, direction, n_nodes = proof
            self.nodes_left -= n_nodes
            bounds.append((upper, table.embedded(direction[None])[0]))
        return max(bounds, key=lambda bound: bound[0])

    def widen(self):
        """Searches have one width."""


def _priced(rows, R, U):
    U = normalise(U)
    V = rows.prices(U, R)
    return joined(Prices(U, V, np.linalg.norm(V, axis=1)))
