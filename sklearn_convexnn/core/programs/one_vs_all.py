"""Groups of several outputs, one-vs-all: each group feeds one of them.

With one output this is the groups themselves.  Group ``g`` belongs to the output ``g // per`` and
is its map ``g % per``; dual variables and outputs have shape (n, C).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class BlockFactor:
    """``[sqrt(share_j) A_j E_j]`` side by side, one block of columns per output."""

    blocks: list

    def gram(self, root):
        """``W^T F F^T W`` for all columns ``W``, (k, k), without their zeros."""
        if root.P is None:
            scaled = [root.root[:, [c]] * block for c, block in enumerate(self.blocks)]
            return _block_diagonal([block.T @ block for block in scaled])
        squares = root.root**2
        ends = np.cumsum([0, *(block.shape[1] for block in self.blocks)])
        K = np.empty((ends[-1], ends[-1]))
        for c, left in enumerate(self.blocks):
            for d in range(c + 1):
                # H = diag(root^2) - root^2 p^T
                h = (squares[:, c] if c == d else 0.0) - squares[:, c] * root.P[:, d]
                part = left.T @ (h[:, None] * self.blocks[d])
                K[ends[c] : ends[c + 1], ends[d] : ends[d + 1]] = part
                K[ends[d] : ends[d + 1], ends[c] : ends[c + 1]] = part.T
        return K

    def pull(self, B):
        """``W^T B`` for ``B`` (n, C, m)."""
        return np.concatenate([block.T @ B[:, c] for c, block in enumerate(self.blocks)])

    def push(self, Y):
        """``W Y``, (n, C, m), for ``Y`` (k, m)."""
        ends = np.cumsum([block.shape[1] for block in self.blocks])[:-1]
        parts = np.split(Y, ends)
        pairs = zip(self.blocks, parts, strict=True)
        return np.stack([block @ part for block, part in pairs], axis=1)


def _block_diagonal(blocks):
    if len(blocks) == 1:
        return blocks[0]
    ends = np.cumsum([0, *(len(block) for block in blocks)])
    K = np.zeros((ends[-1], ends[-1]))
    for block, start, end in zip(blocks, ends[:-1], ends[1:], strict=True):
        K[start:end, start:end] = block
    return K


class OutputGroups:
    """The groups of one output, once for each of ``n_outputs`` outputs.

    Parameters
    ----------
    groups : FreeGroups or ConeGroups
    n_outputs : int
    """

    def __init__(self, groups, n_outputs):
        self.parts = [groups, *(groups.again() for _ in range(n_outputs - 1))]
        self.per, self.count = groups.count, n_outputs * groups.count
        self.linear, self.factored = groups.linear, groups.factored

    def subset(self, chosen):
        """The same groups over some of the rows."""
        return OutputGroups(self.parts[0].subset(chosen), len(self.parts))

    def split(self, index):
        """The output of the groups ``index``, and which maps they are."""
        return index // self.per, index % self.per

    def _each(self, index):
        """For each output: its groups, the positions in ``index`` and the maps."""
        output, which = self.split(index)
        for c, part in enumerate(self.parts):
            places = np.flatnonzero(output == c)
            yield c, part, places, which[places]

    def project(self, u, index):
        """``c_g`` for the groups ``index``, (m, p), and the faces they lie in."""
        C, faces = np.empty((len(index), self.parts[0].X.shape[1])), []
        for c, part, places, which in self._each(index):
            C[places], face = part.project(u[:, c], which)
            faces.append(face)
        return C, faces

    def same_face(self, faces, others):
        pairs = zip(self.parts, faces, others, strict=True)
        return all(part.same_face(face, other) for part, face, other in pairs)

    def screen(self, u, alpha, known, C_known):
        """``||c_g||`` and ``c_g`` of all groups, or bounds of the former below ``alpha``."""
        found = [
            part.screen(u[:, c], alpha, which, C_known[places])
            for c, part, places, which in self._each(known)
        ]
        norms, C = zip(*found, strict=True)
        return np.concatenate(norms), np.concatenate(C)

    def columns(self, index, V):
        """``A_g v_g`` as one column per group, (n, C, m)."""
        B = np.zeros((len(self.parts[0].X), len(self.parts), len(index)))
        for c, part, places, which in self._each(index):
            B[:, c, places] = part.columns(which, V[places])
        return B

    def outputs(self, index, V):
        """``sum_g A_g v_g``, (n, C)."""
        return np.column_stack(
            [part.outputs(which, V[places]) for _, part, places, which in self._each(index)]
        )

    # ------------------------------------------------------------------ curvature

    def dimension(self, index, faces):
        """The number k of free coordinates of the groups ``index``."""
        return sum(part.dimension(which, faces[c]) for c, part, _, which in self._each(index))

    def gram(self, index, share, faces):
        """``sum_g share_g A_g N_g A_g^T``, (n, C, n, C)."""
        n, n_outputs = len(self.parts[0].X), len(self.parts)
        if n_outputs == 1:
            return self.parts[0].gram(index, share, faces[0]).reshape(n, 1, n, 1)
        K = np.zeros((n, n_outputs, n, n_outputs))
        for c, part, places, which in self._each(index):
            K[:, c, :, c] = part.gram(which, share[places], faces[c])
        return K

    def factor(self, index, share, faces):
        """A root of :meth:`gram`."""
        return BlockFactor(
            [
                part.factor(which, share[places], faces[c])
                for c, part, places, which in self._each(index)
            ]
        )

    def operator(self, index, share):
        """The product with :meth:`gram` as a function of arrays (n, C), in single precision."""
        products = [
            part.operator(which, share[places]) for _, part, places, which in self._each(index)
        ]

        def product(x):
            pairs = zip(products, x.T, strict=True)
            return np.column_stack([one(column) for one, column in pairs])

        return product
