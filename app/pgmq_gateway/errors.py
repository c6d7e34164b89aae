"""What can go wrong with a call, as values that carry status, code, message, details and hint.

Codes and texts are PostgREST's, because clients parse them. `body` is the one place that makes an error body. What
Postgres itself raises is in raised.py.
"""

import json
import re
from collections.abc import Iterable
from typing import Self

# RFC 9110, section 5.6.2; and names that say how long a body is, which is not a function's to say.
HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})

Headers = tuple[tuple[str, str], ...]


class GatewayError(Exception):
    """A call that ends in an error answer."""

    status: int = 500
    code: str = "PGRSTX00"
    headers: Headers = ()

    def __init__(self, message: str, details: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.hint = hint

    def body(self, *, verbose: bool = True) -> bytes:
        """The four members that every error has, in PostgREST's order, as compact JSON; else only code and message."""
        more = {"details": self.details, "hint": self.hint} if verbose else {}
        members = {"code": self.code, **more, "message": self.message}
        return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


class Malformed(GatewayError):
    """Bytes that are not an HTTP request, or that two parsers could read differently. The connection is closed."""

    status, code = 400, "PGMQ400"

    def __init__(self, details: str) -> None:
        super().__init__("Malformed HTTP/1.1 request", details)


class TooSlow(GatewayError):
    """A request that took too long to arrive. The connection is closed."""

    status, code = 408, "PGMQ408"

    def __init__(self, part: str, seconds: float) -> None:
        super().__init__("The request did not arrive in time", f"Its {part} must arrive within {seconds:g} seconds.")


class BodyTooLong(GatewayError):
    """A body of more than `max_bytes`, which is not read to its end. The connection is closed."""

    status, code = 413, "PGMQ413"
    headers = (("Connection", "close"),)

    def __init__(self, max_bytes: int) -> None:
        super().__init__("The body is too large", f"It may have {max_bytes} bytes.", "Send fewer messages per request.")


class HeadTooLong(GatewayError):
    """A request line and headers of more than `maximum` bytes, or too many headers. The connection is closed."""

    status, code = 431, "PGMQ431"

    def __init__(self, maximum: int, unit: str = "bytes") -> None:
        what = "The request line and headers" if unit == "bytes" else "A request"
        super().__init__("The headers are too large", f"{what} may have {maximum} {unit}.")


class TooManyConnections(GatewayError):
    """A connection beyond the maximum. Nothing was read from it."""

    status, code = 503, "PGMQ503"
    headers = (("Retry-After", "1"),)

    def __init__(self) -> None:
        super().__init__("Too many connections", hint="Send many requests over one connection.")


class InternalError(GatewayError):
    """A fault of the gateway itself: the log has the story, the caller gets none of it."""

    def __init__(self) -> None:
        super().__init__("The gateway failed on this request; its log says why")


class InvalidQuery(GatewayError):
    """A query string that cannot be read."""

    status, code = 400, "PGRST100"


class MethodNotAllowed(GatewayError):
    """A method that the path does not support; `allowed` goes into the Allow header."""

    status, code = 405, "PGRST101"

    def __init__(self, message: str, allowed: Iterable[str], hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.headers = (("Allow", ",".join(allowed)),)


class UnsupportedMethod(GatewayError):
    """A method that descriptions do not have."""

    status, code = 405, "PGRST117"
    headers = (("Allow", "OPTIONS,GET,HEAD"),)

    def __init__(self, method: str) -> None:
        super().__init__(f"Unsupported HTTP method: {method}")


class InvalidBody(GatewayError):
    """A body that is no set of named arguments."""

    status, code = 400, "PGRST102"


class UnknownSchema(GatewayError):
    """A profile header that names a schema which is not exposed."""

    status, code = 406, "PGRST106"


class InvalidRange(GatewayError):
    """Rows that cannot be had: a negative limit, or an offset beyond the last."""

    status, code = 416, "PGRST103"

    @classmethod
    def beyond(cls, offset: int, rows: int) -> Self:
        """An offset beyond the last row. The call was rolled back: PostgREST commits it, and the rows are lost."""
        error = cls(
            "Requested range not satisfiable",
            f"An offset of {offset} was requested, but there are only {rows} rows.",
        )
        error.headers = (("Content-Range", f"*/{rows}"),)
        return error


class NotAcceptable(GatewayError):
    """No representation that the client accepts."""

    status, code = 406, "PGRST107"


class NotSingular(GatewayError):
    """A single object was asked for, and the function returned another number of rows. The call was rolled back."""

    status, code = 406, "PGRST116"

    def __init__(self, rows: int) -> None:
        super().__init__("Cannot coerce the result to a single JSON object", f"The result contains {rows} rows")


class InvalidPreferences(GatewayError):
    """Preferences that nobody knows, with handling=strict."""

    status, code = 400, "PGRST122"


class TooManyAffected(GatewayError):
    """More rows than max-affected. The call was rolled back."""

    status, code = 400, "PGRST124"

    def __init__(self, rows: int) -> None:
        super().__init__("Query result exceeds max-affected preference constraint", f"The query affects {rows} rows")


class NoRowsToCount(GatewayError):
    """max-affected for a function that returns one value."""

    status, code = 400, "PGRST128"

    def __init__(self) -> None:
        super().__init__(
            "Function must return SETOF or TABLE when max-affected preference is used with handling=strict"
        )


class UnknownRelation(GatewayError):
    """A select that embeds another resource: what functions of queues return has none."""

    status, code = 400, "PGRST200"

    def __init__(self, relation: str, other: str, hint: str | None, schema: str) -> None:
        meant = f"' using the hint '{hint}" if hint else ""
        super().__init__(
            f"Could not find a relationship between '{relation}' and '{other}' in the schema cache",
            f"Searched for a foreign key relationship between '{relation}' and '{other}{meant}' in the schema "
            f"'{schema}', but no matches were found.",
        )


class NotEmbedded(GatewayError):
    """A filter, an order or a limit for another resource that `select` does not ask for."""

    status, code = 400, "PGRST108"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"'{name}' is not an embedded resource in this request",
            hint=f"Verify that '{name}' is included in the 'select' query parameter.",
        )


class AggregatesForbidden(GatewayError):
    """An aggregate in select (PostgREST's default, db-aggregates-enabled)."""

    status, code = 400, "PGRST123"

    def __init__(self) -> None:
        super().__init__("Use of aggregate functions is not allowed")


class InvalidAnswer(GatewayError):
    """A function that set response.headers or response.status to what HTTP cannot send."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class UnknownPath(GatewayError):
    """A path that leads nowhere."""

    status, code = 404, "PGRST125"

    def __init__(self) -> None:
        super().__init__("Invalid path specified in request URL")


class DescriptionDisabled(GatewayError):
    """The description at the root, where the operator wants none."""

    status, code = 404, "PGRST126"

    def __init__(self) -> None:
        super().__init__("Root endpoint metadata is disabled")


class FunctionNotFound(GatewayError):
    """No function of this name takes these arguments."""

    status, code = 404, "PGRST202"


class AmbiguousFunction(GatewayError):
    """More than one function of this name takes these arguments."""

    status, code = 300, "PGRST203"


class TableNotFound(GatewayError):
    """A path that would be a table's: tables are not exposed."""

    status, code = 404, "PGRST205"

    def __init__(self, schema: str, name: str) -> None:
        super().__init__(f"Could not find the table '{schema}.{name}' in the schema cache")


class Unauthorized(GatewayError):
    """A token that is not to be trusted."""

    status, code = 401, "PGRST301"

    @property
    def headers(self) -> Headers:  # type: ignore[override]
        """The challenge of RFC 6750, section 3."""
        return (("WWW-Authenticate", f'Bearer error="invalid_token", error_description="{self.message}"'),)


class KeysMissing(GatewayError):
    """The key of a token may be among those that are fetched, and they have not been yet: nobody can say."""

    status, code = 503, "PGRST300"
    headers = (("Retry-After", "1"),)

    def __init__(self) -> None:
        super().__init__("The keys that tokens are verified with could not be fetched yet")


class AnonymousDisabled(GatewayError):
    """No token, and no role for those who have none."""

    status, code = 401, "PGRST302"
    headers = (("WWW-Authenticate", "Bearer"),)

    def __init__(self) -> None:
        super().__init__("Anonymous access is disabled")


class InvalidClaims(Unauthorized):
    """A genuine token whose claims do not hold, or not now."""

    code = "PGRST303"


class UnknownRole(GatewayError):
    """A role claim that can be no role's name; in Postgres' words for a role that does not exist."""

    status, code = 401, "22023"
    headers = (("WWW-Authenticate", "Bearer"),)

    def __init__(self, role: str) -> None:
        super().__init__(f'role "{role}" does not exist')


class Unavailable(GatewayError):
    """Nothing was executed: the database cannot be reached right now."""

    status, code = 503, "PGRST000"
    headers = (("Retry-After", "1"),)

    def __init__(self, details: str | None = None) -> None:
        super().__init__("Database connection error.", details)


class ConnectionLost(GatewayError):
    """The connection broke while the call ran: it may or may not have been executed."""

    status, code = 503, "PGRST001"
    headers = (("Retry-After", "1"),)

    def __init__(self) -> None:
        super().__init__(
            "The database connection was lost while the call ran.",
            "The call may or may not have been executed.",
            "Check before you repeat a call that must not happen twice.",
        )


class CatalogMissing(GatewayError):
    """Nothing was executed: the functions have not been read from the database yet."""

    status, code = 503, "PGRST002"
    headers = (("Retry-After", "1"),)

    def __init__(self) -> None:
        super().__init__("Could not query the database for the schema cache. Retrying.")


class PoolTimeout(GatewayError):
    """Nothing was executed: no connection came free in time."""

    status, code = 504, "PGRST003"

    def __init__(self) -> None:
        super().__init__("Timed out acquiring connection from connection pool.")


class StatementTimeout(GatewayError):
    """The call took longer than its role may, and was cancelled: as Postgres says it."""

    status, code = 500, "57014"

    def __init__(self) -> None:
        super().__init__("canceling statement due to statement timeout")
