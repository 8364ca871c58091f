"""What the gap of a default fit leaves to be gained: the same alpha, trained for longer.

    python benchmarks/gaps.py                                   # sets bundled with scikit-learn
    python benchmarks/gaps.py --data FOLDER --sets abalone,magic

Three quarters of the rows are fitted with default parameters, then with the alpha that was chosen
and ``tol=1e-4`` for at most 30 rounds. For both the relative gap, the number of neurons and the
score (accuracy or R2) of the other rows; the last fit's objective relative to the first.
"""

import common as C  # first: sets the number of threads

# isort: split
import argparse
import warnings

from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_convexnn

LONGER = {"tol": 1e-4, "max_iter": 30}
COLUMNS = [
    ("name", "set"),
    ("n", "rows fitted"),
    ("gap", "gap, default", ".3f"),
    ("longer_gap", "longer", ".3f"),
    ("lower", "objective lower by (%)", ".1f"),
    ("neurons", "neurons"),
    ("longer_neurons", "longer"),
    ("score", "score", ".3f"),
    ("longer_score", "longer", ".3f"),
    ("ratio", "CPU ratio", ".1f"),
]


def fitted(estimator, rows):
    """A pipeline fitted to rows ``X, y``, and its CPU time."""
    model = make_pipeline(StandardScaler(), estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the rounds are limited on purpose
        return C.cpu_time(lambda: model.fit(*rows))


def measure(name, X, y, task):
    classify = task == "classification"
    parts = train_test_split(X, y, random_state=0, stratify=y if classify else None)
    train, test = parts[::2], parts[1::2]
    kind = "ConvexReLUClassifier" if classify else "ConvexReLURegressor"
    Estimator = getattr(sklearn_convexnn, kind)
    default, _ = fitted(Estimator(random_state=0), train)
    alpha = default[-1].alpha_
    _, seconds = fitted(Estimator(alpha=alpha, random_state=0), train)
    longer, more = fitted(Estimator(alpha=alpha, random_state=0, **LONGER), train)
    return {
        "name": name,
        "n": len(train[1]),
        "gap": default[-1].dual_gap_,
        "longer_gap": longer[-1].dual_gap_,
        "lower": 100 * (1 - longer[-1].objective_ / default[-1].objective_),
        "neurons": default[-1].n_neurons_,
        "longer_neurons": longer[-1].n_neurons_,
        "score": default.score(*test),
        "longer_score": longer.score(*test),
        "ratio": more / seconds,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", metavar="FOLDER", help="folder of .npz sets")
    parser.add_argument("--sets", help="comma-separated names (default: all)")
    args = parser.parse_args()
    names = args.sets.split(",") if args.sets else None
    C.print_header("Gaps of default fits, and what training for longer gains")
    C.warm_up()
    rows = [measure(*data) for data in C.load_sets(args.data, names)]
    print(C.markdown_table(rows, COLUMNS))


if __name__ == "__main__":
    main()
