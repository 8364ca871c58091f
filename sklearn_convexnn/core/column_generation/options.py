"""Goals and efforts of a solve by column generation."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    # of a refit; see there for what counts as one.
    slide_iter: int = 60
    slide_tol: float = 1e-12
    refit_iter: int = 400
    # Of a refit: optimality relative to alpha, the least decrease of a step relative to the loss,
    # whether it uses Newton's method for every loss, and whether it also gets the directions as
    # they were before the slide.
    refit_tol: float = 1e-4
    refit_gain: float = 0.0
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
    # Work up to which all activation patterns of the rows are gone through for that instead: fits
    # of 7 x 4 to 45 x 2 rows to a gap of 1e-3 take 0.36 to 0.86 of the time, 1e-6: 0.22 to 0.69.
    pattern_work: int = 5000
    # Precision of slides and refits.
    dtype: type = np.float64
    # What the rounds of columns of zeros and ones may take.
    column_work: float = np.inf
    # Bytes that the hidden activations of all rows may take in a refit.
    memory: int = 256 << 20

    @property
    def gap_goal(self):
        """The relative duality gap at which a solve ends."""
        return self.tol if self.gap_tol is None else self.gap_tol


# To a good objective.  A decrease of some percent in a round shows in single precision and needs
# little of anything.  Beside each number is what other values of it do to a default fit: change of
# the objective and ratio of CPU time, geometric means over thirteen tabular sets of 200 to 1 000
# rows (benchmarks/efforts.py --rows 1000, on busy cores: times to a tenth; objectives of fits on
# other processors differ by up to 0.5 % in the mean).
LIGHT = Options(
    first_neurons=40,  # 20: +0.3 %, 0.92; 80: -0.1 %, 0.91
    new_neurons=20,  # 10: +0.8 %, 0.81; 40: -0.3 %, 0.97 and a tenth more neurons
    slide_iter=30,
    slide_tol=3e-6,  # 3e-5: +2.2 %, 0.73; 3e-7: -0.2 %, 0.95
    refit_iter=30,  # 15: +0.2 %, 0.91; 120: 0.0 %, 1.12
    refit_gain=1e-3,  # 0: 0.0 %, 1.07 (six sets of labels); a tenth of what ends a fit
    newton=False,  # True: +0.1 %, 1.27
    keep_columns=False,  # True: 0.0 %, 1.06 and a tenth more neurons
    first_width=0.1,  # 0.03: 0.0 %, 1.01 and an eighth more neurons; 0.3: +6.3 %, 0.76
    merge_angle=0.1,  # 0: 0.0 %, 1.06 and a sixth more neurons; 0.3: +0.7 %, 0.78
    round_effort=0,  # 1: -0.3 %, 1.17
    # 0: +0.4 %, 0.81, and a gap that says less; 2: -0.2 %, 1.16
    confirm_effort=1,
    # 134 patterns of 12 x 2 rows: 1.02 of the time of fits with a search, 184 of 14 x 2: 1.15.
    pattern_work=200,
)

# For networks that are only compared by held-out rows: 12 fits of labels with alpha="auto" take 0.9
# of the time.  (Not for samples of many rows: 1e5 x 50 rows ended with twice as many neurons.)
COARSE = replace(LIGHT, slide_iter=20, slide_tol=1e-5, refit_gain=3e-3)
