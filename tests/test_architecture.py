"""What may know what: floors without an arrow up, no circles, and who may read rows themselves."""

import ast
from collections.abc import Mapping
from pathlib import Path

import pytest

import sklearn_convexnn

ROOT = Path(sklearn_convexnn.__file__).parent
PACKAGE = ROOT.name

# Folders of core import from their own floor and from those below it.
FLOORS = {
    "problem": 1,
    "patterns": 2,
    "deep": 2,
    "spline": 2,
    "pricing": 3,
    "programs": 3,
    "geometry": 3,
    "column_generation": 4,
    "fit": 5,
    "threshold": 6,
}
# Passes over rows and states of outputs do for all others.  These read arrays of n rows, which they
# therefore need in memory.  The list may only become shorter.
READERS = {
    "core/fit/given_patterns.py": (
        {"X", "dense", "sparse", "weights"},
        "gates are evaluated on the rows as they are stored, sampled by their moments",
    ),
    "core/fit/held_out.py": (
        {"X", "Y", "weights"},
        "rows that are held out, before they have units",
    ),
    "core/column_generation/program_phase.py": (
        {"collect", "fetch"},
        "the program of the neurons' patterns",
    ),
    "core/pricing/all_patterns.py": ({"dense", "fetch"}, "the exact price of a few rows"),
    "core/pricing/patch_table.py": ({"X"}, "windows that a climb meets, of some rows at a time"),
    "core/pricing/patches.py": ({"fetch"}, "pulls of groups of patches, which climbs gather"),
    "core/pricing/plane.py": (
        {"dense", "fetch"},
        "the exact price sorts the kinks of all rows in a plane",
    ),
    "core/pricing/wall_crossing.py": (
        {"dense", "fetch"},
        "projections on cones of rows, and proofs",
    ),
    "core/programs/circular_patterns.py": ({"X", "fetch"}, "the program over all patterns"),
    "core/programs/conic.py": ({"Y", "weights"}, "a conic solver writes all rows out"),
    "core/programs/gated_network.py": ({"dense"}, "the program over given patterns"),
    "core/programs/group_newton.py": ({"Y", "fetch", "weights"}, "its dual variable has n entries"),
    "core/programs/minimal.py": ({"fetch"}, "triangles and conflicts of activations, in parts"),
    "core/programs/neuron_program.py": ({"dense"}, "the program of the neurons' patterns"),
    "core/programs/normal_equations.py": ({"Y", "weights"}, "its matrix is n x n, or a root of it"),
    "core/programs/solve.py": ({"Y", "dense"}, "the program over given patterns, for each output"),
    "core/threshold/descent.py": (
        {"X", "Y", "weights"},
        "searches for half-spaces sort projections of all rows; the taut string passes over them",
    ),
    "core/threshold/half_spaces.py": ({"fetch"}, "patterns of half-spaces are compared as a whole"),
    "core/threshold/problem.py": (
        {"X", "weights"},
        "weights of a pattern are fitted to all rows, shape functions centred over them",
    ),
    "core/threshold/step_rows.py": ({"Y", "weights"}, "rows of their own kind, held as ranks"),
    "inspection/_optimality_report.py": (
        {"X", "dense", "fetch", "weights"},
        "networks of the data's units, and exact prices of all rows",
    ),
    "inspection/_prune.py": ({"X", "Y", "weights"}, "the problem of the fit, in working units"),
}
ARRAYS = {"X", "Y", "weights", "dense", "sparse", "fetch", "collect"}


class Modules(Mapping):
    """The trees of the files of the package by their paths, each parsed when it is asked for."""

    def __init__(self):
        self.paths = [path.relative_to(ROOT).as_posix() for path in sorted(ROOT.rglob("*.py"))]
        self.trees = {}

    def __getitem__(self, path):
        if path not in self.trees:
            self.trees[path] = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        return self.trees[path]

    def __iter__(self):
        return iter(self.paths)

    def __len__(self):
        return len(self.paths)


MODULES = Modules()
CORE = [path for path in MODULES if path.startswith("core/")]


def name_of(path):
    parts = [PACKAGE, *Path(path).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree, *, late=True):
    """Names of the modules that are imported, with the names taken from each.

    ``late`` are also those within functions.
    """
    nodes = ast.walk(tree) if late else iter_top(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, set()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module, {alias.name for alias in node.names}


def iter_top(tree):
    """Nodes that run when the module is imported."""
    todo = list(tree.body)
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            todo += list(ast.iter_child_nodes(node))


def folder(module):
    """The folder of core that a module is in, None for others."""
    parts = module.split(".")
    return parts[2] if parts[:2] == [PACKAGE, "core"] and len(parts) > 2 else None


def test_every_folder_has_a_floor():
    found = {folder(name_of(path)) for path in MODULES} - {None}
    assert found == set(FLOORS)


def test_imports_of_the_core():
    """From the same floor or below; neither scikit-learn, except for warnings, nor estimators."""
    pairs = [(one, module) for one in CORE for module, _ in imports(MODULES[one])]
    for path, module in pairs:
        here = folder(name_of(path))
        top = module.split(".")[0]
        assert top != "sklearn" or module == "sklearn.exceptions", f"{path} imports {module}"
        if top != PACKAGE:
            continue
        there = folder(module)
        assert there is not None or here is None, f"{path} imports {module}, from outside"
        if there is not None and there != here:
            assert FLOORS[there] < FLOORS[here], f"{path} imports up: {module}"


def test_estimators_take_nothing_private_of_the_core():
    for path in set(MODULES) - set(CORE):
        for module, names in imports(MODULES[path]):
            parts = (*module.split(".")[2:], *names) if folder(module) is not None else ()
            private = [part for part in parts if part.startswith("_")]
            assert not private, f"{path} takes {private} from {module}"


def test_no_circle():
    """Of what is imported when modules are; a file of a package counts by itself."""
    known = {name_of(path): path for path in MODULES}
    edges = {name: set() for name in known}
    for name, path in known.items():
        for module, names in imports(MODULES[path], late=False):
            targets = {f"{module}.{part}" for part in names} & set(known)
            edges[name] |= (targets or ({module} & set(known))) - {name}
    done, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            path.append(name)
            for other in sorted(edges[name]):
                visit(other)
            done.add(path.pop())

    for name in sorted(edges):
        visit(name)


def reads(tree):
    """Which arrays of rows a module reads: attributes of what is called rows, or a part of them."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ARRAYS:
            owner = node.value
            if isinstance(owner, ast.Call):
                owner = owner.func.value if isinstance(owner.func, ast.Attribute) else owner.func
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if name in ("rows", "fast", "part"):
                found.add(node.attr)
    return found


def test_who_reads_rows():
    """Only the problem itself and these; deep linear networks have rows of their own kind."""
    found = {
        path: reads(tree)
        for path, tree in MODULES.items()
        if not path.startswith(("core/problem/", "core/deep/"))
    }
    found = {path: names for path, names in found.items() if names}
    assert found == {path: names for path, (names, _) in READERS.items()}


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.startswith("core/problem/engin")]
)
def test_engines_know_nothing_of_neurons_and_losses(path):
    for module, _ in imports(MODULES[path]):
        assert not module.startswith(PACKAGE) or ".problem.engines" in module


@pytest.mark.parametrize("path", ["core/problem/kernels.py", "core/problem/neurons.py"])
def test_kernels_know_nothing_of_where_rows_live(path):
    assert not [module for module, _ in imports(MODULES[path]) if module.startswith(PACKAGE)]
