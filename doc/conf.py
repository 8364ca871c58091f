"""Configuration of the documentation; build it with ``make doc``."""

import importlib.util
import os
import re
import shutil
import sys
import warnings
from pathlib import Path

from docutils import nodes

import sklearn_convexnn
from sklearn_convexnn import _documentation

sys.path.insert(0, str(Path(__file__).parent))  # gallery_order, landing

project = "sklearn_convexnn"
author = "sklearn_convexnn developers"
copyright = author
version = release = sklearn_convexnn.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "matplotlib.sphinxext.plot_directive",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]

# Formulas are drawn by one script that goes with the pages: they are read without a network, also
# from a folder. Glyphs are part of it, so that no browser refuses fonts of a local page.
MATHJAX = "tex-svg.js"
mathjax_path = MATHJAX
mathjax3_config = {"svg": {"fontCache": "global"}, "options": {"enableMenu": False}}


def ship_mathjax(app, error):
    """Copy MathJax from the package that carries it."""
    if error is None and app.builder.format == "html":
        package = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent
        shutil.copy(package / "static" / "mathjax" / MATHJAX, Path(app.outdir, "_static"))


# The docstrings that the estimators inherit refer to scikit-learn's pages and glossary. They are
# linked by hand instead of through intersphinx, so that the documentation builds without a network.
SCIKIT_LEARN = "https://scikit-learn.org/stable/"
SCIKIT_LEARN_LABELS = {
    "accuracy_score": "modules/model_evaluation.html#accuracy-score",
    "df_output_transform": "auto_examples/miscellaneous/plot_set_output.html",
    "metadata_routing": "metadata_routing.html",
    "r2_score": "modules/model_evaluation.html#r2-score",
    "sphx_glr_auto_examples_miscellaneous_plot_set_output.py": (
        "auto_examples/miscellaneous/plot_set_output.html"
    ),
}


def link_to_scikit_learn(app, env, node, contnode):
    """Resolve a reference to a label or glossary term of scikit-learn's documentation."""
    kind, target = node.get("reftype"), node.get("reftarget")
    if kind == "ref" and target in SCIKIT_LEARN_LABELS:
        page = SCIKIT_LEARN_LABELS[target]
    elif kind == "term":
        page = f"glossary.html#term-{target.replace(' ', '-')}"
    else:
        return None
    link = nodes.reference("", "", refuri=SCIKIT_LEARN + page, internal=False)
    link += contnode
    return link


def quote_attributes(app, what, name, obj, options, lines):
    """Quote names in shapes: ``n_neurons_`` is a link in reST, ``*space`` the begin of emphasis."""
    for i, line in enumerate(lines):
        if " of shape" in line:
            head, colon, shape = line.rpartition(" : ")
            lines[i] = (
                head + colon + re.sub(r"(?<![\w`])(\*\w+|[a-z]\w*_)(?![\w`])", r"``\1``", shape)
            )


def setup(app):
    """Connect the handlers above."""
    app.connect("missing-reference", link_to_scikit_learn)
    app.connect("autodoc-process-docstring", quote_attributes, priority=100)  # before numpydoc
    app.connect("build-finished", ship_mathjax)


autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's tables have the types, in words
autodoc_default_options = {"inherited-members": True}
numpydoc_show_class_members = True
numpydoc_class_members_toctree = False
# Inherited methods are documented by scikit-learn; the summary table of a class names them.
numpydoc_show_inherited_class_members = True

math_eqref_format = "({number})"
math_number_all = False
toc_object_entries_show_parents = "hide"

# Links from the estimators' HTML representation, relative to a page of the gallery.
_documentation.PAGES = "../../"

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "subsection_order": ["../examples/basics", "../examples/inside", "../examples/theory"],
    "within_subsection_order": "gallery_order.ByDifficulty",
    "filename_pattern": r"/plot_",
    # A comparison that takes a minute, `make demo`, and scripts that need a C compiler or SCIP.
    "ignore_pattern": r"(^|/)(demo|microcontroller|optimisation_model)\.py$",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,  # tables by scripts from a network, of one machine's times
}
# "The figure canvas is not interactive" is true of every build of the gallery.
warnings.filterwarnings("ignore", message=".*non-interactive.*")

plot_formats = ["svg"]
plot_html_show_formats = False
plot_html_show_source_link = False

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"  # prompts and what was printed

html_theme = "pydata_sphinx_theme"
html_title = f"sklearn_convexnn {release}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_theme_options = {
    "show_prev_next": False,
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 6,
    "logo": {"text": f"sklearn_convexnn {release}"},
    "footer_end": [],
}
html_sidebars = {"index": [], "why_not": [], "quick_start": []}
html_show_sourcelink = False
html_copy_source = False

# A sitemap has whole addresses: it is written where the pages' address is given.
html_baseurl = os.environ.get("DOC_URL", "")
if html_baseurl:
    extensions.append("sphinx_sitemap")
    sitemap_url_scheme = "{link}"
    sitemap_excludes = ["search.html", "genindex.html"]
