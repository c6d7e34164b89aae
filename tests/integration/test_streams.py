"""Streams of messages as server-sent events: credit, leases, ends and errors."""

import json
import signal
from collections.abc import Callable, Iterator

import httpx
import pytest

from pgmq_gateway.auth.signing import api_key
from tests.attacks.raw import connected, exchange
from tests.databases import Sql
from tests.gateways import Bearer, Grant
from tests.process.metrics import metrics
from tests.server import SECRET, Serve, Server
from tests.streams import EVENTS, Stream, opened
from tests.waiting import until

IN_FLIGHT = "select count(*)::int from pgmq.q_{} where vt > clock_timestamp() and read_ct < 1000000"
PAST = "clock_timestamp() - interval '1 second'"
OPEN = "pgmq_gateway_streams"
MARK = b"event: message"

Send = Callable[[int], None]
Way = Callable[[str, str], tuple[str, str, object]]


@pytest.fixture
def send(sql: Sql, queue: str) -> Send:
    """send(3): send three messages."""

    def some(number: int) -> None:
        sql("select pgmq.send(%s, to_jsonb(n)) from generate_series(1, %s) as n", queue, number)

    return some


@pytest.fixture
def lease_of(sql: Sql, queue: str) -> Callable[[int], None]:
    """lease_of(3): three seconds by the settings of the test's queue."""

    def set_lease(seconds: int) -> None:
        sql("select pgmq_admin.set_queue_settings(%s, jsonb_build_object('lease_seconds', %s::int))", queue, seconds)

    return set_lease


@pytest.fixture
def other(sql: Sql, queue: str) -> Iterator[str]:
    """Another queue."""
    name = f"{queue}b"
    sql("select pgmq_admin.create_queue(%s)", name)
    yield name
    sql("select pgmq.drop_queue(%s)", name)


@pytest.fixture
def consumer(resources: httpx.Client) -> Iterator[httpx.Client]:
    """Another client, which settles what a stream delivers."""
    with httpx.Client(base_url=resources.base_url, headers=resources.headers, timeout=30) as client:
        yield client


@pytest.fixture
def in_flight(sql: Sql, queue: str) -> Callable[[], int]:
    """in_flight(): the messages of the test's queue that are leased."""

    def count() -> int:
        ((number,),) = sql(IN_FLIGHT.format(queue))
        return int(number)

    return count


def test_61_a_stream_of_server_sent_events_keeps_digits(resources: httpx.Client, queue: str, sql: Sql) -> None:
    message = '{"n": 1.50, "text": "a\\nb", "x": 12345678901234567890}'
    sql("select pgmq.send(%s, %s::jsonb)", queue, message)
    with opened(resources, queue) as stream:
        headers = stream.response.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-store", "no")
        assert stream.block() == {"retry": "2000"}
        event = stream.event()
    assert (event.name, event.id) == ("message", event.value["receipt"])
    ((row,),) = sql("select row_to_json(m)::text from pgmq_api.peek(%s) as m", queue)
    peeked = json.loads(row)
    assert event.value["message"] == peeked["message"]
    # As Postgres wrote them.
    assert '"n": 1.50' in event.data
    assert '"x": 12345678901234567890' in event.data


def test_50_a_stream_delivers_within_its_credit(
    resources: httpx.Client, consumer: httpx.Client, queue: str, send: Send, in_flight: Callable[[], int]
) -> None:
    send(8)
    with opened(resources, queue, n=3, sleep_seconds=600) as stream:
        delivered = stream.receipts(3)
        for place in range(5):
            assert in_flight() == 3
            consumer.delete(f"/queues/{queue}/messages/{delivered[place]}").raise_for_status()
            delivered += stream.receipts(1)
    assert [receipt.partition(".")[0] for receipt in delivered] == [str(n) for n in range(1, 9)]


WAYS: tuple[Way, ...] = (
    lambda receipt, _: ("DELETE", f"/messages/{receipt}", None),
    lambda _, id_: ("DELETE", f"/messages/{id_}", None),
    lambda receipt, _: ("POST", f"/messages/{receipt}/archive", None),
    lambda _, id_: ("POST", f"/messages/{id_}/archive", None),
    lambda receipt, _: ("POST", f"/messages/{receipt}/retry?delay_seconds=600", None),
    lambda receipt, _: ("POST", f"/messages/{receipt}/reject", None),
    lambda receipt, _: ("POST", "/settle", {"acks": [receipt]}),
    lambda _, id_: ("DELETE", f"/messages?id=in.({id_})", None),
    lambda _, id_: ("POST", f"/messages/archive?id=in.({id_})", None),
)


def test_51_each_way_to_settle_here_returns_credit(
    resources: httpx.Client, consumer: httpx.Client, queue: str, send: Send
) -> None:
    send(len(WAYS) + 1)
    with opened(resources, queue, n=1, sleep_seconds=600) as stream:
        for way in WAYS:
            (receipt,) = stream.receipts(1)
            method, path, body = way(receipt, receipt.partition(".")[0])
            consumer.request(method, f"/queues/{queue}{path}", json=body).raise_for_status()
        stream.receipts(1)


def test_52_53_credit_returns_without_a_call_of_this_process(
    resources: httpx.Client, queue: str, other: str, sql: Sql
) -> None:
    """The streams ask the database."""
    sql("select pgmq.send(q, to_jsonb(n)) from unnest(%s::text[]) as q, generate_series(1, 2) as n", [queue, other])
    with (
        opened(resources, queue, n=1, sleep_seconds=600) as settled,
        opened(resources, other, n=1, sleep_seconds=600) as expired,
    ):
        sql("select pgmq_api.ack(%s, %s)", queue, *settled.receipts(1))
        expired.receipts(1)
        sql(f"update pgmq.q_{other} set vt = {PAST} where msg_id = 1")
        found = [(message["msg_id"], message["read_ct"]) for message in (settled.message(), expired.message())]
    assert found == [(2, 1), (1, 2)]


def test_54_a_stream_renews_leases_while_it_is_open_and_no_longer(
    resources: httpx.Client,
    consumer: httpx.Client,
    embedded: Server,
    queue: str,
    send: Send,
    lease_of: Callable[[int], None],
    sql: Sql,
) -> None:
    lease = f"select vt from pgmq.q_{queue}"
    lease_of(1)
    send(1)
    with opened(resources, queue, n=1, renew="true") as stream:
        stream.message()
        before = sql(lease)
        until(lambda: sql(lease) > before)
    until(lambda: metrics(embedded)[OPEN] == 0)
    sql(f"update pgmq.q_{queue} set vt = {PAST}")
    (again,) = consumer.get(f"/queues/{queue}/messages").json()
    assert again["msg_id"] == 1


def test_a_stream_of_several_queues(
    resources: httpx.Client, consumer: httpx.Client, queue: str, other: str, sql: Sql
) -> None:
    sql("select pgmq.send(q, to_jsonb(n)) from unnest(%s::text[]) as q, generate_series(1, 2) as n", [other, queue])
    path, found = f"/queues/messages?queue={other}&queue={queue}&n=1", list[tuple[str, int]]()
    with resources.stream("GET", path, headers={"Accept": EVENTS}) as response:
        stream = Stream(response)
        for _ in range(4):
            message = stream.message()
            found.append((message["queue_name"], message["msg_id"]))
            consumer.delete(f"/queues/{message['queue_name']}/messages/{message['receipt']}").raise_for_status()
    assert sorted(found) == [(queue, 1), (queue, 2), (other, 1), (other, 2)]


def test_59_last_event_id_changes_nothing(resources: httpx.Client, queue: str, send: Send) -> None:
    """A queue has no positions. A message that was not settled comes again when its lease ends."""
    send(2)
    with opened(resources, queue, n=1) as stream:
        assert stream.message()["msg_id"] == 1
    with opened(resources, queue, {"Last-Event-ID": "2.1.1"}) as stream:
        assert stream.message()["msg_id"] == 2


def test_62_a_refused_stream_is_an_ordinary_response(resources: httpx.Client, queue: str, bearer: Bearer) -> None:
    for path, role, status, code in (
        (f"{queue}/messages", "authenticated", 403, "42501"),
        ("nosuch/messages", "service_role", 404, "42P01"),
        (f"{queue}/messages?n=0", "service_role", 400, "PGRST100"),
        (f"{queue}/messages?n=1001", "service_role", 400, "PGRST100"),
        (f"{queue}/messages?sleep_seconds=0", "service_role", 400, "PGRST100"),
        (f"{queue}/messages?renew=yes", "service_role", 400, "PGRST100"),
        (f"{queue}/messages?renew=true&sleep_seconds=9", "service_role", 400, "PGRST100"),
        (f"{queue}/messages?wait_seconds=1", "service_role", 400, "PGRST100"),
    ):
        response = resources.get(f"/queues/{path}", headers={"Accept": EVENTS, **bearer(role)})
        assert (response.status_code, response.json()["code"]) == (status, code), path
        assert response.headers["content-type"] == "application/json; charset=utf-8"


def test_a_stream_of_a_dropped_queue_ends_with_an_error(resources: httpx.Client, other: str, sql: Sql) -> None:
    with opened(resources, other) as stream:
        sql("select pgmq.drop_queue(%s)", other)
        event = stream.event()
        assert (event.name, event.value["code"], list(stream.lines)) == ("error", "42P01", [])
        assert list(event.value) == ["code", "details", "hint", "message"]


def test_a_stream_that_fails_while_its_read_waits_leases_nothing_more(
    resources: httpx.Client, queue: str, send: Send, lease_of: Callable[[int], None], sql: Sql
) -> None:
    """The extension of a lease fails."""
    lease_of(3)
    send(1)
    with opened(resources, queue, n=5, renew="true") as stream:
        stream.message()
        sql(f"alter table pgmq.q_{queue} add constraint frozen check (msg_id <> 1) not valid")
        event = stream.event()
        assert (event.name, event.value["code"]) == ("error", "23514")
        send(1)
        assert list(stream.lines) == []
    assert sql(f"select read_ct from pgmq.q_{queue} where msg_id = 2") == [(0,)]


@pytest.mark.parametrize("accept", ["application/json, text/event-stream;q=0.5", "*/*", "text/event-stream;q=0.1, */*"])
def test_a_client_that_prefers_json_gets_an_array(resources: httpx.Client, queue: str, accept: str) -> None:
    assert resources.get(f"/queues/{queue}/messages", headers={"Accept": accept}).json() == []


def head_of(queue: str, version: str = "1.1", query: str = "") -> bytes:
    """The head of a request for a stream as service_role."""
    key = api_key(SECRET.encode(), "service_role")
    lines = (f"GET /queues/{queue}/messages{query} HTTP/{version}", "Host: x", f"Authorization: Bearer {key}")
    return "\r\n".join((*lines, f"Accept: {EVENTS}", "", "")).encode()


def test_a_stream_needs_http_1_1(embedded: Server, queue: str) -> None:
    (answer,) = exchange(embedded, head_of(queue, "1.0"))
    assert (answer.status, answer.code) == (505, "PGMQ505")


def test_a_known_head_streams_too(resources: httpx.Client, queue: str, send: Send) -> None:
    """The third request with a head takes the path without ASGI (http/direct.py)."""
    send(4)
    for _ in range(4):
        with opened(resources, queue, n=1) as stream:
            assert stream.response.headers["transfer-encoding"] == "chunked"
            stream.message()


def test_a_further_request_ends_a_stream(embedded: Server, queue: str) -> None:
    """Otherwise the end of its connection would not be noticed. The third time, the stream takes the path without
    ASGI."""
    further = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for last in (False, False, True):
        with connected(embedded) as connection:
            connection.sendall(head_of(queue))
            received = b""
            while not received.endswith(b"retry: 2000\n\n\r\n"):
                received += connection.recv(65536)
            if last:
                connection.sendall(further)
                events, end, response = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"0\r\n\r\n")
                assert b'event: end\ndata: {"reason":"pipelined"}\n\n' in events
                assert end
                assert response.startswith(b"HTTP/1.1 200 OK\r\n")


def test_58_f48_a_slow_reader_leases_no_more_than_it_takes(
    embedded: Server, resources: httpx.Client, queue: str, other: str, sql: Sql, in_flight: Callable[[], int]
) -> None:
    number, size = 300, 50_000
    sql(
        "select pgmq.send(q, to_jsonb(repeat('x', %s))) from unnest(%s::text[]) as q, generate_series(1, %s)",
        size, [queue, other], number,
    )  # fmt: skip
    with connected(embedded, buffer=4096) as connection:
        connection.sendall(head_of(queue, query="?n=1000&sleep_seconds=600"))
        until(in_flight)
        # A stream that does not wait for its client would be as quick as this one.
        with opened(resources, other, n=1000) as quick:
            quick.receipts(number)
        assert in_flight() < number
        received, found = b"", 0
        while found < number:
            received = received[1 - len(MARK) :] + connection.recv(1 << 20)
            found += received.count(MARK)
    assert in_flight() == number


def test_57_63_streams_are_limited_and_end_with_the_gateway(
    serve: Serve, bearer: Bearer, queue: str, grant: Grant, send: Send
) -> None:
    gateway = serve("postgres", PGMQ_GATEWAY_MAX_WAITING="2", PGMQ_GATEWAY_RATE_LIMITS="authenticated=1 waiting by sub")
    grant("authenticated", "read")
    user, path = bearer("authenticated", sub="ann"), f"/queues/{queue}/messages"
    with httpx.Client(base_url=gateway.url, headers=bearer("service_role"), timeout=30) as client:
        send(1)
        with opened(client, queue, n=1) as first, opened(client, queue, user) as second:
            # The first one keeps its place without credit.
            first.message()
            for full in (client.get(path, headers={"Accept": EVENTS}), client.get(path, params={"wait_seconds": 1})):
                assert (full.status_code, full.json()["code"], full.headers["retry-after"]) == (503, "PGMQ503", "1")
            gateway.process.send_signal(signal.SIGHUP)
            for stream in (first, second):
                assert (stream.event().value, list(stream.lines)) == ({"reason": "reload"}, [])
        with opened(client, queue, user) as stream:
            again = client.get(path, headers={"Accept": EVENTS, **user})
            assert (again.status_code, again.json()["code"]) == (429, "PGMQ429")
            gateway.process.send_signal(signal.SIGTERM)
            assert (stream.event().value, list(stream.lines)) == ({"reason": "shutdown"}, [])
    assert gateway.stop() == 0
