"""Caches: every response depends on its caller, so none may be stored."""

from pgmq_gateway.http.asgi import App, Message, Receive, Scope, Send

CACHE_CONTROL = b"cache-control"
# `no-store` is enough for caches that follow RFC 9111. For others, Vary keeps callers apart.
NO_STORE = (CACHE_CONTROL, b"no-store")
VARY = (b"vary", b"apikey, Authorization, Origin, Accept, Accept-Profile, Content-Profile, Prefer, Range")


def add_caching(headers: list[tuple[bytes, bytes]]) -> None:
    """Add the headers for caches. A Cache-Control that a function has set is kept."""
    for name, _ in headers:
        if name == CACHE_CONTROL:
            break
    else:
        headers.append(NO_STORE)
    headers.append(VARY)


class Uncached:
    """ASGI middleware that adds these headers to the responses of other frameworks."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def completed(message: Message) -> None:
            if message["type"] == "http.response.start" and VARY not in message["headers"]:
                message["headers"] = list(message["headers"])
                add_caching(message["headers"])
            await send(message)

        await self._app(scope, receive, completed)
