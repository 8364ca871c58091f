"""The estimator against pyscnn, the convex solver with sampled activation patterns.

Both minimise mean(1/2 (y - z)^2) + alpha * sum_j ||u_j|| |c_j|, without intercepts, on three
problems:

- breast_cancer: 455 training rows, 30 features, labels -1 / +1;
- diabetes: 442 rows, 10 features, standardised target;
- teacher: 2000 Gaussian rows, 50 features, ten-neuron ReLU teacher plus 10 % noise.

Columns are centred and scaled to unit norm. alpha = 1e-3 is 1.5 %, 3 % and 9 % of the value at
which the network is empty; the objective of the empty network is printed for scale.

    python benchmarks/peers.py                                  # the estimator only
    python benchmarks/peers.py --pyscnn-python scnn-venv/bin/python
    python benchmarks/peers.py --problems diabetes --seeds 2

The estimator runs once per seed; pyscnn runs its default ReLU solver (augmented Lagrangian, its own
tolerances, 250 sampled gates, that is up to 500 neurons) in a second interpreter. Objectives are
recomputed here in double precision from the final ReLU network weights of each.

pyscnn 0.0.10 wants packages that conflict with recent ones, so give it an environment of its own.
torch comes first, in a CPU build; --no-deps keeps pip from replacing it:

    python3.11 -m venv scnn-venv
    scnn-venv/bin/pip install torch==2.13.0
    scnn-venv/bin/pip install "numpy<2" scipy scikit-learn cvxpy tqdm opt_einsum typing_extensions
    scnn-venv/bin/pip install --no-deps linalg_backends==0.0.1b0 pyscnn==0.0.10
"""

import common as C  # first: sets the number of threads

# isort: split
import argparse
import json
import subprocess
import tempfile
import warnings
from functools import partial
from pathlib import Path

import numpy as np

ALPHA = 1e-3
WORKER = Path(__file__).with_name("_pyscnn_worker.py")


def run_estimator(X, y, alpha, args):
    from sklearn_convexnn import ConvexReLURegressor

    def fit(seed):
        model = ConvexReLURegressor(
            alpha, fit_intercept=False, tol=args.tol, gap_tol=args.gap_tol, random_state=seed
        )
        if args.max_iter is not None:
            model.set_params(max_iter=args.max_iter)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return model.fit(X, y)

    objectives, seconds, neurons, gaps, certificates = [], [], [], [], []
    for seed in range(args.seeds):
        model, cpu = C.cpu_time(partial(fit, seed), args.repeats)
        U, c, b0 = C.estimator_weights(model, fit_intercept=False)
        objectives.append(C.penalised_objective(X, y, U, c, alpha, b0))
        seconds.append(cpu)
        neurons.append(int(model.n_neurons_))
        gaps.append(np.nan if model.dual_gap_ is None else float(model.dual_gap_))
        certificates.append(str(model.certificate_))
    return {
        "objectives": objectives,
        "gaps": gaps,
        "best": min(objectives),
        "worst": max(objectives),
        "spread": (max(objectives) - min(objectives)) / min(objectives),
        "neurons": max(neurons),
        "cpu": float(np.median(seconds)),
        "gap": max(gaps),
        "certificate": "/".join(sorted(set(certificates))),
    }


def run_pyscnn(X, y, alpha, args):
    objectives, seconds, neurons, reported = [], [], [], []
    for seed in range(args.pyscnn_seeds):
        with tempfile.TemporaryDirectory() as folder:
            problem, result = Path(folder) / "problem.npz", Path(folder) / "result.npz"
            np.savez(
                problem,
                X=X,
                y=y,
                alpha=alpha,
                gates=args.gates,
                seed=seed,
                dtype=args.pyscnn_dtype,
            )
            subprocess.run([args.pyscnn_python, str(WORKER), str(problem), str(result)], check=True)
            with np.load(result) as r:
                objectives.append(C.penalised_objective(X, y, r["U"], r["c"], alpha))
                seconds.append(float(r["cpu"]))
                neurons.append(int(np.sum(np.linalg.norm(r["U"], axis=0) * np.abs(r["c"]) > 0)))
                reported.append(float(r["objective"]))
    return {
        "scnn_objectives": objectives,
        "scnn": min(objectives),
        "scnn_reported": min(reported),
        "scnn_neurons": max(neurons),
        "scnn_cpu": float(np.median(seconds)),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", default=",".join(C.PROBLEMS), help="comma-separated names")
    parser.add_argument("--alpha", type=float, default=ALPHA)
    parser.add_argument("--seeds", type=int, default=5, help="seeds of the estimator")
    parser.add_argument("--repeats", type=int, default=1, help="fits timed per seed")
    parser.add_argument("--tol", type=float, default=1e-4, help="tol of the estimator")
    parser.add_argument("--gap-tol", type=float, default=5e-3, help="gap_tol of the estimator")
    parser.add_argument("--max-iter", type=int, default=None, help="max_iter of the estimator")
    parser.add_argument("--pyscnn-python", metavar="PATH", help="interpreter that has pyscnn")
    parser.add_argument("--pyscnn-seeds", type=int, default=1, help="gate samples of pyscnn")
    parser.add_argument("--pyscnn-dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--gates", type=int, default=250, help="activation patterns of pyscnn")
    parser.add_argument("--pyscnn-only", action="store_true", help="leave the estimator out")
    parser.add_argument("--json", metavar="OUT", help="also write the rows as JSON")
    args = parser.parse_args()

    C.print_header("Estimator against pyscnn")
    if args.pyscnn_python is None:
        print("pyscnn skipped: give --pyscnn-python PATH to include it.\n")
    if not args.pyscnn_only:
        C.warm_up()

    rows = []
    for name in args.problems.split(","):
        X, y = C.PROBLEMS[name]()
        row = {"problem": name, "n": X.shape[0], "d": X.shape[1], "alpha": args.alpha}
        row["empty"] = 0.5 * float(np.mean(y**2))
        if not args.pyscnn_only:
            row |= run_estimator(X, y, args.alpha, args)
            pairs = zip(row["objectives"], row["gaps"], strict=True)
            print(name, "objective (rel. gap) per seed:", *(f"{f:.6f} ({g:.1e})" for f, g in pairs))
        if args.pyscnn_python is not None:
            row |= run_pyscnn(X, y, args.alpha, args)
            print(name, "pyscnn:", *(f"{v:.6f}" for v in row["scnn_objectives"]), flush=True)
            if not args.pyscnn_only:
                row["objective_ratio"] = row["scnn"] / row["worst"]
                row["time_ratio"] = row["scnn_cpu"] / row["cpu"]
        rows.append(row)

    columns = [
        ("problem", "problem"),
        ("n", "n"),
        ("d", "d"),
        ("alpha", "alpha", ".3g"),
        ("empty", "empty network", ".4f"),
        ("best", "objective, best seed", ".6f"),
        ("worst", "worst seed", ".6f"),
        ("spread", "spread", ".1e"),
        ("neurons", "neurons, max"),
        ("gap", "rel. gap, max", ".1e"),
        ("certificate", "certificate"),
        ("cpu", "CPU s", ".2f"),
        ("scnn", "pyscnn objective", ".6f"),
        ("scnn_reported", "as it reports", ".6f"),
        ("scnn_neurons", "pyscnn neurons"),
        ("scnn_cpu", "pyscnn CPU s", ".1f"),
        ("objective_ratio", "pyscnn / worst seed", ".3f"),
        ("time_ratio", "time ratio", ".1f"),
    ]
    columns = [c for c in columns if any(c[0] in row for row in rows)]
    print("\n" + C.markdown_table(rows, columns))
    if args.json:
        with open(args.json, "w") as out:
            json.dump(rows, out, indent=1)


if __name__ == "__main__":
    main()
