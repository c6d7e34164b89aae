"""HTTP requests, and the settings that show them to SQL."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol
from urllib.parse import unquote_to_bytes

import msgspec

from pgmq_gateway.errors import BodyTooLong, MemoryFull
from pgmq_gateway.http.exchange import Exchange
from pgmq_gateway.http.memory import Memory
from pgmq_gateway.http.timing import Stopwatch

# Supabase's clients expect the API here. The prefix is optional.
PREFIX = "/rest/v1"
# Heads in the cache, and the bytes and parameters of the largest that is cached. Decoded, short parameters take many
# times the memory of their bytes.
HEAD_CACHE_SIZE = 1024
MAX_CACHED_HEAD_BYTES = 4096
MAX_CACHED_PARAMETERS = 32

# Headers whose values are seldom repeated.
APART_FROM_HEAD = frozenset({b"content-length", b"idempotency-key"})

NO_HEADERS: Mapping[str, str] = MappingProxyType({})

RawHeaders = tuple[tuple[bytes, bytes], ...]


class RequestSettings(msgspec.Struct, frozen=True):
    """The values of request.method, request.path, request.headers and request.cookies, the last two as JSON."""

    method: str
    path: str
    headers: str
    cookies: str

    def with_headers(self, headers: Mapping[str, str]) -> "RequestSettings":
        """Replace headers, by name in lower case. Those with an empty value are removed."""
        shown = {**msgspec.json.decode(self.headers, type=dict[str, str]), **headers}
        kept = {name: value for name, value in shown.items() if value or name not in headers}
        return msgspec.structs.replace(self, headers=_json(kept))

    @property
    def texts(self) -> list[str]:
        """The values in the order of the fields."""
        return [self.method, self.path, self.headers, self.cookies]


class CalledFunction(Protocol):
    """The function that a request calls."""

    @property
    def schema(self) -> str: ...

    @property
    def name(self) -> str: ...


class Head:
    """The part of a request before its body, without Content-Length and Idempotency-Key.

    Clients send the same head many times, so heads are cached. Values derived from a head are cached by its identity.

    path          as it was sent, without the prefix
    segments      the parts between slashes, decoded; empty for the root
    query_is_text whether the query string is UTF-8; otherwise its parameters have U+FFFD in place of other bytes
    query         the parameters of the query string in order, decoded, without apikey
    query_apikey  the parameter apikey
    bare_names    the names in the query string that have no value
    headers       by name in lower case; the first value of a name
    """

    __slots__ = (
        "_headers_json",
        "_headers_json_begun",
        "_raw",
        "bare_names",
        "cookies",
        "headers",
        "method",
        "path",
        "query",
        "query_apikey",
        "query_is_text",
        "segments",
    )

    def __init__(self, method: str, raw_path: bytes, query: bytes, raw: RawHeaders) -> None:
        self.method = method
        path = raw_path.removeprefix(PREFIX.encode())
        self.path = path.decode("latin-1")
        self.segments = [_decoded(part) for part in path.split(b"/")[1:]] if path not in (b"", b"/") else []
        parts = _parts(query) if query else []
        self.query_is_text = not query or _is_utf8(query)
        pairs = [(name, value) for name, value in parts if value is not None]
        self.bare_names = [name for name, value in parts if value is None]
        self.query = [(name, value) for name, value in pairs if name != "apikey"]
        self.query_apikey = next((value for name, value in pairs if name == "apikey"), None)
        texts = [(name.decode("latin-1"), value.decode(errors="replace")) for name, value in raw]
        self.headers: Mapping[str, str] = dict(reversed(texts))
        self._raw = raw
        # SQL sees the last value of a repeated name, and cookies in a setting of their own, as in PostgREST.
        described = dict(texts)
        described.pop("cookie", None)
        self._headers_json = _json(described)
        separator = "," if described else ""
        self._headers_json_begun = f'{self._headers_json[:-1]}{separator}"content-length":'
        cookies = (part.partition("=") for part in self.headers.get("cookie", "").split(";"))
        self.cookies = _json({name.strip(): value.strip() for name, separator, value in cookies if separator})

    def values(self, name: bytes) -> list[str]:
        """The values of all headers of this name."""
        return [value.decode(errors="replace") for found, value in self._raw if found == name]

    def headers_json(self, length: str | None) -> str:
        """The headers for SQL, with the value of Content-Length."""
        if length is None:
            return self._headers_json
        return f"{self._headers_json_begun}{_json(length)}}}"


_cached_head = lru_cache(HEAD_CACHE_SIZE)(Head)


def head_of(method: str, raw_path: bytes, query: bytes, headers: RawHeaders) -> Head:
    """The head of a request, from headers that are not APART_FROM_HEAD; equal small heads are one object."""
    size = len(raw_path) + len(query) + sum([len(name) + len(value) for name, value in headers])
    head = _cached_head if size <= MAX_CACHED_HEAD_BYTES and has_few_parameters(query) else Head
    return head(method, raw_path, query, headers)


def has_few_parameters(query: bytes) -> bool:
    """True if a head with this query string may be cached."""
    return query.count(b"&") + query.count(b";") < MAX_CACHED_PARAMETERS


class Request:
    """An HTTP request.

    timing            a stopwatch that runs since the head was received
    received          bytes of the body so far, held in memory until `release`
    sent              bytes of the response's body
    replaced_headers  headers that SQL sees in place of the client's; an empty one is removed
    role              the caller's role, once it is known
    flow              whose turn it takes, once the caller is known: the caller, or the address of an anonymous client
    function          the called function, once it is known
    route             the path with names in place of values, once it is known; empty for the path of a function
    waiting           makes a context for the time in which the request may wait; raises GatewayError if it must not
    """

    __slots__ = (
        "_exchange",
        "_max_body",
        "_memory",
        "flow",
        "function",
        "head",
        "headers",
        "method",
        "path",
        "query",
        "received",
        "replaced_headers",
        "role",
        "route",
        "segments",
        "sent",
        "timing",
        "waiting",
    )

    def __init__(self, exchange: Exchange, max_body: int, memory: Memory, stopwatch: Stopwatch) -> None:
        self.timing = stopwatch
        self.head = head = exchange.head
        self.method = head.method
        self.path = head.path
        self.segments = head.segments
        self.query = head.query
        self.headers = head.headers
        self._exchange = exchange
        self._max_body = max_body
        self._memory = memory
        self.received = self.sent = 0
        self.replaced_headers = NO_HEADERS
        self.role = ""
        self.flow: Hashable = None
        self.function: CalledFunction | None = None
        self.route = ""
        self.waiting: Callable[[], AbstractContextManager[None]] = nullcontext

    @property
    def keys(self) -> Sequence[bytes]:
        """The values of Idempotency-Key headers. SQL does not see them: they protect stored responses."""
        return self._exchange.keys

    @property
    def can_stream(self) -> bool:
        """False for HTTP/1.0, whose responses cannot be sent in parts."""
        return self._exchange.can_stream

    def leave_flow(self) -> None:
        """Stop counting among the requests of its flow in process: it waits, and costs the event loop nothing."""
        if (flow_requests := self._exchange.flow_requests) is not None:
            self._exchange.flow_requests = None
            flow_requests.end_one()

    def abandoned(self) -> bool:
        """True if the client has closed its connection, as far as is known without waiting."""
        return self._exchange.disconnected

    def followed(self) -> bool:
        """True if a further request on its connection waits for the response: whether the client is still there is
        not known any more."""
        return self._exchange.followed

    async def body(self) -> bytes:
        """Receive the whole body.

        Raises ClientGone, BodyTooLong as soon as the body exceeds the maximum, MemoryFull as soon as it does not fit
        into memory, and the error that the protocol rejected the request with.
        """
        body, announced = self._exchange.take_body(), int(self._exchange.length or 0)
        if announced > self._max_body:
            raise BodyTooLong(self._max_body)
        if not self._memory.fits(announced):
            raise MemoryFull
        if isinstance(body, bytes):
            self._hold(len(body))
            return body
        chunks, more = list[bytes](), True
        while more:
            chunk, more = await body()
            chunks.append(chunk)
            self._hold(len(chunk))
        return b"".join(chunks)

    def _hold(self, size: int) -> None:
        self.received += size
        if not self._memory.hold(size):
            raise MemoryFull
        if self.received > self._max_body:
            raise BodyTooLong(self._max_body)

    def release(self) -> None:
        """The request is over: its body is no longer in memory."""
        self._memory.release(self.received)

    def sql_settings(self) -> RequestSettings:
        """The request as SQL sees it, as in PostgREST."""
        length = self._exchange.length
        headers = self.head.headers_json(None if length is None else length.decode("latin-1"))
        settings = RequestSettings(self.method, self.path, headers, self.head.cookies)
        return settings.with_headers(self.replaced_headers) if self.replaced_headers else settings


def _parts(query: bytes) -> list[tuple[str, str | None]]:
    """Names and values of a query string; None for a name without `=`. As in PostgREST, `;` separates too."""
    spaced = query.replace(b"+", b" ")
    parts = (part.partition(b"=") for part in spaced.replace(b";", b"&").split(b"&") if part)
    return [(_decoded(name), _decoded(value) if equals else None) for name, equals, value in parts]


def _decoded(encoded: bytes) -> str:
    """A percent-encoded text; U+FFFD in place of what is not UTF-8."""
    return (unquote_to_bytes(encoded) if b"%" in encoded else encoded).decode("utf-8", "replace")


def _is_utf8(encoded: bytes) -> bool:
    try:
        unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        return False
    return True


def _json(value: Mapping[str, str] | str) -> str:
    return msgspec.json.encode(value).decode()
