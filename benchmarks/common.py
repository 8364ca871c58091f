"""Helpers shared by the benchmark scripts: threads, data, timing, tables.

Import this module before NumPy: it pins the numerical libraries to one thread, so that CPU time is
comparable between methods and between machines.
"""

import os

THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
for _name in THREAD_VARIABLES:
    os.environ[_name] = "1"

import platform  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402
from pathlib import Path  # noqa: E402

_ROOT = Path(__file__).resolve().parent.parent
if (_ROOT / "sklearn_convexnn").is_dir() and str(_ROOT) not in sys.path:
    # Benchmark the checkout this script belongs to, installed or not.
    sys.path.insert(0, str(_ROOT))

import numpy as np  # noqa: E402
from sklearn.datasets import (  # noqa: E402
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from sklearn.model_selection import train_test_split  # noqa: E402
from threadpoolctl import threadpool_info  # noqa: E402

BUILTIN_SETS = {
    "breast_cancer": (load_breast_cancer, "classification"),
    "wine": (load_wine, "classification"),
    "digits": (load_digits, "classification"),
    "iris": (load_iris, "classification"),
    "diabetes": (load_diabetes, "regression"),
}


# ----------------------------------------------------------------------------------- reporting


def print_header(title):
    """Print what was measured with: versions and threads, nothing about the machine."""
    import scipy
    import sklearn

    print(f"# {title}\n")
    print(
        f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}, "
        f"scikit-learn {sklearn.__version__}"
    )
    settings = ", ".join(f"{name}={os.environ[name]}" for name in THREAD_VARIABLES[:3])
    threads = max((pool["num_threads"] for pool in threadpool_info()), default=1)
    print(f"{settings}; {threads} thread(s) in use. Times are CPU seconds.\n", flush=True)


def markdown_table(rows, columns):
    """Format a list of dicts as a markdown table.

    ``columns`` is a list of (key, heading, format) with an optional format spec; a missing or
    ``None`` value prints as ``-``.
    """
    heads = [c[1] for c in columns]
    body = []
    for row in rows:
        cells = []
        for key, _, *spec in columns:
            value = row.get(key)
            if value is None or (isinstance(value, float) and np.isnan(value)):
                cells.append("-")
            elif spec and not isinstance(value, str):
                cells.append(format(value, spec[0]))
            else:
                cells.append(str(value))
        body.append(cells)
    widths = [max(len(r[k]) for r in [heads, *body]) for k in range(len(heads))]
    lines = ["| " + " | ".join(h.ljust(w) for h, w in zip(heads, widths, strict=True)) + " |"]
    lines.append("|" + "|".join("-" * (w + 2) for w in widths) + "|")
    lines += [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in body
    ]
    return "\n".join(lines)


# -------------------------------------------------------------------------------------- timing


def cpu_time(function, repeats=1):
    """Run ``function`` and return its last value and the median CPU time in seconds."""
    times, value = [], None
    for _ in range(repeats):
        start = time.process_time()
        value = function()
        times.append(time.process_time() - start)
    return value, statistics.median(times)


def warm_up():
    """Pay one-time costs (imports, BLAS start-up) before anything is timed."""
    from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor

    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ConvexReLURegressor(random_state=0).fit(X, X[:, 0])
        ConvexReLUClassifier(random_state=0).fit(X, X[:, 0] > 0)


# ---------------------------------------------------------------------------------------- data


def unit_columns(X):
    """Centre the columns of X and scale them to unit Euclidean norm."""
    X = X - X.mean(axis=0)
    norms = np.linalg.norm(X, axis=0)
    return X / np.where(norms > 0, norms, 1.0)


def standardised(y):
    return (y - y.mean()) / y.std()


def breast_cancer_problem():
    """Train split (455 rows) of breast_cancer, unit-norm columns, labels -1 / +1."""
    X, y = load_breast_cancer(return_X_y=True)
    X, _, y, _ = train_test_split(X, y, test_size=0.2, random_state=0, stratify=y)
    return unit_columns(X), 2.0 * y - 1.0


def diabetes_problem():
    X, y = load_diabetes(return_X_y=True)
    return unit_columns(X), standardised(y)


def teacher_problem(n=2000, d=50, neurons=10, noise=0.1, seed=0):
    """Gaussian rows, a random ReLU teacher and noise of ``noise`` times its standard deviation."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    U = rng.standard_normal((d, neurons)) / np.sqrt(d)
    c = rng.standard_normal(neurons)
    z = np.maximum(X @ U, 0.0) @ c
    y = z + noise * z.std() * rng.standard_normal(n)
    return unit_columns(X), standardised(y)


PROBLEMS = {
    "breast_cancer": breast_cancer_problem,
    "diabetes": diabetes_problem,
    "teacher": teacher_problem,
}


def load_npz(path):
    """Read one set written as .npz: X, y, task."""
    with np.load(path) as data:
        X, y = data["X"], data["y"]
        task = str(data["task"])
    return X.astype(np.float64), y, task


def load_sets(folder=None, names=None):
    """Yield (name, X, y, task) from a folder of .npz files, or the sets scikit-learn bundles."""
    if folder is None:
        available = sorted(BUILTIN_SETS)
    else:
        available = sorted(p.stem for p in Path(folder).glob("*.npz"))
    names = available if names is None else names
    unknown = [name for name in names if name not in available]
    if unknown:
        raise SystemExit(f"unknown sets {unknown}; available: {', '.join(available)}")
    for name in names:
        if folder is None:
            loader, task = BUILTIN_SETS[name]
            X, y = loader(return_X_y=True)
            yield name, X.astype(np.float64), y, task
        else:
            yield name, *load_npz(Path(folder) / f"{name}.npz")


# ----------------------------------------------------------------------------------- objective


def penalised_objective(X, y, U, c, alpha, intercept=0.0):
    """Squared-loss objective of a ReLU network from its weights.

    mean(1/2 (y - z)^2) + alpha * sum_j ||u_j|| |c_j|, with z = (X U)_+ c + intercept; U is (d, m)
    and c is (m,). Pass X with a column of ones when hidden intercepts are penalised like weights.
    """
    U = np.asarray(U, dtype=np.float64)
    c = np.asarray(c, dtype=np.float64).reshape(-1)
    z = np.maximum(X @ U, 0.0) @ c + intercept
    return 0.5 * np.mean((y - z) ** 2) + alpha * np.sum(np.linalg.norm(U, axis=0) * np.abs(c))


def estimator_weights(model, fit_intercept):
    """(U, c, intercept) of a fitted single-output estimator, U with the intercept row last."""
    U, c = (np.asarray(w, dtype=np.float64) for w in model.coefs_)
    intercept = 0.0
    if fit_intercept:
        hidden, out = model.intercepts_
        U = np.vstack([U, np.reshape(hidden, (1, -1))])
        intercept = float(np.reshape(out, -1)[0])
    return U, c.reshape(U.shape[1], -1)[:, 0], intercept
