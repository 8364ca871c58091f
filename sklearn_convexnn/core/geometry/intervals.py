"""Piecewise linear functions of one variable: where each of several scores is the largest."""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.geometry.planar_cells import SNAP, in_blocks
from sklearn_convexnn.core.problem.network import network_outputs


def kinks(w, bias, C):
    """Positions ``-bias / w`` of the neurons that bend an output, sorted and without repeats."""
    bends = (w != 0) & np.any(C != 0, axis=1)
    with np.errstate(over="ignore"):
        positions = -bias[bends] / w[bends]
    # A kink beyond the largest float is none; adding 0.0 turns -0.0 into 0.0.
    return np.unique(positions[np.isfinite(positions)] + 0.0)


def largest_score_on_line(w, bias, C, b0):
    """Intervals on which one output of ``z(t) = (t w + bias)_+ C + b0`` is the largest.

    Between two kinks the outputs are affine, and the largest one is found by walking along their
    upper envelope: from the output that is largest at one end to the next that overtakes it.
    Outputs that agree up to rounding tie, and ties go to the first one, as in ``argmax``.

    Returns
    -------
    breakpoints : ndarray of shape (k,), increasing
    label : ndarray of shape (k + 1,)
        The largest output left of, between and right of the breakpoints.
    """
    knots = kinks(w, bias, C)
    if not len(knots):
        knots = np.zeros(1)
    layers = [w[None, :], C], [bias, b0]
    values = in_blocks(lambda t: network_outputs(t[:, None], *layers), knots, len(w))
    sizes = [w[None, :], np.abs(C)], [bias, np.abs(b0)]
    tolerance = SNAP * in_blocks(lambda t: network_outputs(t[:, None], *sizes), knots, len(w)).max(
        axis=1
    )
    slopes, slope_tolerance = _slopes(w, bias, C, knots)

    # From every knot to the next one, and from the outer knots to infinity.
    gaps = np.append(np.diff(knots), np.inf)
    tolerance_right = np.maximum(tolerance, np.append(tolerance[1:], tolerance[-1]))
    right = _walk(values, slopes[1:], gaps, tolerance_right, slope_tolerance)
    left = _walk(values[:1], -slopes[:1], np.array([np.inf]), tolerance[:1], slope_tolerance)
    segment, offset, label = right
    begin = np.concatenate([-(left[1][1:][::-1]) + knots[0], knots[segment] + offset])
    label = np.concatenate([left[2][::-1], label])
    changes = np.flatnonzero(label[1:] != label[:-1])
    return begin[changes], label[np.concatenate([changes, [len(label) - 1]])]


def _slopes(w, bias, C, knots):
    """Slopes (k + 1, K) left of, between and right of the knots, and what counts as equal."""
    contribution = np.abs(w)[:, None] * C
    slopes = np.zeros((len(knots) + 1, C.shape[1]))
    slopes[0] = -contribution[w < 0].sum(axis=0)
    bends = w != 0
    with np.errstate(over="ignore"):
        place = np.searchsorted(knots, -bias[bends] / w[bends] + 0.0)
    inside = place < len(knots)
    np.add.at(slopes, place[inside] + 1, contribution[bends][inside])
    return np.cumsum(slopes, axis=0), SNAP * np.abs(contribution).sum(axis=0).max(initial=0.0)


def _walk(values, slopes, lengths, tolerance, slope_tolerance):
    """Walk along the upper envelopes of the affine functions of all segments at once.

    Returns the segment, the distance from its beginning and the label of every piece, in order.
    """
    current = _first_largest(values >= (values.max(axis=1) - tolerance)[:, None], slopes)
    current = _earliest_equal(current, slopes, values, tolerance, slope_tolerance)
    active = np.arange(len(values))
    found = [(active, np.zeros(len(values)), current)]
    while len(active):
        own = np.arange(len(active)), current
        behind = np.maximum(values[active][own][:, None] - values[active], 0.0)
        speed = slopes[active] - slopes[active][own][:, None]
        faster = speed > slope_tolerance
        time = np.where(faster, behind / np.where(faster, speed, 1.0), np.inf)
        # It must be ahead by more than rounding at the end of the segment.
        with np.errstate(invalid="ignore"):
            ahead = np.where(faster, speed, 0.0) * lengths[active, None] - behind
        time[~(ahead > tolerance[active, None])] = np.inf
        first = time.min(axis=1)
        going = first < lengths[active]
        active, first, time = active[going], first[going], time[going]
        current = _first_largest(time <= first[:, None], slopes[active])
        found.append((active, first, current))
    segment, offset, label = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((offset, segment))
    return segment[order], offset[order], label[order]


def _first_largest(candidates, slopes):
    """Among the candidates of every row the one of largest slope, the first of several."""
    return np.argmax(np.where(candidates, slopes, -np.inf), axis=1)


def _earliest_equal(current, slopes, values, tolerance, slope_tolerance):
    """The first function that equals the current one up to rounding in value and slope."""
    own = np.arange(len(current)), current
    same = np.abs(slopes - slopes[own][:, None]) <= slope_tolerance
    same &= np.abs(values - values[own][:, None]) <= tolerance[:, None]
    return np.argmax(same, axis=1)
