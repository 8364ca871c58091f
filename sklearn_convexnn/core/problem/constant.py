"""The network without neurons, which is optimal for large alpha."""

from __future__ import annotations

from sklearn_convexnn.core.problem.network import Network


def constant_network(rows):
    """The best network without neurons."""
    return Network.constant(rows.constant(), rows.n_columns, rows.n_weights)


def constant_state(rows):
    """The :class:`~sklearn_convexnn.core.problem.row_state.RowState` of the best constant."""
    return rows.evaluate(constant_network(rows))


def constant_residual(rows):
    """The dual variable (n, C) of the best constant: a loss with a kink chooses among several."""
    if rows.loss.smooth:
        return constant_state(rows).residual
    return rows.loss.constant_residual(rows.Y, rows.weights, rows.intercept)
