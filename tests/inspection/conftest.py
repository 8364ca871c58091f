"""Pictures are drawn without a screen, and none outlives its test."""

import sys
from importlib.util import find_spec

import pytest

if find_spec("matplotlib") is not None:
    import matplotlib

    matplotlib.use("agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")
