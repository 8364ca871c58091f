"""Cross-validations of one estimator on several encodings of the rows, of which one is kept."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sklearn_convexnn._cv_choice import near_best

# Encodings are compared when the paths have come to so many times alpha="scale", the last step of
# the coarse grid above it.  Further up steps help a few neurons more than they help the network in
# the end; further down lies most of the work.  (Eleven sets, 40 fits of whole paths: one of the two
# was clearly worse here in 28, and had the better score in the end in none; later in one of sixty.)
_AT = 4.0
_SAME = 1e-6


class Search(NamedTuple):
    """The folds of a fit and the descent on all rows."""

    problem: object
    targets: object
    descent: object
    scale: float
    paths: object

    def n_before(self, grid):
        """How many alphas of a descending grid come before the comparison."""
        return int(np.sum(grid >= _AT * self.scale * (1.0 - _SAME)))

    def scores(self):
        """Scores (n_folds,) of the alpha at which encodings are compared; None if not reached."""
        alphas = self.paths.alphas
        if alphas[-1] > _AT * self.scale * (1.0 + _SAME):
            return None
        return self.paths.best_scores(alphas[-1:])[0]

    def best_score(self):
        """The best mean score so far."""
        return float(self.paths.best_scores(self.paths.alphas).mean(axis=1).max())


class Race(NamedTuple):
    """What a fit does as one of several.

    ``pause``: only the alphas before the comparison; ``search``: goes on from there; ``than``: a
    score which the best one has to exceed, or there is no final fit.
    """

    pause: bool = False
    search: Search | None = None
    than: float = -np.inf


NO_RACE = Race()


class Paused(Exception):
    """The end of a fit that pauses."""

    def __init__(self, search):
        super().__init__("The alphas before the comparison are solved.")
        self.search = search


class NotBetter(Exception):
    """Instead of the final fit, where the best score is not above what it was to exceed."""

    def __init__(self, score):
        super().__init__(f"The best score is {score:.5g}.")
        self.score = score


def still_in(searches):
    """Which of them are not clearly worse than the best: by a paired standard error."""
    scores = [search.scores() for search in searches]
    if any(one is None for one in scores):
        return np.ones(len(searches), dtype=bool)
    return near_best(np.array(scores), paired=True)
