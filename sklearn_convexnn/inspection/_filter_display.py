"""Pictures of the filters of a convolutional network, and of where they fire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_convexnn.inspection._networks import last_step
from sklearn_convexnn.inspection._plotting import pyplot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import SeveralAxes

# Panels side by side.
_PER_ROW = 8


class FilterDisplay:
    """Filters of a convolutional network as pictures or curves, the largest first.

    Pictures are means over the channels, red where they are positive; curves are one for each
    channel. Of an image, the places where a filter fires are the stronger in colour the more it
    does: orange, and blue where a linear filter is negative.

    Made by :meth:`from_estimator`; the parameters are the data that are drawn.

    Parameters
    ----------
    filters : list of ndarrays of shape (*patch_size, n_channels)
        With one or two space axes.
    sizes : ndarray of shape (n_filters,)
        What the penalty spends on each, ``||(u_j, b_j)|| * ||c_j||``.
    image : ndarray of shape (*space, n_channels), default=None
        An image or signal.
    maps : ndarray of shape (n_filters, *positions), default=None
        Activations of the filters on it, at every position.
    places : sequence of ndarrays, default=None
        Where the positions are along each space axis of the image; None: side by side in the
        middle.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure, after ``plot``.
    axes_ : ndarray of matplotlib Axes
        A panel for every filter, then, with an image, one for each of its maps.

    See Also
    --------
    sklearn_convexnn.ConvexCNNClassifier : Networks with filters.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_convexnn import ConvexCNNClassifier
    >>> from sklearn_convexnn.inspection import FilterDisplay
    >>> X, y = load_digits(n_class=2, return_X_y=True)
    >>> model = ConvexCNNClassifier(0.1, image_shape=(8, 8), random_state=0).fit(X / 16, y)
    >>> display = FilterDisplay.from_estimator(model, X[0] / 16, n_filters=2)
    >>> [filter_.shape for filter_ in display.filters], display.maps.shape
    ([(5, 5, 1), (5, 5, 1)], (2, 4, 4))
    """

    def __init__(
        self,
        *,
        filters: Sequence[np.ndarray],
        sizes: np.ndarray,
        image: np.ndarray | None = None,
        maps: np.ndarray | None = None,
        places: Sequence[np.ndarray] | None = None,
    ) -> None:
        self.filters = filters
        self.sizes = sizes
        self.image = image
        self.maps = maps
        self.places = places

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        image: ArrayLike | None = None,
        *,
        n_filters: int = 16,
        axes: Any = None,
    ) -> FilterDisplay:
        """Draw the largest filters of a fitted network.

        Parameters
        ----------
        estimator : ConvexCNN or LinearCNN estimator
            Fitted, cross-validated or not; or a pipeline with one as its last step.
        image : array-like of shape image_shape_ or (n_features,), default=None
            One row, on which to show where the filters fire; for a pipeline, as its last step gets
            it.
        n_filters : int, default=16
            At most so many filters.
        axes : sequence of matplotlib Axes, default=None
            Where to draw, as many as there are panels; a new figure otherwise.

        Returns
        -------
        FilterDisplay
            With the figure.
        """
        estimator = last_step(estimator)
        check_is_fitted(estimator)
        if n_filters < 1:
            raise ValueError(f"n_filters must be 1 or more, got {n_filters}.")
        if not hasattr(estimator, "filters_") or not hasattr(estimator, "feature_maps"):
            raise ValueError(
                f"{type(estimator).__name__} has no filters of windows: use a ConvexCNN or "
                "LinearCNN estimator."
            )
        every = estimator.filters_ if isinstance(estimator.filters_, list) else [estimator.filters_]
        every = [one for part in every for one in part]
        if not every:
            raise ValueError("The network is a constant and has no filters: use a smaller alpha.")
        last = estimator.output_weights_.reshape(len(every), -1)
        # A balanced filter is as long as its output weights.
        sizes = np.linalg.norm(last, axis=1) ** 2
        order = np.argsort(-sizes, kind="stable")[:n_filters]
        maps = places = None
        if image is not None:
            image, shape = np.asarray(image), estimator.image_shape_
            if image.size != np.prod(shape):
                raise ValueError(
                    f"image must be one row, with the {np.prod(shape)} entries of shape {shape}; "
                    f"got shape {image.shape}."
                )
            maps = estimator.feature_maps(image.reshape(1, -1))[0][order]
            image = image.reshape(shape if len(shape) > every[0].ndim - 1 else (*shape, 1))
            places = [np.unique(axis) for axis in estimator._fitted_windows.centres.T]
        display = cls(
            filters=[every[j] for j in order],
            sizes=sizes[order],
            image=image,
            maps=maps,
            places=places,
        )
        return display.plot(axes=axes)

    def plot(self, *, axes: SeveralAxes | None = None) -> FilterDisplay:
        """Draw a panel for every filter and, with an image, for every map below.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, default=None
            Where to draw, as many as there are panels; a new figure otherwise.

        Returns
        -------
        FilterDisplay
            Itself.
        """
        space = self.filters[0].ndim - 1
        if space > 2:
            raise ValueError(f"Filters with {space} space axes are not drawn, only one or two.")
        count = len(self.filters)
        panels = count * (1 if self.maps is None else 2)
        if axes is None:
            axes = _new_axes(count, 1 if self.maps is None else 2)
        elif len(axes) != panels:
            raise ValueError(f"{panels} axes are needed, got {len(axes)}.")
        self.axes_ = np.asarray(axes, dtype=object)
        self.figure_ = self.axes_[0].figure
        for ax, one, size in zip(self.axes_, self.filters, self.sizes, strict=False):
            _draw_filter(ax, one)
            ax.set_title(f"size {size:.2g}", fontsize="small")
        if self.maps is not None:
            places = self.places or _middle(self.image, self.maps)
            for ax, one in zip(self.axes_[count:], self.maps, strict=True):
                _draw_map(ax, self.image, one, places)
        return self


def _new_axes(count, bands):
    """Rows of panels, those of the maps below those of the filters."""
    columns = min(count, _PER_ROW)
    rows = -(-count // columns)
    figure, axes = pyplot("FilterDisplay").subplots(
        bands * rows,
        columns,
        figsize=(1.2 * columns, 1.3 * bands * rows),
        squeeze=False,
        layout="constrained",
    )
    chosen = []
    for band in np.split(axes, bands):
        chosen += band.ravel()[:count].tolist()
        for ax in band.ravel()[count:]:
            figure.delaxes(ax)
    return chosen


def _draw_filter(ax, one):
    if one.ndim == 2:
        ax.plot(one)
        ax.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    else:
        picture = one.mean(axis=2)
        limit = np.abs(picture).max() or 1.0
        ax.imshow(picture, cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.set_xticks([])
    ax.set_yticks([])


def _middle(image, maps):
    """Places of positions side by side in the middle of an image."""
    counts = zip(image.shape[:-1], maps.shape[1:], strict=True)
    return [0.5 * (size - count) + np.arange(count) for size, count in counts]


def _draw_map(ax, image, one, places):
    """A map over its image or signal, which is grey, at the places of its positions.

    Those of linear filters have negative values, too.
    """
    from matplotlib.colors import to_rgb

    strength = one / (np.abs(one).max() or 1.0)
    if one.ndim == 1:
        ax.plot(image / (np.abs(image).max() or 1.0), color="0.8")
        ax.fill_between(places[0], strength, color="C1", alpha=0.6, zorder=3)
    else:
        ax.imshow(image.mean(axis=2), cmap="gray_r", alpha=0.4)
        (top, bottom), (left, right) = (_ends(axis) for axis in places)
        fired = np.where(one[..., None] < 0, to_rgb("C0"), to_rgb("C1"))
        ax.imshow(
            np.dstack([fired, 0.9 * np.abs(strength)]),
            extent=(left, right, bottom, top),
            interpolation="nearest",
        )
        ax.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
    ax.set_xticks([])
    ax.set_yticks([])


def _ends(places):
    """Of the cells about places that are evenly apart."""
    half = 0.5 * (places[1] - places[0]) if len(places) > 1 else 0.5
    return places[0] - half, places[-1] + half
