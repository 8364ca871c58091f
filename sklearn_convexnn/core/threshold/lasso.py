"""The lasso through its moments, by active sets: exact zeros, and all digits but rounding.

``min 1/2 c^T G c - b^T c + alpha ||c||_1``.  Steps at neighbouring thresholds are nearly equal, on
which proximal gradients and coordinate descent crawl; here every face is solved by linear algebra.
A proximal term keeps faces of dependent columns solvable, and goes as its centre follows.
"""

from __future__ import annotations

import numpy as np

# The proximal term, in parts of the diagonal; its centre moves at most so often.
_PROXIMAL, _CENTRES = 1e-7, 10
# Violated conditions that enter at once, and changes of the active set at most, per column.
_MOST_ENTERING, _TURNS = 200, 20
# Weights that enter or leave one inverse before it is taken anew: rounding grows with each.
_MOST_UPDATES = 30
# What conditions on a face may be off by, relative to the penalty, with an inverse of updates.
_OFF = 1e-10
# Relative decreases that are none.
_ROUNDING = 1e-15


def lasso(gram, cross, alpha, start, tol=1e-10):
    """The minimiser, (m,).

    Parameters
    ----------
    gram : ndarray of shape (m, m), positive semidefinite
    cross : ndarray of shape (m,)
    alpha : float
    start : ndarray of shape (m,)
    tol : float
        Largest violation of an optimality condition, relative to alpha.
    """
    sizes = np.sqrt(np.diag(gram))
    varying = sizes > 1e-13 * max(sizes.max(initial=0.0), np.finfo(float).tiny)
    result = np.zeros_like(start)
    if not varying.any():
        return result
    sizes = sizes[varying]
    plain = gram[np.ix_(varying, varying)] / np.outer(sizes, sizes)
    system = plain + _PROXIMAL * np.eye(len(plain))
    centre, penalties = start[varying] * sizes, alpha / sizes
    for _ in range(_CENTRES):
        target = cross[varying] / sizes + _PROXIMAL * centre
        x = _ActiveSet(system, target, penalties, centre).solved(tol)
        moved = _PROXIMAL * np.abs(x - centre)
        centre = x
        if np.all(moved <= tol * penalties):
            break
        exact = _on_face(plain, cross[varying] / sizes, penalties, x, tol)
        if exact is not None:
            centre = exact
            break
    result[varying] = centre / sizes
    return result


def _on_face(gram, cross, penalties, x, tol):
    """The minimiser where it has the zeros and signs of ``x``, without the proximal term."""
    support, signs = np.flatnonzero(x), np.sign(x)
    try:
        c = np.linalg.solve(gram[np.ix_(support, support)], (cross - penalties * signs)[support])
    except np.linalg.LinAlgError:
        return None
    found = np.zeros_like(x)
    found[support] = c
    slope = gram @ found - cross
    off = np.where(x != 0, np.abs(slope + penalties * signs), np.abs(slope) - penalties)
    return found if np.all(found * signs >= 0) and np.all(off <= tol * penalties) else None


class _ActiveSet:
    """The problem for a definite matrix and a penalty for each weight.

    ``support`` are the active weights, ``inverse`` is that of their part of the matrix.
    """

    def __init__(self, gram, cross, penalties, start):
        self.gram, self.cross, self.penalties = gram, cross, penalties
        self.x = start.copy()
        self.signs = np.sign(start)
        self._start(np.flatnonzero(start))

    def solved(self, tol):
        most, lowest = _MOST_ENTERING, np.inf
        self._descend()
        for _ in range(_TURNS * len(self.x)):
            slope = self.gram @ self.x - self.cross
            # Of many that enter together each may turn round another; a single one lowers the
            # objective, but for rounding.
            value = 0.5 * self.x @ (slope - self.cross) + self.penalties @ np.abs(self.x)
            if value < lowest - _ROUNDING * abs(lowest if lowest < np.inf else value):
                lowest, most = value, min(2 * most, _MOST_ENTERING)
            elif most == 1:
                break
            else:
                most = max(1, most // 4)
            excess = np.where(self.signs == 0, np.abs(slope) / self.penalties - 1.0, 0.0)
            entering = np.flatnonzero(excess > tol)
            if not len(entering):
                break
            if len(entering) > most:
                entering = entering[np.argsort(-excess[entering], kind="stable")[:most]]
            self.signs[entering] = -np.sign(slope[entering])
            self._enter(entering)
            self._descend()
        return self.x

    def _descend(self):
        """Towards the minimum of the face; weights that would turn round leave."""
        while len(self.support):
            support = self.support
            signs = self.signs[support]
            target = self._target(support, signs)
            present = self.x[support]
            turning = target * signs <= 0
            if not turning.any():
                self.x[support] = target
                return
            leaving = turning & (present == 0)
            if not leaving.any():
                reach = np.where(turning, present, 0.0) / np.where(turning, present - target, 1.0)
                reach[~turning] = np.inf
                first = int(np.argmin(reach))
                self.x[support] = present + reach[first] * (target - present)
                leaving[first] = True
            self._leave(leaving)

    # ------------------------------------------------------------------ the inverse

    def _target(self, support, signs):
        """The minimum of the face; of an inverse that rounding has spoiled a new one is made."""
        system, penalties = self.gram[np.ix_(support, support)], self.penalties[support]
        right = self.cross[support] - penalties * signs
        while True:
            target = self.inverse @ right
            target += self.inverse @ (right - system @ target)
            if not self.updates or np.all(np.abs(right - system @ target) <= _OFF * penalties):
                return target
            self._start(support)

    def _start(self, support):
        self.support, self.updates = support, 0
        self.inverse = np.linalg.inv(self.gram[np.ix_(support, support)])

    def _many(self, count):
        """Whether the inverse is to be taken anew where so many enter or leave."""
        self.updates += count
        return self.updates > _MOST_UPDATES

    def _enter(self, entering):
        support = np.concatenate([self.support, entering])
        if self._many(len(entering)):
            self._start(support)
            return
        edge = self.inverse @ self.gram[np.ix_(self.support, entering)]
        corner = self.gram[np.ix_(entering, entering)]
        corner = np.linalg.inv(corner - self.gram[np.ix_(entering, self.support)] @ edge)
        across = -edge @ corner
        self.inverse = np.block([[self.inverse - across @ edge.T, across], [across.T, corner]])
        self.support = support

    def _leave(self, leaving):
        gone, stays = self.support[leaving], ~leaving
        self.x[gone], self.signs[gone] = 0.0, 0.0
        if self._many(len(gone)):
            self._start(self.support[stays])
            return
        inverse = self.inverse
        edge = inverse[np.ix_(stays, leaving)]
        corner = inverse[np.ix_(leaving, leaving)]
        self.inverse = inverse[np.ix_(stays, stays)] - edge @ np.linalg.solve(corner, edge.T)
        self.support = self.support[stays]
