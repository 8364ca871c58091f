"""The public interface, a name a line: ``python -m tests.promises`` adds new names to the list.

Public names, parameters, methods and documented attributes. A name that is on the list and no
longer there breaks a promise: CONTRIBUTING.md says how names go.
"""

import inspect
import re
from pathlib import Path

import sklearn_convexnn
from sklearn_convexnn import export, inspection

LIST = Path(__file__).with_name("promises.txt")


def attributes(docstring):
    """Names that the section of attributes describes."""
    section = re.search(r"\nAttributes\n-+\n(.*?)(?=\n\S[^\n]*\n-+\n|\Z)", docstring, flags=re.S)
    lines = re.findall(r"^([\w, ]+) : ", section[1], flags=re.MULTILINE) if section else []
    return [name.strip() for line in lines for name in line.split(",")]


def names():
    """Every public name, as it is written in an import or behind an object."""
    for module in (sklearn_convexnn, inspection, export):
        for name in module.__all__:
            thing, whole = getattr(module, name), f"{module.__name__}.{name}"
            yield whole
            if isinstance(thing, type):
                yield from (f"{whole}.{a}" for a in attributes(inspect.getdoc(thing)))
                yield from _methods(thing, whole)
            yield from _parameters(thing, whole)


def _methods(thing, whole):
    for name, method in inspect.getmembers(thing, callable):
        if not name.startswith("_") and method.__module__.startswith("sklearn_convexnn"):
            yield f"{whole}.{name}"
            yield from _parameters(method, f"{whole}.{name}")


def _parameters(thing, whole):
    for name in inspect.signature(thing).parameters:
        if name != "self" and not name.startswith("_"):
            yield f"{whole}({name})"


def promised():
    """The names on the list."""
    return set(LIST.read_text(encoding="utf-8").splitlines())


if __name__ == "__main__":
    LIST.write_text("\n".join(sorted(promised() | set(names()))) + "\n", encoding="utf-8")
