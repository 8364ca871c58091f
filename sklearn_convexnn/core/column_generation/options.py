"""Goals and efforts of a solve by column generation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Options:
    """Goals and effort of a solve; the defaults are those of a thorough one."""

    # Goals: rounds at most; least decrease of a round; relative duality gap; neurons at most.
    max_iter: int = 50
    tol: float = 1e-3
    gap_tol: float | None = None
    max_neurons: int | None = None
    # Neurons added at the start and in every later round, and how much they must differ.
    first_neurons: int = 100
    new_neurons: int = 40
    max_cosine: float = 0.98
    # Iterations of a slide, the relative decrease in one of them at which it ends, and iterations
    # of a refit.
    slide_iter: int = 60
    slide_tol: float = 1e-12
    refit_iter: int = 400
    # Of a refit: optimality relative to alpha, whether it uses Newton's method for every loss, and
    # whether it also gets the directions as they were before the slide.
    refit_tol: float = 1e-4
    newton: bool = True
    keep_columns: bool = True
    # Smoothing of the kinks in the slides, shrinking from round to round.
    first_width: float = 0.2
    width_decay: float = 0.7
    last_width: float = 5e-4
    # Least width at the start of a solve that goes on from the network of a larger alpha.
    tracking_width: float = 0.01
    # Neurons closer than this angle become one before a slide, whatever the width.
    merge_angle: float = 0.0
    # Effort of the pricing in a round and before a stop.
    round_effort: int = 1
    confirm_effort: int = 3
    # Whether climbs across the walls of patterns confirm a gap, and whether the program of the
    # neurons' patterns takes over for its last digits.
    crossing: bool = False
    program: bool = False
    # Precision of slides and refits.
    dtype: type = np.float64
    # Bytes that the hidden activations of all rows may take in a refit.
    memory: int = 256 << 20

    @property
    def gap_goal(self):
        """The relative duality gap at which a solve ends."""
        return self.tol if self.gap_tol is None else self.gap_tol
