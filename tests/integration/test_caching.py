"""Headers for caches: no response of the API may be stored, and each names the headers that it depends on."""

import httpx
import pytest

from tests.attacks.raw import exchange
from tests.server import Server

# What a response depends on, whatever the path.
VARY = {
    "apikey", "authorization", "origin", "accept", "accept-profile", "content-profile", "prefer", "range",
}  # fmt: skip


def vary(value: str) -> set[str]:
    return {name.strip().lower() for name in value.split(",")}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {}, 200),
        ("HEAD", "/", {}, 200),
        ("OPTIONS", "/", {}, 200),
        ("OPTIONS", "/rpc/send", {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}, 200),
        ("GET", "/openapi.json", {}, 200),
        ("GET", "/rest/v1/openapi.yaml", {}, 200),
        ("POST", "/rpc/list_queues", {"Content-Profile": "pgmq_admin"}, 200),
        ("POST", "/rpc/list_queues", {"Content-Profile": "pgmq_admin", "Authorization": "Bearer x"}, 401),
        ("GET", "/nowhere", {}, 404),
        ("PUT", "/rpc/send", {"Accept-Profile": "pgmq_public"}, 405),
        ("PATCH", "/queues/none/messages", {}, 405),
        ("POST", "/docs", {}, 405),
        ("GET", "/docs/assets/none", {}, 404),
    ],
)
def test_no_response_may_be_stored(
    service: httpx.Client, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = service.request(method, path, headers=headers)
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"
    assert vary(answer.headers["vary"]) == VARY


def test_a_malformed_request_has_the_same_headers(embedded: Server) -> None:
    (answer,) = exchange(embedded, b"GET / HTTP/1.1\r\n\r\n")
    assert (answer.status, answer.headers["cache-control"]) == (400, "no-store")
    assert vary(answer.headers["vary"]) == VARY


@pytest.mark.parametrize("path", ["/docs", "/docs/assets/swagger-ui.css"])
def test_pages_for_readers_have_the_same_headers(api: httpx.Client, path: str) -> None:
    page = api.get(path)
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    assert vary(page.headers["vary"]) == VARY
