"""What the documents promise: code that runs, programs, equations and folders that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MATHEMATICS = (ROOT / "doc" / "mathematics.rst").read_text(encoding="utf-8")
# Documents whose code takes more than some seconds: cross-validation along paths.
SLOW = {"README.md", "doc/quick_start.rst", "doc/rough_data.rst"}
# What a document shows beside this package.
NEEDS = {
    "doc/export.rst": ["skl2onnx", "onnxruntime", "skops"],
    "doc/many_rows.rst": ["dask.array"],
    "doc/table.rst": ["pandas", "skl2onnx", "onnxruntime"],
}


def code_blocks(path):
    """The Python blocks of a document, in order."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    blocks = re.findall(
        r"^\.\. (?:code-block:: python|plot::\n    :include-source:)\n\n((?:    .*\n|\n)+)",
        text,
        flags=re.MULTILINE,
    )
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in blocks]


def documents():
    names = [path.relative_to(ROOT).as_posix() for path in (ROOT / "doc").glob("*.rst")]
    for name in sorted([*names, "README.md"]):
        if code_blocks(name):
            marks = [pytest.mark.slow] if name in SLOW else []
            yield pytest.param(name, marks=marks, id=name)


@pytest.mark.parametrize("name", list(documents()))
def test_code_of_the_documents_runs(name):
    """One after the other in one namespace, as a reader would type them."""
    for module in NEEDS.get(name, []):
        pytest.importorskip(module)
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    namespace = {}
    for block in code_blocks(name):
        exec(compile(block, name, "exec"), namespace)
    plt.close("all")


def test_documents_with_code_are_found():
    found = {parameter.id for parameter in documents()}
    assert {"README.md", "doc/index.rst", "doc/patterns.rst", "doc/quick_start.rst"} <= found


# --------------------------------------------------------------- programs, equations, references


def quoted_letters():
    """Programs that comments and docstrings quote: a capital in parentheses, called by nothing."""
    for path in sorted((ROOT / "sklearn_convexnn").rglob("*.py")):
        for line in path.read_text(encoding="utf-8").splitlines():
            prose = line if "``" in line or "#" in line or not re.search(r"[=\[\]:]", line) else ""
            prose = re.sub(r"``.*?``", "", prose)
            for letter in re.findall(r"(?:(?<=\s)|^)\(([A-Z])\)(?=[\s.,;:])", prose):
                yield path.name, letter


def test_programs_that_the_code_quotes_are_listed():
    table = MATHEMATICS.split("The programs by their letters")[1]
    listed = set(re.findall(r"\* - \(([A-Z])\)", table))
    quoted = {letter for _, letter in quoted_letters()}
    assert {"P", "F", "G", "R", "S", "N"} <= quoted  # the pattern sees them
    assert quoted <= listed, [pair for pair in quoted_letters() if pair[1] not in listed]
    for module in re.findall(r"- ``(core\.[\w.]+)``", table):
        path = ROOT / "sklearn_convexnn" / module.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file(), module


def test_a_letter_has_one_meaning():
    """Where a program is stated, ``(X)  min ...``, it is stated once."""
    stated = {}
    for path in sorted((ROOT / "sklearn_convexnn").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for letter in re.findall(r"^    \(([A-Z])\)  m(?:in|ax)", text, flags=re.MULTILINE):
            stated.setdefault(letter, []).append(path.name)
    assert len(stated) >= 7
    assert all(len(places) == 1 for places in stated.values()), stated


def test_numbers_that_a_module_quotes_are_in_it():
    for path in sorted((ROOT / "sklearn_convexnn" / "core").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        quoted = set(re.findall(r"\b(?:by|and|with|see|of) \((\d)\)", text))
        assert quoted <= set(re.findall(r"\s{3,}\((\d)\)$", text, flags=re.MULTILINE)), path.name


def test_equations_and_references_of_the_documents_exist():
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "doc").glob("*.rst"))
    labels = re.findall(r":label: ([\w-]+)", text)
    assert len(labels) == len(set(labels))
    assert set(re.findall(r":eq:`([\w-]+)`", text)) <= set(labels)
    cited = set(re.findall(r"\[(\w+)\]_", text))
    assert {"B05", "B17", "BSR17", "DDPS19", "BJMO12"} <= cited
    assert cited <= set(re.findall(r"^\.\. \[(\w+)\]", text, flags=re.MULTILINE))


def test_the_folders_are_those_that_contributing_lists():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    listed = re.findall(r"^  \| `(\w+)` \|", text, flags=re.MULTILINE)
    core = ROOT / "sklearn_convexnn" / "core"
    assert sorted(listed) == sorted(p.parent.name for p in core.glob("*/__init__.py"))
