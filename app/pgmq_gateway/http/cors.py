"""Which pages of other origins may call and read, as PostgREST decides it (wire contract, section 11)."""

from collections.abc import Collection, Iterable, Mapping

from pgmq_gateway.errors import Headers
from pgmq_gateway.http.response import Response

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "HEAD")
EXPOSED = (
    "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, Transfer-Encoding, "
    "Range-Unit"
)
DAY = "86400"


class Cors:
    """Who may call, and read what.

    origins  those that may call, with credentials; empty: all may, without credentials
    readable headers that pages may read besides PostgREST's
    """

    def __init__(self, origins: Collection[str], readable: Iterable[str] = ()) -> None:
        self._origins = origins
        self._exposed = ", ".join((EXPOSED, *readable))

    def headers(self, sent: Mapping[str, str]) -> Headers:
        """What lets the page of the request's Origin read the answer."""
        allowed = self._allowed(sent)
        return (*allowed, ("Access-Control-Expose-Headers", self._exposed)) if allowed else ()

    def preflight(self, method: str, sent: Mapping[str, str]) -> Response | None:
        """The answer when this is a browser's question whether it may call; else None."""
        if method != "OPTIONS" or sent.get("access-control-request-method") not in METHODS:
            return None
        allowed = self._allowed(sent)
        if not allowed:
            return None
        wanted = [name.strip() for name in sent.get("access-control-request-headers", "").split(",") if name.strip()]
        names = ", ".join(("Authorization", *wanted, "Accept", "Accept-Language", "Content-Language"))
        return Response(
            200,
            (
                *allowed,
                ("Access-Control-Allow-Methods", ", ".join(METHODS)),
                *((("Access-Control-Allow-Headers", names),) if wanted else ()),
                ("Access-Control-Max-Age", DAY),
            ),
        )

    def _allowed(self, sent: Mapping[str, str]) -> Headers:
        origin = sent.get("origin")
        if origin is None:
            return ()
        if not self._origins:
            return (("Access-Control-Allow-Origin", "*"),)
        if origin not in self._origins:
            return ()
        return (
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Allow-Credentials", "true"),
            ("Vary", "Origin"),
        )
