"""Solve one problem with pyscnn and write the network back (run by peers.py, not by hand).

    python _pyscnn_worker.py problem.npz result.npz

``problem.npz`` holds X, y, alpha, gates, seed and dtype. ``result.npz`` gets the first-layer
weights U (d, m), the output weights c (m,), the CPU and wall seconds of the solve and the
objective, constraint gap and gradient norm that pyscnn itself reports last. Needs pyscnn and its
requirements, and nothing of this repository.
"""

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import logging  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from scnn.activations import sample_gate_vectors  # noqa: E402
from scnn.metrics import Metrics  # noqa: E402
from scnn.models import ConvexReLU  # noqa: E402
from scnn.optimize import optimize_model  # noqa: E402
from scnn.regularizers import NeuronGL1  # noqa: E402
from scnn.solvers import AL  # noqa: E402


def solve(X, y, alpha, gates, seed, dtype, **limits):
    # Its defaults throughout (augmented Lagrangian, tolerances, float type). The columns are left
    # as they are: rescaling them would change the penalty.
    G = sample_gate_vectors(seed, X.shape[1], gates)
    model = ConvexReLU(G, c=1, bias=False)
    metrics = Metrics(model_loss=True, constraint_gaps=True)
    return optimize_model(
        model,
        AL(model, **limits),
        metrics,
        X,
        y,
        regularizer=NeuronGL1(alpha),
        unitize_data=False,
        dtype=dtype,
        seed=seed,
    )


def main():
    torch.set_num_threads(1)
    with np.load(sys.argv[1]) as data:
        X, y = data["X"], data["y"]
        alpha, gates, seed = float(data["alpha"]), int(data["gates"]), int(data["seed"])
        dtype = str(data["dtype"])
    # Start-up costs of the libraries stay out of the timing, this run's warnings out of the log.
    logging.disable(logging.WARNING)
    rng = np.random.default_rng(0)
    small = rng.standard_normal((40, 3))
    solve(small, small[:, 0], 1e-1, 5, 0, dtype, max_primal_iters=20)
    logging.disable(logging.NOTSET)

    cpu, wall = time.process_time(), time.perf_counter()
    network, metrics = solve(X, y, alpha, gates, seed, dtype)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall

    U, c = (np.asarray(p, dtype=np.float64) for p in network.get_parameters())
    np.savez(
        sys.argv[2],
        U=U.T,
        c=c.reshape(-1),
        cpu=cpu,
        wall=wall,
        objective=float(metrics.model_loss[-1]),
        constraint_gap=float(metrics.constraint_gaps[-1]),
        grad_norm=float(metrics.grad_norm[-1]),
    )


if __name__ == "__main__":
    main()
