"""Fitted estimators in files: which version wrote them, told to those who load them in another."""

from __future__ import annotations

from sklearn_convexnn._version import __version__
from sklearn_convexnn._warnings import warn_user

_WRITTEN_BY = "_sklearn_convexnn_version"


class VersionInFiles:
    """Puts the version into the state of an estimator, for pickle, joblib and skops."""

    def __getstate__(self):
        return {**super().__getstate__(), _WRITTEN_BY: __version__}

    def __setstate__(self, state):
        state = dict(state)
        written = state.pop(_WRITTEN_BY, "unknown")
        if written != __version__:
            warn_user(
                f"This {type(self).__name__} was written by sklearn_convexnn {written} and is "
                f"loaded by {__version__}: compare a few predictions with those of the version "
                "that wrote it, or fit it again.",
                UserWarning,
            )
        super().__setstate__(state)
