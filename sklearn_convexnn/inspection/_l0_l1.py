"""Is a fitted network one with the fewest neurons? What can be proven."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sklearn_convexnn._two_layer import BaseTwoLayer
from sklearn_convexnn.core.geometry.cardinality import (
    NOISE,
    kink_bound,
    one_neuron_suffices,
    positions_on_line,
    rank,
    rank_bound,
    sufficient_for_independent_rows,
)
from sklearn_convexnn.core.patterns.mixtures import dense
from sklearn_convexnn.core.patterns.spike_free import is_spike_free
from sklearn_convexnn.core.pricing.enumeration import price_of_spike_free
from sklearn_convexnn.core.pricing.plane import PlanePricing, plane_basis
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.rows import Rows
from sklearn_convexnn.inspection._networks import two_layer_network
from sklearn_convexnn.inspection._training import check_rows, dual_variable, with_constant

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import MatrixLike


@dataclass(frozen=True)
class L0L1Certificate:
    """What is proven about the number of neurons; see :func:`l0_l1_certificate`.

    Attributes
    ----------
    status : {"proven", "not decided"}
        "proven": no network with fewer neurons has these outputs on these rows.
    n_neurons : int
        Number of neurons of the network, without those whose output weights are zero.
    lower_bound : int
        Every network with these outputs has at least so many neurons.
    n_sufficient : int
        So many neurons are known to suffice for these outputs (up to rounding); if that is less
        than ``n_neurons``, the network is not one with the fewest.
    independent : bool
        Whether the activations of the neurons (with the constant of the intercept) are linearly
        independent: then no neuron can be removed by changing the weights of the others.
    spike_free : bool
        Whether the rows are spike-free.
    penalty_ratio : float
        The penalty of the network is proven to be at most this multiple of the smallest penalty
        that any network with the same outputs has; nan if there is no proof. 1 means that it solves
        the minimum-norm (l1) problem for its outputs.
    reasons : tuple of str
        The arguments, in words.
    """

    status: str
    n_neurons: int
    lower_bound: int
    n_sufficient: int
    independent: bool
    spike_free: bool
    penalty_ratio: float
    reasons: tuple

    def __str__(self):
        head = f"{self.status}: {self.n_neurons} neurons, at least {self.lower_bound} are needed"
        return "\n".join([head, *(f"- {reason}" for reason in self.reasons)])


def l0_l1_certificate(
    estimator: Any,
    X: MatrixLike,
    y: ArrayLike | None = None,
    *,
    sample_weight: ArrayLike | None = None,
    tol: float = 1e-6,
) -> L0L1Certificate:
    r"""Whether a network is one of minimal cardinality for its outputs, as far as that is proven.

    The penalty of weight decay is an :math:`\ell_1` norm over neurons. In special cases the network
    that minimises it also has the smallest *number* of neurons (:math:`\ell_0`) among all two-layer
    ReLU networks, with or without a bias and an intercept as the estimator has them, that give
    **the same outputs on the rows of** ``X``. Finding that number, :math:`m^*`, is combinatorial in
    general. This function collects bounds of it that are theorems, and says "proven" only if the
    network attains a lower bound. It says nothing about networks with other outputs, even if
    these fit equally well.

    *Lower bounds*, for outputs :math:`Z = H C + 1 b_0^\top` with activations :math:`H \ge 0`:

    - :math:`m^* \ge \operatorname{rank} Z` (of the centred outputs if there is an intercept), plus
      1 if there is none and the rows of :math:`Z` positively span their span. For one output: two
      neurons if it takes both signs.
    - If that gives 1, linear programs decide whether one neuron can give the outputs.
    - For rows on a line (one feature, or rank one) each neuron has at most one kink, and the points
      that lie above or below the chord of their neighbours bound the number of kinks from below.
      For one output with an intercept, one neuron more than that bound is known to suffice.

    *When the* :math:`\ell_1` *solution attains them* [1]_: linearly independent rows without bias
    need one neuron for each sign of a single output, and if the rows are moreover spike-free,
    :math:`\{(Xu)_+ : \|u\| \le 1\} \subseteq \{Xw : \|w\| \le 1\}`, which includes whitened rows,
    :math:`X X^\top = I`, some optimal network has no more neurons than that: :math:`\ell_0 =
    \ell_1`. Spike-freeness is decided exactly.

    *Dual certificate.* Any :math:`V` (with :math:`1^\top V = 0` if there is an intercept) proves
    that the penalty is at least :math:`\langle V, Z \rangle / \kappa(V)`, :math:`\kappa(V) =
    \max_{\|u\| = 1} \|V^\top (X u)_+\|`. Tried are the least-norm solution of :math:`H^\top V =
    (c_j / \|c_j\|)_j`, with which planted neurons are recovered if :math:`\kappa(V) = 1`, and the
    dual variable of the training problem. The result is ``penalty_ratio``. It is computed only
    where :math:`\kappa` is known exactly: rows of rank two or less (with their constant), and
    spike-free rows with one output. **It is no proof of minimal cardinality**: few neurons may have
    to be long.

    *Linear independence* of the activations says that no neuron can be dropped by reweighting the
    others. That is necessary, but **not sufficient** either: other neurons may do with fewer.

    Parameters
    ----------
    estimator : object
        A fitted two-layer ReLU network with ``coefs_`` and ``intercepts_``. The dual certificate is
        available for the convex estimators of this package.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Training rows, as the network saw them (after the scaler of a pipeline).
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Training targets: with them the dual variable of the training problem is tried as well.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights as in fit, used with ``y``.
    tol : float, default=1e-6
        ``penalty_ratio - 1`` up to which the reasons call the penalty the smallest.

    Returns
    -------
    L0L1Certificate
        Status, bounds and reasons; ``print`` shows them.

    Notes
    -----
    Outputs are those of the network in double precision. What is below 1e-9 of the terms that add
    up to them counts as zero, which can only weaken a lower bound.

    References
    ----------
    .. [1] T. Ergen and M. Pilanci, "Convex Geometry and Duality of Over-parameterized Neural
       Networks", JMLR 22(212), 2021. arXiv:2002.11219 (spike-free matrices and the equivalence of
       l0 and l1).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_convexnn import ConvexReLURegressor
    >>> from sklearn_convexnn.inspection import l0_l1_certificate
    >>> X, y = np.eye(4), np.array([3.0, -1.0, 2.0, -2.0])  # whitened
    >>> model = ConvexReLURegressor(
    ...     alpha=0.05, fit_intercept=False, gap_tol=1e-6, random_state=0
    ... ).fit(X, y)
    >>> certificate = l0_l1_certificate(model, X, y)
    >>> certificate.status, certificate.n_neurons
    ('proven', 2)
    """
    layers = two_layer_network(estimator)
    X = check_rows(X, len(layers.W))
    layers, _ = layers.without_idle_neurons()
    # Scikit-learn's perceptrons always have biases and a free intercept.
    intercept = getattr(estimator, "fit_intercept", True)
    A = dense(with_constant(X) if intercept else X)
    H = np.maximum(A[:, : len(layers.W)] @ layers.W + layers.bias, 0)
    Z = H @ layers.C + (layers.b0 if intercept else 0.0)
    noise = NOISE * float((H @ np.abs(layers.C) + np.abs(layers.b0)).max())

    lower, kinks, reasons = _lower_bound(A, dense(X), Z, intercept, noise)
    sufficient, independent, more = _upper_bound(A, H, Z, intercept, noise, kinks)
    reasons += more
    spike_free = is_spike_free(A)
    if spike_free:
        reasons += _spike_free_reason(A, intercept, layers.C.shape[1])
    ratio = np.nan
    if isinstance(estimator, BaseTwoLayer):
        R = None if y is None else dual_variable(estimator, layers, X, y, sample_weight)
        ratio = _penalty_ratio(A, X, layers, H, Z, R, intercept, spike_free)
        reasons += _penalty_reason(ratio, tol)
    n_neurons = len(layers.bias)
    return L0L1Certificate(
        status="proven" if n_neurons == lower else "not decided",
        n_neurons=n_neurons,
        lower_bound=lower,
        n_sufficient=max(sufficient, lower),
        independent=independent,
        spike_free=spike_free,
        penalty_ratio=float(ratio),
        reasons=tuple(reasons),
    )


def _lower_bound(A, X, Z, intercept, noise):
    """The best proven lower bound of the number of neurons, that of kinks on a line, and why."""
    bound = rank_bound(Z, intercept, noise)
    if bound == 0:
        return 0, None, ["The outputs are constant up to rounding."]
    span = bound if intercept else rank(Z, noise)
    reason = f"The outputs have rank {span}"
    if bound > span:
        reason += " and positively span their span (one output: it takes both signs)"
    best, kinks, reasons = bound, None, [f"{reason}: at least {bound}."]
    if bound == 1 and not one_neuron_suffices(A, Z, intercept, noise):
        best = 2
        reasons.append("No single neuron gives these outputs (linear programs): at least 2.")
    positions = positions_on_line(X)
    if positions is not None:
        kinks = kink_bound(positions, Z, noise)
        best = max(best, kinks)
        reasons.append(
            f"The rows lie on a line, along which the outputs have at least {kinks} kinks: as many "
            "neurons."
        )
    return best, kinks, reasons


def _upper_bound(A, H, Z, intercept, noise, kinks):
    """How many neurons are known to suffice, whether activations are independent, and why."""
    n_neurons = H.shape[1]
    activations = np.hstack([H, np.ones((len(H), 1))]) if intercept else H
    lengths = np.linalg.norm(activations, axis=0)
    span = rank(activations / np.where(lengths > 0, lengths, 1.0)) if len(lengths) else 0
    independent = bool(span == len(lengths))
    sufficient = n_neurons if independent else span - int(intercept)
    reasons = [
        "The activations are linearly independent: no neuron can simply be dropped."
        if independent
        else f"The activations are linearly dependent: {sufficient} of the {n_neurons} neurons "
        "suffice with other output weights."
    ]
    if len(A) <= A.shape[1] and rank(A) == len(A):
        reachable = sufficient_for_independent_rows(Z, intercept, noise)
        sufficient = min(sufficient, reachable)
        reasons.append(
            f"The {len(A)} rows are linearly independent, so that every activation can be had: "
            f"{reachable} neurons suffice for these outputs."
        )
    if kinks is not None and intercept and Z.shape[1] == 1:
        sufficient = min(sufficient, kinks + 1)
        reasons.append(f"One output on a line: {kinks + 1} suffice, one more than kinks.")
    return sufficient, independent, reasons


def _spike_free_reason(A, intercept, n_outputs):
    whitened = np.allclose(A @ A.T, np.eye(len(A)), atol=1e-9)
    name = "whitened" if whitened else "spike-free"
    independent = len(A) <= A.shape[1] and rank(A) == len(A)
    if intercept or n_outputs > 1 or not independent:
        return [
            f"The rows are {name}, but the theorem needs independent rows, one output, no bias."
        ]
    return [
        f"The rows are {name} and linearly independent: some optimal network of the training "
        "problem has the smallest number of neurons for its outputs (l0 = l1)."
    ]


def _penalty_ratio(A, X, layers, H, Z, R, intercept, spike_free):
    """The best proven upper bound of penalty / smallest penalty with these outputs."""
    biased = np.vstack([layers.W, layers.bias]) if intercept else layers.W
    lengths, sizes = np.linalg.norm(biased, axis=0), np.linalg.norm(layers.C, axis=1)
    penalty = float(lengths @ sizes)
    if penalty == 0:
        return 1.0
    used = lengths > 0
    units = H[:, used] / lengths[used]
    equations, right = units.T, layers.C[used] / sizes[used, None]
    if intercept:
        equations = np.vstack([equations, np.ones(len(H))])
        right = np.vstack([right, np.zeros(layers.C.shape[1])])
    candidates = [np.linalg.lstsq(equations, right, rcond=1e-12)[0]]
    candidates += [] if R is None else [R]
    ratios = [np.inf]
    for V in candidates:
        V = V - V.mean(axis=0) if intercept else V
        kappa, gain = _largest_price(A, X, V, intercept, spike_free), float(np.sum(V * Z))
        if kappa is None:
            return np.nan
        if gain > 0:
            ratios.append(penalty * kappa / gain)
    best = min(ratios)
    return max(1.0, best) if np.isfinite(best) else np.nan


def _largest_price(A, X, V, intercept, spike_free):
    """``kappa(V)`` if it can be had exactly, else None."""
    n, n_outputs = V.shape
    loss = get_loss("squared_error", n_outputs)
    rows = Rows.of(X, np.zeros((n, n_outputs)), np.full(n, 1 / n), loss, intercept=intercept)
    basis = plane_basis(rows)
    if basis is not None:
        return PlanePricing(basis)(rows, V, None, effort=0).largest
    if spike_free and n_outputs == 1:
        return price_of_spike_free(A, V[:, 0])
    return None


def _penalty_reason(ratio, tol):
    if np.isnan(ratio):
        return ["Whether the penalty is the smallest for these outputs was not decided."]
    if ratio <= 1 + tol:
        return ["Dual certificate: no network with these outputs has a smaller penalty."]
    return [f"Dual certificate: the penalty is within a factor {ratio:.6g} of the smallest."]
