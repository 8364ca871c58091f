"""Where the pages about an estimator are: the "?" of its HTML representation leads there."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

# Address of the pages with a slash at its end; None: that of the installed package, see `pages`.
PAGES = None


def pages():
    """The address of the documentation, or "" where there is none.

    It is the one of the package's metadata. A checkout has none before it is published, but may
    have the pages themselves, from ``make doc``.
    """
    if PAGES is not None:
        return PAGES
    try:
        entries = importlib.metadata.metadata("sklearn_convexnn").get_all("Project-URL", [])
    except importlib.metadata.PackageNotFoundError:
        entries = []
    for entry in entries:
        name, _, address = entry.partition(",")
        if name.strip().lower() == "documentation":
            return address.strip().rstrip("/") + "/"
    built = Path(__file__).parents[1] / "doc" / "_build" / "html"
    return built.as_uri() + "/" if (built / "api.html").is_file() else ""


class DocumentationLink:
    """What scikit-learn asks of an estimator to link to its page."""

    _doc_link_module = "sklearn_convexnn"

    @property
    def _doc_link_template(self):
        address = pages()
        name = "api/generated/{estimator_module}.{estimator_name}.html"
        return address + name if address else ""
