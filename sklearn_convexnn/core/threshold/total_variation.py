"""Total variation denoising on a line: the taut string, in time of order n.

``min 1/2 sum_i w_i (f_i - y_i)^2 + alpha sum_i |f_{i+1} - f_i|``: the slopes of the shortest path
through a tube of radius alpha about the running sum of ``w y``, drawn over the running sum of
``w`` and tied at its ends (Davies & Kovac 2001).  The path is found as in a funnel: from its last
bend, the apex, the two walls are seen as a convex and a concave chain; a point of one wall that
lies beyond the other moves the apex along it.
"""

from __future__ import annotations

import numpy as np


def denoised(y, weights, alpha):
    """The minimiser, (n,), for positive weights."""
    n = len(y)
    t = np.concatenate([[0.0], np.cumsum(weights)]).tolist()
    s = np.concatenate([[0.0], np.cumsum(weights * y)]).tolist()
    funnel = _Funnel((t[0], s[0], 0), n)
    for i in range(1, n):
        funnel.add(0, (t[i], s[i] + alpha, i))
        funnel.add(1, (t[i], s[i] - alpha, i))
    funnel.add(0, (t[n], s[n], n))
    return funnel.slopes_to_the_end()


class _Funnel:
    """Two chains of points (t, s, index) from a common apex: 0 the upper wall, 1 the lower one."""

    def __init__(self, apex, n):
        self.chains, self.heads = [[apex], [apex]], [0, 0]
        self.slopes = np.empty(n)

    def add(self, wall, point):
        chain, head = self.chains[wall], self.heads[wall]
        t, s, _ = point
        side = 1.0 - 2.0 * wall
        # Points that the new one hides go: slopes rise along the upper wall and fall on the lower.
        while len(chain) - head > 1:
            (t1, s1, _), (t2, s2, _) = chain[-2], chain[-1]
            if side * ((s - s2) * (t2 - t1) - (s2 - s1) * (t - t2)) > 0:
                break
            chain.pop()
        if len(chain) - head == 1:
            apex = self._bend(1 - wall, point, side)
            if apex is not chain[-1]:
                chain = self.chains[wall] = [apex]
                self.heads[wall] = 0
        chain.append(point)

    def _bend(self, wall, point, side):
        """Move the apex along the other wall, to where the point is seen; the apex."""
        chain, head = self.chains[wall], self.heads[wall]
        t, s, _ = point
        while len(chain) - head > 1:
            (t0, s0, _), (t1, s1, _) = chain[head], chain[head + 1]
            if side * ((s1 - s0) * (t - t0) - (s - s0) * (t1 - t0)) <= 0:
                break
            self._draw(chain[head], chain[head + 1])
            head += 1
        self.heads[wall] = head
        return chain[head]

    def _draw(self, start, end):
        self.slopes[start[2] : end[2]] = (end[1] - start[1]) / (end[0] - start[0])

    def slopes_to_the_end(self):
        chain = self.chains[0]
        for k in range(self.heads[0], len(chain) - 1):
            self._draw(chain[k], chain[k + 1])
        return self.slopes
