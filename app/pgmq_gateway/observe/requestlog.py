"""The request log: one line for each request with its function, role, status and duration, without its content."""

import logging
import re
import secrets
from functools import partial

from pgmq_gateway.http.response import Response
from pgmq_gateway.observe.observed import End, Observed

logger = logging.getLogger("pgmq_gateway.requests")

# Accepted request IDs of clients; otherwise one is generated.
REQUEST_ID = re.compile(r"[ -~]{1,128}")
DEFAULT_HEADER = "X-Request-Id"


class RequestLog:
    """Logs each request at its end.

    header  carries the request ID, in requests and responses; None: X-Request-Id
    """

    def __init__(self, header: str | None) -> None:
        self._header = header or DEFAULT_HEADER
        self._name = self._header.lower()
        # The lines are requested by a setting, so they are logged at any level.
        logger.setLevel(logging.INFO)

    def begun(self, observed: Observed) -> End:
        """Determine the request ID, which the response repeats."""
        given = observed.request.headers.get(self._name, "")
        observed.name = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
        observed.headers = ((self._header, observed.name),)
        return partial(self._log, observed)

    def _log(self, observed: Observed, response: Response, seconds: float) -> None:
        request = observed.request
        function = request.function
        fields = {
            "method": request.method,
            "path": observed.path,
            "schema": function.schema if function else "",
            "function": function.name if function else "",
            "role": request.role,
            "status": response.status,
            "code": response.code,
            "duration_ms": round(1000 * seconds, 2),
            "bytes_in": request.received,
            "bytes_out": 0 if request.method == "HEAD" else request.sent,
            "request_id": observed.name,
        }
        if observed.trace_id:
            fields["trace_id"] = observed.trace_id
        logger.info("request", extra={"fields": fields})
