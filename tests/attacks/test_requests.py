"""Requests that are too large, too slow or too many: refused in time, with little memory, while others are served."""

import gzip
import select
import socket
import time
from contextlib import ExitStack
from typing import Any

import httpx
import psutil
import pytest

from tests.answers import error
from tests.attacks.raw import Answer, answers, connected, endless, exchange, post
from tests.gateways import RunningGateway
from tests.process.metrics import metrics
from tests.server import Serve, Server
from tests.waiting import until

MAX_BODY = 200_000
GATEWAY = {
    "PGRST_DB_POOL": "1",
    "PGMQ_GATEWAY_MAX_BODY": str(MAX_BODY),
    "PGMQ_GATEWAY_MAX_HEAD": "4096",
    "PGMQ_GATEWAY_HEAD_TIMEOUT": "2",
    "PGMQ_GATEWAY_BODY_TIMEOUT": "2",
    "PGMQ_GATEWAY_SEND_TIMEOUT": "2",
    "PGMQ_GATEWAY_MAX_CONNECTIONS": "20",
    "PGMQ_GATEWAY_MAX_BATCH": "3",
    "PGMQ_GATEWAY_MAX_READ": "2",
}
SCHEMAS = (
    "create function public.long(n int) returns text language sql as $$select repeat('x', n)$$",
    "create function public.length(text) returns int language sql as 'select length($1)'",
)
MEGABYTE = 1024 * 1024
LONG = post("/rpc/long", b'{"n": 12000000}')


def memory(server: Server) -> int:
    """The resident memory of the process in bytes."""
    return int(psutil.Process(server.process.pid).memory_info().rss)


def summary(answer: Answer) -> tuple[int, str, str | None]:
    """Status, code and Connection header of an error."""
    return answer.status, answer.code, answer.headers.get("connection")


def test_a28_a_body_with_too_large_a_content_length_is_refused_before_it_is_read(gateway: RunningGateway) -> None:
    with connected(gateway.server) as connection:
        connection.sendall(b"POST /rpc/long HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n{")
        (answer,) = answers(connection)
    assert summary(answer) == (413, "PGMQ413", "close")
    # Nor is it requested with 100 Continue.
    (answer,) = exchange(gateway.server, post("/rpc/long", b"x" * (MAX_BODY + 1), "Expect: 100-continue")[:200])
    assert summary(answer) == (413, "PGMQ413", "close")
    refused = gateway.client.post("/rpc/long", content=b" " * MAX_BODY + b"{}", headers={"Origin": "https://a.example"})
    assert (refused.status_code, error(refused)["code"]) == (413, "PGMQ413")
    assert refused.headers["access-control-allow-origin"] == "*"
    assert gateway.client.post("/rpc/long", content=b" " * (MAX_BODY - 9) + b'{"n": 10}').json() == "x" * 10


CHUNKED = "Transfer-Encoding: chunked"
ENDLESS = {
    "chunked": (post("/rpc/long", b"", CHUNKED, length=False), 413),
    "answered before": (post("/nowhere", b"", CHUNKED, length=False), 404),
    "no token": (post("/rpc/long", b"", CHUNKED, "Authorization: Bearer x", length=False), 401),
}


@pytest.mark.parametrize(("head", "status"), ENDLESS.values(), ids=list(ENDLESS))
def test_a28_a_body_without_end_is_cut_and_takes_no_memory(gateway: RunningGateway, head: bytes, status: int) -> None:
    before = memory(gateway.server)
    (answer,), sent = endless(gateway.server, head, b"10000\r\n" + b"x" * 0x10000 + b"\r\n", 200 * MEGABYTE)
    assert answer.status == status
    assert sent < 200 * MEGABYTE
    assert memory(gateway.server) < before + 30 * MEGABYTE
    assert gateway.client.post("/rpc/long", json={"n": 1}).status_code == 200


def test_a28_a_compressed_body_is_bytes_like_any_other(gateway: RunningGateway) -> None:
    bomb = gzip.compress(b" " * (50 * MEGABYTE))
    before = memory(gateway.server)
    packed = {"Content-Encoding": "gzip"}
    refused = gateway.client.post("/rpc/long", content=bomb, headers=packed)
    assert (refused.status_code, error(refused)["code"]) == (400, "PGRST102")
    refused = gateway.client.post("/rpc/long", content=gzip.compress(b'{"n": 1}'), headers=packed)
    assert (refused.status_code, error(refused)["code"]) == (400, "PGRST102")
    assert memory(gateway.server) < before + 30 * MEGABYTE


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nA: " + b"b" * 5000 + b"\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\n" + b"A: bbbb\r\n" * 400 + b"\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\n" + b"A:\r\n" * 101 + b"\r\n",
        # Incomplete.
        b"GET /x HTTP/1.1\r\nHost: a\r\nA: " + b"b" * 5000,
        b"G" + b"\r\n" * 5000 + b"GET /x",
    ],
)
def test_a28_a_head_that_is_too_long_is_refused_while_it_comes_in(gateway: RunningGateway, head: bytes) -> None:
    (answer,) = exchange(gateway.server, head)
    assert summary(answer) in [(431, "PGMQ431", "close"), (400, "PGMQ400", "close")]
    assert answer.status == (400 if head.startswith(b"G\r") else 431)
    # After another request, and in pieces.
    with connected(gateway.server) as connection:
        connection.sendall(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n" + head[:20])
        for piece in (head[20:3000], head[3000:]):
            time.sleep(0.01)
            connection.sendall(piece)
        assert [one.status for one in answers(connection)] == [404, answer.status]


def test_a28_headers_within_the_limits_pass(gateway: RunningGateway) -> None:
    headers = "".join(f"A{n}: {'b' * 25}\r\n" for n in range(97))
    head = f"GET /nowhere HTTP/1.1\r\nHost: a\r\n{headers}Connection: close\r\n\r\n"
    assert 3000 < len(head) < 4096
    assert exchange(gateway.server, head.encode())[0].status == 404


def test_a28_a_length_that_is_not_kept_ends_in_time_or_begins_the_next_request(gateway: RunningGateway) -> None:
    # Bytes beyond the body begin another request, which is malformed.
    found = exchange(gateway.server, post("/rpc/long", b'{"n": 1}') + b"garbage\r\n\r\n")
    assert [answer.status for answer in found] == [200, 400]
    # If the client closes its side, the gateway does not wait for the rest.
    with connected(gateway.server) as connection:
        connection.sendall(post("/rpc/long", b'{"n": 1} ')[:-1])
        connection.shutdown(socket.SHUT_WR)
        assert answers(connection) == []


def test_a30_slow_requests_and_slow_readers_are_cut_and_hold_no_database_connection(gateway: RunningGateway) -> None:
    server, before = gateway.server, memory(gateway.server)
    with ExitStack() as clients:

        def client(sent: bytes, buffer: int | None = None) -> socket.socket:
            connection = clients.enter_context(connected(server, buffer))
            connection.sendall(sent)
            return connection

        silent = client(b"")
        heads = [
            client(b"POST /rpc/long HTTP/1.1\r\nHost: a\r\nA: "),
            client(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\nG"),
        ]
        bodies = [client(LONG[:-3]), client(post("/rpc/long", b"1\r\n{\r\n", CHUNKED, length=False))]
        refused = client(post("/nowhere", b'{"n": 1}')[:-2])
        readers = [client(LONG, 4096) for _ in range(4)]
        steady = client(LONG, 65536)
        # Meanwhile the only database connection serves others.
        for reader in (*readers, steady):
            reader.recv(1)
        began = time.monotonic()
        assert gateway.client.post("/rpc/long", json={"n": 5}).json() == "xxxxx"
        read = 1 + trickled(steady, heads[0], readers, began)
        assert answers(silent) == []
        assert [[one.status for one in answers(head)] for head in heads] == [[408], [404, 408]]
        assert [[summary(one) for one in answers(body)] for body in bodies] == 2 * [[(408, "PGMQ408", "close")]]
        assert [one.status for one in answers(refused)] == [404]
        # The client that kept reading has the whole response.
        while chunk := steady.recv(MEGABYTE):
            read += len(chunk)
            if read > 12_000_000:
                break
        assert read > 12_000_000
    until(lambda: memory(server) < before + 40 * MEGABYTE)
    assert gateway.client.post("/rpc/long", json={"n": 5}).json() == "xxxxx"


def test_a_request_that_is_rejected_within_its_body_is_counted_and_logged_once(gateway: RunningGateway) -> None:
    def counted() -> dict[str, float]:
        return {name: value for name, value in metrics(gateway.server).items() if "_answers_" in name}

    before = counted()
    (answer,) = exchange(gateway.server, post("/rpc/long", b"1\r\n{\r\nnonsense\r\n", CHUNKED, length=False))
    assert (answer.status, answer.code) == (400, "PGMQ400")
    assert gateway.client.get("/nowhere").status_code == 404
    grown = {name: value - before.get(name, 0) for name, value in counted().items()}
    assert {name: value for name, value in grown.items() if value} == {
        'pgmq_gateway_answers_total{status="400"}': 1,
        'pgmq_gateway_answers_total{status="404"}': 1,
    }


def trickled(steady: socket.socket, head: socket.socket, readers: list[socket.socket], began: float) -> int:
    """Read and send slowly until all `readers` are disconnected; returns how much was read."""
    cut, read = select.poll(), 0
    left = {reader.fileno() for reader in readers}
    for number in left:
        cut.register(number, 0)
    while left:
        assert time.monotonic() < began + 60, "not cut"
        left -= {number for number, _ in cut.poll(100)}
        for number, _ in cut.poll(0):
            cut.unregister(number)
        read += len(steady.recv(50_000))
        try:
            head.send(b"b")
        except OSError:
            continue
    return read


def test_a30_a_connection_beyond_the_limit_is_503_and_costs_nothing(gateway: RunningGateway) -> None:
    with ExitStack() as clients:
        before = [clients.enter_context(connected(gateway.server)) for _ in range(21)]
        until(lambda: select.select(before, [], [], 0)[0])
        found = [answers(connection) for connection in select.select(before, [], [], 0)[0]]
        assert {summary(*one) for one in found} == {(503, "PGMQ503", "close")}
        assert found[0][0].headers["retry-after"] == "1"
        (late,) = exchange(gateway.server, post("/rpc/long", b'{"n": 1}'))
        assert summary(late) == (503, "PGMQ503", "close")
    until(lambda: exchange(gateway.server, post("/rpc/long", b'{"n": 1}', "Connection: close"))[0].status == 200)


def test_a30_a_body_that_does_not_fit_into_memory_is_503_and_does_not_run(
    gateway: RunningGateway, serve: Serve
) -> None:
    gateway.define(
        "create table public.texts (text text)",
        "grant insert on public.texts to anon",
        "create function public.keep(text) returns void language sql as 'insert into public.texts values ($1)'",
    )
    small = serve(gateway.sql("select current_database()")[0][0], PGMQ_GATEWAY_MAX_BUFFERED="1000")
    for size, status in ((2000, 503), (900, 204), (1001, 503)):
        (answer,) = exchange(small, post("/rpc/keep", b"x" * size, "Connection: close", content_type="text/plain"))
        assert answer.status == status
    assert summary(answer) == (503, "PGMQ503", "close")
    assert gateway.sql("select length(text) from public.texts") == [(900,)]


def test_a25_a_batch_and_a_read_have_a_number_of_messages(gateway: RunningGateway) -> None:
    gateway.sql("select pgmq_admin.create_queue('capped')")
    gateway.sql("select pgmq_admin.grant_queue('capped', 'anon', '{send,read}')")
    gateway.sql("alter table pgmq.q_capped disable row level security")

    def call(name: str, **sent: Any) -> httpx.Response:  # noqa: ANN401 httpx's
        return gateway.client.post(f"/rpc/{name}", headers={"Content-Profile": "pgmq_public"}, **sent)

    batches: list[dict[str, object]] = [
        {"json": {"queue_name": "capped", "messages": [1, 2, 3, 4]}},
        {"json": {"queue_name": "capped", "messages": "{1,2,3,4}"}},
        {"data": {"queue_name": "capped", "messages": "{1,2,3,4}"}},
    ]
    for batch in batches:
        refused = call("send_batch", **batch)
        assert (refused.status_code, error(refused)["code"]) == (400, "22023")
    assert gateway.sql("select count(*) from pgmq.q_capped") == [(0,)]
    assert call("send_batch", json={"queue_name": "capped", "messages": [1, 2, 3]}).json() == [1, 2, 3]
    for n in (2**31 - 1, "2147483647"):
        rows = call("read", json={"queue_name": "capped", "sleep_seconds": 0, "n": n}).json()
        assert len(rows) == 2
    shaped = call("read", json={"queue_name": "capped", "sleep_seconds": 0, "n": 9}, params={"select": "msg_id"})
    assert len(shaped.json()) == 2


def test_f39_many_large_responses_leave_nothing_in_memory(gateway: RunningGateway) -> None:
    def read(count: int) -> None:
        for _ in range(count):
            assert len(gateway.client.post("/rpc/long", json={"n": MEGABYTE}).content) == MEGABYTE + 2

    read(5)
    before = memory(gateway.server)
    read(60)
    assert memory(gateway.server) < before + 25 * MEGABYTE
