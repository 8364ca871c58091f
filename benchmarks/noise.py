"""Noisy targets and flipped labels: the default estimators beside MLPs and linear models.

    python benchmarks/noise.py
    python benchmarks/noise.py --seeds 3 --quick

Targets are ``x0 + |x1| + x2 x3 / 2`` plus normal noise, labels whether that is above 0.8, some of
them flipped.  R2 or log-loss on 3 000 other rows, means over seeds, defaults everywhere but for the
penalty of linear models, which cross-validation chooses.
"""

import common as C  # first: sets the number of threads

# isort: split
import argparse
import statistics
import time
import warnings

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

N_TEST = 3000
SIZES = [(300, 5), (300, 20), (1000, 10), (3000, 20)]
NOISES = [0.1, 0.3, 1.0, 2.0, 3.0]
FLIPS = [0.0, 0.1, 0.25]
# How much worse than the best rival a default may be.
ALLOWED = {"regression": 0.01, "classification": 0.005}


def signal(X):
    return X[:, 0] + np.abs(X[:, 1]) + X[:, 2] * X[:, 3] / 2


def draw(task, n, d, level, seed):
    """Training and test rows, of one distribution."""
    rng = np.random.default_rng([seed, n, d])
    X = rng.normal(size=(n + N_TEST, d))
    if task == "regression":
        y = signal(X) + level * rng.normal(size=len(X))
    else:
        y = ((signal(X) > 0.8) ^ (rng.random(len(X)) < level)).astype(int)
    return X[:n], y[:n], X[n:], y[n:]


def make_models(task, seed):
    import sklearn_convexnn

    if task == "regression":
        mlp = TransformedTargetRegressor(
            MLPRegressor(random_state=seed), transformer=StandardScaler()
        )
        ours = sklearn_convexnn.ConvexReLURegressor(random_state=seed)
        return {"ours": ours, "mlp": mlp, "linear": RidgeCV(np.logspace(-4, 4, 17))}
    return {
        "ours": sklearn_convexnn.ConvexReLUClassifier(random_state=seed),
        "mlp": MLPClassifier(random_state=seed),
        "linear": LogisticRegressionCV(Cs=np.logspace(-3, 3, 7), cv=3, max_iter=1000),
    }


def measure(task, n, d, level, seeds):
    """A row of the table."""
    values, seconds = {}, {}
    for seed in range(seeds):
        X, y, X_test, y_test = draw(task, n, d, level, seed)
        for name, model in make_models(task, seed).items():
            start = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(X, y)
            seconds.setdefault(name, []).append(time.process_time() - start)
            value = (
                model.score(X_test, y_test)
                if task == "regression"
                else log_loss(y_test, model.predict_proba(X_test))
            )
            values.setdefault(name, []).append(value)
    row = {name: statistics.fmean(v) for name, v in values.items()}
    if task == "regression":
        short = max(row["mlp"], row["linear"]) - row["ours"]
    else:
        short = row["ours"] - min(row["mlp"], row["linear"])
    cpu = {name: statistics.fmean(v) for name, v in seconds.items()}
    row |= {"task": task, "n": n, "d": d, "level": level, "cpu": cpu["ours"] / cpu["mlp"]}
    row["verdict"] = "worse" if short > ALLOWED[task] else "best" if short < 0 else "as good"
    return row


COLUMNS = [
    ("task", "task"),
    ("n", "n"),
    ("d", "d"),
    ("level", "noise or flips", ".2f"),
    ("ours", "ours", ".3f"),
    ("mlp", "MLP", ".3f"),
    ("linear", "linear", ".3f"),
    ("cpu", "CPU / MLP", ".2f"),
    ("verdict", "beside the best"),
]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="up to 1 000 rows")
    args = parser.parse_args()
    C.print_header("Noise: R2 and log-loss of defaults")
    C.warm_up()
    rows = []
    for n, d in SIZES:
        if args.quick and n > 1000:
            continue
        for task, levels in (("regression", NOISES), ("classification", FLIPS)):
            for level in levels:
                rows.append(measure(task, n, d, level, args.seeds))
                print(f"done: {task} {n} x {d}, {level}: {rows[-1]['verdict']}", flush=True)
    print("\n" + C.markdown_table(rows, COLUMNS) + "\n")
    verdicts = [row["verdict"] for row in rows]
    print(", ".join(f"{verdicts.count(v)} {v}" for v in ("best", "as good", "worse")))


if __name__ == "__main__":
    main()
