"""A minimal HTTP client with one persistent connection, so that hundreds of callers do not saturate the machine."""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import httptools

from bench.checker.history import Outcome
from bench.checker.requests import Reply

# Recorded for a call whose connection was refused.
NO_CONNECTION = "no connection"
COMMON_HEADERS = "Content-Profile: pgmq_public\r\nContent-Type: application/json\r\n"
PATIENCE_SECONDS = 60.0


class Client:
    """Calls functions of pgmq_public, one at a time, and reconnects after a lost connection."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        assert place.hostname
        assert place.port
        self._host, self._port = place.hostname, place.port
        self._host_line = f"Host: {place.netloc}\r\n"
        self._connection: _Connection | None = None

    async def ask(
        self, function: str, arguments: dict[str, Any], token: str, patience: float, marker: str = ""
    ) -> Reply:
        """Make a call, and disconnect if there is no response in time. `marker`: the header X-Marker."""
        headers = f"Authorization: Bearer {token}\r\nX-Marker: {marker}\r\n"
        return await self.call(function, json.dumps(arguments), headers, patience)

    async def call(self, function: str, body: str, headers: str = "", patience: float = PATIENCE_SECONDS) -> Reply:
        """Make a call with further header lines, and disconnect if there is no response in time."""
        request = (
            f"POST /rpc/{function} HTTP/1.1\r\n{self._host_line}{COMMON_HEADERS}{headers}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode("ascii")
        try:
            async with asyncio.timeout(patience):
                try:
                    connection = await self._connected()
                except OSError:
                    return Reply(Outcome.REFUSED, NO_CONNECTION)
                return Reply.of(*await connection.exchange(request))
        except TimeoutError:
            self.close()
            return Reply(Outcome.UNKNOWN, "gone away")
        except (OSError, ValueError) as error:
            self.close()
            return Reply(Outcome.UNKNOWN, type(error).__name__)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    async def _connected(self) -> "_Connection":
        if self._connection is None or self._connection.lost:
            loop = asyncio.get_running_loop()
            _, self._connection = await loop.create_connection(_Connection, self._host, self._port)
        return self._connection


class _Connection(asyncio.Protocol):
    """An HTTP/1.1 connection; `lost` if it cannot be reused."""

    def __init__(self) -> None:
        self.lost = False
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._answer: asyncio.Future[tuple[int, str]] | None = None

    async def exchange(self, request: bytes) -> tuple[int, str]:
        """Status and text of the response. Raises ConnectionError without one, and UnicodeError."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def abort(self) -> None:
        """Abort the connection."""
        self.lost = True
        self._transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """asyncio: connected."""
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio: closed."""
        self._end(error or ConnectionResetError("closed by the gateway"))

    def data_received(self, data: bytes) -> None:
        """asyncio: a part of a response."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._transport.abort()
            self._end(ValueError(str(error)))

    def on_body(self, body: bytes) -> None:
        """httptools: a part of the body."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """httptools: the response is complete. One without a request is an error."""
        text, self._parts = b"".join(self._parts), []
        if self._answer is None or self._answer.done():
            raise ValueError("an answer to nothing")
        if not self._parser.should_keep_alive():
            self.lost = True
            self._transport.close()
        self._answer.set_result((self._parser.get_status_code(), text.decode()))

    def _end(self, error: Exception) -> None:
        self.lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
