"""Folds of rows in shares: each trains on a part of them and holds the others out, where they are.

Of a row nothing comes here, but for the hashes of rare classes (at most those of 50 000 rows).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sklearn_convexnn.core.problem.engines.row_keys import pair_keys, salted
from sklearn_convexnn.core.problem.hashed_folds import fold_limits, folds_of, rare_classes
from sklearn_convexnn.core.problem.losses import Loss
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.rows import Rows
from sklearn_convexnn.core.problem.spread_set import SpreadSet, count_classes
from sklearn_convexnn.core.problem.training_set import classes_of
from sklearn_convexnn.core.problem.units import Problem


@dataclass(frozen=True)
class HeldOutRows:
    """Rows that a fold holds out, their targets in the units of the data.

    Parameters
    ----------
    rows : Rows
        What neurons see of them is scaled as for the ``problem``; weights are without those of
        classes.
    problem : Problem
        Of the rows that the fold trains on.
    loss : Loss
        In the units of the data.
    missing : float
        The weight of more rows that it holds out, of classes which it does not train on.
    """

    rows: Rows
    problem: Problem
    loss: Loss
    missing: float = 0.0

    def outputs(self, network):
        """Handle of the outputs (n, C) of a network of the problem, in the units of the data."""
        unit = self.problem.y_scale
        network = network.with_outputs(unit * network.C, unit * network.b0 + self.problem.y_shift)
        return self.rows.outputs(network.U, network.C, network.b0)

    def network(self, coefs, intercepts) -> Network:
        """The network of the problem from its layers."""
        return self.problem.network(coefs, intercepts)

    def sums(self, kernel, *small, rowwise=()):
        """Sums over the rows of a kernel that reads no features."""
        engine = self.rows.engine
        return engine.map_reduce(kernel, *small, width=engine.n_outputs, rowwise=rowwise)[0]


class SpreadFolds:
    """The folds of a training set, chosen by the values of its rows.

    Parameters
    ----------
    data : SpreadSet
    n_folds, salt : int
        Another salt, other folds.
    """

    def __init__(self, data, n_folds, salt):
        self.data, self.n_folds = data, n_folds
        self.numbers = self._numbers(salt)
        counts = self._sums(_counts)
        if not counts.sum(axis=1).all():
            raise ValueError(
                f"Of {n_folds} folds of rows, chosen by their values, some are empty: too few of "
                "the rows differ. Use fewer folds, or an array in memory."
            )
        self.trained = counts.sum(axis=0) - counts  # rows of every class, (n_folds, n_classes)
        if data.classifies and (self.trained > 0).sum(axis=1).min() < 2:
            raise ValueError(
                "A fold trains on one class only, for the others have too few rows: leave out rare "
                "classes, or give them more rows."
            )

    def _numbers(self, salt):
        """Handle of the fold of every row."""
        engine, n_folds, salt = self.data.engine, self.n_folds, np.uint64(salt)
        limits, classifies = fold_limits(n_folds), self.data.classifies
        if classifies:
            counts = sum(engine.each(count_classes))
            rare = rare_classes(counts, n_folds)
            classes, hashes = (
                np.concatenate(parts)
                for parts in zip(*engine.each(_hashes_of_classes, salt, rare), strict=True)
            )
            limits = fold_limits(n_folds, len(counts), classes, hashes)
        return engine.place.keep(_fold_numbers, [engine.shares], salt, limits, classifies)

    def _sums(self, function):
        """Of every fold and class, (n_folds, n_classes); one class for real targets."""
        arguments = self.n_folds, self.data.classifies
        return sum(self.data.engine.each(function, *arguments, rowwise=(self.numbers,)))

    @cached_property
    def _weights(self):
        return self._sums(_class_weights)

    def classes(self, k):
        """The classes that fold ``k`` trains on, ascending; None where it has all."""
        trained = self.trained[k] > 0
        return None if trained.all() else np.flatnonzero(trained)

    def part(self, k):
        """The problem of the rows that fold ``k`` trains on, and the HeldOutRows."""
        engine, classes = self.data.engine, self.classes(k)
        n_outputs, missing = None, 0.0
        if classes is not None:
            n_outputs = len(classes) if len(classes) > 2 else 1
            missing = float(np.delete(self._weights[k], classes).sum())
        settings = {"rowwise": (self.numbers,), "n_outputs": n_outputs}
        trained = engine.mapped(_training_share, k, classes, **settings)
        data = SpreadSet(trained, self.data.loss, self.data.intercept, self.data.options)
        problem = replace(data.problem(), data=None)  # or its shares would be kept for it
        rows = problem.rows
        held_out = Rows(
            engine.mapped(_held_out_share, k, classes, **settings),
            rows.neurons,
            rows.loss,
            intercept=rows.intercept,
            scale=rows.scale,
        )
        spread = {} if problem.spread is None else {"spread": problem.spread}
        return problem, HeldOutRows(held_out, problem, data.named_loss(**spread), missing)


# -------------------------------------------------------------- what runs where the shares are


def _hashes(share, salt):
    return salted(pair_keys(share.keys, share.Y), salt)


def _hashes_of_classes(share, salt, chosen):
    """Classes and hashes of the rows of some classes."""
    classes = classes_of(share.Y)
    index = np.flatnonzero(np.isin(classes, chosen))
    return classes[index], _hashes(share, salt)[index]


def _fold_numbers(share, salt, limits, classifies):
    return folds_of(_hashes(share, salt), limits, classes_of(share.Y) if classifies else None)


def _by_fold_and_class(share, numbers, n_folds, classifies, weights):
    if not classifies:
        return np.bincount(numbers, weights=weights, minlength=n_folds)[:, None]
    n_classes = max(2, share.Y.shape[1])
    cells = numbers.astype(np.int64) * n_classes + classes_of(share.Y)
    sums = np.bincount(cells, weights=weights, minlength=n_folds * n_classes)
    return sums.reshape(n_folds, n_classes)


def _counts(share, numbers, n_folds, classifies):
    return _by_fold_and_class(share, numbers, n_folds, classifies, None)


def _class_weights(share, numbers, n_folds, classifies):
    return _by_fold_and_class(share, numbers, n_folds, classifies, share.sample_weights)


def _training_share(share, numbers, k, classes):
    return _of_classes(share.take(np.flatnonzero(numbers != k)), classes)


def _held_out_share(share, numbers, k, classes):
    share = share.take(np.flatnonzero(numbers == k))
    return _of_classes(replace(share, weights=share.sample_weights), classes)


def _of_classes(share, classes):
    """The rows of some classes, with indicators of these only; None for all."""
    if classes is None:
        return share
    own = classes_of(share.Y)
    known = np.isin(own, classes)
    columns = classes[1:] if len(classes) == 2 else classes
    share = replace(share, Y=(own[:, None] == columns).astype(np.float64))
    return share.take(np.flatnonzero(known))
