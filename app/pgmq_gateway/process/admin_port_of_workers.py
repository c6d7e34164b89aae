"""The admin port of several workers: merges their responses."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pgmq_gateway.http.asgi import Receive, Scope, Send
from pgmq_gateway.http.response import Response
from pgmq_gateway.process.admin_port import JSON, page

PAGES = ("/live", "/ready", "/metrics", "/schema_cache")
WORKER_TIMEOUT_SECONDS = 5.0


# Opens a connection to a worker's admin server. Raises OSError while there is none.
Connect = Callable[[], socket.socket]


class Answer(NamedTuple):
    """A worker's response."""

    status: int
    body: bytes


class Overview:
    """The pages of `AdminApp`. Live and ready only while all workers are."""

    def __init__(self, workers: Sequence[Connect], stopping: asyncio.Event) -> None:
        self._workers = workers
        self._stopping = stopping

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        path: str = scope["path"]
        response = await self._page(path) if path in PAGES else Response(404)
        await response.send(send)

    async def _page(self, path: str) -> Response:
        answers = await asyncio.gather(*(_get(worker, path) for worker in self._workers))
        responses = [answer for answer in answers if answer is not None]
        if path in ("/live", "/ready"):
            worst = max((answer.status for answer in responses), default=500)
            missing = len(responses) < len(answers)
            return Response(500 if self._stopping.is_set() else max(worst, 503) if missing else worst)
        if not responses:
            return Response(503)
        if path == "/metrics":
            # Imported here to save memory while this port gets no requests.
            from pgmq_gateway.observe.merging import CONTENT_TYPE, merged

            # Not the number of those that responded: the alert compares it with the number of ready ones.
            text = merged((answer.body.decode() for answer in responses), {"pgmq_gateway_workers": len(self._workers)})
            return page(text.encode(), CONTENT_TYPE)
        return page(responses[0].body, JSON)


async def _get(connect: Connect, path: str) -> Answer | None:
    """A worker's response; None while the worker is being replaced, or does not respond."""
    try:
        async with asyncio.timeout(WORKER_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_unix_connection(sock=connect())
            try:
                # In HTTP/1.0, the response ends with the connection.
                writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
                head, separator, body = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
    return Answer(int(head.split()[1]), body) if separator else None
