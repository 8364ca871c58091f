"""The regularisation path: one problem for descending alphas, each solve from the one before.

A small step in alpha moves the network little: the neurons found so far, refitted, are nearly
optimal, and one round usually does what a solve from the constant network needs ten for.  A single
fit is a path of one alpha.
"""

from __future__ import annotations

from sklearn_convexnn.core.column_generation.loop import solve
from sklearn_convexnn.core.problem.constant import constant_network
from sklearn_convexnn.core.problem.solution import Start, Status


def solve_path(
    rows, alphas, pricing, *, options, start=None, last=True, progress=None, enough=None
):
    """Solve (P) for every one of ``alphas``, descending; yields their Solutions.

    The solves on the way stop without confirmation unless a duality gap is asked for: their
    networks are starts first of all.  The last alpha is solved like a single one.

    Parameters
    ----------
    rows, pricing, options, progress, enough
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
            rows,
            alpha,
            pricing,
            options=options,
            start=start,
            confirm=confirm,
            progress=progress,
            enough=enough,
        )
        yield solution
        if solution.status is Status.INTERRUPTED:
            return
        start = solution.end
