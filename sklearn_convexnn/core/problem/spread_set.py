"""The training set of rows in shares: facts are gathered, rows stay where they are.

What :class:`.TrainingSet` is to rows in memory.  Rows are neither merged nor sorted: sums over
repeated rows are sums.  Units follow from a few facts about all rows, by way of rows that stand in
for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from sklearn_convexnn.core.problem.canonical_rows import canonical_rows
from sklearn_convexnn.core.problem.engines.row_keys import drawn
from sklearn_convexnn.core.problem.engines.shares import DistributedEngine, joined
from sklearn_convexnn.core.problem.facts import Facts, row_scale
from sklearn_convexnn.core.problem.losses import LOSSES, get_loss
from sklearn_convexnn.core.problem.neurons import ReLU
from sklearn_convexnn.core.problem.rows import Rows
from sklearn_convexnn.core.problem.training_set import TrainingSet, classes_of
from sklearn_convexnn.core.problem.units import Problem


@dataclass
class SpreadSet:
    """Distributed rows with targets and weights in the units of the data.

    Parameters
    ----------
    engine : DistributedEngine
        Its weights are positive and of any sum.
    loss, intercept, options
        As for :class:`.TrainingSet`.
    """

    engine: DistributedEngine
    loss: str
    intercept: bool
    options: dict = field(default_factory=dict)

    def named_loss(self, **options):
        """The loss in the units of the data."""
        return get_loss(self.loss, self.engine.n_outputs, **self.options, **options)

    @property
    def classifies(self):
        return LOSSES[self.loss].task == "classification"

    def problem(self):
        """The training problem, in working units."""
        facts = Facts(self.engine.each)
        loss = self.named_loss()
        units = loss.standardise_facts(facts, self.intercept)
        scale = row_scale(*facts.lengths(), self.intercept)
        engine = self.engine.mapped(_in_units, loss, units, facts.total)
        rows = Rows(engine, ReLU(), units.loss, intercept=self.intercept, scale=scale)
        return Problem(rows, *units.way_back, self)

    def split(self, share, least, salt):
        """The problem of most rows, and others, in memory, that are held out from it.

        They are drawn by their keys, each with probability ``share``; rows of classes with fewer
        than ``least`` rows are not.
        """
        held = share, salt, self._often(least)
        parts = joined(self.engine.each(_held_out, *held, self.engine.dtype))
        others = replace(self, engine=self.engine.mapped(_all_but_held_out, *held))
        settings = self.loss, self.intercept, self.options
        return others.problem(), TrainingSet(*_merged(*parts), *settings)

    def _often(self, least):
        """Which classes have so many rows; None for real targets."""
        if not self.classifies:
            return None
        return sum(self.engine.each(count_classes)) >= least


# -------------------------------------------------------------- what runs where the shares are


def _in_units(share, loss, units, total):
    return replace(share, Y=loss.working_targets(share.Y, units), weights=share.weights / total)


def count_classes(share):
    return np.bincount(classes_of(share.Y), minlength=max(2, share.Y.shape[1]))


def _is_held_out(share, part, salt, often):
    chosen = drawn(share.keys, part, salt)
    return chosen if often is None else chosen & often[classes_of(share.Y)]


def _held_out(share, part, salt, often, dtype):
    index = np.flatnonzero(_is_held_out(share, part, salt, often))
    return _merged(*share.rows(index, dtype))


def _merged(X, Y, weights, sample_weights):
    """Copies of a row as one, so that only distinct ones count."""
    X, Y, both = canonical_rows(X, Y, np.column_stack([weights, sample_weights]))
    return X, Y, both[:, 0], both[:, 1]


def _all_but_held_out(share, part, salt, often):
    return share.take(np.flatnonzero(~_is_held_out(share, part, salt, often)))
