"""The fast path of a request: from the bytes of a connection to the application and back, without ASGI.

It is for calls that arrive as a whole, with a known head: one that the parser has accepted before, byte for byte,
except for the digits of Content-Length and the value of Idempotency-Key. The parser would read it as before, so it is
not parsed again.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from pgmq_gateway.errors import InternalError
from pgmq_gateway.http.asgi import Scope
from pgmq_gateway.http.exchange import ClientGone, Exchange
from pgmq_gateway.http.parking import FlowRequests
from pgmq_gateway.http.request import (
    APART_FROM_HEAD,
    HEAD_CACHE_SIZE,
    MAX_CACHED_HEAD_BYTES,
    PREFIX,
    Head,
    has_few_parameters,
    head_of,
)
from pgmq_gateway.http.response import CONNECTION_CLOSE, Response, header_lines

if TYPE_CHECKING:
    from pgmq_gateway.http.protocol import Protocol

logger = logging.getLogger("pgmq_gateway")

# The paths of calls, which are nearly all requests.
DIRECT_PATHS = tuple(f"{prefix}/{name}/".encode() for prefix in ("", PREFIX) for name in ("rpc", "queues"))
DIRECT_METHODS = frozenset({"DELETE", "GET", "POST"})
HEAD_END = b"\r\n\r\n"
# As most clients spell them.
CONTENT_LENGTH = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
IDEMPOTENCY_KEY = (b"\r\nIdempotency-Key: ", b"\r\nidempotency-key: ")
MAX_LENGTH_DIGITS = 9
# A value that any parser reads as it is.
PLAIN_VALUE = re.compile(rb"[!-~]+")

Handle = Callable[[Exchange], Coroutine[Any, Any, None]]


class CompleteRequest(NamedTuple):
    """A request that has arrived as a whole. `length` is the value of Content-Length, `key` that of Idempotency-Key."""

    head: Head
    length: bytes | None
    key: bytes | None
    body: bytes


class KnownHeads:
    """Heads that the parser has accepted, by their bytes without the values that `_split` has apart."""

    def __init__(self) -> None:
        self._heads: dict[bytes, Head] = {}
        # Hashes of those accepted once. Many clients send a head only once, with an id in its path or a trace header.
        self._once: set[int] = set()

    def find(self, data: bytes) -> CompleteRequest | None:
        """The request, if data is exactly one with a known head."""
        parts = _split(data)
        if parts is None:
            return None
        known, length, key, end = parts
        head = self._heads.get(known)
        return None if head is None else CompleteRequest(head, length, key, data[end:])

    def learn(self, data: bytes, scope: Scope) -> None:
        """Keep a head that the parser accepts for the second time, if it is that of a call.

        data   exactly one request
        scope  what the parser has read
        """
        if scope["method"] not in DIRECT_METHODS or not scope["raw_path"].startswith(DIRECT_PATHS):
            return
        parts = _split(data)
        if parts is None or not has_few_parameters(scope["query_string"]):
            return
        known, length, key, end = parts
        headers = scope["headers"]
        if (
            known in self._heads
            or not _is_read_equally(data[:end], length, key, headers)
            or not self._is_repeated(known)
        ):
            return
        if len(self._heads) >= HEAD_CACHE_SIZE:
            del self._heads[next(iter(self._heads))]
        raw = tuple([header for header in headers if header[0] not in APART_FROM_HEAD])
        self._heads[known] = head_of(scope["method"], scope["raw_path"], scope["query_string"], raw)

    def _is_repeated(self, known: bytes) -> bool:
        digest = hash(known)
        if digest in self._once:
            self._once.remove(digest)
            return True
        if len(self._once) >= HEAD_CACHE_SIZE:
            self._once.clear()
        self._once.add(digest)
        return False


def _is_read_equally(head: bytes, length: bytes | None, key: bytes | None, headers: list[tuple[bytes, bytes]]) -> bool:
    """True if the head ended for the parser where it ends here, and it has read the same values."""
    for apart, value in ((b"content-length", length), (b"idempotency-key", key)):
        if [found for name, found in headers if name == apart] != ([] if value is None else [value]):
            return False
    # The request line, each header and the empty line.
    return head.count(b"\n") == head.count(b"\r\n") == len(headers) + 2


def _split(data: bytes) -> tuple[bytes, bytes | None, bytes | None, int] | None:
    """Four parts of a request: its head without the digits of Content-Length and the value of Idempotency-Key, these
    digits, that value, and where the head ends. None if the data is not exactly as long as one request.
    """
    end = data.find(HEAD_END) + len(HEAD_END)
    if end < len(HEAD_END) or end > MAX_CACHED_HEAD_BYTES:
        return None
    head, length = _without_value(data, end, CONTENT_LENGTH)
    if length is None:
        if len(data) != end:
            return None
    elif len(length) > MAX_LENGTH_DIGITS or not length.isdigit() or int(length) != len(data) - end:
        return None
    key = None
    # One search in most requests, which have no key.
    if b"dempotency-" in head:
        head, key = _without_value(head, len(head), IDEMPOTENCY_KEY)
        if key is not None and not PLAIN_VALUE.fullmatch(key):
            return None
    return head, length, key, end


def _without_value(data: bytes, end: int, names: Iterable[bytes]) -> tuple[bytes, bytes | None]:
    """A head that ends at `end`, without the value of a header, and that value."""
    for name in names:
        start = data.find(name, 0, end)
        if start >= 0:
            start += len(name)
            stop = data.find(b"\r", start)
            return data[:start] + data[stop:end], data[start:stop]
    return data[:end], None


class ServerHeaders:
    """The headers that the server adds to each response, as bytes. It replaces the list each second."""

    def __init__(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._lines = b""
        self._close = False

    def lines(self, headers: list[tuple[bytes, bytes]]) -> tuple[bytes, bool]:
        """The lines of these headers without Connection, and whether they close the connection."""
        if headers is not self._headers:
            self._headers = headers
            self._lines = header_lines(headers)
            self._close = CONNECTION_CLOSE in headers
        return self._lines, self._close


class Direct:
    """The state of the fast path that all connections of a server share.

    handle  handles a request and sends its response
    """

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.heads = KnownHeads()
        self.server_headers = ServerHeaders()


class NoEvent:
    """In place of an event: no task waits for more of the body."""

    def set(self) -> None:
        """Do nothing."""


class DirectExchange:
    """A request that has arrived as a whole on a connection. It has the attributes of uvicorn's cycles that the
    protocol reads.

    body  until the application takes it
    """

    __slots__ = (
        "_connection",
        "_server_lines",
        "body",
        "disconnected",
        "flow_requests",
        "followed",
        "head",
        "keep_alive",
        "keys",
        "length",
        "response_complete",
        "response_started",
    )

    message_event = NoEvent()
    # A head is known from a request over HTTP/1.1.
    can_stream = True

    def __init__(
        self,
        connection: "Protocol",
        server_headers: ServerHeaders,
        request: CompleteRequest,
        flow_requests: FlowRequests | None,
    ) -> None:
        self._connection = connection
        self.head, self.length, key, self.body = request
        self.keys = () if key is None else (key,)
        self.flow_requests = flow_requests
        # The present ones: when the server stops, the last of the requests that have arrived closes the connection.
        self._server_lines, close = server_headers.lines(connection.server_state.default_headers)
        self.keep_alive = not close
        self.disconnected = self.followed = False
        self.response_started = False
        self.response_complete = False

    @property
    def client(self) -> tuple[str, int] | None:
        return self._connection.client

    @property
    def scheme(self) -> str:
        return self._connection.scheme or "http"

    def take_body(self) -> bytes:
        body, self.body = self.body, b""
        return body

    async def send(self, response: Response, *more: tuple[str, str]) -> None:
        connection = self._connection
        if connection.flow.write_paused and not self.disconnected:
            await connection.flow.drain()
        if self.disconnected:
            return
        if response.closes:
            self.keep_alive = False
        connection.transport.write(response.message(self._server_lines, *more, close=not self.keep_alive))
        self._complete()

    async def begin(self, response: Response, *more: tuple[str, str]) -> None:
        if self._connection.flow.write_paused:
            await self._connection.flow.drain()
        self.response_started = True
        head = response.head(self._server_lines, *more, close=not self.keep_alive)
        self._connection.transport.write(b"%btransfer-encoding: chunked\r\n\r\n" % head)

    async def write(self, part: bytes) -> None:
        connection = self._connection
        connection.transport.write(b"%x\r\n%b\r\n" % (len(part), part))
        # The connection writes it in the next turn of the event loop.
        await asyncio.sleep(0)
        await connection.flow.drain()
        if self.disconnected or connection.transport.is_closing():
            raise ClientGone

    async def end(self) -> None:
        self._connection.transport.write(b"0\r\n\r\n")
        self._complete()

    def _complete(self) -> None:
        self.response_complete = True
        if not self.keep_alive:
            self._connection.transport.close()
        self._connection.on_response_complete()

    def finish(self, task: asyncio.Task[None]) -> None:
        """End the request: the application has handled it, or failed to."""
        self._connection.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("failed to respond", exc_info=error)
        if not self.response_complete and not self.disconnected:
            if self.response_started:
                self._connection.transport.close()
            else:
                self._connection.respond(InternalError())
        # Last, because it continues other connections.
        if self.flow_requests is not None:
            self.flow_requests.end_one()
