"""The convex program of the patterns that a network has: solved, and its patterns moved on.

Sliding neurons stop short of the kinks on which most neurons of the optimum sit, and so do its
objective and, far more, its duality gap.  Over the activation patterns of a network (P) is the
finite program (F) of :mod:`sklearn_convexnn.core.programs.group_newton`, solved to any gap with
every kink exact.  At its solution neurons press on the walls of their cones; a neuron may cross a
wall where that lowers the objective (:func:`~sklearn_convexnn.core.patterns.neuron_cones.crossed`),
since at the wall it belongs to both cones.  Solving, crossing and adding violated constraints by
turns never raises the objective and ends at an optimum of (P).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sklearn_convexnn.core.patterns.cones import WallsHeld
from sklearn_convexnn.core.patterns.neuron_cones import NeuronCones, crossed
from sklearn_convexnn.core.problem.metric import ISOTROPIC, Metric
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.programs.group_newton import solve_groups
from sklearn_convexnn.core.programs.minimal import independent_outputs


@dataclass(frozen=True)
class NeuronProgram:
    """Patterns (n, m) with the sign of their output weights, and where to begin.

    ``sizes`` are those of the neurons, ``walls`` the active walls of their cones, ``outputs`` (n,
    1) those of the network that has them.
    """

    D: np.ndarray
    sign: np.ndarray
    sizes: np.ndarray
    walls: WallsHeld
    outputs: np.ndarray
    metric: Metric = ISOTROPIC

    @classmethod
    def of(cls, rows, network, outputs, metric=ISOTROPIC):
        """The program of a network with one output."""
        p = rows.n_columns
        none = WallsHeld(np.zeros((0, p), np.intp), np.zeros((0, p)), np.zeros(0, np.intp))
        empty = cls(
            np.zeros((rows.n_rows, 0), bool), np.zeros(0), np.zeros(0), none, outputs, metric
        )
        return empty.extended(rows, network.U, network.C[:, 0], network.sizes)

    def extended(self, rows, U, values, sizes=None):
        """With the patterns of directions ``U`` for outputs of the signs of ``values``."""
        D = rows.dense() @ U.T > 0
        return NeuronProgram(
            np.concatenate([self.D, D], axis=1),
            np.concatenate([self.sign, np.where(values < 0, -1.0, 1.0)]),
            np.concatenate([self.sizes, np.zeros(len(U)) if sizes is None else sizes]),
            self.walls.extended(len(U)),
            self.outputs,
            self.metric,
        )._distinct()

    def _distinct(self):
        """Every pattern once for each sign, with the sizes of all that have it."""
        keys = np.column_stack([np.packbits(self.D, axis=0).T, self.sign > 0])
        _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        if len(first) == len(keys):
            return self
        sizes = np.bincount(group.ravel(), weights=self.sizes)
        order = np.argsort(first)
        first, sizes = first[order], sizes[order]
        walls = self.walls.of(first)
        return replace(self, D=self.D[:, first], sign=self.sign[first], sizes=sizes, walls=walls)

    def solved(self, rows, alpha, tol, work=None):
        """Solve the program to the relative gap ``tol`` or while ``work`` lasts; then cross walls.

        Returns
        -------
        network : Network
            The solution.
        program : NeuronProgram
            Of the neurons that are left, across the walls that held them back.
        """
        metric = self.metric
        groups = NeuronCones(
            metric.graded(rows.dense()), self.D, self.sign, self.walls, metric.sizes
        )
        solution = solve_groups(
            rows, groups, alpha, tol=tol, sizes=self.sizes, outputs=self.outputs, work=work
        )
        active = solution.index
        groups.project(solution.u[:, 0], active)  # the walls of the solution, not of a later trial
        sign = self.sign[active]
        D, _ = crossed(groups.cones, active, self.D[:, active], solution.u * sign)
        walls = groups.cones.walls_held.of(active)
        sizes = np.linalg.norm(solution.V, axis=1)
        U = metric.ungraded(solution.V / np.where(sizes > 0, sizes, 1.0)[:, None])
        network = Network(U, (sizes * sign)[:, None], solution.b0)
        # Violated constraints come in crowds: most of the neurons they leave are not needed.
        C, b0 = independent_outputs(rows, network)
        network = network.with_outputs(C, b0)
        # Their patterns remain for one more turn, in which they may turn out to be.
        program = NeuronProgram(D, sign, network.sizes, walls, solution.Z, metric)
        return network.pruned(), program._distinct()
