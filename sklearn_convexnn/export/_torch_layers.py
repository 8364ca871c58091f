"""Layers of convolutions in PyTorch, which is there when this file is imported."""

from __future__ import annotations

import torch


class Patches(torch.nn.Module):
    """Rows (n, d) to what the windows see of them, (n, n_positions, p): zeros beyond the border."""

    def __init__(self, places):
        super().__init__()
        self.register_buffer("places", torch.from_numpy(places))

    def forward(self, rows):
        return torch.nn.functional.pad(rows, (0, 1))[:, self.places]


class LargestOfCells(torch.nn.Module):
    """Activations (n, n_positions, m) to the largest of every cell, (n, m * n_cells)."""

    def __init__(self, cells):
        super().__init__()
        self._names = [f"cell_{k}" for k in range(len(cells))]
        for name, cell in zip(self._names, cells, strict=True):
            self.register_buffer(name, torch.from_numpy(cell))

    def forward(self, activations):
        cells = [activations[:, getattr(self, name)].amax(dim=1) for name in self._names]
        return torch.stack(cells, dim=2).flatten(1)


class MeansOfCells(torch.nn.Module):
    """Activations (n, n_positions, m) to the means over cells, (n, m * n_cells)."""

    def __init__(self, shares):
        super().__init__()
        self.register_buffer("shares", torch.from_numpy(shares))

    def forward(self, activations):
        return (activations.transpose(1, 2) @ self.shares).flatten(1)
