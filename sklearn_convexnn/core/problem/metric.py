"""The metric of the data on directions: coordinates in which the rows are as long every way.

Walls ``x_i^T u = 0`` and activation patterns do not change under an invertible map of the
directions; only the norm that (P) penalises does.  With rows of nearly one direction (features in
tiny units beside the constant, or far from zero) all directions with a kink among the rows lie
within a tiny angle of each other: angles and lengths of ``u`` then say nothing about what a
neuron does, and those of its coordinates ``y`` do, ::

    diag(sqrt(w)) X = Q diag(s) V^T ,    u = V diag(t) y ,                                      (1)

with ``t_k = s_1 / s_k``: in them the rows are ``Q`` up to a factor.  The norm stays ``||u||``.

* Random starts are drawn in ``y`` as well, directions compared and kinks smoothed there; slides
  and climbs are preconditioned along the axes.
* In the principal axes, ``V^T u``, the columns of the rows are graded: large, then small.
  Householder's QR respects that where sums of products do not, and projections on the cones of
  patterns keep their digits.

Up to a condition of ``ROUND``, which correlated features in healthy units stay below, coordinates
are ``u`` itself: the small axes are mostly noise there, and the norm of (P) ranks directions
better.  Beyond it ``t`` grows with the cube of ``s_1 / s_k`` until it has caught up, so that no
single bit of the data decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

# Conditions up to which directions are left as they are.
ROUND = 500.0
# Conditions up to which slides are not preconditioned either where the loss is a parabola: that
# gains nothing, and networks of independent columns had a third more neurons for the same
# objective.  Other losses bend less and less as they are fitted, and sizes of neurons differ the
# more: 1e5 x 50 such rows of two classes came as far in half the iterations.
_EVEN = 3.0
# Below this fraction of the largest a size is rounding: nothing is to be seen along its axis.
_RANK = 1e-13
# Columns up to which the coordinates are looked for.
MOST_COLUMNS = 200
# Eigenvalues of moments below this fraction of the largest are rounding.
_LOST = 1e-15


class PrincipalAxes(NamedTuple):
    """Of weighted rows, and the sizes of the rows along them."""

    axes: np.ndarray  # (p, p)
    sizes: np.ndarray  # (p,)

    def mean_squares(self, U):
        """Of the products of the rows with directions (m, p)."""
        return (U @ self.axes) ** 2 @ self.sizes**2

    def reach(self, U):
        """Root mean squares of these products."""
        return np.sqrt(self.mean_squares(U))


@dataclass(frozen=True)
class Metric:
    """Principal axes ``V`` (p, p) of weighted rows, their sizes ``s`` and the factors ``t`` of (1).

    ``axes`` is None where directions are left as they are.  ``principal`` are the axes all the
    same, by which slides are preconditioned; None where there are too many columns, or where rows
    are about as long every way.
    """

    axes: np.ndarray | None = None
    sizes: np.ndarray | None = None
    factors: np.ndarray | None = None
    principal: PrincipalAxes | None = None

    @classmethod
    def of(cls, rows):
        """The metric of the rows of a problem."""
        p = rows.n_columns
        if not 1 < p <= MOST_COLUMNS or not rows.neurons.acts_on_rows:
            return cls()
        # Moments square the condition.  In the coordinates that the first ones give the rows are
        # orthonormal but for the directions that are lost to rounding; the second ones see those.
        triangle = T = np.eye(p)
        for stage in range(2):
            squares, V = np.linalg.eigh(rows.second_moments(T))
            if squares[-1] <= 0:
                return cls()  # rows of zeros
            if not stage and squares[0] > squares[-1] / ROUND**2:
                even = rows.loss.quadratic and squares[0] > squares[-1] / _EVEN**2
                return cls(principal=None if even else PrincipalAxes(V, np.sqrt(squares)))
            sizes = np.sqrt(np.maximum(squares, _LOST * squares[-1]))
            triangle, T = (sizes[:, None] * V.T) @ triangle, T @ (V / sizes)
        _, sizes, axes = np.linalg.svd(triangle)
        return cls._from_axes(axes.T, sizes)

    @classmethod
    def _from_axes(cls, axes, sizes):
        seen = sizes > _RANK * sizes[0]
        spread = sizes[0] / np.where(seen, sizes, sizes[0])
        factors = np.clip((spread / ROUND) ** 3, 1.0, spread)
        sizes = np.where(seen, sizes, 0.0)
        principal = PrincipalAxes(axes, sizes)
        if not np.any(factors > 1.0):
            return cls(principal=principal)
        return cls(axes, sizes, factors, principal)

    @property
    def trivial(self):
        """Are coordinates the directions themselves?"""
        return self.axes is None

    # ------------------------------------------------------------------ coordinates of directions

    def coordinates(self, U):
        """``y`` of the rows of ``U``, not scaled."""
        return U if self.trivial else (U @ self.axes) / self.factors

    def levels(self, rng, count):
        """Random factors (count, p), those of (1) cut off at one of them.

        Which axes a good direction has to avoid is not known beforehand: the long ones, if its
        kink is to lie among the rows, or the short ones, if it is to be active on them at all.
        """
        if self.trivial:
            return np.ones((count, 1))
        levels = np.append(self.factors, 1.0)
        return np.minimum(self.factors, rng.choice(levels, size=(count, 1)))

    def spread(self, Z, factors):
        """Directions from coordinates ``Z`` with factors of :meth:`levels`, not scaled."""
        return Z if self.trivial else (Z * factors) @ self.axes.T

    def moved(self, U, shift, factors):
        """Directions near ``U``: ``shift`` is added to unit coordinates with these factors."""
        if self.trivial:
            return U + shift
        Y = (U @ self.axes) / factors
        lengths = np.linalg.norm(Y, axis=1, keepdims=True)
        return self.spread(Y / np.where(lengths > 0, lengths, 1.0) + shift, factors)

    def lengths(self, U):
        """``||y||``, at most ``||u||``: how far a direction reaches among the rows."""
        return np.linalg.norm(self.coordinates(U), axis=1)

    def unit(self, U):
        """``y`` scaled to unit length; their cosines compare what directions do."""
        if self.trivial:
            return U
        Y = self.coordinates(U)
        lengths = np.linalg.norm(Y, axis=1, keepdims=True)
        return Y / np.where(lengths > 0, lengths, 1.0)

    # ------------------------------------------------------------------ graded rows

    def graded(self, A):
        """Rows (or directions) in principal axes, without those along which nothing is seen."""
        return A if self.trivial else (A @ self.axes) * (self.sizes > 0)

    def ungraded(self, V):
        return V if self.trivial else V @ self.axes.T

    def even(self, A):
        """Rows in coordinates in which they are about as long every way, and a map from these.

        Activations are ``(A T) y`` with the map ``T`` (p, r): the patterns are the same.
        """
        if self.trivial:
            return A, np.eye(A.shape[1])
        seen = self.sizes > 0
        T = self.axes[:, seen] / self.sizes[seen]
        return A @ T, T


# The metric of rows that are about as long every way.
ISOTROPIC = Metric()
