"""Cross-validation of regularisation paths: the folds and the order of their solves.

Every fold follows its own path of descending alphas on its own training rows; nothing passes from
one fold to another, for a neuron that was trained on rows which another fold holds out would leak
them.  The folds go down together, so that the descent can end once the score has turned.
"""

from __future__ import annotations

import copy
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from joblib import effective_n_jobs

from sklearn_convexnn._cv_choice import best_alpha
from sklearn_convexnn._cv_scores import HeldOut, Seen
from sklearn_convexnn._cv_workers import workers
from sklearn_convexnn.core.fit.cutting_plane import start_of_path
from sklearn_convexnn.core.fit.path import solve_path
from sklearn_convexnn.core.fit.relaxed import relaxed
from sklearn_convexnn.core.problem.solution import Start, Status
from sklearn_convexnn.core.problem.units import Problem

# ---------------------------------------------------------------------- one fold


@dataclass(frozen=True)
class Fold:
    """The training problem of a fold and its held-out rows."""

    problem: Problem
    targets: object  # of the training rows, with what the estimator remembers of them
    estimator: object  # becomes a fitted one with the network of each alpha
    held_out: HeldOut
    rng: np.random.Generator


@dataclass(frozen=True)
class Point:
    """One alpha in one fold, with or without relaxation."""

    seen: Seen
    n_neurons: int
    dual_gap: float
    coefs: list
    intercepts: list


class Effort(NamedTuple):
    """What is done for every alpha in every fold."""

    options: object  # of the solves
    relax: tuple  # descending
    judge: object


class End(NamedTuple):
    """Where a solve ended, for those that start there: each with the same random numbers."""

    pricing: object
    start: Start


@dataclass
class _Path:
    """What a fold has solved, by alpha: a point for every relaxation."""

    fold: Fold
    points: dict = field(default_factory=dict)
    ends: dict = field(default_factory=dict)

    def take(self, alpha, result):
        self.points[alpha], self.ends[alpha] = result

    def end_above(self, alpha):
        """Of the next larger alpha that was solved; None if there is none."""
        larger = [one for one in self.ends if one > alpha]
        return self.ends[min(larger)] if larger else None

    def forget(self, alphas):
        for alpha in alphas:
            self.points.pop(alpha, None)
            self.ends.pop(alpha, None)


def _advance(fold, end, alpha, last, effort, stop=None):
    """Solve for the next alpha of a fold; returns its points and where the solve ended.

    An interruption is raised where ``stop()`` after a round.
    """
    if end is None:
        end = End(*start_of_path(fold.problem, fold.rng)[:2])
    # Those who start at the same end do not take random numbers from each other.
    pricing = copy.deepcopy(end.pricing)
    rows, working = fold.problem.rows, alpha / fold.problem.alpha_unit
    (solution,) = solve_path(
        rows,
        [working],
        pricing,
        options=effort.options,
        start=end.start,
        last=last,
        progress=None if stop is None else lambda *_: stop(),
    )
    points, network, goes_on = [], solution.network, End(pricing, solution.end)
    for relax in effort.relax:
        if relax < 1 and solution.status is not Status.INTERRUPTED:
            solution = relaxed(
                rows,
                network,
                relax * working,
                copy.deepcopy(pricing),
                options=effort.options,
                confirm=False,
            )
            network = solution.network
        if solution.status is Status.INTERRUPTED:
            raise KeyboardInterrupt
        points.append(_point(fold, solution, effort.judge))
    return points, goes_on


def _point(fold, solution, judge):
    fitted = copy.copy(fold.estimator)
    fitted._store(fitted._attributes(fold.problem, fold.targets, solution, np.nan))
    coefs, intercepts = fitted._layers()
    return Point(
        seen=judge.look(fitted, fold.held_out),
        n_neurons=fitted.n_neurons_,
        dual_gap=fitted.dual_gap_,
        coefs=coefs,
        intercepts=intercepts,
    )


# ---------------------------------------------------------------------- all folds


class FoldPaths:
    """The paths of all folds.

    Folds that are behind go on first, as many at a time as keep all workers busy.  What comes of it
    does not depend on ``n_jobs``: points below the end of the path are thrown away.

    Parameters
    ----------
    folds : list of Fold
    effort : Effort
    n_jobs : int or None
    report : callable
        ``report(alpha, scores)`` is called for every alpha of the paths, in the order in which they
        are solved.
    elsewhere : bool
        Whether rows are in other processes, which threads of this one wait for.
    """

    def __init__(self, folds, effort, *, n_jobs, report, elsewhere=False):
        self.paths = [_Path(fold) for fold in folds]
        self.effort, self.report = effort, report
        self.n_jobs = min(effective_n_jobs(n_jobs), len(folds))
        self._judged, self._elsewhere = {}, elsewhere
        self._workers = None

    @contextmanager
    def at_work(self):
        """Within it paths can be followed; workers that were started are kept until its end."""
        rows, least = self.paths[0].fold.problem.rows, self.effort.options.first_neurons
        settings = {
            "most": len(self.paths),
            "numbers": rows.n_rows * max(rows.n_features, least),
            "elsewhere": self._elsewhere,
        }
        with workers(_advance, self.n_jobs, **settings) as self._workers:
            yield

    def descend(self, alphas, end_of, until=None):
        """Solve in all folds for descending alphas until they are used up or ``end_of(scores)``.

        ``end_of`` says after how many of the alphas, with scores (n_alphas, n_folds), the path
        ends, or None.  With ``until`` that many are solved for now; the next call goes on.
        """
        until = len(alphas) if until is None else until
        reported, going = min(len(path.points) for path in self.paths), set()
        end = end_of(self.best_scores(alphas[:reported])) if reported else None
        while reported < until and end is None:
            self._start_behind(alphas, reported, going)
            going -= {k for k, _ in self._collect()}
            complete = min(len(path.points) for path in self.paths)
            if complete > reported:
                scores = self.best_scores(alphas[:complete])
                end = end_of(scores)
                for k in range(reported, complete if end is None else end):
                    self.report(alphas[k], scores[k])
                reported = complete
        self._workers.abandon()
        for path in self.paths:
            path.forget(alphas[end:] if end is not None else [])

    def _start_behind(self, alphas, complete, going):
        """Let folds go on that are not ``going`` yet, no further than a step ahead of all."""
        numbers = range(len(self.paths))
        for k in sorted(numbers, key=lambda k: len(self.paths[k].points)):  # stable
            done = len(self.paths[k].points)
            if len(going) >= self._workers.capacity or done > complete + 1 or done == len(alphas):
                break
            if k not in going:
                self._start(k, alphas[done], last=done == len(alphas) - 1)
                going.add(k)

    def fill_in(self, alphas):
        """Solve for alphas between those of the path, each from the next larger one."""
        calls = [(k, alpha) for k in range(len(self.paths)) for alpha in alphas]
        for call in calls:
            self._start(*call)
        while any(alpha not in self.paths[k].points for k, alpha in calls):
            self._collect()
        if len(alphas):
            for alpha, scores in zip(alphas, self.best_scores(alphas), strict=True):
                self.report(alpha, scores)

    def _start(self, k, alpha, last=False):
        path = self.paths[k]
        task = path.fold, path.end_above(alpha), alpha, last, self.effort
        self._workers.start((k, alpha), task)

    def _collect(self):
        """Take the results of some tasks; returns their keys."""
        found = self._workers.finished()
        for (k, alpha), result in found.items():
            self.paths[k].take(alpha, result)
        return list(found)

    # ------------------------------------------------------------------ what came of it

    @property
    def alphas(self):
        """Descending."""
        return np.array(sorted(self.paths[0].points, reverse=True))

    def points(self, alpha, k):
        """Those of all folds for the relaxation number ``k``."""
        return [path.points[alpha][k] for path in self.paths]

    def scores(self, alphas):
        """Scores as an array (n_alphas, n_relax, n_folds)."""
        numbers = range(len(self.effort.relax))
        return np.array([[self._judge(alpha, k)[0] for k in numbers] for alpha in alphas])

    def best_scores(self, alphas):
        """Those of the best relaxation of each alpha, (n_alphas, n_folds)."""
        return np.array([one[best_alpha(one)] for one in self.scores(alphas)])

    def temperature(self, alpha, k):
        """Of the outputs on held-out rows."""
        return self._judge(alpha, k)[1]

    def table(self, name):
        """An attribute of the points as an array (n_alphas, n_relax, n_folds)."""
        numbers = range(len(self.effort.relax))
        return np.array(
            [
                [[getattr(point, name) for point in self.points(alpha, k)] for k in numbers]
                for alpha in self.alphas
            ]
        )

    def _judge(self, alpha, k):
        if (alpha, k) not in self._judged:
            held_out = [path.fold.held_out for path in self.paths]
            seen = [point.seen for point in self.points(alpha, k)]
            self._judged[alpha, k] = self.effort.judge.judge(held_out, seen)
        return self._judged[alpha, k]
