"""Column generation: the cutting-plane method in the dual of the training problem.

Rows ``x_i`` (with a constant feature when there is an intercept), weights ``w_i > 0`` of sum 1, C
outputs.  The two-layer ReLU network with weight decay solves ::

    (P)  min   sum_i w_i * loss(y_i, z_i) + alpha * sum_j ||c_j||_2
         over finite sets of unit directions u_j, output weights c_j in R^C, intercept b0 in R^C,
         Z = sum_j (X u_j)_+ c_j^T + 1 b0^T

a convex problem in the measure ``sum_j c_j delta(u_j)``.  Its dual has one constraint per
direction, (D) ``||R^T (X u)_+||_2 <= alpha``.  Over measures this is a conditional gradient method
with sliding (Bengio et al. 2005; Bach 2017; Boyd, Schiebinger & Recht 2017; Denoyelle et al. 2019;
see doc/mathematics.rst).  Each round prices directions (finds violated
constraints), adds them as neurons, slides all neurons downhill, refits the output weights, which
drops neurons, and takes the duality gap.
"""

from __future__ import annotations

from sklearn_convexnn.core.column_generation.run import Run
from sklearn_convexnn.core.column_generation.slide_phase import SlidePhase
from sklearn_convexnn.core.problem.constant import constant_network
from sklearn_convexnn.core.problem.metric import ISOTROPIC
from sklearn_convexnn.core.problem.solution import Solution, Start, Status


def solve(
    rows,
    alpha,
    pricing,
    *,
    options,
    start=None,
    confirm=True,
    progress=None,
    enough=None,
    phase=SlidePhase,
):
    """Solve (P) for one ``alpha``; see :class:`~.options.Options` for when it stops.

    Parameters
    ----------
    rows : Rows
    alpha : float
    pricing : callable
        Finds violated constraints: ``pricing(rows, R, network, effort=..., known=...) -> Prices``,
        with ``known`` directions to price first or None; its ``kind`` says what certificate its
        best price gives.
    options : Options
    start : Start, optional
        Where to begin; at the constant network otherwise.
    confirm : bool
        Refit tightly and price thoroughly before a stop.
    progress : callable, optional
        Called after every round with its number and a dict: a row of ``history`` and the kind of
        certificate.  Something true in return stops the solve.
    enough : callable, optional
        Called with the network after every round that is not the last; something true ends the
        solve.
    phase : type, optional
        What a round is, made of the run, the pricing and the start.

    Returns
    -------
    Solution
    """
    run = Run(rows, alpha, options, getattr(pricing, "metric", ISOTROPIC))
    phase = phase(run, pricing, start or Start(constant_network(rows)))
    n_iter, status, keyboard = 0, None, False
    run.complete = run.state, run.certificate
    try:
        while status is None:
            n_iter += 1
            phase = phase.successor()
            run.improve(phase)
            status = run.why_stop(n_iter)
            if status is None or not confirm:
                phase.price()
                status = Status.GAP if phase.gap_reached() else status
            if status is not None and confirm:
                status = phase.confirm(status)
            run.record()
            if status is None and n_iter >= options.max_iter:
                status = Status.MAX_ITER
            if status is None and enough is not None and enough(run.state.network):
                status = Status.INTERRUPTED
            if progress is not None:
                latest = {name: values[-1] for name, values in run.history.items()}
                latest["certificate"] = run.certificate.kind
                if progress(n_iter, latest) and status is None:
                    status = Status.INTERRUPTED
    except KeyboardInterrupt:
        run.restore()
        n_iter, status = max(1, len(run.history["objective"])), Status.INTERRUPTED
        keyboard = True
    return Solution(
        run.state.network,
        run.certificate,
        status,
        alpha,
        n_iter,
        run.history,
        phase.end(),
        keyboard,
    )
