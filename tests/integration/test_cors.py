"""CORS: preflights, and responses to requests with an Origin."""

import httpx
import pytest

from tests.answers import refusal
from tests.databases import Sql
from tests.gateways import Bearer, RunningGateway
from tests.server import Serve

PAGE = "https://app.example"
GATEWAY = {"PGRST_SERVER_CORS_ALLOWED_ORIGINS": f"{PAGE}, https://other.example"}
METHODS = "GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD"
EXPOSED = (
    "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, Transfer-Encoding, "
    "Range-Unit"
)


def cors(answer: httpx.Response) -> dict[str, str]:
    """The CORS headers of a response."""
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("path", ["/rpc/send", "/rest/v1/rpc/send", "/rpc/nothing", "/", "/any/where"])
@pytest.mark.parametrize("method", METHODS.split(", "))
def test_a_preflight_needs_no_token_and_looks_at_no_path(api: httpx.Client, path: str, method: str) -> None:
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "apikey,authorization,content-profile, x-client-info",
        "Authorization": "Bearer broken",
    }
    answer = api.options(path, headers=asked)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    assert cors(answer) == {
        "access-control-allow-origin": "*",
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": "Authorization, apikey, authorization, content-profile, x-client-info, Accept, "
        "Accept-Language, Content-Language",
        "access-control-max-age": "86400",
    }


def test_a_preflight_without_requested_headers(api: httpx.Client) -> None:
    answer = api.options("/rpc/send", headers={"Origin": PAGE, "Access-Control-Request-Method": "POST"})
    assert answer.status_code == 200
    assert sorted(cors(answer)) == [
        "access-control-allow-methods",
        "access-control-allow-origin",
        "access-control-max-age",
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"Access-Control-Request-Method": "POST"},
        {"Origin": PAGE},
        {"Origin": PAGE, "Access-Control-Request-Method": "TRACE"},
        {"Origin": PAGE, "Access-Control-Request-Method": "post"},
        {"Origin": PAGE, "Access-Control-Request-Method": ""},
    ],
)
def test_options_without_preflight_headers_is_no_preflight(api: httpx.Client, headers: dict[str, str]) -> None:
    answer = api.options("/rpc/send", headers={"Accept-Profile": "pgmq_public", **headers})
    assert refusal(answer)[0] in {404, 405}
    assert "access-control-allow-methods" not in answer.headers
    assert ("access-control-allow-origin" in answer.headers) == ("Origin" in headers)


@pytest.mark.parametrize("origin", [PAGE, "null", "http://localhost:3000", "https://evil.example"])
def test_a33_any_page_can_read_every_response(
    api: httpx.Client, bearer: Bearer, origin: str, queue: str, sql: Sql
) -> None:
    asked = {"Origin": origin, **bearer("service_role")}
    body = {"queue_name": queue, "message": 1}
    answers = [
        api.post("/rpc/send", json=body, headers=asked),
        api.post("/rpc/send", json=body, headers={"Origin": origin}),
        api.post("/rpc/send", json=body, headers={"Origin": origin, "Authorization": "Bearer x"}),
        api.post("/rpc/nothing", headers=asked),
        api.put("/rpc/send", headers={**asked, "Accept-Profile": "pgmq_public"}),
        api.post("/any/where", headers=asked),
        api.get("/rpc/pop", params={"queue_name": queue}, headers={**asked, "Accept-Profile": "pgmq_public"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 401, 404, 405, 404, 405]
    expected = {"access-control-allow-origin": "*", "access-control-expose-headers": EXPOSED}
    assert [cors(answer) for answer in answers] == [expected] * len(answers)
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(1,)]


def test_a_page_can_read_if_its_wait_was_applied(api: httpx.Client, bearer: Bearer, queue: str) -> None:
    asked = {"Origin": PAGE, **bearer("service_role"), "Prefer": "wait=0"}
    answers = [
        api.post("/rpc/pop", json={"queue_name": queue}, headers=asked),
        api.get(f"/queues/{queue}/messages", params={"wait_seconds": 0}, headers={"Origin": PAGE}),
    ]
    expected = f"{EXPOSED}, Preference-Applied, Retry-After"
    assert [answer.headers["access-control-expose-headers"] for answer in answers] == [expected] * 2


def test_without_an_origin_there_are_no_headers(service: httpx.Client, queue: str) -> None:
    sent = service.post("/rpc/send", json={"queue_name": queue, "message": 1})
    assert (sent.status_code, cors(sent)) == (200, {})
    assert cors(service.post("/rpc/nothing")) == {}


@pytest.mark.parametrize("origin", [PAGE, "https://other.example"])
def test_a33_a_listed_page_may_call_with_credentials(gateway: RunningGateway, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = gateway.client.options("/rpc/send", headers=asked)
    allowed = {"access-control-allow-origin": origin, "access-control-allow-credentials": "true"}
    assert preflight.status_code == 200
    assert cors(preflight) == {**allowed, "access-control-allow-methods": METHODS, "access-control-max-age": "86400"}
    answer = gateway.client.post("/rpc/nothing", headers={"Origin": origin})
    assert (answer.status_code, cors(answer)) == (404, {**allowed, "access-control-expose-headers": EXPOSED})
    # A cache must not serve this response to a page of another origin.
    assert "Origin" in answer.headers["vary"]
    assert "Origin" in preflight.headers["vary"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "null", f"{PAGE}.evil.example", f"{PAGE}:8443", "http://app.example", f"{PAGE}/",
        PAGE.upper(), f"{PAGE}, https://other.example", "*", "app.example", "",
    ],
)  # fmt: skip
def test_a33_another_page_gets_no_cors_headers(gateway: RunningGateway, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = gateway.client.options("/rpc/nothing", headers=asked)
    assert (preflight.is_client_error, cors(preflight)) == (True, {})
    answer = gateway.client.post("/rpc/nothing", headers={"Origin": origin})
    assert (answer.status_code, cors(answer)) == (404, {})


def test_a_preflight_of_another_page_is_an_ordinary_question(gateway: RunningGateway) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    assert refusal(gateway.client.options("/rpc/nothing", headers=asked))[:2] == (404, "PGRST202")


def test_options_names_one_origin(api: httpx.Client, gateway: RunningGateway) -> None:
    """Browsers refuse a response with two, and `*` beside the listed origins would allow every page to read it."""
    path, headers = "/", {"Accept-Profile": "pgmq_public"}
    asked = [
        api.options(path, headers=headers),
        api.options(path, headers={**headers, "Origin": PAGE}),
        gateway.client.options(path, headers={**headers, "Origin": PAGE}),
        gateway.client.options(path, headers={**headers, "Origin": "https://evil.example"}),
    ]
    assert [answer.headers["allow"] for answer in asked] == ["OPTIONS,GET,HEAD"] * 4
    named = [answer.headers.get_list("access-control-allow-origin") for answer in asked]
    assert named == [["*"], ["*"], [PAGE], []]


def test_another_page_gets_no_cors_headers_when_a_token_is_missing(serve: Serve) -> None:
    other = serve("postgres", PGRST_DB_ANON_ROLE="", PGRST_SERVER_CORS_ALLOWED_ORIGINS=PAGE)
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    with httpx.Client(base_url=other.url, timeout=30) as client:
        refused = client.options("/rpc/send", headers=asked)
        allowed = client.options("/rpc/send", headers={**asked, "Origin": PAGE})
    assert (refusal(refused), cors(refused)) == ((401, "PGRST302", "Anonymous access is disabled"), {})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, PAGE)
