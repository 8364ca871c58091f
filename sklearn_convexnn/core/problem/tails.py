"""Tails of columns on a logarithmic scale, so that few far values do not rule a network.

A price ``<r, relu(X u)>`` is a sum over rows of products with ``|x|``: a row at 20 standard
deviations counts as much as hundreds of others, and neurons are spent on it.
"""

from __future__ import annotations

import numpy as np


def compressed(z, start):
    """``sign(z) (start + log(1 + |z| - start))`` beyond ``start``, ``z`` itself before it.

    The derivative is continuous: 1 up to ``start``, ``1 / (1 + |z| - start)`` from there on.
    """
    return _with_tails(np.log1p, z, start)


def expanded(t, start):
    """The numbers that :func:`compressed` makes ``t`` of."""
    return _with_tails(np.expm1, t, start)


def _with_tails(function, z, start):
    """Sizes beyond ``start`` become ``start`` plus ``function`` of what is beyond."""
    size = np.abs(z)
    beyond = np.maximum(size - start, 0)
    return np.sign(z) * (np.minimum(size, start) + function(beyond))
