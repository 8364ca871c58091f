"""Networks of very many rows grown on samples of them.

What rounds are about at first, which neurons there are and roughly where, a few of the rows say as
well as all.  So the rounds before the last stage run on samples, each several times as large as the
one before, and only that stage, which is the ordinary solve, reads all rows.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.column_generation.loop import solve
from sklearn_convexnn.core.column_generation.slide_phase import SlidePhase
from sklearn_convexnn.core.pricing.screened import LEAST_ROWS
from sklearn_convexnn.core.problem.alphas import SCALE_FRACTION
from sklearn_convexnn.core.problem.constant import constant_network
from sklearn_convexnn.core.problem.solution import Start, Status

# Rows of the first sample, and how much larger the next is.
FIRST_ROWS, FACTOR = 10_000, 5
# The least decrease of a round of a sample.  Its last neurons fit the sample and stay in the way of
# better ones: from 20 000 rows to 1e-2 default fits of 1e5 x 50 rows ended up to 3 % above those
# without samples (four seeds, 0.8 % in the mean), from 10 000 to 5e-2 all of them below, by 0.7 %.
SAMPLE_TOL = 5e-2
# Of all rows a sample is at most this part.
_LARGEST_SHARE = 0.5
# Rows of a sample for each column: forty neurons have a fifth of that in numbers.
_ROWS_PER_COLUMN = 200
# Convolutions learn from every position of a row, and a pass over a row is one over all of them: so
# many rows are the first sample at least, and each is the same part of the next, the last of all
# rows.  (10 000 images of 28 x 28, alpha="scale": 312 s through 400 and 2 000 rows, 59 of them for
# these; a round on half of all rows takes 30.)
FIRST_IMAGES = 400
# Bytes of its features: beyond, memory would grow with rows that are on disk.
_MOST_BYTES = 1 << 27
# Mean of an indicator below which samples say too little of its class.
_RARE = 1e-3


def grows(rows, pricing):
    """Whether a network of these rows begins with samples."""
    searched = pricing.kind == "estimated" and pricing.metric.trivial
    return searched and rows.loss.smooth


def sample_sizes(rows):
    """Sizes of the samples, ascending; empty where all rows are few for their columns."""
    if _has_rare_targets(rows):
        return []
    most, sizes = int(min(_LARGEST_SHARE * rows.n_rows, _MOST_BYTES / (4 * rows.n_features))), []
    if rows.neurons.shares() is not None:  # a row has several inputs
        return sizes_from_above(min(most, rows.n_rows // FACTOR), FIRST_IMAGES)
    first = max(FIRST_ROWS, _ROWS_PER_COLUMN * rows.n_columns)
    if rows.n_rows < LEAST_ROWS or first > most:
        return []
    factor = FACTOR if rows.loss.quadratic else _even_factor(rows.n_rows / first)
    while round(first) <= most:
        sizes.append(round(first))
        first *= factor
    return sizes


def _even_factor(ratio):
    """The largest factor up to that of samples whose powers lead from one to ``ratio``.

    Rounds of the squared error are few on all rows.  Those of other losses are many, and a sample
    of nearly ``FACTOR`` times fewer rows spares some: two classes of 1e5 x 50 rows, 31 937 after
    10 200 and not all at once, are as far three rounds earlier, of which each takes as long as all
    of that sample.
    """
    return ratio ** (1.0 / np.ceil(np.log(ratio) / np.log(FACTOR) - 1e-9))


def sizes_from_above(most, least):
    """Sizes, ascending, each the same part of the next, from ``least`` at least up to ``most``."""
    sizes = []
    while most >= least:
        sizes.append(most)
        most //= FACTOR
    return sizes[::-1]


def _has_rare_targets(rows):
    """Do a few rows only say where outputs end?"""
    if not (rows.loss.probabilities or rows.loss.positive_targets):
        return False
    mean = rows.mean_target()
    return bool(np.any(mean < _RARE) or (rows.loss.probabilities and np.any(mean > 1 - _RARE)))


def grown(
    rows,
    alpha,
    alpha_max,
    pricing_of,
    sizes,
    *,
    options,
    progress=None,
    fraction=SCALE_FRACTION,
    phase=SlidePhase,
):
    """Where a solve for ``alpha`` goes on after those of samples, and whether they were ended.

    The alpha of a sample is at least what "scale" is for so many rows, or its network would have
    neurons that fit its noise.

    Parameters
    ----------
    rows, options, progress, phase
        As for :func:`~sklearn_convexnn.core.column_generation.loop.solve`; the options are those of
        a sample, and rows of its progress have its ``n_rows``.
    alpha, alpha_max : float
        In working units.
    pricing_of : callable
        The pricing of a sample.
    sizes : list of int
        Rows of the samples, ascending; not empty.
    fraction : float
        ``alpha="scale"`` in parts of ``alpha_max`` over the root of the number of rows.

    Returns
    -------
    start : Start
    interrupted : bool
        Whether the progress asked for an end.
    """
    start = None
    for size in sizes:
        sample = rows.sample(size, options.dtype)
        solution = solve(
            sample,
            max(alpha, fraction * alpha_max / np.sqrt(size)),
            pricing_of(sample),
            options=options,
            start=start or Start(constant_network(sample)),
            confirm=False,
            progress=_of_sample(progress, size),
            phase=phase,
        )
        if solution.keyboard:
            raise KeyboardInterrupt
        # Prices of a sample are not those of more rows.
        start = Start(solution.network, width=solution.end.width)
        if solution.status is Status.INTERRUPTED:
            return start, True
    return start, False


def interrupt(n_iter, row):
    """Progress that ends a solve after the one round that a certificate of all rows takes."""
    return True


def _of_sample(progress, size):
    if progress is None:
        return None
    return lambda n_iter, row: progress(n_iter, row | {"n_rows": size})
