"""Which array library an array is of."""

from __future__ import annotations

from functools import singledispatch


@singledispatch
def namespace(A):
    """The array namespace of ``A``: elementwise kernels run wherever the rows live.

    Engines register those of arrays that do not say it themselves, such as torch's.
    """
    return A.__array_namespace__()
