"""A picture of a fit: objective, lower bound, gap and size of the network, round by round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_convexnn._callbacks import COUNTS
from sklearn_convexnn.inspection._networks import last_step
from sklearn_convexnn.inspection._plotting import three_panels

if TYPE_CHECKING:
    from sklearn_convexnn._typing import SeveralAxes


class TrainingDisplay:
    """Objective and lower bound, duality gap and number of neurons after every round of a fit.

    Made by :meth:`from_estimator`; the parameters are the data that are drawn.

    Parameters
    ----------
    history : dict of ndarrays of shape (n_rounds,)
        ``history_`` of a fitted estimator.
    certificate : {"exact", "proven", "estimated"}
        What the last bound is worth; named wherever bounds are drawn. Before a proven one they are
        estimates.
    status : str, default=None
        Why the rounds ended; in the title.
    name : str, default=None
        Name of the model; in the title.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure, after ``plot``.
    axes_ : ndarray of three matplotlib Axes
        Its panels.

    See Also
    --------
    PathDisplay : The same against alpha.
    optimality_report : Proves a bound for the last network.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_convexnn import ConvexReLURegressor
    >>> from sklearn_convexnn.inspection import TrainingDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = ConvexReLURegressor(alpha=1.0, gap_tol=1e-3, random_state=0).fit(X, y)
    >>> display = TrainingDisplay.from_estimator(model)
    >>> [ax.get_ylabel() for ax in display.axes_]
    ['objective', 'relative gap\\n(estimated)', 'neurons']
    """

    def __init__(
        self,
        *,
        history: dict[str, np.ndarray],
        certificate: Literal["exact", "proven", "estimated"],
        status: str | None = None,
        name: str | None = None,
    ) -> None:
        self.history = history
        self.certificate = certificate
        self.status = status
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, axes: SeveralAxes | None = None
    ) -> TrainingDisplay:
        """Draw the rounds of a fitted estimator.

        Parameters
        ----------
        estimator : object
            A fitted estimator of this package with ``history_``, or a pipeline that ends in one.
        name : str, default=None
            Name of the model; None takes that of its class.
        axes : sequence of three matplotlib Axes, default=None
            Where to draw; a new figure otherwise.

        Returns
        -------
        TrainingDisplay
            With the figure.
        """
        estimator = last_step(estimator)
        check_is_fitted(estimator)
        if not hasattr(estimator, "history_"):
            raise ValueError(
                f"{type(estimator).__name__} has no history_: pass a network of this package."
            )
        display = cls(
            history=estimator.history_,
            certificate=estimator.certificate_,
            status=estimator.status_,
            name=type(estimator).__name__ if name is None else name,
        )
        return display.plot(axes=axes)

    def plot(self, *, axes: SeveralAxes | None = None) -> TrainingDisplay:
        """Draw three panels, one above the other, with a common axis of rounds.

        Parameters
        ----------
        axes : sequence of three matplotlib Axes, default=None
            Where to draw; a new figure otherwise.

        Returns
        -------
        TrainingDisplay
            Itself.
        """
        self.axes_ = three_panels(axes, "TrainingDisplay")
        self.figure_ = self.axes_[0].figure
        top, middle, bottom = self.axes_
        rounds = np.arange(1, len(self.history["objective"]) + 1)
        line = {"marker": "o", "markersize": 3}
        objective, bound = self.history["objective"], self.history["lower_bound"]
        top.plot(rounds, objective, color="C0", label="objective", **line)
        label = f"lower bound ({self._worth()})"
        top.plot(rounds, bound, color="C2", linestyle="--", label=label, **line)
        top.fill_between(rounds, bound, objective, color="C2", alpha=0.15, linewidth=0)
        top.set_ylabel("objective")
        top.legend(frameon=False)
        self._draw_gap(middle, rounds, line)
        for name, word in COUNTS.items():
            if name in self.history:
                bottom.plot(rounds, self.history[name], color="C1", **line)
                bottom.set_ylabel(word)
        bottom.set_ylim(bottom=0)
        bottom.set_xlabel("round")
        bottom.xaxis.get_major_locator().set_params(integer=True)
        for ax in self.axes_:
            ax.grid(alpha=0.3)
            ax.label_outer()
        title = [part for part in (self.name, self._ended()) if part]
        top.set_title(": ".join(title), fontsize="medium")
        return self

    def _draw_gap(self, ax, rounds, line):
        from matplotlib.ticker import LogLocator, NullFormatter

        gaps = self.history["dual_gap"]
        ax.plot(rounds, gaps, color="C2", **line)
        if np.all(gaps > 0):  # a gap that is closed has no logarithm
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
            ax.yaxis.set_minor_formatter(NullFormatter())
        else:
            ax.set_ylim(bottom=0)
        ax.set_ylabel(f"relative gap\n({self._worth()})")

    def _worth(self):
        """What all the bounds are worth: what is proven is the last, when rounds have ended."""
        several = len(self.history["objective"]) > 1
        return "the last proven" if several and self.certificate == "proven" else self.certificate

    def _ended(self):
        return "" if self.status is None else f'ended by "{self.status}"'
