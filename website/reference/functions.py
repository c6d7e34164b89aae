"""The page of all functions, from the OpenAPI documents, whose descriptions are the comments in the catalog."""

from collections.abc import Iterator

from website.reference import markdown
from website.reference.documents import PATHS, operations

INTRODUCTION = """
A function is called with `POST /rpc/{function}` and its arguments as a JSON object; under `/rest/v1` too. The header
`Content-Profile` names its schema, except for the first one of `PGRST_DB_SCHEMAS`. Functions that change nothing can
also be called with GET and arguments in the query string, with `Accept-Profile`. In SQL they are ordinary functions.

`select`, filters, `order`, `limit` and the headers `Accept`, `Prefer` and `Idempotency-Key` apply to all:
[Compatibility](compatibility.md), [Idempotency](../guides/idempotency.md).
""".strip()
SCHEMAS = {
    "pgmq_public": "The six functions of Supabase Queues.",
    "pgmq_api": "A superset with receipts, retries, dead letters, settings of queues and batches. The "
    "[resources](resources.md) call these functions.",
    "pgmq_admin": "Management, for `service_role` only: [Managing queues](management.md) explains filters, counts, "
    "settings and policies.",
}


def page() -> str:
    return markdown.page("Functions", INTRODUCTION, *(part for schema in PATHS for part in _section(schema)))


def _section(schema: str) -> Iterator[str]:
    yield f"## {schema}"
    yield SCHEMAS[schema]
    for operation in operations(schema, "/rpc/"):
        if operation.method == "POST":
            yield f"### {schema}.{operation.path.removeprefix('/rpc/')}"
            yield from operation.described()
