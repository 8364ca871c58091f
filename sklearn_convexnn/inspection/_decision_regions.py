"""The exact regions in which a two-layer ReLU classifier decides for each of its classes."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from sklearn_convexnn.core.geometry.intervals import kinks, largest_score_on_line
from sklearn_convexnn.core.geometry.planar_cells import (
    SNAP,
    arrange,
    clip_lines,
    in_blocks,
    largest_score,
)
from sklearn_convexnn.core.geometry.regions import merge, ring_area
from sklearn_convexnn.inspection._networks import (
    Layers,
    classifier_scores,
    dense_rows,
    feature_index,
    feature_names,
)
from sklearn_convexnn.inspection._regions import DecisionIntervals, DecisionRegions, Region

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike


def decision_regions(
    estimator: Any,
    X: ArrayLike | None = None,
    *,
    features: int | str | Sequence[int | str] | None = None,
    fixed: dict | ArrayLike | None = None,
    line: tuple[ArrayLike, ArrayLike] | None = None,
    extent: Sequence[float] | None = None,
    eps: float = 1.0,
) -> DecisionRegions | DecisionIntervals:
    r"""The exact decision regions of a two-layer ReLU classifier, without a grid.

    The scores :math:`z(x) = \sum_j c_j (x^\top u_j + b_j)_+ + b_0` are affine on every cell of the
    arrangement of the neurons' lines :math:`x^\top u_j + b_j = 0`. In two features the cells are
    convex polygons; inside each of them two classes are separated by a straight segment. In one
    feature the scores are piecewise linear and the classes change at roots. Both are computed in
    closed form: what is returned agrees with ``predict`` everywhere up to rounding (scores that
    differ by less than about 1e-12 of their size count as ties, which go to the first class).

    Parameters
    ----------
    estimator : object
        A fitted classifier with one hidden ReLU layer in ``coefs_`` and ``intercepts_``:
        :class:`~sklearn_convexnn.ConvexReLUClassifier`, or scikit-learn's ``MLPClassifier`` with
        one hidden layer; or a ``Pipeline`` whose last step is such a classifier and whose other
        steps are ``StandardScaler``, ``MinMaxScaler``, ``MaxAbsScaler`` or ``RobustScaler``
        (without clipping): the regions are then those in the units of the data. For other
        transformers pass ``pipeline[-1]`` and ``pipeline[:-1].transform(X)``.
    X : array-like of shape (n_samples, n_features), default=None
        Rows that determine ``extent`` and the default of ``fixed``.
    features : int, str or list of one or two of these, default=None
        The features to vary, by number or by name. None takes all, if there are one or two.
    fixed : dict or array-like of shape (n_features,), default=None
        Values of the other features: a dict from features to values, or a whole row. What is not
        given is the median of the column in ``X``.
    line : tuple of two array-like of shape (n_features,), default=None
        ``(origin, direction)`` of a line ``origin + t * direction`` to look along, instead of
        ``features``: for data on a line (rank one) the direction of the data.
    extent : tuple of floats, default=None
        The rectangle ``(left, right, bottom, top)``, or ``(left, right)`` in one dimension, where
        it is used for pictures only: intervals cover the whole line. None takes the range of ``X``
        enlarged by ``eps`` on every side.
    eps : float, default=1.0
        See ``extent``.

    Returns
    -------
    DecisionRegions or DecisionIntervals
        In two features the regions, see :class:`DecisionRegions`; in one or on a line the
        intervals, see :class:`DecisionIntervals`.

    Raises
    ------
    ValueError
        If the estimator is not a two-layer ReLU classifier, a feature is missing, or neither ``X``
        nor ``extent`` says which rectangle is meant.

    See Also
    --------
    DecisionRegionDisplay : Draws them.
    decision_intervals : The intervals of a piecewise linear function given by its knots.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from sklearn_convexnn import ConvexReLUClassifier
    >>> from sklearn_convexnn.inspection import decision_regions
    >>> X, y = make_moons(noise=0.2, random_state=0)
    >>> model = ConvexReLUClassifier(random_state=0).fit(X, y)
    >>> found = decision_regions(model, extent=(-2, 3, -1.5, 2))
    >>> bool(abs(found.areas.sum() - 5 * 3.5) < 1e-9)
    True
    """
    layers, classes = classifier_scores(estimator)
    names = feature_names(estimator, len(layers.W), X)
    if X is not None:
        X = dense_rows(X, len(names))
    if line is not None:
        if features is not None or fixed is not None:
            raise ValueError("Give either line or features (with fixed), not both.")
        origin, directions = _line(line, len(names))
        coordinates = None if X is None else _along(X, origin, directions)
        axes, held = ["position"], {}
    else:
        index = _varied(features, names)
        origin, directions = _plane(index, fixed, X, names)
        coordinates = None if X is None else X[:, index]
        axes = [names[i] for i in index]
        held = {
            name: float(value)
            for i, (name, value) in enumerate(zip(names, origin, strict=True))
            if i not in index
        }
    layers, neurons = layers.on_plane(origin, directions).without_idle_neurons()
    extent = _extent(extent, coordinates, eps, len(axes))
    if len(axes) == 2:
        return _in_rectangle(layers, neurons, classes, extent, tuple(axes), held)
    return _on_line(layers, classes, axes[0], extent, held)


def decision_intervals(
    knots: ArrayLike,
    coef: ArrayLike,
    intercept: float | ArrayLike = 0.0,
    *,
    classes: ArrayLike | None = None,
) -> DecisionIntervals:
    r"""Decision intervals of a linear spline in kernel form.

    The scores are :math:`z(x) = \xi + \sum_j a_j (x - t_j)_+ + \sum_j b_j (t_j - x)_+`, the form in
    which optimal networks in one dimension come: the knots are data points and the kernel matrix is
    :math:`K = [(x_i - t_j)_+, (t_j - x_i)_+]`.

    Parameters
    ----------
    knots : array-like of shape (n_knots,)
        Knots :math:`t_j`.
    coef : array-like of shape (2 * n_knots,) or (2 * n_knots, n_outputs)
        Coefficients, those of :math:`(x - t_j)_+` first.
    intercept : float or array-like of shape (n_outputs,), default=0.0
        The constant :math:`\xi`.
    classes : array-like of shape (n_classes,), default=None
        Class labels: two for one output, whose sign decides, else one per output. None numbers
        them.

    Returns
    -------
    DecisionIntervals
        Exact roots and the class between them.

    See Also
    --------
    decision_regions : The same for a fitted estimator.

    Examples
    --------
    >>> from sklearn_convexnn.inspection import decision_intervals
    >>> decision_intervals([0.0], [1.0, 1.0], -2.0).breakpoints  # |x| > 2
    array([-2.,  2.])
    """
    knots = np.asarray(knots, dtype=float)
    coef = np.asarray(coef, dtype=float)
    if knots.ndim != 1 or coef.ndim not in (1, 2) or len(coef) != 2 * len(knots):
        raise ValueError(
            f"coef needs two rows for each of the {knots.size} knots, got shape {coef.shape}."
        )
    coef = coef.reshape(len(coef), -1)
    b0 = np.broadcast_to(np.asarray(intercept, dtype=float), coef.shape[1:])
    if not (np.isfinite(knots).all() and np.isfinite(coef).all() and np.isfinite(b0).all()):
        raise ValueError("Knots, coefficients and intercept must be finite.")
    if coef.shape[1] == 1:
        coef, b0 = np.pad(coef, ((0, 0), (1, 0))), np.pad(b0, (1, 0))
    classes = np.arange(coef.shape[1]) if classes is None else np.asarray(classes)
    if len(classes) != coef.shape[1]:
        raise ValueError(f"There are {coef.shape[1]} classes but {len(classes)} labels.")
    signs = np.repeat([1.0, -1.0], len(knots))
    layers = Layers(signs[None, :], -signs * np.tile(knots, 2), coef, b0)
    layers, _ = layers.without_idle_neurons()
    return _on_line(layers, classes, "x", None, {})


# ------------------------------------------------------------------------------ which line or plane


def _varied(features, names):
    if features is None:
        if len(names) > 2:
            raise ValueError(
                f"The estimator has {len(names)} features: choose one or two with features=."
            )
        return list(range(len(names)))
    single = isinstance(features, (str, Integral))
    index = [feature_index(f, names) for f in ([features] if single else features)]
    if len(index) not in (1, 2) or len(set(index)) != len(index):
        raise ValueError(f"features must be one or two different features, got {features!r}.")
    return index


def _plane(index, fixed, X, names):
    """Origin and directions of the plane in which the features ``index`` vary."""
    origin = np.full(len(names), np.nan) if X is None else np.median(X, axis=0)
    if isinstance(fixed, dict):
        for feature, value in fixed.items():
            origin[feature_index(feature, names)] = value
    elif fixed is not None:
        origin = np.array(fixed, dtype=float)
        if origin.shape != (len(names),):
            raise ValueError(
                f"fixed must be a dict or a row of {len(names)} values, got shape {origin.shape}."
            )
    origin[index] = 0.0
    if not np.isfinite(origin).all():
        missing = [names[i] for i in np.flatnonzero(~np.isfinite(origin))]
        raise ValueError(f"No finite values for the features {missing}: give fixed= or X.")
    return origin, np.eye(len(names))[index]


def _line(line, n_features):
    if len(line) != 2:
        raise ValueError("line is a pair (origin, direction) of rows.")
    origin, direction = (np.asarray(part, dtype=float) for part in line)
    if origin.shape != (n_features,) or direction.shape != (n_features,):
        raise ValueError(f"line needs an origin and a direction of {n_features} values each.")
    if not np.isfinite([origin, direction]).all() or not direction.any():
        raise ValueError("The origin and direction of line must be finite and not all zero.")
    return origin, direction[None, :]


def _along(X, origin, directions):
    """Positions of rows along a line, of their projections where they are not on it."""
    return (X - origin) @ directions.T / (directions @ directions.T)


def _extent(extent, coordinates, eps, n_dimensions):
    """The rectangle or interval as a tuple of floats; None if nothing says what it is."""
    if extent is None:
        if coordinates is None:
            if n_dimensions == 1:
                return None
            raise ValueError("Give X or extent=(left, right, bottom, top).")
        if not eps >= 0:
            raise ValueError(f"eps must not be negative, got {eps}.")
        low, high = coordinates.min(axis=0) - eps, coordinates.max(axis=0) + eps
        extent = np.column_stack([low, high]).ravel()
    extent = np.asarray(extent, dtype=float)
    valid = extent.shape == (2 * n_dimensions,) and np.isfinite(extent).all()
    if not valid or np.any(extent[0::2] >= extent[1::2]):
        sides = "left, right, bottom, top" if n_dimensions == 2 else "left, right"
        raise ValueError(f"extent must be ({sides}), increasing and finite, got {extent.tolist()}.")
    return tuple(extent.tolist())


# ------------------------------------------------------------------------------------- the geometry


def _on_line(layers, classes, name, extent, fixed):
    w = layers.W[0]
    breakpoints, label = largest_score_on_line(w, *layers[1:])
    bends = kinks(w, layers.bias, layers.C)
    if extent is None:
        inner = np.concatenate([breakpoints, bends])
        low, high = (inner.min(), inner.max()) if len(inner) else (0.0, 0.0)
        margin = 0.25 * (high - low) or 1.0
        extent = (float(low - margin), float(high + margin))
    return DecisionIntervals(
        classes, breakpoints, classes[label], bends, name, extent, fixed, layers
    )


def _in_rectangle(layers, neurons, classes, extent, names, fixed):
    low, high = np.array(extent[0::2]), np.array(extent[1::2])

    def in_data_units(points):
        return low * (1.0 - points) + high * points  # exact at the sides of the rectangle

    # In coordinates in which the rectangle is the unit square.
    square = layers.on_plane(low, np.diag(high - low))
    cells = arrange(square.W.T, square.bias)
    n_linear_pieces = cells.n_cells
    scores = in_blocks(square.outputs, cells.points, len(neurons))
    cells, label = largest_score(cells, scores, SNAP * _size(square))
    merged = merge(cells, label)
    unit = float(np.prod(high - low))
    regions = [
        Region(
            classes[k],
            in_data_units(rings[0]),
            [in_data_units(hole) for hole in rings[1:]],
            unit * sum(ring_area(ring) for ring in rings),
        )
        for k, rings in zip(merged.labels, merged.rings, strict=True)
    ]
    order = np.lexsort(([-region.area for region in regions], merged.labels))
    lines, crossing = clip_lines(square.W.T, square.bias)
    cell_areas = unit * cells.areas()
    return DecisionRegions(
        classes=classes,
        extent=extent,
        names=names,
        regions=[regions[i] for i in order],
        areas=np.bincount(label, weights=cell_areas, minlength=len(classes)),
        boundary=in_data_units(merged.borders),
        neuron_lines=in_data_units(lines),
        neurons=neurons[crossing],
        cells=[in_data_units(cell) for cell in cells.polygons()],
        cell_labels=classes[label],
        cell_areas=cell_areas,
        n_linear_pieces=n_linear_pieces,
        fixed=fixed,
        _network=layers,
    )


def _size(square):
    """What the terms of a score can add up to in the unit square: the scale of its rounding."""
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    values = corners @ square.W + square.bias
    largest = np.where(values.max(axis=0) > 0, np.abs(values).max(axis=0), 0.0)
    return float((largest @ np.abs(square.C) + np.abs(square.b0)).max())
