"""Places of a Dask cluster: one share of the rows, and one task in every pass, for each worker.

The only file of the core that knows Dask.  Shares are futures, pinned to a worker but not bound to
it: if it is lost, Dask computes them again somewhere else, from what they were made of.  As what is
in a share stays the same, so do all sums, to the last bit.
"""

from __future__ import annotations

import pickle

import numpy as np

from sklearn_convexnn.core.problem.engines.shares import Threads
from sklearn_convexnn.core.problem.engines.threads import one_blas_thread, worker_threads

# Seconds without an answer after which somebody looks whether there are workers at all.
_PATIENCE = 30.0
# Blocks stay with the workers that hold them unless one has so many times its even part.
_UNEVEN = 2.0


class Cluster:
    """The workers of a client, in the order of their addresses."""

    def __init__(self, client, addresses):
        self.client, self.addresses = client, addresses

    def some(self, index):
        return Cluster(self.client, [self.addresses[k] for k in index])

    def keep(self, function, columns, *small):
        """See :mod:`sklearn_convexnn.core.problem.engines.shares`."""
        # One string: Dask need not look for its own objects in it.
        work = pickle.dumps((function, small), protocol=pickle.HIGHEST_PROTOCOL)
        return [
            self.client.submit(_run, work, *parts, **self._on(address))
            for address, parts in zip(self.addresses, zip(*columns, strict=True), strict=False)
        ]

    def fetch(self, futures):
        """The results, here; an error where there are no workers left that might compute them."""
        from distributed import wait

        while True:
            try:
                wait(futures, timeout=_PATIENCE)
                break
            except TimeoutError:
                if not self.client.nthreads():
                    raise RuntimeError(
                        f"All workers of {self.client!r} are lost, and with them the rows: start "
                        "others and fit again."
                    ) from None
        return self.client.gather(futures)

    def _on(self, address):
        # Not bound to the worker, or its tasks would wait for ever where it is lost; not pure, or
        # a pass of equal arguments would be the one before.
        return {"workers": [address], "allow_other_workers": True, "pure": False}


def _run(work, *parts):
    """A function on a worker: its threads share blocks of rows, not the products of one."""
    from distributed import get_worker

    function, small = pickle.loads(work)
    with one_blas_thread(), worker_threads(get_worker().state.nthreads):
        return function(*parts, *small)


class Lazy:
    """The features of a block, which are computed whenever they are read."""

    def __init__(self, block, dtype):
        self.block, self.dtype = block, dtype

    def __call__(self):
        return np.asarray(_computed(self.block), dtype=self.dtype)


def _computed(part):
    import dask

    return dask.compute(part, scheduler="synchronous")[0]


def make_shares(blocks, function):
    """Blocks of rows as shares, in a place that computes.

    With a client every worker has the blocks that it holds, or as many as any other, and keeps
    them, put together once.  Without one every block is a share, read anew in every pass by a
    thread of this process.

    Parameters
    ----------
    blocks : list of tuples
        Delayed features, and delayed or actual targets and weights, or None.
    function : callable
        ``function(parts, lazy)`` makes a share of a list of such tuples, computed; the features are
        kept, or with ``lazy`` (a callable of their dtype) not.

    Returns
    -------
    place, shares : object, list of handles
    """
    client = _client()
    if client is None:
        import dask

        place = Threads(dask.config.get("num_workers", None) or dask.system.CPU_COUNT)

        def made(block):
            parts = tuple(_computed(part) for part in block)
            return function([parts], lambda dtype: Lazy(block[0], dtype))

        return place, place.keep(made, [blocks])
    addresses = sorted(client.nthreads())
    if not addresses:
        raise RuntimeError(f"{client!r} has no workers: start some, then fit.")
    groups = _groups(client, addresses, [block[0] for block in blocks])
    return Cluster(client, list(groups)), [
        _pinned(client, address, function, [blocks[k] for k in group])
        for address, group in groups.items()
    ]


def _pinned(client, address, function, blocks):
    """The future of a share; with it its blocks are read where it will be."""
    from dask import delayed

    share = delayed(function, pure=False)(blocks, None)
    return client.compute(share, workers=[address], allow_other_workers=True)


def _groups(client, addresses, blocks):
    """Numbers of blocks for every address: those that are held there, or consecutive ones."""
    keys = [block.key for block in blocks]
    held = client.who_has()  # of all: optimised graphs do not name the futures of their blocks
    groups = {}
    for k, key in enumerate(keys):
        holders = sorted(set(held.get(key, ())) & set(addresses))
        if not holders:
            break
        groups.setdefault(holders[0], []).append(k)
    else:
        if max(map(len, groups.values())) <= _UNEVEN * np.ceil(len(keys) / len(addresses)):
            return {address: groups[address] for address in addresses if address in groups}
    parts = np.array_split(np.arange(len(keys)), len(addresses))
    return {a: part.tolist() for a, part in zip(addresses, parts, strict=True) if len(part)}


def _client():
    """The client of this thread or process, None where there is none."""
    try:
        from distributed import default_client

        return default_client()
    except (ImportError, ValueError):
        return None
