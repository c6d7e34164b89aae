"""Many clients in one process, each with a stream of server-sent events whose messages it settles."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

import httptools

from bench.checker.history import Outcome
from bench.client import Client
from bench.events import Event, Events
from bench.measurement import BenchError
from bench.waiting.crowd import RAMP_CLIENTS, RAMP_PAUSE_SECONDS, Place

LEASE_SECONDS = 600
SETTLERS = 16
MAX_WORK_SECONDS = 0.5


@dataclass(slots=True)
class Streams:
    """Streams at one gateway.

    delivered  messages
    most       unsettled messages of a stream at one time
    ends       streams that ended, by reason
    """

    url: str
    credit: int
    delivered: int = 0
    most: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    _streams: list["_Stream"] = field(default_factory=list)
    _settlers: list[asyncio.Task[None]] = field(default_factory=list)
    _done: "asyncio.Queue[tuple[_Stream, int]]" = field(default_factory=asyncio.Queue)

    async def open(self, places: Sequence[Place]) -> None:
        """Open a stream at each place, no faster than the gateway accepts connections."""
        self._settlers = [asyncio.create_task(self._settle()) for _ in range(SETTLERS)]
        address = urlsplit(self.url)
        assert address.hostname
        assert address.port
        for start in range(0, len(places), RAMP_CLIENTS):
            for place in places[start : start + RAMP_CLIENTS]:
                stream = _Stream(self, place, address.netloc)
                await asyncio.get_running_loop().create_connection(stream.itself, address.hostname, address.port)
                self._streams.append(stream)
            await asyncio.sleep(RAMP_PAUSE_SECONDS)

    @property
    def open_streams(self) -> int:
        """Streams whose response has begun."""
        return sum(stream.begun for stream in self._streams)

    async def close(self) -> None:
        """Disconnect all streams."""
        for stream in self._streams:
            stream.close()
        for task in self._settlers:
            task.cancel()
        await asyncio.gather(*self._settlers, return_exceptions=True)

    def take(self, stream: "_Stream", event: Event) -> None:
        """Work on a message for a moment, then settle it."""
        stream.unsettled += 1
        self.delivered += 1
        self.most = max(self.most, stream.unsettled)
        number = int(event.id.split(".")[0])
        work = random.uniform(0, MAX_WORK_SECONDS)  # noqa: S311 no secret
        asyncio.get_running_loop().call_later(work, self._done.put_nowait, (stream, number))

    async def _settle(self) -> None:
        client = Client(self.url)
        try:
            while True:
                stream, number = await self._done.get()
                # Before the call: its effect can reach the stream before its response arrives here.
                stream.unsettled -= 1
                body = json.dumps({"queue_name": stream.place.queue, "message_id": number})
                headers = f"Authorization: {stream.place.authorization}\r\n"
                reply = await client.call("delete", body, headers)
                if reply.outcome is not Outcome.OK or not reply.body:
                    raise BenchError(f"a delete failed: {reply.note} {reply.text[:200]}")
        finally:
            client.close()


class _Stream(asyncio.Protocol):
    """The connection of one stream."""

    def __init__(self, streams: Streams, place: Place, host: str) -> None:
        self.place = place
        self.unsettled = 0
        self.begun = False
        self._streams = streams
        self._host = host
        self._events = Events()
        self._parser = httptools.HttpResponseParser(self)

    def itself(self) -> Self:
        """The factory of its own connection."""
        return self

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """asyncio: connected."""
        self._transport = transport
        query = f"n={self._streams.credit}&sleep_seconds={LEASE_SECONDS}"
        transport.write(
            f"GET /queues/{self.place.queue}/messages?{query} HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Authorization: {self.place.authorization}\r\nAccept: text/event-stream\r\n\r\n".encode("ascii")
        )

    def data_received(self, data: bytes) -> None:
        """asyncio: a part of the response."""
        self._parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio: closed."""
        self.begun = False
        self._streams.ends[type(error).__name__ if error else "closed"] += 1

    def on_headers_complete(self) -> None:
        """httptools: the head is complete."""
        self.begun = self._parser.get_status_code() == 200

    def on_body(self, body: bytes) -> None:
        """httptools: a part of the body."""
        if not self.begun:
            self._streams.ends[body.decode(errors="replace")[:200]] += 1
            return
        for event in self._events.feed(body):
            if event.name == "message":
                self._streams.take(self, event)
            elif event.name:
                self._streams.ends[f"{event.name} {event.data}"] += 1

    def close(self) -> None:
        self._transport.abort()
