"""An HTTP request as it comes in, and what SQL is told of it."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Protocol
from urllib.parse import unquote, unquote_plus

import msgspec

from pgmq_gateway.errors import BodyTooLong
from pgmq_gateway.http.asgi import Receive, Scope
from pgmq_gateway.http.timing import Stopwatch

# Where Supabase's clients expect the API; it is the same without.
PREFIX = "/rest/v1"
# How many heads are remembered, and the bytes of the longest that may be.
HEADS_KEPT = 1024
LONGEST_HEAD = 4096

RawHeaders = tuple[tuple[bytes, bytes], ...]


class ClientGone(Exception):
    """The client closed the connection before its request was complete: there is nobody to answer."""


class Described(msgspec.Struct, frozen=True):
    """What SQL finds in request.method, request.path, request.headers and request.cookies (the last two JSON)."""

    method: str
    path: str
    headers: str
    cookies: str

    def carrying(self, headers: Mapping[str, str]) -> "Described":
        """The same with other values of some headers, by their names in small letters; those that are empty go."""
        shown = {**msgspec.json.decode(self.headers, type=dict[str, str]), **headers}
        kept = {name: value for name, value in shown.items() if value or name not in headers}
        return msgspec.structs.replace(self, headers=_json(kept))

    @property
    def texts(self) -> list[str]:
        """All of it, in this order."""
        return [self.method, self.path, self.headers, self.cookies]


class Called(Protocol):
    """What a request calls."""

    @property
    def schema(self) -> str: ...

    @property
    def name(self) -> str: ...


class Head:
    """All of a request that comes before its body, but for the body's length.

    A client sends the same again and again, so heads are remembered, and so is what others find out about one: it is
    compared by identity.

    path     as it was sent, without the prefix
    segments its parts between slashes, decoded; none for the root
    query    the parameters of the query string in order, decoded, without the apikey that may stand there
    url_key  that apikey
    headers  by name in lower case; the first of a name counts
    """

    __slots__ = ("_headers_json", "_raw", "cookies", "headers", "method", "path", "query", "segments", "url_key")

    def __init__(self, method: str, raw_path: bytes, query: bytes, raw: RawHeaders) -> None:
        self.method = method
        self.path = raw_path.decode("latin-1").removeprefix(PREFIX)
        self.segments = [unquote(part) for part in self.path.split("/")[1:]] if self.path not in ("", "/") else []
        pairs = _pairs(query.decode("latin-1"))
        self.query = [(name, value) for name, value in pairs if name != "apikey"]
        self.url_key = next((value for name, value in pairs if name == "apikey"), None)
        self.headers: Mapping[str, str] = _texts(reversed(raw))
        self._raw = raw
        # Of a name that comes more than once SQL sees the last. Cookies stand apart from the other headers.
        described = _texts(raw)
        described.pop("cookie", None)
        self._headers_json = _json(described)
        cookies = (part.partition("=") for part in self.headers.get("cookie", "").split(";"))
        self.cookies = _json({name.strip(): value.strip() for name, separator, value in cookies if separator})

    def values(self, name: bytes) -> list[str]:
        """The values of all headers of this name."""
        return [value.decode(errors="replace") for found, value in self._raw if found == name]

    def headers_json(self, length: str | None) -> str:
        """The headers for SQL, with the body's length as it was sent."""
        if length is None:
            return self._headers_json
        separator = "," if len(self._headers_json) > 2 else ""
        return f'{self._headers_json[:-1]}{separator}"content-length":{_json(length)}}}'


_kept_head = lru_cache(HEADS_KEPT)(Head)


class Request:
    """An HTTP request.

    head      all but its body
    timing    the stopwatch that runs since it came in
    max_body  bytes that its body may have
    received  bytes of its body
    carried   headers that SQL is shown in place of the client's; an empty one is left out
    role      its caller's, once that is known
    function  the one that it calls, once that is known
    """

    __slots__ = (
        "_length",
        "_max_body",
        "_receive",
        "carried",
        "function",
        "head",
        "headers",
        "method",
        "path",
        "query",
        "received",
        "role",
        "segments",
        "timing",
    )

    def __init__(self, scope: Scope, receive: Receive, max_body: int, stopwatch: Stopwatch) -> None:
        self.timing = stopwatch
        headers = scope["headers"]
        self._length = next((value for name, value in headers if name == b"content-length"), None)
        raw = tuple([pair for pair in headers if pair[0] != b"content-length"])
        path, query = scope["raw_path"], scope["query_string"]
        size = len(path) + len(query) + sum([len(name) + len(value) for name, value in raw])
        head = _kept_head if size <= LONGEST_HEAD else Head
        self.head = head(scope["method"], path, query, raw)
        self.method = self.head.method
        self.path = self.head.path
        self.segments = self.head.segments
        self.query = self.head.query
        self.headers = self.head.headers
        self._receive = receive
        self._max_body = max_body
        self.received = 0
        self.carried: Mapping[str, str] = {}
        self.role = ""
        self.function: Called | None = None

    def abandoned(self) -> bool:
        """Whether the client has closed its connection, as far as can be told without waiting for it.

        ASGI tells it only to who awaits the next message; uvicorn's cycle, whose method `receive` is, knows it already.
        """
        return getattr(getattr(self._receive, "__self__", None), "disconnected", False)

    async def body(self) -> bytes:
        """The whole body. Raises ClientGone, and BodyTooLong as soon as that is known."""
        if self._length is not None and int(self._length) > self._max_body:
            raise BodyTooLong(self._max_body)
        chunks = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunks.append(message.get("body", b""))
            self.received += len(chunks[-1])
            if self.received > self._max_body:
                raise BodyTooLong(self._max_body)
            if not message.get("more_body"):
                return b"".join(chunks)

    def described(self) -> Described:
        """The request for SQL, as PostgREST puts it."""
        length = None if self._length is None else self._length.decode("latin-1")
        described = Described(self.method, self.path, self.head.headers_json(length), self.head.cookies)
        return described.carrying(self.carried) if self.carried else described


def _pairs(query: str) -> list[tuple[str, str]]:
    """Names and values of a query string; a name without `=` does not count (PostgREST, and `;` for `&` too)."""
    parts = (part.partition("=") for part in query.replace(";", "&").split("&"))
    return [(unquote_plus(name), unquote_plus(value)) for name, equals, value in parts if equals]


def _texts(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode(errors="replace") for name, value in raw}


def _json(value: Mapping[str, str] | str) -> str:
    return msgspec.json.encode(value).decode()
