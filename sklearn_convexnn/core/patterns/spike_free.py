"""Spike-free rows: those whose positive parts are images of the unit ball again.

A matrix ``A`` is spike-free if for every ``u`` in the unit ball there is a ``w`` in it with
``(A u)_+ = A w``.  Then two neurons, both active on all rows on which they are not zero, are as
good as any number, and the training problem of one output is an ordinary convex program.
"""

from __future__ import annotations

import numpy as np

# Rows whose cosine is closer to 1 are positive multiples of one another.
_PARALLEL = 1e-12
_RANK = 1e-10


def is_spike_free(A):
    """Whether the rows of ``A`` (n, p) are spike-free, exactly up to rounding, in O(n^3).

    After zero rows are left out and rows that are positive multiples of one another merged, ``A``
    is spike-free if and only if the remaining rows are linearly independent and ``(A A^T)^{-1}``
    has no positive entry off its diagonal.

    For full row rank: the least-norm ``w`` with ``A w = q`` has squared norm ``q^T G q`` with
    ``G = (A A^T)^{-1}``, so the condition is ``q_+^T G q_+ <= q^T G q`` for all ``q``, that is
    ``q_-^T G q_- >= 2 q_+^T G q_-`` for non-negative vectors of disjoint supports; as ``q_+`` may
    be scaled up, ``q_+^T G q_- <= 0``.
    """
    lengths = np.linalg.norm(A, axis=1)
    A = A[lengths > 0] / lengths[lengths > 0, None]
    A = _without_parallel(A)
    n, p = A.shape
    if n > p:
        return False
    if n == 0:
        return True
    sizes = np.linalg.svd(A, compute_uv=False)
    if sizes[-1] <= _RANK * sizes[0]:
        return False
    inverse = np.linalg.inv(A @ A.T)
    off_diagonal = inverse - np.diag(np.diag(inverse))
    return bool(off_diagonal.max() <= _RANK * np.abs(inverse).max())


def _without_parallel(A):
    """One of each set of unit rows with the same direction; no more than p + 1 of them."""
    kept = []
    for row in A:
        if len(kept) > A.shape[1]:
            break
        if not kept or np.max(np.array(kept) @ row) < 1 - _PARALLEL:
            kept.append(row)
    return np.array(kept).reshape(-1, A.shape[1])
