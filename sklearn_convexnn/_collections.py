"""Dask arrays and data frames: rows are checked, trained on and predicted where they are."""

from __future__ import annotations

import functools
import warnings
from copy import copy
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import numpy as np
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from sklearn_convexnn._validation import Function
from sklearn_convexnn.core.problem.engines.dask_cluster import make_shares
from sklearn_convexnn.core.problem.engines.shares import (
    MOST_COLLECTED,
    MOST_COLLECTED_BYTES,
    DistributedEngine,
    Held,
    Share,
)
from sklearn_convexnn.core.problem.engines.weights import NO_WEIGHT

_DTYPES = [np.float64, np.float32]
# Classes that come here to be told apart; of real numbers there would be as many as rows.
_MOST_CLASSES = 10_000


def is_collection(X):
    """Whether these are rows of Dask, which need not be imported to know."""
    return type(X).__module__.partition(".")[0] == "dask" and hasattr(X, "__dask_graph__")


def of_many_rows(n_rows):
    """Why something is refused, in words."""
    return f"is not for the {n_rows} rows of a dask collection, which stay where they are"


def _is_frame(X):
    return hasattr(X, "columns") or hasattr(X, "to_frame")


# ---------------------------------------------------------------------------------------- blocks


def stand_in(X):
    """No rows, with the columns of a collection, by which names and numbers are compared."""
    if _is_frame(X):
        return X._meta
    if X.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {X.ndim}D array instead: a dask array of features has rows "
            "and columns."
        )
    return np.empty((0, X.shape[1]))


def blocks_of(X, *others):
    """Tuples of delayed blocks of rows: of ``X`` and of other arrays of the same rows, or None.

    Arrays in memory are cut as ``X`` is, which has to know how long its blocks are.
    """
    rows = None
    if not _is_frame(X):
        X = X.rechunk({1: -1})
        rows = X.chunks[0]
    known = rows is not None and not np.any(np.isnan(rows))
    columns = [_delayed(X)]
    for other in others:
        columns.append(_cut(other, len(columns[0]), rows if known else None))
    return list(zip(*columns, strict=True))


def _delayed(X):
    return list(np.ravel(X.to_delayed()))


def _cut(other, n_blocks, rows):
    """Blocks of an array of the same rows, whose blocks have ``rows`` rows if that is known."""
    if other is None:
        return [None] * n_blocks
    if is_collection(other):
        if not _is_frame(other):
            if other.ndim == 2:
                other = other.rechunk({1: -1})
            if rows is not None and not np.any(np.isnan(other.chunks[0])):
                if sum(rows) != other.shape[0]:
                    check_consistent_length(range(sum(rows)), range(other.shape[0]))
                other = other.rechunk({0: rows})
        blocks = _delayed(other)
        if len(blocks) != n_blocks:
            raise ValueError(
                f"X has {n_blocks} blocks and y or sample_weight {len(blocks)}, of unknown "
                "lengths: take both from one collection, or call compute_chunk_sizes()."
            )
        return blocks
    if rows is None:
        raise ValueError(
            "y or sample_weight is in memory and X is a dask collection whose blocks have unknown "
            "lengths: take both from one collection, or call X.compute_chunk_sizes()."
        )
    other = np.asarray(other)
    if len(other) != sum(rows):
        check_consistent_length(range(sum(rows)), other)
    return np.split(other, np.cumsum(rows)[:-1])


# ------------------------------------------------------------------------- checked, by the workers


class _Rows(NamedTuple):
    """Checked rows of one place; ``load()`` gives the features."""

    load: object
    y: np.ndarray
    weights: np.ndarray
    n_features: int
    dtype: np.dtype


def _checked(parts, lazy, classifies):
    """The rows of some blocks, checked and put together."""
    blocks = [_checked_block(*part, classifies) for part in parts]
    y, weights = (np.concatenate([block[k] for block in blocks]) for k in (1, 2))
    n_features, dtype = blocks[0][0].shape[1], np.result_type(*(b[0].dtype for b in blocks))
    if lazy is not None:
        return _Rows(lazy(dtype), y, weights, n_features, dtype)
    X = blocks[0][0] if len(blocks) == 1 else np.concatenate([block[0] for block in blocks])
    return _Rows(Held(X), y, weights, n_features, dtype)


def _checked_block(X, y, weights, classifies):
    """Blocks without rows are allowed."""
    anything = {"ensure_min_samples": 0}
    X = check_array(X, dtype=_DTYPES, input_name="X", **anything)
    if classifies:
        y = np.asarray(y)
        y = column_or_1d(y, warn=True) if y.ndim < 2 or y.shape[1] == 1 else y
    else:
        y = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y", **anything)
    if weights is None:
        weights = np.ones(len(X))
    weights = check_array(
        weights, dtype=np.float64, ensure_2d=False, input_name="sample_weight", **anything
    )
    weights = column_or_1d(weights)
    if np.any(weights < 0):
        raise ValueError("Negative values in data passed to `sample_weight`.")
    check_consistent_length(X, y, weights)
    return X, y, weights


def _sizes(held):
    positive = held.weights > 0
    return len(positive), int(positive.sum()), held.n_features, held.dtype, held.y.ndim


def _n_outputs(held):
    return 1 if held.y.ndim == 1 else held.y.shape[1]


def _labels(held):
    """Labels with their summed weights, all those of positive weight; few of too many."""
    if held.y.ndim > 1:
        return held.y[:2], None
    labels, index = np.unique(held.y, return_inverse=True)
    sums = np.bincount(index, weights=held.weights, minlength=len(labels))
    return labels[: _MOST_CLASSES + 1], sums[: _MOST_CLASSES + 1]


def _arrays(held):
    return held.load(), held.y, held.weights


# ------------------------------------------------------------------------------------- the Data


@dataclass(frozen=True)
class SpreadData:
    """What :class:`~sklearn_convexnn._base.Data` is for rows in shares: checked, not encoded."""

    place: object
    rows: list
    n_rows: int
    n_features: int
    dtype: np.dtype
    target_ndim: int

    @classmethod
    def of(cls, X, y, sample_weight, *, classifies):
        """Rows that are checked where they are."""
        blocks = blocks_of(X, y, sample_weight)
        place, rows = make_shares(blocks, functools.partial(_checked, classifies=classifies))
        sizes = place.fetch(place.keep(_sizes, [rows]))
        # Nothing is done with places that have no rows.
        used = [k for k, size in enumerate(sizes) if size[1]]
        if not used:
            raise ValueError(
                NO_WEIGHT
                if any(size[0] for size in sizes)
                else f"Found array with 0 sample(s) (shape=(0, {sizes[0][2]})) while a minimum of "
                "1 is required."
            )
        place = place.some(used)
        sizes = [sizes[k] for k in used]
        for k, what in ((2, "columns of X"), (4, "dimensions of y")):
            if len({size[k] for size in sizes}) > 1:
                raise ValueError(f"Blocks differ in their {what}.")
        dtype = np.result_type(*(size[3] for size in sizes))
        n_rows = sum(size[1] for size in sizes)
        return cls(place, [rows[k] for k in used], n_rows, sizes[0][2], dtype, sizes[0][4])

    @property
    def few(self):
        """Whether all rows are no more than a sample of many would be."""
        size = self.n_rows * self.n_features * self.dtype.itemsize
        return self.n_rows <= MOST_COLLECTED and size <= MOST_COLLECTED_BYTES

    def each(self, function, *small):
        return self.place.fetch(self.place.keep(function, [self.rows], *small))

    def in_memory(self, like):
        """Features, with the names of ``like`` if it has any, targets and weights of few rows."""
        X, y, weights = (np.concatenate(a) for a in zip(*self.each(_arrays), strict=True))
        return type(like)(X, columns=like.columns) if _is_frame(like) else X, y, weights

    def n_outputs(self):
        """Columns of the targets."""
        return self.each(_n_outputs)[0]

    def labels(self):
        """The labels with their summed weights."""
        parts = self.each(_labels)
        if parts[0][1] is None:
            return parts[0]
        labels, index = np.unique(
            np.concatenate([labels for labels, _ in parts]), return_inverse=True
        )
        sums = np.concatenate([sums for _, sums in parts])
        return labels, np.bincount(index, weights=sums, minlength=len(labels))

    def engine(self, encode, n_outputs):
        """The engine of the rows of positive weight; ``encode(y)`` gives targets and factors."""
        shares = self.place.keep(_encoded, [self.rows], encode)
        return DistributedEngine.of(self.place, shares, self.n_features, n_outputs, self.dtype)

    def looked_at(self, count=20_000):
        """Some of the rows and their weights, to say what the columns are like."""
        parts = self.each(_some, -(-count // len(self.rows)))
        return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def _encoded(held, encode):
    """A share of the rows of positive weight."""
    Y, factors = encode(held.y)
    weights, load = held.weights * factors, held.load
    share = Share(load, Y, weights, held.weights)
    if np.all(weights > 0):
        return share
    share = share.take(np.flatnonzero(weights > 0))
    if isinstance(load, Held):
        share = replace(share, load=Held(load.array[share.index]), index=None)
    return share


def _some(held, count):
    some = slice(None, None, max(1, len(held.y) // count))
    return held.load()[some], held.weights[some]


# ---------------------------------------------------------------------- predictions, block by block


def on_blocks(method: Function) -> Function:
    """A method of one argument, rows, that for a collection gives a lazy one."""

    @functools.wraps(method)
    def of_any_rows(self, X):
        if not (self._takes_collections and is_collection(X)):
            return method(self, X)
        check_is_fitted(self)
        validate_data(self, stand_in(X), reset=False, skip_check_array=True)
        # Attributes are replaced by a later fit, never changed: a copy stays as it is.
        return _lazily(copy(self), method.__name__, X)

    return cast(Function, of_any_rows)


def _lazily(model, name, X):
    if _is_frame(X):
        expected = predicted(_one_row(X._meta), model, name)
        meta = _in_frame(X._meta, model, name, expected[:0])
        return X.map_partitions(_predicted_frame, model, name, expected[:0], meta=meta)
    expected = predicted(np.zeros((1, model.n_features_in_), X.dtype), model, name)
    shape = {"drop_axis": 1} if expected.ndim == 1 else {"chunks": (X.chunks[0], expected.shape[1])}
    return X.rechunk({1: -1}).map_blocks(
        predicted, model, name, expected[:0], dtype=expected.dtype, meta=expected[:0], **shape
    )


def _one_row(meta):
    return meta.reindex([0]).fillna(0.0).astype(meta.dtypes)


def predicted(X, model, name, none=None):
    """What a method gives for a block, which may have no rows."""
    if none is not None and not len(X):
        return none
    with warnings.catch_warnings():
        # Of names that are missing the caller was warned.
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        return getattr(model, name)(X)


def _predicted_frame(X, model, name, none):
    return _in_frame(X, model, name, predicted(X, model, name, none))


def _in_frame(X, model, name, values):
    """Predictions as a series or data frame with the index of the rows."""
    import pandas as pd

    index = X.index[: len(values)]
    if values.ndim == 1:
        return pd.Series(values, index=index)
    columns = model.classes_ if values.shape[1] == len(getattr(model, "classes_", ())) else None
    return pd.DataFrame(values, index=index, columns=columns)
