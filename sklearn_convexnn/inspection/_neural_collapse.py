"""Neural Collapse: how close the features of a classifier are to one point per class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from sklearn_convexnn.inspection._plotting import pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

_ACTIVATIONS = {
    "relu": lambda Z: np.maximum(Z, 0),
    "tanh": np.tanh,
    "logistic": lambda Z: 0.5 * (1.0 + np.tanh(0.5 * Z)),
    "identity": lambda Z: Z,
}


@dataclass(frozen=True)
class NeuralCollapse:
    """What :func:`neural_collapse` returns; every measure but the accuracy is 0 at collapse.

    Attributes
    ----------
    nc1 : float
        Within-class variability, ``trace(S_W pinv(S_B)) / n_classes`` with the covariances within
        classes and between class means.
    nc2_norms : float
        Standard deviation of the norms of the centred class means, relative to their mean.
    nc2_angles : float
        Mean distance of their pairwise cosines from ``-1 / (n_classes - 1)``, the simplex
        equiangular tight frame. NaN if a class mean is at the centre.
    nc3 : float or None
        Self-duality: distance between the centred output weights and the centred class means, both
        scaled to norm 1. None without ``W``.
    nc4 : float or None
        Share of the rows where the classifier disagrees with the nearest class mean. None without
        ``W``.
    nearest_mean_accuracy : float
        Share of the rows whose nearest class mean is that of their class.
    classes : ndarray of shape (n_classes,)
        Class labels.
    cosines : ndarray of shape (n_classes, n_classes)
        Cosines between the centred class means; NaN for a mean at the centre.
    """

    nc1: float
    nc2_norms: float
    nc2_angles: float
    nc3: float | None
    nc4: float | None
    nearest_mean_accuracy: float
    classes: np.ndarray
    cosines: np.ndarray


def neural_collapse(
    features: ArrayLike,
    y: ArrayLike,
    W: ArrayLike | None = None,
    *,
    intercept: ArrayLike | None = None,
) -> NeuralCollapse:
    r"""Measures of Neural Collapse for the features of any classifier.

    Trained past zero error, the last hidden layer of a classifier tends to one point per class; the
    points form a simplex, the output weights align with them, and the decision becomes that of the
    nearest class mean [1]_. For batch normalisation with weight decay this is the closed form of
    the optimum [2]_.

    Parameters
    ----------
    features : array-like of shape (n_samples, n_features)
        Activations of the last hidden layer.
    y : array-like of shape (n_samples,)
        Class labels.
    W : array-like of shape (n_features, n_classes), default=None
        Output weights, columns in the order of the sorted labels. One column for two classes stands
        for the second less the first.
    intercept : array-like of shape (n_classes,), default=None
        Output intercepts, used for the decision of the classifier; None for zeros.

    Returns
    -------
    NeuralCollapse
        With the attributes ``nc1``, ``nc2_norms``, ``nc2_angles``, ``nc3``, ``nc4``,
        ``nearest_mean_accuracy``, ``classes`` and ``cosines``.

    References
    ----------
    .. [1] V. Papyan, X. Y. Han and D. Donoho, "Prevalence of Neural Collapse during the terminal
       phase of deep learning training", PNAS 117(40), 2020. arXiv:2008.08186.
    .. [2] T. Ergen and M. Pilanci, "Revealing the Structure of Deep Neural Networks via Convex
       Duality", ICML 2021. arXiv:2002.09773 (Section 4).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_convexnn import DeepReLUClassifier
    >>> from sklearn_convexnn.inspection import neural_collapse
    >>> X, y = load_iris(return_X_y=True)
    >>> model = DeepReLUClassifier(batch_norm=True, random_state=0).fit(X, y)
    >>> result = neural_collapse(model.hidden_activations(X), y, model.coefs_[-1])
    >>> result.nc1 < 1e-12, result.nc2_angles < 1e-9, result.nc3 < 1e-9, result.nc4
    (True, True, True, 0.0)
    """
    if hasattr(features, "predict"):
        raise TypeError(
            "features are the activations of the last hidden layer, not an estimator: pass "
            "estimator.hidden_activations(X), or use NeuralCollapseDisplay.from_estimator."
        )
    H = check_array(features, dtype=np.float64)
    check_consistent_length(H, y)
    check_classification_targets(y)
    classes, index = np.unique(column_or_1d(y), return_inverse=True)
    if len(classes) < 2:
        raise ValueError("Neural Collapse needs at least two classes in y.")
    means = np.array([H[index == k].mean(axis=0) for k in range(len(classes))])
    # The centre of the class means: unlike the mean of all rows it does not depend on how many
    # rows the classes have.
    centred = means - means.mean(axis=0)
    norms = np.linalg.norm(centred, axis=1)
    cosines = _cosines(centred, norms)
    pairs = cosines[np.triu_indices(len(classes), 1)]
    nearest = _nearest(H, means)
    nc3 = nc4 = None
    if W is not None:
        W, intercept = _output_layer(W, intercept, H.shape[1], len(classes))
        nc3 = _self_duality(W, centred)
        nc4 = float(np.mean(np.argmax(H @ W + intercept, axis=1) != nearest))
    return NeuralCollapse(
        _within_class(H, means, centred, index),
        float(norms.std() / norms.mean()) if norms.any() else 0.0,
        float(np.mean(np.abs(pairs + 1.0 / (len(classes) - 1)))),
        nc3,
        nc4,
        float(np.mean(nearest == index)),
        classes,
        cosines,
    )


def _cosines(centred, norms):
    size = np.where(norms > 0, norms, np.nan)
    return np.clip(centred @ centred.T / np.outer(size, size), -1.0, 1.0)


def _within_class(H, means, centred, index):
    """``trace(S_W pinv(S_B)) / K``: the variance within classes, in units of that between."""
    D = H - means[index]
    _, s, Vt = np.linalg.svd(centred / np.sqrt(len(means)), full_matrices=False)
    keep = s > s.max(initial=0.0) * 1e-10
    if not keep.any():
        return np.inf if D.any() else 0.0
    return float(np.sum((D @ Vt[keep].T / s[keep]) ** 2) / len(H) / len(means))


def _nearest(H, means):
    distances = np.sum(means**2, axis=1) - 2.0 * H @ means.T
    return np.argmin(distances, axis=1)


def _output_layer(W, intercept, n_features, n_classes):
    W = check_array(W, dtype=np.float64)
    if n_classes == 2 and W.shape[1] == 1:
        W = np.hstack([-0.5 * W, 0.5 * W])
        if intercept is not None:
            intercept = 0.5 * np.ravel(intercept)[0] * np.array([-1.0, 1.0])
    if W.shape != (n_features, n_classes):
        raise ValueError(
            f"W must have shape ({n_features}, {n_classes}), one row for each feature and one "
            f"column for each class, got {W.shape}."
        )
    return W, np.zeros(n_classes) if intercept is None else np.asarray(intercept, dtype=np.float64)


def _self_duality(W, centred):
    weights = W.T - W.T.mean(axis=0)
    sizes = np.linalg.norm(weights), np.linalg.norm(centred)
    if min(sizes) == 0.0:
        return float(np.sqrt(2.0))  # nothing is aligned with nothing
    return float(np.linalg.norm(weights / sizes[0] - centred / sizes[1]))


class NeuralCollapseDisplay:
    """Cosines between centred class means, beside those of a simplex.

    Use :meth:`from_estimator` or :meth:`from_features` to make one.

    Parameters
    ----------
    collapse : NeuralCollapse
        Result of :func:`neural_collapse`.
    name : str, default=None
        Name of the model, for the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure with the picture.
    im_ : matplotlib AxesImage
        The matrix of cosines.
    colorbar_ : matplotlib Colorbar
        What its colours mean.

    See Also
    --------
    neural_collapse : The measures.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_convexnn import DeepReLUClassifier
    >>> from sklearn_convexnn.inspection import NeuralCollapseDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = DeepReLUClassifier(batch_norm=True, random_state=0).fit(X, y)
    >>> display = NeuralCollapseDisplay.from_estimator(model, X, y)  # doctest: +SKIP
    """

    def __init__(self, collapse: NeuralCollapse, *, name: str | None = None) -> None:
        self.collapse = collapse
        self.name = name

    def plot(self, ax: Axes | None = None) -> NeuralCollapseDisplay:
        """Draw the matrix of cosines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.

        Returns
        -------
        NeuralCollapseDisplay
            This object, with ``ax_``, ``figure_``, ``im_`` and ``colorbar_``.
        """
        plt = pyplot("NeuralCollapseDisplay")
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        result = self.collapse
        self.im_ = ax.imshow(result.cosines, vmin=-1.0, vmax=1.0, cmap="RdBu_r")
        ticks = np.arange(len(result.classes))
        ax.set_xticks(ticks, result.classes)
        ax.set_yticks(ticks, result.classes)
        lines = [
            f"NC1, spread within classes: {result.nc1:.1e}",
            f"NC2, unequal lengths of class means: {result.nc2_norms:.1e}",
            f"NC2, their angles off the simplex: {result.nc2_angles:.1e}",
        ]
        if result.nc3 is not None:
            lines += [
                f"NC3, output weights off the class means: {result.nc3:.1e}",
                f"NC4, rows not given to the nearest mean: {result.nc4:.1e}",
            ]
        title = lines if self.name is None else [self.name, *lines]
        ax.set_title("\n".join(title), fontsize="small")
        ax.set(xlabel="class", ylabel="class")
        self.colorbar_ = ax.figure.colorbar(
            self.im_, ax=ax, label="cosine between centred class means", shrink=0.85
        )
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_features(
        cls,
        features: ArrayLike,
        y: ArrayLike,
        W: ArrayLike | None = None,
        *,
        intercept: ArrayLike | None = None,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> NeuralCollapseDisplay:
        """Measure and draw the features of any model.

        Parameters
        ----------
        features : array-like of shape (n_samples, n_features)
            Activations of the last hidden layer.
        y : array-like of shape (n_samples,)
            Class labels.
        W : array-like of shape (n_features, n_classes), default=None
            Output weights.
        intercept : array-like of shape (n_classes,), default=None
            Output intercepts.
        name : str, default=None
            Name of the model, for the title.
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.

        Returns
        -------
        NeuralCollapseDisplay
            The display, drawn.
        """
        return cls(neural_collapse(features, y, W, intercept=intercept), name=name).plot(ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> NeuralCollapseDisplay:
        """Measure and draw the last hidden layer of a fitted classifier.

        Parameters
        ----------
        estimator : fitted classifier
            One of this package with ``hidden_activations``, or scikit-learn's ``MLPClassifier``.
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Class labels.
        name : str, default=None
            Name of the model, for the title; None for that of its class.
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.

        Returns
        -------
        NeuralCollapseDisplay
            The display, drawn.
        """
        features = _last_hidden(estimator, X)
        name = type(estimator).__name__ if name is None else name
        return cls.from_features(
            features,
            y,
            estimator.coefs_[-1],
            intercept=estimator.intercepts_[-1],
            name=name,
            ax=ax,
        )


def _last_hidden(estimator, X):
    check_is_fitted(estimator)
    if hasattr(estimator, "hidden_activations"):
        return estimator.hidden_activations(X)
    known = getattr(estimator, "activation", None) in _ACTIVATIONS
    if not known or not hasattr(estimator, "coefs_"):
        raise ValueError(
            f"{type(estimator).__name__} has no hidden_activations and is no perceptron of "
            "scikit-learn: pass a ReLU network of this package or an MLPClassifier (of a pipeline "
            "the last step, and the rows that it saw), or use from_features for other models."
        )
    A = check_array(X, accept_sparse="csr")
    for W, bias in zip(estimator.coefs_[:-1], estimator.intercepts_[:-1], strict=True):
        A = _ACTIVATIONS[estimator.activation](safe_sparse_dot(A, W) + bias)
    return A
