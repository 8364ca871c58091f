"""Networks of one feature: CPU seconds and relative gaps for many rows, on one core.

    python benchmarks/one_dimension.py [n ...]

Positions are normal, heavy-tailed, or integers with many repetitions; targets are noisy, classes
overlap.  All estimators have their default parameters.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_convexnn import SplineReLUClassifier, SplineReLURegressor

ESTIMATORS = {
    "squared error": SplineReLURegressor(),
    "squared error, skip": SplineReLURegressor(skip_connection=True),
    "squared error, 3 layers": SplineReLURegressor(n_layers=3),
    "log-loss": SplineReLUClassifier(),
    "hinge": SplineReLUClassifier(loss="hinge"),
}


def designs(rng, n):
    """Name and positions of the rows."""
    yield "normal", rng.normal(size=n)
    yield "cauchy", rng.standard_cauchy(n)
    yield "integers", rng.integers(0, 300, n).astype(float)


def main(sizes):
    """Print one line for each fit."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # the gap tells
    print(f"{'n':>7}  {'positions':10}{'estimator':25}{'CPU s':>6}  rounds  neurons      gap")
    for n in sizes:
        rng = np.random.default_rng(0)
        for design, x in designs(rng, n):
            rank = np.argsort(np.argsort(x, kind="stable")) / n
            y = np.sin(12 * rank) + 3 * np.abs(rank - 0.3) + 0.5 * rng.normal(size=n)
            for name, model in ESTIMATORS.items():
                target = y if "squared" in name else y > np.median(y)
                start = time.process_time()
                model.fit(x[:, None], target)
                seconds = time.process_time() - start
                print(
                    f"{n:7d}  {design:10}{name:25}{seconds:6.2f}  {model.n_iter_:6d}  "
                    f"{model.n_neurons_:7d}  {model.dual_gap_:.1e}",
                    flush=True,
                )


if __name__ == "__main__":
    main([int(float(a)) for a in sys.argv[1:]] or [1_000, 10_000, 100_000])
