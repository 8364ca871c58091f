"""Losses with a kink: the kink is rounded, less and less, until the gap does not see it.

The rounded hinge of width ``h`` is below the hinge, and its residuals are feasible for the dual of
the hinge, where they are worth more.  So every network has a duality gap for the hinge itself, and
what rounding adds to it can be computed: at most ``h / 4`` times the weight of the rows on the
rounded part.  A few widths, each solved from the network of the one before, replace the conic
program of all patterns.
"""

from __future__ import annotations

from dataclasses import replace

from sklearn_convexnn.core.fit.path import solve_path
from sklearn_convexnn.core.problem.constant import constant_network
from sklearn_convexnn.core.problem.solution import Start, Status

# The first width, in margins; how fast widths shrink, at least and at most; the smallest.
_FIRST_WIDTH = 1.0
_SHRINK = 0.3, 0.5
_LAST_WIDTH = 1e-7
# The gap that the first width is solved to if one is asked for.
_FIRST_GAP = 0.1
# The share of the gap that rounding may have.
_SHARE = 0.5


def solve_rounded(rows, alpha, pricing, *, options, start=None, progress=None):
    """Solve (P) for one ``alpha`` and a loss with a kink.

    Parameters are those of :func:`~sklearn_convexnn.core.column_generation.loop.solve`.

    Returns
    -------
    Solution
        Its certificate is about the loss with its kink, and so is the last row of its history for
        each width; the rows between are about the rounded loss.
    """
    goal = options.tol if options.gap_tol is None else options.gap_tol
    # First-order refits take as many more steps as the rounded kink is narrow.
    inner = replace(options, newton=True)
    width, n_iter, history, expected = _FIRST_WIDTH, 0, {}, _FIRST_GAP
    while True:
        rounded = rows.with_loss(rows.loss.smoothed(width))
        if start is None:
            start = Start(constant_network(rounded))
        stage = replace(inner, max_iter=options.max_iter - n_iter)
        if options.gap_tol is not None:
            # No more accurate than the next width leaves it.
            stage = replace(stage, gap_tol=_SHARE * max(goal, expected))
        (solution,) = solve_path(
            rounded, [alpha], pricing, options=stage, start=start, progress=_later(progress, n_iter)
        )
        n_iter += solution.n_iter
        for name, values in solution.history.items():
            history.setdefault(name, []).extend(values)
        certificate, added = _unrounded(rows, rounded, solution)
        allowed = _SHARE * goal * certificate.primal
        history["objective"][-1] = certificate.primal
        history["lower_bound"][-1] = certificate.lower_bound
        history["dual_gap"][-1] = certificate.relative_gap
        ended = solution.status in (Status.MAX_ITER, Status.SLOW, Status.INTERRUPTED)
        reached = certificate.relative_gap <= goal
        if options.gap_tol is None:
            reached = added <= allowed
        if ended or reached or width <= _LAST_WIDTH or n_iter >= options.max_iter:
            break
        shrink = min(max(_SHRINK[0], 0.7 * allowed / max(added, allowed)), _SHRINK[1])
        width, expected = shrink * width, shrink * added / certificate.primal
        start = solution.end
    status = solution.status
    if certificate.relative_gap <= goal:
        status = Status.GAP
    elif status is Status.GAP:  # that of the rounded loss
        status = Status.PROGRESS if options.gap_tol is None else Status.MAX_ITER
    return replace(solution, certificate=certificate, status=status, n_iter=n_iter, history=history)


def _unrounded(rows, rounded, solution):
    """The certificate of a network for the loss with its kink, and what rounding adds to its gap.

    The residual is that of the rounded loss: feasible up to the same factor, as its price is.
    """
    network, before = solution.network, solution.certificate
    state, alpha = rows.evaluate(network), solution.alpha
    point = rows.dual_point(rounded.at(state.Z).residual)
    certificate = point.certify(state.objective(alpha), alpha, before.kappa, before.kind)
    return certificate, certificate.gap - before.gap


def _later(progress, n_iter):
    """Progress that counts the rounds of earlier widths."""
    if progress is None:
        return None
    return lambda number, row: progress(n_iter + number, row)
