"""Cosines and sines of signals and images that go on at their other end."""

from __future__ import annotations

import numpy as np


class Frequencies:
    """Cosines and sines of rows of a shape, an orthonormal basis.

    Attributes
    ----------
    vectors : ndarray of shape (n_groups, n_axes)
        One of each pair of frequencies ``f`` and ``-f``.
    basis : ndarray of shape (d, d)
        Its rows are the waves of unit length.
    group : ndarray of shape (d,)
        Of every wave.
    counts : ndarray of shape (n_groups,)
        Frequencies of each group, 1 or 2.
    """

    def __init__(self, shape):
        self.shape, d = shape, int(np.prod(shape))
        every = np.indices(shape).reshape(len(shape), d)
        opposite = np.ravel_multi_index(
            tuple(-axis % size for axis, size in zip(every, shape, strict=True)), shape
        )
        first = np.flatnonzero(np.arange(d) <= opposite)
        self.vectors = every[:, first].T
        self.counts = np.where(opposite[first] == first, 1, 2)
        transform = np.fft.fftn(np.eye(d).reshape(d, *shape), axes=range(1, len(shape) + 1))
        waves = transform.reshape(d, d)[:, first].T / np.sqrt(d)
        waves *= np.sqrt(self.counts)[:, None]
        pairs = np.flatnonzero(self.counts == 2)
        self.basis = np.concatenate([waves.real, waves.imag[pairs]])
        self.group = np.concatenate([np.arange(len(first)), pairs])
        # What the penalty charges for the length of a group, see factors().
        self.prices = np.sqrt(self.counts / d)


def factors(V, shape):
    """Filters ``u`` and weights ``c`` (m, *shape) with ``u * c = v``, as short as can be.

    ``||u||^2 = ||c||^2 = ||F v||_1 / sqrt(d)``, the prices of its groups times their lengths, for
    rows ``v`` of ``V`` (m, d), a unitary transform ``F`` and circular convolutions ``*``: in
    frequencies those are products, and the mean of two squares is least where they are equal.
    """
    axes, root = tuple(range(1, 1 + len(shape))), np.sqrt(np.prod(shape)) ** 0.5
    spectrum = np.fft.fftn(V.reshape(-1, *shape), axes=axes, norm="ortho")
    lengths = np.sqrt(np.abs(spectrum))
    phases = np.divide(spectrum, lengths, out=np.zeros_like(spectrum), where=lengths > 0)
    both = lengths / root, phases / root
    return tuple(np.fft.ifftn(one, axes=axes, norm="ortho").real for one in both)
