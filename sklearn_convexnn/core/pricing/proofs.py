"""Which bound of the largest price to prove, and what it took: the choice between the methods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_convexnn.core.patterns.enumeration import reduce_rank
from sklearn_convexnn.core.patterns.spike_free import is_spike_free
from sklearn_convexnn.core.pricing.branch_and_bound import bound_price
from sklearn_convexnn.core.pricing.enumeration import (
    n_patterns_at_most,
    price_by_enumeration,
    price_of_spike_free,
)
from sklearn_convexnn.core.pricing.upper_bounds import rounding, semidefinite_bound, spectral_bound

# Orthants are 2^p cones: beyond this rank branch and bound has no time to get anywhere.
MAX_BRANCHING_RANK = 10
# Ranks at which it often takes no longer than a thorough search.
QUICK_RANK = 6
# Sizes up to which the semidefinite program takes seconds.
_MAX_SEMIDEFINITE_RANK = 50
_MAX_SEMIDEFINITE_ROWS = 5000
# Rows up to which spike-freeness, which costs n^3, is looked at.
_MAX_SPIKE_FREE_ROWS = 1000


@dataclass(frozen=True)
class ProvenPrice:
    """An upper bound of ``kappa(R)`` with its kind and how it was obtained."""

    upper: float
    kind: str  # "exact" or "proven"
    reason: str


@dataclass(frozen=True)
class Limits:
    """How much work a proof may take."""

    max_patterns: int
    max_nodes: int
    time_limit: float


def exact_price(A, R, max_patterns):
    """``kappa(R)`` by enumeration or for spike-free rows; None if neither is possible.

    The bound is raised by what rounding, and the neglect of rows' directions below the numerical
    rank, can have taken from it.
    """
    if R.shape[1] == 1 and len(A) <= _MAX_SPIKE_FREE_ROWS and is_spike_free(A):
        upper = price_of_spike_free(A, R[:, 0]) + rounding(A, R)
        return ProvenPrice(upper, "exact", "the rows are spike-free")
    n_patterns = n_patterns_at_most(A)
    if n_patterns > max_patterns:
        return None
    reduced, neglected, _ = _coordinates(A, R)
    upper = price_by_enumeration(reduced, R) + rounding(A, R) + neglected
    return ProvenPrice(upper, "exact", f"all activation patterns, at most {n_patterns}")


def relaxed_price(A, R, goal, limits, found):
    """The least of the proven upper bounds of ``kappa(R)``.

    ``goal`` is the bound at which to stop, ``found`` a price that a search has found.  Several
    outputs are bounded one by one, ``kappa(R)^2 <= sum_c kappa(R q_c)^2`` for any orthonormal
    ``q_c``: proven, but up to the root of their number above the truth.
    """
    reduced, neglected, _ = _coordinates(A, R)
    if R.shape[1] == 1:
        upper, reason = _one_output(reduced, R[:, 0], goal, limits)
        return ProvenPrice(upper + neglected, "proven", reason)
    _, sizes, axes = np.linalg.svd(R, full_matrices=False)
    axes = axes[sizes > 1e-12 * sizes[0]] if sizes[0] > 0 else axes[:0]
    left_out = np.linalg.norm(R - R @ axes.T @ axes) * np.linalg.norm(A, 2)
    share = Limits(
        limits.max_patterns,
        limits.max_nodes // max(1, len(axes)),
        limits.time_limit / max(1, len(axes)),
    )
    # A tenth of the price of all outputs is soon small beside the others.
    each = [_one_output(reduced, R @ q, 0.1 * found, share)[0] for q in axes]
    combined = float(np.linalg.norm(each)) + left_out
    spectral = spectral_bound(reduced, R)
    reason = "outputs bounded one by one: the true value may be far lower"
    if spectral < combined:
        reason = "spectral norms: the true value may be far lower"
    return ProvenPrice(min(spectral, combined) + neglected, "proven", reason)


def prove_price(A, R, goal, max_nodes):
    """Branch and bound where it is quick: a bound of ``kappa(R)``, a direction, and the cones used.

    None for several outputs or a rank beyond ``QUICK_RANK``.
    """
    if R.shape[1] > 1 or A.shape[1] > MAX_BRANCHING_RANK:
        return None
    reduced, neglected, basis = _coordinates(A, R)
    if not 0 < reduced.shape[1] <= QUICK_RANK:
        return None
    result = bound_price(reduced, R[:, 0], goal=goal, max_nodes=max_nodes)
    return result.upper + neglected, basis @ result.direction, result.n_nodes


def _one_output(A, r, goal, limits):
    """The least upper bound for one output and how it was obtained."""
    n, rank = A.shape
    bounds = [(spectral_bound(A, r[:, None]), "spectral bound")]
    if bounds[0][0] > goal and rank <= _MAX_SEMIDEFINITE_RANK and n <= _MAX_SEMIDEFINITE_ROWS:
        bounds.append((semidefinite_bound(A, r), "semidefinite relaxation"))
    if min(bounds)[0] > goal and 0 < rank <= MAX_BRANCHING_RANK:
        result = bound_price(
            A, r, goal=goal, max_nodes=limits.max_nodes, time_limit=limits.time_limit
        )
        end = "to its goal" if result.finished else "stopped by its limits"
        reason = f"branch and bound, {result.n_nodes} cones in rank {rank}, {end}"
        bounds.append((result.upper, reason))
    return min(bounds)


def _coordinates(A, R):
    """Rows in a basis of their span, a bound of the prices of what is not in it, and the basis."""
    reduced, basis = reduce_rank(A)
    if reduced.shape[1] == A.shape[1]:
        return reduced, 0.0, basis
    rest = np.linalg.norm(A - reduced @ basis.T, 2) if A.size else 0.0
    return reduced, float(rest * np.linalg.norm(R)), basis
