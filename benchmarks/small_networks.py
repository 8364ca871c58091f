"""Small networks for nearly the best score: relaxed refits beside pruning and perceptrons.

    python benchmarks/small_networks.py                       # sets bundled with scikit-learn
    python benchmarks/small_networks.py --data FOLDER --sets airfoil,sonar --folds 2

For every set, on standardised rows, held-out score (accuracy or R2) and number of neurons of
perceptrons of 100 units, of cross-validated networks with defaults ("CV"), of these after
``inspection.prune`` with a tolerance of 1 %, and with ``relax=(1, 1/4, 1/16, 1/64)`` and
``selection="smallest"``: the neurons of a large alpha, refitted at a smaller one, the fewest within
one standard error of the best score over the inner folds. "lost" is what they lose to CV, in
standard errors over the held-out rows.
"""

import common as C  # first: sets the number of threads

# isort: split
import argparse
import math
import statistics
import warnings

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

RELAX = (1, 1 / 4, 1 / 16, 1 / 64)


def perceptron(task):
    if task == "classification":
        return MLPClassifier(random_state=0)
    return TransformedTargetRegressor(MLPRegressor(random_state=0), transformer=StandardScaler())


def cross_validated(task, **settings):
    from sklearn_convexnn import ConvexReLUClassifierCV, ConvexReLURegressorCV

    CV = ConvexReLUClassifierCV if task == "classification" else ConvexReLURegressorCV
    return CV(random_state=0, **settings)


def losses(model, X, y, task):
    """Of every row: an error, or the square of what is left of the target."""
    difference = model.predict(X) != y if task == "classification" else model.predict(X) - y
    return np.square(np.asarray(difference, dtype=float))


def run_fold(train, test, task):
    """Score, neurons and losses of every model; CPU seconds of the relaxed one."""
    from sklearn_convexnn.inspection import prune

    models = {
        "mlp": perceptron(task).fit(*train),
        "cv": cross_validated(task).fit(*train),
    }
    models["pruned"] = prune(models["cv"], *train, tolerance=0.01)
    small = cross_validated(task, relax=RELAX, selection="smallest")
    models["small"], seconds = C.cpu_time(lambda: small.fit(*train))
    found = {
        name: (model.score(*test), getattr(model, "n_neurons_", 100), losses(model, *test, task))
        for name, model in models.items()
    }
    return found, seconds


def run_set(name, X, y, task, n_folds):
    splitter = StratifiedKFold if task == "classification" else KFold
    folds, seconds = [], []
    for k, (train, test) in enumerate(splitter(5, shuffle=True, random_state=0).split(X, y)):
        if k >= n_folds:
            break
        scaler = StandardScaler().fit(X[train])
        parts = [(scaler.transform(X[part]), y[part]) for part in (train, test)]
        found, cpu = run_fold(*parts, task)
        folds.append(found)
        seconds.append(cpu)
    row = {"set": name, "seconds": statistics.fmean(seconds)}
    for model in folds[0]:
        row[model] = statistics.fmean(fold[model][0] for fold in folds)
        row[f"{model} neurons"] = statistics.fmean(fold[model][1] for fold in folds)
    lost = np.concatenate([fold["small"][2] - fold["cv"][2] for fold in folds])
    error = lost.std() / math.sqrt(len(lost))
    row["lost"] = lost.mean() / error if error > 0 else 0.0
    return row


COLUMNS = [
    ("set", "set"),
    ("mlp", "MLP, 100 units", ".3f"),
    ("cv", "CV", ".3f"),
    ("cv neurons", "neurons", ".1f"),
    ("pruned", "pruned", ".3f"),
    ("pruned neurons", "neurons", ".1f"),
    ("small", "relaxed", ".3f"),
    ("small neurons", "neurons", ".1f"),
    ("lost", "lost, standard errors", ".1f"),
    ("seconds", "CPU s", ".1f"),
]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", metavar="FOLDER", help="folder of .npz sets")
    parser.add_argument("--sets", help="comma-separated names (default: all)")
    parser.add_argument("--folds", type=int, default=5, help="run only the first FOLDS of 5 folds")
    args = parser.parse_args()
    C.print_header("Small networks")
    C.warm_up()
    rows = []
    for name, X, y, task in C.load_sets(args.data, args.sets.split(",") if args.sets else None):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows.append(run_set(name, X, y, task, args.folds))
        print(f"done: {name}", flush=True)
    print("\n" + C.markdown_table(rows, COLUMNS) + "\n")
    for model in ("cv", "pruned", "small"):
        sizes = [max(row[f"{model} neurons"], 1.0) for row in rows]
        print(f"neurons, {model}: geometric mean {statistics.geometric_mean(sizes):.1f}")


if __name__ == "__main__":
    main()
