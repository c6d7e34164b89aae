"""A client for callers so many that a general one would be what bounds them: one kept connection, nothing else."""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import httptools

from bench.checker.history import Outcome
from bench.checker.requests import Reply

# What is noted of a call that was not even taken.
NOBODY = "no connection"


class Client:
    """Calls of functions of pgmq_public, one at a time, over a connection that is made anew where it was lost."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        assert place.hostname
        assert place.port
        self._host, self._port = place.hostname, place.port
        self._common = f"Host: {place.netloc}\r\nContent-Profile: pgmq_public\r\nContent-Type: application/json\r\n"
        self._connection: _Connection | None = None

    async def ask(
        self, function: str, arguments: dict[str, Any], token: str, patience: float, marker: str = ""
    ) -> Reply:
        """Make a call, and wait so many seconds for its answer; then go away. `marker`: its header X-Marker."""
        body = json.dumps(arguments)
        request = (
            f"POST /rpc/{function} HTTP/1.1\r\n{self._common}Authorization: Bearer {token}\r\nX-Marker: {marker}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode("ascii")
        try:
            async with asyncio.timeout(patience):
                try:
                    connection = await self._connected()
                except OSError:
                    return Reply(Outcome.REFUSED, NOBODY)
                return Reply.of(*await connection.exchange(request))
        except TimeoutError:
            self.close()
            return Reply(Outcome.UNKNOWN, "gone away")
        except (OSError, ValueError) as error:
            self.close()
            return Reply(Outcome.UNKNOWN, type(error).__name__)

    def close(self) -> None:
        """Go away at once."""
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    async def _connected(self) -> "_Connection":
        if self._connection is None or self._connection.lost:
            loop = asyncio.get_running_loop()
            _, self._connection = await loop.create_connection(_Connection, self._host, self._port)
        return self._connection


class _Connection(asyncio.Protocol):
    """An HTTP/1.1 connection; `lost` when it cannot be used again."""

    def __init__(self) -> None:
        self.lost = False
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._answer: asyncio.Future[tuple[int, str]] | None = None

    async def exchange(self, request: bytes) -> tuple[int, str]:
        """Status and text of the answer. Raises ConnectionError without one, and UnicodeError."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def abort(self) -> None:
        """End it, whatever is under way."""
        self.lost = True
        self._transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """It is there."""
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """It is gone."""
        self._end(error or ConnectionResetError("closed by the gateway"))

    def data_received(self, data: bytes) -> None:
        """Read of an answer."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._transport.abort()
            self._end(ValueError(str(error)))

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """An answer is here; one that nobody has asked for is an error of its own."""
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
