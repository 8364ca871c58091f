"""Decisions of cross-validation: which alphas are tried, where a path ends, which one is taken."""

from __future__ import annotations

import numpy as np

# Steps of the coarse grid and of the neighbours of what it chose.
_COARSE, _FINE = 4.0, 2.0
# The coarse grid goes so many fine steps below alpha="scale".
_HALVINGS = 6
# Ratios of alphas closer to one than this are one alpha.
_SAME = 1e-6


# ---------------------------------------------------------------------- which alphas


def coarse_grid(alpha_max, scale):
    """``alpha_max``, ``scale`` times powers of four from below it on, halves of ``scale``.

    Strong regularisation is cheap: few neurons.  Anchored at ``scale``, the grid has the value that
    most data are content with.  Below it networks grow and each step is dear: none goes far beyond
    the best one.  The last is ``scale / 64``.
    """
    if scale == 0:  # constant targets: every alpha gives the same constant network
        return np.array([alpha_max or 1.0])
    most = int(np.floor(np.log(alpha_max / (_FINE * scale)) / np.log(_COARSE)))
    above = [scale * _COARSE**k for k in range(most, 0, -1)]
    return np.array([alpha_max, *above, *(scale / _FINE**k for k in range(_HALVINGS + 1))])


def neighbours(alphas, scores, chosen, selection, scale):
    """The alphas, one at most, beside the chosen one of a coarse grid that may well replace it.

    Where the chosen one is the best, that on the side to which the parabola through its score and
    those beside it rises.  Otherwise it was taken for its place, and that on the side which is
    better placed; nothing is better placed than ``scale``.
    """
    alpha = alphas[chosen]
    if scale == 0 or (selection == "scale" and _same(alpha, scale)):
        return []
    if chosen == best_alpha(scores):
        candidate = alpha * _FINE ** _rise(alphas, scores.mean(axis=1), chosen)
    else:
        larger = alpha < scale if selection == "scale" else True
        candidate = alpha * _FINE if larger else alpha / _FINE
    return [candidate] if candidate < alphas[0] and not _same(candidate, alphas) else []


def _rise(alphas, means, best):
    """1 where the peak lies at larger alphas than the best one, -1 at smaller, 0 next to it."""
    if best == 0:
        return 1
    if best == len(alphas) - 1:  # the path has ended because more promised too little
        return 0
    around = slice(best - 1, best + 2)
    curve, slope, _ = np.polyfit(np.log(alphas[around] / alphas[best]), means[around], 2)
    shift = -0.5 * slope / curve if curve < 0 else 0.0
    return round(float(np.clip(shift / np.log(_FINE), -1, 1)))


def _same(alpha, others):
    return bool(np.any(np.abs(np.log(others / alpha)) < _SAME))


# ---------------------------------------------------------------------- end of a path


def end_of_path(scores, patience):
    """The number of alphas after which the path ends because its score has turned, or None.

    ``scores`` are (n_alphas, n_folds).  The score has turned when the last ``patience`` alphas are
    all worse than the best one before them by more than its standard error over the folds.
    """
    if patience is None:
        return None
    for end in range(patience + 1, len(scores) + 1):
        if not np.any(near_best(scores[:end])[end - patience :]):
            return end
    return None


def end_of_coarse(scores, alphas, scale, paired=False):
    """The same on a coarse grid, where one alpha tells as much as three of a fine one.

    The path ends where an alpha is worse than the best one before it by more than the standard
    error of their difference, or the second in a row not better.  From ``scale`` on networks grow
    with every step, and an alpha below it is taken only if it is better by a standard error: there
    the path ends as well where the next step would gain less, if gains go on shrinking as they do.
    ``paired`` is as for :func:`choose_alpha`.
    """
    for k in range(1, len(scores)):
        best = best_alpha(scores[:k])
        differences = scores[k] - scores[best]
        gain = differences.mean()
        if gain < -_standard_error(differences) or (gain <= 0 and best < k - 1):
            return k + 1
        if alphas[k] < scale * (1.0 + _SAME) and _even(alphas[: k + 1]):
            last = scores[best].mean() - scores[:best].mean(axis=1).max(initial=-np.inf)
            expected = gain * min(1.0, gain / last) if gain > 0 else 0.0
            if expected <= _standard_error(differences if paired else scores[k]):
                return k + 1
    return None


def _even(alphas):
    """Are the last two steps of equal size, so that their gains compare?"""
    return len(alphas) > 2 and _same(alphas[-2] ** 2, alphas[-1] * alphas[-3])


# ---------------------------------------------------------------------- the choice


def near_best(scores, paired=False):
    """Which alphas have a mean score within one standard error of the best.

    That of the best score, or if ``paired`` that of the difference between the two.
    """
    best = best_alpha(scores)
    if paired:
        behind = scores[best] - scores
        return np.array([one.mean() <= _standard_error(one) for one in behind])
    return scores.mean(axis=1) >= scores[best].mean() - _standard_error(scores[best])


def best_alpha(scores):
    """The index of the best mean score; of equals the largest alpha."""
    means = scores.mean(axis=1)
    if np.isnan(means).all():
        raise ValueError(
            "Every cross-validated score is NaN: check `scoring`, and that each fold holds out "
            "rows enough for it (two for R2)."
        )
    return int(np.nanargmax(means))


def choose_alpha(scores, alphas, selection, scale, sizes=None, paired=False):
    """The index of the chosen alpha.

    ``"best"``: the best mean score.  Of those within a standard error of it, ``"scale"``: the
    closest to ``scale``, in ratio; ``"one_standard_error"``: the first; ``"smallest"``: that of
    least size.  Of equals the first.

    Parameters
    ----------
    scores : ndarray of shape (n, n_folds)
    alphas : ndarray of shape (n,)
    selection : str
    scale : float
    sizes : ndarray of shape (n,), optional
        Of the networks.
    paired : bool
        Whether for ``"scale"`` the standard error is that of the difference to the best score,
        which is smaller: folds that are hard are so for all alphas.
    """
    if selection == "best":
        return best_alpha(scores)
    near = np.flatnonzero(near_best(scores, paired and selection == "scale"))
    if selection == "smallest":
        return int(near[np.argmin(sizes[near])])
    if selection == "one_standard_error" or scale == 0:
        return int(near[0])
    distances = np.abs(np.log(alphas[near] / scale))
    return int(near[np.flatnonzero(distances < distances.min() + _SAME)[0]])


def _standard_error(values):
    """Of the mean over folds; zero for a single fold."""
    return values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
