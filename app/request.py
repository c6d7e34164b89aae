"""An HTTP request as it comes in, and what SQL is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus

import msgspec

from app.asgi import Receive, Scope
from app.timing import Timing

# Where Supabase's clients expect the API; it is the same without.
PREFIX = "/rest/v1"


class ClientGone(Exception):
    """The client closed the connection before its request was complete: there is nobody to answer."""


@dataclass(frozen=True, slots=True)
class Described:
    """What SQL finds in request.method, request.path, request.headers and request.cookies (the last two JSON)."""

    method: str
    path: str
    headers: str
    cookies: str

    @property
    def texts(self) -> list[str]:
        """All of it, in this order."""
        return [self.method, self.path, self.headers, self.cookies]


class Request:
    """An HTTP request.

    path     as it was sent, without the prefix
    segments its parts between slashes, decoded; none for the root
    query    the parameters of the query string in order, decoded, without the apikey that may stand there
    url_key  that apikey
    headers  by name in lower case; the first of a name counts
    timing   running since it came in
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.timing = Timing()
        self.method: str = scope["method"]
        self.path: str = scope["raw_path"].decode("latin-1").removeprefix(PREFIX)
        self.segments = [unquote(part) for part in self.path.split("/")[1:]] if self.path not in ("", "/") else []
        pairs = _pairs(scope["query_string"].decode("latin-1"))
        self.query = [(name, value) for name, value in pairs if name != "apikey"]
        self.url_key = next((value for name, value in pairs if name == "apikey"), None)
        self.headers: Mapping[str, str] = {
            name.decode("latin-1"): value.decode(errors="replace") for name, value in reversed(scope["headers"])
        }
        self._raw = scope["headers"]
        self._receive = receive

    def values(self, name: bytes) -> list[str]:
        """The values of all headers of this name."""
        return [value.decode(errors="replace") for found, value in self._raw if found == name]

    def abandoned(self) -> bool:
        """Whether the client has closed its connection, as far as can be told without waiting for it.

        ASGI tells it only to who awaits the next message; uvicorn's cycle, whose method `receive` is, knows it already.
        """
        return getattr(getattr(self._receive, "__self__", None), "disconnected", False)

    async def body(self) -> bytes:
        """The whole body. Raises ClientGone."""
        chunks = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunks.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(chunks)

    def described(self) -> Described:
        """The request for SQL, as PostgREST puts it: cookies stand apart from the other headers."""
        # Of a name that comes more than once SQL sees the last.
        headers = {name.decode("latin-1"): value.decode(errors="replace") for name, value in self._raw}
        headers.pop("cookie", None)
        pairs = (part.partition("=") for part in self.headers.get("cookie", "").split(";"))
        cookies = {name.strip(): value.strip() for name, separator, value in pairs if separator}
        return Described(self.method, self.path, _json(headers), _json(cookies))


def _pairs(query: str) -> list[tuple[str, str]]:
    """Names and values of a query string; a name without `=` does not count (PostgREST, and `;` for `&` too)."""
    parts = (part.partition("=") for part in query.replace(";", "&").split("&"))
    return [(unquote_plus(name), unquote_plus(value)) for name, equals, value in parts if equals]


def _json(value: Mapping[str, str]) -> str:
    return msgspec.json.encode(value).decode()
