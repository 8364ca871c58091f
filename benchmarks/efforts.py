"""What every effort of a default fit is worth: objective, time, neurons with one of them changed.

    python benchmarks/efforts.py                                # sets bundled with scikit-learn
    python benchmarks/efforts.py --data FOLDER --rows 4000
    python benchmarks/efforts.py --settings first_width,merge_angle

Features standardised, the default alpha, ``random_state=0``, one thread.  Ratios to the default fit
of the same run: geometric means over the sets, and the worst objective.  The reasons beside the
numbers in sklearn_convexnn/core/column_generation/options.py are from here.
"""

import common as C  # first: sets the number of threads

# isort: split
import argparse
import warnings
from dataclasses import replace

import numpy as np
from sklearn.preprocessing import StandardScaler

from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor
from sklearn_convexnn.core.fit import cutting_plane

VARIANTS = {
    "first_neurons": (20, 80),
    "new_neurons": (10, 40),
    "slide_iter": (20, 80),
    "slide_tol": (3e-5, 3e-7),
    "refit_iter": (15, 120),
    "newton": (True,),
    "keep_columns": (True,),
    "first_width": (0.03, 0.3),
    "width_decay": (0.5, 0.9),
    "merge_angle": (0.0, 0.03, 0.3),
    "round_effort": (1,),
    "confirm_effort": (0, 2),
    "max_cosine": (0.9, 0.999),
}


def fit(task, X, y, changes):
    """Objective, CPU seconds and neurons of a fit whose options have ``changes``."""
    Model = ConvexReLUClassifier if task == "classification" else ConvexReLURegressor
    choose = cutting_plane.choose_options
    cutting_plane.choose_options = lambda *args, **goals: replace(choose(*args, **goals), **changes)
    try:
        model, seconds = C.cpu_time(lambda: Model(random_state=0).fit(X, y))
    finally:
        cutting_plane.choose_options = choose
    return np.array([model.objective_, seconds, max(model.n_neurons_, 1)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of .npz files")
    parser.add_argument("--sets", help="comma-separated names")
    parser.add_argument("--rows", type=int, default=4000, help="rows of a set at most")
    parser.add_argument("--settings", help="comma-separated names of settings, all by default")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    C.print_header("Efforts of a default fit")
    C.warm_up()
    names = args.settings.split(",") if args.settings else list(VARIANTS)
    variants = [{name: value} for name in names for value in VARIANTS[name]]
    found = []
    for _, X, y, task in C.load_sets(args.data, args.sets.split(",") if args.sets else None):
        rows = np.random.default_rng(0).permutation(len(X))[: args.rows]
        X, y = StandardScaler().fit_transform(X[rows]), y[rows]
        found.append([fit(task, X, y, changes) for changes in [{}, *variants, {}]])
    found = np.array(found)
    # The default was timed before and after the others: what the machine did meanwhile cancels.
    base = np.sqrt(found[:, 0] * found[:, -1])
    table = []
    for k, changes in enumerate(variants, start=1):
        ratio = found[:, k] / base
        objective, seconds, neurons = np.exp(np.log(ratio).mean(axis=0))
        ((name, value),) = changes.items()
        table.append(
            {
                "setting": f"{name}={value}",
                "objective": 100 * (objective - 1),
                "worst": 100 * (ratio[:, 0].max() - 1),
                "seconds": seconds,
                "neurons": neurons,
            }
        )
    columns = [
        ("setting", "setting"),
        ("objective", "objective, %", "+.2f"),
        ("worst", "worst, %", "+.2f"),
        ("seconds", "CPU, ratio", ".2f"),
        ("neurons", "neurons, ratio", ".2f"),
    ]
    print(C.markdown_table(table, columns))


if __name__ == "__main__":
    main()
