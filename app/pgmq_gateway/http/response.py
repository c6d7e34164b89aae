"""What goes back over HTTP: the answer to a call, or the error it ended in."""

from functools import lru_cache

import msgspec

from pgmq_gateway.errors import GatewayError, Headers
from pgmq_gateway.http.asgi import Send
from pgmq_gateway.http.request import Request

JSON = "application/json; charset=utf-8"


class Response(msgspec.Struct, frozen=True):
    """Status, headers and body of an HTTP answer; `code` is that of the error that it tells."""

    status: int
    headers: Headers
    body: bytes = b""
    code: str = ""

    async def send(self, send: Send, *more: tuple[str, str]) -> None:
        """Send it, with `more` headers behind its own."""
        headers = [_encoded(name, value) for name, value in (*self.headers, *more)]
        if self.status not in (204, 304):
            headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body if self.status not in (204, 304) else b""})


# Nobody receives it: the log and /metrics count it, with nginx's status for a client that closed its connection.
CLIENT_GONE = Response(499, ())


def allowing(request: Request, methods: str) -> Response:
    """The answer to OPTIONS: these methods."""
    # A page has its own origin named, like with every answer; a second name would make the browser refuse both.
    anybody = () if "origin" in request.headers else (("Access-Control-Allow-Origin", "*"),)
    return Response(200, (("Allow", methods), *anybody))


def failed(error: GatewayError, *, verbose: bool = True) -> Response:
    """An error's answer. Proxy-Status (RFC 9209) repeats its code for clients that get no body."""
    headers = (("Content-Type", JSON), ("Proxy-Status", f"PostgREST; error={error.code}"), *error.headers)
    return Response(error.status, headers, error.body(verbose=verbose), error.code)


# Nearly all are of the same few.
@lru_cache(maxsize=512)
def _encoded(name: str, value: str) -> tuple[bytes, bytes]:
    """A header's bytes: a message inside may hold anything, a line break would start another header."""
    if not value.isprintable():
        value = "".join(c if c.isprintable() else " " for c in value)
    return name.lower().encode("latin-1"), value.encode(errors="replace")
