"""Streams of messages as server-sent events: credit, leases, ends and errors."""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.databases import Sql
from tests.streams import opened

IN_FLIGHT = "select count(*)::int from pgmq.q_{} where vt > clock_timestamp() and read_ct < 1000000"
Send = Callable[[int], None]
Settle = Callable[[str], tuple[str, str, object]]


@pytest.fixture
def send(sql: Sql, queue: str) -> Send:
    """send(3): send three messages."""

    def some(number: int) -> None:
        sql("select pgmq.send(%s, to_jsonb(n)) from generate_series(1, %s) as n", queue, number)

    return some


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


def test_a_stream_has_the_form_of_server_sent_events(resources: httpx.Client, queue: str, sql: Sql) -> None:
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
    # Test 61: the digits that Postgres wrote.
    assert '"n": 1.50' in event.data
    assert '"x": 12345678901234567890' in event.data


def test_a_stream_delivers_within_its_credit(
    resources: httpx.Client, consumer: httpx.Client, queue: str, send: Send, in_flight: Callable[[], int]
) -> None:
    """Test 50, 51: a message settled here makes room for the next one."""
    send(8)
    with opened(resources, queue, n=3, sleep_seconds=600) as stream:
        delivered = stream.receipts(3)
        for place in range(5):
            assert in_flight() == 3
            path = f"/queues/{queue}/messages/{delivered[place]}"
            consumer.delete(path).raise_for_status()
            delivered += stream.receipts(1)
        assert [receipt.partition(".")[0] for receipt in delivered] == [str(n) for n in range(1, 9)]


SETTLING: dict[str, Settle] = {
    "ack": lambda receipt: ("DELETE", f"/messages/{receipt}", None),
    "delete": lambda receipt: ("DELETE", f"/messages/{receipt.partition('.')[0]}", None),
    "archive": lambda receipt: ("POST", f"/messages/{receipt}/archive", None),
    "archive_by_id": lambda receipt: ("POST", f"/messages/{receipt.partition('.')[0]}/archive", None),
    "retry": lambda receipt: ("POST", f"/messages/{receipt}/retry?delay_seconds=600", None),
    "reject": lambda receipt: ("POST", f"/messages/{receipt}/reject", None),
    "settle": lambda receipt: ("POST", "/settle", {"acks": [receipt]}),
    "delete_batch": lambda receipt: ("DELETE", f"/messages?id=in.({receipt.partition('.')[0]})", None),
}


def test_each_way_to_settle_returns_credit(
    resources: httpx.Client, consumer: httpx.Client, queue: str, send: Send
) -> None:
    send(len(SETTLING) + 1)
    with opened(resources, queue, n=1, sleep_seconds=600) as stream:
        for settling in SETTLING.values():
            method, path, body = settling(*stream.receipts(1))
            consumer.request(method, f"/queues/{queue}{path}", json=body).raise_for_status()
        stream.receipts(1)
