"""Threads that share the blocks of a pass, and those of the BLAS, which have none to share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from threadpoolctl import ThreadpoolController

# Chunks of blocks of which the sums are added up one after the other, whatever the number of
# threads, and so few of them that threads would cost more than they do.
MOST_CHUNKS, LEAST_CHUNKS = 32, 8

# Of the context, not of an engine: parts and samples of the rows share it, copies for other
# processes do not, and no array has to know of it.
_POOL = ContextVar("pool", default=None)


@contextmanager
def worker_threads(count):
    """Within it passes over many blocks of rows run in ``count`` threads."""
    if count == 1:
        yield
        return
    with ThreadPoolExecutor(count) as pool:
        token = _POOL.set(pool)
        try:
            yield
        finally:
            _POOL.reset(token)


def mapped(function, chunks):
    """``function`` of every chunk, in their order."""
    pool = _POOL.get()
    if pool is None or len(chunks) < LEAST_CHUNKS:
        return map(function, chunks)
    return pool.map(function, chunks)


@cache
def _libraries():
    """Those of this process, found once: to look for them takes some milliseconds."""
    return ThreadpoolController()


def one_blas_thread():
    """A context in which products of matrices run in one thread."""
    return _libraries().limit(limits=1, user_api="blas")
