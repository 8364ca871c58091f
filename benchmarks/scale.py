"""Very many rows: time, passes and memory against n, threads, rows on disk, and other estimators.

    python benchmarks/scale.py                                  # all of it, to 1e6 rows: an hour
    python benchmarks/scale.py --what rows --sizes 100000       # default fits, a minute
    python benchmarks/scale.py --what gap --repeats 5           # to a duality gap at 1e5 x 30 rows
    python benchmarks/scale.py --what peers --sizes 100000 1000000
    python benchmarks/scale.py --what seeds --json new.json [--compare old.json]  # five seeds
    python benchmarks/scale.py --dask 10000000                  # rows on two local workers
    python benchmarks/scale.py --dask 0                         # what a pass costs beside its work
    python benchmarks/scale.py --disk 2 --curve memory.csv      # a file of 2 GB, memory over time
    python benchmarks/scale.py --disk 2 --alpha auto            # the same with a path of alphas

Every point is a fit in a fresh process at a given alpha (of ``--what peers`` the default, "scale",
or the other's own), which reports its seconds, how often it read the features of all rows, and its
peak of anonymous memory less what it held before the fit: rows in a mapped file are not among it.
Data: Gaussian rows, ten-neuron ReLU teacher plus 10 % noise; of the log-loss the sign, without
noise of its own.  Times of threads mean something on idle cores only.
"""

import common as C  # first: sets the number of threads

# isort: split
import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
from growth import resident_mb, teacher

N_TEST = 20_000
BLOCK_ROWS = 250_000
# What "scale" was at 1e5 rows, and that of n rows from it.
ALPHA, GAP_ALPHA = 1.75e-4, 2.7e-3
PEERS = ("this", "MLPRegressor", "SGD on Nystroem", "HistGradientBoosting", "LightGBM")


def anonymous_mb():
    """Memory that is not that of a file, where the system tells, else all of it."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1]) * 1024 / 1e6
    return resident_mb()


class Peak(threading.Thread):
    """The most anonymous memory within a ``with``, looked at fifty times a second."""

    def __enter__(self):
        self.first = self.most = anonymous_mb()
        self.curve, self.begin = [(0.0, 0.0)], time.perf_counter()
        self.ended = threading.Event()
        self.start()
        return self

    def run(self):
        while not self.ended.wait(0.02):
            now = anonymous_mb()
            self.most = max(self.most, now)
            self.curve.append((time.perf_counter() - self.begin, now - self.first))

    def __exit__(self, *error):
        self.ended.set()
        self.join()

    @property
    def extra(self):
        return self.most - self.first


def count_passes(n):
    """A list that grows with every pass over the features of ``n`` rows."""
    from sklearn_convexnn.core.problem.engines.in_memory import NumpyEngine

    passes, map_reduce = [], NumpyEngine.map_reduce

    def counted(self, kernel, *small, dtype=None, **settings):
        if dtype is not None and self.n_rows == n:
            passes.append(kernel.__name__)
        return map_reduce(self, kernel, *small, dtype=dtype, **settings)

    NumpyEngine.map_reduce = counted
    return passes


def estimator(point):
    from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor

    name, seed = point["peer"], point["seed"]
    if name == "this":
        Estimator = ConvexReLUClassifier if point["task"] == "log-loss" else ConvexReLURegressor
        return Estimator(random_state=seed, **point["parameters"])
    if name == "MLPRegressor":
        from sklearn.neural_network import MLPRegressor

        return MLPRegressor(early_stopping=True, random_state=seed)
    if name == "SGD on Nystroem":
        from sklearn.kernel_approximation import Nystroem
        from sklearn.linear_model import SGDRegressor
        from sklearn.pipeline import make_pipeline

        return make_pipeline(Nystroem(n_components=300, random_state=seed), SGDRegressor())
    if name == "HistGradientBoosting":
        from sklearn.ensemble import HistGradientBoostingRegressor

        return HistGradientBoostingRegressor(random_state=seed)
    from lightgbm import LGBMRegressor

    return LGBMRegressor(random_state=seed, n_jobs=1, verbose=-1)


def measure(point):
    """Run in the fresh process: one fit, printed as JSON."""
    n, d, seed = point["n"], point["d"], point["seed"]
    X, y = teacher(n + N_TEST, d, seed)
    if point["task"] == "log-loss":
        y = (y > 0).astype(int)
    X_test, y_test, y = X[n:].copy(), y[n:], y[:n].copy()
    with tempfile.TemporaryDirectory() as folder:
        if point["on disk"]:
            np.save(f"{folder}/X.npy", X[:n])
            X = np.load(f"{folder}/X.npy", mmap_mode="r")
        else:
            X = X[:n]
        passes, model = count_passes(n), estimator(point)
        wall, cpu = time.perf_counter(), time.process_time()
        with Peak() as peak, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, y)
        result = {
            "cpu": time.process_time() - cpu,
            "wall": time.perf_counter() - wall,
            "passes": len(passes) or None,
            "extra_mb": peak.extra,
            "score": float(model.score(X_test, y_test)),
        }
        for name in ("objective_", "n_neurons_", "dual_gap_", "status_"):
            result[name.rstrip("_")] = getattr(model, name, None)
    print(json.dumps(result))


# ------------------------------------------------------------------------- files, local workers


def write_rows(path, n, d, seed=0):
    """A file of rows, written in parts, and its targets."""
    X = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, d))
    y = np.empty(n)
    for start in range(0, n, BLOCK_ROWS):
        part = X[start : start + BLOCK_ROWS]
        part[:], y[start : start + BLOCK_ROWS] = teacher_block(seed, start, len(part), d)
    X.flush()
    return y


def teacher_block(seed, start, n, d):
    """Some of the rows of one teacher, float32, and targets of variance about one."""
    rng = np.random.default_rng(seed)
    U, c = rng.standard_normal((d, 10)) / np.sqrt(d), rng.standard_normal(10)
    rng = np.random.default_rng((seed, 1 + start))
    X = rng.standard_normal((n, d)).astype(np.float32)
    z = np.maximum(X @ U, 0) @ c
    return X, z / (0.6 * np.linalg.norm(c)) + 0.1 * rng.standard_normal(n)


def disk(gigabytes, alpha, curve):
    """A fit on a file, with the curve of memory that is not the file's."""
    from sklearn_convexnn import ConvexReLURegressor

    n, d = int(gigabytes * 1e9 / 200), 50
    with tempfile.TemporaryDirectory() as folder:
        y = write_rows(f"{folder}/X.npy", n, d)
        X = np.load(f"{folder}/X.npy", mmap_mode="r")
        alpha = ALPHA * (1e5 / n) ** 0.5 if alpha is None else alpha
        model = ConvexReLURegressor(alpha, random_state=0)
        wall, cpu = time.perf_counter(), time.process_time()
        with Peak() as peak:
            model.fit(X, y)
        print(
            f"{n} x {d} rows in a file of {X.nbytes / 1e9:.1f} GB, {alpha=}: "
            f"{time.process_time() - cpu:.1f} CPU s, {time.perf_counter() - wall:.1f} s, "
            f"{model.n_neurons_} neurons, {peak.extra:.0f} MB beyond what was held before "
            f"(one number for every row has {len(y) * 8 / 1e6:.0f} MB)"
        )
    if curve:
        np.savetxt(curve, peak.curve, delimiter=",", header="seconds,MB", comments="", fmt="%.2f")


def local_workers(n, n_workers, d=50):
    """Rows that two processes of this machine make and keep; the driver is this one."""
    import dask.array as da
    from dask import delayed
    from distributed import Client, LocalCluster

    from sklearn_convexnn import ConvexReLURegressor
    from sklearn_convexnn.core.problem.engines import dask_cluster

    settings = {"n_workers": n_workers, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**settings) as cluster, Client(cluster):
        blocks = [
            delayed(_block_with_target)(start, min(BLOCK_ROWS, n - start), d)
            for start in range(0, n, BLOCK_ROWS)
        ]
        sizes = [min(BLOCK_ROWS, n - start) for start in range(0, n, BLOCK_ROWS)]
        Z = da.concatenate(
            [
                da.from_delayed(block, (size, d + 1), np.float32)
                for block, size in zip(blocks, sizes, strict=True)
            ]
        )
        calls, keep = [], dask_cluster.Cluster.keep

        def counted(self, function, columns, *small):
            settings = small[-1] if small and isinstance(small[-1], dict) else {}
            calls.append(settings.get("dtype") is not None)
            return keep(self, function, columns, *small)

        dask_cluster.Cluster.keep = counted
        model = ConvexReLURegressor(ALPHA * (1e5 / n) ** 0.5, random_state=0, verbose=1)
        client = cluster.get_client()
        wall, cpu = time.perf_counter(), time.process_time()
        with Peak() as peak:
            model.fit(Z[:, :d], Z[:, d])
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        theirs = client.run(time.process_time).values()
        print(
            f"{n} x {d} rows on {n_workers} workers: {wall:.1f} s, driver {cpu:.1f} CPU s and "
            f"{peak.extra:.0f} MB, workers {' and '.join(f'{one:.0f}' for one in theirs)} CPU s "
            "since they began, "
            f"{len(calls)} calls of all workers, {sum(calls)} of them passes over the features of "
            f"all rows or those of a part, {model.n_neurons_} neurons, objective "
            f"{model.objective_:.6f}",
            flush=True,
        )
        X_test, y_test = teacher_block(0, n + 1, N_TEST, d)
        print(f"R2 of {N_TEST} other rows: {model.score(X_test, y_test):.4f}")
        print(f"a pass without work (median, least): {_pass_without_work(client)} ms")


def _block_with_target(start, n, d):
    X, y = teacher_block(0, start, n, d)
    return np.column_stack([X, y.astype(np.float32)])


def overhead(n_workers):
    """What a pass costs beside its work, and what Dask takes for a task that does nothing."""
    from distributed import Client, LocalCluster

    settings = {"n_workers": n_workers, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**settings) as cluster, Client(cluster) as client:
        print(f"{n_workers} local workers, ms (median, least)")
        for _ in range(3):
            kinds = ("a pass without work", _pass_without_work), ("no task", _no_task)
            print("; ".join(f"{name} {kind(client)}" for name, kind in kinds), flush=True)


def _pass_without_work(client):
    """Rows so few that only calls take time."""
    from sklearn_convexnn.core.problem.engines.dask_cluster import Cluster
    from sklearn_convexnn.core.problem.engines.shares import DistributedEngine, Held, Share
    from sklearn_convexnn.core.problem.losses import get_loss
    from sklearn_convexnn.core.problem.neurons import ReLU
    from sklearn_convexnn.core.problem.rows import Rows

    place, rng = Cluster(client, sorted(client.nthreads())), np.random.default_rng(0)
    X, Y, w = rng.standard_normal((8, 50)), rng.standard_normal((8, 1)), np.full(8, 1 / 16)
    futures = [client.scatter(Share(Held(X), Y, w, w), workers=[a]) for a in place.addresses]
    engine = DistributedEngine.of(place, futures, 50, 1, np.float64)
    rows = Rows(engine, ReLU(), get_loss("squared_error", 1), intercept=True)
    U, C = rng.standard_normal((40, 51)), rng.standard_normal((40, 1))
    return _timed(lambda: rows.loss_and_gradients(U, C, np.zeros(1)))


def _no_task(client):
    """As many tasks as workers, and their results."""
    addresses = sorted(client.nthreads())

    def call():
        settings = {"allow_other_workers": True, "pure": False}
        client.gather([client.submit(bool, workers=[one], **settings) for one in addresses])

    return _timed(call)


def _timed(call, repeats=50):
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return f"{1e3 * statistics.median(seconds):.1f}, {1e3 * min(seconds):.1f}"


def points(args):
    """What is to be measured, as dictionaries."""

    def point(n, d, task="regression", on_disk=False, peer="this", **parameters):
        return {
            "n": n,
            "d": d,
            "task": task,
            "on disk": on_disk,
            "peer": peer,
            "parameters": parameters,
        }

    def alpha(n):
        return ALPHA * (1e5 / n) ** 0.5

    if "rows" in args.what:
        for n in args.sizes:
            yield point(n, 50, alpha=alpha(n))
            yield point(n, 50, on_disk=True, alpha=alpha(n))
        yield point(100_000, 50, task="log-loss", alpha=7.4e-5)
    if "gap" in args.what:
        yield point(100_000, 30, alpha=GAP_ALPHA, gap_tol=1e-3)
    if "threads" in args.what:
        for n_jobs in args.threads:
            yield point(max(args.sizes), 50, alpha=alpha(max(args.sizes)), n_jobs=n_jobs)
    if "seeds" in args.what:
        for n, d in ((100_000, 50), (300_000, 30), (1_000_000, 50)):
            for seed in range(5):
                yield point(n, d, alpha=alpha(n)) | {"seed": seed}
    if "peers" in args.what:
        for n in args.sizes:
            for peer in PEERS:
                yield point(n, 50, peer=peer, **({"alpha": "scale"} if peer == "this" else {}))


def run(point, repeats):
    """The medians over seeds of a point, or None where a peer is not installed."""
    runs = []
    for seed in [point["seed"]] if "seed" in point else range(repeats):
        command = [sys.executable, __file__, "--point", json.dumps(point | {"seed": seed})]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            if "ModuleNotFoundError" in done.stderr:
                return None
            raise RuntimeError(done.stderr)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    row = {key: value for key, value in point.items() if key != "parameters"}
    row["settings"] = ", ".join(f"{key}={value}" for key, value in point["parameters"].items())
    for key, value in runs[0].items():
        numbers = [one[key] for one in runs]
        row[key] = value if not isinstance(value, (int, float)) else statistics.median(numbers)
    return row


def _compare(rows, others):
    """Objectives and times as multiples of those of the same points of another run."""
    names = "peer", "task", "n", "d", "on disk", "settings", "seed"

    def key(row):
        return tuple(row.get(name) for name in names)

    before = {key(row): row for row in others}
    for row in rows:
        other = before.get(key(row), {})
        for name, value in (("ratio", "objective"), ("cpu_ratio", "cpu")):
            known = isinstance(row.get(value), float) and other.get(value)
            row[name] = row[value] / other[value] if known else ""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = ["rows", "gap", "threads", "peers"]
    parser.add_argument("--what", nargs="+", choices=[*kinds, "seeds"], default=kinds)
    parser.add_argument("--sizes", nargs="+", type=int, default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeats", type=int, default=1, help="seeds per point (median)")
    parser.add_argument("--json", metavar="OUT", help="also write the rows as JSON")
    parser.add_argument("--compare", metavar="JSON", help="objectives and times over those there")
    parser.add_argument("--dask", type=int, metavar="ROWS", help="only this, on workers (0: calls)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--disk", type=float, metavar="GB", help="only this, on a file")
    parser.add_argument("--alpha", choices=["auto", "scale"], help="of --disk: instead of a number")
    parser.add_argument("--curve", metavar="CSV", help="of --disk: memory over time")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point:
        measure(json.loads(args.point))
        return

    C.print_header("Very many rows")
    if args.dask is not None:
        local_workers(args.dask, args.workers) if args.dask else overhead(args.workers)
        return
    if args.disk:
        disk(args.disk, args.alpha, args.curve)
        return
    rows = []
    for point in points(args):
        row = run(point, args.repeats)
        if row is None:
            print(f"left out: {point['peer']} is not installed", flush=True)
            continue
        print(f"done: {row['peer']}, {row['n']} rows, {row['settings']}: {row['cpu']:.1f} CPU s")
        rows.append({key: "" if value is None else value for key, value in row.items()})
        sys.stdout.flush()
    if args.compare:
        _compare(rows, json.loads(Path(args.compare).read_text()))
    columns = [
        ("peer", "estimator"),
        ("task", "task"),
        ("n", "n"),
        ("d", "d"),
        ("on disk", "on disk"),
        ("settings", "settings"),
        ("cpu", "CPU s", ".1f"),
        ("wall", "wall s", ".1f"),
        ("passes", "passes over all rows"),
        ("extra_mb", "peak beyond X, MB", ".0f"),
        ("n_neurons", "neurons"),
        *([("seed", "seed"), ("objective", "objective", ".6f")] if "seeds" in args.what else []),
        *([("ratio", "objective, ratio", ".4f")] if args.compare else []),
        *([("cpu_ratio", "CPU, ratio", ".2f")] if args.compare else []),
        ("score", "test score", ".4f"),
    ]
    print("\n" + C.markdown_table(rows, columns))
    if args.json:
        with open(args.json, "w") as out:
            json.dump(rows, out, indent=1)


if __name__ == "__main__":
    main()
