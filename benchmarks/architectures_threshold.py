"""Threshold networks beside straight-through training, boosted stumps and RVSCGD.

    python benchmarks/architectures_threshold.py                    # sets of scikit-learn
    python benchmarks/architectures_threshold.py --data FOLDER --sets airfoil,autompg
    python benchmarks/architectures_threshold.py --teacher          # one filter, planted teacher
    python benchmarks/architectures_threshold.py --axis             # 100 000 rows, 20 features

Scores (accuracy or R2) on held-out rows, means over folds, of

``halfspaces``, ``axis``
    ``ConvexThresholdRegressor`` and ``-Classifier`` with defaults (``alpha="auto"``), and with
    ``directions="axis"``.
``ste``
    100 hidden thresholds trained through the clipped identity (Adam, batches of 64, 150 epochs),
    the learning rate chosen among four on a fifth of the training rows.
``stumps``
    Gradient boosting of trees of depth one, their number chosen the same way.
``relu``
    ``ConvexReLURegressor`` and ``-Classifier`` with defaults.

With ``--teacher`` the model of RVSCGD (Dinh & Xin 2019, arXiv:1901.09731): y = sum_k v_k 1[x_k^T w
> 0] for Gaussian patches x_k and one sparse w.  RVSCGD with the best penalty of a grid and the best
of three starts, by its loss, beside column generation over the patches.
"""

import common as C  # first: sets the number of threads

# isort: split
import argparse
import math
import time
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
from sklearn.preprocessing import StandardScaler

RATES, EPOCHS, UNITS = (1e-3, 3e-3, 1e-2, 3e-2), 150, 100
STUMPS = (100, 300, 1000)
MODELS = ("halfspaces", "axis", "ste", "stumps", "relu")


# ------------------------------------------------------------------------ straight-through training


class StraightThrough:
    """Forward 1[h > 0], backward the identity where |h| < 1."""

    def __init__(self, task, rate, seed=0):
        self.task, self.rate, self.seed = task, rate, seed

    def fit(self, X, y):
        rng = np.random.default_rng(self.seed)
        A = np.column_stack([X, np.ones(len(X))])
        classifies = self.task == "classification"
        Y = (y[:, None] == np.unique(y)).astype(float) if classifies else y[:, None]
        p, k = A.shape[1], Y.shape[1]
        W = rng.standard_normal((p, UNITS)) / np.sqrt(p)
        V = rng.standard_normal((UNITS, k)) / np.sqrt(UNITS)
        b = Y.mean(axis=0) if not classifies else np.zeros(k)
        parts = [W, V, b]
        first = [np.zeros_like(part) for part in parts]
        second = [np.zeros_like(part) for part in parts]
        t = 0
        for _ in range(EPOCHS):
            order = rng.permutation(len(A))
            for start in range(0, len(A), 64):
                rows = order[start : start + 64]
                H = A[rows] @ W
                B = (H > 0).astype(float)
                E = B @ V + b
                if classifies:
                    E = np.exp(E - E.max(axis=1, keepdims=True))
                    E /= E.sum(axis=1, keepdims=True)
                E = (E - Y[rows]) / len(rows)
                through = (E @ V.T) * (np.abs(H) < 1)
                gradients = [A[rows].T @ through + 1e-4 * W, B.T @ E + 1e-4 * V, E.sum(axis=0)]
                t += 1
                for part, g, m, s in zip(parts, gradients, first, second, strict=True):
                    m += 0.1 * (g - m)
                    s += 0.001 * (g * g - s)
                    part -= self.rate * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8)
        self.W, self.V, self.b, self.classes = W, V, b, np.unique(y)
        return self

    def score(self, X, y):
        Z = (np.column_stack([X, np.ones(len(X))]) @ self.W > 0) @ self.V + self.b
        if self.task == "classification":
            return float(np.mean(self.classes[Z.argmax(axis=1)] == y))
        return float(1 - np.mean((Z[:, 0] - y) ** 2) / np.var(y))


def chosen(candidates, X, y, task):
    """The candidate with the best score on a fifth of the rows, fitted to all of them."""
    stratify = y if task == "classification" else None
    parts = train_test_split(X, y, test_size=0.2, random_state=0, stratify=stratify)
    fit_X, test_X, fit_y, test_y = parts
    scores = [make().fit(fit_X, fit_y).score(test_X, test_y) for make in candidates]
    return candidates[int(np.argmax(scores))]().fit(X, y)


def models(task):
    from sklearn_convexnn import (
        ConvexReLUClassifier,
        ConvexReLURegressor,
        ConvexThresholdClassifier,
        ConvexThresholdRegressor,
    )

    classifies = task == "classification"
    Convex = ConvexThresholdClassifier if classifies else ConvexThresholdRegressor
    ReLU = ConvexReLUClassifier if classifies else ConvexReLURegressor
    Boosting = GradientBoostingClassifier if classifies else GradientBoostingRegressor
    stumps = [lambda n=n: Boosting(max_depth=1, n_estimators=n, random_state=0) for n in STUMPS]
    rates = [lambda rate=rate: StraightThrough(task, rate) for rate in RATES]
    return {
        "halfspaces": lambda X, y: Convex(random_state=0).fit(X, y),
        "axis": lambda X, y: Convex(directions="axis", random_state=0).fit(X, y),
        "ste": lambda X, y: chosen(rates, X, y, task),
        "stumps": lambda X, y: chosen(stumps, X, y, task),
        "relu": lambda X, y: ReLU(random_state=0).fit(X, y),
    }


def run_set(name, X, y, task, args):
    if len(y) > args.rows:
        keep = np.random.default_rng(0).permutation(len(y))[: args.rows]
        X, y = X[keep], y[keep]
    splitter = StratifiedKFold if task == "classification" else KFold
    found = {model: [] for model in MODELS}
    fitted = {}
    for train, test in splitter(args.folds, shuffle=True, random_state=0).split(X, y):
        scaler = StandardScaler().fit(X[train])
        A, B = scaler.transform(X[train]), scaler.transform(X[test])
        centre, size = (y[train].mean(), y[train].std()) if task == "regression" else (0, 1)
        y_train, y_test = (y[train] - centre) / size, (y[test] - centre) / size
        if task == "classification":
            y_train, y_test = y[train], y[test]
        for model, fit in models(task).items():
            start = time.process_time()
            fitted[model] = fit(A, y_train)
            found[model].append((fitted[model].score(B, y_test), time.process_time() - start))
    row = {"set": f"{name} ({len(y)} x {X.shape[1]})"}
    for model, values in found.items():
        scores, seconds = np.array(values).T
        row[model], row[f"{model}_s"] = float(scores.mean()), float(seconds.mean())
    one = fitted["halfspaces"]
    row["neurons"] = one.n_neurons_
    row["gap"] = f"{one.dual_gap_:.2f} {one.certificate_}, {one.proven_gap_:.2f} proven"
    return row


def tables(args):
    rows = []
    names = args.sets.split(",") if args.sets else None
    for name, X, y, task in C.load_sets(args.data, names):
        rows.append(run_set(name, X, y, task, args))
        print(rows[-1], flush=True)
    columns = [("set", "set")]
    for model in MODELS:
        columns += [(model, model, ".3f"), (f"{model}_s", "s", ".1f")]
    columns += [("neurons", "half-spaces"), ("gap", "gap of them")]
    print()
    print(C.markdown_table(rows, columns))
    for rival in ("ste", "stumps", "axis", "relu"):
        above = sum(row["halfspaces"] > row[rival] for row in rows)
        print(f"half-spaces above {rival} on {above} of {len(rows)}")
    above = sum(row["axis"] > row["stumps"] for row in rows)
    print(f"axis above stumps on {above} of {len(rows)}")


# ------------------------------------------------------------------------------ a planted teacher


def teacher(n, patches, p, nonzeros, noise, seed):
    rng = np.random.default_rng(seed)
    w = np.zeros(p)
    w[rng.permutation(p)[:nonzeros]] = rng.standard_normal(nonzeros)
    w /= np.linalg.norm(w)
    v = rng.standard_normal(patches)
    Z = rng.standard_normal((n, patches, p))
    return Z, (Z @ w > 0) @ v + noise * rng.standard_normal(n), w


def rvscgd(Z, y, penalty, seed, splitting=0.3, rate=0.05, steps=1500):
    """Coarse gradients in w, relaxed to a soft-thresholded copy u; projected to the sphere."""
    rng = np.random.default_rng(seed)
    n, patches, p = Z.shape
    w = rng.standard_normal(p)
    w /= np.linalg.norm(w)
    v = 0.1 * rng.standard_normal(patches)
    for _ in range(steps):
        u = np.sign(w) * np.maximum(np.abs(w) - penalty / splitting, 0)
        on = Z @ w > 0
        error = on @ v - y
        slope = np.einsum("i,ik,ikp->p", error, on * v, Z) / n
        v = v - rate * on.T @ error / n
        w = w - rate * (slope + splitting * (w - u))
        w /= np.linalg.norm(w)
    # The weights that the support of u leaves.
    on = (Z @ u > 0).astype(float)
    v = np.linalg.lstsq(on, y, rcond=None)[0]
    return u / max(np.linalg.norm(u), 1e-12), 0.5 * float(np.mean((on @ v - y) ** 2))


def column_generation(Z, y, seed, rounds=8, share=0.02):
    """Filters whose patterns of all patches are priced with one residual for each position."""
    from sklearn_convexnn.core.problem.network import Network
    from sklearn_convexnn.core.threshold.half_spaces import HalfSpaceSearch

    n, patches, p = Z.shape
    A = np.column_stack([Z.reshape(-1, p), np.zeros(n * patches)])
    search = HalfSpaceSearch(A, np.random.default_rng(seed))
    U, residual = np.zeros((0, p + 1)), y - y.mean()
    for _ in range(rounds):
        R = np.zeros((n, patches, patches))
        R[:, np.arange(patches), np.arange(patches)] = (residual - residual.mean())[:, None] / n
        network = Network(U, np.zeros((len(U), patches)), np.zeros(patches))
        found = search(None, R.reshape(-1, patches), network, effort=0)
        U = np.concatenate([U, found.directions[:1]])
        on = np.concatenate([Z @ u[:p] > 0 for u in U], axis=1).astype(float)
        centred = on - on.mean(axis=0)
        weights = _group_lasso(centred, y - y.mean(), patches, share)
        residual = y - y.mean() - centred @ weights
    sizes = np.linalg.norm(weights.reshape(-1, patches), axis=1)
    u = U[int(np.argmax(sizes)), :p]
    on = np.column_stack([Z @ u > 0, np.ones(n)]).astype(float)
    v = np.linalg.lstsq(on, y, rcond=None)[0]
    return u / np.linalg.norm(u), 0.5 * float(np.mean((on @ v - y) ** 2))


def _group_lasso(F, y, size, share, steps=1500):
    gram, cross = F.T @ F / len(y), F.T @ y / len(y)
    groups = np.linalg.norm(cross.reshape(-1, size), axis=1)
    alpha, step, c = share * groups.max(), 1 / np.linalg.norm(gram, 2), np.zeros(len(cross))
    for _ in range(steps):
        c = c - step * (gram @ c - cross)
        blocks = c.reshape(-1, size)
        lengths = np.linalg.norm(blocks, axis=1, keepdims=True)
        c = (blocks * np.maximum(0, 1 - step * alpha / np.maximum(lengths, 1e-30))).ravel()
    return c


def angle(u, w):
    """In degrees, whichever way ``u`` points: a half-space and its complement are one column."""
    return math.degrees(math.acos(min(1.0, abs(float(u @ w)))))


def teachers():
    rows = []
    for n, noise in ((400, 0.0), (1000, 0.1)):
        for seed in range(3):
            Z, y, w = teacher(n, 6, 20, 4, noise, seed)
            start = time.process_time()
            grid = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2)
            tried = [rvscgd(Z, y, penalty, s) for penalty in grid for s in range(3)]
            u, loss = min(tried, key=lambda one: one[1])
            middle = time.process_time()
            own, own_loss = column_generation(Z, y, seed)
            end = time.process_time()
            rows.append(
                {
                    "sample": f"n={n}, noise {noise}, seed {seed}",
                    "rv_angle": angle(u, w),
                    "rv_loss": loss,
                    "rv_s": middle - start,
                    "nonzeros": int(np.sum(u != 0)),
                    "angle": angle(own, w),
                    "loss": own_loss,
                    "s": end - middle,
                }
            )
    columns = [
        ("sample", "sample"),
        ("rv_angle", "RVSCGD: angle", ".2f"),
        ("rv_loss", "loss", ".4f"),
        ("nonzeros", "of 4 nonzeros"),
        ("rv_s", "s (15 runs)", ".1f"),
        ("angle", "column generation: angle", ".2f"),
        ("loss", "loss", ".4f"),
        ("s", "s", ".1f"),
    ]
    print(C.markdown_table(rows, columns))


# --------------------------------------------------------------------------- additive, large data


def axis(n=100_000, d=20):
    from sklearn_convexnn import ConvexThresholdClassifier, ConvexThresholdRegressor

    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    f = np.sin(2 * X[:, 0]) + np.sign(X[:, 1]) + np.abs(X[:, 2]) + 0.5 * X[:, 3]
    y = f + 0.3 * np.floor(2 * X[:, 4]) + rng.standard_normal(n)
    rows = []
    for Model, targets in (
        (ConvexThresholdRegressor, y),
        (ConvexThresholdClassifier, y > np.median(y)),
    ):
        largest = Model("scale", directions="axis", random_state=0).fit(X, targets).alpha_max_
        for share in (0.1, 0.03, 0.01, 0.003):
            model = clone(Model(share * largest, directions="axis", gap_tol=1e-6, random_state=0))
            _, seconds = C.cpu_time(lambda model=model, t=targets: model.fit(X, t))
            rows.append(
                {
                    "model": Model.__name__,
                    "alpha": share,
                    "seconds": seconds,
                    "gap": model.dual_gap_,
                    "steps": model.n_neurons_,
                    "rounds": model.n_iter_,
                }
            )
    columns = [
        ("model", "model"),
        ("alpha", "alpha / alpha_max"),
        ("seconds", "s", ".1f"),
        ("gap", "gap (exact)", ".1e"),
        ("steps", "steps"),
        ("rounds", "rounds"),
    ]
    print(C.markdown_table(rows, columns))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder with NAME.npz: X, y, task")
    parser.add_argument("--sets", help="names, separated by commas")
    parser.add_argument("--rows", type=int, default=1500, help="of a set, at most")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--teacher", action="store_true")
    parser.add_argument("--axis", action="store_true")
    args = parser.parse_args()
    C.print_header("Threshold networks")
    C.warm_up()
    warnings.simplefilter("ignore")
    if args.teacher:
        teachers()
    elif args.axis:
        axis()
    else:
        tables(args)


if __name__ == "__main__":
    main()
