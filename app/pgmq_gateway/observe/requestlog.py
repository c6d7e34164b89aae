"""A line in the log for each request: who did what, what came of it and how long it took; nothing of what was sent."""

import logging
import re
import secrets
from functools import partial

from pgmq_gateway.http.response import Response
from pgmq_gateway.observe.observed import End, Observed

logger = logging.getLogger("pgmq_gateway.requests")

# Names that clients may give their requests; others get one of the gateway's.
NAME = re.compile(r"[ -~]{1,128}")
DEFAULT_HEADER = "X-Request-Id"
# Of a client that went before its answer, as nginx has it.
CLIENT_GONE = 499


class RequestLog:
    """Tells of each request when it is over.

    header  the one that names a request, in and out; None: X-Request-Id
    """

    def __init__(self, header: str | None) -> None:
        self._header = header or DEFAULT_HEADER
        self._name = self._header.lower()
        # Who asks for these lines gets them at any level.
        logger.setLevel(logging.INFO)

    def begun(self, request: Observed) -> End:
        """Name a request, and have its answer say that name."""
        given = request.headers.get(self._name, "")
        request.name = given if NAME.fullmatch(given) else secrets.token_hex(16)
        request.shown = ((self._header, request.name),)
        return partial(self._tell, request)

    def _tell(self, request: Observed, response: Response | None, seconds: float) -> None:
        function = request.function
        told = {
            "method": request.method,
            "path": request.place,
            "schema": function.schema if function else "",
            "function": function.name if function else "",
            "role": request.role,
            "status": response.status if response else CLIENT_GONE,
            "code": response.code if response else "",
            "duration_ms": round(1000 * seconds, 2),
            "bytes_in": request.received,
            "bytes_out": len(response.body) if response and request.method != "HEAD" else 0,
            "request_id": request.name,
        }
        if request.trace_id:
            told["trace_id"] = request.trace_id
        logger.info("request", extra={"fields": told})
