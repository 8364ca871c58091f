"""The estimator against an over-parameterised ReLU network trained with L-BFGS.

Both minimise the same objective: mean(1/2 (y - z)^2) + alpha * sum_j ||u_j|| |c_j|. The network has
many more neurons than the solution needs (500 by default) and is trained in its weight-decay
form, (alpha / 2) (||U||^2 + ||c||^2), with SciPy's L-BFGS from several random starts; the best
start is reported, evaluated in the first form (never larger than the second).

    python benchmarks/overparameterised.py
    python benchmarks/overparameterised.py --problems teacher --neurons 200 --seeds 5
    python benchmarks/overparameterised.py --data FOLDER        # adds three real sets

``--data`` names a folder of .npz files (arrays X, y and task) with autompg, airfoil and
qsar_biodeg (labels -1 / +1 under squared loss); those run with intercepts, X and y standardised,
at the estimator's default alpha. Ratios are network / estimator: above 1 the estimator is ahead
(lower objective, fewer neurons, less time).
"""

import common as C  # first: sets the number of threads

# isort: split
import argparse
import json
import warnings
from functools import partial

import numpy as np
from scipy.optimize import minimize

DATA_SETS = ("autompg", "airfoil", "qsar_biodeg")
ALPHA = {"breast_cancer": 1e-3, "diabetes": 1e-3, "teacher": 1e-3}
NEGLIGIBLE = 1e-4  # a neuron counts when ||u|| |c| exceeds this share of the largest one


def train_network(X, y, alpha, neurons, seed, fit_intercept, max_iter):
    """L-BFGS on the weight-decay objective; X carries the column of ones if there is one."""
    n, d = X.shape
    rng = np.random.default_rng(seed)
    U = rng.standard_normal((neurons, d))
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    c = rng.choice([-1.0, 1.0], neurons)
    # Balanced start whose output has about the spread of y.
    scale = y.std() / (np.sqrt(neurons) * np.sqrt(np.mean(np.maximum(X @ U.T, 0.0) ** 2)))
    U, c = U * np.sqrt(scale), c * np.sqrt(scale)

    def split(theta):
        U = theta[: neurons * d].reshape(neurons, d)
        c = theta[neurons * d : neurons * (d + 1)]
        return U, c, theta[-1] if fit_intercept else 0.0

    def value_and_grad(theta):
        U, c, b0 = split(theta)
        H = X @ U.T
        np.maximum(H, 0.0, out=H)
        residual = (H @ c + b0 - y) / n
        value = (
            0.5 * n * (residual @ residual) + 0.5 * alpha * (theta[: neurons * (d + 1)] ** 2).sum()
        )
        grad = np.empty_like(theta)
        grad[neurons * d : neurons * (d + 1)] = H.T @ residual + alpha * c
        if fit_intercept:
            grad[-1] = residual.sum()
        active = (H > 0).astype(X.dtype)
        active *= residual[:, None]
        gradient_U = active.T @ X
        gradient_U *= c[:, None]
        gradient_U += alpha * U
        grad[: neurons * d] = gradient_U.ravel()
        return value, grad

    start = np.concatenate([U.ravel(), c, [y.mean()] if fit_intercept else []])
    result = minimize(
        value_and_grad,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": max_iter, "maxfun": 10 * max_iter, "ftol": 1e-12, "gtol": 1e-8},
    )
    U, c, b0 = split(result.x)
    return {
        "objective": C.penalised_objective(X, y, U.T, c, alpha, b0),
        "neurons": count_neurons(U.T, c),
        "iterations": int(result.nit),
    }


def count_neurons(U, c):
    strength = np.linalg.norm(U, axis=0) * np.abs(c)
    return int(np.sum(strength > NEGLIGIBLE * strength.max())) if strength.size else 0


def problems(names, folder):
    """Yield (name, X, y, alpha or None, fit_intercept)."""
    for name in names:
        if name in C.PROBLEMS:
            X, y = C.PROBLEMS[name]()
            yield name, X, y, ALPHA[name], False
        elif folder is not None:
            ((_, X, y, task),) = C.load_sets(folder, [name])
            X = (X - X.mean(axis=0)) / np.where(X.std(axis=0) > 0, X.std(axis=0), 1.0)
            y = C.standardised(y) if task == "regression" else np.where(y == y.max(), 1.0, -1.0)
            yield name, X, y, None, True


def run_estimator(X, y, alpha, fit_intercept, args):
    from sklearn_convexnn import ConvexReLURegressor

    def fit():
        model = ConvexReLURegressor(
            "scale" if alpha is None else alpha, fit_intercept=fit_intercept, random_state=0
        )
        model.set_params(tol=args.tol, gap_tol=args.gap_tol)
        if args.max_iter is not None:
            model.set_params(max_iter=args.max_iter)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return model.fit(X, y)

    model, seconds = C.cpu_time(fit, args.repeats)
    U, c, b0 = C.estimator_weights(model, fit_intercept)
    Xa = np.column_stack([X, np.ones(len(X))]) if fit_intercept else X
    return {
        "alpha": float(model.alpha_),
        "ours": C.penalised_objective(Xa, y, U, c, float(model.alpha_), b0),
        "ours_neurons": int(model.n_neurons_),
        "ours_cpu": seconds,
        "gap": None if model.dual_gap_ is None else float(model.dual_gap_),
        "certificate": model.certificate_,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", help="comma-separated names (default: all available)")
    parser.add_argument("--data", metavar="FOLDER", help="folder of .npz sets")
    parser.add_argument("--neurons", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=3, help="random starts of the network")
    parser.add_argument("--lbfgs-iter", type=int, default=2000)
    parser.add_argument("--tol", type=float, default=1e-3, help="tol of the estimator")
    parser.add_argument("--gap-tol", type=float, default=None, help="gap_tol of the estimator")
    parser.add_argument("--max-iter", type=int, default=None, help="max_iter of the estimator")
    parser.add_argument("--repeats", type=int, default=3, help="fits timed per problem")
    parser.add_argument("--alpha", type=float, help="penalty for every problem")
    parser.add_argument("--network-only", action="store_true", help="needs --alpha for data sets")
    parser.add_argument("--json", metavar="OUT", help="also write the rows as JSON")
    args = parser.parse_args()

    names = [*C.PROBLEMS, *(DATA_SETS if args.data else ())]
    if args.problems:
        names = args.problems.split(",")
    C.print_header(f"Estimator against {args.neurons} neurons trained with L-BFGS")
    if not args.network_only:
        C.warm_up()

    rows = []
    for name, X, y, alpha, fit_intercept in problems(names, args.data):
        alpha = alpha if args.alpha is None else args.alpha
        row = {"problem": name, "n": X.shape[0], "d": X.shape[1], "alpha": alpha}
        if not args.network_only:
            row |= run_estimator(X, y, alpha, fit_intercept, args)
        Xa = np.column_stack([X, np.ones(len(X))]) if fit_intercept else X
        runs = []
        for seed in range(args.seeds):
            train = partial(train_network, Xa, y, row["alpha"], args.neurons, seed, fit_intercept)
            run, seconds = C.cpu_time(partial(train, args.lbfgs_iter))
            runs.append(run | {"cpu": seconds})
        best = min(runs, key=lambda r: r["objective"])
        row |= {
            "net": best["objective"],
            "net_worst": max(r["objective"] for r in runs),
            "net_neurons": best["neurons"],
            "net_iterations": best["iterations"],
            "net_cpu": float(np.median([r["cpu"] for r in runs])),
        }
        if not args.network_only:
            row["objective_ratio"] = row["net"] / row["ours"]
            row["neuron_ratio"] = row["net_neurons"] / max(row["ours_neurons"], 1)
            row["time_ratio"] = row["net_cpu"] / row["ours_cpu"]
        rows.append(row)
        print(f"done: {name}", flush=True)

    columns = [
        ("problem", "problem"),
        ("n", "n"),
        ("d", "d"),
        ("alpha", "alpha", ".3g"),
        ("ours", "objective", ".6f"),
        ("net", "network, best", ".6f"),
        ("net_worst", "network, worst", ".6f"),
        ("objective_ratio", "ratio", ".4f"),
        ("ours_neurons", "neurons"),
        ("net_neurons", "network neurons"),
        ("neuron_ratio", "ratio", ".1f"),
        ("ours_cpu", "CPU s", ".2f"),
        ("net_cpu", "network CPU s", ".2f"),
        ("time_ratio", "ratio", ".1f"),
        ("gap", "rel. gap", ".1e"),
        ("certificate", "certificate"),
    ]
    if args.network_only:
        columns = [c for c in columns if c[0] in ("problem", "n", "d", "alpha") or "net" in c[0]]
        columns.append(("net_iterations", "iterations"))
    print("\n" + C.markdown_table(rows, columns))
    if args.json:
        with open(args.json, "w") as out:
            json.dump(rows, out, indent=1)


if __name__ == "__main__":
    main()
