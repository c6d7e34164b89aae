"""What comes back: the headers of answers, and the refusals with their statuses and examples."""

from collections.abc import Iterable, Mapping

from pgmq_gateway.openapi.schemas import TEXT, Schema, Schemas, reference

HEADERS: Schemas = {
    "Content-Range": {
        "required": True,
        "description": "The first and last row, and the total if `Prefer: count=exact` asked for it: `0-1/2`, `*/*`.",
        "schema": {"type": "string", "pattern": r"^(\*|[0-9]+-[0-9]+)/(\*|[0-9]+)$"},
    },
    "Content-Profile": {"description": "The function's schema, where more than one is exposed.", "schema": TEXT},
    "Preference-Applied": {"description": "The preferences that were followed.", "schema": TEXT},
    "Vary": {"required": True, "description": "What the answer depends on beside the URL.", "schema": TEXT},
    "Cache-Control": {"required": True, "description": "Answers are not kept.", "schema": {"const": "no-store"}},
    "Proxy-Status": {
        "required": True,
        "description": "The code once more, for those who get no body.",
        "schema": TEXT,
        "example": "PostgREST; error=42501",
    },
    "WWW-Authenticate": {"description": "That a token is wanted, and what is wrong with it.", "schema": TEXT},
    "Retry-After": {"description": "Seconds to wait before another try.", "schema": {"type": "integer"}},
}


def headers(*names: str) -> Schemas:
    """References to headers, by name."""
    return {name: reference("headers", name) for name in names}


def refusals(statuses: Iterable[int], special: Mapping[int, str] | None = None) -> Schemas:
    """The refusals that an operation may answer, by status; `special` names those that are its own."""
    names = {**NAMES, **(special or {})}
    return {str(status): reference("responses", names[status]) for status in statuses}


def _error(code: str, message: str, *, details: str | None = None, hint: str | None = None) -> Schema:
    return {"summary": message, "value": {"code": code, "details": details, "hint": hint, "message": message}}


def _refusal(meaning: str, examples: Schemas, *more: str, schema: Schema | None = None) -> Schema:
    content = {"schema": schema or reference("schemas", "ApiError"), "examples": examples}
    return {
        "description": meaning,
        "headers": headers("Proxy-Status", *more),
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
    416: "OutOfRange",
    500: "Failed",
    503: "Unavailable",
    504: "Busy",
}
REFUSALS: Schemas = {
    "BadRequest": _refusal(
        "The arguments are not what the function takes, or it refused them.",
        {
            "body": _error("PGRST102", "Empty or invalid json"),
            "value": _error("22P02", 'invalid input syntax for type bigint: "one"'),
            "queue": _error("P0001", "queue name contains invalid characters: $, ;, --, or \\'"),
        },
    ),
    "Unauthorized": _refusal(
        "The key or the token is missing, wrong or expired, or the anonymous role lacks a right.",
        {
            "right": _error("42501", "permission denied for table q_tasks"),
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
        "The caller's role lacks a right, or row-level security forbids it.",
        {
            "right": _error("42501", "permission denied for table q_tasks"),
            "policy": _error("42501", 'new row violates row-level security policy for table "q_tasks"'),
        },
    ),
    "NotFound": _refusal(
        "There is no such queue, or no such function with these arguments.",
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
        "There is no such message, or not for this caller, or no such queue.",
        {
            "message": _error(
                "PGMQ404", 'Message 1 is not in queue "tasks"', hint="It may be deleted or archived already."
            ),
            "queue": _error("42P01", 'relation "pgmq.q_tasks" does not exist'),
        },
    ),
    "NotAllowed": _refusal(
        "The database takes no writes: it is a standby, or the call came as GET.",
        {"read_only": _error("25006", "cannot execute UPDATE in a read-only transaction")},
    ),
    "NotAcceptable": _refusal(
        "The schema is not exposed, the media type is not there, or not just one row came for a single object.",
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
        "A constraint of the database forbids it, one that the queue's owner added.",
        {"unique": _error("23505", 'duplicate key value violates unique constraint "q_tasks_message"')},
    ),
    "OutOfRange": _refusal(
        "The limit is negative, or the offset is beyond the rows that were counted.",
        {
            "limit": _error(
                "PGRST103",
                "Requested range not satisfiable",
                details="Limit should be greater than or equal to zero.",
            )
        },
    ),
    "Failed": _refusal(
        "The call was cancelled for taking too long, or failed inside.",
        {"timeout": _error("57014", "canceling statement due to statement timeout")},
    ),
    "Unavailable": _refusal(
        "The database cannot be reached. With PGRST001 and 57P01 the call may have been executed.",
        {"connection": _error("PGRST000", "Database connection error.")},
        "Retry-After",
    ),
    "Busy": _refusal(
        "No database connection came free in time; nothing was executed.",
        {"pool": _error("PGRST003", "Timed out acquiring connection from connection pool.")},
    ),
}
