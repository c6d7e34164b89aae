"""Request smuggling: bytes that two parsers could read differently are refused, or read as RFC 9112 says."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.attacks.raw import answers, ask, connected, exchange
from tests.databases import Sql
from tests.gateways import Bearer
from tests.server import Server

# After the request line and Host; MESSAGE stands for the body of a send.
REFUSED: dict[str, bytes] = {
    "CL.TE": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\nSIZE\r\nMESSAGE\r\n0\r\n\r\n",
    "TE.CL": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\nSIZE\r\nMESSAGE\r\n0\r\n\r\n",
    "TE.TE": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\nSIZE\r\nMESSAGE\r\n0\r\n\r\n",
    "TE.TE turned": b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\nSIZE\r\nMESSAGE\r\n0\r\n\r\n",
    "TE gzip": b"Transfer-Encoding: gzip, chunked\r\n\r\nSIZE\r\nMESSAGE\r\n0\r\n\r\n",
    "TE twice": b"Transfer-Encoding: chunked, chunked\r\n\r\nSIZE\r\nMESSAGE\r\n0\r\n\r\n",
    "TE identity": b"Transfer-Encoding: identity\r\n\r\nMESSAGE",
    "TE empty": b"Transfer-Encoding: \r\n\r\nMESSAGE",
    "TE longer": b"Transfer-Encoding: xchunked\r\n\r\nSIZE\r\nMESSAGE\r\n0\r\n\r\n",
    "TE parameter": b"Transfer-Encoding: chunked;a=b\r\n\r\nSIZE\r\nMESSAGE\r\n0\r\n\r\n",
    "TE quoted": b'Transfer-Encoding: "chunked"\r\n\r\nSIZE\r\nMESSAGE\r\n0\r\n\r\n',
    "TE control": b"Transfer-Encoding: \x0bchunked\r\n\r\nSIZE\r\nMESSAGE\r\n0\r\n\r\n",
    "TE folded": b"Transfer-Encoding:\r\n chunked\r\n\r\nSIZE\r\nMESSAGE\r\n0\r\n\r\n",
    "TE space": b"Transfer-Encoding : chunked\r\n\r\nSIZE\r\nMESSAGE\r\n0\r\n\r\n",
    "CL same twice": b"Content-Length: LENGTH\r\nContent-Length: LENGTH\r\n\r\nMESSAGE",
    "CL two": b"Content-Length: LENGTH\r\nContent-Length: 5\r\n\r\nMESSAGE",
    "CL list": b"Content-Length: LENGTH, LENGTH\r\n\r\nMESSAGE",
    "CL plus": b"Content-Length: +LENGTH\r\n\r\nMESSAGE",
    "CL negative": b"Content-Length: -1\r\n\r\nMESSAGE",
    "CL huge": b"Content-Length: 99999999999999999999\r\n\r\nMESSAGE",
    "CL wraps": b"Content-Length: 18446744073709551617\r\n\r\nMESSAGE",
    "CL hex": b"Content-Length: 0x10\r\n\r\nMESSAGE",
    "CL empty": b"Content-Length: \r\n\r\nMESSAGE",
    "CL two words": b"Content-Length: 4 5\r\n\r\nMESSAGE",
    "CL folded": b"Content-Length:\r\n LENGTH\r\n\r\nMESSAGE",
    "CL space": b"Content-Length : LENGTH\r\n\r\nMESSAGE",
    "bare LF": b"A: b\nContent-Length: LENGTH\r\n\r\nMESSAGE",
    "bare CR": b"A: b\rContent-Length: LENGTH\r\n\r\nMESSAGE",
    "LF LF": b"Content-Length: LENGTH\n\nMESSAGE",
    "obs-fold": b"A: b\r\n c\r\nContent-Length: LENGTH\r\n\r\nMESSAGE",
    "no colon": b"Aaaa\r\nContent-Length: LENGTH\r\n\r\nMESSAGE",
    "no name": b": x\r\nContent-Length: LENGTH\r\n\r\nMESSAGE",
    "NUL in name": b"A\0: x\r\nContent-Length: LENGTH\r\n\r\nMESSAGE",
    "NUL in value": b"A: a\0b\r\nContent-Length: LENGTH\r\n\r\nMESSAGE",
    "control in value": b"A: a\x01b\r\nContent-Length: LENGTH\r\n\r\nMESSAGE",
    "name not ASCII": b"A\xff: x\r\nContent-Length: LENGTH\r\n\r\nMESSAGE",
    "name in parentheses": b"A(b): x\r\nContent-Length: LENGTH\r\n\r\nMESSAGE",
    "two Hosts": b"Host: other\r\nContent-Length: LENGTH\r\n\r\nMESSAGE",
    "chunk: hex prefix": b"Transfer-Encoding: chunked\r\n\r\n0xSIZE\r\nMESSAGE\r\n0\r\n\r\n",
    "chunk: plus": b"Transfer-Encoding: chunked\r\n\r\n+SIZE\r\nMESSAGE\r\n0\r\n\r\n",
    "chunk: minus": b"Transfer-Encoding: chunked\r\n\r\n-1\r\nMESSAGE\r\n0\r\n\r\n",
    "chunk: spaces": b"Transfer-Encoding: chunked\r\n\r\nSIZE \r\nMESSAGE\r\n0\r\n\r\n",
    "chunk: wraps": b"Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\nMESSAGE\r\n0\r\n\r\n",
    "chunk: none": b"Transfer-Encoding: chunked\r\n\r\n\r\nMESSAGE\r\n0\r\n\r\n",
    "chunk: underscore": b"Transfer-Encoding: chunked\r\n\r\n1_0\r\nMESSAGE\r\n0\r\n\r\n",
    "chunk: LF": b"Transfer-Encoding: chunked\r\n\r\nSIZE\nMESSAGE\n0\n\n",
    "chunk: extension LF": b"Transfer-Encoding: chunked\r\n\r\nSIZE;a=b\nMESSAGE\r\n0\r\n\r\n",
    "chunk: extension open": b'Transfer-Encoding: chunked\r\n\r\nSIZE;a="\r\nMESSAGE\r\n0\r\n\r\n',
    "chunk: too short": b"Transfer-Encoding: chunked\r\n\r\n1\r\nMESSAGE\r\n0\r\n\r\n",
    "chunk: data LF": b"Transfer-Encoding: chunked\r\n\r\nSIZE\r\nMESSAGE\n0\r\n\r\n",
    "trailer: CL": b"Transfer-Encoding: chunked\r\n\r\nSIZE\r\nMESSAGE\r\n0\r\nContent-Length: 5\r\n\r\n",
    "trailer: TE": b"Transfer-Encoding: chunked\r\n\r\nSIZE\r\nMESSAGE\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
}
# Whole requests except for the body.
LINES: dict[str, bytes] = {
    "bare LF": b"POST /rpc/send HTTP/1.1\nHost: a\n\n",
    "no Host": b"POST /rpc/send HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "space in front": b" POST /rpc/send HTTP/1.1\r\nHost: a\r\n\r\n",
    "header in front": b"POST /rpc/send HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n",
    "method in small letters": b"post /rpc/send HTTP/1.1\r\nHost: a\r\n\r\n",
    "no method": b"FOO /rpc/send HTTP/1.1\r\nHost: a\r\n\r\n",
    "space in target": b"POST /rpc/send x HTTP/1.1\r\nHost: a\r\n\r\n",
    "NUL in target": b"POST /rpc/se\0nd HTTP/1.1\r\nHost: a\r\n\r\n",
    "tab in target": b"POST /rpc/se\tnd HTTP/1.1\r\nHost: a\r\n\r\n",
    "fragment": b"POST /rpc/send#x HTTP/1.1\r\nHost: a\r\n\r\n",
    "no target": b"POST  HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT": b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/0.9": b"GET /rpc/send\r\n",
    "HTTP/1.2": b"POST /rpc/send HTTP/1.2\r\nHost: a\r\n\r\n",
    "HTTP/2.0": b"POST /rpc/send HTTP/2.0\r\nHost: a\r\n\r\n",
    "TE of HTTP/1.0": b"POST /rpc/send HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "nothing of all that": b"\0\xff\r\n",
}
# Requests that RFC 9112 allows, and how many messages the two send.
READ: dict[str, tuple[bytes, int]] = {
    "length": (b"Content-Length: LENGTH\r\n\r\nMESSAGE", 2),
    "zeros": (b"Content-Length: 000LENGTH\r\n\r\nMESSAGE", 2),
    "tab": (b"Content-Length:\tLENGTH\t\r\n\r\nMESSAGE", 2),
    "chunked": (b"Transfer-Encoding: ChUnKeD\r\n\r\n000SIZE\r\nMESSAGE\r\n0\r\n\r\n", 2),
    "extension": (b'Transfer-Encoding: chunked\r\n\r\nSIZE;a="b c";d\r\nMESSAGE\r\n0;e\r\n\r\n', 2),
    "trailer": (b"Transfer-Encoding: chunked\r\n\r\nSIZE\r\nMESSAGE\r\n0\r\nAuthorization: Bearer x\r\n\r\n", 2),
    "upgrade": (b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: LENGTH\r\n\r\nMESSAGE", 2),
    "websocket": (b"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: LENGTH\r\n\r\nMESSAGE", 2),
    "close": (b"Connection: close\r\nContent-Length: LENGTH\r\n\r\nMESSAGE", 1),
}

Rows = Callable[[], list[tuple[Any, ...]]]


@pytest.fixture
def message(queue: str) -> Callable[[str], bytes]:
    """message("first") is the body of a send."""
    return lambda text: f'{{"queue_name": "{queue}", "message": "{text}"}}'.encode()


@pytest.fixture
def credentials(bearer: Bearer) -> bytes:
    """An Authorization header of service_role."""
    return f"Authorization: {bearer('service_role')['Authorization']}\r\nContent-Profile: pgmq_public\r\n".encode()


def filled(template: bytes, body: bytes) -> bytes:
    """The rest of a request with the body and its length filled in."""
    places = {b"LENGTH": b"%d" % len(body), b"SIZE": b"%x" % len(body), b"MESSAGE": body}
    for place, value in places.items():
        template = template.replace(place, value)
    return template


def test_a31_ambiguous_requests_are_refused_and_nothing_after_them_runs(
    embedded: Server, credentials: bytes, message: Callable[[str], bytes], queue: str, sql: Sql
) -> None:
    line = b"POST /rpc/send HTTP/1.1\r\nHost: a\r\n" + credentials
    behind = line + filled(b"Connection: close\r\nContent-Length: LENGTH\r\n\r\nMESSAGE", message("behind"))
    attacks = {
        **{name: line + filled(rest, message(name)) for name, rest in REFUSED.items()},
        **{f"line: {name}": rest for name, rest in LINES.items()},
    }
    answers = {name: exchange(embedded, attack + behind) for name, attack in attacks.items()}
    told = {
        name: [(one.status, one.body[:18], one.headers.get("connection")) for one in answers[name]] for name in answers
    }
    assert {name: one for name, one in told.items() if one != [(400, b'{"code":"PGMQ400",', "close")]} == {}
    assert sql(f"select message from pgmq.q_{queue}") == []


@pytest.mark.parametrize("alone", [True, False])
def test_a31_ambiguous_requests_are_refused_behind_equal_heads_too(
    embedded: Server, credentials: bytes, message: Callable[[str], bytes], queue: str, sql: Sql, *, alone: bool
) -> None:
    """The head that the attacks vary is known, so the gateway does not parse it again (`http/direct.py`)."""
    line = b"POST /rpc/send HTTP/1.1\r\nHost: a\r\n" + credentials
    good = line + filled(b"Content-Length: LENGTH\r\n\r\nMESSAGE", message("good"))
    told = {}
    for name, rest in REFUSED.items():
        with connected(embedded) as connection:
            assert [ask(connection, good).status for _ in range(3)] == [200] * 3
            connection.sendall(line + filled(rest, message(name)) + (b"" if alone else good))
            told[name] = [(one.status, one.headers.get("connection")) for one in answers(connection)]
    assert {name: one for name, one in told.items() if one != [(400, "close")]} == {}
    assert sql(f"select distinct message from pgmq.q_{queue}") == [("good",)]


def test_a31_requests_that_rfc_9112_allows_are_read_as_it_says(
    embedded: Server, credentials: bytes, message: Callable[[str], bytes], queue: str, sql: Sql
) -> None:
    line = b"POST /rpc/send HTTP/1.1\r\nHost: a\r\n" + credentials
    behind = line + filled(b"Connection: close\r\nContent-Length: LENGTH\r\n\r\nMESSAGE", message("behind"))
    for name, (rest, count) in READ.items():
        found = exchange(embedded, line + filled(rest, message(name)) + behind)
        assert [answer.status for answer in found] == [200] * count, name
        assert sql(f"delete from pgmq.q_{queue} returning message") == [(name,), ("behind",)][:count]


def test_a31_requests_before_a_refused_one_get_their_responses(
    embedded: Server, credentials: bytes, message: Callable[[str], bytes], queue: str, sql: Sql
) -> None:
    good = b"POST /rpc/send HTTP/1.1\r\nHost: a\r\n" + credentials
    good += filled(b"Content-Length: LENGTH\r\n\r\nMESSAGE", message("good"))
    bad = b"POST /rpc/send HTTP/1.1\r\nHost: a\r\n" + credentials
    for rest in (b"Content-Length: x\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nx\r\n"):
        found = exchange(embedded, 3 * good + bad + rest + good)
        assert [answer.status for answer in found] == [200, 200, 200, 400]
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(6,)]


def test_a31_a_trailer_is_no_header(embedded: Server, message: Callable[[str], bytes], credentials: bytes) -> None:
    line = b"POST /rpc/send HTTP/1.1\r\nHost: a\r\nContent-Profile: pgmq_public\r\nConnection: close\r\n"
    rest = b"Transfer-Encoding: chunked\r\n\r\nSIZE\r\nMESSAGE\r\n0\r\n" + credentials + b"\r\n"
    (answer,) = exchange(embedded, line + filled(rest, message("x")))
    assert (answer.status, answer.code) == (401, "42501")


def test_a31_a_connection_has_no_endless_number_of_requests_in_memory(embedded: Server) -> None:
    one = b"GET /rpc/ghost HTTP/1.1\r\nHost: a\r\n\r\n"
    found = exchange(embedded, one * 2000)
    assert {answer.status for answer in found[:-1]} == {404}
    assert 100 <= len(found) < 1000
    assert found[-1].code == "PGMQ400"


@pytest.mark.parametrize("preface", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" * 1000])
def test_a43_http_2_is_not_spoken(embedded: Server, preface: bytes) -> None:
    (answer,) = exchange(embedded, preface)
    assert (answer.status, answer.code) == (400, "PGMQ400")
