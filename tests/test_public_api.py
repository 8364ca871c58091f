"""The public names, their documentation, and what importing the package costs."""

import doctest
import importlib
import importlib.metadata
import inspect
import os
import pkgutil
import re
import subprocess
import sys

import pytest
from sklearn.base import BaseEstimator, is_classifier

import sklearn_convexnn
from sklearn_convexnn import (
    CircularLinearRegressor,
    CircularReLUClassifier,
    CircularReLURegressor,
    ConvexCNNClassifier,
    ConvexCNNClassifierCV,
    ConvexCNNRegressor,
    ConvexCNNRegressorCV,
    ConvexReLUClassifier,
    ConvexReLUClassifierCV,
    ConvexReLURegressor,
    ConvexReLURegressorCV,
    ConvexThresholdClassifier,
    ConvexThresholdRegressor,
    DeepLinearClassifier,
    DeepLinearRegressor,
    DeepLinearRegressorCV,
    DeepReLUClassifier,
    DeepReLURegressor,
    GatedReLUClassifier,
    GatedReLURegressor,
    LinearCNNClassifier,
    LinearCNNRegressor,
    ParallelReLUClassifier,
    ParallelReLURegressor,
    QuantileSteps,
    SplineReLUClassifier,
    SplineReLURegressor,
    StepsCV,
    TailCompressor,
    export,
    inspection,
)
from tests import promises
from tests.conftest import make_rows

ESTIMATORS = [
    ConvexCNNRegressor,
    ConvexCNNClassifier,
    ConvexCNNRegressorCV,
    ConvexCNNClassifierCV,
    ConvexReLURegressor,
    ConvexReLUClassifier,
    ConvexReLURegressorCV,
    ConvexReLUClassifierCV,
    GatedReLURegressor,
    GatedReLUClassifier,
    ConvexThresholdRegressor,
    ConvexThresholdClassifier,
    ParallelReLURegressor,
    ParallelReLUClassifier,
    DeepLinearRegressor,
    DeepLinearClassifier,
    DeepLinearRegressorCV,
    CircularLinearRegressor,
    LinearCNNRegressor,
    LinearCNNClassifier,
    CircularReLURegressor,
    CircularReLUClassifier,
    DeepReLURegressor,
    DeepReLUClassifier,
    SplineReLURegressor,
    SplineReLUClassifier,
    QuantileSteps,
    StepsCV,
    TailCompressor,
]
ON_A_LINE = (SplineReLURegressor, SplineReLUClassifier)
# Settings with which any rows can be fitted.
SETTINGS = {E: {"batch_norm": True} for E in (DeepReLURegressor, DeepReLUClassifier)}
SETTINGS[StepsCV] = {"estimator": ConvexReLUClassifierCV(alphas=3, cv=2)}
# Settings whose fits have attributes of their own.
VARIANTS = {
    E: [{"refinement": None, "alpha": "scale"}] for E in (ConvexReLURegressor, ConvexReLUClassifier)
}
VARIANTS[ConvexReLURegressor].append({"loss": "huber", "alpha": "scale"})
VARIANTS[ConvexThresholdRegressor] = [{"directions": "axis", "loss": "huber", "alpha": "scale"}]
VARIANTS[ConvexThresholdClassifier] = [{"directions": "axis", "alpha": "scale"}]
VARIANTS[ConvexReLURegressorCV] = [{"loss": "huber", "alphas": [0.1]}]
for Estimator in (ParallelReLURegressor, CircularReLURegressor):
    VARIANTS[Estimator] = [{"loss": "huber", "alpha": "scale"}]
VARIANTS[ConvexCNNRegressor] = [{"loss": "huber", "alpha": "scale"}]
VARIANTS[ConvexCNNRegressorCV] = [{"loss": "huber", "alphas": [0.1]}]
PUBLIC = {name: getattr(sklearn_convexnn, name) for name in sklearn_convexnn.__all__}
# Its classes derive from one of PyTorch, so that it can only be imported where that is.
NEEDS_TORCH = "sklearn_convexnn.export._torch_layers"
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(sklearn_convexnn.__path__, sklearn_convexnn.__name__ + ".")
    if module.name != NEEDS_TORCH
)


def made(Estimator):
    return Estimator(**SETTINGS.get(Estimator, {}))


def sections(docstring):
    """Title -> body of the sections of a numpydoc docstring."""
    parts = re.split(r"^(\S[^\n]*)\n-{3,}\n", inspect.cleandoc(docstring), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(section):
    """Names that a section of parameters or attributes describes."""
    lines = re.findall(r"^([\w, *]+) : ", section, flags=re.MULTILINE)
    return [name.strip().lstrip("*") for line in lines for name in line.split(",")]


# -------------------------------------------------------------------------------------------- names


def test_all_is_what_there_is():
    modules = {name.split(".")[1] for name in MODULES}
    public = {
        name for name in vars(sklearn_convexnn) if not name.startswith("_") and name not in modules
    }
    assert public == set(sklearn_convexnn.__all__)
    assert len(PUBLIC) == len(sklearn_convexnn.__all__)


def test_promises_are_kept():
    """What is on the list in tests/promises.txt is there; what is new gets on it."""
    now, listed = set(promises.names()), promises.promised()
    gone = sorted(listed - now)
    assert not gone, f"public, and gone without a deprecation (see CONTRIBUTING.md): {gone}"
    assert not now - listed, f"run python -m tests.promises: {sorted(now - listed)}"


def test_public_signatures_have_types():
    """What mypy tells users comes from here; `make lint` checks that it fits."""
    bare = []
    for module in (sklearn_convexnn, inspection, export):
        for name in module.__all__:
            thing = getattr(module, name)
            if isinstance(thing, type) and "__init__" not in vars(thing):
                continue  # a result, whose fields have types
            methods = vars(thing) if isinstance(thing, type) else {name: thing}
            for method, function in methods.items():
                function = getattr(function, "__func__", function)  # of a classmethod
                public = method == "__init__" or not method.startswith("_")
                if not public or not inspect.isfunction(function):
                    continue
                signature = inspect.signature(function)
                parameters = [
                    p for p in signature.parameters.values() if p.name not in ("self", "cls")
                ]
                missing = [p.name for p in parameters if p.annotation is p.empty]
                if missing or signature.return_annotation is signature.empty:
                    bare.append((name, method, missing))
    assert not bare


def test_every_public_estimator_is_tested_here():
    found = [o for o in PUBLIC.values() if isinstance(o, type) and issubclass(o, BaseEstimator)]
    assert set(found) == set(ESTIMATORS)


def test_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+([a-z]+\d+)?(\.dev\d+)?", sklearn_convexnn.__version__)
    try:
        installed = importlib.metadata.version("sklearn_convexnn")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("sklearn_convexnn is not installed")
    assert sklearn_convexnn.__version__ == installed


# ------------------------------------------------------------------------------------ documentation


@pytest.mark.parametrize("name", PUBLIC)
def test_sections(name):
    documented = sections(PUBLIC[name].__doc__)
    wanted = {"Parameters", "Examples"}
    wanted |= {"Attributes", "See Also", "References"} if name[0].isupper() else {"Returns"}
    assert wanted <= set(documented)
    assert all(body.strip() for body in documented.values())


@pytest.mark.parametrize("name", PUBLIC)
def test_parameters_are_documented_in_order(name):
    parameters = list(inspect.signature(PUBLIC[name]).parameters)
    assert entries(sections(PUBLIC[name].__doc__)["Parameters"]) == parameters


@pytest.mark.parametrize("name", PUBLIC)
def test_documented_defaults_are_the_defaults(name):
    section = sections(PUBLIC[name].__doc__)["Parameters"]
    for parameter in inspect.signature(PUBLIC[name]).parameters.values():
        if parameter.default is inspect.Parameter.empty:
            continue
        line = re.search(rf"^{parameter.name} : .*default=(.*)$", section, flags=re.MULTILINE)
        assert line, parameter.name
        assert eval(line[1]) == parameter.default


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_fitted_attributes_are_the_documented_ones(Estimator):
    X = make_rows(20, 2)
    frame = pytest.importorskip("pandas").DataFrame({"a": X[:, 0], "b": X[:, 1]})
    y = X[:, 0] > 0 if is_classifier(made(Estimator)) else X[:, 0]
    model = made(Estimator)
    if "random_state" in model.get_params():
        model.set_params(random_state=0)
    fitted = set()
    for variant in [{}, *VARIANTS.get(Estimator, [])]:
        model.set_params(**variant).fit(frame[["a"]] if Estimator in ON_A_LINE else frame, y)
        fitted |= {
            name
            for name in dir(model)
            if name.endswith("_") and not name.startswith("_") and hasattr(model, name)
        }
    documented = entries(sections(Estimator.__doc__)["Attributes"])
    assert len(documented) == len(set(documented))
    assert fitted == set(documented)


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_public_methods_are_documented(Estimator):
    for name, method in inspect.getmembers(Estimator, inspect.isfunction):
        if name.startswith("_") or not method.__module__.startswith("sklearn_convexnn"):
            continue
        documented = sections(method.__doc__)
        assert "Returns" in documented, name
        parameters = list(inspect.signature(method).parameters)[1:]
        assert entries(documented.get("Parameters", "")) == parameters, name


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_constraints_cover_the_parameters(Estimator):
    assert set(Estimator._parameter_constraints) == set(made(Estimator).get_params(deep=False))


@pytest.mark.parametrize("name", PUBLIC)
def test_examples_run(name):
    if name == "tabular_pipeline":
        pytest.importorskip("skrub")
    finder = doctest.DocTestFinder(recurse=False)
    tests = finder.find(PUBLIC[name], name, globs={})
    runner = doctest.DocTestRunner(verbose=False)
    results = [runner.run(test) for test in tests]
    assert sum(result.attempted for result in results) > 0
    assert sum(result.failed for result in results) == 0


def test_modules_say_what_they_are_for():
    modules = [importlib.import_module(name) for name in ["sklearn_convexnn", *MODULES]]
    silent = [module.__name__ for module in modules if not module.__doc__]
    # An __init__ may be empty, which only marks a folder.
    assert not [name for name in silent if os.path.getsize(sys.modules[name].__file__)]


# ---------------------------------------------------------------------------------------- importing


def python(code):
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_importing_is_light():
    # cvxpy takes a second to import and matplotlib is optional: neither comes with the package.
    python(
        "import sys, sklearn_convexnn\n"
        f"for name in {MODULES}: __import__(name)\n"
        "heavy = {'cvxpy', 'matplotlib', 'ecos', 'clarabel', 'torch', 'skrub', 'onnx'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy"
    )


def test_works_without_optional_packages_and_callbacks():
    python(
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('cvxpy', 'matplotlib', 'pandas', 'polars', 'skrub', 'onnx'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import sklearn.callback, sklearn.linear_model, sklearn.model_selection  # own uses of it\n"
        "import sklearn.pipeline, sklearn.preprocessing\n"
        "del sklearn.callback.CallbackSupportMixin  # experimental: it may go\n"
        f"for name in {MODULES}: __import__(name)\n"
        "from sklearn_convexnn import ConvexReLURegressor\n"
        "ConvexReLURegressor(random_state=0).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 0.0])"
    )
