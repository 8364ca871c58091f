"""The better of two gaps: that of the prices, and that of the complete arrangement."""

from __future__ import annotations

from dataclasses import replace

from sklearn_convexnn.core.problem.certificates import Certificate
from sklearn_convexnn.core.problem.solution import Status

# Gaps that differ by less are one gap, and the proven one is worth more.
_SAME = 1e-9


def with_lower_bound(problem, solution, goal):
    """The Solution with the better of its two certificates, and the proven one.

    Where it is proven that one half-space attains the goal, the status says so.
    """
    own = solution.certificate
    bound = problem.lower_bound(solution).bound
    proven = complete = Certificate(own.primal, bound, own.kappa, "proven", own.size)
    if own.kind == "exact" and own.dual > bound:
        # Exact prices prove more than any pattern can.
        proven = replace(own, kind="proven")
    if own.kind == "estimated" and proven.relative_gap <= own.relative_gap + _SAME:
        history = dict(solution.history)
        for name, value in (
            ("dual_gap", proven.relative_gap),
            ("lower_bound", proven.lower_bound),
        ):
            history[name] = [*history[name][:-1], value]
        solution = replace(solution, certificate=proven, history=history)
    if solution.network.n_neurons == 1 and complete.relative_gap <= goal:
        solution = replace(solution, status=Status.SEPARABLE)
    return solution, proven
