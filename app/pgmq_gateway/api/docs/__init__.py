"""Interactive documentation at `/docs`: loaded at the first request, because most gateways get none."""

import asyncio

from pgmq_gateway.http.asgi import App, Receive, Scope, Send
from pgmq_gateway.http.caching import Uncached
from pgmq_gateway.http.request import PREFIX
from pgmq_gateway.settings.model import Settings

PATHS = (b"/docs", PREFIX.encode() + b"/docs")


class Docs:
    """The pages as an ASGI application.

    others  handles the requests to other paths
    """

    def __init__(self, settings: Settings, others: App) -> None:
        self._settings = settings
        self._others = others
        self._pages: App | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._pages is None:
            # In a thread: FastAPI takes 0.1 s to import, and 8 MB.
            self._pages = Uncached(await asyncio.to_thread(self._loaded))
        await self._pages(scope, receive, send)

    def _loaded(self) -> App:
        from pgmq_gateway.api.docs import pages

        return pages.application(self._settings, self._others)
