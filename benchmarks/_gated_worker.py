"""Train a gated ReLU network with a peer and write what it reaches (run by patterns.py).

    python _gated_worker.py pyscnn|celer|skglm problem.npz result.npz

``problem.npz`` holds X, y, alpha, gates (d, P), target and the tolerances to try, coarse to fine;
the peer stops at the first whose objective is within the smallest of ``accuracies`` of ``target``,
or when its seconds are used up. ``result.npz`` gets, for every tolerance that was tried, the
objective mean(1/2 (y - z)^2) + alpha * sum_j ||v_j||, evaluated here from the vectors, and the CPU
seconds of the solve. Start-up, and the compilation of celer and skglm, are paid before by a small
problem. Needs the peer, NumPy, and nothing of this repository.
"""

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import logging  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402

import numpy as np  # noqa: E402


def expanded(X, gates):
    """``[D_1 X, ..., D_P X]``, in the order of columns that the peers want."""
    D = X @ gates >= 0
    n, d = X.shape
    return np.asfortranarray((D[:, :, None] * X[:, None, :]).reshape(n, d * gates.shape[1]))


def solve_pyscnn(X, y, alpha, gates, tol):
    import torch
    from scnn.metrics import Metrics
    from scnn.models import ConvexGatedReLU
    from scnn.optimize import optimize_model
    from scnn.regularizers import NeuronGL1
    from scnn.solvers import RFISTA

    torch.set_num_threads(1)
    model = ConvexGatedReLU(gates, c=1, bias=False)
    model, _ = optimize_model(
        model,
        RFISTA(model, tol=tol, max_iters=10**6),
        Metrics(),
        X,
        y,
        regularizer=NeuronGL1(alpha),
        return_convex=True,
        unitize_data=False,
        dtype="float64" if tol < 1e-6 else "float32",
    )
    # It orders the gates anew, and drops those with equal patterns.
    return np.asarray(model.get_parameters()[0][0], dtype=np.float64), np.asarray(model.G)


def solve_celer(X, y, alpha, gates, tol):
    from celer import GroupLasso

    d = X.shape[1]
    model = GroupLasso(groups=d, alpha=alpha, fit_intercept=False, tol=tol, max_iter=10_000)
    return model.fit(expanded(X, gates), y).coef_.reshape(-1, d), gates


def solve_skglm(X, y, alpha, gates, tol):
    from skglm import GroupLasso

    d = X.shape[1]
    model = GroupLasso(groups=d, alpha=alpha, fit_intercept=False, tol=tol, max_iter=10_000)
    return model.fit(expanded(X, gates), y).coef_.reshape(-1, d), gates


SOLVERS = {"pyscnn": solve_pyscnn, "celer": solve_celer, "skglm": solve_skglm}


def objective(X, y, alpha, gates, V):
    z = ((X @ gates >= 0) * (X @ V.T)).sum(axis=1)
    return 0.5 * np.mean((y - z) ** 2) + alpha * np.linalg.norm(V, axis=1).sum()


def main():
    solve = SOLVERS[sys.argv[1]]
    with np.load(sys.argv[2]) as data:
        X, y, gates = data["X"], data["y"], data["gates"]
        alpha, target = float(data["alpha"]), float(data["target"])
        tolerances, accuracy = data["tolerances"], float(data["accuracies"].min())
        seconds = float(data["seconds"])
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    small = rng.standard_normal((40, 3))
    solve(small, small[:, 0], 1e-1, rng.standard_normal((3, 5)), 1e-3)

    tried = []
    for tol in tolerances:
        start = time.process_time()
        V, ordered = solve(X, y, alpha, gates, float(tol))
        spent = time.process_time() - start
        tried.append((tol, objective(X, y, alpha, ordered, V), spent))
        np.savez(sys.argv[3], tried=np.array(tried))
        if tried[-1][1] <= target * (1 + accuracy) or spent > seconds:
            break


if __name__ == "__main__":
    main()
