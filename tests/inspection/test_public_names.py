"""The public names of the inspection package: documented, with examples that run."""

import doctest
import inspect

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_convexnn import ConvexReLURegressor, inspection
from tests.test_public_api import entries, sections

mpl.use("Agg")

PUBLIC = {name: getattr(inspection, name) for name in inspection.__all__}
FUNCTIONS = [name for name in PUBLIC if name[0].islower()]
# Classes that functions return: users read their attributes and do not make them.
RESULTS = [
    "DecisionIntervals",
    "DecisionRegions",
    "L0L1Certificate",
    "LayerAlignment",
    "NeuralCollapse",
    "NeuronEncodings",
    "OptimalityReport",
    "Region",
]


def test_all_is_what_there_is():
    public = {name for name in vars(inspection) if not name.startswith("_")}
    assert public == set(inspection.__all__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_documented(name):
    function, documented = PUBLIC[name], sections(PUBLIC[name].__doc__)
    assert {"Parameters", "Returns", "Examples"} <= set(documented)
    parameters = inspect.signature(function).parameters
    assert entries(documented["Parameters"]) == list(parameters)
    for parameter in parameters.values():
        if parameter.default is not inspect.Parameter.empty:
            line = documented["Parameters"].split(f"{parameter.name} : ")[1].splitlines()[0]
            assert eval(line.split("default=")[1]) == parameter.default


@pytest.mark.parametrize("name", RESULTS)
def test_results_document_their_fields(name):
    fields = [f for f in PUBLIC[name].__dataclass_fields__ if not f.startswith("_")]
    assert entries(sections(PUBLIC[name].__doc__)["Attributes"]) == fields


@pytest.mark.parametrize("method", ["from_estimator", "plot"])
def test_displays_document_their_methods(method):
    function = getattr(inspection.DecisionRegionDisplay, method)
    documented = sections(function.__doc__)
    names = [n for n in inspect.signature(function).parameters if n != "self"]
    described = [name.lstrip("*") for name in entries(documented["Parameters"].replace("**", ""))]
    assert described == names


@pytest.mark.parametrize("name", [name for name in PUBLIC if name not in RESULTS])
def test_examples_run(name):
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner(verbose=False)
    results = [runner.run(test) for test in finder.find(PUBLIC[name], name, globs={})]
    assert sum(result.attempted for result in results) > 0
    assert sum(result.failed for result in results) == 0


@pytest.mark.parametrize("function", [inspection.neuron_encodings, inspection.l0_l1_certificate])
def test_pipelines_are_to_be_taken_apart(function):
    X = np.arange(10.0)[:, None]
    model = make_pipeline(StandardScaler(), ConvexReLURegressor(alpha=0.01)).fit(X, X[:, 0])
    with pytest.raises(ValueError, match=r"pipeline\[-1\]"):
        function(model, X)
