"""Checks of the built archives, for ``make dist``: ``python -m tests.archives FOLDER``.

The source archive has every file of the checkout, the wheel the package and nothing else; the wheel
is installed into an environment of its own, where every module is imported and a network is fitted.
"""

import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

from sklearn_convexnn._version import __version__

ROOT = Path(__file__).parents[1]
# Settings of tools that work on a checkout.
_NOT_SHIPPED = (".ci/", ".github/", ".gitignore", ".pre-commit-config.yaml")
# Run outside of the checkout, warnings being errors.
_TRY = """
import importlib, importlib.metadata, pathlib, pkgutil, sys
import sklearn_convexnn
from sklearn_convexnn import ConvexReLURegressor, _version
assert sys.prefix in sklearn_convexnn.__file__, sklearn_convexnn.__file__
assert importlib.metadata.version("sklearn_convexnn") == _version.__version__
folder = pathlib.Path(sklearn_convexnn.__file__).parent
assert (folder / "py.typed").is_file()
names = [m.name for m in pkgutil.walk_packages([str(folder)], "sklearn_convexnn.")]
names.remove("sklearn_convexnn.export._torch_layers")  # classes of PyTorch, which is not here
for name in names:
    importlib.import_module(name)
model = ConvexReLURegressor(alpha=0.01, random_state=0).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 0.0])
assert model.score([[0.0], [1.0], [2.0]], [0.0, 1.0, 0.0]) > 0.5
print(f"{len(names)} modules imported, a network of {model.n_neurons_} neurons fitted")
"""


def one(folder, pattern):
    """The only file of a pattern."""
    (found,) = folder.glob(pattern)
    return found


def check_sdist(archive):
    """Every tracked file is in it."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files"], check=True, capture_output=True, text=True
    )
    tracked = {name for name in listed.stdout.splitlines() if not name.startswith(_NOT_SHIPPED)}
    with tarfile.open(archive) as files:
        shipped = {file.name.partition("/")[2] for file in files if file.isfile()}
    missing = {name for name in tracked if (ROOT / name).exists()} - shipped
    assert not missing, f"not in {archive.name}: {sorted(missing)}"
    generated = ("PKG-INFO", "setup.cfg", "sklearn_convexnn.egg-info")
    more = {name for name in shipped - tracked if not name.startswith(generated)}
    assert not more, f"in {archive.name}, but not tracked: {sorted(more)}"
    print(f"{archive.name}: {len(tracked)} files of the checkout")


def check_wheel(archive):
    """The package and its metadata, nothing else."""
    with zipfile.ZipFile(archive) as files:
        names = set(files.namelist())
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "sklearn_convexnn").rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    info = f"sklearn_convexnn-{__version__}.dist-info/"
    rest = {name for name in names if not name.startswith(info)}
    assert rest == package, f"{archive.name} differs in {sorted(rest ^ package)}"
    print(f"{archive.name}: {len(package)} files of the package")


def try_wheel(archive):
    """Install the wheel with what it needs, and nothing more, and use it."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "Scripts" if sys.platform == "win32" else "bin", "python")
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([python, *install, archive.resolve()], check=True)
        subprocess.run([python, "-I", "-W", "error", "-c", _TRY], check=True, cwd=folder)


def main(folder):
    """All checks of a folder with one source archive and one wheel."""
    wheel = one(folder, "*.whl")
    check_sdist(one(folder, "*.tar.gz"))
    check_wheel(wheel)
    try_wheel(wheel)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
