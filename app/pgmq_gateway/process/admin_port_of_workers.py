"""The admin port of several workers: merges their responses."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pgmq_gateway.http.asgi import Receive, Scope, Send
from pgmq_gateway.http.response import Response
from pgmq_gateway.process.admin_port import JSON, page

if TYPE_CHECKING:
    import httpx

PAGES = ("/live", "/ready", "/metrics", "/schema_cache")
WORKER_TIMEOUT_SECONDS = 5.0


class Overview:
    """The pages of `AdminApp`. Live and ready only while all workers are."""

    def __init__(self, workers: Sequence[Path], stopping: asyncio.Event) -> None:
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
            worst = max((answer.status_code for answer in responses), default=500)
            missing = len(responses) < len(answers)
            return Response(500 if self._stopping.is_set() else max(worst, 503) if missing else worst)
        if not responses:
            return Response(503)
        if path == "/metrics":
            # Imported here, as httpx below, to save memory while this port gets no requests.
            from pgmq_gateway.observe.merging import CONTENT_TYPE, merged

            # Not the number of those that responded: the alert compares it with the number of ready ones.
            text = merged((answer.text for answer in responses), {"pgmq_gateway_workers": len(self._workers)})
            return page(text.encode(), CONTENT_TYPE)
        return page(responses[0].content, JSON)


async def _get(worker: Path, path: str) -> "httpx.Response | None":
    """A worker's response; None while the worker is being replaced."""
    import httpx

    transport = httpx.AsyncHTTPTransport(uds=str(worker))
    try:
        async with httpx.AsyncClient(transport=transport, timeout=WORKER_TIMEOUT_SECONDS) as client:
            return await client.get(f"http://worker{path}")
    except httpx.HTTPError:
        return None
