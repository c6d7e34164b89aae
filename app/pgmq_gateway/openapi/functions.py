"""Functions as operations. All functions of a name share one path."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from urllib.parse import quote

from pgmq_gateway.calls.catalog import Argument, Function, Result
from pgmq_gateway.openapi import queues
from pgmq_gateway.openapi.answers import headers, refusals
from pgmq_gateway.openapi.examples import ANSWERS, ARGUMENTS, REQUESTS, SLEEP_SECONDS
from pgmq_gateway.openapi.results import answer
from pgmq_gateway.openapi.schemas import (
    IDEMPOTENCY_KEY,
    JSON,
    TEXT,
    Schema,
    Schemas,
    component,
    given,
    in_url,
    one_of,
    reference,
)
from pgmq_gateway.postgrest.query import RESERVED
from pgmq_gateway.schemas import LEASES, QUEUES

# The media type of the body for a single unnamed argument, by its type.
BODIES = {"json": "application/json", "jsonb": "application/json", "text": "text/plain", "xml": "text/xml"}
BYTES = "application/octet-stream"

PARAMETERS: Schemas = {
    "Prefer": {
        "name": "Prefer",
        "in": "header",
        "description": "`count=exact` adds the total to Content-Range; `handling=strict` rejects unknown preferences.",
        "schema": TEXT,
    },
    "PreferWait": {
        "name": "Prefer",
        "in": "header",
        "description": "`wait=20` waits up to 20 seconds for a message if there is none, without select, filters, "
        "order, limit and offset; `count=exact` adds the total to Content-Range; `handling=strict` rejects unknown "
        "preferences.",
        "schema": TEXT,
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A random UUID. A request that is repeated with its key is executed once, and gets the same "
        "response.",
        "schema": {"type": "string", "pattern": "^[!#-~][ -~]{14,253}[!-~]$"},
    },
    "limit": {
        "name": "limit",
        "in": "query",
        "description": "Maximum number of rows in the response. It applies after the function has run; with 0 the "
        "function does not run.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "offset": {
        "name": "offset",
        "in": "query",
        "description": "Number of rows to skip. It applies after the function has run.",
        "schema": {"type": "integer"},
    },
}


def paths(functions: Sequence[Function], exposed: Sequence[str], named: Schemas) -> Schemas:
    """The paths of `functions`. Schemas with a name are added to `named`."""
    by_name = sorted(functions, key=lambda function: function.name)
    found = {name: list(group) for name, group in groupby(by_name, lambda function: function.name)}
    order = dict.fromkeys(function.name for function in functions)
    described = {f"/rpc/{quote(name, safe='')}": _path(found[name], exposed, named) for name in order}
    resources = queues.IDS if any(function.schema in (QUEUES, LEASES) for function in functions) else ()
    operations = (path[method] for method in ("post", "get") for path in described.values() if method in path)
    _make_distinct(operations, set(resources))
    return described


def _make_distinct(operations: Iterable[Schema], taken: set[str]) -> None:
    """Prefix operation ids that earlier operations or resources have taken."""
    for operation in operations:
        while operation["operationId"] in taken:
            operation["operationId"] = f"rpc_{operation['operationId']}"
        taken.add(operation["operationId"])


def _path(overloads: list[Function], exposed: Sequence[str], named: Schemas) -> Schema:
    reading = [function for function in overloads if not function.volatile and function.whole_body is None]
    return {
        **({"get": _get(reading, exposed, named)} if reading else {}),
        "post": {
            **_about(overloads, ""),
            "parameters": [
                _profile("Content-Profile", overloads, exposed),
                *_shaping(overloads),
                *([IDEMPOTENCY_KEY] if _writing(overloads) else []),
            ],
            **_body(overloads, named),
            "responses": _answers(overloads, named),
        },
    }


def _get(overloads: list[Function], exposed: Sequence[str], named: Schemas) -> Schema:
    arguments = {a.name: a for function in overloads for a in function.arguments if a.name not in RESERVED}
    always = frozenset[str].intersection(*(function.required for function in overloads))
    given_in_url = [
        {"name": name, "in": "query", "required": name in always, "schema": in_url(argument.sql_type)}
        for name, argument in arguments.items()
    ]
    return {
        **_about(overloads, "get_"),
        "parameters": [_profile("Accept-Profile", overloads, exposed), *given_in_url, *_shaping(overloads)],
        "responses": _answers(overloads, named),
    }


def _about(overloads: list[Function], prefix: str) -> Schema:
    first = overloads[0]
    text = next((function.description for function in overloads if function.description), first.name)
    return {
        "operationId": prefix + first.name,
        "tags": list(dict.fromkeys(function.schema for function in overloads)),
        "summary": text.partition("\n")[0].partition(". ")[0].rstrip("."),
        "description": text,
    }


def _profile(name: str, overloads: list[Function], exposed: Sequence[str]) -> Schema:
    schemas = list(dict.fromkeys(function.schema for function in overloads))
    return {
        "name": name,
        "in": "header",
        "required": exposed[0] not in schemas,
        "description": f"The function's schema; `{exposed[0]}` by default.",
        "schema": {"type": "string", "enum": schemas, "default": schemas[0]},
    }


def _shaping(overloads: list[Function]) -> list[Schema]:
    """Parameters that shape the result."""
    sets = [function for function in overloads if function.returns_set]
    columns = dict(column for function in sets if function.result is Result.RECORD for column in function.columns)
    rows = [*_select(columns), _order(list(columns))] if columns else []
    preferences = "PreferWait" if _waiting(overloads) else "Prefer"
    shared = (preferences, "limit", "offset") if sets else (preferences,)
    return [*rows, *(reference("parameters", name) for name in shared)]


def _select(columns: dict[str, str]) -> list[Schema]:
    json = [name for name, sql_type in columns.items() if sql_type in JSON]
    if not json:
        return []
    text = f"Adds values from inside JSON columns: `*,user:{json[0]}->>user`. "
    return [
        {
            "name": "select",
            "in": "query",
            "description": text + "Without `*` the rows lack properties that their schema requires.",
            "schema": {"type": "string", "pattern": rf"^(\*(,[a-z]+:({'|'.join(json)})->>?[a-z_]+)*)?$"},
        }
    ]


def _order(columns: list[str]) -> Schema:
    column = f"({'|'.join(columns)})" + r"(\.(asc|desc))?(\.nulls(first|last))?"
    return {
        "name": "order",
        "in": "query",
        "description": f"Columns to sort the rows by: `{columns[0]}.desc`.",
        "schema": {"type": "string", "pattern": f"^{column}(,{column})*$"},
    }


def _body(overloads: list[Function], named: Schemas) -> Schema:
    content: dict[str, list[Schema]] = {}
    for function in overloads:
        if whole := function.whole_body:
            schema = {} if whole in ("json", "jsonb") else TEXT
            content.setdefault(BODIES.get(whole, BYTES), []).append(schema)
        else:
            content.setdefault("application/json", []).append(_arguments(function, overloads, named))
    examples = REQUESTS.get(overloads[0].name, {}) if overloads[0].schema == QUEUES else {}
    return {
        "requestBody": {
            "required": any(function.required or function.whole_body for function in overloads),
            "content": {
                media_type: {"schema": one_of(schemas), **({"examples": examples} if examples else {})}
                for media_type, schemas in content.items()
            },
        }
    }


def _arguments(function: Function, overloads: list[Function], named: Schemas) -> Schema:
    required = [argument.name for argument in function.arguments if argument.required]
    schema = {
        "type": "object",
        "properties": {argument.name: _argument(function, argument) for argument in function.arguments},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }
    return schema if len(overloads) > 1 else component(f"{function.name}_arguments", schema, named)


def _argument(function: Function, argument: Argument) -> Schema:
    schema = given(argument.sql_type)
    if function.schema != QUEUES:
        return schema
    if argument.name == "sleep_seconds" and function.name in SLEEP_SECONDS:
        # Without a default: some client generators make a property with a default required.
        schema["description"] = SLEEP_SECONDS[function.name]
    return {**schema, **ARGUMENTS.get(argument.name, {})}


def _answers(overloads: list[Function], named: Schemas) -> Schemas:
    writing = _writing(overloads)
    replayed = ("Idempotency-Replayed",) if writing else ()
    own = headers("Content-Range", "Content-Profile", "Preference-Applied", "Vary", "Cache-Control", *replayed)
    found: Schemas = {}
    if any(function.result is Result.VOID for function in overloads):
        empty = headers("Content-Range", "Preference-Applied", "Vary", "Cache-Control", *replayed)
        found["204"] = {"description": "Done; the function returns nothing.", "headers": empty}
    rows = [answer(function, named) for function in overloads if function.result is not Result.VOID]
    if rows:
        content = {"schema": one_of(rows), **_examples(overloads[0])}
        body = {"headers": own, "content": {"application/json": content}}
        found["200"] = {"description": "The function's result.", **body}
    many = any(function.returns_set for function in overloads)
    if many:
        less = {"headers": own, "content": {"application/json": {"schema": one_of(rows)}}}
        found["206"] = {
            "description": "Some of the rows; Content-Range has the total.",
            **less,
        }
    statuses = (*(400, 401, 403, 404), *((405, 406, 409, 413) if writing else (406,)), *((416,) if many else ()))
    more = (*((422,) if writing else ()), *((429,) if _waiting(overloads) else ()))
    return dict(sorted(found.items())) | refusals((*statuses, *more, 500, 503, 504), {429: "WaitRefused"})


def _writing(overloads: list[Function]) -> bool:
    return any(function.volatile for function in overloads)


def _waiting(overloads: list[Function]) -> bool:
    return any(function.can_wait for function in overloads)


def _examples(function: Function) -> Schema:
    examples = ANSWERS.get(function.name, {}) if function.schema == QUEUES else {}
    return {"examples": examples} if examples else {}
