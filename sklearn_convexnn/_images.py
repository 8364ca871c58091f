"""Parameters of convolutions: the shape of a row, and the windows that filters see of it."""

from __future__ import annotations

from math import prod
from numbers import Integral

import numpy as np
from scipy import sparse

from sklearn_convexnn._validation import Interval, StrOptions
from sklearn_convexnn.core.problem.windows import Windows

# Entries of a window along an axis where none are given, if the axis has as many.
_DEFAULT = 5
_COUNT = Interval(Integral, 1, None, closed="left")

CONSTRAINTS = {
    "image_shape": [tuple, list, None],
    "patch_size": [_COUNT, tuple, list, None],
    "stride": [_COUNT, tuple],
    "dilation": [_COUNT, tuple, list],
    "padding": [Interval(Integral, 0, None, closed="left"), tuple, StrOptions({"same"})],
    "pooling": [StrOptions({"max", "average"})],
    "pool_grid": [_COUNT, tuple, list, None],
}
GEOMETRY = [name for name in CONSTRAINTS if name != "pooling"]


class ImageRows:
    """What estimators of images and signals share: their rows, flat or not, and the shape of one.

    A subclass has the parameter ``image_shape`` and names this base before that of its family.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _validated(self, X, y, sample_weight):
        X, shape = flattened(X, self.image_shape)
        data = super()._validated(X, y, sample_weight)
        self._row_shape = data.X.shape[1:] if shape is None else shape
        return data

    def _image_shape(self):
        """Of the rows of the fit."""
        return shape_of_rows(self._row_shape, self.image_shape)

    def _validate_rows(self, X):
        if hasattr(self, "image_shape_"):
            X = flattened(X, self.image_shape_)[0]
        return super()._validate_rows(X)


def shape_of_rows(shape, image_shape):
    """``image_shape`` if it is given, else that in which rows came."""
    if image_shape is None:
        return tuple(int(one) for one in shape)
    given = whole_numbers("image_shape", image_shape)
    _refuse_other_rows(given, shape)
    return given


def flattened(X, shape=None):
    """Rows in two dimensions, and the shape of one, if ``X`` has more.

    ``shape`` is what they must have had.
    """
    X = _stacked(X)
    if len(getattr(X, "shape", ())) <= 2 or sparse.issparse(X):
        return X, None
    if shape is not None and tuple(X.shape[1:]) != tuple(shape):
        raise ValueError(f"X has images of shape {X.shape[1:]}, but they must have {tuple(shape)}.")
    return np.asarray(X).reshape(len(X), prod(X.shape[1:])), tuple(X.shape[1:])


def _stacked(X):
    """A list or a column of images as an array."""
    if getattr(X, "ndim", 0) == 1 and X.dtype == object:
        X = list(X)
    if not isinstance(X, (list, tuple)) or not X or np.ndim(X[0]) < 2:
        return X
    shapes = {np.shape(image) for image in X}
    if len(shapes) > 1:
        raise ValueError(f"The images of X have several shapes, {sorted(shapes)}: make them equal.")
    return np.array(X)


def windows_of(shape, *, image_shape, patch_size, stride, dilation, padding, pool_grid):
    """The Windows of rows of a shape, ``(n_features,)`` where they came flat."""
    shape = shape_of_rows(shape, image_shape)
    sizes, steps = _windows(patch_size, dilation)
    space, channels = _space(shape, patch_size, sizes)
    patches = [_patch(size, space) for size in sizes]
    dilations = [_axes("dilation", step, len(space)) for step in steps]
    _refuse_equal("windows", list(zip(patches, dilations, strict=True)))
    strides = _axes("stride", stride, len(space))
    if padding != "same":
        padding = _axes("padding", padding, len(space), least=0)
    counts = _positions(shape, space, patches, dilations, strides, padding)
    grids = _grids(pool_grid, counts)
    return Windows.of(
        space, channels, patches, dilations, strides=strides, padding=padding, grids=grids
    )


def _refuse_other_rows(image_shape, shape):
    """Raise where rows of a shape have not as many entries."""
    if np.prod(image_shape) != np.prod(shape):
        raise ValueError(
            f"image_shape={image_shape} has {np.prod(image_shape)} entries, but a row of X has "
            f"{np.prod(shape)}."
        )


def whole_numbers(name, value, least=1):
    """A tuple of whole numbers."""
    if not value or not all(
        isinstance(one, Integral) and not isinstance(one, bool) and one >= least for one in value
    ):
        raise ValueError(f"{name} must have whole numbers from {least} on, got {value!r}.")
    return tuple(int(one) for one in value)


def _axes(name, value, n_space, least=1):
    """One number for every space axis."""
    value = (value,) * n_space if isinstance(value, Integral) else value
    if np.ndim(value) != 1 or len(value) != n_space:
        raise ValueError(f"{name}={value!r} needs one entry for each of the {n_space} space axes.")
    return whole_numbers(name, value, least)


def _windows(patch_size, dilation):
    """Sizes and dilations of all windows: lists have one entry for each."""
    sizes = patch_size if isinstance(patch_size, list) else [patch_size]
    steps = dilation if isinstance(dilation, list) else [dilation]
    count = max(len(sizes), len(steps))
    if not sizes or not steps or {len(sizes), len(steps)} - {1, count}:
        raise ValueError(
            f"Lists of patch_size and dilation have an entry for each window, so that these of "
            f"{len(sizes)} and {len(steps)} do not go together."
        )
    sizes, steps = (one * count if len(one) == 1 else one for one in (sizes, steps))
    return sizes, steps


def _refuse_equal(name, values):
    """Raise where there is one twice, which would say nothing new."""
    if any(one in values[:k] for k, one in enumerate(values)):
        raise ValueError(f"There are two equal {name} in {values}.")


def _grids(pool_grid, counts):
    """Cells along every space axis, of each grid; None is a cell for every position."""
    grids = pool_grid if isinstance(pool_grid, list) else [pool_grid]
    grids = [None if grid is None else _axes("pool_grid", grid, len(counts)) for grid in grids]
    if not grids:
        raise ValueError("pool_grid=[] has no grid: use 1 for a single cell.")
    if any(grid is not None and np.any(np.array(grid) > counts) for grid in grids):
        raise ValueError(
            f"pool_grid={pool_grid} asks for more cells than there are positions of the windows, "
            f"{tuple(counts.tolist())}."
        )
    _refuse_equal("grids", grids)
    return grids


def _space(shape, patch_size, sizes):
    """Space axes, as many as windows have entries, and the channels of what is left."""
    lengths = {len(size) for size in sizes if isinstance(size, tuple)} or {len(shape)}
    if len(lengths) > 1 or min(lengths) not in (len(shape), len(shape) - 1) or lengths == {0}:
        raise ValueError(
            f"patch_size={patch_size!r} does not fit images of shape {shape}: a window has one "
            "entry for every axis, or for all but the last one, that of the channels."
        )
    n_space = lengths.pop()
    return shape[:n_space], (1 if n_space == len(shape) else shape[-1])


def _patch(size, space):
    if size is None:
        return tuple(min(_DEFAULT, count) for count in space)
    return _axes("patch_size", size, len(space))


def _positions(shape, space, patches, dilations, strides, padding):
    """Positions along every space axis of images of a shape, of which there must be some."""
    extents = np.max(
        [
            [(size - 1) * step + 1 for size, step in zip(*one, strict=True)]
            for one in zip(patches, dilations, strict=True)
        ],
        axis=0,
    )
    if padding == "same":
        return -(-np.array(space) // np.array(strides))
    room = np.array(space) + 2 * np.array(padding) - extents
    if np.any(room < 0):
        remedy = "use smaller patches or dilations, or padding='same'"
        # Who gives one number for all axes may have forgotten that the last one is no place.
        if len(space) == len(shape) > 1 and np.all(room[:-1] >= 0):
            remedy += f", or patch_size={patches[0][:-1]} if the last axis is that of the channels"
        raise ValueError(
            f"The largest window spans {tuple(extents.tolist())}, more than images of shape "
            f"{tuple(space)} with padding={tuple(padding)}: {remedy}."
        )
    if np.any(np.array(padding) >= extents):
        raise ValueError(
            f"padding={tuple(padding)} must be smaller than the span {tuple(extents.tolist())} of "
            "the largest window, which would see nothing but zeros."
        )
    return room // np.array(strides) + 1
