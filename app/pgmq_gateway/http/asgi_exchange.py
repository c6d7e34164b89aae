"""Exchanges over ASGI: those of other servers, and those beside the fast path (`direct.py`)."""

import asyncio

from pgmq_gateway.http.asgi import Receive, Scope, Send
from pgmq_gateway.http.exchange import ClientGone, ReceivePart
from pgmq_gateway.http.parking import FLOW_REQUESTS, FlowRequests
from pgmq_gateway.http.request import APART_FROM_HEAD, head_of
from pgmq_gateway.http.response import Response


class AsgiExchange:
    """A request with its ASGI channels."""

    __slots__ = ("_receive", "_scope", "_send", "head", "keys", "length")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        headers = scope["headers"]
        self.length: bytes | None = next((value for name, value in headers if name == b"content-length"), None)
        self.keys: list[bytes] = [value for name, value in headers if name == b"idempotency-key"]
        raw = tuple([pair for pair in headers if pair[0] not in APART_FROM_HEAD])
        self.head = head_of(scope["method"], scope["raw_path"], scope["query_string"], raw)

    @property
    def client(self) -> tuple[str, int] | None:
        client: tuple[str, int] | None = self._scope.get("client")
        return client

    @property
    def scheme(self) -> str:
        scheme: str = self._scope.get("scheme", "http")
        return scheme

    @property
    def flow_requests(self) -> FlowRequests | None:
        """Kept in the scope, from which the connection reads it."""
        found: FlowRequests | None = self._scope.get(FLOW_REQUESTS)
        return found

    @flow_requests.setter
    def flow_requests(self, value: FlowRequests | None) -> None:
        self._scope[FLOW_REQUESTS] = value

    @property
    def can_stream(self) -> bool:
        return self._scope.get("http_version") != "1.0"

    @property
    def disconnected(self) -> bool:
        """ASGI reports that only in the next message; uvicorn's cycle (`receive` is its method) has it at once."""
        return getattr(self._cycle, "disconnected", False)

    @property
    def followed(self) -> bool:
        return getattr(self._cycle, "followed", False)

    def take_body(self) -> ReceivePart:
        return self._part

    async def _part(self) -> tuple[bytes, bool]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise getattr(self._cycle, "rejection", None) or ClientGone
        return message.get("body", b""), message.get("more_body", False)

    async def send(self, response: Response, *more: tuple[str, str]) -> None:
        await response.send(self._send, *more)

    async def begin(self, response: Response, *more: tuple[str, str]) -> None:
        await self._send(
            {"type": "http.response.start", "status": response.status, "headers": response.encoded_headers(*more)}
        )

    async def write(self, part: bytes) -> None:
        await self._send({"type": "http.response.body", "body": part, "more_body": True})
        # The server writes it in the next turn of the event loop, and waits for the client before it sends more.
        await asyncio.sleep(0)
        await self._send({"type": "http.response.body", "more_body": True})
        if self.disconnected or self._is_closing:
            raise ClientGone

    async def end(self) -> None:
        await self._send({"type": "http.response.body"})

    @property
    def _is_closing(self) -> bool:
        """True if the connection is broken, which a cycle with another one behind it is not told."""
        transport = getattr(self._cycle, "transport", None)
        return transport is not None and transport.is_closing()

    @property
    def _cycle(self) -> object:
        return getattr(self._receive, "__self__", None)
