"""An OpenAPI 3.1 document of the catalog: functions, queues as resources, credentials and errors."""

from collections.abc import Iterable, Sequence

from pgmq_gateway.calls.catalog import Function
from pgmq_gateway.openapi import functions as calls
from pgmq_gateway.openapi import queues
from pgmq_gateway.openapi.answers import HEADERS, REFUSALS
from pgmq_gateway.openapi.schemas import SHARED, Schema, Schemas
from pgmq_gateway.schemas import LEASES, MANAGEMENT, QUEUES

SERVER = "/rest/v1"
DESCRIPTION = """\
Durable message queues in Postgres, over HTTP. Every call runs in the Postgres role of its caller, so grants and
row-level security decide what it can do.

Reading a message makes it invisible to other consumers for a visibility timeout. Delete or archive the message within
that time, or it becomes visible and is delivered again. `pop` reads and deletes in one step.

Each operation is available as a function (`/rpc/…`, the API of Supabase Queues) and as a resource (`/queues/…`). The
header `Content-Profile` selects a function's schema. Integers can be sent as strings of digits, for languages without
64-bit integers.

Results of functions can be shaped as with PostgREST: columns filter the rows (`?read_ct=gt.3`), and `Accept` selects
CSV (`text/csv`) or a single object (`application/vnd.pgrst.object+json`). Shaping applies after the function has run.
"""
MANAGEMENT_DESCRIPTION = """\
Management of queues, for `service_role`: create, drop and purge queues, browse their messages without leasing them,
manage permissions, and query their history.

Call each function by POST with `Content-Profile: pgmq_admin` and its arguments as members of a JSON object. Functions
that change nothing can also be called by GET, with `Accept-Profile: pgmq_admin`.
"""
SECURITY: Schemas = {
    "apikey": {
        "type": "apiKey",
        "in": "header",
        "name": "apikey",
        "description": "A publishable key selects the anonymous role, a secret key `service_role`.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token whose claim `role` is the Postgres role. It takes precedence over the key.",
    },
    "apikey_in_url": {
        "type": "apiKey",
        "in": "query",
        "name": "apikey",
        "description": "The API key, for clients that cannot set headers.",
    },
}


def document(functions: Iterable[Function], version: str, schemas: Sequence[str], server: str = SERVER) -> Schema:
    """An OpenAPI document of `functions`.

    schemas  the exposed schemas, the default first
    server   the base URL of the paths: absolute, or relative to the document's URL
    """
    found = sorted(functions, key=lambda function: (schemas.index(function.schema), function.name))
    managing = {function.schema for function in found} == {MANAGEMENT}
    named: Schemas = {}
    called = _called(found)
    described = {**calls.paths(called, schemas, named), **queues.paths(found, named)}
    return {
        "openapi": "3.1.0",
        "info": _info(version, MANAGEMENT_DESCRIPTION if managing else DESCRIPTION),
        "servers": [{"url": server, "description": "This gateway."}],
        # Alternatives. Without credentials a call has the anonymous role, unless the gateway requires keys.
        "security": [{"apikey": []}, {"apikey": [], "bearer": []}, {"bearer": []}, {"apikey_in_url": []}, {}],
        "tags": _tags(called),
        "paths": described,
        "components": {
            "securitySchemes": SECURITY,
            "schemas": {**dict(sorted(named.items())), **SHARED},
            "parameters": calls.PARAMETERS,
            "responses": REFUSALS,
            "headers": HEADERS,
        },
    }


def _called(found: Sequence[Function]) -> Sequence[Function]:
    """The functions to describe as such. Those of pgmq_api have a document of their own, because OpenAPI allows one
    operation for each path and most of them have names of pgmq_public."""
    if any(function.schema == QUEUES for function in found):
        return [function for function in found if function.schema != LEASES]
    return found


def _info(version: str, description: str) -> Schema:
    return {
        "title": "pgmq-gateway",
        "version": version,
        "summary": "Postgres message queues over HTTP, each call in the Postgres role of its caller.",
        "description": description,
        "license": {"name": "PostgreSQL License", "identifier": "PostgreSQL"},
    }


def _tags(functions: Iterable[Function]) -> list[Schema]:
    names = dict.fromkeys(function.schema for function in functions)
    tags = [{"name": name, "description": f"The functions of the schema {name}."} for name in names]
    if not names.keys().isdisjoint((QUEUES, LEASES)):
        tags.append({"name": queues.TAG, "description": "The same operations as resources."})
    return tags
