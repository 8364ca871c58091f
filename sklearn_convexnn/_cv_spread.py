"""Cross-validation of rows in shares: folds by their values, scores by sums."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from sklearn_convexnn._collections import of_many_rows
from sklearn_convexnn._cv_scores import LOG_PROBABILITY_OF_MISSING_CLASS
from sklearn_convexnn.core.fit.temperature import fit_spread_temperature, tempered_losses
from sklearn_convexnn.core.problem.network import Network


def check_spread_folds(estimator, n_rows, params):
    """What the folds of a collection are not: other splitters, other scores."""
    of_many = of_many_rows(n_rows)
    if not (estimator.cv is None or isinstance(estimator.cv, Integral)):
        raise ValueError(
            f"cv={estimator.cv!r} {of_many}: folds are chosen by the values of the rows, so use "
            "their number, or None for five."
        )
    if estimator.scoring is not None:
        raise ValueError(
            f"scoring={estimator.scoring!r} {of_many}: use scoring=None, whose scores are sums."
        )
    if set(params) - {"sample_weight"}:
        others = sorted(set(params) - {"sample_weight"})
        raise ValueError(f"The metadata {others} {of_many}: leave it out.")


@dataclass(frozen=True)
class SeenNetwork:
    """What is left of a network until it is judged on held-out rows: itself."""

    network: Network


@dataclass(frozen=True)
class SpreadJudge:
    """Scores of all folds for one candidate, as :class:`._cv_scores.Judge` has them in memory.

    Parameters
    ----------
    score : str
        "r2", "log_likelihood" or "negative_loss".
    all_classes : list of bool
        Whether each fold trains on all classes.
    calibrate : bool
        Whether candidates have a temperature.
    """

    score: str
    all_classes: list
    calibrate: bool

    @property
    def trained(self):
        """The share of the rows that a fold trains on."""
        return 1.0 - 1.0 / len(self.all_classes)

    def look(self, fitted, held_out):
        """The network; outputs of a fold would be held until those of the others are there."""
        return SeenNetwork(held_out.network(*fitted._layers()))

    def judge(self, held_outs, seen):
        """The scores (n_folds,) and the temperature, 1 where there is none."""
        outputs = [
            held_out.outputs(one.network) for held_out, one in zip(held_outs, seen, strict=True)
        ]
        pairs = list(zip(held_outs, outputs, strict=True))
        temperature = 1.0
        if self.calibrate:
            whole = [pair for pair, has in zip(pairs, self.all_classes, strict=True) if has]
            temperature = fit_spread_temperature(*zip(*whole, strict=True)) if whole else 1.0
        return np.array([self._score(*pair, temperature) for pair in pairs]), temperature

    def _score(self, held_out, Z, temperature):
        if self.score == "r2":
            return _r2(held_out, Z)
        if self.score == "log_likelihood":
            (weight, losses) = held_out.sums(_tempered_losses, temperature, rowwise=(Z,))
            missing = held_out.missing
            gains = missing * LOG_PROBABILITY_OF_MISSING_CLASS - losses
            return float(gains / (weight + missing))
        weight, sizes = held_out.sums(_loss_sizes, held_out.loss, rowwise=(Z,))
        return float(-sizes / weight / held_out.rows.n_outputs)


def _r2(held_out, Z):
    """As :func:`sklearn.metrics.r2_score`, the mean over outputs."""
    centre = held_out.problem.y_shift
    weight, mean, squares, errors = held_out.sums(_r2_sums, centre, rowwise=(Z,))
    total = squares - mean**2 / weight
    ratio = np.divide(errors, total, out=(errors > 0).astype(np.float64), where=total > 0)
    return float(np.mean(1.0 - ratio))


# ------------------------------------------------------------------- what is added up of the rows


def _r2_sums(xp, B, centre):
    (Z,) = B.rowwise
    D = B.Y - centre
    return (xp.sum(B.w), B.w @ D, B.w @ (D * D), B.w @ (B.Y - Z) ** 2), None


def _tempered_losses(xp, B, temperature):
    (Z,) = B.rowwise
    return (xp.sum(B.w), B.w @ tempered_losses(B.Y, Z, temperature)), None


def _loss_sizes(xp, B, loss):
    (Z,) = B.rowwise
    return (xp.sum(B.w), B.w @ loss.sizes(B.Y, loss.value(B.Y, Z))), None
