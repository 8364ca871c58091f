r"""Newton's method on group sizes: the convex programs over given activation patterns.

With a pattern ``D_j`` (the rows on which neuron j is active) its activations are the linear
``A_j v = s_j D_j X v``, and the network over given patterns is the group lasso ::

    (F)  min  sum_i w_i loss(y_i, z_i) + alpha * sum_j ||v_j||_2 ,   z = sum_j A_j v_j + b0 ,
         over  v_j in K_j ,

with ``K_j`` the whole space for gated ReLU networks and the cone ``(2 D_j - I) X v >= 0`` for ReLU
networks (Pilanci & Ergen, arXiv:2002.10553, Theorem 1; Mishkin et al., arXiv:2202.01331).

Because ``||v|| = min_e (||v||^2 / e + e) / 2`` over ``e >= 0`` (the eta-trick, Bach et al. 2012,
arXiv:1108.0775), (F) is the smooth convex program ::

    min over e >= 0 of   G(e) + alpha/2 * sum_j e_j ,
    G(e) = max_u  D(u) - 1/(2 alpha) * sum_j e_j ||P_j(A_j^T u)||^2     (with 1^T u = 0 for b0)

in one number per group, where ``P_j`` projects on ``K_j`` and ``D`` is the dual of the loss.  At
the optimum ``e_j = ||v_j||``, ``v_j = e_j c_j / alpha`` with ``c_j = P_j(A_j^T u)``, and ``u`` is
the dual variable of (F), whose constraints are ``||c_j|| <= alpha``.

* ``u`` for given ``e``: semismooth Newton steps with the matrix
  ``M = diag(1 / (w l'')) + 1/alpha sum_j e_j A_j N_j A_j^T``, ``N_j`` the projector on the face of
  ``K_j`` that holds ``c_j`` (:mod:`sklearn_convexnn.core.programs.normal_equations`).  It is kept
  in whichever form is smaller, n x n or (by Woodbury's formula) k x k with k the number of free
  coordinates.  The matrix of all ``A_j`` is never formed.
* ``e``: Newton's method under bounds, ``dG/de_j = -||c_j||^2 / (2 alpha)`` and second derivatives
  ``B^T M^{-1} B / alpha^2``, ``B_j = A_j c_j``.  Only groups that have a size or violate their
  constraint take part.  It follows a path of alphas down to the one asked for.

With C outputs every output has groups of its own, one-vs-all: then ``u`` has n C entries, and the
second derivatives of the multinomial log-loss are where the outputs meet.

Every iterate is feasible for (F), and a multiple of its ``u`` for the dual: the gap is proven.

Proximal methods, ADMM and the augmented Lagrangian need tens to hundreds of solves with matrices
like ``M``, this one about ten: the conditioning of the patterns, which overlap heavily, stays
inside ``M``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sklearn_convexnn.core.problem.certificates import Certificate
from sklearn_convexnn.core.problem.work import Work
from sklearn_convexnn.core.programs.normal_equations import (
    LARGEST_FACTOR,
    CurvatureRoot,
    normal_equations,
)
from sklearn_convexnn.core.programs.one_vs_all import OutputGroups

_EPS = np.finfo(float).eps
# Groups that enter in one step, as a share of the rows and at least.
_ENTERING, _LEAST_ENTERING = 4, 16
# Newton steps for u, and halvings of a step.
_INNER_STEPS, HALVINGS = 60, 40
# The part of a bracket, from its ends, that a search leaves out.
_NEAREST = 1e-3
# The same for losses without curvature on whole stretches, where outputs move and u does not:
# slopes there say little, and secants would stay at an end.
_NEAREST_FLAT = 0.1
# A step so short is tried along the dual variable as well; the part of the way to its boundary.
_SHORT, _INSIDE = 0.1, 0.9
# Differences of values, relative to them, that rounding does not reach; steps that may pass without
# a smaller gap.
RESOLVED, MOST_IDLE = 1e-11, 12
# The ratio of the alphas on the way, and the relative gap at which the next is taken.
_PATH_RATIO, _PATH_TOL = 3.0, 0.1
# The precision, relative to the value, of the first u for given sizes.
_START = 1e-6
# Rows of the sample with whose solution many rows begin, times outputs.
_SAMPLE = 2500
# Evaluations of the dual function at most, without cones and with; programs in healthy units take
# tens to hundreds.  23 rows in units of 1e-5 end at a gap of 1e-5 after 4 s, of 9e-7 after 20 000
# evaluations and 16 s.
MOST_EVALUATIONS, _MOST_WITH_CONES = 20_000, 5000


@dataclass(frozen=True)
class GroupSolution:
    """A feasible point of (F) with its proven gap.

    ``V`` (m, p) are the vectors that are not zero, of the groups ``index`` (m,) of the outputs
    ``output`` (m,); ``b0`` (C,) is the intercept, ``u`` (n, C) a feasible dual variable, ``sizes``
    one number per output and group to start again from.
    """

    output: np.ndarray
    index: np.ndarray
    V: np.ndarray
    b0: np.ndarray
    Z: np.ndarray
    u: np.ndarray
    sizes: np.ndarray
    certificate: Certificate
    n_iter: int
    converged: bool


def solve_groups(
    rows, groups, alpha, *, tol=1e-6, max_iter=300, sizes=None, outputs=None, work=None
):
    """Minimise (F) to a relative duality gap of ``tol``; every output has groups of its own.

    Parameters
    ----------
    rows : Rows
        Targets, weights, loss, and whether there is an intercept.
    groups : object
        The maps ``A_j`` and cones ``K_j``; see
        :class:`sklearn_convexnn.core.programs.free_groups.FreeGroups`.
    alpha : float, positive
    tol : float
    max_iter : int
        Newton steps in the sizes at most.
    sizes : ndarray of shape (n_outputs * groups.count,), optional
        Where to begin; by default zeros, or for many rows the sizes of a sample of them.
    outputs : ndarray of shape (n, C), optional
        Outputs to begin with, those of the best constant by default.
    work : Work, optional
        Evaluations of the dual function, each with its projections, that may be spent.

    Returns
    -------
    GroupSolution
        The best point that was met; ``converged`` says whether its gap is below ``tol``.
    """
    if sizes is None:
        sizes = sampled_sizes(rows, groups, alpha)
    groups = OutputGroups(groups, rows.n_outputs)
    e = np.zeros(groups.count) if sizes is None else np.maximum(sizes, 0.0)
    Z = constant_outputs(rows) if outputs is None else _shifted(rows, outputs)
    precision = _START * rows.at(Z).loss_size
    if work is None:
        work = Work(MOST_EVALUATIONS if groups.linear else _MOST_WITH_CONES)
    state = maximise(rows, groups, alpha, e, Z, precision, work=work)
    if e.any():
        return _descend(rows, alpha, state, tol, max_iter)[1]
    largest = groups.screen(state.u, 0.0, state.active, state.C)[0].max(initial=0.0)
    return follow_path(_descend, rows, alpha, largest, state, tol, max_iter)


def follow_path(descend, rows, alpha, largest, state, tol, max_iter):
    """The solution for ``alpha`` by way of those for larger ones, from ``largest`` on.

    Where many groups are far beyond ``alpha`` the steps are far from Newton's.  The dual variable
    is about proportional to ``alpha``, and its multiples have projections on the same faces.
    """
    stages = np.log(max(largest / alpha, 1.0)) / np.log(_PATH_RATIO)
    above = alpha * _PATH_RATIO ** np.arange(max(int(np.ceil(stages)) - 1, 0), 0, -1)
    n_iter, before = 0, largest
    for stage in [*above, alpha]:
        shrink = stage / before if stage < before else 1.0
        rho = shrink * state.u / rows.weights[:, None]
        Z = _shifted(rows, rows.loss.outputs(rows.Y, rho))
        state = maximise(rows, state.groups, stage, state.e, Z, work=state.work)
        goal = tol if stage == alpha else _PATH_TOL
        state, point = descend(rows, stage, state, goal, max_iter - n_iter)
        n_iter, before = n_iter + point.n_iter, stage
    return replace(point, n_iter=n_iter)


def _descend(rows, alpha, state, tol, max_iter):
    """The last state and the best point of Newton's method from a state on."""
    groups, best, idle, n_iter = state.groups, None, 0, 0
    while True:
        norms, C = groups.screen(state.u, alpha, state.active, state.C)
        point = _point(rows, groups, state, alpha, norms, n_iter)
        if best is None or point.certificate.gap < best.certificate.gap:
            best, idle = point, 0
        else:
            idle += 1
        if best.certificate.relative_gap <= tol:
            return state, replace(best, converged=True)
        trial = None
        if n_iter < max_iter and idle < MOST_IDLE and state.work.left > 0:
            trial = step(rows, groups, alpha, state, norms, C) or _sharper(rows, alpha, state)
        if trial is None:
            break
        state, n_iter = trial, n_iter + 1
    return state, replace(best, converged=False)


def _sharper(rows, alpha, state):
    """The same sizes with a more accurate dual variable; None if its value is the same.

    A decrement knows the faces of one point only.  Where they change within a step the value may
    rise far more, and no sizes seem better than those whose value was taken too low.
    """
    closer = maximise(rows, state.groups, alpha, state.e, state.Z, work=state.work)
    return closer if closer.value > state.value + RESOLVED * abs(state.value) else None


# ------------------------------------------------------------------------------- the dual variable


@dataclass(frozen=True)
class _State:
    """The maximising ``u`` for sizes ``e``, and what was computed on the way."""

    e: np.ndarray
    Z: np.ndarray  # u = -w * gradient of the loss at Z
    u: np.ndarray
    active: np.ndarray  # groups with e > 0
    C: np.ndarray  # c_j of these
    outputs: np.ndarray  # sum_j e_j A_j c_j / alpha
    value: float  # G(e) + alpha/2 sum e, at most
    normal: object
    groups: object  # to which the sizes belong
    work: Work


def constant_outputs(rows):
    return np.broadcast_to(rows.constant(), (rows.n_rows, rows.n_outputs))


def dual_variable(rows, Z):
    """``u = -w * gradient of the loss`` at outputs ``Z``, (n, C)."""
    return rows.fetch(rows.at(Z).residual)


def best_shift(rows, Z):
    """The best shift of all outputs, (C,); zero where there is no intercept."""
    return rows.at(Z).best_shift() if rows.intercept else np.zeros(Z.shape[1])


def maximise(rows, groups, alpha, e, Z, precision=0.0, limit=np.inf, *, work):
    """``u`` for sizes ``e`` by damped Newton steps, from outputs ``Z``.

    The steps are those for u, but taken in ``Z``, at which ``u`` is the negative gradient: there
    u cannot leave the domain of the dual, and the log-loss needs ten steps instead of a hundred.
    They end at a Newton decrement of ``precision``, a distance of values, or where it stops to
    fall; also where the value of ``e``, of which every ``u`` gives a lower bound, exceeds
    ``limit``, or ``work`` is used up.
    """
    active = np.flatnonzero(e > 0)
    share = e[active] / alpha
    loss, Y, w = rows.loss, rows.Y, rows.weights

    def evaluate(Z):
        work.spend()
        u = dual_variable(rows, Z)
        C, face = groups.project(u, active)
        outputs = groups.outputs(active, C * share[:, None])
        # ||c||^2 as 2 <c, A^T u> - ||c||^2: errors of a projection enter at second order.
        fit = float(np.vdot(u, outputs)) - 0.5 * float(share @ np.einsum("ij,ij->i", C, C))
        value = float(w @ loss.dual(Y, u / w[:, None])) - fit
        return Z, u, C, face, outputs, value

    limit = limit - 0.5 * alpha * float(e.sum())
    point, normal, decrement, before = evaluate(Z), None, 0.0, None
    for _ in range(_INNER_STEPS):
        Z, u, C, face, outputs, value = point
        if normal is None or not (loss.quadratic and groups.same_face(face, normal.face)):
            normal = normal_equations(groups, active, share, face, CurvatureRoot(rows, Z))
        gradient = Z - outputs
        du, dZ = normal.solve(gradient)
        slope = decrement = float(np.vdot(gradient, du))
        if loss.flat:
            # Where outputs move and u does not yet, the model sees nothing of what u gains.
            end = dual_variable(rows, _shifted(rows, Z + dZ))
            decrement = max(decrement, float(np.vdot(gradient, end - u)))
        rounding = max(RESOLVED * abs(value), _EPS**2)
        if decrement <= precision or value > limit or work.left <= 0:
            break
        if decrement <= rounding:
            # Values no longer tell the points apart; decrements, being squares, still do.
            if before is not None and decrement > 0.25 * before[1]:
                point, decrement = before
                break
            before = point, decrement
        trial, length = _search(rows, evaluate, point, du, dZ, slope, rounding)
        if trial is None:
            break
        point = trial
        if groups.linear and loss.quadratic and length == 1.0:
            # The model was exact, up to the residual of its equations.
            decrement *= normal.accuracy**2
            if decrement <= precision:
                break
    Z, u, C, face, outputs, value = point
    bound = value + max(decrement, 0.0) + 0.5 * alpha * float(e.sum())
    return _State(e, Z, u, active, C, outputs, bound, normal, groups, work)


def _shifted(rows, Z):
    return Z + best_shift(rows, Z)


def _search(rows, evaluate, point, du, dZ, slope, rounding):
    """A point along the step at which the value, concave in ``u``, is nearly the largest."""
    Z, u, value = point[0], point[1], point[-1]

    def along_outputs(length):
        return evaluate(_shifted(rows, Z + length * dZ))

    nearest = _NEAREST_FLAT if rows.loss.flat else _NEAREST
    found = _bracketed(along_outputs, u, value, slope, rounding, 1.0, nearest)
    if found[1] >= _SHORT or rows.loss.quadratic:
        return found
    # Where a group is stiff, A_j^T u has to stay where it is: along the straight line in u it does,
    # along that in Z it bends away.
    rho, change = u / rows.weights[:, None], du / rows.weights[:, None]
    longest = _INSIDE * rows.loss.longest_step(rows.Y, rho, change)
    if longest < _EPS:
        return found

    def along_dual(length):
        return evaluate(_shifted(rows, rows.loss.outputs(rows.Y, rho + length * change)))

    other = _bracketed(along_dual, u, value, slope, rounding, min(1.0, longest), nearest)
    if other[0] is None or (found[0] is not None and found[0][-1] >= other[0][-1]):
        return found
    return other


def _bracketed(trial_at, u, value, slope, rounding, length, nearest):
    """A trial and its length at most ``length``, by the root of the slope of the value.

    Where cones change their faces the slope of the value breaks many times within one step: its
    root is bracketed. ``<gradient, u - u_0>`` is the slope times the length, exactly for the
    squared error.  Regula falsi, Illinois: an end that stays counts half.  Where the slope all but
    jumps, as in cones that are thin in the units of the data, secants alone would creep there.
    """
    longest, low, high, side, found = length, (0.0, slope), None, 0, (None, 0.0)
    for _ in range(HALVINGS):
        trial = trial_at(length)
        here = float(np.vdot(trial[0] - trial[4], trial[1] - u)) / length
        if trial[-1] >= value + 1e-4 * length * slope - rounding:
            found = trial, length
            if slope <= rounding or (here >= 0.0 and length == longest) or abs(here) <= 0.5 * slope:
                break
        if here >= 0.0:
            low = length, here
            high = high and (high[0], 0.5 * high[1] if side > 0 else high[1])
            side = 1
        else:
            low = low[0], 0.5 * low[1] if side < 0 else low[1]
            high, side = (length, here), -1
        if high is None:
            break
        share = np.clip(low[1] / (low[1] - high[1]), nearest, 1.0 - nearest)
        length = low[0] + share * (high[0] - low[0])
    return found


# ---------------------------------------------------------------------------------------- the sizes


def sampled_sizes(rows, groups, alpha):
    """Sizes to begin with: those of the program over a sample of the rows.

    None where all rows are few enough, or the sample does not know every class.
    """
    n, n_outputs = rows.Y.shape
    if rows.Y.size <= LARGEST_FACTOR or not groups.linear:
        return None
    few = _SAMPLE // n_outputs
    chosen = np.unique(np.linspace(0, n - 1, few).astype(np.intp))
    if few == 0 or not np.ptp(rows.Y[chosen], axis=0).all():
        return None
    weights = rows.weights[chosen]
    part = rows.take(chosen).with_weights(weights / weights.sum())
    return solve_groups(part, groups.subset(chosen), alpha, tol=1e-2).sizes


def _point(rows, groups, state, alpha, norms, n_iter):
    """The feasible point of a state and its gap."""
    V = state.C * (state.e[state.active] / alpha)[:, None]
    # From the shift that the state has: beyond saturated outputs of thousands none would be found.
    b0 = np.zeros(rows.n_outputs)
    if rows.intercept:
        b0 = rows.weights @ (state.Z - state.outputs)
        b0 = b0 + best_shift(rows, state.outputs + b0)
    Z = state.outputs + b0
    penalty = alpha * float(np.linalg.norm(V, axis=1).sum())
    proof, u = certificate(rows, Z, penalty, state.u, alpha, float(norms.max(initial=0.0)))
    output, index = groups.split(state.active)
    return GroupSolution(output, index, V, b0, Z, u, state.e, proof, n_iter, converged=False)


def certificate(rows, Z, penalty, u, alpha, kappa):
    """The gap of outputs ``Z`` that the best multiple of ``u`` proves, and this multiple.

    ``penalty`` is that of the objective, with alpha; ``kappa`` is the largest price of ``u``.
    """
    state, point = rows.at(Z), rows.dual_point(u)
    primal, size = state.mean_loss + penalty, state.loss_size + penalty
    return point.certify(primal, alpha, kappa, "exact", size), point.scale(alpha, kappa) * u


def step(rows, groups, alpha, state, norms, C):
    """One Newton step in the sizes; None if no step lowers the objective."""
    e = state.e
    free = np.union1d(state.active, entering(rows, np.where(e == 0, norms, 0.0), alpha))
    rights = slopes(norms[free], alpha)
    newton = state.normal.step_in_sizes(groups.columns(free, C[free]), e[free], alpha)

    def move(change):
        trial = e.copy()
        trial[free] = np.maximum(e[free] + change, 0.0)
        return groups, trial, float(rights[0] @ (trial[free] - e[free]))

    return line_search(rows, alpha, state, newton, rights, move)


def entering(rows, norms, alpha):
    """Those of the largest ``norms`` beyond ``alpha`` that become free in one step."""
    most = max(rows.n_rows // _ENTERING, _LEAST_ENTERING)
    new = np.flatnonzero(norms > alpha)
    return new[np.argsort(-norms[new], kind="stable")[:most]]


def slopes(norms, alpha):
    """The derivatives of the objective in the sizes, and the form to be solved far from zero.

    The secular form: 1/||c|| is nearly linear in a size, so that far from the optimum the equation
    1/||c|| = 1/alpha is solved, not ||c||^2 = alpha^2; to first order they agree.
    """
    slope = (alpha**2 - norms**2) / (2 * alpha)
    excess = norms - alpha
    return slope, np.where(excess > 0, -((norms / alpha) ** 2) * excess, slope)


def line_search(rows, alpha, state, newton, rights, move):
    """The state after the longest of the steps ``newton(-right)`` and their halves that descends.

    ``move`` gives the groups and sizes of a step, and the change of the objective to first order.
    """
    slope, secular = rights
    # Of all losses: the dual function at zero.
    least = float(rows.weights @ rows.loss.dual(rows.Y, np.zeros(rows.Y.shape)))
    for right, halvings in ((secular, 3), (slope, HALVINGS)):
        direction = newton(-right)
        for halving in range(halvings):
            groups, trial, drop = move(0.5**halving * direction)
            if drop >= 0 or state.work.left <= 0:
                break
            precision = 1e-3 * min(-drop, abs(state.value))
            # The gap is of first order in what the value knows to second order: the last steps are
            # taken on trust, and judged by the gap.
            resolved = RESOLVED * abs(state.value)
            goal = state.value + (1e-4 * drop if -drop > resolved else resolved)
            # Such sizes cost more by themselves.  Without curvature (Huber's loss) Newton's method
            # asks for sizes of 1e11, whose values are rounding.
            if least + 0.5 * alpha * trial.sum() > goal:
                continue
            moved = maximise(rows, groups, alpha, trial, state.Z, precision, goal, work=state.work)
            if moved.value <= goal:
                return moved
    return None
