"""How time and memory of a fit grow with the number of rows and of features.

    python benchmarks/growth.py                       # both sweeps
    python benchmarks/growth.py --vary n --max-n 30000
    python benchmarks/growth.py --vary d --repeats 3

Every point is a fit of ConvexReLURegressor with default parameters in a fresh process, which
reports its CPU seconds and its peak resident memory less what was resident before the fit. Data:
Gaussian rows, ten-neuron ReLU teacher plus 10 % noise. The last lines give the slope of log(time)
and log(memory) against log(size), fitted by least squares.
"""

import common as C  # first: sets the number of threads

# isort: split
import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np

SIZES_N = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000)
SIZES_D = (10, 20, 50, 100, 200, 300)
FIXED_D, FIXED_N = 30, 5_000


def peak_mb():
    """Peak resident memory of this process in MB (1e6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def resident_mb():
    """Resident memory now in MB where the system tells, else the peak so far."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize() / 1e6
    return peak_mb()


def teacher(n, d, seed):
    """As common.teacher_problem, in row blocks, so that making the data does not set the peak."""
    rng = np.random.default_rng(seed)
    U = rng.standard_normal((d, 10)) / np.sqrt(d)
    c = rng.standard_normal(10)
    X, z = np.empty((n, d)), np.empty(n)
    for start in range(0, n, 10_000):
        rows = slice(start, min(start + 10_000, n))
        X[rows] = rng.standard_normal((rows.stop - start, d))
        z[rows] = np.maximum(X[rows] @ U, 0.0) @ c
    y = z + 0.1 * z.std() * rng.standard_normal(n)
    return X, (y - y.mean()) / y.std()


def measure(n, d, seed, parameters):
    """Run in the fresh process: one fit, printed as JSON."""
    from sklearn_convexnn import ConvexReLURegressor

    C.warm_up()
    X, y = teacher(n, d, seed)
    model = ConvexReLURegressor(random_state=seed, **parameters)
    before = resident_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    result = {
        "cpu": cpu,
        "wall": wall,
        "extra_mb": peak_mb() - before,
        "x_mb": X.nbytes / 1e6,
        "neurons": int(model.n_neurons_),
        "iterations": int(np.max(model.n_iter_)),
        "r2": float(model.score(X[:20_000], y[:20_000])),
    }
    print(json.dumps(result))


def point(n, d, args):
    runs = []
    for seed in range(args.repeats):
        command = [sys.executable, __file__, "--point", str(n), str(d), str(seed)]
        command += ["--parameters", args.parameters]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return {"n": n, "d": d} | {key: statistics.median(r[key] for r in runs) for key in runs[0]}


def slope(rows, size, value):
    pairs = [(r[size], r[value]) for r in rows if r[value] > 0]
    if len(pairs) < 2:
        return float("nan")
    x, y = np.log(np.array(pairs, dtype=float)).T
    return float(np.polyfit(x, y, 1)[0])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vary", choices=["n", "d", "both"], default="both")
    parser.add_argument("--max-n", type=int, default=SIZES_N[-1])
    parser.add_argument("--max-d", type=int, default=SIZES_D[-1])
    parser.add_argument("--repeats", type=int, default=1, help="seeds per point (median)")
    parser.add_argument(
        "--parameters", default="{}", help="estimator parameters as JSON, e.g. '{\"alpha\": 0.01}'"
    )
    parser.add_argument("--json", metavar="OUT", help="also write the rows as JSON")
    parser.add_argument("--point", nargs=3, type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()

    parameters = json.loads(args.parameters)
    if args.point:
        measure(*args.point, parameters)
        return

    C.print_header("Growth of time and memory")
    columns = [
        ("n", "n"),
        ("d", "d"),
        ("cpu", "CPU s", ".2f"),
        ("wall", "wall s", ".2f"),
        ("extra_mb", "peak memory of the fit, MB", ".0f"),
        ("x_mb", "X, MB", ".1f"),
        ("neurons", "neurons", ".0f"),
        ("iterations", "iterations", ".0f"),
        ("r2", "train R2", ".3f"),
    ]
    sweeps = {}
    if args.vary in ("n", "both"):
        sweeps["n"] = [(n, FIXED_D) for n in SIZES_N if n <= args.max_n]
    if args.vary in ("d", "both"):
        sweeps["d"] = [(FIXED_N, d) for d in SIZES_D if d <= args.max_d]
    results = {}
    for size, points in sweeps.items():
        rows = []
        for n, d in points:
            rows.append(point(n, d, args))
            print(f"done: n = {n}, d = {d}: {rows[-1]['cpu']:.2f} CPU s", flush=True)
        results[size] = rows
        print("\n" + C.markdown_table(rows, columns))
        print(
            f"\nslope against {size}: time {slope(rows, size, 'cpu'):.2f}, "
            f"memory {slope(rows, size, 'extra_mb'):.2f}\n",
            flush=True,
        )
    if args.json:
        with open(args.json, "w") as out:
            json.dump(results, out, indent=1)


if __name__ == "__main__":
    main()
