"""What a loss is: value, derivative and dual value per row, and all that sets it apart.

Each loss is a convex function ``loss(y, z)`` of the output ``z`` (a row of ``C`` numbers).  The
training problem (P) (see :mod:`sklearn_convexnn.core.column_generation.loop`) weighs the rows with
``w_i >= 0``, ``sum_i w_i = 1``.  Its dual variable is ``rho_i = -gradient of loss(y_i, .)``
(without the weight), and the value of the dual function at ``rho`` is::

    D(rho) = sum_i w_i * dual(y_i, rho_i),      dual(y, rho) = -loss*(y, -rho)

where ``loss*`` is the convex conjugate in ``z``.  By Fenchel-Young,
``loss(y, z) - dual(y, rho) + <rho, z> >= 0`` with equality at ``rho = -gradient(y, z)``: this
identity is what the tests check for every registered loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from sklearn_convexnn.core.problem.engines.namespaces import namespace

EPS = float(np.finfo(float).eps)  # strict libraries take Python's numbers only


@dataclass(frozen=True)
class Standardised:
    """Targets and loss in working units, and the way back.

    Outputs in the units of the data are ``z_scale * z + z_shift``, residuals ``residual_unit``
    times, and objectives ``z_scale * residual_unit`` times those in working units plus ``offset``.
    ``spread`` (C,) is the scale of the targets in which the loss states its options, if it does.
    ``constant`` says that targets differ by rounding only.
    """

    loss: Loss
    Y: np.ndarray
    z_shift: np.ndarray
    z_scale: float = 1.0
    residual_unit: float = 1.0
    offset: float = 0.0
    spread: np.ndarray | None = None
    constant: bool = False

    @property
    def way_back(self):
        """What a training problem keeps of it, in the order of its fields."""
        return self.z_shift, self.z_scale, self.residual_unit, self.offset, self.spread


class Loss:
    """A convex loss of the network output, vectorised over rows.

    All methods take ``Y`` and ``Z`` of shape (n, C), in the working dtype of the rows.  What passes
    over the rows ask for takes arrays of any namespace: values, derivatives, :meth:`dual`,
    :meth:`sizes` and :meth:`dual_parabola`; all else NumPy arrays.
    """

    name: str
    # Is the loss a quadratic function of the output?  Has it a derivative everywhere?  Is it a sum
    # over outputs that do not meet?  Has it no curvature at all on whole stretches?
    quadratic = False
    smooth = True
    separable = False
    flat = False
    # Does :meth:`constant` depend on the targets through their weighted mean only?  Has it a start
    # of its own for the best shift of outputs, :meth:`shift`?
    constant_of_mean = False
    finds_shift = False
    # Is D(s rho) a parabola in s, see :meth:`dual_parabola`?  Up to which s is s rho in the domain
    # of the dual?  0 and rho are, and the domain is convex: up to one at least.
    parabolic = False
    longest_scale = 1.0
    # Do outputs estimate probabilities?
    probabilities = False
    # Of regression, the function of the outputs that predicts: "identity" or "exp".
    prediction = "identity"
    # What cross-validation maximises by default: "r2", "log_likelihood" or "negative_loss".
    score = "negative_loss"
    # Must targets not be negative?
    positive_targets = False

    @property
    def exact(self):
        """The loss that certificates are about, for a loss that stands in for another."""
        return self

    def value(self, Y, Z):
        """Loss of every row, shape (n,)."""
        return self.value_and_gradient(Y, Z)[0]

    def gradient(self, Y, Z):
        """Derivative with respect to the output of every row, shape (n, C)."""
        return self.value_and_gradient(Y, Z)[1]

    def value_and_gradient(self, Y, Z):
        """Both at once, for losses that share work between them."""
        raise NotImplementedError

    def hessian(self, Y, Z):
        """Second derivative of every row, shape (n, C, C)."""
        raise NotImplementedError

    def curvature(self, Y, Z):
        """``s`` and ``P``, (n, C), of the second derivatives ``diag(s) - s P^T`` of every row.

        ``P`` is None where the outputs do not meet.
        """
        return np.einsum("icc->ic", self.hessian(Y, Z)), None

    def majorant(self, Y, Z):
        """Numbers (n, C) whose diagonal matrix is at least the second derivative of every row."""
        return namespace(Z).sum(namespace(Z).abs(self.hessian(Y, Z)), axis=2)

    def mean_hessian(self, Y, Z, weights):
        """Weighted sum over rows of the second derivatives, shape (C, C)."""
        hessian = self.hessian(Y, Z)
        if isinstance(Z, np.ndarray):
            return np.einsum("i,icd->cd", weights, hessian)
        return namespace(Z).sum(weights[:, None, None] * hessian, axis=0)

    def mean_derivatives(self, Y, Z, weights):
        """Weighted sums over rows of the values, derivatives (C,) and second derivatives (C, C)."""
        mean_hessian = self.mean_hessian(Y, Z, weights)
        return weights @ self.value(Y, Z), weights @ self.gradient(Y, Z), mean_hessian

    def smoothness(self):
        """Lipschitz constant of :meth:`gradient`, infinite if there is none."""
        raise NotImplementedError

    def dual(self, Y, rho):
        """``-loss*(y, -rho)`` of every row, shape (n,); ``-inf`` outside the domain."""
        raise NotImplementedError

    def outputs(self, Y, rho):
        """Outputs at which ``rho = -gradient``, for ``rho`` inside the domain of the dual."""
        raise NotImplementedError

    def longest_step(self, Y, rho, change):
        """The largest ``t`` with ``rho + t * change`` in the domain of the dual.

        Not asked for where that is no polytope or the loss is quadratic: 0.
        """
        return 0.0

    def constant(self, Y, weights):
        """The output that minimises the weighted loss when every row gets the same, shape (C,)."""
        raise NotImplementedError

    def constant_residual(self, Y, weights, intercept):
        """The dual variable ``R = w rho``, (n, C), of the best constant outputs."""
        b0 = self.constant(Y, weights) if intercept else np.zeros(Y.shape[1])
        return -weights[:, None] * self.gradient(Y, np.broadcast_to(b0, Y.shape))

    def shift(self, Y, Z, weights):
        """A shift of all outputs, (C,), from which Newton's method finds the best one."""
        return np.zeros(Z.shape[1])

    def dual_parabola(self, Y, R, rho):
        """``a`` and ``b`` of ``D(s rho) - D(0) = a s - b s^2 / 2`` with ``R = w rho``."""
        raise NotImplementedError

    def best_scale(self, Y, rho, weights, limit):
        """The best ``s`` in ``[0, limit]`` to multiply the dual variable ``rho`` with."""
        limit = min(self.longest_scale, limit)
        if not self.parabolic:
            return limit
        slope, curvature = self.dual_parabola(Y, weights[:, None] * rho, rho)
        return float(np.clip(slope / curvature, 0.0, limit)) if curvature > 0 else 0.0

    def sizes(self, Y, losses):
        """What rows of the given losses count, (n,), in the size that gaps are relative to."""
        return losses

    def of_output(self, c):
        """The loss of output ``c`` alone, for losses whose outputs do not meet."""
        return self

    def standardise(self, Y, weights, intercept):
        """Targets in working units; the loss knows which of them leave its minimisers alone.

        Targets that are not legal raise ValueError, with a sentence for the user.
        """
        return Standardised(self, Y, np.zeros(Y.shape[1]))

    def standardise_facts(self, facts, intercept):
        """The same of rows that are not at hand, from their :class:`.Facts`.

        The targets are those of a few rows that stand in for them.
        """
        return self.standardise(*facts.targets(self.quadratic), intercept)

    def working_targets(self, Y, units):
        """Any targets in the units of a :class:`Standardised`, for losses of which sums do."""
        return Y

    def conic(self, cp, Y, weights, z):
        """The weighted sum of losses as an expression of CVXPY, the module ``cp``.

        ``z`` is a list of C expressions of length n.
        """
        raise NotImplementedError


class SeparableLoss(Loss):
    """A sum over outputs that do not meet: all derivatives are those of one output."""

    separable = True

    def second_derivative(self, Y, Z):
        """Of every output, shape (n, C)."""
        raise NotImplementedError

    def hessian(self, Y, Z):
        return self.second_derivative(Y, Z)[:, :, None] * identity(Z)

    def curvature(self, Y, Z):
        return self.second_derivative(Y, Z), None

    def majorant(self, Y, Z):
        return self.second_derivative(Y, Z)

    def mean_hessian(self, Y, Z, weights):
        return (weights @ self.second_derivative(Y, Z)) * identity(Z)


def identity(Z):
    """The matrix for as many outputs as ``Z`` has, beside it."""
    xp = namespace(Z)
    return xp.eye(Z.shape[1], dtype=xp.float64, device=Z.device)


def beside(A, Z):
    """A NumPy array of few numbers where ``Z`` is."""
    return A if isinstance(Z, np.ndarray) else namespace(Z).asarray(A, device=Z.device, copy=True)


def numbers(condition, Z):
    """1 where a condition holds and 0 elsewhere, of the dtype of ``Z``."""
    if isinstance(Z, np.ndarray):
        return condition.astype(Z.dtype)
    return namespace(Z).astype(condition, Z.dtype)


def entropy_term(P):
    """``p log p``, 0 for p = 0."""
    if isinstance(P, np.ndarray):
        return xlogy(P, P)
    xp = namespace(P)
    return P * xp.log(xp.where(P > 0, P, xp.ones_like(P)))


def where_inside(inside, values):
    """Dual values of rows that are ``inside`` the domain, ``-inf`` of the others."""
    xp = namespace(values)
    return xp.where(inside, values, -xp.inf * xp.ones_like(values))


def row_products(A, B):
    """``<a_i, b_i>`` for every row."""
    if isinstance(A, np.ndarray):
        return np.einsum("ij,ij->i", A, B)
    return namespace(A).sum(A * B, axis=1)


def root_of_ramps(start, width, weights, least):
    """Where a non-decreasing function of one number, a sum of ramps, is zero.

    It is ``least < 0`` far to the left, and rises by ``w_i`` from ``start_i`` to ``start_i +
    width``.
    """
    knots = np.concatenate([start, start + width])
    turns = np.concatenate([weights, -weights]) / width
    order = np.argsort(knots, kind="stable")
    knots, slopes = knots[order], np.cumsum(turns[order])
    values = least + np.concatenate([[0.0], np.cumsum(slopes[:-1] * np.diff(knots))])
    after = int(np.searchsorted(values, 0.0))
    if after in (0, len(knots)):  # by rounding only
        return float(knots[min(after, len(knots) - 1)])
    low, high = values[after - 1], values[after]
    share = low / (low - high)
    return float((1.0 - share) * knots[after - 1] + share * knots[after])
