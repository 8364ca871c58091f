"""The network without neurons, which is optimal for large alpha."""

from __future__ import annotations

from sklearn_convexnn.core.problem.network import Network


def constant_network(rows):
    """The best network without neurons."""
    return Network.constant(rows.constant(), rows.n_columns, rows.n_weights)


def constant_residual(rows, network=None):
    """The dual variable (n, C) of the best constant: a loss with a kink chooses among several.

    ``network`` is the :func:`constant_network`, where it is at hand.
    """
    if rows.loss.smooth:
        network = constant_network(rows) if network is None else network
        return rows.evaluate(network).residual
    if rows.at_hand:
        return rows.loss.constant_residual(rows.Y, rows.weights, rows.intercept)
    return rows.balanced_residual()
