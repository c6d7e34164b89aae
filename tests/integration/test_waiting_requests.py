"""Waiting over HTTP: its preference and parameter, its limits, and what it leaves to other requests."""

import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

import httpx
import pytest

from tests.answers import error, refusal
from tests.gateways import Bearer, Headers, RunningGateway
from tests.integration.waits import idle, waiting
from tests.process.metrics import metrics
from tests.streams import EVENTS, opened
from tests.waiting import until

# As many connections wait in one test.
CROWD = 40
GATEWAY = {
    "PGMQ_GATEWAY_MAX_WAITING": str(CROWD),
    "PGMQ_GATEWAY_RATE_LIMITS": "authenticated=2 waiting by sub, authenticated=2 messages/s by sub, anon=1 messages/h",
    "PGRST_SERVER_TIMING_ENABLED": "true",
    "PGRST_DB_TX_END": "commit-allow-override",
    "PGRST_DB_PLAN_ENABLED": "true",
}
MESSAGES = "/queues/jobs/messages"


@pytest.fixture(scope="module", autouse=True)
def queue(gateway: RunningGateway) -> None:
    gateway.sql("select pgmq_admin.create_queue('jobs')")
    gateway.sql("alter table pgmq.q_jobs disable row level security")
    for role in ("authenticated", "anon"):
        gateway.sql("select pgmq_admin.grant_queue('jobs', %s, '{read,pop}')", role)


@pytest.fixture(autouse=True)
def empty(gateway: RunningGateway) -> None:
    gateway.sql("truncate pgmq.q_jobs")


@pytest.fixture
def service(bearer: Bearer) -> Headers:
    return bearer("service_role")


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(CROWD) as threads:
        yield threads


def pop(gateway: RunningGateway, headers: Headers, wait: int = 50) -> httpx.Response:
    """Wait for a message on a connection of its own."""
    return httpx.post(f"{gateway.server.url}{MESSAGES}/pop?wait_seconds={wait}", headers=headers, timeout=60)


def send(gateway: RunningGateway, headers: Headers, *messages: object, path: str = MESSAGES) -> None:
    sent = gateway.client.post(path, headers=headers, json={"messages": messages})
    assert sent.status_code == 201, sent.text


def received(response: httpx.Response) -> list[object]:
    assert response.status_code == 200, response.text
    return [row["message"] for row in response.json()]


@pytest.mark.parametrize(
    ("given", "parameter", "applied"),
    [
        ("wait=20", None, "wait=20"),
        ("wait=9999", None, "wait=50"),
        ("wait=20, handling=strict", None, "handling=strict, wait=20"),
        ("wait=20", 7, "wait=7"),
        ("", 9999, "wait=50"),
        ("wait=0", None, "wait=0"),
        ("wait=10000", None, None),
        ("wait=1.5, wait=-1, wait=x, wait", None, None),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_9_wait_is_capped_and_reported(
    gateway: RunningGateway, service: Headers, given: str, parameter: int | None, applied: str | None, method: str
) -> None:
    """With a message, so that the response comes at once."""
    send(gateway, service, 1)
    parameters = {} if parameter is None else {"wait_seconds": parameter}
    path = MESSAGES if method == "GET" else f"{MESSAGES}/pop"
    response = gateway.client.request(method, path, params=parameters, headers=service | {"Prefer": given})
    assert received(response) == [1]
    assert response.headers.get("Preference-Applied") == applied
    assert response.headers["Cache-Control"] == "no-store"


def test_10_wait_zero_and_invalid(gateway: RunningGateway, service: Headers) -> None:
    response = gateway.client.get(MESSAGES, headers=service | {"Prefer": "wait=0"})
    assert (received(response), response.headers["Preference-Applied"]) == ([], "wait=0")
    for value in ("-1", "1.5", "10000", ""):
        refused = gateway.client.get(MESSAGES, params={"wait_seconds": value}, headers=service)
        assert (refused.status_code, error(refused)["code"]) == (400, "PGRST100")
        assert error(refused)["message"] == "wait_seconds must be a whole number from 0 to 9999"
    strict = {"Prefer": "handling=strict, wait=x"}
    for headers in (strict, strict | {"Content-Profile": "pgmq_api"}):
        path = "/rpc/read" if "Content-Profile" in headers else f"{MESSAGES}/pop"
        refused = gateway.client.post(
            path, headers=service | headers, json={"queue_name": "jobs"} if "rpc" in path else None
        )
        assert (refused.status_code, error(refused)["details"]) == (400, "Invalid preferences: wait=x")


def test_11_strict_handling_accepts_wait(gateway: RunningGateway, service: Headers) -> None:
    """Of a call that cannot wait too: whether one can is a matter of its function."""
    headers = service | {"Content-Profile": "pgmq_api", "Prefer": "handling=strict, wait=20"}
    sent = gateway.client.post("/rpc/send", headers=headers, json={"queue_name": "jobs", "message": 1})
    assert (sent.status_code, sent.headers["Preference-Applied"]) == (200, "handling=strict")
    read = gateway.client.post("/rpc/read", headers=headers, json={"queue_name": "jobs"})
    assert (received(read), read.headers["Preference-Applied"]) == ([1], "handling=strict, wait=20")


PLAN = {"Accept": "application/vnd.pgrst.plan+json"}


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/rpc/read?select=msg_id", {}),
        ("/rpc/read?msg_id=gt.0", {}),
        ("/rpc/read?order=msg_id", {}),
        ("/rpc/read?limit=5", {}),
        ("/rpc/read?offset=1", {}),
        ("/rpc/read", {"Prefer": "wait=50, tx=rollback"}),
        ("/rpc/read", {"Prefer": "wait=50, handling=strict, max-affected=1"}),
        ("/rpc/read", PLAN),
        ("/rpc/metrics", {}),
        ("/rpc/peek", {}),
        (f"{MESSAGES}/pop?wait_seconds=50", {"Prefer": "tx=rollback"}),
    ],
)
def test_12_wait_is_ignored_with_filters_limit_and_rollback(
    gateway: RunningGateway, service: Headers, path: str, headers: Headers
) -> None:
    given = {"Content-Profile": "pgmq_api", "Prefer": "wait=50"} | headers
    body = None if path.startswith(MESSAGES) else {"queue_name": "jobs"}
    response = gateway.client.post(path, headers=service | given, json=body)
    assert response.status_code == 200, response.text
    assert "wait=" not in response.headers.get("Preference-Applied", "")


@pytest.mark.parametrize(("path", "body"), [("/rpc/read", '{"queue_name": "jobs"}'), (f"{MESSAGES}/pop", "{}")])
def test_a_request_with_a_long_body_does_not_wait(
    gateway: RunningGateway, service: Headers, path: str, body: str
) -> None:
    """It would stay in memory meanwhile."""
    given = {"Content-Profile": "pgmq_api", "Content-Type": "application/json", "Prefer": "wait=50"}
    response = gateway.client.post(path, headers=service | given, content=body.ljust(20_000))
    assert received(response) == []
    assert "Preference-Applied" not in response.headers


def test_a_stream_that_would_be_rolled_back_is_refused(gateway: RunningGateway, service: Headers) -> None:
    send(gateway, service, "kept")
    headers = service | {"Accept": EVENTS, "Prefer": "tx=rollback"}
    refused = gateway.client.get(MESSAGES, headers=headers)
    assert refusal(refused) == (400, "PGRST122", "A stream cannot be rolled back")
    assert gateway.sql("select read_ct from pgmq.q_jobs") == [(0,)]


def test_38_a48_too_many_waiting_is_503_with_retry_after(
    gateway: RunningGateway, service: Headers, clients: ThreadPoolExecutor
) -> None:
    """A caller that has more waiting requests than one may have in process."""
    before = metrics(gateway.server)["pgmq_gateway_wakeup_seconds_count"]
    waits: list[Future[httpx.Response]] = [clients.submit(pop, gateway, service) for _ in range(CROWD)]
    until(lambda: idle(gateway, CROWD))
    refused = pop(gateway, service)
    assert (refused.status_code, error(refused)["code"], refused.headers["Retry-After"]) == (503, "PGMQ503", "1")
    # Neither reads without a wait nor sends are concerned.
    assert received(gateway.client.post(f"{MESSAGES}/pop", headers=service)) == []
    send(gateway, service, *range(CROWD))
    answers = [wait.result() for wait in waits]
    assert sorted(message for answer in answers for message in received(answer)) == list(range(CROWD))  # type: ignore[type-var]
    assert all("wait;dur=" in answer.headers["Server-Timing"] for answer in answers)
    figures = metrics(gateway.server)
    assert figures["pgmq_gateway_waiting"] == 0
    assert figures["pgmq_gateway_wakeup_seconds_count"] - before == CROWD


def test_39_a48_limit_waiting_by_sub(
    gateway: RunningGateway, service: Headers, bearer: Bearer, clients: ThreadPoolExecutor
) -> None:
    mine, others = (bearer("authenticated", sub=sub) for sub in ("mine", "others"))
    waits = [clients.submit(pop, gateway, mine) for _ in range(2)]
    until(lambda: waiting(gateway) == 2)
    refused = pop(gateway, mine)
    assert error(refused) == {
        "code": "PGMQ429",
        "details": "The limit of role authenticated is 2 waiting by sub at once.",
        "hint": "Retry when one of them has ended, or read without waiting.",
        "message": "Too many waiting requests",
    }
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert refused.headers["RateLimit-Policy"].endswith(', "waiting by sub";q=2;qu="concurrent-requests"')
    assert places(gateway, mine) == 0
    waits.append(clients.submit(pop, gateway, others))
    until(lambda: waiting(gateway) == 3)
    send(gateway, service, 1, 2, 3)
    assert sorted(message for wait in waits for message in received(wait.result())) == [1, 2, 3]  # type: ignore[type-var]
    assert places(gateway, mine) == 2


def places(gateway: RunningGateway, caller: Headers) -> int:
    """The requests that can wait beside those that do."""
    limits = gateway.client.get("/", headers=caller).headers["RateLimit"]
    return int(limits.partition('"waiting by sub";r=')[2])


def test_40_message_limit_delays_the_wait(
    gateway: RunningGateway, service: Headers, bearer: Bearer, clients: ThreadPoolExecutor
) -> None:
    send(gateway, service, 1, 2, 3, 4, 5)
    anonymous, slow = bearer("anon"), bearer("authenticated", sub="slow")
    assert received(pop(gateway, anonymous)) == [1]
    late = clients.submit(pop, gateway, anonymous, 1)
    assert [received(pop(gateway, slow)) for _ in range(3)] == [[2], [3], [4]]
    assert (late.result().status_code, error(late.result())["message"]) == (429, "Too many messages")
    assert gateway.sql("select count(*) from pgmq.q_jobs") == [(1,)]


def test_a_message_limit_delays_a_stream_with_more_credit(
    gateway: RunningGateway, service: Headers, bearer: Bearer
) -> None:
    send(gateway, service, 1, 2, 3)
    with opened(gateway.client, "jobs", bearer("authenticated", sub="stream"), n=10) as stream:
        assert [stream.message()["message"] for _ in range(3)] == [1, 2, 3]


def test_a_message_reaches_the_waiter_whose_header_a_policy_names(
    gateway: RunningGateway, service: Headers, bearer: Bearer, clients: ThreadPoolExecutor
) -> None:
    """Requests of one caller that differ by a header do not stand for each other."""
    gateway.sql("select pgmq_admin.create_queue('tenants')")
    gateway.sql("select pgmq_admin.grant_queue('tenants', 'authenticated', '{read,pop}')")
    gateway.sql(
        "create policy tenants on pgmq.q_tenants to authenticated"
        " using (message->>'tenant' = current_setting('request.headers')::json->>'x-tenant')"
    )
    caller, path = bearer("authenticated", sub="tenants"), "/queues/tenants/messages"

    def wait(tenant: str) -> httpx.Response:
        url, headers = f"{gateway.server.url}{path}/pop?wait_seconds=30", caller | {"X-Tenant": tenant}
        return httpx.post(url, headers=headers, timeout=60)

    waits = {}
    for tenant in "ab":
        waits[tenant] = clients.submit(wait, tenant)
        until(lambda: waiting(gateway) == len(waits))
    for tenant in "ba":
        send(gateway, service, {"tenant": tenant}, path=path)
        assert received(waits[tenant].result()) == [{"tenant": tenant}]


def test_49_pipelined_request_ends_the_wait_before_it(gateway: RunningGateway, service: Headers) -> None:
    """Otherwise the end of its connection would not be noticed, and what it pops would be lost."""
    url = httpx.URL(gateway.server.url)
    head = f" HTTP/1.1\r\nHost: gateway\r\nAuthorization: {service['Authorization']}\r\n\r\n".encode()
    # Shorter than the wait.
    with socket.create_connection((url.host, url.port or 80), 40) as connection, connection.makefile("rb") as answers:
        connection.sendall(b"POST %b/pop?wait_seconds=50%b" % (MESSAGES.encode(), head))
        until(lambda: waiting(gateway) == 1)
        connection.sendall(b"GET %b/peek%b" % (MESSAGES.encode(), head))
        assert [body(answers), body(answers)] == [b"[]", b"[]"]


def body(answers: BinaryIO) -> bytes:
    """The body of the next response."""
    length = 0
    while (line := answers.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return answers.read(length)
