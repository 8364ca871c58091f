"""Warnings that point at the line of the caller, through all that lies between."""

from __future__ import annotations

import sys
import warnings

from sklearn.exceptions import ConvergenceWarning

# Decorators, pipelines and searches stand between the user's line and the fit.
_BETWEEN = {
    "sklearn_convexnn",
    "sklearn",
    "threadpoolctl",
    "contextlib",
    "joblib",
    "pickle",
    "skops",
}


def warn_user(message, category=ConvergenceWarning):
    """Warn at the innermost frame that is not of a library in between."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_between(frame):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _is_between(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN
