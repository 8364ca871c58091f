"""Rows in shares, each in a place of its own: workers of a cluster, or blocks that are read anew.

One call of a function for each share makes a pass, and what a share keeps stays in its place: here
come sums over rows, and samples.  A *place* says where functions run:

``keep(function, columns, *small) -> handles``
    Calls ``function(*parts, *small)`` for every share, with one part of each of ``columns`` (lists
    of handles), and leaves the results where the share is.
``fetch(handles)``
    The results, here, in the order of the shares.
``some(index)``
    The place of some of the shares.

Within a share rows are added up as in memory, and shares in their order: sums depend on which rows
are in which share, but neither on timing nor on who computes it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from sklearn_convexnn.core.problem.engines.block import Statistics
from sklearn_convexnn.core.problem.engines.in_memory import NumpyEngine
from sklearn_convexnn.core.problem.engines.part import PartEngine
from sklearn_convexnn.core.problem.engines.row_keys import count_distinct, pair_keys
from sklearn_convexnn.core.problem.engines.weights import NO_WEIGHT

# Rows, and bytes of their features, that may be taken into memory: as many as a sample.
MOST_COLLECTED, MOST_COLLECTED_BYTES = 50_000, 1 << 26
# Places that count distinct rows, each those of a range of hashes.
_MOST_RANGES = 32
# How many more keys than the sample has rows are looked at to find its largest.
_SURPLUS = 1.5


@dataclass
class Held:
    """An array that is kept in memory, as what :class:`Share` reads."""

    array: np.ndarray

    def __call__(self):
        return self.array


@dataclass
class Share:
    """The rows of one place.

    ``load()`` gives the features (m, d), of which ``index`` are the rows; all for None.
    ``sample_weights`` are those without the weights of classes.
    """

    load: object
    Y: np.ndarray
    weights: np.ndarray
    sample_weights: np.ndarray
    index: np.ndarray | None = None
    found: dict = field(default_factory=dict)  # keys, once

    def engine(self, *, features=True):
        """The rows in memory, without features where none are read."""
        X = self.load() if features else None
        if X is None or self.index is None:
            return NumpyEngine(X, self.Y, self.weights)
        return PartEngine(X, self.Y, self.weights, self.index)

    @property
    def keys(self):
        if "keys" not in self.found:
            self.found["keys"] = self.engine().keys
        return self.found["keys"]

    def take(self, index):
        """Some of the rows, of the same features."""
        return Share(
            self.load,
            self.Y[index],
            self.weights[index],
            self.sample_weights[index],
            index if self.index is None else self.index[index],
            {name: found[index] for name, found in self.found.items()},
        )

    def rows(self, index, dtype):
        """Features in another dtype, targets and both weights of some of the rows."""
        X = self.engine().gathered(index, np.dtype(dtype))
        return X, self.Y[index], self.weights[index], self.sample_weights[index]

    def __sizeof__(self):
        """What moving it would cost, for a scheduler that might."""
        parts = [self.Y, self.weights, self.index, getattr(self.load, "array", None)]
        return sum(part.nbytes for part in parts if part is not None)


class Threads:
    """Shares of this process, in threads: their features are read anew in every pass."""

    def __init__(self, count):
        self.count = count

    def some(self, index):
        """The place of some of the shares."""
        return self

    def keep(self, function, columns, *small):
        with ThreadPoolExecutor(self.count) as pool:
            return list(pool.map(lambda *parts: function(*parts, *small), *columns))

    def fetch(self, handles):
        return handles


class DistributedEngine:
    """Rows in shares; see :mod:`sklearn_convexnn.core.problem.engines` for what an engine does.

    Parameters
    ----------
    place : object
        See above.
    shares : handles of :class:`Share`
    sizes : sequence of int
        Rows of every share.
    n_features, n_outputs : int
    dtype : dtype of the features
    """

    sparse = coded = in_memory = in_file = False

    def __init__(self, place, shares, sizes, n_features, n_outputs, dtype):
        self.place, self.shares, self.sizes = place, shares, tuple(sizes)
        self.n_rows, self.n_features, self.n_outputs = sum(sizes), n_features, n_outputs
        self.dtype = np.dtype(dtype)
        self._statistics = self._n_distinct = None
        self.passes = 0

    @classmethod
    def of(cls, place, shares, *facts):
        """The engine of those of the shares that have rows."""
        sizes = place.fetch(place.keep(_size, [shares]))
        used = [k for k, size in enumerate(sizes) if size]
        if not used:
            raise ValueError(NO_WEIGHT)
        return cls(place.some(used), [shares[k] for k in used], [sizes[k] for k in used], *facts)

    def each(self, function, *small, rowwise=()):
        """The results of ``function(share, *rowwise, *small)``, one of each share, here."""
        return self.place.fetch(self.place.keep(function, [self.shares, *rowwise], *small))

    def map_reduce(self, kernel, *small, width, dtype=None, rowwise=(), keep=False):
        """See :mod:`sklearn_convexnn.core.problem.engines`."""
        self.passes += dtype is not None
        arguments = kernel, small, {"width": width, "dtype": dtype, "keep": keep}
        if not keep:
            return _total(self.each(_sums, *arguments, rowwise=rowwise)), None
        kept = self.place.keep(_pass, [self.shares, *rowwise], *arguments)
        return _total(self.place.fetch(self.place.keep(_sums_of, [kept]))), kept

    # ------------------------------------------------------------------ other rows

    def mapped(self, function, *small, rowwise=(), n_outputs=None):
        """The engine of the shares that ``function(share, *rowwise, *small)`` makes of these."""
        shares = self.place.keep(function, [self.shares, *rowwise], *small)
        n_outputs = self.n_outputs if n_outputs is None else n_outputs
        return self.of(self.place, shares, self.n_features, n_outputs, self.dtype)

    def first(self, count):
        """At most ``count`` rows in memory, from the begin of every share."""
        each = -(-count // len(self.sizes))
        return self._gathered(each).take(slice(0, count))

    def sample(self, count, dtype):
        """At most ``count`` rows, drawn by their keys, with weights of sum 1."""
        count = min(count, self.n_rows)
        parts = self.each(_of_least_keys, self._largest_key(count), count, dtype)
        keys = np.concatenate([part.pop(0) for part in parts])
        X, Y, weights, _ = joined([part.pop() for part in parts])
        if len(keys) > count:  # copies of the last row
            kept = np.argsort(keys, kind="stable")[:count]
            X, Y, weights = X[kept], Y[kept], weights[kept]
        return NumpyEngine(X, Y, weights / weights.sum())

    def _largest_key(self, count):
        """The largest of the ``count`` smallest keys; those of one value may be more of them."""
        share = _SURPLUS * count / self.n_rows
        while True:
            limit = np.uint64(min(share, 1.0 - 2.0**-53) * 2.0**64)
            keys = np.concatenate(self.each(_keys_up_to, limit, count))
            if len(keys) >= count or share >= 1.0:
                return np.sort(keys)[min(count, len(keys)) - 1]
            share *= 2.0

    def draw(self, handle, count, dtype):
        """About ``count`` rows, drawn by their keys as often as what was kept of them is large."""
        sizes = _total(self.each(_sums, _total_size, (), {"width": 1}, rowwise=(handle,)))[0]
        rate = count / max(float(sizes), np.finfo(float).tiny)
        parts = self.each(_drawn, rate, np.dtype(dtype), rowwise=(handle,))
        X, Y, weights, _ = joined([rows for _, rows in parts])
        return NumpyEngine(X, Y, weights), np.concatenate([kept for kept, _ in parts])

    # ------------------------------------------------------------------ to memory

    def fetch(self, handle):
        """What a pass has kept, as one NumPy array, of few rows only."""
        self._check_few(MOST_COLLECTED)
        return np.concatenate(self.place.fetch(self.place.keep(_kept_of, [handle])))

    def collect(self, limit=None):
        """All rows in memory; a ValueError where they are many."""
        self._check_few(MOST_COLLECTED if limit is None else limit)
        return self._gathered(max(self.sizes))

    def targets(self):
        """``Y`` and the weights, in memory."""
        return self.collect().targets()

    def _check_few(self, limit):
        if self.n_rows > limit:
            raise ValueError(
                f"This needs all {self.n_rows} rows in the memory of one process, where at most "
                f"{limit} of a collection are gathered: use fewer rows."
            )

    def _gathered(self, count):
        """The first ``count`` rows of every share."""
        return NumpyEngine(*joined(self.each(_first, count, self.dtype))[:3])

    # ------------------------------------------------------------------ facts

    def statistics(self):
        if self._statistics is None:
            parts = self.each(_statistics)
            self._statistics = Statistics(
                np.sum([part.mean_row for part in parts], axis=0),
                max(part.largest_target for part in parts),
                min(part.least_weight for part in parts),
                max(part.largest_weight for part in parts),
            )
        return self._statistics

    def n_distinct(self):
        """Rows that differ in features or targets, by their hashes, which do not come here."""
        if self._n_distinct is None:
            place, count = self.place, min(len(self.sizes), _MOST_RANGES)
            ranges = place.keep(_hash_ranges, [self.shares], count)
            # Those of one range from all shares, for each of the first places.
            pieces = [place.keep(_item, [ranges], k) for k in range(count)]
            counts = place.keep(_count_distinct, list(zip(*pieces, strict=True)))
            self._n_distinct = sum(place.fetch(counts))
        return self._n_distinct

    def close(self):
        """Shares are given back when nothing refers to them."""
        self.shares = ()


# -------------------------------------------------------------- what runs where the shares are


def _pass(share, *arguments):
    """Sums and what is kept; the last three arguments are those of the pass, before them handles.

    The sums are kept as well, so that handles of all passes are alike.
    """
    *rowwise, kernel, small, settings = arguments
    settings = settings | {"rowwise": tuple(kept for _, kept in rowwise)}
    engine = share.engine(features=settings.get("dtype") is not None)
    return engine.map_reduce(kernel, *small, **settings)


def _sums(share, *arguments):
    return _pass(share, *arguments)[0]


def _sums_of(result):
    return result[0]


def _kept_of(result):
    return result[1]


def _total(parts):
    """Sums of all shares, in their order."""
    totals = [np.array(part, dtype=np.float64) for part in parts[0]]
    for sums in parts[1:]:
        for total, part in zip(totals, sums, strict=True):
            total += part
    return totals


def _total_size(xp, B):
    return (xp.sum(xp.abs(B.rowwise[0])),), None


def _size(share):
    return len(share.Y)


def _statistics(share):
    return share.engine().statistics()


def _first(share, count, dtype):
    return share.rows(np.arange(min(count, len(share.Y))), dtype)


def joined(parts):
    """Arrays of rows of several shares, one after the other."""
    columns = [list(arrays) for arrays in zip(*parts, strict=True)]
    parts.clear()
    found = []
    while columns:  # each is given back before the next: they may be large
        found.append(np.concatenate(columns.pop(0)))
    return tuple(found)


def _keys_up_to(share, limit, count):
    """At most ``count`` of the keys, the smallest."""
    keys = share.keys[share.keys <= limit]
    return np.partition(keys, count)[:count] if len(keys) > count else keys


def _of_least_keys(share, limit, count, dtype):
    """At most ``count`` rows of keys up to a limit, with these."""
    index = np.flatnonzero(share.keys <= limit)[:count]
    return [share.keys[index], share.rows(index, dtype)]


def _drawn(share, result, rate, dtype):
    """Rows drawn as often as what was kept is large, and it over these frequencies."""
    kept = result[1]
    frequency = np.minimum(1.0, rate * np.abs(kept).sum(axis=1))
    index = np.flatnonzero(share.keys < frequency * 2.0**64)
    return kept[index] / frequency[index, None], share.rows(index, dtype)


def _hash_ranges(share, count):
    """Distinct hashes of features and targets, by ranges."""
    hashes = np.unique(pair_keys(share.keys, share.Y))
    ends = (np.arange(1, count, dtype=np.float64) / count * 2.0**64).astype(np.uint64)
    return np.split(hashes, np.searchsorted(hashes, ends))


def _item(parts, k):
    return parts[k]


def _count_distinct(*pieces):
    return count_distinct(np.concatenate(pieces))
