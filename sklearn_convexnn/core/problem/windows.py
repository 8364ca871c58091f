"""Which places of a signal or an image the windows of a convolution see.

A row is an array of shape ``(*space, channels)``, written out in C order.  A window takes some
places along every space axis, ``dilation`` apart, with all channels.  Several windows share their
positions: each lies in the middle of the extent of all of them, so that a position means the same
place for every filter.  Positions are put in *cells*, over each of which activations are pooled.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np


@dataclass(frozen=True)
class Windows:
    """Windows of a row, position by position, those of a cell of the first grid side by side.

    Parameters
    ----------
    index : tuple of ndarrays of shape (h_b, K)
        For each window the places in the row of its ``h_b`` entries at every position; beyond the
        border, where the row is zero, the number of features.
    cells : tuple of slices or ndarrays
        The positions of every cell.
    shapes : tuple of tuples
        Of the windows, ``(*space, channels)``.
    centres : ndarray of shape (K, n_space)
        Where positions are.
    counts : tuple
        Positions along every space axis.
    order : ndarray of shape (K,)
        Numbers of the positions in C order.
    grid : tuple
        Cells along every space axis; of several grids the number of all cells.
    n_features : int
    """

    index: tuple
    cells: tuple
    shapes: tuple
    centres: np.ndarray
    counts: tuple
    order: np.ndarray
    grid: tuple
    n_features: int

    @property
    def n_positions(self):
        return self.index[0].shape[1]

    @property
    def n_cells(self):
        return len(self.cells)

    @property
    def positions(self):
        """The positions of every cell, as arrays."""
        return [np.arange(self.n_positions)[cell] for cell in self.cells]

    @classmethod
    def of(cls, space, channels, patches, dilations, *, strides, padding, grids):
        """Windows of rows of shape ``(*space, channels)``.

        Parameters
        ----------
        space, strides : tuple of int
        channels : int
        patches, dilations : list of tuples of int
            Of every window, along every space axis.
        padding : tuple of int or "same"
            Zeros beyond either border; "same": a position at every place.
        grids : list of tuples of int or None
            Cells along every space axis; None: every position is one. Cells of several grids
            overlap.
        """
        extents = np.array(
            [
                [(size - 1) * step + 1 for size, step in zip(*one, strict=True)]
                for one in zip(patches, dilations, strict=True)
            ]
        )
        largest = extents.max(axis=0)
        before = (largest - 1) // 2 if padding == "same" else np.array(padding)
        after = largest - 1 - before if padding == "same" else before
        first = [
            np.arange(-a, size + b - extent + 1, stride)
            for a, b, size, extent, stride in zip(
                before, after, space, largest, strides, strict=True
            )
        ]
        counts = tuple(len(one) for one in first)
        grids = [counts if grid is None else grid for grid in grids]
        labels = _labels(counts, grids[0])
        order = np.argsort(labels, kind="stable")
        bounds = np.searchsorted(labels[order], np.arange(int(np.prod(grids[0])) + 1)).tolist()
        cells = [slice(start, stop) for start, stop in pairwise(bounds)]
        for grid in grids[1:]:
            labels = _labels(counts, grid)[order]
            cells += [np.flatnonzero(labels == g) for g in range(int(np.prod(grid)))]
        starts = np.array(list(product(*first)))[order]
        index = tuple(
            _places(starts + (largest - extent) // 2, patch, dilation, space, channels)
            for patch, dilation, extent in zip(patches, dilations, extents, strict=True)
        )
        shapes = tuple((*patch, channels) for patch in patches)
        n_features = int(np.prod(space)) * channels
        centres = starts + (largest - 1) // 2
        grid = tuple(grids[0]) if len(grids) == 1 else (len(cells),)
        return cls(index, tuple(cells), shapes, centres, counts, order, grid, n_features)


def _labels(counts, grid):
    """The cell of every position, in C order: cells are as even as they can be."""
    labels = np.zeros(counts, dtype=int)
    for axis, (count, parts) in enumerate(zip(counts, grid, strict=True)):
        shape = [1] * len(counts)
        shape[axis] = count
        labels = labels * parts + (np.arange(count) * parts // count).reshape(shape)
    return labels.ravel()


def _places(starts, patch, dilation, space, channels):
    """Places (h, K) in a row of windows that begin at ``starts`` (K, n_space)."""
    offsets = [np.arange(size) * step for size, step in zip(patch, dilation, strict=True)]
    offsets = np.array(list(product(*offsets)))
    points = starts[None] + offsets[:, None]  # (window, K, n_space)
    inside = np.all((points >= 0) & (points < np.array(space)), axis=2)
    flat = np.ravel_multi_index(tuple(np.moveaxis(points, 2, 0)), space, mode="clip")
    index = flat[:, None, :] * channels + np.arange(channels)[:, None]
    outside = int(np.prod(space)) * channels
    return np.where(inside[:, None, :], index, outside).reshape(-1, len(starts))
