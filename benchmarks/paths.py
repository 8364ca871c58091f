"""Regularisation paths and cross-validation: time, workers and memory.

    python benchmarks/paths.py                          # sets bundled with scikit-learn
    python benchmarks/paths.py --data FOLDER --sets airfoil,sonar
    python benchmarks/paths.py --jobs 2 --memory

For every set, on standardised rows: CPU seconds of a path of 20 alphas down to 1e-3 alpha_max,
relative to single fits from the constant network at the smallest alpha (medians of ``--repeats``),
and how far the objectives of the path are from those of such fits at three alphas. ``--jobs``
compares the wall-clock time of a cross-validated fit with one and with several workers;
``--memory`` prints the peak memory of one on 50 000 rows of 30 features, in a process of its own.
"""

import common as C  # first: sets the number of threads

# isort: split
import argparse
import math
import statistics
import subprocess
import sys
import time

import numpy as np
from sklearn.preprocessing import StandardScaler

CHECKED = (9, 14, 19)  # indices of the alphas at which single fits are compared


def classes_of(task):
    import sklearn_convexnn as package

    if task == "classification":
        return package.ConvexReLUClassifier, package.ConvexReLUClassifierCV, "log_loss"
    return package.ConvexReLURegressor, package.ConvexReLURegressorCV, "squared_error"


def run_path(name, X, y, task, repeats):
    from sklearn_convexnn import convexnn_path

    X = StandardScaler().fit_transform(X)
    Single, _, loss = classes_of(task)
    path, seconds = C.cpu_time(lambda: convexnn_path(X, y, loss=loss, random_state=0), repeats)
    excess = []
    for k in CHECKED:
        cold, cold_seconds = C.cpu_time(
            lambda k=k: Single(alpha=path.alphas[k], random_state=0).fit(X, y), repeats
        )
        excess.append(path.objectives[k] / cold.objective_ - 1)
    return {
        "set": name,
        "path": seconds,
        "cold": cold_seconds,
        "ratio": seconds / cold_seconds,
        "excess": " ".join(f"{value:+.3f}" for value in excess),
        "neurons": int(path.n_neurons[-1]),
        "cold_neurons": cold.n_neurons_,
    }


def run_jobs(name, X, y, task, jobs, repeats):
    X = StandardScaler().fit_transform(X)
    _, CV, _ = classes_of(task)
    walls = {}
    for n_jobs in (1, jobs):
        few = slice(None, None, max(1, len(X) // 200))
        CV(n_jobs=n_jobs, alphas=2, random_state=0).fit(X[few], y[few])  # start the workers
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            CV(n_jobs=n_jobs, random_state=0).fit(X, y)
            times.append(time.perf_counter() - start)
        walls[n_jobs] = statistics.median(times)
    return {"set": name, "one": walls[1], "many": walls[jobs], "speed-up": walls[1] / walls[jobs]}


def measure_memory(n=50_000, d=30):
    """Peak resident memory of a cross-validated fit, less that before it."""
    import psutil

    from sklearn_convexnn import ConvexReLURegressorCV

    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    y = np.maximum(X @ rng.standard_normal((d, 10)), 0).sum(axis=1) + rng.standard_normal(n)
    before = psutil.Process().memory_info().rss
    start = time.perf_counter()
    model = ConvexReLURegressorCV(random_state=0).fit(X, y)
    seconds = time.perf_counter() - start
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        f"n={n}, d={d}: peak {peak / 2**20:.0f} MB, {(peak - before) / 2**20:.0f} MB of it from "
        f"the fit; {seconds:.0f} s, {len(model.alphas_)} alphas, {model.n_neurons_} neurons"
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", metavar="FOLDER", help="folder of .npz sets")
    parser.add_argument("--sets", help="comma-separated names (default: all)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--jobs", type=int, help="compare one worker with so many, instead")
    parser.add_argument("--memory", action="store_true", help="measure memory, instead")
    parser.add_argument("--memory-now", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_now:
        measure_memory()
        return
    C.print_header("Regularisation paths")
    if args.memory:
        subprocess.run([sys.executable, __file__, "--memory-now"], check=True)
        return
    C.warm_up()
    rows, names = [], args.sets.split(",") if args.sets else None
    for name, X, y, task in C.load_sets(args.data, names):
        if args.jobs:
            rows.append(run_jobs(name, X, y, task, args.jobs, args.repeats))
        else:
            rows.append(run_path(name, X, y, task, args.repeats))
        print(f"done: {rows[-1]}", flush=True)
    if args.jobs:
        columns = [
            ("set", "set"),
            ("one", "1 worker, s", ".2f"),
            ("many", f"{args.jobs}, s", ".2f"),
        ]
        key = "speed-up"
        columns.append((key, key, ".2f"))
    else:
        key = "ratio"
        columns = [
            ("set", "set"),
            ("path", "path, CPU s", ".2f"),
            ("cold", "single fit, CPU s", ".2f"),
            (key, key, ".2f"),
            ("excess", "objective above single fits", ""),
            ("neurons", "neurons"),
            ("cold_neurons", "single"),
        ]
    print("\n" + C.markdown_table(rows, columns))
    mean = math.exp(statistics.fmean(math.log(row[key]) for row in rows))
    print(f"\n{key}: geometric mean {mean:.2f}")


if __name__ == "__main__":
    main()
