"""Pictures of exact decision regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sklearn_convexnn.inspection._decision_regions import decision_regions
from sklearn_convexnn.inspection._plotting import class_colors, get_axes, label_axes
from sklearn_convexnn.inspection._regions import DecisionIntervals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from sklearn_convexnn.inspection._regions import DecisionRegions


class DecisionRegionDisplay:
    """Exact decision regions of a two-layer ReLU classifier, drawn as polygons.

    The counterpart of scikit-learn's ``DecisionBoundaryDisplay`` without a grid: boundaries are
    sharp at any magnification, and the lines show where each neuron begins to be active.

    Parameters
    ----------
    regions : DecisionRegions or DecisionIntervals
        What :func:`decision_regions` found.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on.
    figure_ : matplotlib Figure
        Their figure.
    colors_ : ndarray of shape (n_classes, 4)
        Colours of the classes, before they are mixed with the background.
    patches_ : list of matplotlib PathPatch or Rectangle
        The shaded areas: one per class in two dimensions, one per interval in one.
    boundary_ : matplotlib LineCollection
        The decision boundary.
    neurons_ : matplotlib LineCollection or None
        The neurons' lines, in one dimension ticks at their kinks.
    scores_ : list of matplotlib Line2D
        In one dimension the scores; empty in two.
    legend_ : matplotlib Legend or None
        The names of the classes.
    note_ : matplotlib Text or None
        Where other features are fixed: that the picture is a section, and at which values.

    See Also
    --------
    decision_regions : The regions as arrays.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import make_moons
    >>> from sklearn_convexnn import ConvexReLUClassifier
    >>> from sklearn_convexnn.inspection import DecisionRegionDisplay
    >>> X, y = make_moons(noise=0.2, random_state=0)
    >>> model = ConvexReLUClassifier(random_state=0).fit(X, y)
    >>> display = DecisionRegionDisplay.from_estimator(model, X, eps=0.5)
    >>> points = display.ax_.scatter(*X.T, c=display.colors_[y], edgecolor="k")
    >>> plt.show()
    """

    def __init__(self, regions: DecisionRegions | DecisionIntervals) -> None:
        self.regions = regions

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike | None = None,
        *,
        features: int | str | Sequence[int | str] | None = None,
        fixed: dict | ArrayLike | None = None,
        line: tuple[ArrayLike, ArrayLike] | None = None,
        extent: Sequence[float] | None = None,
        eps: float = 1.0,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> DecisionRegionDisplay:
        """Find the regions of a fitted classifier and draw them.

        Parameters
        ----------
        estimator : object
            A fitted two-layer ReLU classifier, or a pipeline of scalers that ends in one; see
            :func:`decision_regions`.
        X : array-like of shape (n_samples, n_features), default=None
            As in :func:`decision_regions`.
        features : int, str or list of one or two of these, default=None
            As in :func:`decision_regions`.
        fixed : dict or array-like of shape (n_features,), default=None
            As in :func:`decision_regions`.
        line : tuple of two array-like of shape (n_features,), default=None
            As in :func:`decision_regions`.
        extent : tuple of floats, default=None
            As in :func:`decision_regions`.
        eps : float, default=1.0
            As in :func:`decision_regions`.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes new ones.
        **kwargs : dict
            Passed on to :meth:`plot`.

        Returns
        -------
        DecisionRegionDisplay
            The display, drawn.
        """
        regions = decision_regions(
            estimator, X, features=features, fixed=fixed, line=line, extent=extent, eps=eps
        )
        return cls(regions).plot(ax, **kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        multiclass_colors: Sequence[Any] | str | None = None,
        alpha: float = 0.5,
        show_neurons: bool = True,
        neuron_kw: dict | None = None,
        boundary_kw: dict | None = None,
        xlabel: str | None = None,
        ylabel: str | None = None,
        legend: bool = True,
    ) -> DecisionRegionDisplay:
        """Draw the regions.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes new ones.
        multiclass_colors : list of colours or str, default=None
            One colour per class, for two classes as well, or the name of a colour map. None takes
            the colours of scikit-learn's ``DecisionBoundaryDisplay``.
        alpha : float, default=0.5
            Weight of the colours against the background of the axes, with which they are mixed:
            areas are opaque, so that neighbours meet without a seam.
        show_neurons : bool, default=True
            Whether to draw the neurons' lines.
        neuron_kw : dict, default=None
            Properties of the neurons' lines, such as ``linewidths`` and ``colors``.
        boundary_kw : dict, default=None
            Properties of the decision boundary.
        xlabel : str, default=None
            Label of the x-axis; None takes the name of the feature.
        ylabel : str, default=None
            Label of the y-axis; None takes the name of the feature.
        legend : bool, default=True
            Whether to name the classes in a legend.

        Returns
        -------
        DecisionRegionDisplay
            The display.
        """
        ax = get_axes(ax, "DecisionRegionDisplay.plot")
        regions = self.regions
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha must be between 0 and 1, got {alpha}.")
        self.colors_ = class_colors(multiclass_colors, len(regions.classes))
        fills = alpha * self.colors_[:, :3] + (1 - alpha) * np.array(_background(ax))
        neuron_kw = {"colors": "k", "linewidths": 0.6, "alpha": 0.3, **(neuron_kw or {})}
        boundary_kw = {"colors": "k", "linewidths": 1.4, **(boundary_kw or {})}
        if isinstance(regions, DecisionIntervals):
            self._draw_intervals(ax, fills, boundary_kw)
            ticks = _ticks(regions.kinks)
            transform, names = ax.get_xaxis_transform(), (regions.name, _score_name(regions))
        else:
            self._draw_regions(ax, fills, boundary_kw)
            ticks, transform, names = regions.neuron_lines, ax.transData, regions.names
        self.neurons_ = None
        if show_neurons:
            self.neurons_ = _lines(ax, ticks, transform=transform, zorder=0.6, **neuron_kw)
        label_axes(ax, xlabel, ylabel, names)
        self.legend_ = _legend(ax, self.patches_) if legend else None
        self.note_ = _note(ax, regions.fixed)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_regions(self, ax, fills, boundary_kw):
        from matplotlib.patches import PathPatch

        self.patches_, self.scores_ = [], []
        for k, label in enumerate(self.regions.classes):
            rings = [
                ring
                for region in self.regions.regions
                if region.label == label
                for ring in (region.boundary, *region.holes)
            ]
            if not rings:
                continue
            # A thin edge of the same colour covers the seams that antialiasing leaves.
            patch = PathPatch(
                _compound_path(rings), facecolor=fills[k], edgecolor=fills[k], linewidth=0.4
            )
            patch.set(zorder=0.5, label=str(label))
            self.patches_.append(ax.add_patch(patch))
        self.boundary_ = _lines(ax, self.regions.boundary, zorder=0.7, **boundary_kw)
        left, right, bottom, top = self.regions.extent
        ax.set(xlim=(left, right), ylim=(bottom, top))

    def _draw_intervals(self, ax, fills, boundary_kw):
        regions = self.regions
        low, high = regions.extent
        self.patches_, named = [], set()
        numbers = {label: k for k, label in enumerate(regions.classes.tolist())}
        for label, begin, end in regions.intervals:
            if end <= low or begin >= high:
                continue
            span = ax.axvspan(
                max(begin, low),
                min(end, high),
                color=fills[numbers[label]],
                linewidth=0,
                zorder=0.5,
            )
            span.set_label("" if label in named else str(label))
            named.add(label)
            self.patches_.append(span)
        # Between the ends and the kinks the scores are straight.
        inside = regions.kinks[(regions.kinks > low) & (regions.kinks < high)]
        t = np.concatenate([[low], inside, [high]])
        Z = regions.scores(t)
        if Z.shape[1] == 2:
            self.scores_ = ax.plot(t, Z[:, 1] - Z[:, 0], color="k", lw=1.5)
            ax.axhline(0, color="k", lw=0.6, alpha=0.5)
        else:
            self.scores_ = [
                line
                for z, color in zip(Z.T, self.colors_, strict=True)
                for line in ax.plot(t, z, color=color, lw=1.5)
            ]
        positions = regions.breakpoints[(regions.breakpoints > low) & (regions.breakpoints < high)]
        walls = np.stack([_vertical(positions, 0.0), _vertical(positions, 1.0)], axis=1)
        boundary_kw = {"linestyles": "--", **boundary_kw}
        self.boundary_ = _lines(
            ax, walls, transform=ax.get_xaxis_transform(), zorder=0.7, **boundary_kw
        )
        ax.set_xlim(low, high)


def _legend(ax, patches):
    """A legend of the classes that are seen."""
    named = [patch for patch in patches if patch.get_label()]
    return ax.legend(handles=named, title="class", loc="upper right", framealpha=0.85)


# With more features than these their values would fill the picture.
_NOTED = 3


def _note(ax, fixed):
    """Say that a picture is a section, and where."""
    if not fixed:
        return None
    where = ", ".join(f"{name} = {value:.4g}" for name, value in fixed.items())
    if len(fixed) > _NOTED:
        where = f"{len(fixed)} other features fixed"
    return ax.annotate(
        f"section: {where}",
        (0.015, 0.015),
        xycoords="axes fraction",
        fontsize="small",
        bbox={"boxstyle": "round", "facecolor": ax.get_facecolor(), "alpha": 0.85, "lw": 0},
        zorder=5,
    )


def _score_name(regions):
    return "log-odds" if len(regions.classes) == 2 else "score"


def _background(ax):
    from matplotlib.colors import to_rgb

    return to_rgb(ax.get_facecolor())


def _lines(ax, segments, **properties):
    from matplotlib.collections import LineCollection

    properties = {"capstyle": "round", **properties}
    return ax.add_collection(LineCollection(segments, **properties), autolim=False)


def _vertical(positions, height):
    return np.column_stack([positions, np.full(len(positions), height)])


def _ticks(positions):
    """Short vertical segments at the bottom of the axes."""
    return np.stack([_vertical(positions, 0.0), _vertical(positions, 0.05)], axis=1)


def _compound_path(rings):
    """One path of several closed rings; rings in the opposite sense are holes."""
    from matplotlib.path import Path

    vertices, codes = [], []
    for ring in rings:
        vertices.append(np.vstack([ring, ring[:1]]))
        codes.append([Path.MOVETO, *[Path.LINETO] * (len(ring) - 1), Path.CLOSEPOLY])
    return Path(np.concatenate(vertices), np.concatenate(codes))
