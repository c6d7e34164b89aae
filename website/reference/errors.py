"""The page of all error codes, from the gateway's error classes and its table of SQLSTATEs."""

import importlib
from collections.abc import Iterator
from http import HTTPStatus

from pgmq_gateway.database.sqlstate import DatabaseError
from pgmq_gateway.errors import GatewayError
from website.reference import markdown
from website.reference.markdown import code, table

# The modules besides errors.py that define errors with codes of their own.
MODULES = ("limits.throttle", "limits.places", "auth.apikeys", "api.idempotency_keys", "api.queues")
NAMES = {f"pgmq_gateway.{name}" for name in (*MODULES, "errors", "database.sqlstate")}
INTRODUCTION = """
The body of an error is a JSON object with `code`, `message`, `details` and `hint`; the header `Proxy-Status` has the
code too. `PGRST…` are PostgREST's codes, `PGMQ…` the gateway's, `PT…` those with which a function sets the status,
and others Postgres' [SQLSTATEs](https://www.postgresql.org/docs/current/errcodes-appendix.html). Repeat a call after
502, 503, 504 and every response with `Retry-After`, with an [`Idempotency-Key`](../guides/idempotency.md) if it must
not be executed twice. [Troubleshooting](../guides/troubleshooting.md) starts from what you see.
""".strip()
# RFC 9110's, which Python has since 3.13.
PHRASES = {"413": "Content Too Large", "416": "Range Not Satisfiable", "422": "Unprocessable Content"}
# What to do about each error.
FIXES = {
    "AggregatesForbidden": "Aggregate in a function of yours, or in the client.",
    "AmbiguousFunction": "Name arguments that only one of the functions has, or rename one.",
    "AnonymousDisabled": "Send `Authorization: Bearer TOKEN`, or set `PGRST_DB_ANON_ROLE`.",
    "BodyTooLong": "Send fewer messages in a request, or raise `PGMQ_GATEWAY_MAX_BODY`.",
    "CatalogMissing": "Retry. If it lasts, the log says why the database cannot be read.",
    "CommitInterrupted": "Repeat it with the same `Idempotency-Key`; without one, check first whether it took effect.",
    "ConnectionLost": "Repeat it with the same `Idempotency-Key`; without one, check first whether it took effect.",
    "DescriptionDisabled": "Set `PGRST_OPENAPI_MODE`.",
    "FunctionNotFound": "Check name and arguments, the header `Content-Profile` and `Content-Type: application/json`. "
    "After a change in SQL: `NOTIFY pgrst, 'reload schema'`.",
    "HeadTooLong": "Send arguments in the body of a POST, and fewer headers.",
    "InternalError": "The log has the traceback: please report it.",
    "InvalidAnswer": "Correct the function: `response.headers` is an array of objects (`PGRST111`), "
    "`response.status` a status (`PGRST112`).",
    "InvalidBody": "Send a JSON object of named arguments, with `Content-Type: application/json`.",
    "InvalidClaims": "Get a new token; compare clocks, `aud` and `iss` with the gateway's settings.",
    "InvalidEncoding": "Send UTF-8.",
    "InvalidIdempotencyKey": "Use a random UUID for each request.",
    "InvalidPreferences": "Correct `Prefer`, or leave out `handling=strict`.",
    "InvalidQuery": "Correct the parameter that details and hint name.",
    "InvalidRange": "Ask for rows that exist; `Content-Range` has their number.",
    "KeyMissing": "Send the header `apikey` with a publishable or secret key.",
    "KeyRefused": "`pgmq-gateway keys` prints the keys that are accepted; secret keys are refused from browsers.",
    "KeysMissing": "Retry after a second. If it lasts, the log says why the JWKS URL cannot be fetched.",
    "Malformed": "Use an HTTP client or proxy that sends one well-formed request.",
    "MemoryFull": "Retry later, with smaller bodies, or raise `PGMQ_GATEWAY_MAX_BUFFERED`.",
    "MessageNotFound": "Nothing: it is settled. Or the caller's policies hide it.",
    "MethodNotAllowed": "Use a method of the header `Allow`; functions that change something need POST.",
    "NoRowsToCount": "Leave out `max-affected`.",
    "NotAcceptable": "Accept `application/json` or `text/csv`.",
    "NotEmbedded": "Leave out the filter: results of functions have no embedded resources.",
    "NotSingular": "Ask for an array, or for exactly one row: `limit=1`.",
    "PoolTimeout": "Retry later. Look for long statements and locks; raise `PGRST_DB_POOL` if Postgres has spare time.",
    "RaisedAnswer": "`PGRST121`: correct the JSON in MESSAGE or DETAIL of the function's `RAISE`.",
    "StaleReceipt": "Nothing: another consumer has the message. Read with longer leases, or extend them.",
    "StatementTimeout": "Send or read less in a call; look for locks; raise `PGMQ_GATEWAY_CALL_TIMEOUT`.",
    "StreamRolledBack": "Prefer `tx=commit`, or read without a stream.",
    "StreamUnsupported": "Set `proxy_http_version 1.1` in nginx, or read without a stream.",
    "TableNotFound": "Call a function at `/rpc/{function}`: tables are not exposed.",
    "TooManyAffected": "Raise `max-affected`, or affect fewer rows.",
    "TooManyAtOnce": "Send or read fewer messages in a call.",
    "TooManyConnections": "Retry after a second, and reuse connections; raise `PGMQ_GATEWAY_MAX_CONNECTIONS`.",
    "TooMany": "Wait as long as `Retry-After` says; [rate limits](../operating/rate-limits.md) are the operator's.",
    "TooManyWaiting": "Retry after a second, or read without waiting; raise `PGMQ_GATEWAY_MAX_WAITING`.",
    "TooSlow": "Retry. On slow links raise `PGMQ_GATEWAY_HEAD_TIMEOUT`, or lower `PGMQ_GATEWAY_MIN_RATE`.",
    "Unauthorized": "Send a token that is signed with a key that the gateway has: [keys](../operating/keys.md).",
    "Unavailable": "Retry. If it lasts, check that Postgres runs and accepts connections.",
    "UnknownPath": "Use `/rpc/{function}` or `/queues/…`, under `/rest/v1` too.",
    "UnknownRelation": "Select columns of the result only.",
    "UnknownRole": "Create the role and grant it to `authenticator`, or correct the claim `role`.",
    "UnknownSchema": "Name a schema of the hint in `Content-Profile`, or add it to `PGRST_DB_SCHEMAS`.",
    "UnsupportedMethod": "Use GET.",
    "WaitLimitReached": "Wait as long as `Retry-After` says, or read without waiting.",
}
# SQLSTATEs that calls of queues meet: code, status, cause, fix.
SQLSTATES = (
    ("0A000", "400", "The operation is not possible for this queue, or in this isolation level.",
     "The message says why."),
    ("0LP01", "403", "A privilege that cannot be granted to this role.", "Grant it to a role of requests."),
    ("09000", "500", "A trigger of the queue left out a row that must be stored.", "Correct the trigger."),
    ("22004", "400", "An argument that must not be null.", "Pass a value."),
    ("22023", "400", "An argument out of its range, or an unknown name; 401 for a role that does not exist.",
     "The message names the argument and its range."),
    ("22P02", "400", "An argument of another type.", "Pass the type that the [functions](functions.md) list."),
    ("22000", "400", "Data that does not fit.", "The message says why."),
    ("23502", "400", "A column must not be null.", "Correct the message or the constraint of the queue."),
    ("23503", "409", "A foreign key of a table of yours.", "Do not repeat it: the data has to change."),
    ("23505", "409", "A unique constraint.", "Do not repeat it: the row exists."),
    ("23514", "400", "A check constraint.", "Correct the message or the constraint of the queue."),
    ("25006", "405", "A function that changes something was called with GET.", "Use POST."),
    ("3F000", "400", "The schema does not exist.", "Name one that exists."),
    ("40001", "500", "Concurrent changes, after three attempts.", "Repeat it."),
    ("40P01", "500", "A deadlock, after three attempts.", "Repeat it."),
    ("42501", "403", "The role lacks a privilege, or a policy refuses the row; 401 for the anonymous role.",
     "[Grant the operation](../guides/roles.md), or write a [policy](../guides/policies.md)."),
    ("42602", "400", "A name that cannot be a queue's.", "Use up to 47 letters, digits, `_` and `-`."),
    ("42704", "400", "A role, policy or type that does not exist.", "Correct the name."),
    ("42710", "400", "A policy of this name exists.", "Choose another name."),
    ("42883", "404", "A function called by this one does not exist, or the role cannot see it.",
     "Run `pgmq-gateway install`."),
    ("42P01", "404", "The queue does not exist.", "Create it, or correct the name: `pgmq-gateway queue list`."),
    ("42P07", "400", "A queue or table of this name exists.", "Choose another name, or `adopt`."),
    ("53300", "503", "Postgres has no free connection.", "Retry; lower pools, or raise `max_connections`."),
    ("55P03", "503", "A lock was not available within the time limit. Nothing has changed.", "Repeat it."),
    ("57P01", "503", "The server ended the connection, as in a restart.", "Repeat it."),
    ("P0001", "400", "A function's `RAISE EXCEPTION`.", "The message is the function's."),
    ("PT409", "409", "A `settle` with `strict` has a stale or gone receipt, or a group is at its limit.",
     "The details name the receipts: settle the others without them."),
    ("PT413", "413", "A message, or a response to be stored, is too large; or too many messages in a call.",
     "Send or read less."),
    ("PT422", "422", "The `Idempotency-Key` was used for another request.", "Use a new key for each request."),
    ("PT429", "429", "The queue is full (`max_messages`).", "Wait until consumers have made room."),
    ("PGMQ001", "409", "A request with this `Idempotency-Key` is still running.",
     "Repeat it after `Retry-After`, with the same key."),
)  # fmt: skip


def page() -> str:
    rows = sorted([*_own(), *SQLSTATES], key=lambda row: (int(row[1]), row[0]))
    statuses = sorted({row[1] for row in rows}, key=int)
    parts = [part for status in statuses for part in _section(status, [row for row in rows if row[1] == status])]
    mapped = ", ".join(f"{code(prefix)} {status}" for prefix, status in DatabaseError.STATUSES.items())
    other = (
        "## Other SQLSTATEs",
        "The status by the beginning of the code, the longest first; 400 for all others: "
        f"{mapped}. `PTnnn` is the status nnn.",
    )
    return markdown.page("Errors", INTRODUCTION, *parts, *other)


def classes() -> Iterator[type[GatewayError]]:
    """All errors of the gateway's own."""
    for module in MODULES:
        importlib.import_module(f"pgmq_gateway.{module}")
    waiting = [GatewayError]
    while waiting:
        found = waiting.pop().__subclasses__()
        waiting += found
        yield from (one for one in found if one is not DatabaseError and one.__module__ in NAMES)


def _own() -> Iterator[tuple[str, str, str, str]]:
    for one in classes():
        cause = (one.__doc__ or "A path that is neither a function nor a resource.").partition("\n\n")[0]
        names = {"InvalidAnswer": "PGRST111, PGRST112", "RaisedAnswer": "PGRST121"}
        yield names.get(one.__name__, one.code), str(one.status), cause, FIXES[one.__name__]


def _section(status: str, rows: list[tuple[str, str, str, str]]) -> Iterator[str]:
    yield f"## {status}"
    yield f"{PHRASES.get(status) or HTTPStatus(int(status)).phrase}."
    yield table(["code", "cause", "fix"], [[code(name), cause, fix] for name, _, cause, fix in rows])
