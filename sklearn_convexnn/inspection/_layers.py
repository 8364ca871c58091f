"""Rank and alignment of the layers of a network."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted


@dataclass(frozen=True)
class LayerAlignment:
    """What :func:`layer_alignment` returns.

    Attributes
    ----------
    singular_values : list of ndarrays
        Singular values of every layer, in decreasing order.
    ranks : ndarray of shape (n_layers,)
        Number of singular values above ``rank_tol`` times the largest.
    alignment : ndarray of shape (n_layers - 1,)
        ``||W_l W_{l+1}||_* / sum_i sigma_i(W_l) sigma_i(W_{l+1})`` of neighbours, between 0 and 1:
        1 exactly where the output directions of a layer are the input directions of the next, in
        order of their size.
    balance : ndarray of shape (n_layers - 1,)
        ``||W_l^T W_l - W_{l+1} W_{l+1}^T||_F`` relative to ``||W_l^T W_l||_F + ||W_{l+1}
        W_{l+1}^T||_F``: 0 for balanced layers, which are aligned and share their singular values.
    """

    singular_values: list
    ranks: np.ndarray
    alignment: np.ndarray
    balance: np.ndarray


def layer_alignment(layers: Any, *, rank_tol: float = 1e-6) -> LayerAlignment:
    r"""Rank and alignment of the layers of a network.

    Weight decay makes the layers of a deep linear network low-rank, balanced, :math:`W_l^T W_l =
    W_{l+1} W_{l+1}^T`, and aligned: the output directions of a layer are the input directions of
    the next [1]_. This measures how far any network is from that.

    Parameters
    ----------
    layers : fitted estimator, or list of ndarrays
        An estimator with ``coefs_``, such as those of this package and scikit-learn's perceptrons,
        or the weights themselves, of shapes (n_inputs, n_outputs).
    rank_tol : float, default=1e-6
        Singular values below this fraction of the largest of their layer do not count in the rank.

    Returns
    -------
    LayerAlignment
        With the attributes ``singular_values``, ``ranks``, ``alignment`` and ``balance``.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Revealing the Structure of Deep Neural Networks via Convex
       Duality", ICML 2021. arXiv:2002.09773 (Section 3).

    Examples
    --------
    >>> from sklearn.datasets import load_linnerud
    >>> from sklearn.preprocessing import scale
    >>> from sklearn_convexnn import DeepLinearRegressor
    >>> from sklearn_convexnn.inspection import layer_alignment
    >>> X, Y = load_linnerud(return_X_y=True)
    >>> result = layer_alignment(DeepLinearRegressor(n_layers=4, alpha=0.01).fit(X, scale(Y)))
    >>> result.alignment.round(6)
    array([1., 1., 1.])
    """
    if hasattr(layers, "fit"):
        check_is_fitted(layers)
        if not hasattr(layers, "coefs_"):
            raise ValueError(
                f"{type(layers).__name__} has no coefs_, the weights of layers: pass a network of "
                "this package, scikit-learn's MLPClassifier or MLPRegressor (of a pipeline the "
                "last step), or a list of matrices."
            )
        layers = layers.coefs_
    layers = [np.asarray(W, dtype=np.float64) for W in layers]
    if not layers or any(W.ndim != 2 for W in layers):
        raise ValueError("layers must be a fitted estimator with coefs_, or a list of matrices.")
    for before, after in pairwise(layers):
        if before.shape[1] != after.shape[0]:
            raise ValueError(
                f"A layer with {before.shape[1]} outputs is followed by one with {after.shape[0]} "
                "inputs; give matrices of shape (n_inputs, n_outputs)."
            )
    values = [np.linalg.svd(W, compute_uv=False) if W.size else np.zeros(0) for W in layers]
    ranks = [int(np.sum(v > rank_tol * v.max(initial=0.0))) for v in values]
    pairs = list(pairwise(layers))
    return LayerAlignment(
        values,
        np.array(ranks),
        np.array([_alignment(a, b) for a, b in pairs]),
        np.array([_balance(a, b) for a, b in pairs]),
    )


def _alignment(before, after):
    """The nuclear norm of the product by its largest possible value (von Neumann); 1 for zero."""
    if not before.any() or not after.any():
        return 1.0
    s, t = (np.linalg.svd(W, compute_uv=False) for W in (before, after))
    k = min(len(s), len(t))
    return min(float(np.linalg.norm(before @ after, "nuc") / (s[:k] @ t[:k])), 1.0)


def _balance(before, after):
    inner, outer = before.T @ before, after @ after.T
    size = np.linalg.norm(inner) + np.linalg.norm(outer)
    return float(np.linalg.norm(inner - outer) / size) if size > 0 else 0.0
