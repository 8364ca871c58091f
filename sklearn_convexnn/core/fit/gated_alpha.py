"""``alpha="auto"`` of gated networks: the alpha that predicts rows best which it did not see.

Gates do not move, so that leaving out a row is a small change of one convex program: what the
network without it says of it follows from the network with it, for every row at once, as in ridge
regression (:mod:`sklearn_convexnn.core.programs.leave_one_out`).  Where the matrix of that is too
large, and for neurons that feed several outputs, rows are held out as for ReLU networks.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.fit.alpha_descent import descend_alphas
from sklearn_convexnn.core.fit.held_out import Choice, all_but, given_alpha, parts_to_hold_out
from sklearn_convexnn.core.fit.temperature import (
    fit_temperature,
    temperature_of_all_rows,
    tempered_losses,
)
from sklearn_convexnn.core.programs.group_newton import solve_groups
from sklearn_convexnn.core.programs.leave_one_out import leave_one_out_outputs
from sklearn_convexnn.core.programs.nuclear_newton import solve_nuclear_groups
from sklearn_convexnn.core.programs.one_vs_all import OutputGroups
from sklearn_convexnn.core.programs.solve import independent_outputs

# Relative gap of the networks of the path: what is left moves losses far less than chance does.
_PATH_TOL = 1e-3
# Unknowns (rows times outputs that meet) up to which every row is left out: the matrix of all of
# them is inverted once for each alpha.
_LARGEST = 4000
# Below this number of rows none is left out.
_FEWEST = 10


def choose_gated_alpha(program, rng):
    """The Choice of an alpha, from ``alpha_max`` downwards.

    Parameters
    ----------
    program : PatternProgram
        Of all rows, gated.
    rng : numpy Generator
        Draws the rows that are held out, where some are.

    Returns
    -------
    Choice
        ``scale`` for losses without curvature, where there are too few rows, and where no alpha
        makes a difference.
    """
    problem = program.problem
    smooth = problem.rows.loss.smooth
    if not smooth or problem.rows.n_rows < _FEWEST or not 0 < program.scale < program.alpha_max:
        return given_alpha(program.scale)
    judge = _judge(program, rng)
    if judge is None:
        return given_alpha(program.scale)
    temperatures = []

    def loss_at(alpha):
        loss, temperature = judge(alpha / problem.alpha_unit)
        temperatures.append(temperature)
        return loss

    chosen = descend_alphas(loss_at, program.alpha_max, program.scale)
    temperature = temperatures[chosen.index]
    if temperature is not None:
        temperature = temperature_of_all_rows(temperature, judge.trained)
    return Choice(chosen.alpha, chosen.alphas, chosen.losses, temperature)


def _judge(program, rng):
    """A function from alpha, in working units, to the mean loss of rows left out, and temperature.

    None where no rows can be held out.
    """
    problem = program.problem
    data, together = problem.data, program.settings.penalty == "nuclear"
    parts = independent_outputs(problem.rows)
    together = together and problem.rows.n_outputs > 1
    if not together and problem.rows.n_rows * parts[0].n_outputs <= _LARGEST:
        outputs = _LeaveOneOut(parts, program.gated_groups)
        return _Judge(problem, data, outputs, 1.0 - 1.0 / problem.rows.n_rows)
    held_out = parts_to_hold_out(data.strata, len(data.Y), rng)
    if not held_out:
        return None
    folds = [_Fold(program, rows, together) for rows in held_out]
    seen = data.take(np.concatenate(held_out))
    trained = 1.0 - len(seen.Y) / len(held_out) / len(data.Y)
    return _Judge(
        problem, seen, lambda alpha: np.concatenate([fold(alpha) for fold in folds]), trained
    )


class _Judge:
    """The mean loss of rows whose outputs, in working units, ``outputs(alpha)`` are.

    Those are of networks that were trained on the share ``trained`` of the rows.
    """

    def __init__(self, problem, data, outputs, trained):
        self.problem, self.data, self.outputs, self.trained = problem, data, outputs, trained
        self.weights = data.sample_weights / data.sample_weights.sum()

    def __call__(self, alpha):
        Z = self.outputs(alpha) * self.problem.y_scale + self.problem.y_shift
        if self.data.labels is None:
            return float(self.weights @ self.data.named_loss().value(self.data.Y, Z)), None
        temperature = fit_temperature(self.data.Y, Z, self.weights)
        return float(self.weights @ tempered_losses(self.data.Y, Z, temperature)), temperature


class _LeaveOneOut:
    """Outputs of every row without it, for descending alphas."""

    def __init__(self, parts, groups):
        self.parts, self.groups = parts, groups
        self.starts = [{} for _ in parts]

    def __call__(self, alpha):
        columns = []
        for c, rows in enumerate(self.parts):
            solution = _solve(rows, self.groups, alpha, self.starts[c])
            columns.append(leave_one_out_outputs(rows, self.groups, solution, alpha))
        return np.hstack(columns)


class _Fold:
    """Outputs of held-out rows, for descending alphas."""

    def __init__(self, program, held_out, together):
        problem, groups = program.problem, program.gated_groups
        kept = all_but(held_out, problem.rows.n_rows)
        weights = problem.data.weights[kept]
        rows = problem.rows.take(kept).with_weights(weights / weights.sum())
        self.rows, self.together = rows, together
        self.groups, self.seen = groups.subset(kept), groups.subset(held_out)
        self.parts = independent_outputs(rows)
        self.starts = [{} for _ in self.parts]

    def __call__(self, alpha):
        if self.together:
            found = solve_nuclear_groups(self.rows, self.groups, alpha, tol=_PATH_TOL)
            # One output after the other: all gates feed all of them.
            outputs = [self.seen.outputs(found.index, V) for V in found.V.transpose(2, 0, 1)]
            return np.column_stack(outputs) + found.b0
        columns = []
        for rows, start in zip(self.parts, self.starts, strict=True):
            found = _solve(rows, self.groups, alpha, start)
            groups = OutputGroups(self.seen, rows.n_outputs)
            columns.append(groups.outputs(found.output * groups.per + found.index, found.V))
            columns[-1] += found.b0
        return np.hstack(columns)


def _solve(rows, groups, alpha, start):
    """The program for the next alpha; ``start`` is what the one before left, and is replaced."""
    solution = solve_groups(rows, groups, alpha, tol=_PATH_TOL, **start)
    start.update(sizes=solution.sizes, outputs=solution.Z)
    return solution
