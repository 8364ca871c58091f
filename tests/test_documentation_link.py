"""The "?" of the HTML representation leads to the page of the estimator."""

import importlib.metadata

import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from sklearn_convexnn import ConvexReLURegressor, _documentation
from tests.test_public_api import ESTIMATORS, made

PAGE = "https://docs.example/stable/api/generated/sklearn_convexnn.{}.html"


@pytest.fixture
def published(monkeypatch):
    """A package whose metadata has the address of its pages."""
    metadata = importlib.metadata.metadata("sklearn_convexnn")
    metadata["Project-URL"] = "Source, https://code.example"
    metadata["Project-URL"] = "Documentation, https://docs.example/stable"
    monkeypatch.setattr(importlib.metadata, "metadata", lambda name: metadata)


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_every_estimator_has_a_page(Estimator):
    page = PAGE.format(Estimator.__name__)
    assert made(Estimator)._get_doc_link() == page
    assert page in made(Estimator)._repr_html_()


@pytest.mark.usefixtures("published")
def test_pipelines_link_to_both_packages():
    shown = make_pipeline(ConvexReLURegressor(), Ridge())._repr_html_()
    assert PAGE.format("ConvexReLURegressor") in shown
    assert "scikit-learn.org" in shown


def test_a_checkout_links_to_its_own_pages(monkeypatch, tmp_path):
    module = tmp_path / "sklearn_convexnn" / "_documentation.py"
    monkeypatch.setattr(_documentation, "__file__", str(module))
    assert ConvexReLURegressor()._get_doc_link() == ""
    pages = tmp_path / "doc" / "_build" / "html"
    pages.mkdir(parents=True)
    (pages / "api.html").touch()
    assert ConvexReLURegressor()._get_doc_link().startswith(pages.as_uri())


def test_without_pages_there_is_no_link(monkeypatch):
    monkeypatch.setattr(_documentation, "PAGES", "")
    assert ConvexReLURegressor()._get_doc_link() == ""
    assert "api/generated" not in ConvexReLURegressor()._repr_html_()
