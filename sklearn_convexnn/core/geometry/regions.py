"""From labelled cells to regions: connected polygons with holes, and the border between labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sklearn_convexnn.core.geometry.planar_cells import SNAP


class Merged(NamedTuple):
    """Cells of equal label, joined across their common edges."""

    labels: list  # of every region
    rings: list  # of every region: arrays (k, 2), the outer one first and then the holes
    borders: np.ndarray  # (k, 2, 2), segments between cells of different labels


def merge(cells, label):
    """Join cells of equal label that share an edge.

    Outer rings run counterclockwise and holes clockwise.  Regions that touch in one point are not
    connected.
    """
    here, there = cells.loop, cells.following()
    cell = np.repeat(np.arange(cells.n_cells), cells.sizes)
    twin = _reversed_edges(here, there, len(cells.points))
    has_twin = twin >= 0
    inner = has_twin & (label[cell] == label[cell[twin]])
    border = has_twin & (label[cell] < label[cell[twin]])
    joins = coo_array(
        (np.ones(inner.sum(), dtype=bool), (cell[inner], cell[twin[inner]])),
        shape=(cells.n_cells, cells.n_cells),
    )
    n_regions, region = connected_components(joins, directed=False)
    outline = ~inner
    loops, owners = _closed_loops(here[outline], there[outline], region[cell[outline]], cells)
    labels = np.zeros(n_regions, dtype=label.dtype)
    labels[region] = label
    rings = [[] for _ in range(n_regions)]
    for loop, owner in zip(loops, owners, strict=True):
        rings[owner].append(_without_straight_corners(cells.points[loop]))
    # The outer ring is the one that encloses something; holes have negative area.
    rings = [sorted(group, key=ring_area, reverse=True) for group in rings]
    borders = np.stack([cells.points[here[border]], cells.points[there[border]]], axis=1)
    return Merged(labels.tolist(), rings, borders)


def ring_area(ring):
    """Signed area of a closed polygon, positive counterclockwise."""
    here = ring - ring[0]
    there = np.roll(here, -1, axis=0)
    return 0.5 * float(np.sum(here[:, 0] * there[:, 1] - here[:, 1] * there[:, 0]))


def _reversed_edges(here, there, n_vertices):
    """For every directed edge the place of its opposite, or -1; edges are matched in pairs."""
    forward, backward = here * n_vertices + there, there * n_vertices + here
    order = np.argsort(forward, kind="stable")
    place = np.minimum(np.searchsorted(forward[order], backward), len(order) - 1)
    twin = order[place]
    # Cells as thin as rounding may have an edge in the same sense as a neighbour: one of the two
    # stays alone, and the loops stay closed.
    paired = (forward[twin] == backward) & (twin[twin] == np.arange(len(twin)))
    return np.where(paired, twin, -1)


def _closed_loops(here, there, owner, cells):
    """Chain directed edges of the same owner to closed loops of vertices.

    Cells are closed and edges leave in opposite pairs, so as many edges end in a vertex as begin
    there.  Where that is more than one, the loop goes on along the same piece of the inside.
    """
    n_vertices = len(cells.points)
    begin, end = owner * n_vertices + here, owner * n_vertices + there
    order = np.argsort(begin, kind="stable")
    first = np.searchsorted(begin[order], end, side="left")
    last = np.searchsorted(begin[order], end, side="right")
    successor = order[first]
    free = {}  # the edges that begin in such a vertex and have no predecessor yet
    for edge in np.flatnonzero(last - first > 1):
        choices = free.setdefault(int(end[edge]), order[first[edge] : last[edge]].tolist())
        back = _angle(cells.points[here[edge]] - cells.points[there[edge]])
        ahead = _angle(cells.points[there[choices]] - cells.points[there[edge]])
        # The inside lies between the next edge and, counterclockwise of it, the way back.
        successor[edge] = choices.pop(np.argmin((back - ahead) % (2 * np.pi)))
    loops, owners = [], []
    successor, starts = successor.tolist(), here.tolist()
    done = bytearray(len(starts))
    for edge in range(len(starts)):
        if done[edge]:
            continue
        owners.append(int(owner[edge]))
        loop = []
        while not done[edge]:
            done[edge] = True
            loop.append(starts[edge])
            edge = successor[edge]
        loops.append(loop)
    return loops, owners


def _angle(vectors):
    return np.arctan2(vectors[..., 1], vectors[..., 0])


def _without_straight_corners(ring):
    """A ring without the corners at which it does not turn: lines of other cells ended there."""
    # Begin at a corner for sure.  One after the other: of two corners very close to each other
    # each seems to be no turn, but only one of them may go.
    begin = np.lexsort((ring[:, 1], ring[:, 0]))[0]
    corners = np.roll(ring, -begin, axis=0).tolist()
    kept = corners[:1]
    for (x, y), (ahead_x, ahead_y) in zip(corners[1:], corners[2:] + corners[:1], strict=True):
        base_x, base_y = kept[-1]
        dx, dy, ex, ey = x - base_x, y - base_y, ahead_x - base_x, ahead_y - base_y
        on_line = abs(dx * ey - dy * ex) <= SNAP * max(abs(ex), abs(ey))
        between = dx * (ahead_x - x) + dy * (ahead_y - y) >= 0
        if not (on_line and between):
            kept.append([x, y])
    return np.array(kept) if len(kept) >= 3 else ring
