"""Kernel matrices of ReLU networks in closed form, and fits of least l1 norm on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import sparse
from scipy.optimize import linprog
from sklearn.utils import check_array, check_consistent_length

from sklearn_convexnn.core.spline.training import principal_axis
from sklearn_convexnn.inspection._wedge_neurons import activations, neurons_through_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import MatrixLike, RandomState


def relu_kernel(
    X: ArrayLike,
    Z: ArrayLike | None = None,
    *,
    kind: Literal["spline", "wedge"] = "spline",
    n_layers: Literal[2, 3] = 2,
    norm: Literal["l1", "l2"] = "l1",
    fit_intercept: bool = True,
    max_subsets: int | None = None,
    random_state: RandomState = None,
) -> np.ndarray:
    r"""Kernel matrix whose lasso is the training problem of a ReLU network.

    Column j is one neuron, evaluated at the rows of X. With these columns, training a network with
    weight decay is :math:`\min_{z, b}\, \ell(K z + b, y) + \alpha \|z\|_1` [1]_ [2]_.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows at which neurons are evaluated.
    Z : array-like of shape (n_points, n_features), default=None
        Training rows that define the neurons; X itself by default.
    kind : {"spline", "wedge"}, default="spline"
        ``"spline"``: Z is one feature, or rows on a line. The columns are :math:`(t - s_j)_+` and
        then :math:`(s_j - t)_+` for the positions :math:`s_j` of the rows of Z in their order, and
        with ``n_layers=3`` the ramps :math:`\min((t - s_j)_+, s_k - s_j)` for all pairs
        :math:`s_j < s_k`. This is exact.
        ``"wedge"``: neurons :math:`(x^T u + b)_+ / \|u\|` and :math:`(-x^T u - b)_+ / \|u\|` whose
        hyperplane goes through as many rows of Z as determine it. For ``norm="l1"`` hyperplanes
        parallel to coordinate axes are included and this is exact too; for ``norm="l2"`` it is an
        upper bound of the optimum that is nearly exact for dense data.
    n_layers : {2, 3}, default=2
        Layers of weights, for ``kind="spline"``. Four layers add columns but lower no optimum.
    norm : {"l1", "l2"}, default="l1"
        Norm of the input weights that weight decay penalises, for ``kind="wedge"``.
    fit_intercept : bool, default=True
        Whether neurons have a bias, free of weight decay, for ``kind="wedge"``.
    max_subsets : int, default=None
        Sample that many subsets of rows if there are more, for ``kind="wedge"``. By default all are
        taken, and more than 200 000 are an error.
    random_state : int, RandomState instance or None, default=None
        Seeds the sampling.

    Returns
    -------
    ndarray of shape (n_samples, n_neurons)
        The kernel matrix.

    Raises
    ------
    ValueError
        If the rows of Z are not on a line (``kind="spline"``), or have too many subsets.

    See Also
    --------
    min_l1_solution : Interpolation of least l1 norm with such a matrix.
    WedgeFeatures : The same as a transformer.
    sklearn_convexnn.SplineReLURegressor : Solves the lasso of ``kind="spline"`` for any n.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Convex Geometry and Duality of Over-parameterized Neural
       Networks", JMLR 22(212), 2021. arXiv:2002.11219.
    .. [2] M. Pilanci, "From Complexity to Clarity: Analytical Expressions of Deep Neural Network
       Weights via Clifford's Geometric Algebra and Convexity", 2023. arXiv:2309.16512.

    Examples
    --------
    >>> from sklearn_convexnn.inspection import relu_kernel
    >>> relu_kernel([[0.0], [1.0], [3.0]])
    array([[0., 0., 0., 0., 1., 3.],
           [1., 0., 0., 0., 0., 2.],
           [3., 2., 0., 0., 0., 0.]])
    """
    X = check_array(X, dtype=np.float64)
    Z = X if Z is None else check_array(Z, dtype=np.float64)
    if X.shape[1] != Z.shape[1]:
        raise ValueError(f"X has {X.shape[1]} features, but Z has {Z.shape[1]}.")
    if kind == "spline":
        return _spline_kernel(X, Z, n_layers)
    if kind != "wedge":
        raise ValueError(f"kind must be 'spline' or 'wedge', got {kind!r}.")
    U, b = neurons_through_rows(
        Z,
        norm=norm,
        fit_intercept=fit_intercept,
        max_subsets=max_subsets,
        random_state=random_state,
    )
    return activations(X, U, b)


def _spline_kernel(X, Z, n_layers):
    if n_layers not in (2, 3):
        raise ValueError(f"n_layers must be 2 or 3, got {n_layers!r}.")
    direction, miss = principal_axis(Z, np.ones(len(Z)))
    if miss > 1e-9:
        raise ValueError("kind='spline' needs one feature, or rows on a line: use kind='wedge'.")
    t, s = X @ direction, Z @ direction
    gaps = t[:, None] - s
    parts = [np.maximum(gaps, 0.0), np.maximum(-gaps, 0.0)]
    if n_layers == 3:
        first, second = np.nonzero(s[:, None] < s)
        parts.append(np.clip(gaps[:, first], 0.0, s[second] - s[first]))
    return np.hstack(parts)


# ------------------------------------------------------------------------------- least l1 norm


@dataclass(frozen=True)
class MinL1Solution:
    """A fit of least l1 norm.

    Attributes
    ----------
    coef : ndarray of shape (n_columns,)
        Weights of the columns.
    intercept : float
        The free constant; 0 without one.
    norm : float
        ``sum(abs(coef))``, the optimal value.
    dual : ndarray of shape (n_samples,)
        Optimal dual variable v: no column has ``abs(K[:, j] @ v) > 1``, and those in use have
        equality. ``v @ y``, times the margin if there is one, is the norm.
    """

    coef: np.ndarray
    intercept: float
    norm: float
    dual: np.ndarray


def min_l1_solution(
    K: MatrixLike, y: ArrayLike, *, margin: float | None = None, fit_intercept: bool = True
) -> MinL1Solution:
    r"""Interpolation, or separation with a margin, of least l1 norm.

    Solves

    .. math:: \min_{z, b} \|z\|_1 \quad \text{s.t.} \quad K z + b = y
              \qquad \text{or} \qquad y_i (K z + b)_i \ge \text{margin},

    a linear program, with HiGHS. For a matrix of :func:`relu_kernel` this is the network of least
    weight decay that fits all samples.

    Parameters
    ----------
    K : {array-like, sparse matrix} of shape (n_samples, n_columns)
        Columns, for example of :func:`relu_kernel`.
    y : array-like of shape (n_samples,)
        Targets; -1 and 1 if there is a margin.
    margin : float, default=None
        Positive: separate the signs in y by it. None: interpolate y.
    fit_intercept : bool, default=True
        Whether b is free; else it is zero.

    Returns
    -------
    MinL1Solution
        With attributes ``coef``, ``intercept``, ``norm`` and ``dual``.

    Raises
    ------
    ValueError
        If no combination of the columns fits.

    Examples
    --------
    >>> from sklearn_convexnn.inspection import min_l1_solution, relu_kernel
    >>> K = relu_kernel([[-2.0], [-1.0], [0.0], [1.0], [2.0]])
    >>> min_l1_solution(K, [1, -1, 1, 1, -1]).norm
    8.0
    """
    K = check_array(K, dtype=np.float64, accept_sparse="csr")
    y = check_array(y, dtype=np.float64, ensure_2d=False)
    check_consistent_length(K, y)
    if y.ndim != 1:
        raise ValueError(f"y must have one dimension, got {y.ndim}.")
    if margin is not None:
        if not margin > 0:
            raise ValueError(f"margin must be positive, got {margin!r}.")
        if not np.isin(y, (-1, 1)).all():
            raise ValueError("With a margin the targets must be -1 or 1.")
    n, m = K.shape
    signs = np.ones(n) if margin is None else y
    stack = sparse.hstack if sparse.issparse(K) else np.hstack
    A: Any = stack([K, -K, np.full((n, 1), 1.0 if fit_intercept else 0.0)])
    A = A.multiply(signs[:, None]).tocsr() if sparse.issparse(A) else A * signs[:, None]
    bounds = np.zeros((2 * m + 1, 2))
    bounds[:, 1] = np.inf
    bounds[-1, 0] = -np.inf
    fits = {"A_eq": A, "b_eq": y} if margin is None else {"A_ub": -A, "b_ub": np.full(n, -margin)}
    result = linprog(np.append(np.ones(2 * m), 0.0), bounds=bounds, method="highs", **fits)
    if result.status == 2:
        raise ValueError("No combination of the columns of K fits y: K needs more columns.")
    if result.status != 0:
        raise RuntimeError(f"HiGHS did not solve the linear program: {result.message}")
    coef = result.x[:m] - result.x[m : 2 * m]
    dual = result.eqlin.marginals if margin is None else -signs * result.ineqlin.marginals
    intercept = float(result.x[-1]) if fit_intercept else 0.0
    return MinL1Solution(coef, intercept, float(np.abs(coef).sum()), dual)


# -------------------------------------------------------------------- the limit of infinite width


def ntk_kernel(
    X: ArrayLike, Z: ArrayLike | None = None, *, fit_intercept: bool = True
) -> np.ndarray:
    r"""Neural tangent kernel of the two-layer ReLU network, in closed form.

    For the network :math:`m^{-1/2} \sum_{j \le m} a_j (w_j^T x)_+` with standard normal weights,
    the inner product of its gradients in all weights tends, as :math:`m \to \infty`, to [1]_ [2]_

    .. math:: \Theta(x, z) = \frac{\|x\| \|z\|}{2 \pi} \bigl(
              2 \cos\theta \, (\pi - \theta) + \sin\theta \bigr) ,
              \qquad \theta = \angle(x, z) .

    Infinitely wide networks trained by gradient descent from small steps are kernel regression with
    it: their features stay those of the start, in contrast to the sparse networks of this package.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows.
    Z : array-like of shape (n_points, n_features), default=None
        Other rows; X by default.
    fit_intercept : bool, default=True
        Whether neurons have a bias, a weight for a constant feature 1.

    Returns
    -------
    ndarray of shape (n_samples, n_points)
        The kernel matrix.

    References
    ----------
    .. [1] A. Jacot, F. Gabriel and C. Hongler, "Neural Tangent Kernel: Convergence and
       Generalization in Neural Networks", NeurIPS 2018. arXiv:1806.07572.
    .. [2] Y. Cho and L. Saul, "Kernel Methods for Deep Learning", NIPS 2009 (the two terms).

    Examples
    --------
    >>> from sklearn_convexnn.inspection import ntk_kernel
    >>> ntk_kernel([[1.0, 0.0], [0.0, 2.0]], fit_intercept=False).round(6)
    array([[1.     , 0.31831],
           [0.31831, 4.     ]])
    """
    X = check_array(X, dtype=np.float64)
    Z = X if Z is None else check_array(Z, dtype=np.float64)
    if X.shape[1] != Z.shape[1]:
        raise ValueError(f"X has {X.shape[1]} features, but Z has {Z.shape[1]}.")
    if fit_intercept:
        X, Z = (np.column_stack([A, np.ones(len(A))]) for A in (X, Z))
    lengths, others = np.linalg.norm(X, axis=1), np.linalg.norm(Z, axis=1)
    product = lengths[:, None] * others
    cosine = np.divide(X @ Z.T, product, out=np.zeros_like(product), where=product > 0)
    cosine = np.clip(cosine, -1.0, 1.0)
    angle = np.arccos(cosine)
    return product / (2 * np.pi) * (2 * cosine * (np.pi - angle) + np.sqrt(1 - cosine**2))
