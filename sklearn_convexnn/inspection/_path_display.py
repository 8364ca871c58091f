"""A picture of a regularisation path: scores, numbers of neurons and gaps against alpha."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_convexnn.inspection._networks import last_step
from sklearn_convexnn.inspection._plotting import three_panels

if TYPE_CHECKING:
    from sklearn_convexnn._path import RegularizationPath
    from sklearn_convexnn._typing import SeveralAxes


class PathDisplay:
    """Scores, numbers of neurons and duality gaps along a path of alphas.

    Made by :meth:`from_estimator` or :meth:`from_path`; the parameters are the data that are drawn.

    Parameters
    ----------
    alphas : ndarray of shape (n_alphas,)
        Descending.
    curves : ndarray of shape (n_alphas,) or (n_alphas, n_folds)
        What the first panel shows; folds become their mean with a band of one standard error.
    curve_name : str
        Its name.
    n_neurons : ndarray of shape (n_alphas,) or (n_alphas, n_folds)
        Numbers of neurons.
    dual_gaps : ndarray of shape (n_alphas,) or (n_alphas, n_folds)
        Relative duality gaps.
    certificate : {"exact", "proven", "estimated"}
        What the gaps are worth; named in the label of their panel.
    alpha : float, default=None
        The chosen alpha, marked in all panels.
    reason : str, default=None
        Why it was chosen; in the title. The line need not be at the maximum of the scores.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure, after ``plot``.
    axes_ : ndarray of three matplotlib Axes
        Its panels.

    See Also
    --------
    sklearn_convexnn.ConvexReLURegressorCV : Chooses alpha along such a path.
    sklearn_convexnn.convexnn_path : The path alone.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_convexnn import ConvexReLURegressorCV
    >>> from sklearn_convexnn.inspection import PathDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = ConvexReLURegressorCV(alphas=5, eps=0.1, random_state=0).fit(X, y)
    >>> display = PathDisplay.from_estimator(model)
    >>> [ax.get_ylabel() for ax in display.axes_[:2]]
    ['R2', 'neurons']
    """

    def __init__(
        self,
        *,
        alphas: np.ndarray,
        curves: np.ndarray,
        curve_name: str,
        n_neurons: np.ndarray,
        dual_gaps: np.ndarray,
        certificate: str,
        alpha: float | None = None,
        reason: str | None = None,
    ) -> None:
        self.alphas = alphas
        self.curves = curves
        self.curve_name = curve_name
        self.n_neurons = n_neurons
        self.dual_gaps = dual_gaps
        self.certificate = certificate
        self.alpha = alpha
        self.reason = reason

    @classmethod
    def from_estimator(cls, estimator: Any, *, axes: SeveralAxes | None = None) -> PathDisplay:
        """Draw the path of a cross-validated estimator.

        Parameters
        ----------
        estimator : ConvexReLURegressorCV, ConvexReLUClassifierCV or a convolutional one
            Fitted; or a pipeline with one as its last step.
        axes : sequence of three matplotlib Axes, default=None
            Where to draw; a new figure otherwise.

        Returns
        -------
        PathDisplay
            With the figure.
        """
        estimator = last_step(estimator)
        check_is_fitted(estimator)
        if not hasattr(estimator, "n_neurons_path_"):
            raise ValueError(
                f"{type(estimator).__name__} has no path of scores and neurons: use "
                "ConvexReLURegressorCV, ConvexReLUClassifierCV, or convexnn_path with "
                "PathDisplay.from_path."
            )
        scores, n_neurons, gaps = (
            _of_relaxation(estimator, getattr(estimator, f"{name}_path_"))
            for name in ("score", "n_neurons", "dual_gap")
        )
        display = cls(
            alphas=estimator.alphas_,
            curves=scores,
            curve_name=_score_name(estimator),
            n_neurons=n_neurons,
            dual_gaps=gaps,
            # Gaps are proven after the last round of a fit to gap_tol, not in the folds.
            certificate="exact" if estimator.certificate_ == "exact" else "estimated",
            alpha=_nearest(estimator.alphas_, estimator.alpha_ / estimator.relax_),
            reason=_reason(estimator),
        )
        return display.plot(axes=axes)

    @classmethod
    def from_path(cls, path: RegularizationPath, *, axes: SeveralAxes | None = None) -> PathDisplay:
        """Draw the result of :func:`~sklearn_convexnn.convexnn_path`; its curve is the objective.

        Parameters
        ----------
        path : RegularizationPath
            As returned by ``convexnn_path``.
        axes : sequence of three matplotlib Axes, default=None
            Where to draw; a new figure otherwise.

        Returns
        -------
        PathDisplay
            With the figure.
        """
        display = cls(
            alphas=path.alphas,
            curves=path.objectives,
            curve_name="objective",
            n_neurons=path.n_neurons,
            dual_gaps=path.dual_gaps,
            certificate=path.certificate,
        )
        return display.plot(axes=axes)

    def plot(self, *, axes: SeveralAxes | None = None) -> PathDisplay:
        """Draw three panels, one above the other, with a common axis of alphas.

        Parameters
        ----------
        axes : sequence of three matplotlib Axes, default=None
            Where to draw; a new figure otherwise.

        Returns
        -------
        PathDisplay
            Itself.
        """
        self.axes_ = three_panels(axes, "PathDisplay")
        self.figure_ = self.axes_[0].figure
        top, middle, bottom = self.axes_
        self._draw(top, self.curves, "C0")
        top.set_ylabel(self.curve_name)
        self._draw(middle, self.n_neurons, "C1")
        middle.set_ylabel("neurons")
        middle.set_ylim(bottom=0)
        self._draw(bottom, self.dual_gaps, "C2")
        bottom.set_ylabel(f"{self.certificate}\nduality gap")
        bottom.set_ylim(bottom=0)
        bottom.set_xlabel("alpha")
        for ax in self.axes_:
            ax.set_xscale("log")
            ax.grid(alpha=0.3)
            ax.label_outer()
            if self.alpha is not None:
                ax.axvline(self.alpha, color="0.3", linestyle="--", linewidth=1)
        if self.alpha is not None:
            why = "" if self.reason is None else f": {self.reason}"
            top.set_title(f"chosen alpha {self.alpha:.3g}{why}", fontsize="medium")
        return self

    def _draw(self, ax, values, color):
        values = np.asarray(values, dtype=float)
        folds = values if values.ndim == 2 else values[:, None]
        mean, n_folds = folds.mean(axis=1), folds.shape[1]
        ax.plot(self.alphas, mean, color=color, marker="o", markersize=3)
        if n_folds > 1:
            error = folds.std(axis=1, ddof=1) / np.sqrt(n_folds)
            ax.fill_between(
                self.alphas, mean - error, mean + error, color=color, alpha=0.2, linewidth=0
            )


# By loss, what is maximised with ``scoring=None``.
_DEFAULT_NAMES = {
    "squared_error": "R2",
    "huber": "minus the loss",
    "poisson": "minus the loss",
    "log_loss": "log-likelihood",
}
# What a choice among the alphas within one standard error of the best score went by.
_RULES = {
    "scale": 'nearest to alpha="scale"',
    "one_standard_error": "largest",
    "smallest": "fewest neurons",
}


def _reason(estimator):
    """Why this alpha, in words: the line is not where the curve is highest."""
    relaxed = "" if estimator.relax_ == 1 else f"refitted at {estimator.alpha_:.3g}, "
    if estimator.selection == "best":
        return f"{relaxed}best mean score"
    return f"{relaxed}{_RULES[estimator.selection]}\nwithin one standard error of the best score"


def _of_relaxation(estimator, path):
    """The table (n_alphas, n_folds) of the chosen relaxation."""
    if path.ndim == 2:
        return path
    relax = np.unique(estimator.relax)[::-1]
    return path[int(np.argmin(np.abs(relax - estimator.relax_)))]


def _nearest(alphas, alpha):
    return alphas[np.argmin(np.abs(alphas - alpha))]


def _score_name(estimator):
    scoring = estimator.scoring
    if scoring is None:
        return (
            "log-likelihood" if hasattr(estimator, "classes_") else _DEFAULT_NAMES[estimator.loss]
        )
    return scoring if isinstance(scoring, str) else getattr(scoring, "__name__", "score")
