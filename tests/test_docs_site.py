"""The site has every page in its navigation, and the links of the repository lead to the same pages there."""

from __future__ import annotations

import importlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from world import ROOT


class Settings(yaml.SafeLoader):
    """Reads mkdocs.yml without the objects of Python that it names."""


Settings.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)


@pytest.fixture
def site_pages(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    return importlib.import_module("site_pages")


def pages_in(navigation: Any) -> Iterator[str]:
    if isinstance(navigation, str):
        yield navigation
    else:
        for one in navigation.values() if isinstance(navigation, dict) else navigation:
            yield from pages_in(one)


def test_every_page_is_in_the_navigation_once(site_pages: ModuleType) -> None:
    settings = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Settings)  # a subclass of SafeLoader
    elsewhere = [page for page in site_pages.ELSEWHERE.values() if page.endswith(".md")]
    pages = [*elsewhere, *(path.name for path in (ROOT / "docs").glob("*.md"))]
    assert sorted(pages_in(settings["nav"])) == sorted(pages), "name the page in mkdocs.yml, or site_pages.ELSEWHERE"
    readmes = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("plugins/*/README.md")}
    assert readmes <= set(site_pages.ELSEWHERE)


@pytest.mark.parametrize(
    ("page", "written", "on_the_site"),
    [
        ("index.md", "[a](docs/recipes.md#keys)", "[a](recipes.md#keys)"),
        ("index.md", '<img src="docs/results/a.png">', '<img src="results/a.png">'),
        ("index.md", "[a](LICENSE), [b](#more)", "[a](LICENSE.txt), [b](#more)"),
        ("recipes.md", "[a](../plugins/realrag/README.md)", "[a](plugin-realrag.md)"),
        ("recipes.md", "[a](reference.md#rows)", "[a](reference.md#rows)"),
        ("plugin-garden.md", "[a](../../README.md#results)", "[a](index.md#results)"),
        ("plugin-garden.md", "[a](../../docs/log.md)", "[a](log.md)"),
        ("results.md", "[a](https://example.org/README.md)", "[a](https://example.org/README.md)"),
    ],
)
def test_links_lead_to_the_same_page_on_the_site(page: str, written: str, on_the_site: str, site_pages) -> None:
    assert site_pages.with_links(written, page) == on_the_site


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_fetches_nothing(tmp_path: Path) -> None:
    if not shutil.which("mkdocs"):
        pytest.skip("MkDocs is not installed: pip install 'realism[docs]'")
    made = subprocess.run(["mkdocs", "build", "-d", str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    for page in tmp_path.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert 'src="http' not in text and 'rel="stylesheet" href="http' not in text, page.name
