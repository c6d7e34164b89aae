"""Every error response of the gateway: status, code, message, details, hint and headers.

Codes `PGRST…` and their texts are PostgREST's, because clients parse them. Errors of Postgres are in
database/sqlstate.py.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Self

# RFC 9110, section 5.6.2; and the headers that a function cannot set, because they delimit the body.
HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})

Headers = tuple[tuple[str, str], ...]


class GatewayError(Exception):
    """A request that ends with an error response."""

    status: int = 500
    code: str = "PGRSTX00"
    headers: Headers = ()

    def __init__(self, message: str, details: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.hint = hint

    def body(self, *, verbose: bool = True) -> bytes:
        """The four members of an error, in PostgREST's order, as compact JSON; only code and message unless verbose."""
        more = {"details": self.details, "hint": self.hint} if verbose else {}
        members = {"code": self.code, **more, "message": self.message}
        return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


class Malformed(GatewayError):
    """A request that is not HTTP/1.1, or that two parsers could read differently. The connection is closed."""

    status, code = 400, "PGMQ400"

    def __init__(self, details: str) -> None:
        super().__init__("Malformed HTTP/1.1 request", details)


class TooSlow(GatewayError):
    """A request that arrived too slowly. The connection is closed."""

    status, code = 408, "PGMQ408"

    def __init__(self, part: str, details: str) -> None:
        super().__init__(f"Timed out waiting for the request {part}", details, "Retry.")


class BodyTooLong(GatewayError):
    """A body of more than `max_bytes`. The rest is not read, and the connection is closed."""

    status, code = 413, "PGMQ413"
    headers = (("Connection", "close"),)

    def __init__(self, max_bytes: int) -> None:
        super().__init__(
            "Request body too large", f"The limit is {max_bytes} bytes.", "Send fewer messages per request."
        )


class HeadTooLong(GatewayError):
    """A request line and headers beyond the limit, in bytes or in headers. The connection is closed."""

    status, code = 431, "PGMQ431"

    def __init__(self, maximum: int, unit: str = "bytes") -> None:
        super().__init__(
            "Request headers too large",
            f"The limit is {maximum} {unit}{', with the request line' if unit == 'bytes' else ''}.",
            "Send fewer headers, and arguments in the body of a POST.",
        )


class TooManyConnections(GatewayError):
    """A connection beyond the limit. Nothing was read from it."""

    status, code = 503, "PGMQ503"
    headers = (("Retry-After", "1"),)

    def __init__(self) -> None:
        super().__init__("Too many connections", hint="Retry after a second, and reuse connections (keep-alive).")


class TooManyWaiting(GatewayError):
    """A request that would wait for messages beside as many others as the process allows. Nothing was executed.

    An empty result would make a consumer repeat its request at once.
    """

    status, code = 503, "PGMQ503"
    headers = (("Retry-After", "1"),)

    def __init__(self, max_waiting: int) -> None:
        super().__init__(
            "Too many waiting requests",
            f"{max_waiting} requests of all callers wait for messages.",
            "Retry after a second, or read without waiting.",
        )


class StreamUnsupported(GatewayError):
    """A stream over HTTP/1.0, where the end of the connection is the end of the response: a lost one looks the same."""

    status, code = 505, "PGMQ505"

    def __init__(self) -> None:
        super().__init__(
            "Streams need HTTP/1.1",
            "The request is HTTP/1.0.",
            "Set proxy_http_version 1.1 if it passes nginx, or read without Accept: text/event-stream.",
        )


class MemoryFull(GatewayError):
    """A body for which there is no room in memory now. Nothing was executed, and the connection is closed."""

    status, code = 503, "PGMQ503"
    headers = (("Retry-After", "1"), ("Connection", "close"))

    def __init__(self) -> None:
        super().__init__(
            "Too much data in transfer", "The request body does not fit into the gateway's memory.", "Retry later."
        )


class InternalError(GatewayError):
    """A bug in the gateway. The log has the traceback."""

    def __init__(self) -> None:
        super().__init__("Internal error", hint="See the log of the gateway.")


class InvalidQuery(GatewayError):
    """A query string that does not parse."""

    status, code = 400, "PGRST100"


class MethodNotAllowed(GatewayError):
    """A method that the path does not support; `allowed` goes into the Allow header."""

    status, code = 405, "PGRST101"

    def __init__(self, message: str, allowed: Iterable[str], hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.headers = (("Allow", ",".join(allowed)),)


class UnsupportedMethod(GatewayError):
    """A method other than OPTIONS, GET and HEAD on a description of the API."""

    status, code = 405, "PGRST117"
    headers = (("Allow", "OPTIONS,GET,HEAD"),)

    def __init__(self, method: str) -> None:
        super().__init__(f"Unsupported HTTP method: {method}")


class InvalidBody(GatewayError):
    """A body that does not contain named arguments."""

    status, code = 400, "PGRST102"


class InvalidEncoding(InvalidBody):
    """A body that is not text in UTF-8, with Postgres' code and message."""

    code = "22021"

    def __init__(self, invalid: bytes) -> None:
        shown = " ".join(f"0x{byte:02x}" for byte in invalid)
        super().__init__(f'invalid byte sequence for encoding "UTF8": {shown}')


class UnknownSchema(GatewayError):
    """A profile header with a schema that is not exposed."""

    status, code = 406, "PGRST106"


class InvalidRange(GatewayError):
    """A negative limit, a reversed range, or an offset beyond the last row."""

    status, code = 416, "PGRST103"

    @classmethod
    def beyond(cls, offset: int, rows: int) -> Self:
        """An offset beyond the last row. The call was rolled back; PostgREST commits it, and messages stay leased."""
        error = cls(
            "Requested range not satisfiable",
            f"An offset of {offset} was requested, but there are only {rows} rows.",
        )
        error.headers = (("Content-Range", f"*/{rows}"),)
        return error


class NotAcceptable(GatewayError):
    """An Accept header without an available media type."""

    status, code = 406, "PGRST107"


class NotSingular(GatewayError):
    """A number of rows other than one for a single object. The call was rolled back."""

    status, code = 406, "PGRST116"

    def __init__(self, rows: int) -> None:
        super().__init__("Cannot coerce the result to a single JSON object", f"The result contains {rows} rows")
        self.rows = rows


class InvalidPreferences(GatewayError):
    """Unknown preferences with handling=strict."""

    status, code = 400, "PGRST122"


class StreamRolledBack(GatewayError):
    """A stream whose reads would be rolled back."""

    status, code = 400, "PGRST122"

    def __init__(self) -> None:
        super().__init__(
            "A stream cannot be rolled back",
            "Its reads would be rolled back by Prefer: tx=rollback or db-tx-end, and find the same messages again.",
            "Prefer tx=commit where db-tx-end allows it, or read without Accept: text/event-stream.",
        )


class TooManyAffected(GatewayError):
    """More rows than max-affected. The call was rolled back."""

    status, code = 400, "PGRST124"

    def __init__(self, rows: int) -> None:
        super().__init__("Query result exceeds max-affected preference constraint", f"The query affects {rows} rows")


class NoRowsToCount(GatewayError):
    """max-affected on a function that returns a single value."""

    status, code = 400, "PGRST128"

    def __init__(self) -> None:
        super().__init__(
            "Function must return SETOF or TABLE when max-affected preference is used with handling=strict"
        )


class UnknownRelation(GatewayError):
    """A select with an embedded resource, which results of functions do not have."""

    status, code = 400, "PGRST200"

    def __init__(self, relation: str, other: str, hint: str | None, schema: str) -> None:
        using = f"' using the hint '{hint}" if hint else ""
        super().__init__(
            f"Could not find a relationship between '{relation}' and '{other}' in the schema cache",
            f"Searched for a foreign key relationship between '{relation}' and '{other}{using}' in the schema "
            f"'{schema}', but no matches were found.",
        )


class NotEmbedded(GatewayError):
    """A filter, order or limit on a resource that `select` does not embed."""

    status, code = 400, "PGRST108"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"'{name}' is not an embedded resource in this request",
            hint=f"Verify that '{name}' is included in the 'select' query parameter.",
        )


class AggregatesForbidden(GatewayError):
    """An aggregate in select, as with PostgREST's default of db-aggregates-enabled."""

    status, code = 400, "PGRST123"

    def __init__(self) -> None:
        super().__init__("Use of aggregate functions is not allowed")


class InvalidAnswer(GatewayError):
    """A function that set response.headers or response.status to an invalid value."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class UnknownPath(GatewayError):
    status, code = 404, "PGRST125"

    def __init__(self) -> None:
        super().__init__("Invalid path specified in request URL")


class DescriptionDisabled(GatewayError):
    """The description of the API with openapi-mode=disabled."""

    status, code = 404, "PGRST126"

    def __init__(self) -> None:
        super().__init__("Root endpoint metadata is disabled")


class FunctionNotFound(GatewayError):
    """No function of this name takes these arguments."""

    status, code = 404, "PGRST202"

    def __init__(
        self, message: str, details: str | None = None, hint: str | None = None, arguments: Sequence[str] = ()
    ) -> None:
        super().__init__(message, details, hint)
        self.arguments = arguments


class AmbiguousFunction(GatewayError):
    """More than one function of this name takes these arguments."""

    status, code = 300, "PGRST203"


class TableNotFound(GatewayError):
    """The path of a table in PostgREST. The gateway exposes functions only."""

    status, code = 404, "PGRST205"

    def __init__(self, schema: str, name: str) -> None:
        super().__init__(f"Could not find the table '{schema}.{name}' in the schema cache")


class Unauthorized(GatewayError):
    """A token that could not be verified."""

    status, code = 401, "PGRST301"

    @property
    def headers(self) -> Headers:  # type: ignore[override]
        """The challenge of RFC 6750, section 3."""
        return (("WWW-Authenticate", f'Bearer error="invalid_token", error_description="{self.message}"'),)


class KeysMissing(GatewayError):
    """A token whose key may be in a JWKS that has not been fetched yet."""

    status, code = 503, "PGRST300"
    headers = (("Retry-After", "1"),)

    def __init__(self) -> None:
        super().__init__("The keys for verifying tokens have not been fetched yet", hint="Retry after a second.")


class AnonymousDisabled(GatewayError):
    """A request without a token if there is no anonymous role."""

    status, code = 401, "PGRST302"
    headers = (("WWW-Authenticate", "Bearer"),)

    def __init__(self) -> None:
        super().__init__("Anonymous access is disabled")


class InvalidClaims(Unauthorized):
    """A token with a valid signature and invalid or expired claims."""

    code = "PGRST303"


class UnknownRole(GatewayError):
    """A role claim that cannot be the name of a role, with Postgres' message for an unknown role."""

    status, code = 401, "22023"
    headers = (("WWW-Authenticate", "Bearer"),)

    def __init__(self, role: str) -> None:
        super().__init__(f'role "{role}" does not exist')


class Unavailable(GatewayError):
    """The database cannot be reached. Nothing was executed."""

    status, code = 503, "PGRST000"
    headers = (("Retry-After", "1"),)

    def __init__(self, details: str | None = None) -> None:
        super().__init__("Database connection error.", details)


class ConnectionLost(GatewayError):
    """The connection broke while the call ran, so its outcome is unknown."""

    status, code = 503, "PGRST001"
    headers = (("Retry-After", "1"),)

    def __init__(self, cause: str = "The database connection was lost while the call ran.") -> None:
        super().__init__(
            cause,
            "The call may or may not have been executed.",
            "Repeat it with the same Idempotency-Key; if it had none, check first whether it took effect.",
        )


class CommitInterrupted(ConnectionLost):
    """A call that was cancelled, by a time limit or an operator, and then succeeded.

    A cancel during the commit ends its wait for a synchronous standby, and Postgres reports success. In a failover to
    that standby the call would be undone.
    """

    def __init__(self) -> None:
        super().__init__("The call was cancelled while it was being committed.")


class CatalogMissing(GatewayError):
    """The catalog has not been loaded yet. Nothing was executed."""

    status, code = 503, "PGRST002"
    headers = (("Retry-After", "1"),)

    def __init__(self) -> None:
        super().__init__("Could not query the database for the schema cache. Retrying.")


class PoolTimeout(GatewayError):
    """No connection became free in time. Nothing was executed."""

    status, code = 504, "PGRST003"

    def __init__(self) -> None:
        super().__init__("Timed out acquiring connection from connection pool.")


class StatementTimeout(GatewayError):
    """A call that exceeded its statement timeout and was cancelled, with Postgres' message."""

    status, code = 500, "57014"

    def __init__(self, hint: str | None = None) -> None:
        super().__init__("canceling statement due to statement timeout", hint=hint)

    @classmethod
    def of_filters(cls, seconds: float) -> Self:
        """The time limit of calls with filters that match patterns or search text."""
        return cls(
            f"The limit is {seconds:g} seconds for a call whose filters match patterns or search text. Use simpler"
            " patterns, or read fewer messages."
        )
