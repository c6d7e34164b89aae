"""CORS, as in PostgREST (docs/reference/compatibility.md, CORS)."""

from collections.abc import Collection, Iterable

from pgmq_gateway.errors import Headers
from pgmq_gateway.http.request import Request
from pgmq_gateway.http.response import REPLAYED, Response

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "HEAD")
EXPOSED = (
    "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, Transfer-Encoding, "
    "Range-Unit"
)
# For scripts that repeat a request with an Idempotency-Key.
EXPOSED_WITH_KEY = (REPLAYED, "Retry-After")
# For scripts that wait for messages.
EXPOSED_WITH_WAIT = ("Preference-Applied", "Retry-After")
MAX_AGE_SECONDS = "86400"


class Cors:
    """The CORS policy.

    origins   allowed origins, with credentials; empty: any origin, without credentials
    readable  headers exposed to scripts besides PostgREST's
    """

    def __init__(self, origins: Collection[str], readable: Iterable[str] = ()) -> None:
        self._origins = origins
        self._exposed = (EXPOSED, *readable)

    def headers(self, request: Request) -> Headers:
        """Headers for any response to this request."""
        allowed = self._allowed(request)
        if not allowed or _is_preflight(request):
            return allowed
        exposed = dict.fromkeys(
            (
                *self._exposed,
                *(EXPOSED_WITH_KEY if request.keys else ()),
                *(EXPOSED_WITH_WAIT if _may_wait(request) else ()),
            )
        )
        return (*allowed, ("Access-Control-Expose-Headers", ", ".join(exposed)))

    def preflight(self, request: Request) -> Response | None:
        """The response to a preflight request from an allowed origin, without those of `headers`; None for others."""
        if not _is_preflight(request) or not self._allowed(request):
            return None
        asked = request.headers.get("access-control-request-headers", "")
        wanted = [name.strip() for name in asked.split(",") if name.strip()]
        names = ", ".join(("Authorization", *wanted, "Accept", "Accept-Language", "Content-Language"))
        return Response(
            200,
            (
                ("Access-Control-Allow-Methods", ", ".join(METHODS)),
                *((("Access-Control-Allow-Headers", names),) if wanted else ()),
                ("Access-Control-Max-Age", MAX_AGE_SECONDS),
            ),
        )

    def _allowed(self, request: Request) -> Headers:
        origin = request.headers.get("origin")
        if origin is None:
            return ()
        if not self._origins:
            return (("Access-Control-Allow-Origin", "*"),)
        if origin not in self._origins:
            return ()
        return (("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true"))


def _may_wait(request: Request) -> bool:
    """True for requests that PostgREST does not know: to resources, and those that prefer to wait."""
    return request.segments[:1] == ["queues"] or "wait=" in request.headers.get("prefer", "")


def _is_preflight(request: Request) -> bool:
    return request.method == "OPTIONS" and request.headers.get("access-control-request-method") in METHODS
