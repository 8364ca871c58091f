r"""ReLU networks over given activation patterns: cones, and the projection on them.

A vector ``v`` keeps the pattern ``D`` iff it lies in ``K = {v : (2 D - I) X v >= 0}``, and then
``(X v)_+ = D X v``: the network over given patterns is the program (F) of
:mod:`sklearn_convexnn.core.programs.group_newton` with one group for every pattern and sign of the
output weight (Pilanci & Ergen, arXiv:2002.10553, Theorem 1).
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np

_EPS = np.finfo(float).eps
# A wall is violated beyond this, relative to the length of the vector projected.
_VIOLATED = 1e-11


class WallsHeld(NamedTuple):
    """Active walls of cones: numbers of rows and multipliers (m, p), how many of each count."""

    index: np.ndarray  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    multipliers: np.ndarray
    used: np.ndarray

    def of(self, which):
        return WallsHeld(*(part[which] for part in self))

    def extended(self, count):
        """With as many more cones without active walls."""
        return WallsHeld(
            *(
                np.concatenate([part, np.zeros((count, *part.shape[1:]), part.dtype)])
                for part in self
            )
        )


class ConeProjections:
    """Projections on cones ``{v : S_j X v >= 0}``, many at once, each from its last active walls.

    By Moreau's decomposition ``P(w) = w + X^T S mu`` with the multipliers ``mu >= 0`` of a
    non-negative least-squares problem with one unknown per row of ``X``, of which at most p are
    not zero.  It is solved by the active-set method of Lawson & Hanson, all problems in step: one
    product with ``X`` finds the most violated wall of each, small stacked systems do the rest.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    D : ndarray of shape (n, P), bool
        Patterns; ``S_j = 2 D_j - I``.
    owner : ndarray of shape (count,)
        The pattern of each of the cones whose active walls are kept in mind: two groups with one
        pattern are projected from different starts.
    """

    sizes = None  # of the columns, where they differ much

    def __init__(self, X, D, owner):
        lengths = self._lengths(X)
        # A row of zeros is no wall, whatever its sign.
        self.rows = np.flatnonzero(lengths > _EPS * lengths.max(initial=0.0))
        self.lengths = lengths[self.rows]
        self.walls = X[self.rows] / self.lengths[:, None]
        self.signs = np.where(D[self.rows], 1.0, -1.0)
        self.owner = owner
        self._forget()

    def _lengths(self, X):
        """What the rows are divided by to become walls."""
        return np.linalg.norm(X, axis=1)

    def again(self):
        """The same cones, with active walls of their own."""
        twin = copy.copy(self)
        twin._forget()
        return twin

    def _forget(self):
        count, p = len(self.owner), self.walls.shape[1]
        self.index = np.zeros((count, p), dtype=np.intp)
        self.multipliers = np.zeros((count, p))
        self.used = np.zeros(count, dtype=np.intp)

    def project(self, W, which, enough=0.0):
        """Projections of the rows of ``W`` on the cones ``which``.

        A projection that is shorter than ``enough`` need not be finished: what is returned for it
        is no shorter than the projection and shorter than ``enough``.

        Returns
        -------
        V : ndarray of shape (m, p)
        """
        if not len(self.walls):
            return W.copy()  # rows of zeros: a cone is the whole space
        m, p = W.shape
        V = np.zeros((m, p))
        todo = np.arange(m)
        signs = self.signs[:, self.owner[which]]
        lengths = np.linalg.norm(W, axis=1)
        warm = 4  # sweeps that drop all negative multipliers at once
        for sweep in range(20 * p + 20):
            if not len(todo):
                break
            cones = which[todo]
            most = int(self.used[cones].max(initial=0))
            index, mu = self.index[cones, :most], self.multipliers[cones, :most]
            free = np.arange(most) < self.used[cones, None]
            A = self._normals(index, free, signs[:, todo])
            w = W[todo]
            target, foot = self._foot(A, w, free)
            bad = free & (target <= 0.0)
            accepted = ~bad.any(axis=1)
            if sweep < warm:
                mu = np.maximum(target, 0.0)
                keep = free & ~bad
            else:
                # From mu >= 0 towards the target up to the first that vanishes.
                with np.errstate(divide="ignore", invalid="ignore"):
                    ratio = np.where(bad, mu / (mu - target), np.inf)
                ratio[bad & (mu <= 0.0)] = 0.0
                step = np.minimum(ratio.min(axis=1, initial=np.inf), 1.0)[:, None]
                mu = np.where(free, mu + step * (target - mu), 0.0)
                keep = free & ~(bad & (ratio <= step))
            v = w + np.einsum("mkp,mk->mp", A, np.where(keep, mu, 0.0))
            if foot is not None:
                v[accepted] = foot[accepted]
            V[todo] = v
            self._store(cones, index, mu, keep)
            done = np.linalg.norm(v, axis=1) < enough
            check = np.flatnonzero(accepted & ~done)
            if len(check):
                slack = (self.walls @ v[check].T) * signs[:, todo[check]]
                worst = self._worst(slack, cones[check])
                tolerance = _VIOLATED * self._reach(v[check], lengths[todo[check]])
                inside = slack[worst, np.arange(len(check))] >= -tolerance
                inside |= self.used[cones[check]] >= p
                done[check[inside]] = True
                adding = check[~inside]
                self._add(cones[adding], worst[~inside])
            todo = todo[~done]
        return self._refined(V, which)

    def _foot(self, A, w, free):
        """Multipliers of the active walls, and the projection on their face if it is at hand."""
        return _solve_walls(A, w, free), None

    def _worst(self, slack, cones):
        """The most violated walls."""
        return slack.argmin(axis=0)

    def _reach(self, v, lengths):
        """What violations of a projection ``v`` are compared with; ``lengths`` those before it."""
        return lengths

    def _refined(self, V, which):
        """Once more orthogonal to the active walls, which may be nearly parallel."""
        index, free = self.active(which)
        A = self._normals(index, free, self.signs[:, self.owner[which]])
        return V + np.einsum("mkp,mk->mp", A, _solve_walls(A, V, free))

    def active(self, which):
        """Indices (m, k) of the active walls and which of these entries count, sorted."""
        used = self.used[which]
        most = int(used.max(initial=0))
        return self.index[which, :most], np.arange(most) < used[:, None]

    @property
    def walls_held(self):
        """The active walls of every cone, to be :meth:`hold` by other projections."""
        return WallsHeld(self.index, self.multipliers, self.used)

    def hold(self, walls):
        """Begin the next projections from these active walls."""
        self.index, self.multipliers, self.used = (part.copy() for part in walls)

    def faces(self, which):
        """Orthonormal bases (m, p, p) of which the columns from ``used`` on span the faces."""
        index, free = self.active(which)
        A = self._normals(index, free, self.signs[:, self.owner[which]])
        if A.shape[1] == 0:
            return np.broadcast_to(np.eye(A.shape[2]), (len(which), *[A.shape[2]] * 2))
        return np.linalg.qr(A.transpose(0, 2, 1), mode="complete")[0]

    def _normals(self, index, free, signs):
        """Inner normals of the active walls, (m, k, p), zeros where there is none."""
        m = len(index)
        sign = np.where(free, signs[index, np.arange(m)[:, None]], 0.0)
        return self.walls[index] * sign[:, :, None]

    def _store(self, cones, index, mu, keep):
        order = np.argsort(~keep, axis=1, kind="stable")
        k = index.shape[1]
        self.index[cones, :k] = np.take_along_axis(index, order, axis=1)
        self.multipliers[cones, :k] = np.take_along_axis(np.where(keep, mu, 0.0), order, axis=1)
        self.used[cones] = keep.sum(axis=1)

    def _add(self, cones, walls):
        self.index[cones, self.used[cones]] = walls
        self.multipliers[cones, self.used[cones]] = 0.0
        self.used[cones] += 1


def _solve_walls(A, w, free):
    """Multipliers that make ``w + A^T mu`` orthogonal to the active walls, (m, k)."""
    if A.shape[1] == 0:
        return np.zeros(free.shape)
    gram = A @ A.transpose(0, 2, 1)
    k = gram.shape[1]
    # One for the empty slots, and a trace for walls that depend on each other.
    gram[:, np.arange(k), np.arange(k)] += np.where(free, 16 * _EPS, 1.0)
    return np.where(free, np.linalg.solve(gram, -(A @ w[:, :, None]))[:, :, 0], 0.0)


class GradedProjections(ConeProjections):
    """Projections on cones whose rows have columns of very different sizes, the largest first.

    Nearly all of such a vector may lie along the large columns, and nearly nothing of its
    projection: sums of products as in ``w + A^T mu`` then lose it.  Householder's QR of the
    normals, whose rows are graded like the columns, has small errors row by row (Cox & Higham,
    BIT 38, 1998), and so has the projection on the complement of its first columns.

    Parameters
    ----------
    sizes : ndarray of shape (p,)
        Of the columns, decreasing; zero for columns of zeros.
    """

    def __init__(self, X, D, owner, sizes):
        self.sizes = np.where(sizes > 0, sizes, 1.0)
        super().__init__(X, D, owner)

    def _lengths(self, X):
        # Slacks are activations: relative to them a unit is that of the coordinates X / sizes.
        return np.linalg.norm(X / self.sizes, axis=1)

    def _foot(self, A, w, free):
        Q, R = np.linalg.qr(A.transpose(0, 2, 1), mode="complete")
        m, k = free.shape
        turned = np.einsum("mpq,mp->mq", Q, w)
        R = R[:, :k]
        diagonal = np.einsum("mkk->mk", R)
        # Empty slots, and walls that others already imply, have no multiplier.
        idle = ~free | (diagonal == 0.0)
        R = R + np.where(idle, 1.0, 0.0)[:, :, None] * np.eye(k)
        turned_walls = np.where(idle, 0.0, -turned[:, :k])
        mu = np.linalg.solve(R, turned_walls[:, :, None])[:, :, 0] if k else np.zeros((m, 0))
        turned[:, :k] = np.where(free, 0.0, turned[:, :k])
        return np.where(free, mu, 0.0), np.einsum("mpq,mq->mp", Q, turned)

    def _worst(self, slack, cones):
        # Walls of the face hold up to rounding.
        index, free = self.active(cones)
        cone, slot = np.nonzero(free)
        slack[index[cone, slot], cone] = np.inf
        return slack.argmin(axis=0)

    def _reach(self, v, lengths):
        return np.linalg.norm(v * self.sizes, axis=1)

    def _refined(self, V, which):
        index, free = self.active(which)
        A = self._normals(index, free, self.signs[:, self.owner[which]])
        return self._foot(A, V, free)[1]


def projections(X, D, owner, sizes=None):
    """The projections that suit the rows."""
    if sizes is None:
        return ConeProjections(X, D, owner)
    return GradedProjections(X, D, owner, sizes)


class ConeGroups:
    """The maps ``A_j v = s_j D_j X v`` on cones, one group per pattern and sign.

    Group ``j`` has pattern ``j // 2`` and the sign ``+`` for even ``j``.

    Parameters
    ----------
    X : ndarray of shape (n, p), float64, with its constant column
    D : ndarray of shape (n, P), bool
    sizes : ndarray of shape (p,), optional
        Of the columns of ``X``, where they are graded; see
        :class:`~sklearn_convexnn.core.patterns.cones.GradedProjections`.
    """

    linear = False
    # Faces of cones have few coordinates, however many rows there are.
    factored = True

    def __init__(self, X, D, sizes=None):
        self.X, self.D = X, D.astype(np.float64)
        self.count = 2 * D.shape[1]
        self.owner = np.arange(self.count) // 2
        self.sign = np.where(np.arange(self.count) % 2, -1.0, 1.0)
        self.cones = projections(X, D, self.owner, sizes)

    @property
    def column_sizes(self):
        """Of the columns of ``X``: ones where they are left as they are."""
        return np.ones(self.X.shape[1]) if self.cones.sizes is None else self.cones.sizes

    def again(self):
        """The same groups, for another output: their projections start elsewhere."""
        twin = copy.copy(self)
        twin.cones = self.cones.again()
        return twin

    @property
    def patterns(self):
        """The pattern of every group, (n, count)."""
        return self.D[:, self.owner]

    def _correlations(self, u, index):
        D = self.D[:, self.owner[index]]
        return ((D * u[:, None]).T @ self.X) * self.sign[index, None]

    def _all_correlations(self, u):
        half = (self.D * u[:, None]).T @ self.X
        C = np.empty((self.count, self.X.shape[1]))
        C[0::2], C[1::2] = half, -half
        return C

    def project(self, u, index):
        """``c_j = P_j(A_j^T u)`` for the groups ``index``, (m, p), and the faces they lie in."""
        C = self.cones.project(self._correlations(u, index), index)
        walls, free = self.cones.active(index)
        return C, np.sort(np.where(free, walls, -1), axis=1)

    def screen(self, u, alpha, known=(), C_known=None):
        """``||c_j||`` and ``c_j``, or upper bounds of the norms below ``alpha`` and any vector.

        The groups ``known`` have the projections ``C_known``.
        """
        C = self._all_correlations(u)
        norms = np.linalg.norm(C, axis=1)
        # Projections are no longer than the vector.
        long = np.setdiff1d(np.flatnonzero(norms >= alpha), known)
        C[long] = self.cones.project(C[long], long, enough=alpha * (1 - 1e-6))
        if len(known):
            C[known] = C_known
        changed = np.union1d(long, np.asarray(known, dtype=np.intp))
        norms[changed] = np.linalg.norm(C[changed], axis=1)
        return norms, C

    def columns(self, index, V):
        return self.D[:, self.owner[index]] * (self.X @ (V * self.sign[index, None]).T)

    def outputs(self, index, V):
        return self.columns(index, V).sum(axis=1)

    # ------------------------------------------------------------------ curvature

    @staticmethod
    def same_face(face, other):
        return face.shape == other.shape and np.array_equal(face, other)

    def dimension(self, index, face):
        return int((self.X.shape[1] - self.cones.used[index]).sum())

    def factor(self, index, share, face):
        """``sqrt(share_j) A_j E_j`` side by side, ``E_j`` an orthonormal basis of the face."""
        bases, used = self.cones.faces(index), self.cones.used[index]
        p = self.X.shape[1]
        group, column = np.nonzero(np.arange(p) >= used[:, None])
        E = bases[group, :, column] * np.sqrt(share)[group, None]
        return (self.X @ E.T) * self.D[:, self.owner[index[group]]]

    def gram(self, index, share, face):
        Z = self.factor(index, share, face)
        return Z @ Z.T
