"""The short way of a request: from the bytes of a connection to the application and back, without ASGI.

It is for calls that arrive as a whole, with a head that is known: one that the parser has accepted before, byte for
byte, except for the digits of Content-Length. The parser would read it as before, so it is not asked again.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple

from pgmq_gateway.http.parking import FlowRequests
from pgmq_gateway.http.request import HEAD_CACHE_SIZE, MAX_CACHED_HEAD_BYTES, PREFIX, Exchange, Head
from pgmq_gateway.http.response import Response

if TYPE_CHECKING:
    from pgmq_gateway.http.protocol import Protocol

logger = logging.getLogger("pgmq_gateway")

# The paths of calls, which are nearly all requests.
PATHS = tuple(f"{prefix}/{name}/".encode() for prefix in ("", PREFIX) for name in ("rpc", "queues"))
METHODS = frozenset({"DELETE", "GET", "POST"})
END = b"\r\n\r\n"
# As most clients spell it.
CONTENT_LENGTH = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
MAX_DIGITS = 9

CONNECTION_CLOSE = (b"connection", b"close")

Handle = Callable[[Exchange], Coroutine[Any, Any, None]]


class Arrived(NamedTuple):
    """A request that has arrived as a whole. `length` is the value of Content-Length."""

    head: Head
    length: bytes | None
    body: bytes


class KnownHeads:
    """Heads that the parser has accepted, by their bytes without the digits of Content-Length."""

    def __init__(self) -> None:
        self._heads: dict[bytes, Head] = {}

    def find(self, data: bytes) -> Arrived | None:
        """The request, if data is exactly one with a known head."""
        parts = _split(data)
        if parts is None:
            return None
        key, length, end = parts
        head = self._heads.get(key)
        return None if head is None else Arrived(head, length, data[end:])

    def learn(self, data: bytes, head: Head, length: bytes | None, headers: int) -> None:
        """Keep a head of a request that is exactly data, as the parser has read it.

        length   the value of Content-Length
        headers  the number of headers
        """
        parts = _split(data)
        if parts is None or parts[1] != length:
            return
        key, _, end = parts
        # The request line, each header and the empty line: then the head ends here where it ended for the parser.
        if not data.count(b"\n", 0, end) == data.count(b"\r\n", 0, end) == headers + 2:
            return
        if len(self._heads) >= HEAD_CACHE_SIZE:
            del self._heads[next(iter(self._heads))]
        self._heads[key] = head


def _split(data: bytes) -> tuple[bytes, bytes | None, int] | None:
    """The bytes of a head without the digits of Content-Length, these digits, and where the head ends.

    None if the data is not exactly as long as one request.
    """
    end = data.find(END) + len(END)
    if end < len(END) or end > MAX_CACHED_HEAD_BYTES:
        return None
    for name in CONTENT_LENGTH:
        start = data.find(name, 0, end)
        if start >= 0:
            break
    else:
        return (data, None, end) if len(data) == end else None
    start += len(name)
    stop = data.find(b"\r", start)
    length = data[start:stop]
    if len(length) > MAX_DIGITS or not length.isdigit() or int(length) != len(data) - end:
        return None
    return data[:start] + data[stop:end], length, end


class ServerHeaders:
    """The headers that the server adds to each response, as bytes. It replaces the list each second."""

    def __init__(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._lines = b""
        self._close = False

    def lines(self, headers: list[tuple[bytes, bytes]]) -> tuple[bytes, bool]:
        """The lines of these headers, and whether they close the connection."""
        if headers is not self._headers:
            self._headers = headers
            self._lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
            self._close = CONNECTION_CLOSE in headers
        return self._lines, self._close


class Direct:
    """What the connections of a server need for the short way.

    handle  handles a request and sends its response
    """

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.heads = KnownHeads()
        self.server_headers = ServerHeaders()


class Nothing:
    """In place of an event: nothing waits for the body of such a request."""

    def set(self) -> None:
        """Do nothing."""


class DirectExchange:
    """A request that has arrived as a whole on a connection. It has the attributes of uvicorn's cycles that the
    protocol reads."""

    __slots__ = (
        "_connection",
        "_direct",
        "disconnected",
        "flow_requests",
        "head",
        "keep_alive",
        "length",
        "response_complete",
        "whole_body",
    )

    response_started = False
    message_event = Nothing()

    def __init__(
        self, connection: "Protocol", direct: Direct, arrived: Arrived, flow_requests: FlowRequests | None
    ) -> None:
        self._connection = connection
        self._direct = direct
        self.head, self.length, self.whole_body = arrived
        self.flow_requests = flow_requests
        self.keep_alive = True
        self.disconnected = False
        self.response_complete = False

    @property
    def client(self) -> tuple[str, int] | None:
        return self._connection.client

    @property
    def scheme(self) -> str:
        return self._connection.scheme or "http"

    async def receive(self) -> tuple[bytes, bool]:
        return self.whole_body, False

    async def send(self, response: Response, *more: tuple[str, str]) -> None:
        connection = self._connection
        if connection.flow.write_paused and not self.disconnected:
            await connection.flow.drain()
        if self.disconnected:
            return
        lines, close = self._direct.server_headers.lines(connection.server_state.default_headers)
        if close:
            self.keep_alive = False
        elif not self.keep_alive:
            lines += b"connection: close\r\n"
        self.response_complete = True
        connection.transport.write(response.message(lines, *more))
        if not self.keep_alive:
            connection.transport.close()
        connection.on_response_complete()

    def ended(self, task: asyncio.Task[None]) -> None:
        """The application is done with the request."""
        self._connection.tasks.discard(task)
        if self.flow_requests is not None:
            self.flow_requests.end_one()
        if not task.cancelled() and (error := task.exception()):
            logger.error("failed to respond", exc_info=error)
        if not self.response_complete:
            self._connection.transport.close()
