"""The patches of rows in memory, for one window: scaled, with their constant, block by block."""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.problem.canonical_rows import distinct_rows
from sklearn_convexnn.core.problem.rows import Rows

# Patches of few rows stay in memory, for one pass follows the other; of many they are gathered
# anew, so many bytes of them and of their products at a time.
_KEPT_BYTES = 32 << 20
_BLOCK_BYTES = 4 << 20


class PatchTable:
    """Patches ``A`` (n, K, p) of the rows of a problem, in float64, and which of them are pooled.

    Parameters
    ----------
    rows : Rows
        With neurons that are a :class:`~sklearn_convexnn.core.problem.patches.Convolution`.
    window : int
    """

    def __init__(self, rows, window):
        neurons = rows.neurons
        self.rows, self.window = rows, window
        self.index = neurons.windows.index[window]
        self.columns = np.arange(neurons.n_weights(0))[neurons.blocks[window]]
        if rows.intercept:
            self.columns = np.append(self.columns, rows.n_columns - 1)
        self.n_columns, self.n_positions = len(self.columns), neurons.windows.n_positions
        self.pool = neurons.pool
        self.largest = neurons.pooling == "max"
        # Positions of every group: one activation of each is passed on.
        every = np.arange(self.n_positions)
        cells = neurons.windows.cells if self.largest else every[:, None]
        self.groups = [every[cell] for cell in cells]
        self._kept = None

    def __deepcopy__(self, memo):
        return self  # of the rows, and never changed

    def __getstate__(self):
        return self.__dict__ | {"_kept": None}

    @property
    def n_rows(self):
        return self.rows.n_rows

    @property
    def n_groups(self):
        return len(self.groups)

    @property
    def shares(self):
        """Of the groups in the features of the cells, (groups, G)."""
        return np.eye(self.pool.shape[1]) if self.largest else self.pool

    def embedded(self, U):
        """Directions of all windows from those of this one."""
        full = np.zeros((len(U), self.rows.n_columns))
        full[:, self.columns] = U
        return full

    def _with_border(self, rows):
        """Some rows, with the zero that windows see beyond the border."""
        X = self.rows.take(rows).X.astype(np.float64)
        return np.concatenate([X, np.zeros((len(X), 1))], axis=1)

    def patches(self, rows):
        """Those of some rows, (r, K, p)."""
        X = self._with_border(rows)
        A = np.take(X, self.index.T, axis=1)
        if self.rows.intercept:
            A = np.concatenate([A, np.ones((*A.shape[:2], 1))], axis=2)
        return self.rows.scale * A

    def blocks(self, width):
        """``(rows, patches)`` one after another, with so many products for each patch."""
        n, size = self.n_rows, 8 * self.n_positions * self.n_columns
        if n * size <= _KEPT_BYTES:
            if self._kept is None:
                self._kept = self.patches(slice(0, n))
            step = max(1, _BLOCK_BYTES // (8 * self.n_positions * width))
            for start in range(0, n, step):
                block = slice(start, min(start + step, n))
                yield block, self._kept[block]
            return
        step = max(1, _BLOCK_BYTES // (8 * self.n_positions * max(width, self.n_columns)))
        for start in range(0, n, step):
            block = slice(start, min(start + step, n))
            yield block, self.patches(block)

    def of_places(self, row, position):
        """Patches (k, p) at some places; zero where the position is -1."""
        if self._kept is not None:
            found = self._kept[row, position].copy()
        else:
            found = np.take_along_axis(self._with_border(row), self.index.T[position], axis=1)
            if self.rows.intercept:
                found = np.concatenate([found, np.ones((len(found), 1))], axis=1)
            found *= self.rows.scale
        found[position < 0] = 0.0
        return found

    def flat(self):
        """Distinct patches as rows of a problem, and what makes their residuals of those of rows.

        Returns
        -------
        rows : Rows
            Of ReLU neurons, with G * C outputs: with mean pooling the price is that of these rows.
        of_patch : ndarray of shape (n * K,)
            Which of them a patch is.
        """
        rows = self.rows
        patches = np.take(self._with_border(slice(None)), self.index.T, axis=1)
        patches = patches.reshape(-1, len(self.index))
        origin, of_patch = distinct_rows(patches, np.zeros((len(patches), 1)))
        Y = np.zeros((len(origin), rows.n_weights))
        settings = {"intercept": rows.intercept, "scale": rows.scale}
        weights = np.bincount(of_patch) / len(of_patch)
        return Rows.of(patches[origin], Y, weights, rows.loss, **settings), of_patch
