"""Hidden neurons written as mixtures of training rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import sparse

from sklearn_convexnn.core.patterns.mixtures import (
    activation_signs,
    best_in_cell,
    nearest_in_cone,
    row_squares,
)
from sklearn_convexnn.inspection._networks import two_layer_network
from sklearn_convexnn.inspection._training import (
    BIASES,
    bias_of,
    check_rows,
    dual_variable,
    with_constant,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import MatrixLike

# A mixture this close to a neuron of length one is that neuron.
_EXACT = 1e-9


@dataclass(frozen=True, eq=False)
class NeuronEncodings:
    """Neurons as mixtures of training rows; see :func:`neuron_encodings`.

    Attributes
    ----------
    coefficients : csr_array of shape (n_neurons, n_samples)
        Coefficients of the rows in each neuron of length one.
    directions : ndarray of shape (n_neurons, n_features)
        The neurons themselves: weights, with the bias last if it is penalised, scaled to length
        one. (A bias that is not penalised is determined by the kink and left out.)
    residuals : ndarray of shape (n_neurons,)
        Length of ``directions - mixture``; 0 for an exact encoding.
    active : ndarray of shape (n_neurons,)
        Number of rows on which each neuron is active.
    prices : ndarray of shape (n_neurons,) or None
        With ``y``: the largest dual constraint over all directions that are active on the same rows
        as the neuron, as a multiple of ``alpha_``; 1 at an optimal network.
    """

    coefficients: sparse.csr_array
    directions: np.ndarray
    residuals: np.ndarray
    active: np.ndarray
    prices: np.ndarray | None

    @property
    def supports(self) -> list[np.ndarray]:
        """Numbers of the rows in the mixtures.

        Returns
        -------
        list of ndarrays of shape (n_rows_in_mixture,)
            One for each neuron, the rows with the largest coefficients first.
        """
        found = []
        for j in range(len(self.residuals)):
            part = slice(*self.coefficients.indptr[j : j + 2])
            order = np.argsort(-np.abs(self.coefficients.data[part]), kind="stable")
            found.append(self.coefficients.indices[part][order])
        return found

    def table(self) -> dict[str, np.ndarray]:
        """One line per neuron.

        Returns
        -------
        dict of ndarrays of shape (n_neurons,)
            "active" and "support" (numbers of rows), "positive" and "negative" (sums of
            coefficients of that sign), "largest" (the row with the largest coefficient, -1 for
            none), "residual", and "price" if there is one. ``pandas.DataFrame(table)`` prints it.
        """
        positive = self.coefficients.maximum(0).sum(axis=1)
        columns = {
            "active": self.active,
            "support": np.diff(self.coefficients.indptr),
            "positive": np.asarray(positive).ravel(),
            "negative": np.asarray(self.coefficients.sum(axis=1)).ravel() - positive,
            "largest": np.array(
                [rows[0] if len(rows) else -1 for rows in self.supports], dtype=int
            ),
            "residual": self.residuals,
        }
        return columns if self.prices is None else {**columns, "price": self.prices}


def neuron_encodings(
    estimator: Any,
    X: MatrixLike,
    y: ArrayLike | None = None,
    *,
    sample_weight: ArrayLike | None = None,
    bias: Literal["auto", "decayed", "free", "none"] = "auto",
    kink_tol: float = 1e-6,
) -> NeuronEncodings:
    r"""Write each hidden neuron as a mixture of training rows.

    An optimal neuron of a network with weight decay is a mixture of training rows: it encodes rows
    by what they have and other rows have not [1]_. Let :math:`a_i` be the rows, with
    the constant 1 appended when the bias is penalised, and :math:`u` a neuron of length one that is
    active on the rows :math:`S`.

    Without ``y`` it is the nearest mixture with few rows, of the form

    .. math::

        u \approx \sum_{i \in S} \lambda_i a_i - \sum_{i \notin S} \nu_i a_i ,
        \qquad \lambda, \nu \ge 0 ,

    by non-negative least squares, with at most as many rows as there are columns. Rows on the kink
    of the neuron may have either sign, and rows on which it is inactive are used only if the others
    do not suffice. For a neuron that isolates one row :math:`k` this is the theorem on "spikes":
    :math:`u \propto a_k - \sum_j \nu_j a_j`, the row minus its nearest point in the cone of the
    others (in their convex hull, when the bias is free). When rows are linearly dependent the
    mixture is one of many. That it exists (``residuals`` 0) says nothing about optimality, and a
    residual says that the neuron needs active rows with negative coefficients, as neurons may that
    are active on all rows; the dual form has them.

    With ``y`` it is the mixture that the dual problem singles out. With the dual variable
    :math:`r = R\, c / \|c\|`, :math:`R_i = -w_i \nabla \ell(y_i, z_i)`, for the neuron's output
    weights :math:`c`,

    .. math::

        \alpha u = \sum_{i \in S} (r_i + \lambda_i)\, a_i - \sum_{i \notin S} \nu_i a_i ,
        \qquad \lambda, \nu \ge 0 ,

    where :math:`\lambda, \nu` solve a non-negative least-squares problem and vanish off the kink.
    What is returned is the right-hand side for the best direction of the neuron's activation
    pattern, scaled to length one. At an optimal network it is the neuron: ``residuals`` are 0 and
    ``prices`` 1. A price above 1 shows a violated dual constraint; a residual above 0 says how far
    training left the neuron from the best one of its pattern.

    Parameters
    ----------
    estimator : object
        A fitted two-layer ReLU network with ``coefs_`` and ``intercepts_``.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Training rows, as the network saw them (after the scaler of a pipeline).
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Training targets; for the convex estimators of this package only.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights as in fit, used with ``y``.
    bias : {"auto", "decayed", "free", "none"}, default="auto"
        How the biases of the neurons are penalised. "decayed": like their weights, a constant is a
        feature; "free": not, the coefficients then sum to 0 and the bias is left out; "none": there
        are no biases. "auto" takes what the estimator does ("free" for scikit-learn's
        perceptrons).
    kink_tol : float, default=1e-6
        A row is on the kink where ``|a_i^T u|`` is at most this times ``||a_i|| ||u||``.

    Returns
    -------
    NeuronEncodings
        Coefficients, residuals and a table. Neurons without weights or output weights have empty
        mixtures and residual 0.

    Raises
    ------
    ValueError
        If the estimator is not a two-layer ReLU network, ``y`` is given for an estimator without
        this dual problem, or an argument has a wrong shape.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Convex Geometry and Duality of Over-parameterized Neural
       Networks", JMLR 22(212), 2021. arXiv:2002.11219 (extreme points and convex mixtures).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import scale
    >>> from sklearn_convexnn import ConvexReLUClassifier
    >>> from sklearn_convexnn.inspection import neuron_encodings
    >>> X, y = load_iris(return_X_y=True)
    >>> X = scale(X)
    >>> model = ConvexReLUClassifier(random_state=0).fit(X, y)
    >>> encodings = neuron_encodings(model, X)
    >>> bool(encodings.residuals.max() < 1e-6)  # every neuron is such a mixture ...
    True
    >>> bool(encodings.table()["support"].max() <= 5)  # ... of at most five flowers
    True
    """
    layers = two_layer_network(estimator)
    X = check_rows(X, len(layers.W))
    if bias == "auto":
        bias = bias_of(estimator, layers)
    if bias not in BIASES:
        raise ValueError(f"bias must be 'auto' or one of {BIASES}, got {bias!r}.")
    if not kink_tol >= 0:
        raise ValueError(f"kink_tol must not be negative, got {kink_tol}.")
    if y is None:
        return _nearest_mixtures(layers, X, bias, kink_tol)
    R = dual_variable(estimator, layers, X, y, sample_weight)
    if bias != bias_of(estimator, layers):
        raise ValueError(
            f"With y, bias is that of the estimator: leave it at 'auto', not {bias!r}."
        )
    return _dual_mixtures(layers, X, R, estimator.alpha_, bias)


def _nearest_mixtures(layers, X, bias, kink_tol):
    rows = X if bias == "none" else with_constant(X)
    neurons = layers.W.T if bias == "none" else np.column_stack([layers.W.T, layers.bias])
    # A free bias is no part of the mixture: its column asks for coefficients that sum to 0, in the
    # units of the rows.
    generators, targets = rows, neurons
    if bias == "free":
        generators = with_constant(X, np.sqrt(max(row_squares(X).mean(), np.finfo(float).tiny)))
        targets = np.column_stack([layers.W.T, np.zeros(len(neurons))])
    lengths = np.linalg.norm(targets, axis=1)
    used = (lengths > 0) & np.any(layers.C != 0, axis=1)
    mixtures, residuals = [np.zeros(X.shape[0])] * len(neurons), np.zeros(len(neurons))
    for j in np.flatnonzero(used):
        signs = activation_signs(rows, neurons[j], tolerance=kink_tol)
        kink = np.flatnonzero(signs == 0)
        mixtures[j], residual = _signed_mixture(targets[j] / lengths[j], generators, signs, kink)
        residuals[j] = np.linalg.norm(residual)
    directions = targets / np.where(lengths > 0, lengths, 1.0)[:, None]
    directions = directions[:, : X.shape[1]] if bias == "free" else directions
    return NeuronEncodings(_stacked(mixtures, X), directions, residuals, _active(layers, X), None)


def _signed_mixture(target, rows, signs, kink):
    """The nearest mixture, of active rows and rows on the kink alone if they suffice.

    Rows on the kink may have either sign.
    """
    if len(kink):
        stack = sparse.vstack if sparse.issparse(rows) else np.vstack
        rows = stack([rows, rows[kink]])
        rows = sparse.csr_array(rows) if sparse.issparse(rows) else rows
    both = np.concatenate([np.where(signs == 0, 1.0, signs), -np.ones(len(kink))])
    near = both.copy()
    near[: len(signs)][signs < 0] = 0.0
    coefficients, residual = nearest_in_cone(target, rows, near)
    if np.linalg.norm(residual) > _EXACT:
        coefficients, residual = nearest_in_cone(target, rows, both)
    mixture = (both * coefficients)[: len(signs)]
    mixture[kink] -= coefficients[len(signs) :]
    return mixture, residual


def _dual_mixtures(layers, X, R, alpha, bias):
    rows = X if bias == "none" else with_constant(X)
    neurons = layers.W.T if bias == "none" else np.column_stack([layers.W.T, layers.bias])
    lengths, sizes = np.linalg.norm(neurons, axis=1), np.linalg.norm(layers.C, axis=1)
    directions = neurons / np.where(lengths > 0, lengths, 1.0)[:, None]
    mixtures = [np.zeros(X.shape[0])] * len(neurons)
    residuals, prices = np.zeros(len(neurons)), np.zeros(len(neurons))
    for j in np.flatnonzero((lengths > 0) & (sizes > 0)):
        signs = np.where(rows @ neurons[j] > 0, 1.0, -1.0)
        mixture, best = best_in_cell(rows, R @ layers.C[j] / sizes[j], signs)
        price = np.linalg.norm(best)
        prices[j] = price / alpha
        if price > 0:
            mixtures[j], best = mixture / price, best / price
        residuals[j] = np.linalg.norm(directions[j] - best)
    return NeuronEncodings(_stacked(mixtures, X), directions, residuals, _active(layers, X), prices)


def _active(layers, X):
    return np.count_nonzero(X @ layers.W + layers.bias > 0, axis=0)


def _stacked(mixtures, X):
    return sparse.csr_array(np.reshape(mixtures, (len(mixtures), X.shape[0])))
