"""The convex programs over given activation patterns, beside other solvers, and their proofs.

    python benchmarks/patterns.py                                    # everything, ours only
    python benchmarks/patterns.py gated --pyscnn-python scnn-venv/bin/python \\
        --peers-python peers-venv/bin/python
    python benchmarks/patterns.py cones large certificates

Sections:

- ``gated``: gated ReLU, breast_cancer (455 rows, 30 unit columns), 500 gates, alpha 1e-3 and 1e-4,
  to a relative gap of 1e-6; beside pyscnn (R-FISTA) and the group lassos of celer and skglm on the
  expanded matrix (455 x 15 000). A peer's time is that of its loosest tolerance with which its
  objective comes within 1e-4, and within 1e-6, of ours.
- ``large``: gated ReLU, n = 20 000, d = 50, 500 gates, to a relative gap of 1e-4, alpha from 0.1 to
  0.01 of the largest one; the expanded matrix would have 25 000 columns (4 GB).
- ``cones``: ReLU with cones on 250 and on 50 given random patterns, alpha 1e-3; CLARABEL on the
  latter.
- ``neurons``: the cutting plane to a duality gap on the same split, alpha 1e-3, five seeds; and
  what 20 000 fresh starts of a search then find, as a relative gap.
- ``certificates``: optimality_report of a fitted network on 200 rows with 2 features, and on the
  first 3, 5 and 8 principal components of breast_cancer (569 rows): the proven relative gap and its
  time.

All minimise mean(1/2 (y - z)^2) + alpha * sum_j ||v_j|| without intercepts; objectives of all are
evaluated from their vectors by one formula. CPU seconds, one thread; start-up and compilation are
paid before. celer and skglm want recent packages, pyscnn old ones (see peers.py):

    python3 -m venv peers-venv
    peers-venv/bin/pip install celer skglm
"""

import common as C  # first: sets the number of threads

# isort: split
import argparse
import json
import subprocess
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np

WORKER = Path(__file__).with_name("_gated_worker.py")
ACCURACIES = (1e-4, 1e-6)
TOLERANCES = {
    "pyscnn": (1e-6, 1e-8, 1e-10, 1e-12),
    "celer": (1e-4, 1e-6, 1e-8),
    "skglm": (1e-4, 1e-6, 1e-8),
}


def rows_of(X, y):
    from sklearn_convexnn.core.problem.losses import get_loss
    from sklearn_convexnn.core.problem.rows import Rows

    weights = np.full(len(X), 1 / len(X))
    loss = get_loss("squared_error", 1)
    return Rows.of(X, y[:, None], weights, loss, intercept=False)


# ---------------------------------------------------------------------------------------- sections


def gated(args):
    """Ours and the peers on 500 gates."""
    from sklearn_convexnn.core.programs.gated_network import train_gated

    X, y = C.breast_cancer_problem()
    gates = np.random.default_rng(0).standard_normal((X.shape[1], 500))
    rows = []
    for alpha in (1e-3, 1e-4):
        train = partial(train_gated, rows_of(X, y), gates, alpha, tol=1e-6)
        train()
        solution, cpu = C.cpu_time(train, args.repeats)
        ours = solution.certificate
        rows.append(
            {
                "alpha": alpha,
                "solver": "this package",
                "cpu6": cpu,
                "objective": ours.primal,
                "note": f"proven gap {ours.relative_gap:.0e}, {solution.n_iter} steps",
            }
        )
        for peer in TOLERANCES:
            python = args.pyscnn_python if peer == "pyscnn" else args.peers_python
            row = {"alpha": alpha, "solver": peer}
            if python is None:
                rows.append(row | {"note": "not measured"})
                continue
            tried, late = run_peer(python, peer, X, y, gates, alpha, ours.primal, args.seconds)
            row |= reached(tried, ours.primal)
            if late:
                row["note"] += f"; its next run was stopped after {4 * args.seconds:.0f} s"
            row["ratio"] = row["cpu6"] / cpu if row["cpu6"] is not None else None
            rows.append(row)
            print(peer, alpha, tried, flush=True)
    columns = [
        ("alpha", "alpha", ".0e"),
        ("solver", "solver"),
        ("cpu4", "CPU s to 1e-4", ".2f"),
        ("cpu6", "CPU s to 1e-6", ".2f"),
        ("ratio", "times ours", ".0f"),
        ("objective", "best objective", ".7f"),
        ("note", "note"),
    ]
    return rows, columns


def run_peer(python, peer, X, y, gates, alpha, target, seconds):
    """(tolerance, objective, CPU seconds) of each run of a peer; was the last one cut short?"""
    with tempfile.TemporaryDirectory() as folder:
        problem, result = Path(folder) / "problem.npz", Path(folder) / "result.npz"
        np.savez(
            problem,
            X=X,
            y=y,
            alpha=alpha,
            gates=gates,
            target=target,
            tolerances=TOLERANCES[peer],
            accuracies=ACCURACIES,
            seconds=seconds,
        )
        command = [python, str(WORKER), peer, str(problem), str(result)]
        late = False
        try:
            subprocess.run(command, check=True, timeout=4 * seconds)
        except subprocess.TimeoutExpired:
            late = True
            if not result.exists():
                return [], late
        with np.load(result) as data:
            return data["tried"].tolist(), late


def reached(tried, target):
    """The seconds of the first run within each accuracy, and the best objective."""
    if not tried:
        return {"cpu4": None, "cpu6": None, "note": "no run ended in time"}
    seconds = []
    for accuracy in ACCURACIES:
        close = [cpu for _, value, cpu in tried if value <= target * (1 + accuracy)]
        seconds.append(close[0] if close else None)
    best = min(value for _, value, _ in tried)
    note = f"{best / target - 1:.0e} above ours after {tried[-1][2]:.1f} s"
    return {"cpu4": seconds[0], "cpu6": seconds[1], "objective": best, "note": note}


def large(args):
    """Many rows: the expanded matrix is never formed."""
    from sklearn_convexnn.core.programs.free_groups import FreeGroups
    from sklearn_convexnn.core.programs.gated_network import train_gated

    X, y = C.teacher_problem(n=args.rows)
    gates = np.random.default_rng(0).standard_normal((X.shape[1], 500))
    problem = rows_of(X, y)
    norms, _ = FreeGroups(X, X @ gates > 0).screen(problem.weights * y, 0.0)
    rows = []
    for share in (0.1, 0.03, 0.01):
        train = partial(train_gated, problem, gates, share * norms.max(), tol=1e-4)
        solution, cpu = C.cpu_time(train)
        rows.append(
            {
                "share": share,
                "cpu": cpu,
                "gap": solution.certificate.relative_gap,
                "gates": solution.network.gates.shape[1],
                "objective": solution.certificate.primal,
            }
        )
    columns = [
        ("share", "alpha / alpha_max", ".2f"),
        ("cpu", "CPU s", ".1f"),
        ("gap", "proven gap", ".0e"),
        ("gates", "gates in use"),
        ("objective", "objective", ".6f"),
    ]
    return rows, columns


def cones(args):
    """ReLU networks on given random patterns."""
    from sklearn_convexnn.core.patterns.enumeration import from_directions
    from sklearn_convexnn.core.programs.solve import train_relu

    X, y = C.breast_cancer_problem()
    rows = []
    for count in (250, 50):
        gates = np.random.default_rng(778).standard_normal((X.shape[1], count))
        patterns = from_directions(X, gates)
        for solver in ("newton", "clarabel") if count == 50 else ("newton",):
            train = partial(train_relu, rows_of(X, y), patterns, 1e-3, solver=solver)
            solution, cpu = C.cpu_time(train, args.repeats if solver == "newton" else 1)
            rows.append(
                {
                    "patterns": count,
                    "solver": solver,
                    "cpu": cpu,
                    "objective": solution.certificate.primal,
                    "gap": solution.certificate.relative_gap,
                }
            )
    columns = [
        ("patterns", "patterns"),
        ("solver", "solver"),
        ("cpu", "CPU s", ".2f"),
        ("objective", "objective", ".7f"),
        ("gap", "proven gap", ".0e"),
    ]
    return rows, columns


def neurons(args):
    """Networks of any width to a duality gap, and an independent search for violations."""
    from sklearn_convexnn import ConvexReLURegressor

    X, y = C.breast_cancer_problem()
    rows = []
    for gap_tol in (5e-3, 1e-4, 1e-6):
        for seed in range(5):
            model = ConvexReLURegressor(
                1e-3, fit_intercept=False, gap_tol=gap_tol, max_iter=200, random_state=seed
            )
            _, cpu = C.cpu_time(partial(model.fit, X, y))
            rows.append(
                {
                    "goal": gap_tol,
                    "seed": seed,
                    "cpu": cpu,
                    "objective": model.objective_,
                    "neurons": model.n_neurons_,
                    "gap": model.dual_gap_,
                    "fresh": gap_of_fresh_starts(model, X, y),
                }
            )
    columns = [
        ("goal", "gap_tol", ".0e"),
        ("seed", "seed"),
        ("cpu", "CPU s", ".1f"),
        ("objective", "objective", ".8f"),
        ("neurons", "neurons"),
        ("gap", "estimated gap", ".1e"),
        ("fresh", "gap, fresh starts", ".1e"),
    ]
    return rows, columns


def gap_of_fresh_starts(model, X, y, n_starts=20_000, n_sharp=500):
    """The relative gap with the largest price of a search that knows nothing of the fit."""
    from sklearn_convexnn.core.pricing.search import FINE_WIDTHS, local_ascent, sharpen
    from sklearn_convexnn.core.problem.directions import random_starts, select_diverse

    data = rows_of(X, y)
    Z = model.predict(X)[:, None]
    R = data.at(Z).residual
    starts = random_starts(np.random.default_rng(12345), n_starts, X.shape[1])
    found = local_ascent(data, R, starts, sweeps=60)
    best = sharpen(data, R, select_diverse(found, n_sharp, max_cosine=0.999), widths=FINE_WIDTHS)
    kappa = max(found.largest, best.largest)
    sizes = np.linalg.norm(model.coefs_[0], axis=0) * np.abs(model.coefs_[1][:, 0])
    return data.at(Z).certify(sizes.sum(), model.alpha_, kappa, "estimated").relative_gap


def certificates(args):
    """Proven gaps of fitted networks in few dimensions."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from sklearn_convexnn import ConvexReLURegressor
    from sklearn_convexnn.inspection import optimality_report

    X, y = load_breast_cancer(return_X_y=True)
    y = 2.0 * y - 1.0
    components = {d: make_pipeline(StandardScaler(), PCA(d)).fit_transform(X) for d in (2, 3, 5, 8)}
    rows = []
    for d, alpha, gap_tol in (
        (2, 1e-3, 1e-6),
        (3, 1e-2, 1e-6),
        (3, 1e-3, 1e-6),
        (5, 1e-2, 1e-6),
        (5, 1e-3, 1e-4),
        (8, 1e-2, 1e-5),
        (8, 1e-3, 1e-2),
    ):
        n = 200 if d == 2 else len(X)
        Z, targets = components[d][:n], y[:n]
        model = ConvexReLURegressor(alpha, gap_tol=gap_tol, max_iter=200, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = time.process_time()
            model.fit(Z, targets)
            fitting = time.process_time() - start
            start = time.process_time()
            report = optimality_report(
                model,
                Z,
                targets,
                tol=1e-4 if d <= 3 else 1e-3,
                time_limit=args.seconds,
                max_nodes=10**9,
            )
            proving = time.process_time() - start
        rows.append(
            {
                "n": n,
                "d": d,
                "alpha": alpha,
                "fit": fitting,
                "estimated": model.dual_gap_,
                "cpu": proving,
                "certificate": report.kind,
                "gap": report.relative_gap,
            }
        )
    columns = [
        ("n", "rows"),
        ("d", "features"),
        ("alpha", "alpha", ".0e"),
        ("fit", "fit CPU s", ".1f"),
        ("estimated", "gap of the fit", ".1e"),
        ("cpu", "report CPU s", ".1f"),
        ("certificate", "certificate"),
        ("gap", "proven gap", ".1e"),
    ]
    return rows, columns


SECTIONS = {
    "gated": gated,
    "large": large,
    "cones": cones,
    "neurons": neurons,
    "certificates": certificates,
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--pyscnn-python", metavar="PATH", help="interpreter that has pyscnn")
    parser.add_argument("--peers-python", metavar="PATH", help="interpreter with celer and skglm")
    parser.add_argument("--repeats", type=int, default=3, help="runs of ours, the median counts")
    parser.add_argument("--seconds", type=float, default=60, help="budget of a peer or a proof")
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the section 'large'")
    parser.add_argument("--json", metavar="OUT", help="also write the rows as JSON")
    args = parser.parse_args()
    unknown = set(args.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"unknown sections {sorted(unknown)}; available: {', '.join(SECTIONS)}")

    C.print_header("Programs over given activation patterns")
    C.warm_up()
    results = {}
    for name in args.sections or SECTIONS:
        rows, columns = SECTIONS[name](args)
        print(f"\n## {name}\n\n" + C.markdown_table(rows, columns), flush=True)
        results[name] = rows
    if args.json:
        with open(args.json, "w") as out:
            json.dump(results, out, indent=1)


if __name__ == "__main__":
    main()
