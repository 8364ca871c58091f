"""Packages of extras, imported where they are used."""

from __future__ import annotations

import importlib


def optional(module, *, caller, extra):
    """The module, imported now, or an error that says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f'{caller} needs {package}: pip install "sklearn_convexnn[{extra}]".'
        ) from error
