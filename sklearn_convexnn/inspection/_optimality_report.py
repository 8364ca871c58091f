"""How far a fitted network is from the global optimum, computed afresh and proven if possible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sklearn_convexnn._two_layer import BaseTwoLayer
from sklearn_convexnn._validation import one_blas_thread
from sklearn_convexnn.core.pricing.proofs import Limits, exact_price, relaxed_price
from sklearn_convexnn.core.pricing.search import SearchPricing
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.inspection._networks import two_layer_network
from sklearn_convexnn.inspection._training import check_rows, training_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import MatrixLike, RandomState

METHODS = ("auto", "exact", "proven", "estimated")

# What enumeration may cost if it is not asked for by name, in patterns.
_QUICK_PATTERNS = 60_000

_MEANING = {
    "exact": "a bound: no network of any width has an objective below the lower bound",
    "proven": "a bound, perhaps loose: no network of any width has an objective below the "
    "lower bound",
    "estimated": "an estimate and not a bound: a direction that the search missed would make the "
    "gap larger",
}


@dataclass(frozen=True)
class OptimalityReport:
    """What is known about the optimality of a network; see :func:`optimality_report`.

    Attributes
    ----------
    objective : float
        Objective of the network: mean loss and penalty, from its weights.
    loss : float
        The (weighted) mean loss.
    penalty : float
        ``objective - loss``.
    lower_bound : float
        Value of the dual: a lower bound of the objective of every network if ``kind`` is "exact" or
        "proven", an estimate of one otherwise.
    gap : float
        ``objective - lower_bound``.
    relative_gap : float
        ``gap / objective``.
    kind : {"exact", "proven", "estimated"}
        How ``price`` was obtained.
    price : float
        The value used for the largest price :math:`\\kappa(R)`; an upper bound of it unless
        ``kind`` is "estimated".
    price_found : float
        The largest price of a direction that is known, a lower bound of :math:`\\kappa(R)`.
    estimated_relative_gap : float
        The relative gap with ``price_found`` in place of ``price``: no method can prove less for
        this network and this dual variable.
    alpha : float
        The penalty's weight.
    n_outputs : int
    reason : str
        How ``price`` was obtained, in words.
    """

    objective: float
    loss: float
    penalty: float
    lower_bound: float
    gap: float
    relative_gap: float
    kind: str
    price: float
    price_found: float
    estimated_relative_gap: float
    alpha: float
    n_outputs: int
    reason: str

    def __str__(self):
        lines = [
            ("objective", f"{self.objective:.10g}"),
            ("  mean loss", f"{self.loss:.10g}"),
            ("  penalty", f"{self.penalty:.10g}"),
            ("lower bound", f"{self.lower_bound:.10g}"),
            ("gap", f"{self.gap:.3g}"),
            ("relative gap", f"{self.relative_gap:.3g} ({self.kind})"),
            ("largest price / alpha", f"{self.price / self.alpha:.8g}"),
            ("  found by search", f"{self.price_found / self.alpha:.8g}"),
            ("obtained from", self.reason),
        ]
        table = [f"{name:<22} {value}" for name, value in lines]
        return "\n".join([*table, f"The gap is {_MEANING[self.kind]}."])


@one_blas_thread
def optimality_report(
    estimator: Any,
    X: MatrixLike,
    y: ArrayLike,
    *,
    method: Literal["auto", "exact", "proven", "estimated"] = "auto",
    sample_weight: ArrayLike | None = None,
    tol: float = 1e-3,
    max_patterns: int = 500_000,
    max_nodes: int = 10_000_000,
    time_limit: float = 60.0,
    random_state: RandomState = 0,
) -> OptimalityReport:
    r"""How far a network is from the global optimum, from its weights and the data alone.

    Nothing that the fit has stored is used, except for the weights and ``alpha_``: objective,
    residual, largest price and dual value are computed afresh, in double precision. With the
    residual :math:`R_i = -w_i \nabla \ell(y_i, z_i)` and any number :math:`k` not below

    .. math:: \kappa(R) = \max_{\|u\| \le 1} \|R^\top (X u)_+\| ,

    the scaled residual :math:`s R` with :math:`s k \le \alpha` is feasible for the dual of the
    training problem, so that its dual value is a lower bound of the objective of every network, of
    any width [1]_. Everything depends on how :math:`k` is obtained:

    "exact"
        :math:`k = \kappa(R)`, for any number of outputs, by going through the faces of all
        activation patterns, of which there are at most :math:`2 \sum_{j<r} \binom{n - 1}{j}` for
        rows of rank r; or for rows that are spike-free, and one output, by one non-negative least
        squares problem.
    "proven"
        The least of several proven upper bounds. For one output: a spectral one, a semidefinite
        relaxation (its dual multipliers are made feasible and evaluated afresh, so that the
        accuracy of the solver does not matter), and up to rank 10 branch and bound over cones of
        directions, until the gap is ``tol`` or the limits are reached. Branch and bound closes the
        gap up to rank 6 or so; beyond, the bound is loose. **For several outputs** the bounds of
        single outputs, along the principal axes of :math:`R`, are combined: that is proven, but
        overestimates :math:`\kappa(R)` by a factor of up to :math:`\sqrt{C}`.
    "estimated"
        The best of many local searches, a lower bound of :math:`\kappa(R)`: the gap is an estimate.
    "auto"
        Exact where that takes seconds, a proven bound otherwise.

    Parameters
    ----------
    estimator : object
        A fitted two-layer estimator of this package.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Training rows, as the estimator saw them (after the scaler of a pipeline).
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Training targets.
    method : {"auto", "exact", "proven", "estimated"}, default="auto"
        What to prove.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights as in fit. Class weights are those of the estimator.
    tol : float, default=1e-3
        Relative gap at which branch and bound stops.
    max_patterns : int, default=500000
        Refuse enumeration of more activation patterns.
    max_nodes : int, default=10000000
        Cones of directions in branch and bound.
    time_limit : float, default=60.0
        Seconds for branch and bound. Where it stops the search, the result depends on the machine;
        ``float("inf")`` and a value of ``max_nodes`` give the same result everywhere.
    random_state : int, RandomState instance or None, default=0
        Of the local search.

    Returns
    -------
    OptimalityReport
        Values and kind; ``print`` shows a table.

    Raises
    ------
    ValueError
        If ``method="exact"`` and the rows have too many activation patterns.

    Notes
    -----
    The upper bounds of prices are raised by what rounding may have taken from them. What rounding
    does to sums of n numbers elsewhere, a relative 1e-14 or so, is not accounted for.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Convex Geometry and Duality of Over-parameterized Neural
       Networks", JMLR 22(212), 2021. arXiv:2002.11219.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_convexnn import ConvexReLURegressor
    >>> from sklearn_convexnn.inspection import optimality_report
    >>> X = np.random.default_rng(0).standard_normal((60, 2))
    >>> y = np.abs(X[:, 0]) - X[:, 1]
    >>> model = ConvexReLURegressor(alpha=0.01, gap_tol=1e-4, random_state=0).fit(X, y)
    >>> report = optimality_report(model, X, y)
    >>> report.kind, report.relative_gap < 1e-3
    ('exact', True)
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}.")
    check_is_fitted(estimator)
    if not isinstance(estimator, BaseTwoLayer):
        raise ValueError(
            f"There is no report of a {type(estimator).__name__}: pass a two-layer ReLU estimator "
            "of this package (of a pipeline the last step and the rows that it saw)."
        )
    layers = two_layer_network(estimator)
    X = check_rows(X, len(layers.W))
    rows = training_rows(estimator, layers, X, y, sample_weight)
    rows = _positive_weights(rows)
    alpha = float(estimator.alpha_)

    state = rows.at(layers.outputs(rows.X))
    loss = state.mean_loss
    # The weights as they are: unbalanced ones cost more than alpha times sum ||u|| ||c||.
    squares = sum(np.sum(part**2) for part in (layers.W, layers.bias, layers.C))
    penalty = 0.5 * alpha * float(squares)
    objective = loss + penalty
    dual_point = rows.settled(state).dual_point
    R = rows.fetch(dual_point.R)

    def dual_value(price):
        return dual_point.certify(objective, alpha, price, "estimated").dual

    def relative_gap(price):
        gap = max(objective - dual_value(price), 0.0)
        return gap / objective if objective > 0 else 0.0

    found = _search(rows, R, layers, check_random_state(random_state))
    limits = Limits(max_patterns, max_nodes, time_limit)
    price, kind, reason = _price(
        rows,
        R,
        method,
        limits,
        found,
        # Where the gap is above tol anyway, about what the search has found.
        lambda: max(found * (1 + 1e-4), dual_point.allowed_price(objective, alpha, tol)),
    )
    bound = dual_value(price)
    gap = max(objective - bound, 0.0)
    return OptimalityReport(
        objective=objective,
        loss=loss,
        penalty=penalty,
        lower_bound=bound,
        gap=gap,
        relative_gap=relative_gap(price),
        kind=kind,
        price=price,
        price_found=min(found, price),
        estimated_relative_gap=relative_gap(min(found, price)),
        alpha=alpha,
        n_outputs=R.shape[1],
        reason=reason,
    )


def _price(rows, R, method, limits, found, goal):
    """A value for ``kappa(R)``, its kind and how it was obtained."""
    if method == "estimated":
        return found, "estimated", "local searches from many directions"
    A = rows.dense()
    proven = None
    if method != "proven":
        most = limits.max_patterns
        proven = exact_price(A, R, most if method == "exact" else min(_QUICK_PATTERNS, most))
    if proven is None and method == "exact":
        raise ValueError(
            f"The rows may have more than max_patterns={limits.max_patterns} activation patterns: "
            'use method="proven", or raise max_patterns.'
        )
    if proven is None:
        proven = relaxed_price(A, R, goal(), limits, found)
    return proven.upper, proven.kind, proven.reason


def _positive_weights(rows):
    """Without the rows of weight zero."""
    kept = rows.weights > 0
    if kept.all():
        return rows
    return rows.take(kept)


def _search(rows, R, layers, random_state):
    """The largest price that a thorough search and the neurons of the network have."""
    biased = [layers.W, layers.bias[None]] if rows.intercept else [layers.W]
    network = Network.from_factors(np.vstack(biased).T, layers.C, layers.b0)
    rng = np.random.default_rng(random_state.randint(np.iinfo(np.int32).max))
    return SearchPricing(rng)(rows, R, network, effort=3).largest
