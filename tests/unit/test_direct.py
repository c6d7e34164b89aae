"""The fast path of calls: which requests take it, and that their responses are equal."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from random import Random
from typing import Any

import httptools
import msgspec
import pytest

from pgmq_gateway.errors import GatewayError
from pgmq_gateway.http.asgi import Receive, Scope, Send
from pgmq_gateway.http.asgi_exchange import AsgiExchange
from pgmq_gateway.http.bounds import Bounds
from pgmq_gateway.http.client import Addresses
from pgmq_gateway.http.direct import CompleteRequest, Direct, DirectExchange, KnownHeads
from pgmq_gateway.http.exchange import Exchange
from pgmq_gateway.http.memory import Memory
from pgmq_gateway.http.request import (
    APART_FROM_HEAD,
    HEAD_CACHE_SIZE,
    MAX_CACHED_PARAMETERS,
    Head,
    Request,
    head_of,
)
from pgmq_gateway.http.response import Response, error_response
from pgmq_gateway.http.server import Server, server_for
from pgmq_gateway.http.timing import Stopwatch
from tests.waiting import until_async

START = b"POST /rpc/send HTTP/1.1\r\nHost: x\r\n"
# A call whose body the application does not read.
REFUSED = START.replace(b"send", b"refused")
HOST = (b"host", b"x")
MAX_BODY = 100

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def sent(body: bytes, *, start: bytes = START, more: bytes = b"", length: bytes | None = None) -> bytes:
    length = b"%d" % len(body) if length is None else length
    return start + b"Content-Length: " + length + b"\r\n" + more + b"\r\n" + body


class Parsed:
    """What the parser reads from bytes. Raises HttpParserError.

    messages  complete requests
    scope     of the last one
    """

    def __init__(self, data: bytes) -> None:
        self.messages = 0
        self.scope: dict[str, Any] = {}
        self.body = b""
        parser = self._parser = httptools.HttpRequestParser(self)
        parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._url = self.body = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.messages += 1
        url = httptools.parse_url(self._url)
        self.scope = {
            "method": self._parser.get_method().decode(),
            "raw_path": url.path or b"",
            "query_string": url.query or b"",
            "headers": self._headers,
        }

    @property
    def length(self) -> bytes | None:
        return dict(self._headers).get(b"content-length")

    @property
    def key(self) -> bytes | None:
        return dict(self._headers).get(b"idempotency-key")

    @property
    def head(self) -> Head:
        raw = tuple(header for header in self._headers if header[0] not in APART_FROM_HEAD)
        return head_of(self.scope["method"], self.scope["raw_path"], self.scope["query_string"], raw)


def learn(heads: KnownHeads, data: bytes, times: int = 2) -> None:
    for _ in range(times):
        heads.learn(data, Parsed(data).scope)


def known(data: bytes) -> KnownHeads:
    """The known heads after this request was sent twice."""
    heads = KnownHeads()
    learn(heads, data)
    return heads


def test_a_head_is_known_from_its_second_request_on() -> None:
    heads = KnownHeads()
    for _ in range(2):
        assert heads.find(sent(b"{}")) is None
        learn(heads, sent(b"{}"), 1)
    assert heads.find(sent(b"{}"))


def test_a_known_head_is_found_whatever_the_length_of_its_body() -> None:
    heads = known(sent(b"{}"))
    for body in (b"{}", b"", b"x" * 12_345):
        assert heads.find(sent(body)) == CompleteRequest(Parsed(sent(b"{}")).head, b"%d" % len(body), None, body)


def test_a_known_head_is_found_whatever_its_key() -> None:
    heads = known(sent(b"{}", more=b"idempotency-key: 1\r\n"))
    for key in (b"2", b"x" * 300, b'"\\"'):
        data = sent(b"{}", more=b"idempotency-key: %b\r\n" % key)
        assert heads.find(data) == CompleteRequest(Parsed(data).head, b"2", key, b"{}")


@pytest.mark.parametrize(
    "more",
    [
        b"",
        b"Idempotency-Key: 1\r\n",
        b"idempotency-key:1\r\n",
        b"idempotency-key: \r\n",
        b"idempotency-key: 1 \r\n",
        b"idempotency-key:  1\r\n",
        b"idempotency-key: 1 2\r\n",
        b"idempotency-key: 1\n\r\n",
        b"idempotency-key: \xe9\r\n",
        b"idempotency-key: 1\r\nidempotency-key: 1\r\n",
        b"idempotency-key: 1\r\nIDEMPOTENCY-KEY: 1\r\n",
    ],
)
def test_a_key_of_another_form_goes_to_the_parser(more: bytes) -> None:
    heads = known(sent(b"{}", more=b"idempotency-key: 1\r\n"))
    assert heads.find(sent(b"{}", more=more)) is None


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
    assert known(sent(b"{}")).find(data) is None


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        # The head ended earlier or later for the parser, or it has read another length.
        (sent(b"{}"), [(b"content-length", b"2")]),
        (sent(b"{}"), [HOST, (b"content-length", b"2"), (b"accept", b"*/*")]),
        (sent(b"{}"), [HOST, (b"content-length", b"3")]),
        (sent(b"{}"), [HOST, (b"accept", b"*/*")]),
        (START + b"CONTENT-LENGTH: 0\r\n\r\n", [HOST, (b"content-length", b"0")]),
        (
            sent(b"{}", more=b"CONTENT-LENGTH: 2\r\n"),
            [HOST, (b"content-length", b"2"), (b"content-length", b"2")],
        ),
        (sent(b"{}", more=b"Idempotency-Key: 1\r\n"), [HOST, (b"content-length", b"2"), (b"idempotency-key", b"2")]),
        (sent(b"{}", more=b"IDEMPOTENCY-KEY: 1\r\n"), [HOST, (b"content-length", b"2"), (b"idempotency-key", b"1")]),
        (
            sent(b"{}", more=b"Idempotency-Key: 1\r\nidempotency-key: 2\r\n"),
            [HOST, (b"content-length", b"2"), (b"idempotency-key", b"1"), (b"idempotency-key", b"2")],
        ),
        (sent(b"{}", start=START.replace(b"\r\n", b"\n")), [HOST, (b"content-length", b"2")]),
        (sent(b"{}", more=b"Accept: a,\r\n b\r\n"), [HOST, (b"content-length", b"2"), (b"accept", b"a, b")]),
    ],
)
def test_a_head_that_the_parser_has_read_differently_is_not_known(
    data: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    heads, scope = KnownHeads(), {**Parsed(sent(b"{}")).scope, "headers": headers}
    for _ in range(3):
        heads.learn(data, scope)
    assert heads.find(data) is None


PIECES = (
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b":", b"x", b"{", b"\0"),
    *(b"0", b"1", b"2", b"Content-Length: 1\r\n", b"content-length: ", b"Content-Length:"),
    *(b"Idempotency-Key: 1\r\n", b"idempotency-key: 2", b"Idempotency-Key:"),
)


def mutated(data: bytes, random: Random) -> bytes:
    for _ in range(random.randint(0, 3)):
        start = random.randrange(len(data) + 1)
        data = data[:start] + random.choice([b"", *PIECES]) + data[start + random.choice([0, 0, 1, 2]) :]
    return data


def test_bytes_that_are_found_would_be_read_equally_by_the_parser() -> None:
    random, found, learnt = Random(1), 0, 0  # noqa: S311 the same bytes in each run
    for _ in range(5000):
        more = random.choice([b"Accept: */*\r\n", b"Idempotency-Key: 1\r\n"])
        data = mutated(sent(b"{}", more=more), random)
        try:
            heads = known(data)
        except (httptools.HttpParserError, KeyError):
            # Not accepted, or not complete.
            continue
        learnt += heads.find(data) is not None
        for other in (data, *(mutated(data, random) for _ in range(3))):
            if request := heads.find(other):
                parsed = Parsed(other)
                described = [[getattr(head, name) for name in Head.__slots__] for head in (request.head, parsed.head)]
                assert (parsed.messages, described[0]) == (1, described[1]), (data, other)
                read = (parsed.length, parsed.key, parsed.body)
                assert (request.length, request.key, request.body) == read, (data, other)
                found += 1
    assert learnt > 500
    assert found > learnt


def test_only_so_many_heads_are_kept() -> None:
    heads = KnownHeads()
    for number in range(HEAD_CACHE_SIZE + 1):
        learn(heads, sent(b"", start=START + b"X: %d\r\n" % number))
    assert heads.find(sent(b"", start=START + b"X: 0\r\n")) is None
    assert heads.find(sent(b"", start=START + b"X: 1\r\n"))


def test_heads_that_are_sent_once_replace_no_other() -> None:
    heads = known(sent(b"{}"))
    for number in range(3 * HEAD_CACHE_SIZE):
        learn(heads, sent(b"", start=START + b"X: %d\r\n" % number), 1)
    assert heads.find(sent(b"{}"))


@pytest.mark.parametrize("separator", [b"&", b";"])
def test_a_head_with_many_parameters_is_not_known(separator: bytes) -> None:
    few, many = (
        b"GET /rpc/f?%b HTTP/1.1\r\nHost: x\r\n\r\n" % separator.join([b"a=1"] * count)
        for count in (MAX_CACHED_PARAMETERS, MAX_CACHED_PARAMETERS + 1)
    )
    assert known(few).find(few)
    assert not known(many).find(many)


class SlowReader:
    """A client that has not taken its response, of which the kernel holds a part."""

    unsent = 1

    def __init__(self) -> None:
        self.was_reset = False

    def reset(self) -> None:
        self.was_reset = True


class Application:
    """Once `gate` is open, responds with the body. `ways` are the kinds of exchanges so far."""

    def __init__(self) -> None:
        self.ways: list[type] = []
        self.now: list[Exchange] = []
        self.memory = Memory(MAX_BODY)
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.handle(AsgiExchange(scope, receive, send))

    async def handle(self, exchange: Exchange) -> None:
        self.ways.append(type(exchange))
        self.now.append(exchange)
        await self.gate.wait()
        response = await self._response(exchange)
        await exchange.send(response, ("X-Method", exchange.head.method))
        self.now.remove(exchange)

    async def _response(self, exchange: Exchange) -> Response:
        request = Request(exchange, MAX_BODY, self.memory, Stopwatch())
        try:
            body = b"" if request.path == "/rpc/refused" else await request.body()
        except GatewayError as error:
            return error_response(error)
        finally:
            request.release()
        if body == b"bug":
            raise ZeroDivisionError
        return Response(200, (("X-Length", str(exchange.length)),), body)


class Site:
    """A server with its clients."""

    def __init__(
        self, server: Server, application: Application, address: tuple[str, int], stack: AsyncExitStack
    ) -> None:
        self.server = server
        self.application = application
        self._address = address
        self._stack = stack

    async def connection(self, host: str = "127.0.0.1") -> Connection:
        """A connection from this address."""
        reader, writer = await asyncio.open_connection(*self._address, local_addr=(host, 0))
        self._stack.callback(writer.close)
        return reader, writer

    async def taught(self, start: bytes = START) -> Connection:
        """A connection, after which the head of `sent` with this start is known."""
        reader, writer = await self.connection()
        for _ in range(2):
            writer.write(sent(b"taught", start=start))
            await response(reader)
        self.application.ways.clear()
        return reader, writer

    async def begin(self, writer: asyncio.StreamWriter, *bodies: bytes) -> None:
        """Send a request that waits at the gate, and others behind it."""
        self.application.gate.clear()
        writer.write(sent(bodies[0]))
        await until_async(lambda: len(self.application.now) == 1)
        writer.write(b"".join(sent(body) for body in bodies[1:]))
        await until_async(lambda: sum(len(one.pipeline) for one in self.connections) == len(bodies) - 1)

    @property
    def connections(self) -> list[Any]:
        """The server's sides."""
        return list(self.server.server_state.connections)


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
async def test_the_third_request_with_a_head_is_direct_and_gets_the_same_response(site: Site, more: bytes) -> None:
    reader, writer = await site.connection()
    responses = []
    for _ in range(3):
        writer.write(sent(b"hello", more=more))
        responses.append(await response(reader))
    assert site.application.ways == [AsgiExchange, AsgiExchange, DirectExchange]
    assert responses[1] == responses[2]
    assert {b"HTTP/1.1 200 OK", b"server: pgmq-gateway", b"x-length: b'5'", b"x-method: POST"} <= responses[2][0]


@pytest.mark.parametrize(
    "request_",
    [
        sent(b"x", more=b"Connection: close\r\n"),
        sent(b"x", more=b"Expect: 100-continue\r\n"),
        sent(b"x", more=b"Upgrade: h2c\r\n"),
        sent(b"x", start=START.replace(b"1.1", b"1.0")),
        sent(b"x", start=START.replace(b"/rpc/send", b"/docs")),
        *(sent(b"x", start=START.replace(b"POST", method)) for method in (b"HEAD", b"OPTIONS", b"PATCH", b"PUT")),
        sent(b"x", more=b"X: " + b"x" * 4096 + b"\r\n"),
        START + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    ],
)
async def test_a_request_that_is_no_plain_call_is_not_direct(site: Site, request_: bytes) -> None:
    for _ in range(3):
        reader, writer = await site.connection()
        writer.write(request_)
        await reader.readuntil(b"\r\n\r\n")
    assert DirectExchange not in site.application.ways


async def test_requests_behind_a_direct_one_get_their_responses_in_order(site: Site) -> None:
    reader, writer = await site.taught()
    await site.begin(writer, b"first", b"second", b"third")
    site.application.gate.set()
    assert [(await response(reader))[1] for _ in range(3)] == [b"first", b"second", b"third"]
    assert site.application.ways == [DirectExchange, AsgiExchange, AsgiExchange]


async def test_a_request_in_two_parts_is_read_by_the_parser(site: Site) -> None:
    reader, writer = await site.taught()
    request = sent(b"halves")
    writer.write(request[:-3])
    await until_async(lambda: len(site.application.ways) == 1)
    writer.write(request[-3:])
    assert (await response(reader))[1] == b"halves"
    assert site.application.ways == [AsgiExchange]


async def test_a_head_is_not_tied_to_the_connection_that_sent_it_first(site: Site) -> None:
    more = b"X-Forwarded-For: 203.0.113.9\r\n"
    await site.taught(START + more)
    addresses = []
    for host in ("127.0.0.1", "127.0.0.2"):
        reader, writer = await site.connection(host)
        site.application.gate.clear()
        writer.write(sent(b"x", start=START + more))
        await until_async(lambda: len(site.application.now) == 1)
        (exchange,) = site.application.now
        addresses.append(Addresses(["127.0.0.1"]).of(exchange.client, exchange.head))
        site.application.gate.set()
        await response(reader)
    assert site.application.ways == [DirectExchange, DirectExchange]
    # A trusted proxy, and any other client.
    assert addresses == ["203.0.113.9", "127.0.0.2"]


async def test_a_stop_waits_for_all_that_has_arrived_and_makes_the_last_response_the_last(site: Site) -> None:
    alone, several = await site.taught(), await site.connection()
    await site.begin(several[1], b"first", b"second")
    alone[1].write(sent(b"only"))
    await until_async(lambda: site.application.ways == [DirectExchange, DirectExchange])
    site.server.should_exit = True
    await until_async(lambda: (b"connection", b"close") in site.server.server_state.default_headers)
    site.application.gate.set()
    found = [(alone[0], b"only", True), (several[0], b"first", False), (several[0], b"second", True)]
    for reader, body, last in found:
        lines, received = await response(reader)
        assert (received, b"connection: close" in lines) == (body, last)
    assert [await reader.read() for reader in (alone[0], several[0])] == [b"", b""]


async def test_a_response_that_closes_the_connection_is_the_last(site: Site) -> None:
    reader, writer = await site.taught()
    await site.begin(writer, b"no room", b"behind")
    site.application.memory.limit = 0
    site.application.gate.set()
    received = await reader.read()
    assert received.startswith(b"HTTP/1.1 503 ")
    assert [received.count(text) for text in (b"HTTP/1.1 ", b"connection: close\r\n")] == [1, 1]
    assert site.application.ways == [DirectExchange]


async def test_a_body_beyond_the_limit_costs_no_other_client_its_connection(site: Site) -> None:
    reader, writer = await site.taught()
    other = SlowReader()
    site.application.memory.await_reader(other, MAX_BODY)
    writer.write(sent(b"x" * (MAX_BODY + 1)))
    assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    assert site.application.ways == [DirectExchange]
    assert not other.was_reset


async def test_a_connection_keeps_no_body_after_the_response(site: Site) -> None:
    reader, writer = await site.connection()
    for _ in range(3):
        writer.write(sent(b"not read", start=REFUSED))
        await response(reader)
        (connection,) = site.connections
        assert not connection.cycle.body
    assert site.application.ways[-1] is DirectExchange


async def test_a_body_is_taken_once(site: Site) -> None:
    _, writer = await site.taught()
    await site.begin(writer, b"once")
    (exchange,) = site.application.now
    assert [exchange.take_body(), exchange.take_body()] == [b"once", b""]


async def test_it_knows_that_its_client_is_gone(site: Site) -> None:
    _, writer = await site.taught()
    await site.begin(writer, b"")
    writer.close()
    await until_async(lambda: site.application.now[0].disconnected)


async def test_a_bug_is_a_500_that_closes_the_connection(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = await site.taught()
    writer.write(sent(b"bug"))
    lines, body = await response(reader)
    assert {b"HTTP/1.1 500 Internal Server Error", b"connection: close"} <= lines
    assert msgspec.json.decode(body)["code"] == "PGRSTX00"
    assert await reader.read() == b""
    assert [record.message for record in caplog.records] == ["failed to respond"]
    assert not site.server.server_state.tasks


async def test_a_lower_limit_of_heads_applies_to_known_ones(site: Site) -> None:
    long = sent(b"x", more=b"X: " + b"x" * 2000 + b"\r\n")
    protocol = site.server.config.http_protocol_class
    assert isinstance(protocol, partial)
    (direct,) = (argument for argument in protocol.args if isinstance(argument, Direct))
    learn(direct.heads, long)
    assert direct.heads.find(long)
    reader, writer = await site.connection()
    writer.write(long)
    assert (await reader.readline()).startswith(b"HTTP/1.1 431 ")
