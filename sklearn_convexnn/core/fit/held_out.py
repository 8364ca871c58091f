"""``alpha="auto"``: rows that are held out say which weight decay predicts best.

Some of the distinct rows are held out, once or for a few disjoint sets of them, and the rest is
trained on along a path of few alphas that begins with the constant network: what regularises
strongly costs little, and the path ends where the loss of the held-out rows has turned.
Classifiers are compared by their log-loss at the best temperature of each alpha, for otherwise
alphas would be chosen that undo overconfidence.  The fit on all rows does not start from the
networks of the path: it is that of the chosen alpha, and predicts better than from there (labels of
13 problems: accuracy .003 higher on average, lower on one; R2 of 7 problems .001 higher).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sklearn_convexnn.core.fit.alpha_descent import lowest_between
from sklearn_convexnn.core.fit.temperature import (
    fit_temperature,
    temperature_of_all_rows,
    tempered_losses,
)
from sklearn_convexnn.core.problem.engines.row_arrays import few_where, rows_where
from sklearn_convexnn.core.problem.spread_set import SpreadSet

# Each alpha is this fraction of the one before.
_STEP = 0.25
# The path ends so many steps below alpha="scale".
_STEPS_BELOW = 3
# One of so many parts of the rows is held out, and no more rows than these.
_PARTS, _MOST_HELD_OUT = 5, 5000
# From so many rows on there is one part of them, drawn by their values.
_MANY = 50_000
# Below this number of rows nothing is held out.
_FEWEST = 20
# So many held-out rows are wanted, of at most so many parts; labels say less than targets.  (Two
# parts of three take .6 of the time where labels are few and clear, at the same scores; where a
# fifth or a quarter of them is flipped the log-loss is .003 to .010 higher, accuracy .01 lower.)
_WANTED, _MOST_FOLDS = 250, 3
_WANTED_LABELS, _MOST_LABEL_FOLDS = 300, 4
# Losses within so many standard errors of the best are equal: of the difference, for labels of the
# loss itself, since what is best for probabilities regularises more than labels need.
_CHANCE = 0.5
# From so many times alpha="scale" on networks are small, and no one stops there.
_CHEAP = 16.0
# Targets that are best predicted from there on are mostly noise, which refutes "scale": it draws
# less.  (With half a standard error 300 x 20 rows of it get a quarter of the best alpha now and
# then, R2 -0.22 where 0.01 can be had.)
_CHANCE_OF_NOISE = 0.25
# Rounds end at an alpha whose network is worse than the best by so many standard errors.
_CLEARLY = 2.0
# Below alpha="scale", where networks grow large, a step has to lower the loss by this fraction, or
# by this fraction and so many standard errors.
_WORTH, _LEAST_WORTH, _SURE = 0.05, 0.01, 2.0


class Choice(NamedTuple):
    """What the held-out rows said.

    ``alphas`` (descending) and ``losses`` are those of the path, ``temperature`` is of
    classification, for the network of all rows.
    """

    alpha: float
    alphas: np.ndarray
    losses: np.ndarray
    temperature: float | None = None

    @property
    def attributes(self):
        """What an estimator remembers of the path, if there was one."""
        if not len(self.alphas):
            return {}
        return {"alphas_": self.alphas, "validation_losses_": self.losses}


def given_alpha(alpha):
    """The Choice of one who is told what to choose."""
    return Choice(alpha, np.array([]), np.array([]), 1.0)


def choose_alpha(problem, scale, alpha_max, follow, rng, report=None):
    """The alpha of a path that predicts held-out rows well.

    Parameters
    ----------
    problem : Problem
        Of all rows.
    scale, alpha_max : float
        Of all rows, in the units of the data: where the path is centred, and where it begins.
    follow : callable
        ``follow(problem, rng)`` begins a path for some of the rows, an object whose
        ``advance(alpha, enough)``, for descending alphas in the units of the data, gives ``coefs,
        intercepts``; it may end as soon as ``enough(coefs, intercepts)``.
    rng : numpy Generator
        Draws the rows that are held out.
    report : callable, optional
        Called with every alpha and its loss.

    Returns
    -------
    Choice
        ``scale`` where there are too few rows to hold any out.
    """
    splits, trained = _splits(problem, rng) if 0 < scale < alpha_max else ([], 1.0)
    if not splits:
        return given_alpha(scale)
    paths = [
        follow(part, child) for (part, _), child in zip(splits, rng.spawn(len(splits)), strict=True)
    ]
    judge = _Judge(problem, [held_out for _, held_out in splits])
    curve = _Curve(judge.weights)
    for alpha in _grid(scale, alpha_max):
        networks = [
            path.advance(alpha, judge.worse(k) if alpha < _CHEAP * scale else None)
            for k, path in enumerate(paths)
        ]
        curve.add(alpha, *judge(networks))
        if report is not None:
            report(alpha, curve.means[-1] * judge.unit)
        if curve.turned(scale):
            break
    alpha, temperature = curve.chosen(scale)
    if temperature is not None:
        temperature = temperature_of_all_rows(temperature, trained)
    losses = np.array(curve.means) * judge.unit
    return Choice(alpha, np.array(curve.alphas), losses, temperature)


def _splits(problem, rng):
    """What parts of the rows are held out, and the share of rows that others are trained on.

    Pairs of a problem of most rows and a TrainingSet of the others, which are held out.
    """
    data, n_rows = problem.data, problem.rows.n_rows
    if n_rows < _MANY and not isinstance(data, SpreadSet):
        parts = parts_to_hold_out(data.strata, n_rows, rng)
        splits = [(problem.part(all_but(rows, n_rows)), data.fetched(rows)) for rows in parts]
        return splits, 1.0 - 1.0 / _n_parts(n_rows)
    # By the values of the rows, so that the choice is the same wherever they are, in any order.
    n_parts = _n_parts(problem.rows.engine.n_distinct())
    draw = 1.0 / n_parts, n_parts, int(rng.integers(1 << 63))
    if isinstance(data, SpreadSet):
        part, held_out = data.split(*draw)
    else:
        chosen = data.drawn(*draw)
        held_out = data.fetched(few_where(n_rows, np.asarray, chosen))
        part = problem.part(rows_where(data.X, np.logical_not, chosen))
    splits = [(part, held_out)] if len(held_out.Y) else []
    return splits, 1.0 - 1.0 / n_parts


def _n_parts(n_rows):
    """One of so many parts of the rows is held out."""
    return max(_PARTS, n_rows // _MOST_HELD_OUT)


def parts_to_hold_out(strata, n_rows, rng):
    """Disjoint sets of rows (indices, ascending), each to be held out from all others.

    Every stratum, such as a class, is spread evenly over the parts; rows of one with fewer rows
    than parts are never held out.  An empty list where there are too few rows.
    """
    if n_rows < _FEWEST:
        return []
    n_parts = _n_parts(n_rows)
    order = rng.permutation(n_rows)
    if strata is not None:
        counts = np.bincount(strata)
        order = order[counts[strata[order]] >= n_parts]
        order = order[np.argsort(strata[order], kind="stable")]
    wanted, most = (_WANTED, _MOST_FOLDS) if strata is None else (_WANTED_LABELS, _MOST_LABEL_FOLDS)
    n_folds = int(np.clip(round(wanted * n_parts / n_rows), 1, most))
    parts = [np.sort(order[k::n_parts]) for k in range(n_folds)]
    return [part for part in parts if len(part)]


def all_but(rows, n_rows):
    """The rows, ascending, that are not among ``rows``."""
    return np.setdiff1d(np.arange(n_rows), rows, assume_unique=True)


def _grid(scale, alpha_max):
    """``alpha_max``, of the constant network, and powers of the step times ``scale`` below it."""
    above = int(np.ceil(np.log(scale / alpha_max) / np.log(_STEP))) - 1
    return [float(alpha_max), *(float(scale * _STEP**k) for k in range(-above, _STEPS_BELOW + 1))]


class _Judge:
    """The loss of every held-out row under the networks of the paths."""

    def __init__(self, problem, held_out):
        self.parts, self.outputs = held_out, problem.outputs
        self.Y = np.concatenate([part.Y for part in self.parts])
        weights = np.concatenate([part.weights for part in self.parts])
        self.weights = weights / weights.sum()
        # Those of classes say what matters, not how often it is seen.
        seen = np.concatenate([part.sample_weights for part in self.parts])
        self.sample_weights = None if np.array_equal(seen, weights) else seen
        self.classifies = held_out[0].classifies
        spread = {} if problem.spread is None else {"spread": problem.spread}
        self.loss = None if self.classifies else held_out[0].named_loss(**spread)
        # Squares of losses in the units of the data may overflow.
        self.unit = 1.0 if self.classifies else problem.objective_unit
        ends = np.cumsum([len(part.Y) for part in self.parts])
        self.spans = [
            slice(int(end - len(part.Y)), int(end))
            for part, end in zip(self.parts, ends, strict=True)
        ]
        self.best = None  # the losses of the alpha of the least mean, with its temperature

    def __call__(self, networks):
        """Losses (n,) in multiples of ``unit``, and for classifiers a temperature.

        Losses of classifiers are those at the best temperature for all weights, the one that is
        returned is that for weights without those of classes.
        """
        Z = np.concatenate(
            [
                self.outputs(part.X, coefs, intercepts).astype(np.float64)
                for part, (coefs, intercepts) in zip(self.parts, networks, strict=True)
            ]
        )
        if self.classifies:
            temperature = own = fit_temperature(self.Y, Z, self.weights)
            losses = tempered_losses(self.Y, Z, own)
            if self.sample_weights is not None:
                temperature = fit_temperature(self.Y, Z, self.sample_weights)
        else:
            temperature = own = None
            losses = self.loss.sizes(self.Y, self.loss.value(self.Y, Z)) / self.unit
        if self.best is None or self.weights @ losses < self.weights @ self.best[0]:
            self.best = losses, own
        return losses, temperature

    def worse(self, k):
        """A function: is a network of path k clearly worse half way than the best of the path?

        Rounds at one alpha lead from networks that are held back to those that overfit: what is
        worse by then does not turn better, but costs most of all.  None where there are no labels.
        """
        if not self.classifies:
            return None
        part, span = self.parts[k], self.spans[k]
        weights, Y = self.weights[span], self.Y[span]
        weights = weights / weights.sum()

        def rises(losses):
            difference = losses - self.best[0][span]
            rise = float(weights @ difference)
            return rise > _CLEARLY * _standard_error(weights, difference)

        def worse(coefs, intercepts):
            Z = self.outputs(part.X, coefs, intercepts).astype(np.float64)
            # At its own temperature it can only be better.
            if not rises(tempered_losses(Y, Z, self.best[1])):
                return False
            return rises(tempered_losses(Y, Z, fit_temperature(Y, Z, weights)))

        return worse


class _Curve:
    """Held-out losses along the path, and what follows from them."""

    def __init__(self, weights):
        self.weights = weights
        self.alphas, self.means, self.losses = [], [], []
        self.temperatures = []

    def add(self, alpha, losses, temperature):
        self.alphas.append(alpha)
        self.losses.append(losses)
        self.temperatures.append(temperature)
        self.means.append(float(self.weights @ losses))

    @property
    def best(self):
        return int(np.argmin(self.means))

    def turned(self, scale):
        """Is it clear that smaller alphas do not pay?"""
        last, best = len(self.means) - 1, self.best
        if self.alphas[last] >= _CHEAP * scale:
            return False
        if best < last:
            rise, error = self._excess(last, best)
            return last - best > 1 or rise > error
        if self.alphas[last] > scale:
            return False
        before = int(np.argmin(self.means[:last]))
        gain, error = self._excess(before, last)
        least = _LEAST_WORTH * self.means[before]
        return not (gain > _WORTH * self.means[before] or gain > max(_SURE * error, least))

    def chosen(self, scale):
        """The chosen alpha and its temperature.

        Of the alphas that are as good as the best one but for chance, the nearest to ``scale``. The
        best one itself lies between its neighbours on the grid where a parabola through the three
        has its least value.
        """
        best = self.best
        near = min(
            (k for k in range(len(self.means)) if self._as_good(k, best, scale)),
            key=lambda k: abs(np.log(self.alphas[k] / scale)),
        )
        logs = np.log(self.alphas)
        log = lowest_between(logs, np.array(self.means), best) if near == best else logs[near]
        alpha = self.alphas[near] * float(np.exp(log - logs[near]))
        if self.temperatures[best] is None:
            return alpha, None
        return alpha, float(np.exp(np.interp(-log, -logs, np.log(self.temperatures))))

    def _as_good(self, k, best, scale):
        excess, error = self._excess(k, best)
        chance = _CHANCE
        if self.temperatures[best] is not None:
            error = self._standard_error(self.losses[best])
        elif self.alphas[best] >= _CHEAP * scale:
            chance = _CHANCE_OF_NOISE
        return excess <= chance * error

    def _excess(self, k, other):
        """By how much the loss of an alpha is above that of another, with its standard error."""
        difference = self.losses[k] - self.losses[other]
        return self.means[k] - self.means[other], self._standard_error(difference)

    def _standard_error(self, values):
        return _standard_error(self.weights, values)


def _standard_error(weights, values):
    """Of the mean of independent values with weights of sum 1."""
    return float(np.sqrt(weights**2 @ (values - weights @ values) ** 2))
