"""Parallel three-layer networks beside two-layer ones: what a third layer buys, and what it takes.

    python benchmarks/architectures_parallel.py                    # sets of scikit-learn
    python benchmarks/architectures_parallel.py --data FOLDER --sets airfoil,autompg

Scores (accuracy or R2) on held-out rows of standardised features, means over folds, with
``alpha="auto"`` and all other defaults: ``ConvexReLURegressor`` and ``-Classifier``, and the
parallel networks with 2, 4 and 8 units of ``penalty="path"`` and 4 of "decay".  All alphas are
chosen by the same folds of the training rows; they are not comparable across rows of the table.
Times are CPU seconds of a fit, relative to the two-layer one on the same folds.
"""

import common as C  # first: sets the number of threads

# isort: split
import argparse
import time
import warnings

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler

SETTINGS = {
    "two layers": None,
    "path 2": {"hidden_units": 2},
    "path 4": {"hidden_units": 4},
    "path 8": {"hidden_units": 8},
    "decay 4": {"hidden_units": 4, "penalty": "decay"},
}


def model(setting, task, seed):
    from sklearn_convexnn import (
        ConvexReLUClassifier,
        ConvexReLURegressor,
        ParallelReLUClassifier,
        ParallelReLURegressor,
    )

    classifies = task == "classification"
    if setting is None:
        return (ConvexReLUClassifier if classifies else ConvexReLURegressor)(random_state=seed)
    Parallel = ParallelReLUClassifier if classifies else ParallelReLURegressor
    return Parallel(random_state=seed, **setting)


def one_fit(setting, task, seed, train, test):
    """Score, CPU seconds and sub-networks of a fit."""
    network = model(setting, task, seed)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of small columns and of folds far from their optimum
        network.fit(*train)
    seconds = time.process_time() - start
    return network.score(*test), seconds, network.n_neurons_


def run_set(X, y, task, args):
    """For every setting an array (fits, 3)."""
    if len(y) > args.rows:
        keep = np.random.default_rng(0).permutation(len(y))[: args.rows]
        X, y = X[keep], y[keep]
    splitter = StratifiedKFold if task == "classification" else KFold
    found = {name: [] for name in args.settings}
    for seed in range(args.seeds):
        folds = splitter(args.folds, shuffle=True, random_state=seed).split(X, y)
        for train, test in folds:
            scaler = StandardScaler().fit(X[train])
            parts = [(scaler.transform(X[rows]), y[rows]) for rows in (train, test)]
            for name in args.settings:
                found[name].append(one_fit(SETTINGS[name], task, seed, *parts))
    return {name: np.array(fits) for name, fits in found.items()}


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of .npz files; without it sets of scikit-learn")
    parser.add_argument("--sets", help="names, separated by commas; all without it")
    parser.add_argument("--settings", default=",".join(SETTINGS), help="the first is the measure")
    parser.add_argument("--rows", type=int, default=1000, help="rows of a set, at most")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=1, help="divisions into folds")
    args = parser.parse_args(arguments)
    args.settings = args.settings.split(",")
    unknown = set(args.settings) - set(SETTINGS)
    if unknown:
        parser.error(f"unknown settings {sorted(unknown)}; there are {', '.join(SETTINGS)}")
    return args


def main():
    args = parse()
    C.print_header("Parallel networks of three layers")
    C.warm_up()
    names = args.sets.split(",") if args.sets else None
    columns = [
        ("set", "set"),
        ("setting", "network"),
        ("score", "score", ".4f"),
        ("gain", "gain", "+.4f"),
        ("error", "its standard error", ".4f"),
        ("time", "time", ".2f"),
        ("neurons", "neurons or sub-networks", ".0f"),
    ]
    for set_name, X, y, task in C.load_sets(args.data, names):
        found, table = run_set(X, y, task, args), []
        first = found[args.settings[0]]
        for name, fits in found.items():
            gains = fits[:, 0] - first[:, 0]
            table.append(
                {
                    "set": set_name,
                    "setting": name,
                    "score": fits[:, 0].mean(),
                    "gain": gains.mean(),
                    "error": gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else None,
                    "time": fits[:, 1].sum() / first[:, 1].sum(),
                    "neurons": fits[:, 2].mean(),
                }
            )
        print(C.markdown_table(table, columns), flush=True)
        print(f"two layers: {first[:, 1].mean():.2f} s a fit\n", flush=True)


if __name__ == "__main__":
    main()
