"""The side of a connection that a request uses."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pgmq_gateway.http.parking import FlowRequests
    from pgmq_gateway.http.request import Head
    from pgmq_gateway.http.response import Response

# Receives the next part of a body, and whether more follows. Raises ClientGone, and the error with which the protocol
# has rejected the request.
ReceivePart = Callable[[], Awaitable[tuple[bytes, bool]]]


class ClientGone(Exception):
    """The client closed the connection before it got a response."""


class Exchange(Protocol):
    """A request as it arrives, and the way back for its response: `asgi_exchange.py`, `direct.py`.

    length         the value of Content-Length
    keys           the values of Idempotency-Key headers
    client         the other end of the connection; None on a Unix socket
    scheme         http or https
    flow_requests  the requests of its flow in process, among which it is counted
    """

    @property
    def head(self) -> "Head": ...

    @property
    def length(self) -> bytes | None: ...

    @property
    def keys(self) -> Sequence[bytes]: ...

    @property
    def client(self) -> tuple[str, int] | None: ...

    @property
    def scheme(self) -> str: ...

    flow_requests: "FlowRequests | None"

    @property
    def can_stream(self) -> bool:
        """True if a body may follow in parts; false for HTTP/1.0, which has no chunked encoding."""

    @property
    def disconnected(self) -> bool:
        """True if the client has closed its connection, as far as is known without waiting."""

    @property
    def followed(self) -> bool:
        """True if a further request on the connection (pipelining) waits for the response to this one.

        Nothing more is read then, so `disconnected` stays false.
        """

    def take_body(self) -> bytes | ReceivePart:
        """The body, which is then no longer kept here; if it has not arrived as a whole, a function for its parts."""

    async def send(self, response: "Response", *more: tuple[str, str]) -> None:
        """Send the response, with `more` headers."""

    async def begin(self, response: "Response", *more: tuple[str, str]) -> None:
        """Send the head of a response whose body follows in parts."""

    async def write(self, part: bytes) -> None:
        """Send a part of the body, and wait until it is with the kernel: a slow client holds up the next one.

        Raises ClientGone.
        """

    async def end(self) -> None:
        """Send the end of a body that was sent in parts."""
