"""Networks with the fewest neurons that have the same outputs on the rows.

With fixed unit directions ``u_j`` and fixed unit output directions ``q_j = c_j / ||c_j||`` the
outputs of a network are ``1 b0^T + sum_j s_j a_j q_j^T`` with activations ``a_j = (X u_j)_+``:
linear in the sizes ``s_j = ||c_j||``, and so is its penalty ``sum_j s_j``.  The sizes with the same
outputs are a polytope, whose corners are the networks with linearly independent blocks
``a_j q_j^T``.  Algorithm 1 of Mishkin & Pilanci (arXiv:2306.00119) walks from an optimal network to
a corner.  There the penalty is constant on the polytope: at an optimum the residual has ``R^T a_j =
alpha q_j``, that is ``<R, a_j q_j^T> = alpha`` for every neuron, and ``R^T 1 = 0`` if there is a
free intercept, so that a relation ``sum_j beta_j a_j q_j^T = 1 d^T`` has ``alpha * sum_j beta_j =
(R^T 1)^T d = 0``.  At any other network the walk takes the way on which the penalty falls.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.problem.network import Network

# What is smaller than this, relative to the terms it is made of, counts as zero: the length of a
# block, a singular value of the blocks scaled to length one, the distance of two directions, the
# distance of a row from a kink.
RANK_TOL = 1e-10
# The same where the weights were rounded to single precision.
SINGLE_RANK_TOL = 1e-6
# Above this the least eigenvalue of a Gram matrix is no rounding, nor one of a relation.
_CLEAR = 1e-5
# Activations held at once, in bytes.
_BLOCK_BYTES = 64 << 20


def minimal_network(rows, network, *, tol=RANK_TOL):
    """The same outputs on the rows, no larger penalty, linearly independent blocks.

    1. Neurons of one direction add up to one neuron, and so do neurons of parallel output weights
       that lie in the closed cone of one activation pattern.  By the triangle inequality the
       penalty does not rise; it falls unless they are parallel.
    2. Where the blocks ``(X u_j)_+ c_j^T`` (and, with a free intercept, constants) satisfy a linear
       relation, the sizes move along it until a neuron vanishes.

    Parameters
    ----------
    rows : Rows
        Targets and loss are not used.
    network : Network
    tol : float
        Relative size below which a linear combination of blocks counts as zero.

    Returns
    -------
    Network
        With at most as many neurons as the blocks have dimensions: ``n_rows * n_outputs``, and
        ``(n_rows - 1) * n_outputs`` with an intercept.  Its outputs agree with those of ``network``
        to ``tol`` times the size of their terms, to rounding where the relations are exact.
    """
    rows = rows.with_dtype(np.float64)
    network = network.pruned()
    for step in (_one_per_direction, _one_per_cone, _independent):
        if network.n_neurons:
            network = step(rows, network, tol)
    return network


def _one_per_direction(rows, network, tol):
    """Neurons of the same direction become one: their output weights add up."""
    joinable = _equal_rows(network.U, tol)
    group, leaders = _cliques(joinable, network.sizes)
    if len(leaders) == network.n_neurons:
        return network
    C = np.zeros((len(leaders), network.C.shape[1]))
    np.add.at(C, group, network.C)
    return Network(network.U[leaders], C, network.b0).pruned()


def _one_per_cone(rows, network, tol):
    """Neurons active on the same rows (but for kinks), of parallel outputs, become one.

    ``(X v)_+ + (X w)_+ = (X (v + w))_+`` where no row has ``x^T v`` and ``x^T w`` of opposite
    signs; a set in which that holds for each pair adds up to one neuron.
    """
    sizes = network.sizes
    Q = network.C / sizes[:, None]
    joinable = _without_conflict(rows, network.U, _equal_rows(Q, tol), tol)
    group, leaders = _cliques(joinable, sizes)
    if len(leaders) == len(Q):
        return network
    V = np.zeros((len(leaders), network.U.shape[1]))
    np.add.at(V, group, sizes[:, None] * network.U)
    return Network.from_factors(V, Q[leaders], network.b0)


def _equal_rows(V, tol):
    """Which pairs of unit rows are closer than ``tol``?"""
    equal = np.eye(len(V), dtype=bool)
    # Cosines resolve no distance below the root of rounding: they name the pairs to look at.
    first, second = np.nonzero(np.triu(1.0 - max(tol, 1e-14) < V @ V.T, 1))
    close = np.linalg.norm(V[first] - V[second], axis=1) <= tol
    first, second = first[close], second[close]
    equal[first, second] = equal[second, first] = True
    return equal


def _without_conflict(rows, U, joinable, tol):
    """Which of the ``joinable`` pairs have no row that is strictly on different sides of them?"""
    for part in _parts(rows, 2 * len(U)):
        if joinable.sum() == len(U):
            break
        limit = tol * part.fetch(part.lengths())
        above = (part.fetch(part.hidden(U)) > limit).astype(np.float32)
        below = (part.fetch(part.hidden(-U)) > limit).astype(np.float32)
        conflicts = above.T @ below
        joinable = joinable & (conflicts + conflicts.T == 0)
    return joinable


def _cliques(joinable, sizes):
    """Greedy sets of neurons that may all join one another: the set of each, a member of each set.

    The largest neurons come first.  No two of the sets could be united: the first neuron of a later
    one was kept out of each of the earlier ones.
    """
    leader = np.full(len(sizes), -1)
    allowed = {}  # of every set: who may join all of its members
    for j in np.argsort(-sizes, kind="stable"):
        leader[j] = next((k for k, may_join in allowed.items() if may_join[j]), j)
        allowed[leader[j]] = allowed.get(leader[j], True) & joinable[j]
    leaders, group = np.unique(leader, return_inverse=True)
    return group, leaders


# --------------------------------------------------------------------------------- linear relations


def _independent(rows, network, tol):
    """Neurons leave along linear relations between the blocks until there are none."""
    return network.with_outputs(*independent_outputs(rows, network, tol)).pruned()


def independent_outputs(rows, network, tol=RANK_TOL):
    """Output weights (m, C), many zero, and intercepts for step 2 of :func:`minimal_network`."""
    sizes = network.sizes
    if _clearly_independent(rows, network):
        return network.C, network.b0
    triangle, mean = _triangle_of_activations(rows, network.U)
    blocks = _blocks(triangle, network.C / sizes[:, None])
    lengths = np.linalg.norm(blocks, axis=0)
    # Without a block: silent on the rows or, with an intercept, constant on them.
    heard = lengths > tol * np.hypot(lengths, np.sqrt(rows.n_rows) * np.abs(mean))
    # What is lost in the rounding of the outputs has no length to divide by either.
    parts = sizes * lengths
    heard &= parts > np.finfo(float).eps * parts.sum()
    null = _null_space(blocks[:, heard] / lengths[heard], tol)
    if heard.all() and not null.shape[1]:
        return network.C, network.b0
    blocks, cost = blocks[:, heard] / lengths[heard], 1.0 / lengths[heard]
    kept = np.zeros(len(sizes))
    kept[heard] = _corner(blocks, null, parts[heard], cost, tol) * cost
    C = network.C * (kept / sizes)[:, None]
    return C, network.b0 + mean @ (network.C - C) if rows.intercept else network.b0


def _clearly_independent(rows, network):
    """Does already the Gram matrix of the blocks, which is cheap but squares, show full rank?"""
    mean, gram, _ = rows.moments(network.U)
    if rows.intercept:
        gram = gram - np.outer(mean, mean)
    Q = network.C / network.sizes[:, None]
    gram = gram * (Q @ Q.T)
    lengths = np.sqrt(np.maximum(np.diag(gram), 0.0))
    if not np.all(lengths > _CLEAR * np.sqrt(np.diag(gram) + mean**2)):
        return False
    return np.linalg.eigvalsh(gram / np.outer(lengths, lengths))[0] > _CLEAR


def _corner(blocks, null, start, cost, tol):
    """Weights ``s >= 0``, ``blocks @ s = blocks @ start``, with independent blocks where ``s > 0``.

    ``cost @ s`` does not rise.  The null space of the blocks is computed once; when a weight
    reaches zero the space loses the direction that would move it again.
    """
    if not null.shape[1]:
        return start
    s = start.copy()
    while null.shape[1]:
        downhill = null.T @ cost
        if not downhill.any():
            downhill = null[int(np.argmax(np.abs(null).max(axis=1)))]
        # cost @ step >= 0 and cost > 0: some weight falls on the way s - t * step.
        step = null @ (downhill / np.linalg.norm(downhill))
        falling = step > min(tol * np.abs(step).max(), 0.5 * step.max())
        ratios = np.where(falling, s / np.where(falling, step, 1.0), np.inf)
        length = ratios.min()
        s = np.maximum(s - length * step, 0.0)
        for j in np.flatnonzero(ratios <= length * (1 + 1e-12)):
            s[j] = 0.0
            null = _fixed(null, j, tol)
    # What rounding has added up on the way goes into the weights that are left.
    kept = np.flatnonzero(s)
    missing = blocks @ start - blocks[:, kept] @ s[kept]
    corrected = s[kept] + np.linalg.lstsq(blocks[:, kept], missing)[0]
    if np.all(corrected > 0) and cost[kept] @ corrected <= cost @ start * (1 + 1e-13):
        s[kept] = corrected
    return s


def _null_space(blocks, tol):
    """Orthonormal columns that span the relations between unit columns, by their SVD."""
    if not blocks.shape[1]:
        return np.zeros((0, 0))
    _, singular, Vt = np.linalg.svd(blocks)
    return Vt[int(np.sum(singular > tol * singular[0])) :].T


def _fixed(null, j, tol):
    """An orthonormal basis of the vectors in the span of ``null`` whose entry ``j`` is zero."""
    null, length = null.copy(), np.linalg.norm(null[j])
    if length > tol:
        # Householder's reflection of the row to a multiple of the first unit vector.
        v = null[j] / length
        v[0] += 1.0 if v[0] >= 0 else -1.0
        null = (null - np.outer(null @ v, v / abs(v[0])))[:, 1:]
    null[j] = 0.0
    return null


def _triangle_of_activations(rows, U):
    """R of the QR factors of the activations less their means, and the means.

    Without an intercept nothing is subtracted.  With a first column of ones R has the means in its
    first row, and below it belongs to the activations orthogonal to that column.
    """

    def columns():
        for part in _parts(rows, len(U) + 1):
            A = part.fetch(part.hidden(U))
            yield np.column_stack([np.ones(len(A)), A]) if rows.intercept else A

    R = _triangle(columns())
    if rows.intercept:
        return R[1:, 1:], R[0, 1:] / R[0, 0]
    return R, np.zeros(len(U))


def _blocks(triangle, Q):
    """The blocks ``a_j q_j^T`` as columns, in coordinates of their span."""
    if Q.shape[1] == 1:
        return triangle * Q[:, 0]
    return _triangle(triangle * q for q in Q.T)


def _triangle(parts):
    """R of the QR factors of matrices put one below the other."""
    R = None
    for part in parts:
        R = part if R is None else np.vstack([R, part])
        # At most as many rows as columns are left.
        R = np.linalg.qr(R, mode="r")
    return R


def _parts(rows, width):
    """The rows in parts so small that ``width`` numbers for each row stay small in memory."""
    step = max(1, _BLOCK_BYTES // (8 * width))
    for start in range(0, rows.n_rows, step):
        yield rows.take(slice(start, start + step)).with_dtype(np.float64)


def with_best_intercept(rows, network):
    return rows.settled(rows.evaluate(network)).network


def objective(rows, network, alpha):
    return rows.evaluate(network).objective(alpha)
