"""Calls that the server hands to the application without ASGI: which they are, and that clients see no difference."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from random import Random

import httptools
import pytest

from pgmq_gateway.http.asgi import Receive, Scope, Send
from pgmq_gateway.http.asgi_exchange import AsgiExchange
from pgmq_gateway.http.bounds import Bounds
from pgmq_gateway.http.direct import DirectExchange, KnownHeads
from pgmq_gateway.http.request import HEAD_CACHE_SIZE, Exchange, Head, head_of
from pgmq_gateway.http.response import Response
from pgmq_gateway.http.server import Server, server_for
from tests.waiting import until_async

START = b"POST /rpc/send HTTP/1.1\r\nHost: x\r\n"
HEAD = Head("POST", b"/rpc/send", b"", ((b"host", b"x"),))


def sent(body: bytes, *, start: bytes = START, more: bytes = b"", length: bytes | None = None) -> bytes:
    length = b"%d" % len(body) if length is None else length
    return start + b"Content-Length: " + length + b"\r\n" + more + b"\r\n" + body


def test_a_known_head_is_found_whatever_the_length_of_its_body() -> None:
    heads = KnownHeads()
    assert heads.find(sent(b"{}")) is None
    heads.learn(sent(b"{}"), HEAD, b"2", 2)
    for body in (b"{}", b"", b"x" * 12_345):
        assert heads.find(sent(body)) == (HEAD, b"%d" % len(body), body)


@pytest.mark.parametrize(
    "data",
    [
        sent(b"{}", start=START.replace(b"x", b"y")),
        sent(b"{}", start=START.replace(b"Host", b"host")),
        sent(b"{}", more=b"Accept: */*\r\n"),
        sent(b"{}", length=b"3"),
        sent(b"{}", length=b"1"),
        sent(b"{}", length=b"+2"),
        sent(b"{}", length=b"2 "),
        sent(b"{}", length=b" 2"),
        sent(b"{}", length=b"0x2"),
        sent(b"{}", length=b"2_"),
        sent(b"{}", length=b""),
        sent(b"{}", length="²".encode()),
        sent(b"{}", length=b"0000000002"),
        sent(b"{}", more=b"Content-Length: 2\r\n"),
        sent(b"{}") + sent(b"{}"),
        sent(b"{}")[:-1],
        START + b"\r\n",
        b"\r\n\r\n",
        b"",
    ],
)
def test_any_other_bytes_go_to_the_parser(data: bytes) -> None:
    heads = KnownHeads()
    heads.learn(sent(b"{}"), HEAD, b"2", 2)
    assert heads.find(data) is None


@pytest.mark.parametrize(
    ("data", "length", "headers"),
    [
        # The head ended earlier or later for the parser, or it has read another length.
        (sent(b"{}"), b"2", 1),
        (sent(b"{}"), b"2", 3),
        (sent(b"{}"), b"3", 2),
        (sent(b"{}"), None, 2),
        (START + b"CONTENT-LENGTH: 0\r\n\r\n", b"0", 2),
        (sent(b"{}", start=START.replace(b"\r\n", b"\n")), b"2", 2),
        (sent(b"{}", more=b"Accept: a,\r\n b\r\n"), b"2", 3),
    ],
)
def test_a_head_that_the_parser_has_read_differently_is_not_learnt(
    data: bytes, length: bytes | None, headers: int
) -> None:
    heads = KnownHeads()
    heads.learn(data, HEAD, length, headers)
    assert heads.find(data) is None


class Parsed:
    """What the parser reads from bytes."""

    def __init__(self, data: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.url = self.body = b""
        self.messages = 0
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(data)
        self.method = parser.get_method()

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.messages += 1


def test_bytes_that_are_found_would_be_read_equally_by_the_parser() -> None:
    heads, original = KnownHeads(), sent(b"{}", more=b"Accept: */*\r\n")
    heads.learn(original, HEAD, b"2", 3)
    random, found = Random(1), 0  # noqa: S311 the same bytes in each run
    pieces = [
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b" ",
        b"0",
        b"1",
        b"2",
        b"Content-Length: 1\r\n",
        b":",
        b"x",
        b"{",
        b"\0",
    ]
    for _ in range(5000):
        data = original
        for _ in range(random.randint(1, 3)):
            start = random.randrange(len(data) + 1)
            data = data[:start] + random.choice([b"", *pieces]) + data[start + random.choice([0, 0, 1, 2]) :]
        if (arrived := heads.find(data)) is None:
            continue
        found += 1
        parsed = Parsed(data)
        assert (parsed.messages, parsed.method, parsed.url) == (1, b"POST", b"/rpc/send"), data
        assert parsed.headers == [(b"Host", b"x"), (b"Content-Length", arrived.length), (b"Accept", b"*/*")], data
        assert parsed.body == arrived.body, data
    assert found > 50


def test_only_so_many_heads_are_kept() -> None:
    heads = KnownHeads()
    for number in range(HEAD_CACHE_SIZE + 1):
        heads.learn(sent(b"", start=START + b"X: %d\r\n" % number), HEAD, b"0", 3)
    assert heads.find(sent(b"", start=START + b"X: 0\r\n")) is None
    assert heads.find(sent(b"", start=START + b"X: 1\r\n")) is not None


class Application:
    """Responds with the body once `gate` is open. `ways` are the kinds of exchanges so far."""

    def __init__(self) -> None:
        self.ways: list[type] = []
        self.now: list[Exchange] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.handle(AsgiExchange(scope, receive, send))

    async def handle(self, exchange: Exchange) -> None:
        self.ways.append(type(exchange))
        self.now.append(exchange)
        body = exchange.whole_body
        if body is None:
            body, _ = await exchange.receive()
        if body == b"bug":
            raise ZeroDivisionError
        await self.gate.wait()
        await exchange.send(
            Response(200, (("X-Length", str(exchange.length)),), body), ("X-Method", exchange.head.method)
        )
        self.now.remove(exchange)


class Site:
    """A server with its clients."""

    def __init__(
        self, server: Server, application: Application, address: tuple[str, int], stack: AsyncExitStack
    ) -> None:
        self.server = server
        self.application = application
        self._address = address
        self._stack = stack

    async def connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*self._address)
        self._stack.callback(writer.close)
        return reader, writer

    async def taught(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which the parser has read a head of `sent`."""
        reader, writer = await self.connection()
        writer.write(sent(b"first"))
        assert (await response(reader))[1] == b"first"
        return reader, writer


async def response(reader: asyncio.StreamReader) -> tuple[set[bytes], bytes]:
    """The lines of the next head, without the date, and the body."""
    lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]
    length = next(int(line.partition(b": ")[2]) for line in lines if line.startswith(b"content-length"))
    return {line for line in lines if not line.startswith(b"date: ")}, await reader.readexactly(length)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    application = Application()
    server = server_for(application, bounds=lambda: Bounds(max_head_bytes=1024), handle=application.handle)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    address = listening.getsockname()
    running = asyncio.create_task(server.serve([listening]))
    await server.listening.wait()
    async with AsyncExitStack() as stack:
        yield Site(server, application, address, stack)
        application.gate.set()
        server.should_exit = True
        await running


@pytest.mark.parametrize("more", [b"", b"Connection: keep-alive\r\n"])
async def test_the_second_request_with_a_head_is_handed_on_and_gets_the_same_response(site: Site, more: bytes) -> None:
    reader, writer = await site.connection()
    responses = []
    for _ in range(2):
        writer.write(sent(b"hello", more=more))
        responses.append(await response(reader))
    assert site.application.ways == [AsgiExchange, DirectExchange]
    assert responses[0] == responses[1]
    assert {b"HTTP/1.1 200 OK", b"server: pgmq-gateway", b"x-length: b'5'", b"x-method: POST"} <= responses[1][0]


@pytest.mark.parametrize(
    "request_",
    [
        sent(b"x", more=b"Connection: close\r\n"),
        sent(b"x", more=b"Expect: 100-continue\r\n"),
        sent(b"x", more=b"Upgrade: h2c\r\n"),
        sent(b"x", start=START.replace(b"1.1", b"1.0")),
        sent(b"x", start=START.replace(b"/rpc/send", b"/docs")),
        sent(b"x", start=START.replace(b"POST", b"PATCH")),
        sent(b"x", more=b"X: " + b"x" * 4096 + b"\r\n"),
        START + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    ],
)
async def test_a_request_that_asks_something_of_the_protocol_is_not_handed_on(site: Site, request_: bytes) -> None:
    for _ in range(2):
        reader, writer = await site.connection()
        writer.write(request_)
        await reader.readuntil(b"\r\n\r\n")
    assert DirectExchange not in site.application.ways


async def test_requests_sent_behind_one_that_was_handed_on_get_their_responses_in_order(site: Site) -> None:
    reader, writer = await site.taught()
    site.application.gate.clear()
    writer.write(sent(b"second"))
    await until_async(lambda: len(site.application.now) == 1)
    writer.write(sent(b"third") + sent(b"fourth"))
    site.application.gate.set()
    assert [(await response(reader))[1] for _ in range(3)] == [b"second", b"third", b"fourth"]
    assert site.application.ways == [AsgiExchange, DirectExchange, AsgiExchange, AsgiExchange]


async def test_a_request_in_two_parts_is_read_by_the_parser(site: Site) -> None:
    reader, writer = await site.taught()
    request = sent(b"second")
    writer.write(request[:-3])
    await until_async(lambda: len(site.application.ways) == 2)
    writer.write(request[-3:])
    assert (await response(reader))[1].startswith(b"sec")
    assert site.application.ways == [AsgiExchange, AsgiExchange]


async def test_a_stop_waits_for_it_and_makes_its_response_the_last(site: Site) -> None:
    reader, writer = await site.taught()
    site.application.gate.clear()
    writer.write(sent(b"second"))
    await until_async(lambda: len(site.application.now) == 1)
    site.server.should_exit = True
    await until_async(lambda: (b"connection", b"close") in site.server.server_state.default_headers)
    site.application.gate.set()
    lines, body = await response(reader)
    assert (b"connection: close" in lines, body) == (True, b"second")
    assert await reader.read() == b""


async def test_it_knows_that_its_client_is_gone(site: Site) -> None:
    _, writer = await site.taught()
    site.application.gate.clear()
    writer.write(sent(b"second"))
    await until_async(lambda: len(site.application.now) == 1)
    writer.close()
    await until_async(lambda: site.application.now[0].disconnected)


async def test_a_bug_closes_the_connection(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = await site.taught()
    writer.write(sent(b"bug"))
    assert await reader.read() == b""
    assert [record.message for record in caplog.records] == ["failed to respond"]
    assert not site.server.server_state.tasks


async def test_a_lower_limit_of_heads_applies_to_known_ones(site: Site) -> None:
    long = sent(b"x", more=b"X: " + b"x" * 2000 + b"\r\n")
    head = head_of("POST", b"/rpc/send", b"", ((b"host", b"x"), (b"x", b"x" * 2000)))
    protocol = site.server.config.http_protocol_class
    assert isinstance(protocol, partial)
    direct = protocol.args[3]
    direct.heads.learn(long, head, b"1", 3)
    assert direct.heads.find(long)
    reader, writer = await site.connection()
    writer.write(long)
    assert (await reader.readline()).startswith(b"HTTP/1.1 431 ")
