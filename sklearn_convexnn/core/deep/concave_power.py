r"""Minimising a convex curve plus a concave power of its argument, with a proven bound.

    (E)  min_{r >= 0}  D(r) + alpha * L/2 * r^(2/L) ,      D(r) = min { loss : size <= r } ,

``D`` convex.  A solution of the convex program ``min loss + mu * size`` with value at least ``d``
gives a line below the curve, ``D(r) >= d - mu r``.  Between two breakpoints of the largest of
several lines, (line + concave power) is concave: the smallest value over the breakpoints is a lower
bound of (E), however many local minima it has.  Adding lines at the smallest breakpoint closes the
gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import optimize

from sklearn_convexnn.core.deep.singular_values import power_penalty

_EPS = np.finfo(float).eps
# Shifts of the first ridge solutions, in units of the largest eigenvalue.
_GRID = np.logspace(6, -8, 29)
# Half-widths of brackets of the best shift's logarithm, to try one after the other.
_POLISH = (1e-4, 1e-2, 0.3)
_LARGEST_LOG = 300.0


@dataclass(frozen=True, eq=False)
class Node:
    """A point of the curve: ``D(r) <= loss``, and the line ``D >= dual - mu r``."""

    mu: float
    r: float
    loss: float
    dual: float
    point: object = None


def ridge_node(s, m, least, shift):
    """The point ``w = (S + shift)^{-1} m`` of the curve ``D(r) = min {f(w): ||w|| <= r}``.

    It minimises ``f + mu ||w||`` with ``mu = shift * ||w||``; ``least`` is ``min f``.
    """
    w = m / (s + shift)
    r = float(np.linalg.norm(w))
    # w - S^{-1} m = -shift S^{-1} w
    loss = least + 0.5 * float(np.sum((shift * w) ** 2 / s))
    return Node(shift * r, r, loss, (loss + shift * r * r) * (1 - 4 * _EPS), w)


def curve_ends(s, m, least, energy):
    """The nodes of no penalty and of no network."""
    w = m / s
    last = Node(0.0, float(np.linalg.norm(w)), least, least, w)
    return [Node(float(np.linalg.norm(m)), 0.0, energy, energy, np.zeros_like(m)), last]


def group_node(s, m, least, mu):
    """The minimum of ``f + mu ||w||`` for ``0 < mu < ||m||``: the root of ``mu = shift ||w||``."""

    def excess(log_shift):
        shift = np.exp(log_shift)
        return shift * np.linalg.norm(m / (s + shift)) / mu - 1.0

    # shift ||w(shift)|| rises from 0 to ||m||, below shift ||m/s||.
    low = np.log(mu / np.linalg.norm(m / s))
    high = low + 1.0
    while excess(high) < 0 and high < _LARGEST_LOG:
        high += 2.0 * (high - low)
    if excess(high) < 0:  # mu is ||m|| up to rounding
        return ridge_node(s, m, least, np.exp(high))
    return ridge_node(s, m, least, np.exp(optimize.brentq(excess, low - 1e-9, high, xtol=1e-15)))


def minimise_ridge_curve(s, m, least, energy, alpha, n_layers):
    """Best node of (E) over the ridge solutions ``(S + shift)^{-1} m``, and a proven bound.

    The bound closes where the value is flat; the last digits of the solution come from its
    stationarity, ``mu = alpha r^(p-1)``.
    """
    best, _, bound = minimise_on_curve(
        lambda shift: ridge_node(s, m, least, shift),
        curve_ends(s, m, least, energy),
        _GRID * s.max(),
        alpha,
        n_layers,
        tol=1e-12,
    )
    if alpha > 0 and best.r > 0 and best.mu > 0:
        node = _stationary(s, m, least, best, alpha, n_layers)
        if _value(node, alpha, n_layers) <= _value(best, alpha, n_layers) * (1 + 4 * _EPS):
            best = node
    return best, bound - 8 * _EPS * energy


def _stationary(s, m, least, best, alpha, n_layers):
    """The stationary ridge solution next to ``best``, or ``best`` where there is none."""

    def excess(log_shift):
        node = ridge_node(s, m, least, np.exp(log_shift))
        return node.mu / (alpha * node.r ** (2.0 / n_layers - 1.0)) - 1.0

    middle = np.log(best.mu / best.r)
    for width in _POLISH:
        if excess(middle - width) * excess(middle + width) < 0:
            root = optimize.brentq(excess, middle - width, middle + width, xtol=1e-15)
            return ridge_node(s, m, least, np.exp(root))
    return best


def minimise_on_curve(node_at, start, grid, alpha, n_layers, *, tol, max_nodes=200):
    """Best node of (E) and a proven lower bound.

    Parameters
    ----------
    node_at : callable
        From a positive parameter to a :class:`Node`, ``mu`` increasing with the parameter.
    start : list of Node
        Known nodes with the parameters ``inf`` (``r = 0``) and 0 (``mu = 0``, the least loss).
    grid : iterable of float
        Parameters of the first nodes.
    alpha, n_layers : float, int
    tol : float
        Relative distance of value and bound at which to stop.
    max_nodes : int

    Returns
    -------
    Node, list of Node, float
        The best node, all nodes by decreasing ``mu``, and the bound.
    """
    nodes = {np.inf: start[0], 0.0: start[1]} | {t: node_at(t) for t in grid}
    while True:
        parameters = {node: t for t, node in nodes.items()}
        best = min(parameters, key=lambda node: _value(node, alpha, n_layers))
        value = _value(best, alpha, n_layers)
        bound, left, right = lower_bound(parameters, alpha, n_layers)
        between = _between(parameters[left], parameters[right])
        if value - bound <= tol * value or len(nodes) >= max_nodes or between in nodes:
            ordered = [nodes[t] for t in sorted(nodes, reverse=True)]
            return best, ordered, min(bound, value)
        nodes[between] = node_at(between)


def lower_bound(nodes, alpha, n_layers, *, largest=np.inf):
    """The smallest value of the lines' maximum plus the power, and the nodes on both sides of it.

    ``largest``, if finite, is a proven bound ``T`` on the largest singular value: then ``sum_i
    sigma_i^p >= T^(p-1) r`` is used where it is better, for ``r > T``.
    """
    hull = _upper_envelope(nodes)
    corners = [(0.0, hull[0], hull[0])]
    corners += [(_crossing(a, b), a, b) for a, b in pairwise(hull)]
    if np.isfinite(largest):
        after = sum(r <= largest for r, _, _ in corners) - 1
        corners.append((largest, hull[after], hull[after]))
    p = 2.0 / n_layers
    best = (np.inf, hull[0], hull[0])
    for r, a, b in corners:
        power = r**p if r <= largest else largest ** (p - 1.0) * r
        line = max(node.dual - node.mu * r for node in (a, b))
        value = line + alpha * 0.5 * n_layers * power
        if value < best[0]:
            best = (float(value), a, b)
    return best


def _value(node, alpha, n_layers):
    return node.loss + alpha * power_penalty([node.r], n_layers)


def _crossing(a, b):
    """Where two lines meet, ``a`` being the steeper one."""
    return max((a.dual - b.dual) / (a.mu - b.mu), 0.0)


def _upper_envelope(nodes):
    """The nodes whose lines are the largest somewhere on ``r >= 0``, steepest first."""
    hull = []
    for line in sorted(nodes, key=lambda node: (-node.mu, -node.dual)):
        if hull and line.mu == hull[-1].mu:
            continue
        while hull and (
            line.dual >= hull[-1].dual
            or (len(hull) > 1 and _crossing(hull[-1], line) <= _crossing(hull[-2], hull[-1]))
        ):
            hull.pop()
        hull.append(line)
    return hull


def _between(left, right):
    """A parameter between those of two neighbours, geometrically; ends of the scale are open."""
    large, small = max(left, right), min(left, right)
    if np.isinf(large):
        return 10.0 * small if small > 0 else 1.0
    return 0.1 * large if small == 0 else float(np.sqrt(large * small))
