"""The interactive documentation: complete without the internet, harmless, and alive in a browser."""

import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.conftest import missing
from tests.integration.conftest import Own, Serve

ORIGIN = re.compile(r"(?:https?:)?//[\w-]+\.", re.IGNORECASE)
OWN_FILES = ("page.js", "page.css")


@pytest.mark.parametrize("prefix", ["", "/rest/v1"])
def test_the_page_and_all_that_it_loads_come_from_here(own: Own, prefix: str) -> None:
    place = httpx.URL(f"{prefix}/docs")
    page = own.client.get(place)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert not ORIGIN.search(page.text)
    files = re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text)
    assert len(files) == 4
    for name in files:
        file = own.client.get(str(place.join(name)))
        assert file.status_code == 200, name
        assert file.headers["content-type"].startswith(("text/css", "text/javascript", "application/javascript"))
        assert file.headers["x-content-type-options"] == "nosniff"
        assert not (name.endswith(OWN_FILES) and ORIGIN.search(file.text)), name
        again = own.client.get(str(place.join(name)), headers={"If-None-Match": file.headers["etag"]})
        assert again.status_code == 304


def test_the_page_may_load_and_call_nothing_else(own: Own) -> None:
    headers = own.client.get("/docs").headers
    rules = dict(rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";"))
    assert rules == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")


@pytest.mark.parametrize("path", ["/docs", "/docs/assets/page.js"])
def test_it_is_only_read(own: Own, path: str) -> None:
    head = own.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert own.client.post(path).status_code == 405
    assert own.client.get("/docs/assets/nothing.js").status_code == 404


def test_a_browser_without_internet_shows_every_operation(own: Own, tmp_path: Path) -> None:
    shown = browse(f"{own.server.url}/docs", tmp_path)
    for operation in ("send", "send_batch", "read", "pop", "archive", "delete"):
        assert f'id="operations-pgmq_public-{operation}"' in shown
    assert shown.count('id="operations-queues-') == 5


def test_a_browser_is_told_that_a_key_is_wanted(serve: Serve, database: str, tmp_path: Path) -> None:
    url = serve(database, PGMQ_GATEWAY_PUBLISHABLE_KEYS="sb_publishable_x").url
    shown = browse(f"{url}/docs", tmp_path)
    assert "No API key found in request" in shown
    assert "operations-pgmq_public" not in shown


def browse(url: str, folder: Path) -> str:
    """The page as a browser has it once all is loaded; names of other hosts lead nowhere."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        missing("Chromium", "install chromium")
    done = subprocess.run(
        [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            f"--user-data-dir={folder / 'browser'}", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
            "--virtual-time-budget=60000", "--dump-dom", url,
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
