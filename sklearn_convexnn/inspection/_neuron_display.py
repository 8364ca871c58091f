"""A picture of the heaviest neurons: their weights, where they switch on, their share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sklearn_convexnn.inspection._networks import (
    dense_rows,
    feature_names,
    is_pipeline,
    two_layer_network,
)
from sklearn_convexnn.inspection._plotting import pyplot

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import SeveralAxes


class NeuronDisplay:
    """The neurons that contribute most: slopes per feature, where they switch on, share of output.

    Made by :meth:`from_estimator`; the parameters are the data that are drawn, the neuron that
    contributes most first.

    Parameters
    ----------
    slopes : ndarray of shape (n_shown, n_features_shown)
        What one unit of a feature adds to the output where the neuron is active: the product of
        its weights. With several outputs its size, with the sign of the hidden weight.
    positions : ndarray of shape (n_shown, 5)
        Quantiles (5, 25, 50, 75 and 95 %) of the rows' distance from the kink, in the units of the
        features; the neuron is active where it is positive.
    active : ndarray of shape (n_shown,)
        Share of the rows on which the neuron is active.
    shares : ndarray of shape (n_shown,)
        Mean size of the neuron's contribution as a share of that of all neurons.
    neurons : ndarray of shape (n_shown,)
        Their numbers: columns of ``coefs_[0]``.
    names : list of str
        Names of the features.
    n_neurons : int
        How many neurons the network has.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure, after ``plot``.
    axes_ : ndarray of three matplotlib Axes
        Its panels: slopes, positions, shares.
    im_ : matplotlib AxesImage
        The matrix of slopes.

    See Also
    --------
    neuron_encodings : Neurons as mixtures of training rows.
    prune : Fewer neurons.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_convexnn import ConvexReLURegressor
    >>> from sklearn_convexnn.inspection import NeuronDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    >>> model = make_pipeline(StandardScaler(), ConvexReLURegressor(alpha=10, random_state=0))
    >>> model = model.fit(X, y)
    >>> display = NeuronDisplay.from_estimator(model, X, max_neurons=3)
    >>> display.slopes.shape
    (3, 10)
    """

    def __init__(
        self,
        *,
        slopes: np.ndarray,
        positions: np.ndarray,
        active: np.ndarray,
        shares: np.ndarray,
        neurons: np.ndarray,
        names: list[str],
        n_neurons: int,
    ) -> None:
        self.slopes = slopes
        self.positions = positions
        self.active = active
        self.shares = shares
        self.neurons = neurons
        self.names = names
        self.n_neurons = n_neurons

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        max_neurons: int = 10,
        max_features: int = 15,
        axes: SeveralAxes | None = None,
    ) -> NeuronDisplay:
        """Draw the neurons of a fitted two-layer ReLU network.

        Parameters
        ----------
        estimator : object
            A fitted network of this package with one hidden layer, or scikit-learn's
            ``MLPRegressor`` or ``MLPClassifier`` with one; or a pipeline that ends in one.
        X : array-like of shape (n_samples, n_features)
            Rows, on which contributions are measured; of a pipeline those that it takes. Slopes are
            in the units that the last step sees.
        max_neurons : int, default=10
            How many neurons to show.
        max_features : int, default=15
            How many features to show: those with the steepest slopes.
        axes : sequence of three matplotlib Axes, default=None
            Where to draw; a new figure otherwise.

        Returns
        -------
        NeuronDisplay
            With the figure.
        """
        names = None
        if is_pipeline(estimator):
            X, names = _before_last(estimator, X)
            estimator = estimator[-1]
        layers, kept = two_layer_network(estimator).without_idle_neurons()
        if not len(kept):
            raise ValueError(f"{type(estimator).__name__} is a constant: it has no neurons.")
        if min(max_neurons, max_features) < 1:
            raise ValueError("max_neurons and max_features must be at least 1.")
        names = feature_names(estimator, len(layers.W), X) if names is None else names
        found = _described(layers, dense_rows(X, len(layers.W)))
        order = np.argsort(-found["shares"], kind="stable")[:max_neurons]
        found = {name: values[order] for name, values in found.items()}
        steepest = np.argsort(-np.abs(found["slopes"]).max(axis=0), kind="stable")[:max_features]
        columns = np.sort(steepest)
        found["slopes"] = found["slopes"][:, columns]
        display = cls(
            **found,
            neurons=kept[order],
            names=[str(names[k]) for k in columns],
            n_neurons=len(kept),
        )
        return display.plot(axes=axes)

    def plot(self, *, axes: SeveralAxes | None = None) -> NeuronDisplay:
        """Draw three panels beside each other, with a row for each neuron.

        Parameters
        ----------
        axes : sequence of three matplotlib Axes, default=None
            Where to draw; a new figure otherwise.

        Returns
        -------
        NeuronDisplay
            Itself.
        """
        if axes is None:
            axes = self._new_axes()
        elif len(axes) != 3:
            raise ValueError(f"Neurons are drawn in three axes, got {len(axes)}.")
        self.axes_ = np.asarray(axes, dtype=object)
        left, middle, right = self.axes_
        self.figure_ = left.figure
        rows = np.arange(len(self.neurons))
        self._draw_slopes(left)
        self._draw_positions(middle, rows)
        right.barh(rows, 100 * self.shares, color="C0", height=0.6)
        right.set(xlabel="output share (%)", ylim=(len(rows) - 0.5, -0.5))
        left.set_yticks(rows, [f"neuron {number}" for number in self.neurons])
        for ax in (middle, right):
            ax.set_yticks([])
            ax.spines[["top", "right", "left"]].set_visible(False)
        together = 100 * self.shares.sum()
        left.set_title(
            f"{len(rows)} of {self.n_neurons} neurons, {together:.0f} % of the output",
            fontsize="medium",
            loc="left",
        )
        return self

    def _new_axes(self):
        height = 1.6 + 0.32 * len(self.neurons)
        width = min(12.0, 6.0 + 0.32 * len(self.names))
        _, axes = pyplot("NeuronDisplay").subplots(
            1,
            3,
            figsize=(width, height),
            width_ratios=(max(2.0, 0.32 * len(self.names)), 2.0, 1.5),
            layout="constrained",
        )
        return axes

    def _draw_slopes(self, ax):
        limit = np.abs(self.slopes).max() or 1.0
        self.im_ = ax.imshow(
            self.slopes, vmin=-limit, vmax=limit, cmap="RdBu_r", aspect="auto", origin="upper"
        )
        ax.set_xticks(np.arange(len(self.names)), self.names, rotation=90)
        bar = ax.figure.colorbar(self.im_, ax=ax, location="right", fraction=0.05, pad=0.02)
        bar.set_label("slope where it is active")

    def _draw_positions(self, ax, rows):
        low, lower, median, upper, high = self.positions.T
        ax.hlines(rows, low, high, color="0.75", linewidth=1.5)
        ax.hlines(rows, lower, upper, color="0.75", linewidth=5)
        on = high > 0
        ax.hlines(rows[on], np.maximum(low, 0)[on], high[on], color="C1", linewidth=1.5)
        on = upper > 0
        ax.hlines(rows[on], np.maximum(lower, 0)[on], upper[on], color="C1", linewidth=5)
        ax.plot(median, rows, "|", color="k", markersize=9)
        ax.axvline(0, color="k", linewidth=0.8, linestyle="--")
        for row, share in zip(rows, self.active, strict=True):
            ax.annotate(
                f"{100 * share:.0f} %",
                (1.01, row),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize="small",
            )
        ax.set(
            ylim=(len(rows) - 0.5, -0.5), xlabel="distance of the rows from\nthe kink (% active)"
        )
        ax.set_title("active where positive", fontsize="medium", loc="left")


_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def _described(layers, X):
    """Slopes, positions, active and shares of all neurons."""
    Z = X @ layers.W + layers.bias
    lengths, sizes = np.linalg.norm(layers.W, axis=0), np.linalg.norm(layers.C, axis=1)
    contributions = np.maximum(Z, 0).mean(axis=0) * sizes
    total = contributions.sum()
    outer = layers.C[:, 0] if layers.C.shape[1] == 1 else sizes
    distances = np.divide(Z, lengths, out=np.sign(Z), where=lengths > 0)
    return {
        "slopes": layers.W.T * outer[:, None],
        "positions": np.quantile(distances, _QUANTILES, axis=0).T,
        "active": (Z > 0).mean(axis=0),
        "shares": contributions / total if total > 0 else np.zeros(len(sizes)),
    }


def _before_last(pipeline, X):
    """Rows and names of columns as the last step of a pipeline sees them."""
    steps = pipeline[:-1]
    X = steps.transform(X) if len(steps) else X
    try:
        return X, list(steps.get_feature_names_out())
    except (AttributeError, ValueError):  # a step that names no columns
        return X, None
