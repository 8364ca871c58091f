"""The mean of networks as one network, with a certificate of its own."""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.column_generation.run import Run
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.solution import Solution, Status


def mean_network(networks, shares=None):
    """The network whose outputs are the mean of theirs, by ``shares`` if they are not equal.

    (P) is convex in the measure of neurons: on any rows its objective is at most the mean of their
    objectives.
    """
    if shares is None:
        shares = np.full(len(networks), 1.0 / len(networks))
    parts = list(zip(networks, shares, strict=True))
    return Network(
        np.concatenate([network.U for network in networks]),
        np.concatenate([share * network.C for network, share in parts]),
        np.sum([share * network.b0 for network, share in parts], axis=0),
    )


def certified_mean(rows, networks, alpha, pricing, *, options, shares=None):
    """The mean of networks by their shares, with the best intercept, as a Solution of (P).

    One pricing of the dual point of its outputs tells how far its objective is from the optimum.
    Parameters are those of :func:`~sklearn_convexnn.core.column_generation.loop.solve`.
    """
    run = Run(rows, alpha, options, pricing.metric)
    run.begin(mean_network(networks, shares).merged(metric=pricing.metric))
    run.price(pricing, effort=options.confirm_effort)
    run.record()
    return Solution(run.state.network, run.certificate, Status.MEAN, alpha, 1, run.history)
