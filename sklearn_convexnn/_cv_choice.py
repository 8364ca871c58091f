"""Decisions of cross-validation: which alphas are tried, where a path ends, which one is taken."""

from __future__ import annotations

import numpy as np

# Steps of the coarse grid and of the neighbours of what it chose.
_COARSE, _FINE = 4.0, 2.0
# The coarse grid goes this far below alpha="scale".
_FAR_BELOW = 64.0
# Ratios of alphas closer to one than this are one alpha.
_SAME = 1e-6


# ---------------------------------------------------------------------- which alphas


def coarse_grid(alpha_max, scale):
    """``alpha_max``, then ``scale`` times powers of four, from below it down to ``scale / 64``.

    Strong regularisation is cheap: few neurons.  Anchored at ``scale``, the grid has the value that
    most data are content with.
    """
    if scale == 0:  # constant targets: every alpha gives the same constant network
        return np.array([alpha_max or 1.0])
    most = int(np.floor(np.log(alpha_max / (_FINE * scale)) / np.log(_COARSE)))
    least = -round(np.log(_FAR_BELOW) / np.log(_COARSE))
    return np.array([alpha_max, *(scale * _COARSE**k for k in range(most, least - 1, -1))])


def neighbours(alphas, chosen, best, selection, scale):
    """Alphas beside the chosen one of a coarse grid that could be chosen in its place.

    Where the chosen one is not the best it was taken for its place, which one on the way from there
    to the best does not better; nothing is better placed than ``scale``.
    """
    alpha = alphas[chosen]
    larger, smaller = _FINE * alpha, alpha / _FINE
    if selection == "scale" and (chosen != best or _same(alpha, scale)):
        candidates = [] if _same(alpha, scale) else [larger if alpha < scale else smaller]
    else:
        candidates = [larger, smaller] if chosen == best else [larger]
    return np.array([one for one in candidates if one < alphas[0] and not _same(one, alphas)])


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


def end_of_coarse(scores, alphas, scale):
    """The same on a coarse grid, where one alpha tells as much as three of a fine one.

    The path ends where an alpha is worse than the best one before it by more than the standard
    error of their difference, or the second in a row not better.  From ``scale`` on networks grow
    with every step, and an alpha below it is taken only if it is clearly better: there the path
    goes on only if the last step was a gain of more than that error.
    """
    for k in range(1, len(scores)):
        best = best_alpha(scores[:k])
        gain, error = _difference(scores[k], scores[best])
        large = alphas[k] > scale * (1.0 + _SAME)
        goes_on = gain > 0 or best == k - 1 if large else gain > error
        if gain < -error or not goes_on:
            return k + 1
    return None


def _difference(scores, others):
    """Mean and standard error of the difference over folds."""
    differences = scores - others
    return differences.mean(), _standard_error(differences)


# ---------------------------------------------------------------------- the choice


def near_best(scores):
    """Which alphas have a mean score within one standard error of the best."""
    best = best_alpha(scores)
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


def choose_alpha(scores, alphas, selection, scale):
    """The index of the chosen alpha.

    ``"best"``: the best mean score.  ``"one_standard_error"``: the largest alpha within a standard
    error of it.  ``"scale"``: of the same alphas the closest to ``scale``, in ratio.
    """
    if selection == "best":
        return best_alpha(scores)
    near = np.flatnonzero(near_best(scores))
    if selection == "one_standard_error" or scale == 0:
        return int(near[0])
    return int(near[np.argmin(np.abs(np.log(alphas[near] / scale)))])


def _standard_error(values):
    """Of the mean over folds; zero for a single fold."""
    return values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
