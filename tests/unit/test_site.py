"""The documentation's site: built strictly, so that each link and anchor leads somewhere, and without other servers."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import missing
from tests.pages import REPOSITORY, Page, pages

PAGES = pages()
# The addresses that a page loads by itself, other than links that readers follow.
LOADED = re.compile(r'<(?:script|img|iframe|source)\b[^>]*\bsrc="([^"]*)"|<link\b[^>]*\bhref="([^"]*)"')
MARKDOWN_LINK = re.compile(r"\]\((\w+:[^)\s]*)\)|<(https?:[^>\s]*)>")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    if not find_spec("material"):
        missing("mkdocs-material", "it builds the site: make .venv/installed-test")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", folder],
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_pages_load_nothing_from_other_servers(site: Path) -> None:
    built = list(site.rglob("*.html"))
    loaded = {src or href for page in built for src, href in LOADED.findall(page.read_text())}
    assert len(built) >= len(PAGES)
    assert [url for url in loaded if urlsplit(url).netloc] == []


def test_files_outside_docs_are_on_the_site(site: Path) -> None:
    assert "make serve" in (site / "index.html").read_text()
    assert (site / "project" / "SECURITY" / "index.html").is_file()
    assert 'href="../../explanation/reliability/' in (site / "project" / "SECURITY" / "index.html").read_text()
    assert (site / "project" / "openapi.yaml").read_bytes() == (REPOSITORY / "openapi.yaml").read_bytes()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_to_other_sites_are_complete(page: Page) -> None:
    links = [first or second for first, second in MARKDOWN_LINK.findall(page.text)]
    assert [link for link in links if urlsplit(link).scheme not in ("http", "https", "mailto")] == []
    assert [link for link in links if link.startswith("http") and not urlsplit(link).hostname] == []
