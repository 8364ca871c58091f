"""What a second core gives: wall-clock times of one and of several jobs, on idle cores.

    python benchmarks/cores.py                    # five minutes on two cores
    python benchmarks/cores.py --rows 100000      # a minute less
    python benchmarks/cores.py --what small

Three parts, each with the times of one job and of several in turn, and the ratio of the least of
each: one fit of many rows (``n_jobs`` threads share the rows of a pass), cross-validation of a
middling set (processes or threads, a fold each), and cross-validation of small sets with
``n_jobs=-1``, which worker processes would take longer to start for than the folds do.  Gaussian
rows, ten-neuron teacher with noise.  Load of other processes makes the figures worthless: it is
printed.
"""

import common as C  # first: sets the number of threads

# isort: split
import argparse
import os
import time
import warnings

from growth import teacher

from sklearn_convexnn import ConvexReLUClassifierCV, ConvexReLURegressor, ConvexReLURegressorCV

ALPHA = 1.75e-4  # what "scale" was at 1e5 rows


def seconds(model, X, y):
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    return time.perf_counter() - begin


def in_turn(label, make, X, y, jobs, repeats):
    """Fits with one and with several jobs, one after the other, and a line about them."""
    times = {1: [], jobs: []}
    for _ in range(repeats):
        for n_jobs, found in times.items():
            found.append(seconds(make(n_jobs), X, y))
    ratio = min(times[1]) / min(times[jobs])
    shown = (" and ".join(f"{one:.2f}" for one in found) for found in times.values())
    one, several = shown
    print(
        f"{label}, {len(X)} x {X.shape[1]}: {one} s with one job, {several} s with "
        f"n_jobs={jobs}: {ratio:.2f} times as fast; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def many(n):
    X, y = teacher(n, 50, 0)
    alpha = ALPHA * (1e5 / n) ** 0.5
    in_turn(
        "One fit of many rows",
        lambda n_jobs: ConvexReLURegressor(alpha, n_jobs=n_jobs, random_state=0),
        *(X, y, 2, 2),
    )


def middle():
    make = {
        "Cross-validation, regression": (ConvexReLURegressorCV, 45_000, 80),
        "Cross-validation, classification": (ConvexReLUClassifierCV, 30_000, 30),
    }
    for label, (Estimator, n, d) in make.items():
        X, y = teacher(n, d, 0)
        target = y if Estimator is ConvexReLURegressorCV else (y > 0).astype(int)
        in_turn(
            label,
            lambda n_jobs, Estimator=Estimator: Estimator(n_jobs=n_jobs, random_state=0),
            *(X, target, 2, 1),
        )


def small():
    for n, d in ((100, 5), (300, 10), (600, 10)):
        X, y = teacher(n, d, 0)
        in_turn(
            "Cross-validation of few rows",
            lambda n_jobs: ConvexReLURegressorCV(n_jobs=n_jobs, random_state=0),
            *(X, y, -1, 3),
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = ["many", "middle", "small"]
    parser.add_argument("--what", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the first part")
    args = parser.parse_args()
    C.print_header("What a second core gives")
    if "small" in args.what:
        small()
    if "middle" in args.what:
        middle()
    if "many" in args.what:
        many(args.rows)


if __name__ == "__main__":
    main()
