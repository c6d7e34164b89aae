"""The catalog as an OpenAPI 3.1 document: functions, queues as resources, credentials and errors as they are."""

from collections.abc import Iterable, Sequence

import yaml

from pgmq_gateway.calls.catalog import MANAGEMENT, Function
from pgmq_gateway.openapi import functions as calls
from pgmq_gateway.openapi import queues
from pgmq_gateway.openapi.answers import HEADERS, REFUSALS
from pgmq_gateway.openapi.schemas import SHARED, Schema, Schemas
from pgmq_gateway.queue_functions import SCHEMA

SERVER = "/rest/v1"
DESCRIPTION = """\
Durable message queues in Postgres, over HTTP. Every call runs in its caller's own Postgres role, so grants and
row-level security decide who may do what.

A message is sent, then read: reading leases it for a while, so that nobody else gets it. Delete or archive it before
the lease runs out, or it is handed out again. `pop` reads and deletes at once.

The same operations come as functions (`/rpc/…`, the API of Supabase Queues) and as resources (`/queues/…`). A
function's schema comes from the header `Content-Profile`. Integers may be written as strings of digits, for languages
whose numbers do not hold 64 bits.

Answers of functions can be shaped as with PostgREST: columns filter the rows (`?read_ct=gt.3`), and `Accept` asks for
CSV (`text/csv`) or for a single object (`application/vnd.pgrst.object+json`). It comes after the function has done its
work.
"""
MANAGING = """\
Management of queues, for `service_role`: create, drop and purge them, look at their messages without reading them, say
who may do what, see how they did.

Each function is called with `Content-Profile: pgmq_admin`, and its arguments as members of a JSON object. One that only
looks can also be called by GET, with `Accept-Profile: pgmq_admin`.
"""
SECURITY: Schemas = {
    "apikey": {
        "type": "apiKey",
        "in": "header",
        "name": "apikey",
        "description": "A publishable key stands for the anonymous role, a secret key for `service_role`.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token; its claim `role` names the Postgres role. It wins over the key.",
    },
    "apikey_in_url": {
        "type": "apiKey",
        "in": "query",
        "name": "apikey",
        "description": "The key, for those who cannot set headers.",
    },
}


def document(functions: Iterable[Function], version: str, schemas: Sequence[str], server: str = SERVER) -> Schema:
    """An OpenAPI document of `functions`, which can be called.

    schemas  the exposed schemas, the one that calls without a profile mean first
    server   where the paths begin; relative to the address that the document comes from, or absolute
    """
    found = sorted(functions, key=lambda function: (schemas.index(function.schema), function.name))
    managing = {function.schema for function in found} == {MANAGEMENT}
    named: Schemas = {}
    described = {**calls.paths(found, schemas, named), **queues.paths(found, named)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pgmq-gateway",
            "version": version,
            "summary": "Postgres message queues over HTTP, every caller in its own Postgres role.",
            "description": MANAGING if managing else DESCRIPTION,
            "license": {"name": "PostgreSQL License", "identifier": "PostgreSQL"},
        },
        "servers": [{"url": server, "description": "This gateway."}],
        # One of these is enough. Without any, the anonymous role is the caller's, unless the gateway asks for keys.
        "security": [{"apikey": []}, {"apikey": [], "bearer": []}, {"bearer": []}, {"apikey_in_url": []}, {}],
        "tags": _tags(found),
        "paths": described,
        "components": {
            "securitySchemes": SECURITY,
            "schemas": {**dict(sorted(named.items())), **SHARED},
            "parameters": calls.PARAMETERS,
            "responses": REFUSALS,
            "headers": HEADERS,
        },
    }


def as_yaml(described: Schema) -> str:
    """A document in YAML, its members in their order and nothing referred to by anchors."""
    return yaml.dump(described, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 the same for all
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Plain.add_representer(str, _Plain.represent_str)


def _tags(functions: Iterable[Function]) -> list[Schema]:
    names = dict.fromkeys(function.schema for function in functions)
    tags = [{"name": name, "description": f"The functions of the schema {name}."} for name in names]
    if SCHEMA in names:
        tags.append({"name": queues.TAG, "description": "The same operations as resources."})
    return tags
