"""The public names of the export package: documented, with examples that run, imported late."""

import doctest
import inspect
import subprocess
import sys

import pytest

from sklearn_convexnn import export
from tests.exported import fitted
from tests.test_public_api import entries, sections

PUBLIC = {name: getattr(export, name) for name in export.__all__}
# What a function needs, in the names of modules and of the extra that installs them.
NEEDS = {
    "to_onnx": ("onnx", "onnx"),
    "register_skl2onnx": ("skl2onnx", "onnx"),
    "to_torch": ("torch", "torch"),
}


def test_all_is_what_there_is():
    assert {name for name in vars(export) if not name.startswith("_")} == set(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_functions_are_documented(name):
    documented = sections(PUBLIC[name].__doc__)
    assert {"Returns", "Raises", "See Also", "Examples"} <= set(documented)
    parameters = list(inspect.signature(PUBLIC[name]).parameters)
    assert entries(documented.get("Parameters", "")) == parameters


@pytest.mark.parametrize("name", PUBLIC)
def test_examples_run(name):
    if name in NEEDS:
        pytest.importorskip("onnxruntime" if name == "to_onnx" else NEEDS[name][0])
    runner = doctest.DocTestRunner(verbose=False)
    results = [runner.run(test) for test in doctest.DocTestFinder().find(PUBLIC[name], name)]
    assert sum(result.attempted for result in results) > 0
    assert sum(result.failed for result in results) == 0


@pytest.mark.parametrize("name", NEEDS)
def test_an_absent_package_is_named_with_its_extra(name, monkeypatch):
    module, extra = NEEDS[name]
    monkeypatch.setitem(sys.modules, module, None)
    arguments = [fitted("relu")] if name.startswith("to_") else []
    with pytest.raises(ImportError, match=rf'{name} needs {module}: .*convexnn\[{extra}\]"'):
        PUBLIC[name](*arguments)


def test_the_package_comes_without_its_export():
    code = (
        "import sys, sklearn_convexnn\n"
        "assert 'sklearn_convexnn.export' not in sys.modules\n"
        "from sklearn_convexnn.export import to_mlp\n"
        "assert not {'onnx', 'skl2onnx', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
