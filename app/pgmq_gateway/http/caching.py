"""Caches: every response depends on its caller, so none may be stored."""

from collections.abc import Iterable

from pgmq_gateway.errors import Headers
from pgmq_gateway.http.asgi import App, Message, Receive, Scope, Send

# `no-store` is enough for caches that follow RFC 9111. For others, Vary keeps callers apart.
NO_STORE = ("Cache-Control", "no-store")
VARY = ("Vary", "apikey, Authorization, Origin, Accept, Accept-Profile, Content-Profile, Prefer, Range")


def caching(headers: Iterable[tuple[str, str]]) -> Headers:
    """The headers to add to a response with these. A Cache-Control that a function or a page has set is kept."""
    return (VARY,) if any(name.lower() == "cache-control" for name, _ in headers) else (NO_STORE, VARY)


class Uncached:
    """ASGI middleware that adds these headers to the responses of other frameworks."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _completed(message["headers"])
            await send(message)

        await self._app(scope, receive, completed)


def _completed(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    headers = list(headers)
    names = {name.lower() for name, _ in headers}
    more = [(name.lower().encode(), value.encode()) for name, value in (NO_STORE, VARY)]
    return [*headers, *(header for header in more if header[0] not in names)]
