"""Pictures of the step functions of additive threshold networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_convexnn.inspection._networks import feature_index, feature_names, last_step
from sklearn_convexnn.inspection._plotting import PETROFF_COLORS, pyplot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sklearn_convexnn._typing import SeveralAxes


class ShapeFunctionDisplay:
    """Step functions of single features, whose sum is a network.

    Made by :meth:`from_estimator`; the parameters are the data that are drawn.

    Parameters
    ----------
    shapes : list of ShapeFunction
        With ``thresholds`` and ``values``, one for each panel.
    names : list of str
        Of their features.
    labels : list of str
        Of the outputs: classes, or empty for one output.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure, after ``plot``.
    axes_ : ndarray of matplotlib Axes
        Its panels.

    See Also
    --------
    sklearn_convexnn.ConvexThresholdRegressor : Networks with shape functions.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_convexnn import ConvexThresholdRegressor
    >>> from sklearn_convexnn.inspection import ShapeFunctionDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    >>> model = ConvexThresholdRegressor("scale", directions="axis").fit(X, y)
    >>> display = ShapeFunctionDisplay.from_estimator(model, features=["bmi", "bp"])
    >>> [ax.get_xlabel() for ax in display.axes_]
    ['bmi', 'bp']
    """

    def __init__(self, *, shapes: Sequence[Any], names: list[str], labels: list[str]) -> None:
        self.shapes = shapes
        self.names = names
        self.labels = labels

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        features: int | str | Sequence[int | str] | None = None,
        max_features: int = 9,
        axes: Any = None,
    ) -> ShapeFunctionDisplay:
        """Draw the shape functions of a fitted network.

        Parameters
        ----------
        estimator : ConvexThresholdRegressor or ConvexThresholdClassifier
            Fitted with ``directions="axis"``; or a pipeline with one as its last step, whose
            features are those that this step sees.
        features : int, str or sequence of these, default=None
            Numbers or names of features. None: those with the largest ``feature_importances_``,
            without constant ones.
        max_features : int, default=9
            How many of them where ``features`` is None.
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each feature; a new figure otherwise.

        Returns
        -------
        ShapeFunctionDisplay
            With the figure.
        """
        network = last_step(estimator)
        check_is_fitted(network)
        if not hasattr(network, "shape_functions_"):
            raise ValueError(
                f"{type(network).__name__} has no shape functions: fit a ConvexThresholdRegressor "
                "or ConvexThresholdClassifier with directions='axis'."
            )
        names = feature_names(network, network.n_features_in_)
        if max_features < 1:
            raise ValueError(f"max_features must be 1 or more, got {max_features}.")
        if features is None:
            sizes = network.feature_importances_
            chosen = np.argsort(-sizes, kind="stable")[:max_features]
            chosen = [int(k) for k in chosen if sizes[k] > 0]
        else:
            features = [features] if isinstance(features, (int, str)) else features
            chosen = [feature_index(feature, names) for feature in features]
        if not chosen:
            raise ValueError(
                "There is nothing to draw: "
                + ("features is empty." if features is not None else "the network is a constant.")
            )
        labels = []
        if network.n_outputs_ > 1:
            labels = [str(label) for label in getattr(network, "classes_", [])]
            labels = labels or [f"output {c}" for c in range(network.n_outputs_)]
        display = cls(
            shapes=[network.shape_functions_[k] for k in chosen],
            names=[names[k] for k in chosen],
            labels=labels,
        )
        return display.plot(axes=axes)

    def plot(self, *, axes: SeveralAxes | None = None) -> ShapeFunctionDisplay:
        """Draw the step functions.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each feature; a new figure otherwise.

        Returns
        -------
        ShapeFunctionDisplay
            With the figure.
        """
        plt, own = pyplot(type(self).__name__), axes is None
        count = len(self.shapes)
        if own:
            columns = min(3, count)
            lines = -(-count // columns)
            figure, grid = plt.subplots(
                lines,
                columns,
                figsize=(3.2 * columns, 2.4 * lines),
                sharey=True,
                squeeze=False,
                layout="constrained",
            )
            axes = grid.ravel()
            for ax in axes[count:]:
                ax.remove()
            axes = axes[:count]
            figure.supylabel("added to the output", fontsize="medium")
        else:
            axes = np.asarray(axes, dtype=object).ravel()
            figure = axes[0].figure
            if len(axes) != count:
                raise ValueError(f"{count} axes are needed, one per feature, got {len(axes)}.")
        for ax, shape, name in zip(axes, self.shapes, self.names, strict=True):
            self._draw(ax, shape)
            ax.locator_params(axis="x", nbins=5)
            ax.set_xlabel(name)
        if self.labels and own:
            lines = axes[0].get_lines()
            figure.legend(handles=lines, loc="outside upper center", ncols=min(len(lines), 5))
        elif self.labels:
            axes[0].legend()
        self.figure_, self.axes_ = figure, axes
        return self

    def _draw(self, ax, shape):
        thresholds = shape.thresholds.astype(np.float64)
        # A tenth of their range beyond the outer ones, so that the outer levels are seen.
        first, last = (thresholds[0], thresholds[-1]) if len(thresholds) else (0.0, 1.0)
        room = 0.1 * (last - first) or 1.0
        x = np.concatenate([[first - room], thresholds, [last + room]])
        for c, heights in enumerate(shape.values.T):
            ax.plot(
                np.repeat(x, 2)[1:-1],
                np.repeat(heights, 2),
                color=PETROFF_COLORS[c % len(PETROFF_COLORS)],
                label=self.labels[c] if self.labels else None,
            )
