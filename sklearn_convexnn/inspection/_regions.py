"""What is known about decision regions: intervals on a line, polygons in a rectangle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sklearn_convexnn.core.geometry.planar_cells import affine_pieces
from sklearn_convexnn.inspection._networks import Layers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True, eq=False)
class DecisionIntervals:
    """Where a classifier decides for which class along a line; see :func:`decision_regions`.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Class labels.
    breakpoints : ndarray of shape (n_breakpoints,)
        Where the predicted class changes, increasing.
    labels : ndarray of shape (n_breakpoints + 1,)
        The predicted class left of, between and right of the breakpoints.
    kinks : ndarray of shape (n_kinks,)
        Where a neuron bends the scores, increasing.
    name : str
        Name of the feature, for axes.
    extent : tuple of two floats
        A finite part of the line, for pictures.
    fixed : dict
        Features that do not vary, with their values; empty along a free line.
    """

    classes: np.ndarray
    breakpoints: np.ndarray
    labels: np.ndarray
    kinks: np.ndarray
    name: str
    extent: tuple
    fixed: dict
    _network: Layers

    @property
    def intervals(self):
        """The intervals one after the other.

        Returns
        -------
        list of tuples
            ``(label, low, high)``; the outer ones reach to infinity.
        """
        ends = [-np.inf, *self.breakpoints.tolist(), np.inf]
        return list(zip(self.labels.tolist(), ends[:-1], ends[1:], strict=True))

    def scores(self, t: ArrayLike) -> np.ndarray:
        """Scores of the classes.

        Parameters
        ----------
        t : array-like of shape (n_points,)
            Positions.

        Returns
        -------
        ndarray of shape (n_points, n_classes)
            The largest one decides; for two classes they are 0 and the log-odds.
        """
        return self._network.outputs(np.asarray(t, dtype=float)[:, None])


@dataclass(frozen=True, eq=False)
class Region:
    """A connected region of one class.

    Attributes
    ----------
    label : object
        The class, an element of ``classes``.
    boundary : ndarray of shape (n_corners, 2)
        Corners of the outer boundary, counterclockwise.
    holes : list of ndarrays of shape (n_corners, 2)
        Corners of the holes, clockwise.
    area : float
        Area without the holes.
    """

    label: object
    boundary: np.ndarray
    holes: list
    area: float


@dataclass(frozen=True, eq=False)
class DecisionRegions:
    """Where a classifier decides for which class in a rectangle; see :func:`decision_regions`.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Class labels.
    extent : tuple of four floats
        The rectangle: left, right, bottom, top.
    names : tuple of two str
        Names of the features, for axes.
    regions : list of Region
        Connected polygons, with holes, that tile the rectangle; by class, the largest first.
    areas : ndarray of shape (n_classes,)
        Area of each class; they sum to that of the rectangle.
    boundary : ndarray of shape (n_segments, 2, 2)
        The decision boundary as segments between two points.
    neuron_lines : ndarray of shape (n_lines, 2, 2)
        The lines on which neurons begin to be active, as far as they cross the rectangle.
    neurons : ndarray of shape (n_lines,)
        Which neurons these are.
    cells : list of ndarrays of shape (n_corners, 2)
        Convex polygons, counterclockwise, that tile the rectangle; on each of them all scores are
        affine and one class is predicted.
    cell_labels : ndarray of shape (n_cells,)
        The class of each cell.
    cell_areas : ndarray of shape (n_cells,)
        The area of each cell.
    n_linear_pieces : int
        Number of pieces on which the scores are affine: cells before they were divided by class.
    fixed : dict
        Features that do not vary, with their values: the rectangle is a section through the others.
    """

    classes: np.ndarray
    extent: tuple
    names: tuple
    regions: list
    areas: np.ndarray
    boundary: np.ndarray
    neuron_lines: np.ndarray
    neurons: np.ndarray
    cells: list
    cell_labels: np.ndarray
    cell_areas: np.ndarray
    n_linear_pieces: int
    fixed: dict
    _network: Layers

    def affine_scores(self) -> tuple[np.ndarray, np.ndarray]:
        """The affine functions that the scores are on the cells.

        Returns
        -------
        gradients : ndarray of shape (n_cells, n_classes, 2)
            Their gradients in the two features.
        constants : ndarray of shape (n_cells, n_classes)
            Their values at the origin of the two features. The scores at a point ``p`` of cell
            ``i`` are ``gradients[i] @ p + constants[i]``; for two classes they are 0 and the
            log-odds.
        """
        centres = np.array([cell.mean(axis=0) for cell in self.cells])
        return affine_pieces(centres, *self._network)
