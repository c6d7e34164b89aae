"""HTTP responses: the result of a call, or an error."""

from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from pgmq_gateway.errors import GatewayError, Headers
from pgmq_gateway.http.asgi import Send
from pgmq_gateway.http.caching import add_caching
from pgmq_gateway.http.request import Request

JSON = "application/json; charset=utf-8"
CONNECTION_CLOSE = (b"connection", b"close")
# A header of responses that were stored for the request's Idempotency-Key.
REPLAYED = "Idempotency-Replayed"
# Characters of the values in the largest head that is cached.
MAX_CACHED_CHARACTERS = 512


class Response(msgspec.Struct, frozen=True):
    """An HTTP response. `code` is the error code; empty unless it is an error."""

    status: int
    headers: Headers = ()
    body: bytes = b""
    code: str = ""

    def encoded_headers(self, *more: tuple[str, str]) -> list[tuple[bytes, bytes]]:
        """The headers as bytes, with those for caches. `more` are headers to append."""
        headers = [_encoded(name, value) for name, value in self.headers]
        add_caching(headers)
        return [*headers, *[_encoded(name, value) for name, value in more]]

    @property
    def closes(self) -> bool:
        """True if the connection must be closed after this response."""
        return ("Connection", "close") in self.headers

    def message(self, server_lines: bytes, *more: tuple[str, str], close: bool) -> bytes:
        """The response as it is sent, except to HEAD. The arguments are those of `head`."""
        head = self.head(server_lines, *more, close=close)
        if self.status in (204, 304):
            return b"%b\r\n" % head
        return b"%bcontent-length: %d\r\n\r\n%b" % (head, len(self.body), self.body)

    def head(self, server_lines: bytes, *more: tuple[str, str], close: bool) -> bytes:
        """The head as it is sent, without the header that delimits the body, and the empty line.

        server_lines  the headers of the server as bytes
        more          as above
        close         whether the connection will be closed
        """
        size = sum([len(value) for _, value in self.headers])
        head = (_cached_head if size <= MAX_CACHED_CHARACTERS else _head)(self.status, self.headers)
        parts = [head, server_lines, *[b"%b: %b\r\n" % _encoded(name, value) for name, value in more]]
        if close:
            parts.append(b"connection: close\r\n")
        return b"".join(parts)

    async def send(self, send: Send, *more: tuple[str, str]) -> None:
        """Send the response. `more` are headers to append."""
        headers = self.encoded_headers(*more)
        if self.status not in (204, 304):
            headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body if self.status not in (204, 304) else b""})


Write = Callable[[bytes], Awaitable[None]]


class StreamedResponse(Response, frozen=True, kw_only=True):
    """A response whose body is sent in parts, as they come.

    run    writes the parts; returns at the end of the body, and raises ClientGone
    close  called once, whether it has run or not
    """

    run: Callable[[Write], Awaitable[None]]
    close: Callable[[], Awaitable[None]]


# Never sent. The log and /metrics count it, with nginx's status for a client that closed its connection.
CLIENT_GONE = Response(499, ())


def options_response(request: Request, methods: str) -> Response:
    """The response to OPTIONS."""
    # With an Origin, CORS adds this header. A second one would make browsers reject both.
    any_origin = () if "origin" in request.headers else (("Access-Control-Allow-Origin", "*"),)
    return Response(200, (("Allow", methods), *any_origin))


def error_response(error: GatewayError, *, verbose: bool = True) -> Response:
    """The response to a failed request. Proxy-Status (RFC 9209) repeats the code for HEAD, which has no body."""
    headers = (("Content-Type", JSON), ("Proxy-Status", f"PostgREST; error={error.code}"), *error.headers)
    return Response(error.status, headers, error.body(verbose=verbose), error.code)


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as they are sent, without `Connection: close`."""
    return b"".join([b"%b: %b\r\n" % header for header in headers if header != CONNECTION_CLOSE])


def _head(status: int, headers: Headers) -> bytes:
    return STATUS_LINE[status] + header_lines(Response(status, headers).encoded_headers())


_cached_head = lru_cache(maxsize=512)(_head)


# Most responses have the same few headers.
@lru_cache(maxsize=512)
def _encoded(name: str, value: str) -> tuple[bytes, bytes]:
    """A header's bytes. Error messages can contain line breaks, which would start another header."""
    if not value.isprintable():
        value = "".join(c if c.isprintable() else " " for c in value)
    return name.lower().encode("latin-1"), value.encode(errors="replace")
