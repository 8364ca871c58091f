"""What every effort of a fit is worth: objective, time, neurons with one of them changed.

    python benchmarks/efforts.py                                # sets bundled with scikit-learn
    python benchmarks/efforts.py --data FOLDER --rows 4000
    python benchmarks/efforts.py --settings first_width,merge_angle
    python benchmarks/efforts.py --gap 1e-3 --rows 300          # of fits to a duality gap

Features standardised, ``alpha="scale"``, ``random_state=0``, one thread.  Ratios to the fit with
the numbers as they are in the same run: geometric means over the sets, and the worst objective.
The reasons beside the numbers in sklearn_convexnn/core/column_generation/options.py, and with
``--gap`` in program_phase.py and slide_phase.py, are from here.
"""

import common as C  # first: sets the number of threads

# isort: split
import argparse
import warnings
from contextlib import ExitStack
from dataclasses import replace
from unittest.mock import patch

import numpy as np
from sklearn.preprocessing import StandardScaler

from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor
from sklearn_convexnn.core.column_generation import program_phase, slide_phase
from sklearn_convexnn.core.fit import cutting_plane
from sklearn_convexnn.core.pricing.wall_crossing import CrossingPricing

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


# Of the search and the programs that close a gap: where the number is, and what is tried.
GAP_VARIANTS = {
    "n_random": (CrossingPricing, (50, 200)),
    "n_near": (CrossingPricing, (100, 400)),
    "n_times": (CrossingPricing, ({2: 2, 3: 5}, {2: 2, 3: 20})),
    "sweeps": (CrossingPricing, (10, 40)),
    "most_in_round": (CrossingPricing, (64, 256)),
    "share": (CrossingPricing, (0.6, 0.9)),
    "_MOST_VIOLATED": (program_phase, (100, 1600)),
    "_PROGRAM_SHARE": (program_phase, (0.03, 0.3)),
    "_LITTLE": (program_phase, (0.01, 0.1)),
    "_PROGRAM_GAP": (slide_phase, (1e-3, 2e-2)),
    "_PROGRAM_DECREASE": (slide_phase, (1e-4, 1e-2)),
}


def fit(task, X, y, changes, gap_tol):
    """Objective, CPU seconds and neurons of a fit with ``changes``."""
    Model = ConvexReLUClassifier if task == "classification" else ConvexReLURegressor
    choose = cutting_plane.choose_options
    with ExitStack() as changed:
        if gap_tol is None:
            options = {
                "choose_options": lambda *a, **goals: replace(choose(*a, **goals), **changes)
            }
            changed.enter_context(patch.multiple(cutting_plane, **options))
        else:
            for name, value in changes.items():
                changed.enter_context(patch.object(GAP_VARIANTS[name][0], name, value))
        model = Model("scale", gap_tol=gap_tol, random_state=0)
        model, seconds = C.cpu_time(lambda: model.fit(X, y))
    return np.array([model.objective_, seconds, max(model.n_neurons_, 1)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of .npz files")
    parser.add_argument("--sets", help="comma-separated names")
    parser.add_argument("--rows", type=int, default=4000, help="rows of a set at most")
    parser.add_argument("--gap", type=float, help="gap_tol, and the numbers that matter to it")
    parser.add_argument("--settings", help="comma-separated names of settings, all by default")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    C.print_header("Efforts of a default fit" if args.gap is None else f"Gap of {args.gap:g}")
    C.warm_up()
    tried = VARIANTS if args.gap is None else {name: v for name, (_, v) in GAP_VARIANTS.items()}
    names = args.settings.split(",") if args.settings else list(tried)
    variants = [{name: value} for name in names for value in tried[name]]
    found = []
    for _, X, y, task in C.load_sets(args.data, args.sets.split(",") if args.sets else None):
        rows = np.random.default_rng(0).permutation(len(X))[: args.rows]
        X, y = StandardScaler().fit_transform(X[rows]), y[rows]
        found.append([fit(task, X, y, one, args.gap) for one in [{}, *variants, {}]])
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
