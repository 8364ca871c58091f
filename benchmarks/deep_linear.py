"""Two linear layers with weight decay: DeepLinearRegressor beside other ways to the same optimum.

    python benchmarks/deep_linear.py                     # n = 100000, d = 200, K = 10
    python benchmarks/deep_linear.py --n 20000 --condition 1e6 --fraction 0.001
    python benchmarks/deep_linear.py --sweep             # how the time depends on n

Data: Gaussian rows whose standard deviations fall geometrically, so that X^T X has the given
condition number; targets of rank 4 plus noise. The problem is 1/(2n) ||X W - Y||_F^2 + alpha
||W||_*, alpha a fraction of the largest that is of use. Every method starts from X^T X, whose time
is reported on its own; gaps are proven duality gaps of (N) in core/deep/nuclear_norm.py, computed
the same way for every method:

- `DeepLinearRegressor`: all of fit, two passes over the rows included, and its solver alone;
- `proximal gradient`: steps 1/L and a singular value decomposition of W in each;
- `accelerated`: the same with Nesterov's momentum and restarts;
- `CVXPY`: the nuclear norm as a semidefinite constraint of size d + K, by SCS, on the reduced
  problem. (Interior-point solvers need too much memory at the default size; `--d 30 --K 5 --solver
  CLARABEL` is within their reach.)
"""

import common as C  # first: sets the number of threads

# isort: split
import argparse
import time
import warnings

import numpy as np

from sklearn_convexnn import DeepLinearRegressor
from sklearn_convexnn.core.deep.nuclear_norm import evaluate, solve_nuclear
from sklearn_convexnn.core.deep.spectral_rows import make_rows, reduce


def make_data(n, d, K, condition, seed=0):
    rng = np.random.default_rng(seed)
    deviations = np.geomspace(1.0, condition**-0.5, d)
    X = rng.standard_normal((n, d)) * deviations
    signal = X @ (rng.standard_normal((d, 4)) @ rng.standard_normal((4, K)) / deviations[:, None])
    return X, signal + signal.std() * rng.standard_normal((n, K))


def gap(quadratic, alpha, B):
    P, sizes, Qt = np.linalg.svd(B, full_matrices=False)
    return evaluate(quadratic, alpha, P, sizes, Qt.T)


def proximal_gradient(quadratic, alpha, tol, limit, *, accelerate):
    """(Accelerated) proximal gradient steps until the gap is below tol or the time is over."""
    step = 1.0 / quadratic.s.max()
    B = Z = np.zeros_like(quadratic.M)
    t, start, n_iter = 1.0, time.process_time(), 0
    while True:
        n_iter += 1
        P, sizes, Qt = np.linalg.svd(Z - step * quadratic.gradient(Z), full_matrices=False)
        new = (P * np.maximum(sizes - step * alpha, 0.0)) @ Qt
        if accelerate and np.vdot(Z - new, new - B) > 0:  # O'Donoghue and Candes' restart
            t = 1.0
        s = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * t * t))
        Z = new + ((t - 1.0) / s) * (new - B) if accelerate else new
        B, t = new, s
        if n_iter % 20 == 0:
            point = gap(quadratic, alpha, B)
            seconds = time.process_time() - start
            if point.relative_gap <= tol or seconds > limit:
                return point, seconds, n_iter


def conic(quadratic, alpha, solver):
    import cvxpy as cp

    start = time.process_time()
    B = cp.Variable(quadratic.M.shape)
    root = np.sqrt(quadratic.s)[:, None]
    fit = cp.sum_squares(cp.multiply(np.broadcast_to(root, B.shape), B) - quadratic.M / root)
    problem = cp.Problem(cp.Minimize(0.5 * fit + alpha * cp.normNuc(B)))
    problem.solve(solver=solver)
    return gap(quadratic, alpha, B.value), time.process_time() - start, None


def compare(args):
    X, Y = make_data(args.n, args.d, args.K, args.condition)
    start = time.process_time()
    rows = make_rows(X, Y, np.ones(args.n), intercept=True)
    quadratic = reduce(rows).quadratic
    gram = time.process_time() - start
    largest = np.linalg.norm(quadratic.M, 2)
    alpha = args.fraction * largest
    print(
        f"n = {args.n}, d = {args.d}, K = {args.K}, condition {args.condition:g}, alpha = "
        f"{args.fraction:g} alpha_max. X^T X and its eigenvectors: {gram:.2f} s.\n"
    )
    results = []

    def record(name, point, seconds, n_iter):
        row = {"method": name, "seconds": seconds, "n_iter": n_iter}
        row |= {"objective": point.primal, "gap": point.relative_gap}
        results.append(row)
        print(f"done: {name}, {seconds:.2f} s", flush=True)

    start = time.process_time()
    model = DeepLinearRegressor(alpha=args.fraction * _alpha_unit(rows) * largest, tol=args.tol)
    model.fit(X, Y)
    seconds = time.process_time() - start
    results.append(
        {
            "method": "DeepLinearRegressor, all of fit",
            "seconds": seconds,
            "n_iter": model.n_iter_,
            "objective": model.objective_ / rows.y_scale**2,
            "gap": model.dual_gap_,
        }
    )
    start = time.process_time()
    point = solve_nuclear(quadratic, alpha, tol=args.tol, max_iter=50)
    record("the same, after X^T X", point, time.process_time() - start, point.n_iter)
    for name, accelerate in (("proximal gradient", False), ("accelerated", True)):
        record(
            name, *proximal_gradient(quadratic, alpha, args.tol, args.limit, accelerate=accelerate)
        )
    if args.solver != "none":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            record(f"CVXPY ({args.solver})", *conic(quadratic, alpha, args.solver))
    columns = [
        ("method", "method"),
        ("seconds", "CPU s", ".2f"),
        ("n_iter", "iterations"),
        ("objective", "objective", ".10f"),
        ("gap", "relative gap", ".1e"),
    ]
    print("\n" + C.markdown_table(results, columns))


def _alpha_unit(rows):
    """alpha in the units of the data by alpha in working units."""
    return rows.y_scale / rows.x_scale


def sweep(args):
    results = []
    for n in (1_000, 3_000, 10_000, 30_000, 100_000):
        X, Y = make_data(n, args.d, args.K, args.condition)
        start = time.process_time()
        quadratic = reduce(make_rows(X, Y, np.ones(n), intercept=True)).quadratic
        gram = time.process_time() - start
        start = time.process_time()
        model = DeepLinearRegressor(tol=args.tol).fit(X, Y)
        fit = time.process_time() - start
        results.append({"n": n, "gram": gram, "fit": fit, "gap": model.dual_gap_})
        del quadratic
    columns = [
        ("n", "n"),
        ("gram", "X^T X, s", ".3f"),
        ("fit", "all of fit, s", ".3f"),
        ("gap", "relative gap", ".1e"),
    ]
    print(C.markdown_table(results, columns))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--d", type=int, default=200)
    parser.add_argument("--K", type=int, default=10)
    parser.add_argument("--condition", type=float, default=1e4)
    parser.add_argument("--fraction", type=float, default=0.01)
    parser.add_argument("--tol", type=float, default=1e-6)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for each iteration")
    parser.add_argument("--solver", default="SCS", help="for CVXPY; 'none' leaves it out")
    parser.add_argument("--sweep", action="store_true")
    args = parser.parse_args()
    C.print_header("Two linear layers with weight decay")
    sweep(args) if args.sweep else compare(args)


if __name__ == "__main__":
    main()
