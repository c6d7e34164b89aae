"""The interactive documentation over HTTP: complete without the internet, with a strict Content-Security-Policy."""

import re

import httpx
import pytest

from tests.gateways import RunningGateway

ORIGIN = re.compile(r"(?:https?:)?//[\w-]+\.", re.IGNORECASE)
OWN_FILES = ("page.js", "page.css")


@pytest.mark.parametrize("prefix", ["", "/rest/v1"])
def test_the_page_and_all_that_it_loads_come_from_here(gateway: RunningGateway, prefix: str) -> None:
    place = httpx.URL(f"{prefix}/docs")
    page = gateway.client.get(place)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert not ORIGIN.search(page.text)
    files = re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text)
    assert len(files) == 4
    for name in files:
        file = gateway.client.get(str(place.join(name)))
        assert file.status_code == 200, name
        assert file.headers["content-type"].startswith(("text/css", "text/javascript", "application/javascript"))
        assert file.headers["x-content-type-options"] == "nosniff"
        assert not (name.endswith(OWN_FILES) and ORIGIN.search(file.text)), name
        again = gateway.client.get(str(place.join(name)), headers={"If-None-Match": file.headers["etag"]})
        assert again.status_code == 304


def test_the_page_may_load_and_call_nothing_else(gateway: RunningGateway) -> None:
    headers = gateway.client.get("/docs").headers
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
def test_it_is_only_read(gateway: RunningGateway, path: str) -> None:
    head = gateway.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert gateway.client.post(path).status_code == 405
    assert gateway.client.get("/docs/assets/nothing.js").status_code == 404
