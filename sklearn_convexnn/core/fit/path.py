"""The regularisation path: one problem for descending alphas, each solve from the one before.

A small step in alpha moves the network little: the neurons found so far, refitted, are nearly
optimal, and one round usually does what a solve from the constant network needs ten for.  A single
fit is a path of one alpha.
"""

from __future__ import annotations

from sklearn_convexnn.core.column_generation.loop import solve
from sklearn_convexnn.core.fit.mean import mean_network
from sklearn_convexnn.core.problem.constant import constant_network
from sklearn_convexnn.core.problem.solution import Start, Status

# Joining the neurons of five networks at this angle (radians) left half as many as one of them has,
# and the next solve found what was missing (eight data sets).  At 0.6 that solve ended 0.4 % lower
# with a fifth more neurons.
_MIXTURE_ANGLE = 1.0


def solve_path(rows, alphas, pricing, *, options, start=None, last=True, progress=None):
    """Solve (P) for every one of ``alphas``, descending; yields their Solutions.

    The solves on the way stop without confirmation unless a duality gap is asked for: their
    networks are starts first of all.  The last alpha is solved like a single one.

    Parameters
    ----------
    rows, pricing, options, progress
        As for :func:`~sklearn_convexnn.core.column_generation.loop.solve`.
    alphas : sequence of float
    start : Start, optional
        Where to begin: the ``end`` of a solution for a larger alpha, or the constant network.
    last : bool
        Whether the last of ``alphas`` is that of the path; else it goes on from there.

    Yields
    ------
    Solution
    """
    start = start or Start(constant_network(rows))
    for k, alpha in enumerate(alphas):
        confirm = options.gap_tol is not None or (last and k == len(alphas) - 1)
        solution = solve(
            rows, alpha, pricing, options=options, start=start, confirm=confirm, progress=progress
        )
        yield solution
        if solution.status is Status.INTERRUPTED:
            return
        start = solution.end


def mixture(networks, angle=_MIXTURE_ANGLE):
    """The mean of networks as the start of a solve on the rows of all of them.

    Neurons within ``angle`` of each other become one: each of the networks has its own picture of a
    neuron.
    """
    return mean_network(networks).condensed(angle)
