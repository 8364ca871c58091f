"""From a linear spline on a line to the network of least weight decay that has its values.

With two layers the jump ``m_j`` at a knot is shared by a neuron ``(t - u_j)_+`` and a neuron ``(u_j
- t)_+``; with more, a neuron may also be a ramp between two knots, whose slope is a box.  A box
that reaches an outer data point is a hinge, the same on the data and linear beyond.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

_TINY = 1e-12


@dataclass(frozen=True)
class LineNetwork:
    """``f(t) = b0 + skip t + sum_j c_j h_j(t)``.

    ``h_j(t) = (side_j (t - kink_j))_+`` for infinite ``end_j``, else the ramp that falls from
    ``kink_j`` to ``end_j``, ``(end_j - kink_j - (t - kink_j)_+)_+``.
    """

    kink: np.ndarray
    side: np.ndarray
    end: np.ndarray
    c: np.ndarray
    b0: float
    skip: float

    @property
    def n_neurons(self):
        return len(self.c)

    def penalty(self):
        return float(np.abs(self.c).sum())

    def outer_slopes(self):
        """Slopes left and right of all kinks."""
        hinge = np.isinf(self.end)
        left = self.skip - self.c[hinge & (self.side < 0)].sum()
        right = self.skip + self.c[hinge & (self.side > 0)].sum()
        return float(left), float(right)

    def pieces(self):
        """Knots in order, and the slopes of the pieces between and outside them."""
        ramp = np.isfinite(self.end)
        at = np.concatenate([self.kink, self.end[ramp]])
        change = np.concatenate([np.where(ramp, -self.c, self.c), self.c[ramp]])
        knots, which = np.unique(at, return_inverse=True)
        jumps = np.bincount(which, weights=change, minlength=len(knots))
        left, _ = self.outer_slopes()
        return knots, left + np.concatenate([[0.0], np.cumsum(jumps)])

    def in_units_of(self, problem):
        """The same function of ``x`` with values ``y``."""
        per_x = problem.y_scale / problem.x_scale
        skip = self.skip * per_x
        b0 = problem.y_shift + problem.y_scale * self.b0 - skip * problem.x_shift
        kink, end = problem.positions(self.kink), self.end.copy()
        ramp = np.isfinite(end)
        end[ramp] = problem.positions(end[ramp])
        return LineNetwork(kink, self.side, end, self.c * per_x, float(b0), float(skip))


def line_network(spline, penalty):
    """The network of least weight decay with the values of a spline on the data."""
    u, values = spline.u, spline.values
    if len(u) < 2:
        return _network([], float(values[0]), 0.0)
    slopes = np.diff(values) / np.diff(u)
    size = np.abs(slopes).max()
    if penalty.ramps:
        return _ramps(u, values, slopes, size, penalty)
    jumps = np.diff(slopes)
    if penalty.skip:
        neurons = [(k, 1, np.inf, m) for k, m in zip(u[1:-1], jumps, strict=True)]
        return _network(neurons, values[0] - slopes[0] * u[0], slopes[0])
    # The slope on the far left is minus the sum of the left parts.  It can be anything from minus
    # the sum of the positive jumps to plus that of the negative ones at no cost.
    first = slopes[0]
    free = np.clip(first, -jumps[jumps > 0].sum(), -jumps[jumps < 0].sum())
    usable = np.where(jumps * free < 0, np.abs(jumps), 0.0)
    before = np.cumsum(usable) - usable
    left = np.clip(abs(free) - before, 0.0, usable)
    # A neuron split in two for the sake of rounding is none.
    left = np.where(
        left <= _TINY * size, 0.0, np.where(usable - left <= _TINY * size, usable, left)
    )
    left *= np.sign(jumps)
    extra = first - free if abs(first - free) > _TINY * size else 0.0
    kinks = np.concatenate([u[:-1], u[1:-1]])
    sides = np.repeat([1.0, -1.0], [len(u) - 1, len(u) - 2])
    c = np.concatenate([[extra], jumps - left, left])
    neurons = np.column_stack([kinks, sides, np.full(len(c), np.inf), c])[c != 0]
    return _network(neurons, values[0] - left @ (u[1:-1] - u[0]), 0.0)


def _network(neurons, b0, skip):
    kink, side, end, c = np.array(neurons, dtype=float).reshape(-1, 4).T
    return LineNetwork(kink, side, end, c, float(b0), float(skip))


def _ramps(u, values, slopes, size, penalty):
    """Boxes that add up to the slope: each side of zero a stack of nested ones."""
    skip = 0.0
    if penalty.skip:  # any slope between those of the two ends costs nothing; the smallest
        low, high = sorted((slopes[0], slopes[-1]))
        skip = min(max(0.0, low), high)
    rest = np.where(np.abs(slopes - skip) <= _TINY * size, 0.0, slopes - skip)
    neurons, b0 = [], values[0] - skip * u[0]
    for sign in (1.0, -1.0):
        for start, stop, height in _boxes(np.maximum(sign * rest, 0.0), _TINY * size):
            a, b, z = u[start], u[stop], sign * height
            if stop == len(u) - 1:
                neurons.append((a, 1, np.inf, z))
            elif start == 0:
                neurons.append((b, -1, np.inf, -z))
                b0 += z * (b - a)
            else:
                neurons.append((a, 1, b, -z))
                b0 += z * (b - a)
    return _network(neurons, b0, skip)


def _boxes(heights, tiny):
    """(first, last, height) of nested boxes with these total heights on consecutive intervals."""
    boxes, stack, level = [], [], 0.0
    for position, height in enumerate([*heights, 0.0]):
        while stack and level - height > tiny:
            start, part = stack.pop()
            cut = min(part, level - height)
            boxes.append((start, position, cut))
            if part - cut > tiny:
                stack.append((start, part - cut))
            level -= cut
        if height - level > tiny:
            stack.append((position, height - level))
            level = height
    return boxes


# --------------------------------------------------------------------------- layers as in an MLP


def layers(networks, direction, n_layers):
    """``coefs, intercepts`` of a perceptron with one output for every network.

    Parameters
    ----------
    networks : list of LineNetwork
        Functions of ``t = x @ direction``.
    direction : ndarray of shape (d,)
    n_layers : int
        Of weights.  Between hidden layers the weights are diagonal, a sparse array: every neuron
        is a branch of its own.

    Every branch is balanced, ``|weight|`` being the same in all of its layers, and its biases are
    scaled along.
    """
    kink, side, end, c = (
        np.concatenate([getattr(n, name) for n in networks])
        for name in ("kink", "side", "end", "c")
    )
    owner = np.repeat(np.arange(len(networks)), [n.n_neurons for n in networks])
    root = np.abs(c) ** (1.0 / n_layers)
    coefs = [np.outer(direction, side * root)]
    intercepts = [-side * root * kink]
    ramp = np.isfinite(end)
    reach = np.where(ramp, end, kink) - kink
    for layer in range(1, n_layers - 1):
        folds = ramp & (layer == 1)
        coefs.append(sparse.diags_array(np.where(folds, -root, root), format="csr"))
        intercepts.append(np.where(folds, reach * root ** (layer + 1), 0.0))
    out = np.zeros((len(c), len(networks)))
    out[np.arange(len(c)), owner] = np.sign(c) * root
    coefs.append(out)
    intercepts.append(np.array([n.b0 for n in networks]))
    return coefs, intercepts
