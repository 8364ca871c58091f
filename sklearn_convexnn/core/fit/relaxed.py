"""A refit of the neurons that a larger alpha has found, none added.

What a penalty selects well it shrinks too much: the relaxed lasso (Meinshausen 2007) takes the
variables of one penalty and refits them at a smaller one.  Here the neurons of one alpha slide and
are refitted at another, which leaves at most as many as there were.
"""

from __future__ import annotations

from dataclasses import replace

from sklearn_convexnn.core.column_generation.loop import solve
from sklearn_convexnn.core.problem.solution import Start


def relaxed(rows, network, alpha, pricing, *, options, confirm=True, progress=None):
    """Slide and refit the neurons of ``network`` at a smaller ``alpha``.

    Its rounds end with one that gains little: the gap refers to networks of every width, and a
    narrow one seldom closes it.  Parameters are those of
    :func:`~sklearn_convexnn.core.column_generation.loop.solve`.

    Returns
    -------
    Solution
    """
    options = replace(
        options,
        gap_tol=None,
        max_neurons=max(1, network.n_neurons),
        first_neurons=0,
        new_neurons=0,
        crossing=False,
        program=False,
    )
    # Far from the alpha of the network its neurons have a long way to go.
    start = Start(network, width=options.first_width)
    return solve(
        rows, alpha, pricing, options=options, start=start, confirm=confirm, progress=progress
    )
