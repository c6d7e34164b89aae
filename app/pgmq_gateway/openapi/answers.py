"""Headers of responses, and error responses with examples."""

from collections.abc import Iterable, Mapping

from pgmq_gateway.openapi.examples import RECEIPT_EXAMPLES
from pgmq_gateway.openapi.schemas import TEXT, Schema, Schemas, reference

HEADERS: Schemas = {
    "Content-Range": {
        "required": True,
        "description": "The first and last row, and the total with `Prefer: count=exact`: `0-1/2`, `*/*`.",
        "schema": {"type": "string", "pattern": r"^(\*|[0-9]+-[0-9]+)/(\*|[0-9]+)$"},
    },
    "Content-Profile": {"description": "The function's schema, if several are exposed.", "schema": TEXT},
    "Preference-Applied": {"description": "The preferences that were applied.", "schema": TEXT},
    "Vary": {"required": True, "description": "The request headers that the response depends on.", "schema": TEXT},
    "Cache-Control": {
        "required": True,
        "description": "Responses must not be cached.",
        "schema": {"const": "no-store"},
    },
    "Proxy-Status": {
        "required": True,
        "description": "The error code, for clients that receive no body (HEAD).",
        "schema": TEXT,
        "example": "PostgREST; error=42501",
    },
    "WWW-Authenticate": {"description": "The challenge, with the error of an invalid token.", "schema": TEXT},
    "Idempotency-Replayed": {
        "description": "The response was stored for the Idempotency-Key: nothing was executed.",
        "schema": {"const": "true"},
    },
    "Retry-After": {"description": "Seconds to wait before a retry.", "schema": {"type": "integer"}},
}


def headers(*names: str) -> Schemas:
    """References to headers, by name."""
    return {name: reference("headers", name) for name in names}


def refusals(statuses: Iterable[int], special: Mapping[int, str] | None = None) -> Schemas:
    """References to the error responses of an operation, by status; `special` overrides names in NAMES."""
    names = {**NAMES, **(special or {})}
    return {str(status): reference("responses", names[status]) for status in statuses}


def _error(code: str, message: str, *, details: str | None = None, hint: str | None = None) -> Schema:
    return {"summary": message, "value": {"code": code, "details": details, "hint": hint, "message": message}}


def _refusal(description: str, examples: Schemas, *more: str, schema: Schema | None = None) -> Schema:
    content = {"schema": schema or reference("schemas", "ApiError"), "examples": examples}
    return {
        "description": description,
        "headers": headers("Proxy-Status", "Vary", "Cache-Control", *more),
        "content": {"application/json": content},
    }


NAMES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "NotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    413: "TooLarge",
    416: "OutOfRange",
    422: "KeyReused",
    429: "QueueFull",
    500: "Failed",
    503: "Unavailable",
    504: "Busy",
    505: "StreamRefused",
}
_KEY_IN_USE = _error(
    "PGMQ001",
    "A request with this Idempotency-Key is still running",
    hint="Repeat the request after a second with the same key.",
)
REFUSALS: Schemas = {
    "BadRequest": _refusal(
        "The arguments do not match the function, or it refused them.",
        {
            "body": _error("PGRST102", "Empty or invalid json"),
            "value": _error("22P02", 'invalid input syntax for type bigint: "one"'),
            "queue": _error("P0001", "queue name contains invalid characters: $, ;, --, or \\'"),
        },
    ),
    "Unauthorized": _refusal(
        "The key or token is missing, invalid or expired, or the anonymous role lacks a privilege.",
        {
            "privilege": _error("42501", "permission denied for table q_tasks"),
            "expired": _error("PGRST303", "JWT expired"),
            "signature": _error(
                "PGRST301",
                "No suitable key or wrong key type",
                details="None of the keys was able to decode the JWT",
            ),
            "no_key": {
                "summary": "No API key found in request",
                "value": {
                    "message": "No API key found in request",
                    "hint": "No `apikey` request header or url param was found.",
                },
            },
        },
        "WWW-Authenticate",
        schema={"anyOf": [reference("schemas", "ApiError"), reference("schemas", "KeyRefused")]},
    ),
    "Forbidden": _refusal(
        "The caller's role lacks a privilege, or row-level security forbids the operation.",
        {
            "privilege": _error("42501", "permission denied for table q_tasks"),
            "policy": _error("42501", 'new row violates row-level security policy for table "q_tasks"'),
        },
    ),
    "NotFound": _refusal(
        "The queue does not exist, or no function has these arguments.",
        {
            "queue": _error("42P01", 'relation "pgmq.q_tasks" does not exist'),
            "function": _error(
                "PGRST202",
                "Could not find the function public.pop(queue_name) in the schema cache",
                details="Searched for the function public.pop with parameter queue_name or with a single unnamed "
                "json/jsonb parameter, but no matches were found in the schema cache.",
            ),
        },
    ),
    "MessageNotFound": _refusal(
        "The message does not exist or is hidden from the caller, or the queue does not exist.",
        {
            "message": _error(
                "PGMQ404",
                'Message 1 not found in queue "tasks"',
                details="It was deleted or archived already, or row-level security hides it from the caller's role.",
            ),
            "queue": _error("42P01", 'relation "pgmq.q_tasks" does not exist'),
        },
    ),
    "NotAllowed": _refusal(
        "The database is a read-only standby, or the function writes and was called by GET.",
        {"read_only": _error("25006", "cannot execute UPDATE in a read-only transaction")},
    ),
    "NotAcceptable": _refusal(
        "The schema is not exposed, no media type is acceptable, or there is not exactly one row for a single object.",
        {
            "schema": _error(
                "PGRST106", "Invalid schema: private", hint="Only the following schemas are exposed: pgmq_public"
            ),
            "media_type": _error("PGRST107", "None of these media types are available: text/plain"),
            "rows": _error(
                "PGRST116", "Cannot coerce the result to a single JSON object", details="The result contains 0 rows"
            ),
        },
    ),
    "Conflict": _refusal(
        "A request with this Idempotency-Key is still running, or a constraint of the queue's owner was violated.",
        {
            "key": _KEY_IN_USE,
            "unique": _error("23505", 'duplicate key value violates unique constraint "q_tasks_message"'),
        },
        "Retry-After",
    ),
    "TooLarge": _refusal(
        "The request body is too large, a message is too large for its queue, or the response is too large to be "
        "stored for an Idempotency-Key.",
        {
            "message": _error(
                "PT413",
                "a message of 1025 bytes is too large for this queue",
                hint="The queue accepts messages of at most 1024 bytes.",
            ),
            "response": _error(
                "PT413",
                "Response too large for a request with an Idempotency-Key",
                details="It has 1048577 bytes, and at most 1048576 are stored. The call was rolled back.",
                hint="Request fewer rows, or repeat the request without the key.",
            ),
            "request": _error(
                "PGMQ413",
                "Request body too large",
                details="The limit is 16777216 bytes.",
                hint="Send fewer messages per request.",
            ),
        },
    ),
    "KeyReused": _refusal(
        "The Idempotency-Key was used for another request.",
        {
            "key": _error(
                "PT422",
                "This Idempotency-Key was used for another request",
                hint="Use a new key for each request; repeat a key only with the same request.",
            )
        },
    ),
    "Stale": _refusal(
        "The message was read again since the receipt was issued, a request with this Idempotency-Key is still "
        "running, or a constraint was violated. Nothing was done.",
        {
            "key": _KEY_IN_USE,
            "stale": _error(
                "PGMQ409",
                "Message 1 was read again by another consumer",
                details="The lease of this receipt ended, and the message belongs to a later read.",
                hint="Read with a longer lease, or extend it.",
            ),
        },
        "Retry-After",
    ),
    "Unsettled": _refusal(
        "With `strict`, a message was read again or is gone; otherwise a request with this Idempotency-Key is still "
        "running, or a constraint was violated. Nothing was done.",
        {
            "key": _KEY_IN_USE,
            "strict": _error(
                "PT409",
                "1 of 2 messages could not be settled",
                details=f"{RECEIPT_EXAMPLES[0]} stale",
                hint="Nothing was done. Settle the others without these.",
            ),
        },
        "Retry-After",
    ),
    "QueueFull": _refusal(
        "The queue has its `max_messages`. Nothing was sent.",
        {
            "full": _error(
                "PT429",
                'queue "tasks" is full',
                hint="It has its max_messages. Send again when some have been consumed.",
            )
        },
        "Retry-After",
    ),
    "WaitRefused": _refusal(
        "The caller has too many waiting requests, by a rate limit of the operator. Nothing was executed.",
        {
            "waiting": _error(
                "PGMQ429",
                "Too many waiting requests",
                details="The limit of role authenticated is 20 waiting by sub at once.",
                hint="Retry when one of them has ended, or read without waiting.",
            )
        },
        "Retry-After",
    ),
    "OutOfRange": _refusal(
        "The limit is negative, or the offset is beyond the counted rows.",
        {
            "limit": _error(
                "PGRST103",
                "Requested range not satisfiable",
                details="Limit should be greater than or equal to zero.",
            )
        },
    ),
    "Failed": _refusal(
        "The call exceeded its statement timeout, or failed in the database.",
        {"timeout": _error("57014", "canceling statement due to statement timeout")},
    ),
    "Unavailable": _refusal(
        "The database cannot be reached, or too many requests wait for messages. After PGRST001 or 57P01 the call may "
        "have been executed.",
        {
            "connection": _error("PGRST000", "Database connection error."),
            "waiting": _error(
                "PGMQ503",
                "Too many waiting requests",
                details="10000 requests of all callers wait for messages.",
                hint="Retry after a second, or read without waiting.",
            ),
        },
        "Retry-After",
    ),
    "Busy": _refusal(
        "No database connection became free in time. Nothing was executed.",
        {"pool": _error("PGRST003", "Timed out acquiring connection from connection pool.")},
    ),
    "StreamRefused": _refusal(
        "The request prefers a stream, and is HTTP/1.0.",
        {
            "stream": _error(
                "PGMQ505",
                "Streams need HTTP/1.1",
                details="The request is HTTP/1.0.",
                hint="Set proxy_http_version 1.1 if it passes nginx, or read without Accept: text/event-stream.",
            )
        },
    ),
}
